//! Why a session ended: replicated, bounded, readable.

/// Who ended a session, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client sent closeSession.
    ClosedByClient,
    /// Nothing was heard from the client for its timeout.
    Expired {
        /// How long it had been silent when the leader gave it up.
        silent_ms: u64,
    },
    /// An operator closed it.
    ClosedByOperator,
}
