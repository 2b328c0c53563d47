//! Frames of clients: the handshake, the order of a connection's requests, who is touched.

use tenure_wire::{
    ConnectRequest, ErrorCode, OpCode, PING_XID, Put, Reader, Request, RequestHeader, SessionId,
    Xid, Zxid,
};

use crate::denials::{DenialWhy, Who, cut};
use crate::ensemble::{Asker, Heard, Wish};
use crate::entry::Operation;
use crate::input::{ConnId, Now};
use crate::output::{CloseWhy, Event, Output, Outputs};
use crate::planted::PlantedBug;
use crate::read::{Read, pong, unknown};
use crate::replica::Replica;
use crate::reply::{Asked, reply, sasl_failed};
use crate::session::attach::{Attachment, Caller, Manner, Pending, WISHES_SCHEME};
use crate::session::auth::{authenticate, holder};
use crate::session::ended::EndReason;
use crate::session::sasl::{SaslAnswer, SaslFailed, claimed_user};
use crate::tree::acl::Identity;

/// How an operation is answered.
enum Way {
    /// Through the log.
    Write,
    /// From local state, in its turn.
    Read,
    /// At once, out of turn: it concerns the connection alone.
    Auth,
    /// Not at all: clients may not send it.
    Refuse,
}

fn way(op: Option<OpCode>) -> Way {
    match op {
        Some(
            OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::CloseSession,
        ) => Way::Write,
        Some(OpCode::Auth | OpCode::Sasl) => Way::Auth,
        // Upstream lets any client delete any leaf with deleteContainer, without a look at its
        // ACL (trap 30); nobody's client library sends it.
        None
        | Some(
            OpCode::DeleteContainer
            | OpCode::Check
            | OpCode::CreateSession
            | OpCode::Notification
            | OpCode::Error,
        ) => Way::Refuse,
        Some(_) => Way::Read,
    }
}

/// Whether an operation reads. Watches set again tell of the past, and must do so before any other
/// answer shows that it is over.
fn wants_fresh(op: Option<OpCode>) -> bool {
    !matches!(op, Some(OpCode::Ping | OpCode::SetWatches | OpCode::SetWatches2))
}

/// A connection that wants a session and is answered once everything up to a log index is applied:
/// the writes of the connection before it, or the session's end.
#[derive(Debug)]
pub(crate) struct Resuming {
    behind: u64,
    /// The round in which this leader must be confirmed, or 0.
    round: i64,
    conn: ConnId,
    session: SessionId,
    /// The session's, if the client has shown it and the session lives as far as is known; without
    /// it, the client is refused.
    password: Option<[u8; 16]>,
}

impl Replica {
    /// The order of checks is that of reference 2.4, but a password is verified before the
    /// session's present connection is closed (trap 31).
    pub(crate) fn connect(
        &mut self,
        conn: ConnId,
        caller: Caller<'_>,
        request: &ConnectRequest<'_>,
        entropy: [u8; 16],
        now: Now,
        out: &mut Outputs,
    ) {
        if !self.serving && !self.takes_read_only(request) {
            return close(conn, CloseWhy::NotServing, out);
        }
        if request.last_zxid_seen > self.state.zxid {
            return close(conn, CloseWhy::ZxidAhead, out);
        }
        let timeout_ms = self.negotiate(request.timeout_ms);
        let manner = Manner::of(request);
        let mut attachment = Attachment::new(caller.peer, timeout_ms, manner, entropy);
        if let Some(subject) = caller.certificate {
            attachment.add_identities(holder(&self.config.auth, subject));
        }
        if !self.serving {
            return self.connect_read_only(conn, attachment, request, now, out);
        }
        if request.session == SessionId(0) && self.config.local_sessions {
            return self.open_local(conn, attachment, now, out);
        }
        if self.locals.get(request.session).is_some() {
            return self.resume_local(conn, attachment, request, now, out);
        }
        if request.session == SessionId(0) {
            self.attachments.insert(conn, attachment);
            let (origin, server) = (self.origin(conn), self.config.id as u8);
            let password = entropy;
            self.propose(Operation::OpenSession { origin, server, timeout_ms, password }, now);
            return;
        }
        self.attachments.insert(conn, attachment);
        if !self.consensus.is_leader() {
            return self.ask_to_resume(conn, request, timeout_ms, out);
        }
        let password = request.password.and_then(|password| password.try_into().ok());
        let wish = Wish { conn, session: request.session, timeout_ms, manner, password };
        if !self.waits_for_its_beginning(Asker::Client, wish) {
            self.judge(wish, now, out);
        }
    }

