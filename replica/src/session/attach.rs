//! Which connection serves which session, who its client is, and what it waits for: local state.

use std::collections::VecDeque;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tenure_wire::{
    ConnectRequest, ConnectResponse, ErrorCode, PASSWORD_LEN, SessionId, TENURE_PASSWORD,
    TENURE_PROTOCOL, Xid,
};

use crate::input::ConnId;
use crate::limits;
use crate::session::ended::Ended;
use crate::session::sasl::SaslExchange;
use crate::tree::acl::{Identity, encode_identities};

/// The scheme of auth packets that say how a client wants to be served, not who it is. Clients
/// repeat their auth packets on every connection, so a session keeps it wherever it goes.
pub(crate) const WISHES_SCHEME: &str = "tenure";

/// A request that cannot be answered yet.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A write on its way through the log.
    Write { xid: Xid, received_us: u64 },
    /// A frame that must wait for the writes before it (FIFO order of a session).
    Deferred { payload: Box<[u8]>, received_us: u64 },
    /// A sync, or a read that must not be stale, until this member is known to be up to date.
    Sync { payload: Box<[u8]>, request: i64, received_us: u64 },
    /// A request that is refused, but not before those in front of it are answered.
    Refused { xid: Xid, op: i32, error: ErrorCode, received_us: u64 },
}

/// How a handshake is answered, by what the client has shown to understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Whether the request had its last byte, which the response mirrors.
    pub(crate) has_read_only: bool,
    /// The client is one of Tenure's: it is told what stock clients are not.
    pub(crate) is_tenure: bool,
}

impl Manner {
    pub(crate) fn of(request: &ConnectRequest<'_>) -> Self {
        let is_tenure = match request.session {
            SessionId(0) => request.password == Some(&TENURE_PASSWORD),
            _ => request.protocol_version == TENURE_PROTOCOL,
        };
        Manner { has_read_only: request.read_only.is_some(), is_tenure }
    }

    /// The answer to a client that gets its session.
    pub(crate) fn granted(
        self,
        timeout_ms: u32,
        session: SessionId,
        password: [u8; PASSWORD_LEN],
    ) -> ConnectResponse {
        ConnectResponse {
            protocol_version: if self.is_tenure { TENURE_PROTOCOL } else { 0 },
            timeout_ms: timeout_ms as i32,
            session,
            password,
            read_only: self.has_read_only.then_some(false),
            account: None,
        }
    }

    /// The answer to a client that does not. How the session ended, if it is remembered, is only
    /// for those who understand it.
    pub(crate) fn refused(self, ended: Option<&Ended>) -> ConnectResponse {
        let account = ended.filter(|_| self.is_tenure).map(Ended::account);
        let read_only = self.has_read_only.then_some(false);
        ConnectResponse { account, ..ConnectResponse::refused(read_only) }
    }
}

/// Who has connected, as far as the connection itself shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) peer: IpAddr,
    /// Whom the certificate is for that the client has shown.
    pub(crate) certificate: Option<&'a str>,
}

/// A connection and the session on it.
#[derive(Debug)]
pub struct Attachment {
    /// The session, or 0 while it is being established.
    pub session: SessionId,
    /// The client's address.
    pub peer: IpAddr,
    /// Timeout negotiated on this connection.
    pub timeout_ms: u32,
    /// Whether the client has its connect response.
    pub established: bool,
    /// Who the client has shown to be.
    pub(crate) identities: Vec<Identity>,
    /// The same, encoded once for all writes.
    pub(crate) encoded: Vec<u8>,
    /// How its handshake is answered.
    pub(crate) manner: Manner,
    /// Random bytes of this connection alone.
    pub(crate) entropy: [u8; 16],
    pub(crate) sasl: SaslExchange,
    /// No further request of this connection is taken.
    pub(crate) finished: bool,
    /// Its reads must not be stale: each sees all that was acknowledged to anybody before it came.
    pub(crate) linearizable: bool,
    /// It asked for other members and waits for the answer, which comes many entries later; what
    /// it sends meanwhile waits as well.
    pub(crate) reconfigures: bool,
    /// How many paths it may watch. Watches that are set again after a reconnect are not refused.
    pub(crate) max_watches: usize,
    pub(crate) pending: VecDeque<Pending>,
}

impl Attachment {
    pub(crate) fn new(peer: IpAddr, timeout_ms: u32, manner: Manner, entropy: [u8; 16]) -> Self {
        let mut attachment = Attachment {
            session: SessionId(0),
            peer,
            timeout_ms,
            established: false,
            identities: Vec::new(),
            encoded: Vec::new(),
            manner,
            entropy,
            sasl: SaslExchange::default(),
            finished: false,
            linearizable: false,
            reconfigures: false,
            max_watches: usize::MAX,
            pending: VecDeque::new(),
        };
        attachment.add_identities([Identity::ip(peer)]);
        attachment
    }

