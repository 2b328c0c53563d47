//! Somebody who knows a client's session, but not its password.

use tenure_client::machine::LinkId;
use tenure_wire::{ConnectRequest, PASSWORD_LEN, Zxid, frame};

use crate::network::{Link, Piece, STRANGER, Way};
use crate::world::World;

impl World {
    /// A stranger asks some server for a client's session, and must not get it.
    pub(crate) fn intrude(&mut self, client: usize) {
        let member = self.extra.below(self.members.len() as u64) as usize;
        let Some(session) = self.clients[client].session() else { return };
        if self.members[member].replica.is_none() {
            return;
        }
        self.counts.add("strangers");
        let link = self.links.len();
        let life = self.members[member].life;
        self.links.push(Link::new(client, STRANGER, LinkId(u64::MAX), (member, life)));
        let password = [0xa5; PASSWORD_LEN];
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: self.plan.timeouts_ms[client] as i32,
            session,
            password: Some(&password),
            read_only: Some(false),
        };
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        request.encode(&mut bytes);
        frame::end(&mut bytes, start);
        self.send(link, Way::ToServer, Piece::Bytes(bytes));
    }
}