    /// The timeout that a client gets for the one that it asks for.
    pub(crate) fn negotiate(&self, wanted_ms: i32) -> u32 {
        let (min, max) = (self.config.min_session_timeout_ms, self.config.max_session_timeout_ms);
        (wanted_ms.max(0) as u32).clamp(min, max)
    }

    /// Leader: resumes a session for a client of its own, or refuses it.
    pub(crate) fn judge(&mut self, wish: Wish, now: Now, out: &mut Outputs) {
        let Wish { conn, session, timeout_ms, manner, password } = wish;
        let known = self.state.sessions.get(session);
        let any = self.has(PlantedBug::TakesAnyPassword);
        let password = password.filter(|password| {
            known.is_some_and(|known| any || known.has_password(Some(&password[..])))
        });
        let Some(password) = password else {
            if self.is_alone() {
                self.detach(conn);
                return self.refuse(conn, session, manner, out);
            }
            // Another leader may know it, if there is one.
            return self.refuse_behind(conn, session, 0, now, out);
        };
        let lives = self.expiry.resume(session, timeout_ms, now.mono_us);
        if lives {
            self.prolong(session, timeout_ms, now);
        }
        let behind = self.last_proposed();
        if lives {
            self.keep_promise(session, manner.is_tenure, now);
            self.take_over(session, self.config.id, out);
            self.resume(conn, (session, password), behind, now, out);
        } else if manner.is_tenure {
            self.refuse_behind(conn, session, behind, now, out);
        } else {
            // Its end is under way: still in the table, but no longer on the clock.
            self.detach(conn);
            self.refuse(conn, session, manner, out);
        }
    }

    /// Leader: before a client hears of a timeout longer than the one in the session table, every
    /// later leader must know it. Its connection waits for that like for its earlier writes.
    pub(crate) fn prolong(&mut self, session: SessionId, timeout_ms: u32, now: Now) {
        let known = self.state.sessions.get(session);
        if known.is_some_and(|known| known.timeout_ms < timeout_ms) {
            self.propose(Operation::Prolong { session, timeout_ms }, now);
        }
    }

    /// Only our own client relies on a deadline. With a stock one a shorter timeout holds at once,
    /// as upstream.
    pub(crate) fn keep_promise(&mut self, session: SessionId, is_tenure: bool, now: Now) {
        if !is_tenure {
            self.expiry.touch(session, now.mono_us);
        }
    }

    /// Refuses a session whose end is under way, or may not have come here yet, as soon as its
    /// account can be given.
    pub(crate) fn refuse_behind(
        &mut self,
        conn: ConnId,
        session: SessionId,
        behind: u64,
        now: Now,
        out: &mut Outputs,
    ) {
        let round = self.round_to_grant();
        self.resuming.push_back(Resuming { behind, round, conn, session, password: None });
        self.resume_waiting(now, out);
    }

    /// Attaches a session to the connection that has shown its password, and to no other, once
    /// everything up to the log index `behind` is applied.
    pub(crate) fn resume(
        &mut self,
        conn: ConnId,
        (session, password): (SessionId, [u8; 16]),
        behind: u64,
        now: Now,
        out: &mut Outputs,
    ) {
        let waiting = self.resuming.iter().position(|resuming| resuming.session == session);
        let waiting = waiting.and_then(|position| self.resuming.remove(position));
        let old = self.attachments.conn_of(session);
        for old in old.into_iter().chain(waiting.map(|resuming| resuming.conn)) {
            self.detach(old);
            close(old, CloseWhy::Superseded, out);
        }
        // What an earlier connection asked for may be in the log already. It takes effect before
        // the new one hears that the session is its own, never after.
        let password = Some(password);
        let round = self.round_to_grant();
        self.resuming.push_back(Resuming { behind, round, conn, session, password });
        self.resume_waiting(now, out);
    }

    /// Log index of the last entry proposed, or about to be.
    pub(crate) fn last_proposed(&self) -> u64 {
        self.consensus.last_index() + self.proposals.len() as u64
    }

