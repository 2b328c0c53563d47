//! What other threads tell the driver: a queue with a bell.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use mio::Waker;
use tenure_replica::{SnapshotMeta, State};
use tenure_wire::SessionId;

use crate::RunError;
use crate::admin::report::SnapshotReport;
use crate::admin::{AdminQuery, OperateError, Reply};
use crate::config::{Changes, Member, ServerConfig};

/// One message to the driver.
pub(crate) enum Mail {
    /// Every batch up to this ticket is durable.
    Persisted {
        /// The newest durable ticket.
        ticket: u64,
        /// The sync that made them so; `None` if nothing needed one.
        synced: Option<Synced>,
    },
    /// The disk is full: writes wait until there is room. `true` when it begins, `false` after.
    DiskFull(bool),
    /// The disk thread cannot go on; nothing may be acknowledged any more.
    Fatal(RunError),
    /// The snapshot thread can take another chunk.
    SnapshotRoom,
    /// The snapshot is durable.
    SnapshotSaved {
        /// Its log index.
        index: u64,
        /// Its file.
        path: PathBuf,
        /// Where the log must still begin.
        log_from: u64,
        /// What operators are told about it.
        report: SnapshotReport,
        /// From its begin to its end.
        took_us: u64,
    },
    /// The snapshot could not be written.
    SnapshotFailed,
    /// Another member of the ensemble said something.
    Peer {
        /// Which one.
        from: u64,
        /// What it said.
        message: Vec<u8>,
    },
    /// A member has connected that knows later members than this one.
    MemberAhead {
        /// Of the members that it knows.
        version: u64,
        /// Its own line among them.
        member: Member,
    },
    /// A link to another member broke.
    PeerDown {
        /// Which one.
        member: u64,
    },
    /// How far the sending of a snapshot to a member has come.
    SnapshotSending {
        /// Which member.
        to: u64,
        /// How far.
        what: Sending,
    },
    /// Another member's snapshot is durable here.
    SnapshotReceived {
        /// What it is a snapshot of.
        meta: SnapshotMeta,
        /// What it holds.
        state: Box<State>,
    },
    /// An operator's question.
    Query(AdminQuery),
    /// Cut the connection of a session, which lives on.
    DropConnection(SessionId, Reply<Result<(), OperateError>>),
    /// Do nothing at all until told to resume.
    Pause(Reply<()>),
    /// Go on.
    Resume,
    /// Apply what of this configuration needs no restart.
    Reload(Box<ServerConfig>, Reply<Changes>),
    /// Finish what is under way, then end.
    Stop,
}

/// How far the sending of a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// The one that ends at this log index is under way.
    Began { index: u64 },
    /// It is durable there.
    Done,
    /// It broke off.
    Failed,
    /// There is none that reaches far enough.
    NoneSoNew,
}

/// One sync of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synced {
    /// Entries it made durable.
    pub(crate) entries: usize,
    /// How long it took.
    pub(crate) took_us: u64,
    /// Batches that shared it.
    pub(crate) waiting: usize,
}

/// The sending side: clonable, one per thread that has something to tell.
#[derive(Clone)]
pub(crate) struct Mailbox {
    queue: Sender<Mail>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// A mailbox that rings `waker`, and the queue the driver reads.
    pub(crate) fn new(waker: Arc<Waker>) -> (Mailbox, Receiver<Mail>) {
        let (queue, letters) = mpsc::channel();
        (Mailbox { queue, waker }, letters)
    }

    /// Leaves a message. Without a driver to read it, there is nobody left to care.
    pub(crate) fn post(&self, mail: Mail) {
        if self.queue.send(mail).is_ok()
            && let Err(e) = self.waker.wake()
        {
            tracing::error!(error = %e, "the I/O thread could not be woken");
        }
    }
}
