//! What elections cost: how long nobody led, and what became of the sessions.

use crate::input::Now;
use crate::output::{ElectionCause, Event, Output, Outputs};
use crate::replica::Replica;

/// The election under way, and the last one won.
#[derive(Debug)]
pub(crate) struct Elections {
    /// Why this member looks for a leader, as far as it knows.
    cause: ElectionCause,
    /// On the clock of `Now::mono_us`, since when.
    since_us: u64,
    /// On the same clock, since when this member knows the leader that it has last known.
    led_since_us: u64,
    /// Leader: its clients' sessions have not all come back or ended since it was elected.
    returning: Option<Returning>,
}

#[derive(Debug)]
struct Returning {
    epoch: u64,
    /// By then every session has been heard or has expired.
    until_us: u64,
    lost: usize,
}

impl Elections {
    pub(crate) fn new(now: Now) -> Self {
        let cause = ElectionCause::Started;
        Elections { cause, since_us: now.mono_us, led_since_us: now.mono_us, returning: None }
    }

    /// This member is about to look for a leader, for a reason that it knows.
    pub(crate) fn note(&mut self, cause: ElectionCause) {
        self.cause = cause;
    }

    /// This member leads no more. Unless it gave way to another one, it heard no majority.
    pub(super) fn note_end_of_lead(&mut self) {
        if self.cause != ElectionCause::HandedOver {
            self.cause = ElectionCause::QuorumLost;
        }
    }

    /// Since when this member has not been served by a leader.
    pub(super) fn leaderless(&mut self, now: Now) {
        self.since_us = now.mono_us;
        self.returning = None;
    }

    /// This member knows of a leader from now on.
    pub(super) fn led(&mut self, now: Now) {
        self.led_since_us = now.mono_us;
    }

    /// Leader: a session's client was silent for its timeout. It is lost to the election if it
    /// was never heard since.
    pub(crate) fn session_expired(&mut self, was_heard: bool) {
        if let Some(returning) = self.returning.as_mut().filter(|_| !was_heard) {
            returning.lost += 1;
        }
    }
}

impl Replica {
    /// This member serves under a new leader.
    pub(super) fn election_over(&mut self, now: Now, out: &mut Outputs) {
        if self.is_alone() {
            return;
        }
        let (epoch, leader) = (self.consensus.term(), self.consensus.leader());
        let timeouts_ms = self.state.sessions.iter().map(|session| session.timeout_ms);
        let longest_ms = timeouts_ms.max().unwrap_or(0);
        let is_leader = self.consensus.is_leader();
        if is_leader {
            // A session's end takes a moment to be applied.
            let until_us = now.mono_us + u64::from(longest_ms) * 1000 + 1_000_000;
            self.elections.returning = Some(Returning { epoch, until_us, lost: 0 });
        }
        let leaderless_ms = now.mono_us.saturating_sub(self.elections.since_us) / 1000;
        let sync_us = (!is_leader).then(|| now.mono_us.saturating_sub(self.elections.led_since_us));
        let cause = std::mem::replace(&mut self.elections.cause, ElectionCause::Silence);
        let sessions = self.state.sessions.len();
        let led = Event::Led { epoch, leader, cause, leaderless_ms, sync_us, sessions };
        out.items.push(Output::Event(led));
    }

    /// Leader: tells what became of the sessions, once that is known.
    pub(crate) fn settle_election(&mut self, now: Now, out: &mut Outputs) {
        let due = |returning: &mut Returning| returning.until_us <= now.mono_us;
        if let Some(Returning { epoch, lost, .. }) = self.elections.returning.take_if(due) {
            let settled = Event::ElectionSettled { epoch, returned: self.owners.len(), lost };
            out.items.push(Output::Event(settled));
        }
    }
}