    /// Attaches the sessions whose earlier connections' writes have all been applied.
    pub(crate) fn resume_waiting(&mut self, now: Now, out: &mut Outputs) {
        let (applied, _) = self.state.applied;
        // A session's end that takes several slices is remembered with the last one.
        let is_whole = self.closing.is_none();
        while let Some(next) = self.resuming.front() {
            let may_go = next.behind <= applied
                && self.is_confirmed(next.round)
                && (is_whole || next.password.is_some());
            let Some(resuming) = self.resuming.pop_front_if(|_| may_go) else { return };
            let Resuming { conn, session, password, .. } = resuming;
            let is_global = self.state.sessions.get(session).is_some();
            let is_known = is_global || self.locals.get(session).is_some();
            let ends =
                is_global && self.consensus.is_leader() && self.expiry.left_ms(session).is_none();
            let Some(manner) = self.attachments.get(conn).map(|attachment| attachment.manner)
            else {
                continue;
            };
            let behind = self.last_proposed();
            if let Some(password) = password.filter(|_| is_known && !ends) {
                self.finish_resuming(conn, session, password, now, out);
            } else if ends && manner.is_tenure && applied < behind {
                // Its end was proposed meanwhile: its account can be given when that is applied.
                let (round, password) = (0, None);
                self.resuming.push_back(Resuming { behind, round, conn, session, password });
            } else {
                // A close was among those writes.
                self.detach(conn);
                self.refuse(conn, session, manner, out);
            }
        }
    }

    /// Zeros, then the end: the session is unknown, ended, or not this client's (reference 2.4).
    pub(crate) fn refuse(
        &self,
        conn: ConnId,
        session: SessionId,
        manner: Manner,
        out: &mut Outputs,
    ) {
        let refused = manner.refused(self.state.ended.get(session));
        out.send(conn, |bytes| refused.encode(bytes));
        close(conn, CloseWhy::SessionRefused, out);
    }

    fn finish_resuming(
        &mut self,
        conn: ConnId,
        session: SessionId,
        password: [u8; 16],
        now: Now,
        out: &mut Outputs,
    ) {
        let timeout_ms = self.attachments.get(conn).map_or(0, |attachment| attachment.timeout_ms);
        self.establish(conn, session, password, now, out);
        out.items.push(Output::Event(Event::SessionResumed { session, timeout_ms, conn }));
    }

    /// Binds a session to a connection and answers the handshake; then come the requests that the
    /// client sent behind it without waiting.
    pub(crate) fn establish(
        &mut self,
        conn: ConnId,
        session: SessionId,
        password: [u8; 16],
        now: Now,
        out: &mut Outputs,
    ) {
        self.attachments.bind(conn, session);
        let Some(attachment) = self.attachments.get(conn) else { return };
        let granted = attachment.manner.granted(attachment.timeout_ms, session, password);
        out.send(conn, |bytes| granted.encode(bytes));
        // They were sent before the client could know how long its session lasts from now on.
        // (Through a follower they count like any others: the leader is not told when they came.)
        let promised_us = self.expiry.promised_us(session);
        let local_us = self.locals.expiry.promised_us(session);
        self.take_deferred(conn, now, out);
        self.expiry.promise(session, promised_us);
        self.locals.expiry.promise(session, local_us);
    }

    /// Takes the frames that waited, in order, as if they came now.
    pub(crate) fn take_deferred(&mut self, conn: ConnId, now: Now, out: &mut Outputs) {
        let mut waiting = Vec::new();
        while let Some(Pending::Deferred { payload, .. }) = self.attachments.pop_if(conn, |_| true)
        {
            waiting.push(payload);
        }
        for payload in waiting {
            self.frame(conn, &payload, now, out);
        }
    }

    /// A session that lives on loses its connection.
    pub(crate) fn let_go(&mut self, conn: ConnId, why: Option<CloseWhy>, out: &mut Outputs) {
        if let Some(attachment) = self.attachments.get(conn).filter(|a| a.established) {
            let (session, timeout_ms) = (attachment.session, attachment.timeout_ms);
            let detached = Event::SessionDetached { session, timeout_ms, conn, why };
            out.items.push(Output::Event(detached));
        }
        self.detach(conn);
    }

    /// The connection is gone, and with it its watches; the session is not.
    pub(crate) fn detach(&mut self, conn: ConnId) {
        if self.attachments.remove(conn).is_some() {
            self.watches.drop_conn(conn);
        }
    }

