//! Mistakes that can be planted in the machine, to see that the tests which should find them do.
//!
//! They exist under the feature `planted-bugs` alone, which nothing but the simulator asks for;
//! without it every function below is a constant when it is compiled.

use super::Machine;
use crate::moment::Moment;

/// A mistake that a client's session could make.
#[cfg_attr(
    not(feature = "planted-bugs"),
    expect(dead_code, unreachable_pub, reason = "not planted")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// The deadline counts from when a reply arrived, not from when its request was sent.
    CountsFromArrival,
    /// The reply to a read is taken to vouch for the session.
    ReadsVouch,
    /// No margin is left for clocks that run apart.
    NoMargin,
    /// The end of the session is published after the ends of its requests.
    LostComesLast,
    /// Watches are not set again on a new link.
    ForgetsWatches,
}

#[cfg(feature = "planted-bugs")]
impl<C, W> Machine<C, W> {
    /// Plants a mistake.
    pub fn plant(&mut self, bug: PlantedBug) {
        self.planted = Some(bug);
    }

    pub(super) fn has(&self, bug: PlantedBug) -> bool {
        self.planted == Some(bug)
    }

    pub(super) fn see(&mut self, now: Moment) {
        self.seen = now;
    }

    /// From when the life of a session counts whose packet was sent at `sent` and answered now.
    pub(super) fn counted_from(&self, sent: Moment) -> Moment {
        if self.has(PlantedBug::CountsFromArrival) { self.seen } else { sent }
    }

    pub(super) fn reorder_if_planted(&mut self) {
        let is_change = |action: &super::Action<C, W>| matches!(action, super::Action::Change(..));
        if self.has(PlantedBug::LostComesLast)
            && let Some(at) = self.actions.iter().rposition(is_change)
        {
            let change = self.actions.remove(at);
            self.actions.extend(change);
        }
    }
}

#[cfg(not(feature = "planted-bugs"))]
impl<C, W> Machine<C, W> {
    pub(super) const fn has(&self, _: PlantedBug) -> bool {
        false
    }

    pub(super) const fn see(&mut self, _: Moment) {}

    /// From when the life of a session counts whose packet was sent at `sent` and answered now.
    pub(super) const fn counted_from(&self, sent: Moment) -> Moment {
        sent
    }

    pub(super) const fn reorder_if_planted(&mut self) {}
}
