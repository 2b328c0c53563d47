//! A member without a leader that goes on answering reads, if its configuration says so.
//!
//! What it answers may be old: the others may have a leader and go on without it. So only clients
//! that agree to that are let in, and their sessions are this member's own: they are neither logged
//! nor known to anybody else, they hold nothing, and they end as soon as there is a leader again.
//! A session of the ensemble is never served here: what it holds may have been lost meanwhile.

use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tenure_wire::{ConnectRequest, ConnectResponse, ErrorCode, OpCode, RequestHeader, SessionId};

use super::Heard;
use crate::input::{ConnId, Now};
use crate::limits;
use crate::output::{CloseWhy, Event, Output, Outputs};
use crate::replica::Replica;
use crate::reply::{Asked, reply};
use crate::requests::close;
use crate::session::attach::{Attachment, Manner};
use crate::session::auth::same_in_constant_time;
use crate::session::ended::EndReason;
use crate::session::expiry::Expiry;

/// Since when there is no leader, and the read-only service if it is open.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    /// On the clock of `Now::mono_us`; nothing while there is a leader.
    leaderless_since_us: Option<u64>,
    /// Number of the last session: not given twice in the life of this process.
    last: u32,
    service: Option<Service>,
}

/// The sessions of this member alone, and their clock.
#[derive(Debug)]
struct Service {
    sessions: HashMap<SessionId, LocalSession, FixedState>,
    expiry: Expiry,
}

#[derive(Debug)]
struct LocalSession {
    password: [u8; 16],
    timeout_ms: u32,
}

impl ReadOnly {
    pub(crate) fn new(now: Now) -> Self {
        ReadOnly { leaderless_since_us: Some(now.mono_us), last: 0, service: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.service.is_some()
    }

    /// Sessions that only this member knows.
    pub(crate) fn session_count(&self) -> usize {
        self.service.as_ref().map_or(0, |service| service.sessions.len())
    }

    /// How long until one of them expires, in milliseconds.
    pub(crate) fn left_ms(&self, session: SessionId) -> Option<u64> {
        self.service.as_ref()?.expiry.left_ms(session)
    }

    pub(crate) fn next_deadline_us(&self) -> Option<u64> {
        self.service.as_ref()?.expiry.next_deadline_us()
    }

    /// A client of a session was heard. Nothing if the service is not open.
    pub(super) fn heard(&mut self, session: SessionId, now: Now) -> Option<Heard> {
        let expiry = &mut self.service.as_mut()?.expiry;
        Some(if expiry.touch(session, now.mono_us) { Heard::Yes } else { Heard::Ended })
    }

    /// There is a leader or not, from now on. Returns whether the service ends by this.
    pub(super) fn led(&mut self, by: u64, now: Now) -> bool {
        if by == 0 {
            self.leaderless_since_us.get_or_insert(now.mono_us);
            return false;
        }
        self.leaderless_since_us = None;
        self.service.take().is_some()
    }
}

/// The ids of a read-only member begin with a zero byte, where those of the ensemble have the
/// number of a member, which is never 0. Then come its number, some bits of what its process drew
/// at its start, and a count: so no two such sessions are taken for the same either.
fn local_id(member: u64, incarnation: u64, count: u32) -> SessionId {
    let (member, drawn) = (member & 0xff, incarnation & 0xff_ffff);
    SessionId((member << 48 | drawn << 24 | u64::from(count)) as i64)
}

/// Whether it is the id of a session that some read-only member made up.
fn is_local(session: SessionId) -> bool {
    (session.0 as u64) >> 56 == 0
}

/// Largest count in an id.
const COUNT_MASK: u32 = 0xff_ffff;

/// What only the ensemble can do.
fn needs_leader(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::DeleteContainer
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Check
            | OpCode::Sync
            | OpCode::Reconfig
    )
}

impl Replica {
    /// Opens the service once there was no leader for long enough.
    pub(crate) fn open_read_only_if_due(&mut self, now: Now, out: &mut Outputs) {
        let since_us = self.read_only.leaderless_since_us;
        let Some((since_us, after_ms)) = since_us.zip(self.config.read_only_after_ms) else {
            return;
        };
        let leaderless_ms = now.mono_us.saturating_sub(since_us) / 1000;
        if self.read_only.is_open() || self.is_alone() || leaderless_ms <= after_ms {
            return;
        }
        let mut expiry = Expiry::new();
        expiry.advance(now.mono_us);
        let sessions = HashMap::with_hasher(FixedState::with_seed(0));
        self.read_only.service = Some(Service { sessions, expiry });
        out.items.push(Output::Event(Event::ReadOnlyBegan { leaderless_ms }));
    }

    /// Ends the sessions of this member alone whose clients were silent.
    pub(crate) fn expire_read_only(&mut self, now: Now, out: &mut Outputs) {
        let Some(service) = &mut self.read_only.service else { return };
        service.expiry.advance(now.mono_us);
        let mut expired = Vec::new();
        service.expiry.pop_expired(now.mono_us, &mut expired);
        for (session, silent_ms) in expired {
            let conn = self.attachments.conn_of(session);
            self.end_read_only(session, EndReason::Expired { silent_ms }, out);
            if let Some(conn) = conn {
                self.detach(conn);
                close(conn, CloseWhy::SessionEnded, out);
            }
        }
    }

