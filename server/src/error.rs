//! Why a server does not start, or does not go on.

use std::io;
use std::path::PathBuf;

use tenure_storage::{LockError, OpenError, WriteError};
use thiserror::Error;

use crate::tls::TlsError;

/// Why a server could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder cannot be taken into use.
    #[error(transparent)]
    Folder(#[from] LockError),
    /// The log or the snapshots cannot be used.
    #[error(transparent)]
    Recovery(#[from] OpenError),
    /// A snapshot is intact, but does not decode.
    #[error("snapshot {}: {what}; was it written by another version?", path.display())]
    Snapshot {
        /// Its file.
        path: PathBuf,
        /// What does not decode.
        what: String,
    },
    /// The configuration asks for something this version does not have.
    #[error("{0}")]
    Unsupported(&'static str),
    /// TLS cannot be served as configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client port cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address as configured.
        addr: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The audit log that the configuration asks for cannot be written.
    #[error("the audit log {}: {source}", path.display())]
    Audit {
        /// Its file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It failed before it could serve anybody.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The operating system refused something else that a server needs.
    #[error("{what}: {source}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why a running server ended by itself.
#[derive(Clone, Debug, Error)]
pub enum RunError {
    /// The log could not be written or synced: what was not acknowledged may be lost, nothing else.
    #[error("{0}")]
    Disk(WriteError),
    /// The operating system no longer reports readiness.
    #[error("waiting for sockets failed: {0}")]
    Poll(String),
    /// A thread of the server panicked, which is a defect.
    #[error("the {0} thread ended unexpectedly")]
    Thread(&'static str),
}
