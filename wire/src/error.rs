//! Error codes of replies.

use std::fmt;

/// Declares the codes once, so that number, variant and upstream's text cannot drift apart.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $text:literal,)*) => {
        /// The outcome of a request, as the reply header carries it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $code,)*
        }

        impl ErrorCode {
            /// Every error code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The error of this code, if there is one.
            pub const fn from_code(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for ErrorCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    };
}

error_codes! {
    /// No error.
    Ok = 0 "ok",
    /// Start of the range of server-side errors; never sent.
    SystemError = -1 "SystemError",
    /// In a multi: an operation behind the one that failed.
    RuntimeInconsistency = -2 "RuntimeInconsistency",
    /// Never sent.
    DataInconsistency = -3 "DataInconsistency",
    /// Client-local: the connection went with the request unanswered.
    ConnectionLoss = -4 "ConnectionLoss",
    /// The body could not be decoded, or holds a value that means nothing.
    MarshallingError = -5 "MarshallingError",
    /// The operation does not exist, or is switched off.
    Unimplemented = -6 "Unimplemented",
    /// Client-local: the operation took too long.
    OperationTimeout = -7 "OperationTimeout",
    /// An invalid path, flag, time to live or reserved znode.
    BadArguments = -8 "BadArguments",
    /// The session is not known; internal.
    UnknownSession = -12 "UnknownSession",
    /// Reconfig: no quorum of the new members is in sync.
    NewConfigNoQuorum = -13 "NewConfigNoQuorum",
    /// Reconfig: another one is pending.
    ReconfigInProgress = -14 "ReconfigInProgress",
    /// Start of the range of errors of the operations; never sent.
    ApiError = -100 "APIError",
    /// The znode, or its parent, does not exist.
    NoNode = -101 "NoNode",
    /// The access control list forbids it.
    NoAuth = -102 "NoAuth",
    /// The version expected is not the current one.
    BadVersion = -103 "BadVersion",
    /// Ephemerals cannot have children.
    NoChildrenForEphemerals = -108 "NoChildrenForEphemerals",
    /// The path exists already.
    NodeExists = -110 "NodeExists",
    /// The znode has children.
    NotEmpty = -111 "Directory not empty",
    /// The session is gone.
    SessionExpired = -112 "Session expired",
    /// Client-local: a callback that cannot be called.
    InvalidCallback = -113 "Invalid callback",
    /// The access control list is empty or malformed.
    InvalidAcl = -114 "InvalidACL",
    /// The credentials were refused.
    AuthFailed = -115 "AuthFailed",
    /// The session is on another server now; internal.
    SessionMoved = -118 "Session moved",
    /// A write on a server that only reads.
    NotReadOnly = -119 "Not a read-only call",
    /// An ephemeral on a local session that cannot be made global.
    EphemeralOnLocalSession = -120 "Ephemeral node on local session",
    /// No such watch is set.
    NoWatcher = -121 "No such watcher",
    /// Client-local: the reply took too long.
    RequestTimeout = -122 "Request timeout",
    /// Reconfig is switched off.
    ReconfigDisabled = -123 "Reconfig is disabled",
    /// The server wants SASL authentication first.
    SessionClosedRequireSaslAuth = -124 "Session closed because client failed to authenticate",
    /// An enforced quota is used up.
    QuotaExceeded = -125 "Quota has exceeded",
    /// The request waited too long in the server.
    ThrottledOp = -127 "Op throttled due to high load",
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_errors_map_both_ways() {
        for &error in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(error.code()), Some(error));
        }
        let known = (-200..200).filter(|&code| ErrorCode::from_code(code).is_some()).count();
        assert_eq!(known, ErrorCode::ALL.len());
        assert_eq!(ErrorCode::from_code(-126), None);
    }
}
