//! What leaves a replica: things it wants done, in the order it wants them done.

use std::ops::Range;

use bytes::Bytes;
use tenure_wire::{SessionId, Xid, Zxid, frame};

use crate::audit::AuditRecord;
use crate::consensus::Ack;
use crate::denials::Denial;
use crate::input::ConnId;
use crate::membership::Membership;
use crate::session::ended::EndReason;

/// The outputs of one or more steps. Reused between steps, so the hot path allocates nothing.
#[derive(Debug, Default)]
pub struct Outputs {
    /// The things to do, in order: a notification stands before the reply that would reveal it.
    pub items: Vec<Output>,
    /// The bytes that `Output::Send` ranges point into: whole frames with their length prefix.
    pub bytes: Vec<u8>,
    /// One record for each reply among the items, for metrics.
    pub answered: Vec<Answered>,
    /// Entries that followers confirmed to this leader, for metrics: a sample of them.
    pub acks: Vec<Ack>,
    /// What was refused to somebody, for operators who are asked why.
    pub denied: Vec<Denial>,
    /// What belongs into the audit log, if one is wanted.
    pub audited: Vec<AuditRecord>,
}

/// A request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Who had asked.
    pub conn: ConnId,
    /// The operation's code, as the client sent it.
    pub op: i32,
    /// The client's number for the request.
    pub xid: Xid,
    /// The reply's zxid.
    pub zxid: Zxid,
    /// The reply's error code, 0 for success.
    pub err: i32,
    /// Whether it went through the log.
    pub write: bool,
    /// From the step that took the request in to the one that answered it.
    pub latency_us: u64,
}

impl Outputs {
    /// Forgets everything, keeping the capacity.
    pub fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.answered.clear();
        self.acks.clear();
        self.denied.clear();
        self.audited.clear();
    }

    /// Appends one frame to a connection's stream.
    pub(crate) fn send(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let start = frame::begin(&mut self.bytes);
        write(&mut self.bytes);
        frame::end(&mut self.bytes, start);
        let end = self.bytes.len();
        if let Some(Output::Send { conn: last, range }) = self.items.last_mut()
            && *last == conn
        {
            // Frames lie one behind the other, so a run of them is one range.
            range.end = end;
            return;
        }
        self.items.push(Output::Send { conn, range: start..end });
    }
}

/// One thing the replica wants done.
#[derive(Debug)]
pub enum Output {
    /// Append these bytes to the connection's outgoing stream.
    Send {
        /// Whose stream.
        conn: ConnId,
        /// Where in `Outputs::bytes`.
        range: Range<usize>,
    },
    /// Flush what was sent before, then close the socket.
    Close {
        /// The connection to close.
        conn: ConnId,
        /// Why, for the log line.
        why: CloseWhy,
    },
    /// Append to the log and make durable, then answer with `Input::Persisted`.
    Persist(Persist),
    /// A snapshot starts: its chunks follow as `SnapshotChunk`, then `SnapshotEnd`.
    SnapshotBegin(SnapshotMeta),
    /// The next bytes of the snapshot.
    SnapshotChunk(Vec<u8>),
    /// The snapshot is complete: make it durable, then answer with `Input::SnapshotSaved`.
    SnapshotEnd,
    /// Forget the snapshot that is being written: the state it was taken of is no more.
    SnapshotAbandon,
    /// Send a member a snapshot of this server's, unless that is being done, and answer with
    /// `Input::SnapshotSending`.
    SnapshotSend {
        /// The member.
        to: u64,
        /// Log index that it must reach; the log before is not in memory any more. If there is
        /// none so new, `Input::TakeSnapshot` makes one.
        reaching: u64,
    },
    /// A received snapshot has taken the place of this replica's state and log: later batches of
    /// the log continue it.
    LogRestart {
        /// Log index of the last entry in it.
        after: u64,
    },
    /// Have links with these members, at these addresses, and no others. Comes first at the start.
    Links {
        /// The members, and those who are about to be.
        members: Membership,
        /// The ensemble's id, for nobody else may be linked with; 0 if this member does not know it
        /// yet.
        cluster: u64,
        /// Zxid of the change that made the members so, those about to be aside; 0 if they cannot
        /// change.
        version: u64,
    },
    /// Send a message to another member, in order, if it can be reached.
    Peer {
        /// The member.
        to: u64,
        /// The message, without a length prefix.
        message: Vec<u8>,
    },
    /// Something an operator may want to read.
    Event(Event),
}

/// Why the replica closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseWhy {
    /// The client closed its session and has its reply.
    SessionClosed,
    /// The session asked for is unknown, ended, or the password is wrong.
    SessionRefused,
    /// There are as many sessions as there may be.
    TooManySessions,
    /// The session expired, or an operator closed it.
    SessionEnded,
    /// The same session attached on another connection.
    Superseded,
    /// The session moved to another server of the ensemble.
    Moved,
    /// The client has seen a newer zxid than this server has applied.
    ZxidAhead,
    /// This server does not serve yet, or no longer.
    NotServing,
    /// There is a leader again, so nobody is served read-only any more.
    ReadOnlyEnded,
    /// An opcode nobody knows, or one that clients may not send.
    UnknownOperation,
    /// Authentication failed.
    AuthFailed,
    /// It sent a request before it had authenticated, where that is required.
    NotAuthenticated,
    /// The first frame was not a handshake, or a frame had no header.
    Malformed,
}

