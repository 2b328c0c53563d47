//! A session is established, or one that was a server's own becomes everybody's.

use tenure_wire::SessionId;

use crate::entry::Policy;
use crate::session::table::Session;
use crate::state::State;
use crate::tree::Txn;

impl State {
    /// `None` if there are as many as there may be.
    pub(super) fn open_session(
        &mut self,
        server: u8,
        timeout_ms: u32,
        password: [u8; 16],
        policy: Policy,
        txn: Txn,
    ) -> Option<SessionId> {
        let max = policy.bounds.sessions as usize;
        if max > 0 && self.sessions.len() >= max {
            return None;
        }
        let id = self.next_session(server, txn.time_ms);
        let (opened_ms, ephemerals) = (txn.time_ms, Vec::new());
        self.sessions.insert(Session { id, timeout_ms, password, opened_ms, ephemerals });
        Some(id)
    }

    /// Puts a session of one server into the table of all. False if it is there already, or has
    /// ended.
    pub(super) fn upgrade_session(
        &mut self,
        id: SessionId,
        timeout_ms: u32,
        password: [u8; 16],
        txn: Txn,
    ) -> bool {
        let is_new = self.sessions.get(id).is_none() && self.ended.get(id).is_none();
        if is_new {
            let (opened_ms, ephemerals) = (txn.time_ms, Vec::new());
            self.sessions.insert(Session { id, timeout_ms, password, opened_ms, ephemerals });
        }
        is_new
    }
}
