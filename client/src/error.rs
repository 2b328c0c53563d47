//! Why a request failed, and above all: whether it may have happened all the same.

use tenure_wire::{DecodeError, ErrorCode, OpCode};
use thiserror::Error;

use crate::machine::Interruption;
use crate::status::LostReason;

/// A request that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused it: it did not happen.
    #[error("{op} {path}: {code}")]
    Refused {
        /// What the server says.
        code: ErrorCode,
        /// The operation.
        op: OpCode,
        /// The path it was about.
        path: String,
    },
    /// The write was sent, and no answer came: it may have happened. Look, before you repeat it.
    #[error("{op} {path}: the outcome is unknown: {cause}")]
    Unknown {
        /// The operation.
        op: OpCode,
        /// The path it was about.
        path: String,
        /// What came between.
        cause: Interruption,
    },
    /// It was not sent, or it was a read: it certainly changed nothing.
    #[error("{op} {path}: not done: {cause}")]
    NotDone {
        /// The operation.
        op: OpCode,
        /// The path it was about.
        path: String,
        /// What came between.
        cause: Interruption,
    },
    /// The session is lost: it was not sent. A new session must be established.
    #[error("the session is lost: {0}")]
    Lost(LostReason),
    /// The request can never succeed as it is, so it was not sent.
    #[error("{op} {path:?}: {what}")]
    Invalid {
        /// The operation.
        op: OpCode,
        /// The path it was about.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The request was done, but its reply is longer than this client reads.
    #[error("{op} {path}: a reply of {bytes} bytes, more than the {limit} allowed")]
    ReplyTooLong {
        /// The operation.
        op: OpCode,
        /// The path it was about.
        path: String,
        /// Length of the reply in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The request was done, but its reply cannot be read.
    #[error("{op} {path}: the reply makes no sense: {source}")]
    Garbled {
        /// The operation.
        op: OpCode,
        /// The path it was about.
        path: String,
        /// What cannot be read.
        source: DecodeError,
    },
    /// The server refused it with a code that this client does not know: it did not happen.
    #[error("{op} {path}: error code {code}")]
    UnknownCode {
        /// The code.
        code: i32,
        /// The operation.
        op: OpCode,
        /// The path it was about.
        path: String,
    },
}

impl Error {
    /// What the server said, if it refused the request.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the server refused the request with this code.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code() == Some(code)
    }

    /// Whether the request may have happened, or has.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::ReplyTooLong { .. } | Self::Garbled { .. })
    }

    /// Whether the session is lost, so that no request can succeed any more.
    pub fn lost(&self) -> Option<&LostReason> {
        match self {
            Self::Lost(reason)
            | Self::Unknown { cause: Interruption::Lost(reason), .. }
            | Self::NotDone { cause: Interruption::Lost(reason), .. } => Some(reason),
            _ => None,
        }
    }
}
