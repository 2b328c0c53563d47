//! Syncs: what a session reads behind one is no older than anything that was answered before it.
//!
//! So the leader must name the log index, and a quorum must confirm afterwards that it led. That
//! holds of the leader's own clients too: it may be the last to apply what other members have
//! answered already, or have been replaced without knowing it.

use super::PeerMessage;
use crate::apply::local;
use crate::consensus::Committed;
use crate::entry::{LoggedEntry, Operation};
use crate::input::{ConnId, Now};
use crate::output::Outputs;
use crate::replica::Replica;
use crate::session::attach::Pending;

/// A sync under way.
#[derive(Debug)]
pub(super) struct Syncing {
    request: i64,
    conn: ConnId,
    /// The log index to wait for, once the leader has named it.
    index: Option<u64>,
    /// At the leader: the round in which it must be confirmed, or 0. The leader of a follower sees
    /// to that before it answers.
    round: i64,
}

impl Replica {
    /// Begins a sync; at a follower the leader is asked how far the log goes.
    pub(crate) fn await_sync(&mut self, conn: ConnId, out: &mut Outputs) -> i64 {
        self.following.last_sync += 1;
        let request = self.following.last_sync;
        let index = self.consensus.is_leader().then(|| self.last_proposed());
        let round = self.round_to_grant();
        self.following.syncs.push_back(Syncing { request, conn, index, round });
        if index.is_none() {
            self.tell_leader(&PeerMessage::Sync { request }, out);
        }
        request
    }

    /// The leader has named the log index to wait for.
    pub(super) fn synced(&mut self, request: i64, index: u64) {
        let mut syncs = self.following.syncs.iter_mut();
        if let Some(sync) = syncs.find(|sync| sync.request == request) {
            sync.index = Some(index);
        }
    }

    pub(crate) fn is_synced(&self, request: i64) -> bool {
        let sync = self.following.syncs.iter().find(|sync| sync.request == request);
        sync.is_none_or(|sync| self.is_done(sync))
    }

    fn is_done(&self, sync: &Syncing) -> bool {
        let (applied, _) = self.state.applied;
        sync.index.is_some_and(|index| index <= applied) && self.is_confirmed(sync.round)
    }

    /// Answers the syncs whose entries have been applied.
    pub(crate) fn finish_syncs(&mut self, now: Now, out: &mut Outputs) {
        while self.following.syncs.front().is_some_and(|sync| self.is_done(sync)) {
            if let Some(sync) = self.following.syncs.pop_front() {
                self.drain(sync.conn, now, out);
            }
        }
    }

    /// A write is about to be applied that a session asked for behind a sync. A quorum has
    /// committed it, so everything is here that was answered before the write was proposed, and
    /// with it all that the sync waits for. It, and the reads behind it, come before the write.
    pub(crate) fn finish_syncs_before(&mut self, entry: &Committed, now: Now, out: &mut Outputs) {
        if self.following.syncs.is_empty() {
            return;
        }
        let Ok(entry) = LoggedEntry::decode(&entry.data) else { return };
        let origin = match entry.operation {
            Operation::Request { origin, .. } => Some(origin),
            Operation::CloseSession { origin, .. } => origin.map(|(origin, _)| origin),
            _ => None,
        };
        let conn = origin.and_then(|origin| local(origin, self.config.incarnation));
        let Some(conn) = conn else { return };
        while let Some(Pending::Sync { request, .. }) = self.attachments.front(conn) {
            let request = *request;
            self.following.syncs.retain(|sync| sync.request != request);
            self.drain(conn, now, out);
        }
    }
}