    fn end_read_only(&mut self, session: SessionId, reason: EndReason, out: &mut Outputs) {
        let conn = self.attachments.conn_of(session);
        let Some(service) = &mut self.read_only.service else { return };
        service.expiry.remove(session);
        let Some(LocalSession { timeout_ms, .. }) = service.sessions.remove(&session) else {
            return;
        };
        let ended = Event::SessionEnded { session, reason, timeout_ms, ephemerals: 0, conn };
        out.items.push(Output::Event(ended));
    }

    /// A client comes while there is no leader. Turning it away without a word has it try another
    /// server; only what is known for sure is told.
    pub(crate) fn connect_read_only(
        &mut self,
        conn: ConnId,
        peer: IpAddr,
        request: &ConnectRequest<'_>,
        entropy: [u8; 16],
        now: Now,
        out: &mut Outputs,
    ) {
        if !self.read_only.is_open() || request.read_only != Some(true) {
            return close(conn, CloseWhy::NotServing, out);
        }
        if request.last_zxid_seen > self.state.zxid {
            return close(conn, CloseWhy::ZxidAhead, out);
        }
        let timeout_ms = self.negotiate(request.timeout_ms);
        let manner = Manner::of(request);
        let attachment = Attachment::new(peer, timeout_ms, manner, entropy);
        let (session, is_new) = match request.session {
            SessionId(0) => (self.next_local_id(), true),
            session => (session, false),
        };
        let Some(service) = &mut self.read_only.service else { return };
        service.expiry.advance(now.mono_us);
        if is_new {
            if service.sessions.len() >= limits::LOCAL_SESSIONS {
                return close(conn, CloseWhy::NotServing, out);
            }
            let local = LocalSession { password: entropy, timeout_ms };
            service.sessions.insert(session, local);
            service.expiry.add(session, timeout_ms);
        } else if is_local(session) {
            let is_right = |known: &&mut LocalSession| {
                let shown = request.password;
                shown.is_some_and(|shown| same_in_constant_time(shown, known.password))
            };
            let Some(known) = service.sessions.get_mut(&session).filter(is_right) else {
                return self.refuse(conn, session, manner, out);
            };
            known.timeout_ms = timeout_ms;
            service.expiry.resume(session, timeout_ms, now.mono_us);
            service.expiry.touch(session, now.mono_us);
        } else if self.state.ended.get(session).is_some() {
            return self.refuse(conn, session, manner, out);
        } else {
            // Whether it lives, only a leader knows.
            return close(conn, CloseWhy::NotServing, out);
        }
        self.attach_read_only(conn, attachment, session, is_new, out);
    }

    fn attach_read_only(
        &mut self,
        conn: ConnId,
        attachment: Attachment,
        session: SessionId,
        is_new: bool,
        out: &mut Outputs,
    ) {
        let Some(service) = &self.read_only.service else { return };
        let Some(LocalSession { password, timeout_ms }) = service.sessions.get(&session) else {
            return;
        };
        let (password, timeout_ms) = (*password, *timeout_ms);
        if let Some(old) = self.attachments.conn_of(session) {
            self.detach(old);
            close(old, CloseWhy::Superseded, out);
        }
        let granted = attachment.manner.granted(timeout_ms, session, password);
        let granted = ConnectResponse { read_only: Some(true), ..granted };
        self.attachments.insert(conn, attachment);
        self.attachments.bind(conn, session);
        out.send(conn, |bytes| granted.encode(bytes));
        out.items.push(Output::Event(match is_new {
            true => Event::SessionOpened { session, timeout_ms, conn: Some(conn) },
            false => Event::SessionResumed { session, timeout_ms, conn },
        }));
    }

    fn next_local_id(&mut self) -> SessionId {
        self.read_only.last = (self.read_only.last + 1) & COUNT_MASK;
        local_id(self.config.id, self.config.incarnation, self.read_only.last)
    }

    /// Answers a request at once: there is nothing to wait for.
    pub(crate) fn frame_read_only(
        &mut self,
        conn: ConnId,
        header: RequestHeader,
        payload: &[u8],
        out: &mut Outputs,
    ) {
        let RequestHeader { xid, op } = header;
        let is_strict = self.attachments.get(conn).is_some_and(|client| client.linearizable);
        let asked = Asked { conn, xid, op, write: false, latency_us: 0 };
        match OpCode::from_i32(op) {
            Some(OpCode::CloseSession) => {
                let session = self.attachments.get(conn).map(|attachment| attachment.session);
                _ = reply(out, asked, self.state.zxid, |_| Ok(()));
                if let Some(session) = session {
                    self.end_read_only(session, EndReason::ClosedByClient, out);
                }
                self.detach(conn);
                close(conn, CloseWhy::SessionClosed, out);
            }
            Some(op) if needs_leader(op) || is_strict && op != OpCode::Ping => {
                _ = reply(out, asked, self.state.zxid, |_| Err(ErrorCode::NotReadOnly));
            }
            _ => self.in_turn(conn, payload, 0, out),
        }
    }
}
