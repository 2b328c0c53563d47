//! What enters a replica: everything it ever learns arrives as one of these values.

use std::net::IpAddr;

use tenure_wire::{ConnectRequest, ErrorCode, SessionId};

use crate::output::SnapshotMeta;
use crate::session::ended::EndReason;
use crate::state::State;

/// One client connection of this server process; never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// The time of a step. Both clocks are inputs; the replica never reads one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic microseconds since an arbitrary start; never goes back.
    pub mono_us: u64,
    /// Wall clock in milliseconds since the Unix epoch; stamps ctime and mtime, may jump.
    pub wall_ms: i64,
}

/// One thing that happened outside the replica.
#[derive(Debug)]
pub enum Input<'a> {
    /// A client's first frame: it wants a new session, or to resume one.
    Connect {
        /// The connection it came on.
        conn: ConnId,
        /// The client's address, its automatic `ip` identity.
        peer: IpAddr,
        /// Whom the certificate is for that the client has shown, its automatic `x509` identity.
        certificate: Option<&'a str>,
        /// The decoded handshake.
        request: ConnectRequest<'a>,
        /// Fresh bytes from the operating system: the password if a session is created.
        entropy: [u8; 16],
    },
    /// A request frame (header and body, without the length prefix) on an established connection,
    /// or one the client pipelined behind its handshake.
    Frame {
        /// The connection it came on.
        conn: ConnId,
        /// The frame's payload.
        payload: &'a [u8],
    },
    /// Packets of this client are here but left unread, to bound what waits: it counts as heard.
    Unread {
        /// The connection they came on.
        conn: ConnId,
    },
    /// A frame came that is to be answered with this error, in its turn. Pings, closes, what
    /// concerns the connection alone and watches set again are done all the same.
    Refuse {
        /// Where it came from.
        conn: ConnId,
        /// The frame without its length prefix.
        payload: &'a [u8],
        /// The answer.
        error: ErrorCode,
    },
    /// From now on, writes proposed here that need more memory are to be refused, or no more so.
    RefuseGrowth(bool),
    /// How many paths a connection may watch from now on.
    WatchBound {
        /// The connection.
        conn: ConnId,
        /// The number; what it watches already stays.
        paths: usize,
    },
    /// The connection's socket is gone. The session lives on until its timeout.
    Disconnected {
        /// The connection that ended.
        conn: ConnId,
    },
    /// Everything up to and including this `Output::Persist` ticket is durable.
    Persisted {
        /// The ticket of the newest durable batch.
        ticket: u64,
    },
    /// Time passed. Call at `Replica::next_deadline_us`, or sooner; never with sockets unread.
    Tick,
    /// This member is about to stop: if it leads, another is to take over at once, so that nobody
    /// has to find out that it is gone.
    HandOver,
    /// Do one bounded slice of background work (see `Replica::has_work`).
    Work {
        /// Whether the snapshot writer can take another chunk now.
        snapshot_room: bool,
    },
    /// Start a snapshot now, whatever the entry count says.
    TakeSnapshot,
    /// The snapshot last begun is durable: the log before it may go.
    SnapshotSaved {
        /// Log index of that snapshot.
        index: u64,
    },
    /// The snapshot last begun could not be written; it will be tried again later.
    SnapshotFailed,
    /// A member is being sent this server's snapshot.
    SnapshotSending {
        /// The member.
        to: u64,
        /// Log index of the last entry in it.
        index: u64,
    },
    /// It could not be sent. If it could, the member itself lets consensus know.
    SnapshotNotSent {
        /// The member.
        to: u64,
    },
    /// Another member has sent its snapshot, and it is durable here.
    SnapshotReceived {
        /// What it is a snapshot of.
        meta: SnapshotMeta,
        /// What it holds.
        state: Box<State>,
    },
    /// Another member sent a message.
    Peer {
        /// The member, as its link has shown.
        from: u64,
        /// The message.
        message: &'a [u8],
    },
    /// The link to a member broke: what was sent to it last may be lost.
    PeerDown {
        /// The member.
        member: u64,
    },
    /// A session is ended from outside: by an operator, or as if its client had been silent.
    CloseSession {
        /// The session to end.
        session: SessionId,
        /// What is remembered as the reason.
        reason: EndReason,
    },
}
