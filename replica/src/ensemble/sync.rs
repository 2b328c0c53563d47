//! Syncs, and reads that must not be stale: answered once this member has applied all that was
//! proposed when they came, and the leader is known to have led then.
//!
//! Upstream's leader answers a sync by itself; one that was replaced without knowing it then calls
//! old data new. Here a quorum confirms each one, many with one question.

use std::collections::VecDeque;

use super::PeerMessage;
use crate::apply::local;
use crate::entry::{LoggedEntry, Operation};
use crate::input::{ConnId, Now};
use crate::output::Outputs;
use crate::replica::Replica;
use crate::session::attach::Pending;

/// What was asked and is not known yet.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    last: i64,
    under_way: VecDeque<Sync>,
}

#[derive(Clone, Copy, Debug)]
struct Sync {
    request: i64,
    conn: ConnId,
    /// At the leader, the round that must be confirmed; else 0: the leader's answer is enough.
    round: i64,
    /// The log index that must be applied, once it is known.
    index: Option<u64>,
}

impl Syncs {
    /// How many are not answered yet.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Forgets what was asked of an earlier leader. Numbers go on, so that a late answer fits
    /// nothing.
    pub(super) fn forget(&mut self) -> Self {
        Syncs { last: self.last, under_way: VecDeque::new() }
    }
}

impl Replica {
    /// Has a request wait until this member is known to be up to date.
    pub(crate) fn await_sync(&mut self, conn: ConnId, payload: &[u8], now: Now, out: &mut Outputs) {
        self.following.syncs.last += 1;
        let request = self.following.syncs.last;
        let sync = if self.consensus.is_leader() {
            let (round, index) = (self.await_round(), Some(self.last_proposed()));
            Sync { request, conn, round, index }
        } else {
            self.tell_leader(&PeerMessage::Sync { request }, out);
            Sync { request, conn, round: 0, index: None }
        };
        self.following.syncs.under_way.push_back(sync);
        let pending = Pending::Sync { payload: payload.into(), request, received_us: now.mono_us };
        self.attachments.push(conn, pending);
    }

    /// The leader has told how far its log went.
    pub(super) fn synced(&mut self, request: i64, index: u64) {
        let mut syncs = self.following.syncs.under_way.iter_mut();
        if let Some(sync) = syncs.find(|sync| sync.request == request) {
            sync.index = Some(index);
        }
    }

    fn is_done(&self, sync: &Sync) -> bool {
        let (applied, _) = self.state.applied;
        sync.index.is_some_and(|index| index <= applied) && self.is_confirmed(sync.round)
    }

    pub(super) fn is_synced(&self, request: i64) -> bool {
        let mut syncs = self.following.syncs.under_way.iter();
        syncs.find(|sync| sync.request == request).is_none_or(|sync| self.is_done(sync))
    }

    /// A write of this member's is about to be applied: whatever came before it on its connection
    /// is answered first. A quorum has taken the write from the leader since, which proves as much
    /// as a round does.
    pub(crate) fn finish_syncs_before(&mut self, write: &[u8], now: Now, out: &mut Outputs) {
        if self.following.syncs.under_way.is_empty() {
            return;
        }
        let conn = LoggedEntry::decode(write).ok().and_then(|entry| match entry.operation {
            Operation::Request { origin, .. }
            | Operation::CloseSession { origin: Some((origin, _)), .. } => {
                local(origin, self.config.incarnation)
            }
            _ => None,
        });
        let Some(conn) = conn else { return };
        while let Some(Pending::Sync { request, .. }) = self.attachments.front(conn) {
            let request = *request;
            self.following.syncs.under_way.retain(|sync| sync.request != request);
            self.drain(conn, now, out);
        }
    }

    /// Answers what is known to be up to date now.
    pub(crate) fn finish_syncs(&mut self, now: Now, out: &mut Outputs) {
        while let Some(sync) = self.following.syncs.under_way.front().copied()
            && self.is_done(&sync)
        {
            self.following.syncs.under_way.pop_front();
            self.drain(sync.conn, now, out);
        }
    }
}
