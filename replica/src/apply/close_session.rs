//! A session ends: its ephemerals go, all with one zxid, and the reason is kept.

use tenure_wire::{SessionId, Xid};

use crate::apply::{Changes, Closed};
use crate::entry::Origin;
use crate::limits;
use crate::session::ended::{EndReason, Ended};
use crate::state::State;
use crate::tree::Txn;
use crate::tree::node::NodeId;

/// A session's end under way. A session may have very many ephemerals, so they are deleted in
/// slices between which reads are served; no other entry is applied before it is complete.
#[derive(Debug)]
pub(crate) struct Closing {
    closed: Closed,
    txn: Txn,
    left: std::vec::IntoIter<NodeId>,
    ended: Ended,
}

impl State {
    /// Starts a session's end. None if it had ended before: the entry then changes nothing, but
    /// takes its zxid all the same.
    pub(super) fn close_session(
        &mut self,
        session: SessionId,
        reason: EndReason,
        origin: Option<(Origin, Xid)>,
        txn: Txn,
    ) -> Option<Box<Closing>> {
        let found = self.sessions.get(session)?;
        let ended = Ended {
            session,
            reason,
            timeout_ms: found.timeout_ms,
            opened_ms: found.opened_ms,
            ended_ms: txn.time_ms,
            zxid: txn.zxid,
            ephemerals: found.ephemerals.len() as u32,
            paths: Vec::new(),
        };
        let (timeout_ms, ephemerals) = (ended.timeout_ms, ended.ephemerals);
        let closed = Closed { session, reason, timeout_ms, origin, ephemerals };
        let mut left = self.sessions.take_ephemerals(session);
        self.keep_one_if_planted(&mut left);
        Some(Box::new(Closing { closed, txn, left: left.into_iter(), ended }))
    }

    /// Deletes some more of its ephemerals; the end itself when none is left.
    pub(crate) fn go_on_closing(
        &mut self,
        mut closing: Box<Closing>,
        changes: &mut Changes,
    ) -> Result<Closed, Box<Closing>> {
        changes.begin(None, closing.txn.time_ms);
        for _ in 0..limits::CLOSE_SLICE {
            let Some(node) = closing.left.next() else { return Ok(self.closed(*closing)) };
            let path = self.tree.path(node);
            if closing.ended.paths.len() < limits::ENDED_PATHS {
                closing.ended.paths.push(path.clone());
            }
            self.remove(node, &path, closing.txn.zxid, changes);
        }
        if closing.left.len() == 0 { Ok(self.closed(*closing)) } else { Err(closing) }
    }

    fn closed(&mut self, closing: Closing) -> Closed {
        self.sessions.remove(closing.closed.session);
        self.ended.push(closing.ended);
        self.zxid = closing.txn.zxid;
        closing.closed
    }
}
