//! The life of sessions that this server alone knows (reference 2.12): they begin, are resumed and
//! end without a log entry. One that is to own an ephemeral znode becomes global first.

use std::net::IpAddr;

use tenure_wire::{ConnectRequest, Create, ErrorCode, OpCode, Request, SessionId};

use crate::entry::Operation;
use crate::input::{ConnId, Now};
use crate::output::{CloseWhy, Event, Output, Outputs};
use crate::replica::Replica;
use crate::reply::{Asked, reply};
use crate::requests::close;
use crate::session::attach::Attachment;
use crate::session::ended::EndReason;
use crate::session::local::{IdSource, LocalSession};

impl Replica {
    /// What local ids are made from.
    pub(crate) fn id_source(&self, now: Now) -> IdSource {
        let global = self.state.session_number(now.wall_ms);
        IdSource { server: self.config.id, incarnation: self.config.incarnation, global }
    }

    /// Gives a client a session of this server alone.
    pub(crate) fn open_local(
        &mut self,
        conn: ConnId,
        attachment: Attachment,
        now: Now,
        out: &mut Outputs,
    ) {
        let source = self.id_source(now);
        let mut id = self.locals.next_id(source);
        // Sessions of an earlier life of this server may have become global, or have ended so.
        while self.state.sessions.get(id).is_some() || self.state.ended.get(id).is_some() {
            id = self.locals.next_id(source);
        }
        let (timeout_ms, peer, password) =
            (attachment.timeout_ms, attachment.peer, attachment.entropy);
        if !self.add_local(id, (timeout_ms, peer, password), now) {
            return close(conn, CloseWhy::NotServing, out);
        }
        self.attachments.insert(conn, attachment);
        let opened = Event::SessionOpened { session: id, timeout_ms, conn: Some(conn) };
        out.items.push(Output::Event(opened));
        self.establish(conn, id, password, now, out);
    }

    /// False if there are too many.
    pub(crate) fn add_local(
        &mut self,
        id: SessionId,
        (timeout_ms, peer, password): (u32, IpAddr, [u8; 16]),
        now: Now,
    ) -> bool {
        let (opened_ms, upgrading_in) = (now.wall_ms, None);
        let session = LocalSession { id, timeout_ms, opened_ms, password, peer, upgrading_in };
        self.locals.add(session, now.mono_us)
    }

    /// A client comes back to a session that this server alone knows, or did a moment ago. What
    /// its earlier connection asked for may still be on its way, and is waited for as ever.
    pub(crate) fn resume_local(
        &mut self,
        conn: ConnId,
        attachment: Attachment,
        request: &ConnectRequest<'_>,
        now: Now,
        out: &mut Outputs,
    ) {
        let (session, manner) = (request.session, attachment.manner);
        let Some(known) = self.locals.get(session).filter(|k| k.has_password(request.password))
        else {
            return self.refuse(conn, session, manner, out);
        };
        if known.upgrading_in.is_some() && self.consensus.is_leader() {
            // In a moment it is one of the ensemble's; to try again costs less than to be wrong.
            return close(conn, CloseWhy::NotServing, out);
        }
        let (password, timeout_ms) = (known.password, attachment.timeout_ms);
        self.take_up_local(session, timeout_ms, &attachment, now);
        self.attachments.insert(conn, attachment);
        if self.consensus.is_leader() {
            let behind = self.last_proposed();
            return self.resume(conn, (session, password), behind, now, out);
        }
        // The leader need not know it, but knows up to where its writes have gone.
        self.ask_to_resume(conn, request, timeout_ms, out);
    }

    /// The leader does not know a session: whether it is this server's own. Had it been on its way
    /// into the log, the leader would know it, or is going to.
    pub(crate) fn is_local_still(&mut self, session: SessionId, password: &[u8; 16]) -> bool {
        let local = self.locals.get_mut(session);
        let Some(local) = local.filter(|local| local.has_password(Some(password))) else {
            return false;
        };
        local.upgrading_in = None;
        true
    }

    /// The client of a local session was heard on a new connection.
    pub(crate) fn take_up_local(
        &mut self,
        session: SessionId,
        timeout_ms: u32,
        attachment: &Attachment,
        now: Now,
    ) {
        self.locals.resume(session, timeout_ms, attachment.peer, now.mono_us);
        // Only our own client relies on a deadline that a resume brings forward.
        if !attachment.manner.is_tenure {
            self.locals.expiry.touch(session, now.mono_us);
        }
    }

