//! A member without a leader that goes on answering reads, if its configuration says so.
//!
//! What it answers may be old: the others may have a leader and go on without it. So only clients
//! that agree to that are let in, and their sessions are this member's own: they are neither logged
//! nor known to anybody else, they hold nothing, and they end as soon as there is a leader again.
//! A session of the ensemble is never served here: what it holds may have been lost meanwhile.

use tenure_wire::{ConnectRequest, ConnectResponse, ErrorCode, OpCode, RequestHeader, SessionId};

use crate::input::{ConnId, Now};
use crate::output::{CloseWhy, Event, Output, Outputs};
use crate::replica::Replica;
use crate::reply::{Asked, reply};
use crate::requests::close;
use crate::session::attach::Attachment;
use crate::session::local::{LocalSession, is_read_only};

/// Since when there is no leader, and whether the read-only service is open.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    /// On the clock of `Now::mono_us`; nothing while there is a leader.
    leaderless_since_us: Option<u64>,
    is_open: bool,
}

impl ReadOnly {
    pub(crate) fn new(now: Now) -> Self {
        ReadOnly { leaderless_since_us: Some(now.mono_us), is_open: false }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// There is a leader or not, from now on. Returns whether the service ends by this.
    pub(super) fn led(&mut self, by: u64, now: Now) -> bool {
        if by == 0 {
            self.leaderless_since_us.get_or_insert(now.mono_us);
            return false;
        }
        self.leaderless_since_us = None;
        std::mem::take(&mut self.is_open)
    }
}

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
        self.read_only.is_open = true;
        self.locals.renew(self.consensus.term(), now.mono_us);
        out.items.push(Output::Event(Event::ReadOnlyBegan { leaderless_ms }));
    }

    /// With the service its sessions end: nobody but this member has ever heard of them.
    pub(super) fn forget_read_only(&mut self) {
        for session in self.locals.read_only_ids() {
            self.locals.remove(session);
        }
    }

    /// Whether a client is let in although there is no leader.
    pub(crate) fn takes_read_only(&self, request: &ConnectRequest<'_>) -> bool {
        self.read_only.is_open() && request.read_only == Some(true)
    }

    /// A client is let in while there is no leader. Turning it away without a word has it try
    /// another server; only what is known for sure is told.
    pub(crate) fn connect_read_only(
        &mut self,
        conn: ConnId,
        attachment: Attachment,
        request: &ConnectRequest<'_>,
        now: Now,
        out: &mut Outputs,
    ) {
        let Attachment { timeout_ms, peer, manner, entropy, .. } = attachment;
        let session = request.session;
        if session == SessionId(0) {
            let source = self.id_source(now);
            let session = self.locals.next_read_only_id(source);
            if !self.add_local(session, (timeout_ms, peer, entropy), now) {
                return close(conn, CloseWhy::NotServing, out);
            }
            let opened = Event::SessionOpened { session, timeout_ms, conn: Some(conn) };
            out.items.push(Output::Event(opened));
            return self.attach_read_only(conn, attachment, session, out);
        }
        let known = self.locals.get(session);
        if known.is_some_and(|known| known.upgrading_in.is_some()) {
            // Whether it has become one of the ensemble's, only a leader knows.
            return close(conn, CloseWhy::NotServing, out);
        }
        if known.is_some_and(|known| known.has_password(request.password)) {
            self.take_up_local(session, timeout_ms, &attachment, now);
            self.attach_read_only(conn, attachment, session, out);
            let resumed = Event::SessionResumed { session, timeout_ms, conn };
            out.items.push(Output::Event(resumed));
        } else if known.is_some()
            || is_read_only(session)
            || self.state.ended.get(session).is_some()
        {
            self.refuse(conn, session, manner, out);
        } else {
            // Whether it lives, only a leader knows.
            close(conn, CloseWhy::NotServing, out);
        }
    }

    fn attach_read_only(
        &mut self,
        conn: ConnId,
        attachment: Attachment,
        session: SessionId,
        out: &mut Outputs,
    ) {
        let Some(LocalSession { password, timeout_ms, .. }) = self.locals.get(session) else {
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
            Some(op) if needs_leader(op) || is_strict && op != OpCode::Ping => {
                _ = reply(out, asked, self.state.zxid, |_| Err(ErrorCode::NotReadOnly));
            }
            _ => self.in_turn(conn, payload, 0, out),
        }
    }
}
