//! Who leads, as the servers' own answers tell from outside, and how long nobody did.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What is known of the lead.
pub(super) struct Leadership {
    leader: Option<u64>,
    /// Who led last, even if it does no more.
    last: Option<u64>,
    /// Since when nobody leads.
    without_since: Instant,
    /// Who said in its last answer that it leads.
    claims: BTreeSet<u64>,
}

/// Somebody leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) leader: u64,
    /// Who led before, which may be the same server.
    pub(super) before: Option<u64>,
    /// How long nobody did.
    pub(super) without: Duration,
}

impl Leadership {
    /// Nobody leads yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { leader: None, last: None, without_since: now, claims: BTreeSet::new() }
    }

    pub(super) fn leader(&self) -> Option<u64> {
        self.leader
    }

    /// Since when nobody leads; nothing while somebody does.
    pub(super) fn without_since(&self) -> Option<Instant> {
        self.leader.is_none().then_some(self.without_since)
    }

    /// A server has answered.
    pub(super) fn heard(&mut self, id: u64, leads: bool, at: Instant) -> Option<News> {
        if !leads {
            self.claims.remove(&id);
            self.lost(id, at);
            return None;
        }
        let is_new_claim = self.claims.insert(id);
        // One that was paused goes on believing in its lead, until it hears who was elected
        // meanwhile. A claim of another's while somebody leads counts only if it is new.
        let counts = self.leader.is_none() || is_new_claim && self.leader != Some(id);
        if !counts {
            return None;
        }
        let without = match self.leader {
            None => at.saturating_duration_since(self.without_since),
            Some(_) => Duration::ZERO,
        };
        self.leader = Some(id);
        Some(News { leader: id, before: self.last.replace(id), without })
    }

    /// A server stands still. What it believes stays as it is.
    pub(super) fn paused(&mut self, id: u64, at: Instant) {
        self.lost(id, at);
    }

    /// A server's process has ended.
    pub(super) fn ended(&mut self, id: u64, at: Instant) {
        self.claims.remove(&id);
        self.lost(id, at);
    }

    fn lost(&mut self, id: u64, at: Instant) {
        if self.leader == Some(id) {
            self.leader = None;
            self.without_since = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(leader: u64, before: Option<u64>, ms: u64) -> Option<News> {
        Some(News { leader, before, without: Duration::from_millis(ms) })
    }

    #[test]
    fn the_time_without_a_leader_ends_with_the_next_claim() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut lead = Leadership::new(start);
        assert_eq!(lead.heard(1, false, at(10)), None);
        assert_eq!(lead.heard(2, true, at(200)), news(2, None, 200));
        assert_eq!(lead.heard(2, true, at(300)), None);
        lead.ended(1, at(350));
        assert_eq!((lead.leader(), lead.without_since()), (Some(2), None));
        lead.ended(2, at(400));
        assert_eq!((lead.leader(), lead.without_since()), (None, Some(at(400))));
        assert_eq!(lead.heard(3, true, at(550)), news(3, Some(2), 150));
        // It steps back by itself, and is elected again.
        assert_eq!(lead.heard(3, false, at(600)), None);
        assert_eq!(lead.heard(3, true, at(650)), news(3, Some(3), 50));
        // An election that went unnoticed.
        assert_eq!(lead.heard(1, true, at(700)), news(1, Some(3), 0));
    }

    #[test]
    fn a_leader_that_was_paused_is_believed_only_if_nobody_took_its_place() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut lead = Leadership::new(start);
        assert!(lead.heard(1, true, at(0)).is_some());
        lead.paused(1, at(100));
        assert_eq!(lead.heard(1, true, at(160)), news(1, Some(1), 60));
        lead.paused(1, at(200));
        assert_eq!(lead.heard(2, true, at(300)), news(2, Some(1), 100));
        assert_eq!(lead.heard(1, true, at(400)), None);
        assert_eq!(lead.leader(), Some(2));
        assert_eq!(lead.heard(1, false, at(410)), None);
        assert_eq!(lead.leader(), Some(2));
        assert_eq!(lead.heard(1, true, at(420)), news(1, Some(2), 0));
    }
}
