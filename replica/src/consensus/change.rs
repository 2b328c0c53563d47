//! Changes of who belongs to the ensemble: one at a time, each an entry of the log. Where more than
//! one member changes its role, majorities of the old and of the new voters decide meanwhile.

use protobuf::Message as _;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};

use super::Consensus;

impl Consensus {
    /// Goes over to the members that the committed entry of this index names.
    pub(crate) fn change_members(&mut self, index: u64, data: &[u8]) {
        let mut change = ConfChangeV2::default();
        if change.merge_from_bytes(data).is_ok() {
            self.apply_change(index, &change);
        }
    }

    fn apply_change(&mut self, index: u64, change: &ConfChangeV2) {
        self.members_since = index;
        // Only a leader whose members allow it proposes one, so it can be made.
        if let Ok(members) = self.raw.apply_conf_change(change) {
            self.raw.mut_store().set_conf_state(members);
        }
        self.settle_timeout();
    }

    /// Goes over to members that the log states as they are, at this index. Nothing changes for
    /// those who began the ensemble; who joined it later learns here who they were.
    pub(crate) fn align_members(&mut self, index: u64, voters: &[u64], observers: &[u64]) {
        for (id, change_type) in self.differences(voters, observers) {
            let step = ConfChangeSingle { change_type, node_id: id };
            let change = ConfChangeV2 { changes: vec![step], ..ConfChangeV2::default() };
            self.apply_change(index, &change);
        }
    }

    /// Leader: proposes to go over to these members. False if that must wait.
    pub(crate) fn propose_members(&mut self, voters: &[u64], observers: &[u64]) -> bool {
        if self.is_changing_members() || self.is_handing_over() {
            return false;
        }
        let differences = self.differences(voters, observers);
        let changes = differences
            .into_iter()
            .map(|(node_id, change_type)| ConfChangeSingle { change_type, node_id });
        let change = ConfChangeV2 { changes: changes.collect(), ..ConfChangeV2::default() };
        let proposed = self.raw.propose_conf_change(Vec::new(), change);
        self.settle_timeout();
        proposed.is_ok()
    }

    /// Whether a change of the members is under way, as far as a leader knows.
    pub(crate) fn is_changing_members(&self) -> bool {
        let is_joint = !self.raw.store().conf_state().get_voters_outgoing().is_empty();
        is_joint || self.raw.raft.pending_conf_index > self.raw.raft.raft_log.applied
    }

    /// Leader: whether a member is heard, and has everything up to this index.
    pub(crate) fn is_in_sync(&self, member: u64, index: u64) -> bool {
        let progress = self.raw.raft.prs().get(member);
        let is_here =
            |progress: &raft::Progress| progress.recent_active && progress.matched >= index;
        member == self.raw.raft.id || progress.is_some_and(is_here)
    }

    /// Leader: has this member take over.
    pub(crate) fn hand_over_to(&mut self, member: u64) {
        self.raw.transfer_leader(member);
        self.settle_timeout();
    }

    /// What tells these members from the present ones, those who join first.
    fn differences(&self, voters: &[u64], observers: &[u64]) -> Vec<(u64, ConfChangeType)> {
        let (now_voting, now_observing) = (self.voters(), self.observers());
        let joins = |wanted: &[u64], present: &[u64]| -> Vec<u64> {
            wanted.iter().copied().filter(|id| !present.contains(id)).collect()
        };
        let gone = now_voting.iter().chain(now_observing).copied();
        let gone = gone.filter(|id| !voters.contains(id) && !observers.contains(id));
        let vote = joins(voters, now_voting).into_iter().map(|id| (id, ConfChangeType::AddNode));
        let observe = joins(observers, now_observing).into_iter();
        vote.chain(observe.map(|id| (id, ConfChangeType::AddLearnerNode)))
            .chain(gone.map(|id| (id, ConfChangeType::RemoveNode)))
            .collect()
    }
}