/// A batch for the log. Batches become durable in ticket order.
#[derive(Debug)]
pub struct Persist {
    /// Names this batch in `Input::Persisted`.
    pub ticket: u64,
    /// Consensus state to store with it, if it changed.
    pub hard_state: Option<HardState>,
    /// Entries to append; the first may overwrite older ones of the same index.
    pub entries: Vec<LogEntry>,
    /// False if nothing depends on this batch being durable before the next one.
    pub must_sync: bool,
}

/// Raft's durable state beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HardState {
    /// Current term.
    pub term: u64,
    /// Candidate voted for in it, 0 for none.
    pub vote: u64,
    /// Highest index known to be committed.
    pub commit: u64,
    /// Whether this member must neither vote nor stand: its disk was lost, and it has not yet all
    /// that it may have confirmed before.
    pub catching_up: bool,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Position in the log, from 1.
    pub index: u64,
    /// Term of the leader that proposed it.
    pub term: u64,
    /// Raft's entry type: 0 ordinary, 1 and 2 membership changes.
    pub kind: u8,
    /// The encoded operation; empty for the entry that opens a term.
    pub data: Bytes,
}

/// What a snapshot is a snapshot of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// Log index of the last entry contained.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// Zxid of the last change contained.
    pub zxid: Zxid,
    /// The ensemble's members at that index, opaque here.
    pub members: Vec<u8>,
}

/// Why a replica looks for a leader, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionCause {
    /// It has just started.
    Started,
    /// Nothing was heard of the leader, or another one was heard of.
    Silence,
    /// The link to the leader broke.
    LinkBroken,
    /// It led, and no majority was heard.
    QuorumLost,
    /// The leader said that it heard no majority.
    LeaderResigned,
    /// The leader had it take over, or another one. Who has no vote is not told, and takes it for
    /// `Silence`.
    HandedOver,
}

impl ElectionCause {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Silence => "leader_silent",
            Self::LinkBroken => "leader_link_broken",
            Self::QuorumLost => "quorum_lost",
            Self::LeaderResigned => "leader_resigned",
            Self::HandedOver => "handed_over",
        }
    }
}

/// Something worth a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This replica leads from now on.
    Leading {
        /// Raft term, the epoch of coming zxids.
        epoch: u64,
    },
    /// This replica serves under a new leader.
    Led {
        /// Raft term, the epoch of coming zxids.
        epoch: u64,
        /// The leader's number.
        leader: u64,
        /// Why this replica had none.
        cause: ElectionCause,
        /// How long this replica did not serve for lack of one, in milliseconds.
        leaderless_ms: u64,
        /// From when it knew of the leader until it had applied all up to the leader's first entry,
        /// in microseconds; `None` at the leader itself.
        sync_us: Option<u64>,
        /// Live sessions.
        sessions: usize,
    },
    /// Some time after this replica was elected every session has been used again or has expired.
    ElectionSettled {
        /// The epoch that began with the election.
        epoch: u64,
        /// Sessions used since, new ones among them.
        returned: usize,
        /// Sessions that expired without having been heard since.
        lost: usize,
    },
    /// This replica leads and its disk stands still, so it has another one take over.
    DiskStalled,
    /// This replica lost its disk: until it has caught up it neither votes nor stands for
    /// election. Or it has caught up.
    CatchingUp {
        /// Whether it begins to; otherwise it has.
        begins: bool,
    },
    /// For lack of a leader, this replica serves reads to clients that agree to old answers.
    ReadOnlyBegan {
        /// How long there was no leader.
        leaderless_ms: u64,
    },
    /// There is a leader again.
    ReadOnlyEnded {
        /// Connections that are closed by this.
        clients: usize,
    },
    /// A session was established.
    SessionOpened {
        /// The new session.
        session: SessionId,
        /// Negotiated timeout.
        timeout_ms: u32,
        /// The client's connection, if it is one of this server's.
        conn: Option<ConnId>,
    },
    /// A client came back to its session.
    SessionResumed {
        /// The session resumed.
        session: SessionId,
        /// Negotiated timeout, which may differ from before.
        timeout_ms: u32,
        /// The connection that serves it from now on.
        conn: ConnId,
    },
    /// A session lost its connection to this server, and lives on.
    SessionDetached {
        /// The session.
        session: SessionId,
        /// Negotiated timeout.
        timeout_ms: u32,
        /// The connection that served it.
        conn: ConnId,
        /// Why this server let go of it; `None` if the connection ended by itself.
        why: Option<CloseWhy>,
    },
    /// A session ended.
    SessionEnded {
        /// The session that ended.
        session: SessionId,
        /// Who ended it, and why.
        reason: EndReason,
        /// The timeout negotiated when it was established.
        timeout_ms: u32,
        /// How many ephemeral znodes went with it.
        ephemerals: u32,
        /// The connection that served it, if it was one of this server's.
        conn: Option<ConnId>,
    },
}
