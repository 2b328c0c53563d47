//! When a member stands for election: after long silence of a leader that may be alive, soon after
//! one that is surely gone, and again soon after an election that nobody won.
//!
//! The library knows one span for all of these and draws from it with the operating system's
//! randomness, which a replica may not use. So each draw is replaced at once by a function of
//! seed, member and term, and the clock that runs towards it is set forward where that is due.

use raft::StateRole;

use super::{Consensus, ELECTION_TICKS, NEVER};

/// Ticks within which members stand for election, each at its own, when the leader is surely gone.
const SUSPECT_TICKS: usize = 6;

/// Ticks from one election that nobody won to the next: at least so many, at most twice as many.
/// It doubles each time, since disks may be too slow to store votes in time.
const RETRY_TICKS: usize = 4;

/// Ticks from the start of a process, which knows of no leader, to its first election: time for
/// one that leads to say so.
const START_TICKS: usize = 8;

impl Consensus {
    /// Stands for election now instead of waiting for silence: for an ensemble of one.
    pub(crate) fn campaign(&mut self) {
        // It fails only while a membership change is unapplied; the next tick tries again.
        _ = self.raw.campaign();
        self.settle_timeout();
    }

    /// The leader is probably gone: forget it at once and stand for election after a short,
    /// differing time instead of a full one.
    pub(crate) fn suspect_leader(&mut self) {
        if !self.is_leader() {
            self.raw.raft.leader_id = raft::INVALID_ID;
            self.settle_timeout();
            self.stand_within(1, SUSPECT_TICKS);
        }
    }

    /// This process has just started.
    pub(super) fn stand_soon(&mut self) {
        self.settle_timeout();
        self.stand_within(START_TICKS, 2 * START_TICKS);
    }

    /// Replaces what the library has drawn. Call it after everything that may make it draw.
    pub(super) fn settle_timeout(&mut self) {
        let ticks = ELECTION_TICKS + self.draw(ELECTION_TICKS);
        let stands = !self.is_catching_up();
        self.raw.raft.set_randomized_election_timeout(if stands { ticks } else { NEVER });
        let (role, term) = (self.raw.raft.state, self.raw.raft.term);
        if self.raw.raft.leader_id != raft::INVALID_ID {
            self.campaigns = 0;
        }
        let is_candidate = matches!(role, StateRole::PreCandidate | StateRole::Candidate);
        let stood_again = is_candidate && self.raw.raft.election_elapsed == 0;
        if is_candidate && (stood_again || self.stood_as != (role, term)) {
            let least = (RETRY_TICKS << self.campaigns.min(8)).min(ELECTION_TICKS);
            self.campaigns += usize::from(role == StateRole::Candidate);
            self.stand_within(least, 2 * least);
        }
        self.stood_as = (role, term);
    }

    /// Lets the clock run so that an election comes after some number of ticks up to `most`.
    fn stand_within(&mut self, least: usize, most: usize) {
        if self.is_catching_up() {
            return;
        }
        let wait = least + self.draw(most - least + 1);
        let raft = &mut self.raw.raft;
        // Not 0, which tells an election that has just begun.
        raft.election_elapsed = raft.randomized_election_timeout().saturating_sub(wait).max(1);
    }

    /// A number below `span`.
    fn draw(&self, span: usize) -> usize {
        let raft = &self.raw.raft;
        let mixed = (self.seed ^ raft.id.rotate_left(32) ^ raft.term)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(31)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 33) as usize % span
    }
}
