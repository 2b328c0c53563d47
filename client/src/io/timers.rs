//! When which session wants to be called.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::moment::Moment;

/// Deadlines by session. An entry may be void: its session has moved its deadline since, or is
/// gone; so a deadline that moves away, as with every heartbeat, costs nothing.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Moment, u64)>>,
}

impl Timers {
    pub(super) fn add(&mut self, at: Moment, session: u64) {
        self.heap.push(Reverse((at, session)));
    }

    pub(super) fn next(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn pop_due(&mut self, now: Moment) -> Option<(Moment, u64)> {
        let Reverse((at, session)) = self.heap.peek().copied()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some((at, session))
    }
}
