//! Consensus gone wrong on purpose (see `planted.rs` of the crate).

use raft::ReadState;

use super::Consensus;

impl Consensus {
    /// Leadership counts as confirmed, though nobody was asked.
    pub(crate) fn confirm_unasked(&mut self, round: i64) {
        let request_ctx = round.to_be_bytes().to_vec();
        self.raw.raft.read_states.push(ReadState { index: 0, request_ctx });
    }

    /// As if nobody had been voted for in this term.
    pub(crate) fn forget_vote(&mut self) {
        self.raw.raft.vote = raft::INVALID_ID;
    }
}