    pub(crate) fn frame(&mut self, conn: ConnId, payload: &[u8], now: Now, out: &mut Outputs) {
        let Some(attachment) = self.attachments.get_mut(conn) else { return };
        if attachment.finished {
            return;
        }
        let mut reader = Reader::new(payload);
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            attachment.finished = true;
            return close(conn, CloseWhy::Malformed, out);
        };
        if !attachment.established {
            return self.defer(conn, payload, now);
        }
        let session = attachment.session;
        let idle = attachment.pending.is_empty();
        let (reconfigures, linearizable) = (attachment.reconfigures, attachment.linearizable);
        let is_admitted = self.config.auth.admits(&attachment.identities);
        let idle = idle || self.has(PlantedBug::ReadsOvertakeWrites);
        let op = OpCode::from_i32(header.op);
        let way = match op {
            Some(OpCode::Reconfig) if self.can_reconfigure() => Way::Write,
            op => way(op),
        };
        match way {
            Way::Auth if op == Some(OpCode::Sasl) => {
                return self.sasl(conn, header.xid, reader.rest(), out);
            }
            Way::Auth => return self.auth(conn, header.xid, reader.rest(), out),
            _ if !is_admitted => return self.refuse_stranger(conn, header, out),
            _ => {}
        }
        match self.heard(session, now) {
            Heard::Yes => {}
            Heard::Ended => return,
            Heard::Moved => {
                self.let_go(conn, Some(CloseWhy::Moved), out);
                return close(conn, CloseWhy::Moved, out);
            }
        }
        if self.read_only.is_open() {
            return self.frame_read_only(conn, header, payload, out);
        }
        match way {
            _ if reconfigures && op != Some(OpCode::Ping) => self.defer(conn, payload, now),
            Way::Write
                if op.is_some_and(|op| self.is_answered_here(session, op, reader.rest())) =>
            {
                if op == Some(OpCode::CloseSession)
                    && let Some(attachment) = self.attachments.get_mut(conn)
                {
                    attachment.finished = true;
                }
                match idle {
                    true => self.in_turn(conn, payload, 0, out),
                    false => self.defer(conn, payload, now),
                }
            }
            Way::Write => self.write(conn, header, reader.rest(), now),
            // Nobody else need vouch for a session of this server alone.
            _ if op == Some(OpCode::Ping) && !self.is_alone() && !self.is_local(session) => {
                self.await_touch(conn, now);
            }
            Way::Read
                if !self.is_alone()
                    && (op == Some(OpCode::Sync) || linearizable && wants_fresh(op))
                    && !self.has(PlantedBug::SyncsAlone) =>
            {
                self.await_sync(conn, payload, now, out);
            }
            _ if !idle => self.defer(conn, payload, now),
            _ => self.in_turn(conn, payload, 0, out),
        }
    }

    /// An ensemble in which that is switched on; elsewhere the answer is that it is not.
    fn can_reconfigure(&self) -> bool {
        self.config.reconfig_enabled && !self.config.members.is_empty()
    }

    /// Answers a request with an error, in its turn.
    pub(crate) fn refuse_request(
        &mut self,
        conn: ConnId,
        payload: &[u8],
        error: ErrorCode,
        now: Now,
        out: &mut Outputs,
    ) {
        let header = RequestHeader::decode(&mut Reader::new(payload));
        let attachment = self.attachments.get(conn).filter(|a| a.established && !a.reconfigures);
        let (Ok(RequestHeader { xid, op }), Some(attachment)) = (header, attachment) else {
            return self.frame(conn, payload, now, out);
        };
        let is_done_all_the_same = matches!(
            OpCode::from_i32(op),
            None | Some(
                OpCode::Ping
                    | OpCode::CloseSession
                    | OpCode::Auth
                    | OpCode::Sasl
                    | OpCode::SetWatches
                    | OpCode::SetWatches2
            )
        );
        if is_done_all_the_same || attachment.finished || self.read_only.is_open() {
            return self.frame(conn, payload, now, out);
        }
        let (session, idle) = (attachment.session, attachment.pending.is_empty());
        match self.heard(session, now) {
            Heard::Yes if idle => {
                let asked = Asked { conn, xid, op, write: false, latency_us: 0 };
                _ = reply(out, asked, self.state.zxid, |_| Err(error));
            }
            Heard::Yes => {
                let refused = Pending::Refused { xid, op, error, received_us: now.mono_us };
                self.attachments.push(conn, refused);
            }
            // As its next request will find.
            Heard::Ended | Heard::Moved => self.frame(conn, payload, now, out),
        }
    }

    fn defer(&mut self, conn: ConnId, payload: &[u8], now: Now) {
        let pending = Pending::Deferred { payload: payload.into(), received_us: now.mono_us };
        self.attachments.push(conn, pending);
    }

    fn write(&mut self, conn: ConnId, header: RequestHeader, body: &[u8], now: Now) {
        let origin = self.origin(conn);
        let Some(session) = self.attachments.get(conn).map(|attachment| attachment.session) else {
            return;
        };
        if let Some(op) = OpCode::from_i32(header.op) {
            self.upgrade_if_needed(session, op, body, now);
        }
        let is_local = self.is_local(session);
        let Some(attachment) = self.attachments.get_mut(conn) else { return };
        let xid = header.xid;
        if header.op == OpCode::CloseSession.code() {
            attachment.finished = true;
            self.expiry.remove(session);
            let (reason, origin) = (EndReason::ClosedByClient, Some((origin, xid)));
            self.propose(Operation::CloseSession { session, reason, origin }, now);
        } else {
            let encoded = std::mem::take(&mut attachment.encoded);
            let op = header.op;
            attachment.reconfigures = op == OpCode::Reconfig.code();
            let identities = &encoded[..];
            let operation =
                Operation::Request { origin, session, is_local, xid, op, identities, body };
            self.propose(operation, now);
            if let Some(attachment) = self.attachments.get_mut(conn) {
                attachment.encoded = encoded;
            }
        }
        self.attachments.push(conn, Pending::Write { xid, received_us: now.mono_us });
    }

    /// Answers a request whose turn it is and that needs no log entry.
    pub(crate) fn in_turn(
        &mut self,
        conn: ConnId,
        payload: &[u8],
        latency_us: u64,
        out: &mut Outputs,
    ) {
        let mut reader = Reader::new(payload);
        let Ok(header) = RequestHeader::decode(&mut reader) else { return };
        let op = OpCode::from_i32(header.op);
        let session = self.attachments.get(conn).map(|attachment| attachment.session);
        if let (Some(op), Some(session)) = (op, session)
            && self.is_answered_here(session, op, reader.rest())
        {
            let asked = Asked { conn, xid: header.xid, op: header.op, write: false, latency_us };
            return self.answer_local(asked, session, out);
        }
        let (Some(op), Way::Read) = (op, way(op)) else {
            unknown(conn, header.xid, header.op, out);
            if let Some(attachment) = self.attachments.get_mut(conn) {
                attachment.finished = true;
            }
            return close(conn, CloseWhy::UnknownOperation, out);
        };
        let Some(asker) = self.attachments.get(conn) else { return };
        let asked = Asked { conn, xid: header.xid, op: header.op, write: false, latency_us };
        let (state, config, watches) = (&self.state, &self.config, &mut self.watches);
        Read { state, config, watches, asker, asked, denied: None }.answer(op, reader.rest(), out);
    }

    /// Answers what waited behind a write that has just been answered, up to the next write.
    pub(crate) fn drain(&mut self, conn: ConnId, now: Now, out: &mut Outputs) {
        while self.attachments.front(conn).is_some_and(|pending| self.may_answer(pending)) {
            match self.attachments.pop_if(conn, |_| true) {
                Some(
                    Pending::Deferred { payload, received_us }
                    | Pending::Sync { payload, received_us, .. },
                ) => self.in_turn(conn, &payload, now.mono_us.saturating_sub(received_us), out),
                Some(Pending::Refused { xid, op, error, received_us }) => {
                    let latency_us = now.mono_us.saturating_sub(received_us);
                    let asked = Asked { conn, xid, op, write: false, latency_us };
                    _ = reply(out, asked, self.state.zxid, |_| Err(error));
                }
                Some(Pending::Write { .. }) | None => return,
            }
        }
    }

    /// Answers a ping that waited.
    pub(crate) fn pong(&mut self, conn: ConnId, received_us: u64, now: Now, out: &mut Outputs) {
        let latency_us = now.mono_us.saturating_sub(received_us);
        let op = OpCode::Ping.code();
        let asked = Asked { conn, xid: PING_XID, op, write: false, latency_us };
        pong(asked, self.state.zxid, out);
    }

    /// Adds an identity for later requests; its reply has zxid 0. A failure ends the connection
    /// (reference 3.5, traps 16 and 45).
    fn auth(&mut self, conn: ConnId, xid: Xid, body: &[u8], out: &mut Outputs) {
        let Some(attachment) = self.attachments.get_mut(conn) else { return };
        let op = OpCode::Auth.code();
        let asked = Asked { conn, xid, op, write: false, latency_us: 0 };
        let (scheme, auth) = match Request::decode(OpCode::Auth, body) {
            Ok(Request::Auth { scheme, auth }) => (scheme, auth.unwrap_or_default()),
            _ => Default::default(),
        };
        let identities = match &*scheme {
            WISHES_SCHEME => attachment.take_wish(auth),
            scheme => authenticate(&self.config.auth, scheme, auth).ok(),
        };
        if identities.is_some_and(|identities| attachment.add_identities(identities)) {
            _ = reply(out, asked, Zxid(0), |_| Ok(()));
            return;
        }
        attachment.finished = true;
        let error = ErrorCode::AuthFailed;
        let why = DenialWhy::Credentials { scheme: cut(&scheme).to_owned() };
        self.account_for_stranger(conn, Some(OpCode::Auth), None, (error, why), out);
        _ = reply(out, asked, Zxid(0), |_| Err(error));
        close(conn, CloseWhy::AuthFailed, out);
    }
}

