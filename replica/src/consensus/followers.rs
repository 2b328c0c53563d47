//! How far the other members have come, as their leader knows it.

use raft::ProgressState;

use super::Consensus;

/// Another member, as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Its number.
    pub id: u64,
    /// Whether it votes.
    pub votes: bool,
    /// It takes the log as it grows; otherwise the leader looks for where it stands, or sends it a
    /// snapshot.
    pub follows: bool,
    /// Entries of the leader's log that it has not confirmed.
    pub behind: u64,
}

impl Consensus {
    /// Leader: the other members by their numbers.
    pub(crate) fn followers(&self) -> Vec<Follower> {
        let (own, last) = (self.raw.raft.id, self.last_index());
        let others = self.raw.raft.prs().iter().filter(|(id, _)| **id != own);
        let mut followers: Vec<Follower> = others
            .map(|(&id, progress)| Follower {
                id,
                votes: self.voters().contains(&id),
                follows: progress.state == ProgressState::Replicate,
                behind: last.saturating_sub(progress.matched),
            })
            .collect();
        followers.sort_unstable_by_key(|follower| follower.id);
        followers
    }
}
