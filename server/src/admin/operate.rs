//! What an operator or a test may do to the sessions of a running server, and how that can fail.

use std::path::PathBuf;
use std::time::Duration;

use tenure_wire::{SessionId, Zxid};

/// How long the end of a session may take to be applied before whoever asked is told that it is not
/// known yet: long enough for a slow disk and for an election.
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(10);

/// A snapshot that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSnapshot {
    /// Its file, until newer ones take its place.
    pub path: PathBuf,
    /// The last change in it.
    pub zxid: Zxid,
}

/// What is remembered as the reason of an end that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndAs {
    /// An operator closed the session.
    ClosedByOperator,
    /// It expired: as if its client had not been heard for the session's timeout.
    Expired,
}

/// Why the server did not do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperateError {
    /// There is no such session, or none any more.
    #[error("no session {0} lives")]
    UnknownSession(SessionId),
    /// The session lives, but no client is connected to it through this server.
    #[error("session {0} has no connection at this server")]
    NotConnected(SessionId),
    /// Nothing can be changed now: this server knows no leader.
    #[error("the server does not serve: it knows no leader of the ensemble")]
    NotServing,
    /// No answer came in time. What was asked for may happen yet.
    #[error("the server did not answer in time; what was asked of it may happen yet")]
    NoAnswer,
    /// The snapshot could not be written; the log says why.
    #[error("the snapshot could not be written; the server's log says why")]
    SnapshotFailed,
    /// The server has ended, or ended before it answered.
    #[error("the server has stopped")]
    Stopped,
}