    /// Whether it is a session of this server alone, and stays one for the time being.
    pub(crate) fn is_local(&self, session: SessionId) -> bool {
        self.locals.get(session).is_some_and(|local| local.upgrading_in.is_none())
    }

    /// Whether a write is answered here, without a log entry: it ends a local session, or it asks
    /// for what such a session may not have.
    pub(crate) fn is_answered_here(&self, session: SessionId, op: OpCode, body: &[u8]) -> bool {
        self.is_local(session)
            && (op == OpCode::CloseSession
                || !self.config.local_upgrading && wants_ephemeral(op, body))
    }

    /// A local session writes: should that need a global one, it becomes one first.
    pub(crate) fn upgrade_if_needed(
        &mut self,
        session: SessionId,
        op: OpCode,
        body: &[u8],
        now: Now,
    ) {
        if !self.is_local(session) || !wants_ephemeral(op, body) {
            return;
        }
        // After a resume the client may still rely on a deadline further away.
        let left_ms = self.locals.expiry.left_ms(session).unwrap_or(0) as u32;
        let term = self.consensus.term();
        let Some(local) = self.locals.get_mut(session) else { return };
        local.upgrading_in = Some(term);
        let password = local.password;
        let timeout_ms = local.timeout_ms.max(left_ms);
        self.propose(Operation::UpgradeSession { session, timeout_ms, password }, now);
    }

    /// Answers what `is_answered_here` has found, in its turn.
    pub(crate) fn answer_local(&mut self, asked: Asked, session: SessionId, out: &mut Outputs) {
        if asked.op != OpCode::CloseSession.code() {
            let refused = ErrorCode::EphemeralOnLocalSession;
            _ = reply(out, asked, self.state.zxid, |_| Err(refused));
            return;
        }
        _ = reply(out, asked, self.state.zxid, |_| Ok(()));
        self.end_local(session, EndReason::ClosedByClient, CloseWhy::SessionClosed, out);
    }

    /// Ends a local session, and with it its connection.
    pub(crate) fn end_local(
        &mut self,
        session: SessionId,
        reason: EndReason,
        why: CloseWhy,
        out: &mut Outputs,
    ) {
        let Some(LocalSession { timeout_ms, .. }) = self.locals.remove(session) else { return };
        let conn = self.attachments.conn_of(session);
        let ended = Event::SessionEnded { session, reason, timeout_ms, ephemerals: 0, conn };
        out.items.push(Output::Event(ended));
        self.account_for_end(session, reason, out);
        if let Some(conn) = conn {
            self.detach(conn);
            close(conn, why, out);
        }
    }

    /// Whether clients are heard, so that silence means something.
    fn hears_clients(&self) -> bool {
        self.serving || self.read_only.is_open()
    }

    /// When the first local session may expire.
    pub(crate) fn local_deadline_us(&self) -> Option<u64> {
        self.locals.expiry.next_deadline_us().filter(|_| self.hears_clients())
    }

    /// Ends the local sessions whose clients were silent.
    pub(crate) fn expire_locals(&mut self, now: Now, out: &mut Outputs) {
        self.locals.expiry.advance(now.mono_us);
        if !self.hears_clients() {
            return;
        }
        let mut expired = Vec::new();
        self.locals.expiry.pop_expired(now.mono_us, &mut expired);
        for (session, silent_ms) in expired {
            if self.is_local(session) {
                let reason = EndReason::Expired { silent_ms };
                self.end_local(session, reason, CloseWhy::SessionEnded, out);
            } else if self.attachments.conn_of(session).is_none() {
                // The leader ends it, if it has ever heard of it.
                self.locals.remove(session);
            } else if let Some(local) = self.locals.get(session) {
                self.locals.expiry.add(session, local.timeout_ms);
            }
        }
    }
}

/// Whether a request makes an ephemeral znode, if it succeeds. Containers and znodes with a time
/// to live are nobody's.
fn wants_ephemeral(op: OpCode, body: &[u8]) -> bool {
    if !matches!(op, OpCode::Create | OpCode::Create2 | OpCode::Multi) {
        return false;
    }
    let makes_one = |create: &Create<'_>| {
        matches!(create.op, OpCode::Create | OpCode::Create2)
            && create.mode().is_some_and(|mode| mode.is_ephemeral())
    };
    match Request::decode(op, body) {
        Ok(Request::Create(create)) => makes_one(&create),
        Ok(Request::Multi(requests)) => requests
            .iter()
            .any(|request| matches!(request, Request::Create(create) if makes_one(create))),
        _ => false,
    }
}
