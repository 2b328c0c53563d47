//! A session is established.

use tenure_wire::SessionId;

use crate::session::table::Session;
use crate::state::State;
use crate::tree::Txn;

impl State {
    pub(super) fn open_session(
        &mut self,
        server: u8,
        timeout_ms: u32,
        password: [u8; 16],
        txn: Txn,
    ) -> SessionId {
        let id = self.next_session(server, txn.time_ms);
        let (opened_ms, ephemerals) = (txn.time_ms, Vec::new());
        self.sessions.insert(Session { id, timeout_ms, password, opened_ms, ephemerals });
        id
    }
}