impl Replica {
    /// Ends the connection of a client that sends requests before it has shown who it is. The
    /// session lives on, unheard.
    fn refuse_stranger(&mut self, conn: ConnId, header: RequestHeader, out: &mut Outputs) {
        let Some(attachment) = self.attachments.get_mut(conn) else { return };
        attachment.finished = true;
        let asked = Asked { conn, xid: header.xid, op: header.op, write: false, latency_us: 0 };
        let (op, error) = (OpCode::from_i32(header.op), ErrorCode::SessionClosedRequireSaslAuth);
        let why = DenialWhy::NotAuthenticated;
        self.account_for_stranger(conn, op, None, (error, why), out);
        _ = reply(out, asked, Zxid(0), |_| Err(error));
        close(conn, CloseWhy::NotAuthenticated, out);
    }

    /// One round of a SASL exchange. Without users, it is answered with no error and no token.
    fn sasl(&mut self, conn: ConnId, xid: Xid, body: &[u8], out: &mut Outputs) {
        let Some(attachment) = self.attachments.get_mut(conn) else { return };
        let op = OpCode::Sasl.code();
        let asked = Asked { conn, xid, op, write: false, latency_us: 0 };
        let token = match Request::decode(OpCode::Sasl, body) {
            Ok(Request::Sasl { token }) => token.unwrap_or_default(),
            _ => {
                _ = reply(out, asked, Zxid(0), |_| Err(ErrorCode::MarshallingError));
                return;
            }
        };
        let auth = &self.config.auth;
        let send = |out: &mut Outputs, token: Option<&str>| {
            _ = reply(out, asked, Zxid(0), |bytes| {
                bytes.put_buffer(token.map(str::as_bytes));
                Ok(())
            });
        };
        if auth.sasl_users.is_empty() {
            return send(out, None);
        }
        let entropy = attachment.entropy;
        match attachment.sasl.answer(&auth.sasl_users, &entropy, token) {
            Ok(SaslAnswer::Challenge(challenge)) => send(out, Some(&challenge)),
            Ok(SaslAnswer::Done { user, proof }) => {
                let is_super = auth.sasl_super_user.as_ref() == Some(&user);
                let super_user = is_super.then(|| Identity::new("super", ""));
                let identities = [Identity::new("sasl", &user)].into_iter().chain(super_user);
                if attachment.add_identities(identities) {
                    return send(out, Some(&proof));
                }
                send(out, None);
            }
            Err(SaslFailed) => {
                let failure = auth.sasl_failure();
                attachment.finished = failure.is_some();
                let claimed = claimed_user(token)
                    .map(|user| Who { scheme: "sasl".into(), user: cut(&user).into() });
                let why = DenialWhy::Credentials { scheme: "sasl".to_owned() };
                let why = (failure.unwrap_or(ErrorCode::AuthFailed), why);
                self.account_for_stranger(conn, Some(OpCode::Sasl), claimed, why, out);
                let Some(failure) = failure else { return send(out, None) };
                sasl_failed(out, asked, failure);
                close(conn, CloseWhy::AuthFailed, out);
            }
        }
    }
}

pub(crate) fn close(conn: ConnId, why: CloseWhy, out: &mut Outputs) {
    out.items.push(Output::Close { conn, why });
}
