//! Who was refused what, and who changed what: kept for operators, and in the audit log.

use tenure_replica::{ConnId, Outputs};

use super::Driver;
use crate::audit::AuditLine;

impl Driver {
    /// Takes the accounts that the replica has given.
    pub(super) fn keep_accounts(&mut self, out: &mut Outputs) {
        let wall_ms = self.clock.now().wall_ms;
        self.metrics.denials += out.denied.len() as u64;
        for denial in out.denied.drain(..) {
            let conn = self.replica.connection_of(denial.session);
            let client = conn.and_then(|conn| self.peer_of(conn));
            self.denials.push(denial, client, wall_ms);
        }
        if let Some(audit) = &self.audit {
            for record in out.audited.drain(..) {
                audit.record(AuditLine::of_client(record, wall_ms));
            }
        }
    }

    /// Records that somebody had a four-letter word change something.
    pub(super) fn record_word(&self, id: ConnId, word: &'static str) {
        if let (Some(audit), Some(peer)) = (&self.audit, self.peer_of(id)) {
            let (ip, wall_ms) = (peer.ip().to_canonical().to_string(), self.clock.now().wall_ms);
            let line = AuditLine::of_operator("fourLetterWord", None, ip, wall_ms);
            audit.record(line.with("command", word));
        }
    }
}
