//! What must hold of replicas at every moment: whoever has applied the same log is in the same
//! state, to the byte, and only one leads in an epoch.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tenure_client::SessionId;
use tenure_replica::{NodeKind, Replica, State};

use super::order::{REGISTERS, register_path, value_of};
use crate::application::DATA;
use crate::random::mix;
use crate::snapshots::Snapshot;
use crate::trace::digest;
use crate::world::{Rule, World};

/// What was seen of replicas first.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// By log index: a digest of the state, and whose it was.
    states: BTreeMap<u64, (u64, usize)>,
    /// The same of snapshots as bytes.
    snapshots: BTreeMap<u64, (u64, usize)>,
    /// Who led, by epoch.
    leaders: BTreeMap<u64, usize>,
}

impl World {
    /// A server's turn is over: if it has applied more than before, it must be where the others
    /// were at the same index.
    pub(crate) fn check_replica(&mut self, member: usize) {
        let server = &mut self.members[member];
        let Some(replica) = &server.replica else { return };
        let index = replica.applied();
        if std::mem::replace(&mut server.checked_index, index) == index {
            return;
        }
        let digest = digest_of(replica.state());
        let tree = &replica.state().tree;
        if let Some(data) = tree.find(DATA).and_then(|id| tree.node(id)) {
            self.ledger.data_changed(data.stat().mzxid);
        }
        let (first, whose) = *self.ledger.seen.states.entry(index).or_insert((digest, member));
        let wrong = (0..REGISTERS).find_map(|register| {
            let tree = &replica.state().tree;
            let node = tree.node(tree.find(register_path(register))?)?;
            let (value, stat) = (value_of(node.data()), node.stat());
            self.ledger.order.register(register, stat.version, value, stat.mzxid).err()
        });
        if first != digest {
            self.violated(Rule::ServersAgree, || {
                format!("servers {} and {} differ at index {index}", whose + 1, member + 1)
            });
        }
        if let Some(wrong) = wrong {
            self.violated(Rule::ServersAgree, || format!("at server {}: {wrong}", member + 1));
        }
    }

    /// A server has taken a snapshot.
    pub(crate) fn check_snapshot(&mut self, member: usize, snapshot: &Snapshot) {
        let index = snapshot.meta.index;
        let bytes = digest(&snapshot.chunks.concat());
        let (first, whose) = *self.ledger.seen.snapshots.entry(index).or_insert((bytes, member));
        if first != bytes {
            self.violated(Rule::ServersAgree, || {
                let (one, other) = (whose + 1, member + 1);
                format!("snapshots of servers {one} and {other} at index {index} differ")
            });
        }
    }

    /// A server has become leader. A sole voter leads before its own vote is durable: if it dies
    /// then, it leads the same epoch once more, and nobody has heard of the first time.
    pub(crate) fn check_leader(&mut self, member: usize, epoch: u64) {
        match self.ledger.seen.leaders.entry(epoch) {
            Entry::Vacant(free) => _ = free.insert(member),
            Entry::Occupied(first) if *first.get() == member => {}
            Entry::Occupied(first) => {
                let (one, other) = (first.get() + 1, member + 1);
                self.violated(Rule::OneLeaderPerEpoch, || {
                    format!("server {one} leads epoch {epoch}, and server {other} as well")
                });
            }
        }
    }

    /// A server has ended a session: nothing of it may be left there.
    pub(super) fn check_ephemerals_gone(&mut self, member: usize, session: SessionId) {
        let Some(replica) = &self.members[member].replica else { return };
        let tree = &replica.state().tree;
        let left = tree.iter().find(|(_, node)| node.owner() == Some(session));
        if let Some(path) = left.map(|(id, _)| tree.path(id)) {
            self.violated(Rule::EphemeralsLikeSessions, || {
                format!("{path} is left of session {session} at server {}", member + 1)
            });
        }
    }
}

/// Ephemerals without a session, or a session whose list of them is not right.
pub(super) fn wrong_ephemerals(replica: &Replica) -> Option<String> {
    let (tree, sessions) = (&replica.state().tree, &replica.state().sessions);
    let mut owned: BTreeMap<SessionId, usize> = BTreeMap::new();
    for (id, node) in tree.iter() {
        if let NodeKind::Ephemeral(owner) = node.kind() {
            if sessions.get(owner).is_none() {
                return Some(format!("{} has no session {owner} any more", tree.path(id)));
            }
            *owned.entry(owner).or_default() += 1;
        }
    }
    let wrong = sessions.iter().find(|session| {
        session.ephemeral_count() != owned.get(&session.id).copied().unwrap_or_default()
    });
    wrong.map(|session| format!("session {} has other ephemerals than the tree says", session.id))
}

/// Stands for all of a state that can be had in little time.
fn digest_of(state: &State) -> u64 {
    let mut digest = state.tree.digest();
    let mut add = |number: u64| digest = mix(digest ^ number);
    for session in state.sessions.iter() {
        add(session.id.0 as u64);
        add(u64::from(session.timeout_ms));
        add(session.ephemeral_count() as u64);
    }
    if let Some(ended) = state.ended.iter().next_back() {
        add(ended.session.0 as u64);
        add(ended.ended_ms as u64);
    }
    digest
}