    /// What a client may wish for beside what the protocol has. Nobody is more for it than before.
    pub(crate) fn take_wish(&mut self, wish: &[u8]) -> Option<Vec<Identity>> {
        self.linearizable = match wish {
            b"linearizable-reads" => true,
            b"local-reads" => false,
            _ => return None,
        };
        Some(Vec::new())
    }

    /// Who the client has proven to be, as `scheme:id`.
    pub fn proven_identity(&self) -> Option<String> {
        self.identities.iter().find_map(Identity::proven)
    }

    /// Adds what the client has shown to be. Returns whether there is room for it; if not, the
    /// client is who it was before.
    pub(crate) fn add_identities(&mut self, added: impl IntoIterator<Item = Identity>) -> bool {
        let before = self.identities.len();
        for identity in added {
            if !self.identities.contains(&identity) {
                self.identities.push(identity);
            }
        }
        if self.identities.len() > before {
            self.encoded.clear();
            encode_identities(&self.identities, &mut self.encoded);
        }
        let has_room = self.identities.len() <= limits::IDENTITIES
            && self.encoded.len() <= limits::IDENTITY_BYTES;
        if !has_room {
            self.identities.truncate(before);
            self.encoded.clear();
            encode_identities(&self.identities, &mut self.encoded);
        }
        has_room
    }
}

/// All connections of this server. Looked up only, or listed in sorted order: the order of the
/// tables never shows.
#[derive(Debug)]
pub(crate) struct Attachments {
    by_conn: HashMap<ConnId, Attachment, FixedState>,
    by_session: HashMap<SessionId, ConnId, FixedState>,
    /// Requests waiting on all connections together.
    pub(crate) outstanding: usize,
}

impl Attachments {
    pub(crate) fn new() -> Self {
        let seed = FixedState::with_seed(0);
        Attachments {
            by_conn: HashMap::with_hasher(seed.clone()),
            by_session: HashMap::with_hasher(seed.clone()),
            outstanding: 0,
        }
    }

    pub(crate) fn get(&self, conn: ConnId) -> Option<&Attachment> {
        self.by_conn.get(&conn)
    }

    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Attachment> {
        self.by_conn.get_mut(&conn)
    }

    pub(crate) fn insert(&mut self, conn: ConnId, attachment: Attachment) {
        self.by_conn.insert(conn, attachment);
    }

    /// Makes `conn` the one connection of a session.
    pub(crate) fn bind(&mut self, conn: ConnId, session: SessionId) {
        if let Some(attachment) = self.by_conn.get_mut(&conn) {
            attachment.session = session;
            attachment.established = true;
            self.by_session.insert(session, conn);
        }
    }

    /// The connection that serves a session here.
    pub(crate) fn conn_of(&self, session: SessionId) -> Option<ConnId> {
        self.by_session.get(&session).copied()
    }

    /// All connections, in order.
    pub(crate) fn conns(&self) -> Vec<ConnId> {
        let mut conns: Vec<_> = self.by_conn.keys().copied().collect();
        conns.sort_unstable();
        conns
    }

    /// The request at the head of a connection's queue.
    pub(crate) fn front(&self, conn: ConnId) -> Option<&Pending> {
        self.by_conn.get(&conn)?.pending.front()
    }

    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Attachment> {
        let attachment = self.by_conn.remove(&conn)?;
        self.outstanding -= attachment.pending.len();
        if self.by_session.get(&attachment.session) == Some(&conn) {
            self.by_session.remove(&attachment.session);
        }
        Some(attachment)
    }

    pub(crate) fn push(&mut self, conn: ConnId, pending: Pending) {
        if let Some(attachment) = self.by_conn.get_mut(&conn) {
            attachment.pending.push_back(pending);
            self.outstanding += 1;
        }
    }

    /// Takes the request at the head of a connection's queue, if `wanted` says so.
    pub(crate) fn pop_if(
        &mut self,
        conn: ConnId,
        wanted: impl FnOnce(&Pending) -> bool,
    ) -> Option<Pending> {
        let pending = &mut self.by_conn.get_mut(&conn)?.pending;
        if !pending.front().is_some_and(wanted) {
            return None;
        }
        self.outstanding -= 1;
        let front = pending.pop_front();
        if pending.is_empty() {
            // An idle connection holds no memory.
            pending.shrink_to_fit();
        }
        front
    }
}
