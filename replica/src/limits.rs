//! Every bound of a replica, with its reason.

/// Ended sessions remembered: a week of ordinary churn, about 2 MiB.
pub(crate) const ENDED_SESSIONS: usize = 10_000;

/// Paths remembered of each ended session: enough to recognise whose it was.
pub(crate) const ENDED_PATHS: usize = 8;

/// Vanished ephemerals remembered by each server for operators who ask why one is gone: as many as
/// ended sessions are.
pub(crate) const GONE_EPHEMERALS: usize = 10_000;

/// Bytes of their paths together: a path may be as long as a frame.
pub(crate) const GONE_BYTES: usize = 2 << 20;

/// Identities of one connection: each write carries them all into the log, and clients show a
/// handful.
pub(crate) const IDENTITIES: usize = 128;

/// Bytes of them together.
pub(crate) const IDENTITY_BYTES: usize = 16 * 1024;

/// Bytes of a text from a client in the account of a refusal: enough to recognise it.
pub(crate) const DENIAL_TEXT_BYTES: usize = 1024;

/// Entries of an access control list in it.
pub(crate) const DENIAL_ACL_ENTRIES: usize = 32;

/// Ephemerals deleted in one slice of a session's end: about a millisecond, so that other
/// sessions' reads never wait long behind a session with a great many.
pub(crate) const CLOSE_SLICE: usize = 1_000;

/// Committed entries applied in one slice: some ten microseconds, so that a thousand writes
/// that became durable at once do not keep those waiting who only read.
pub(crate) const APPLY_SLICE: usize = 32;

/// Watched paths taken off a connection that is gone in one slice: about a millisecond, so that
/// other clients do not wait for the removal of a hundred thousand.
pub(crate) const WATCH_SLICE: usize = 2_000;

/// Slots copied in one slice of a snapshot: a few hundred microseconds.
pub(crate) const SNAPSHOT_SLICE: u32 = 1_024;

/// Bytes gathered before a snapshot chunk is handed over.
pub(crate) const SNAPSHOT_CHUNK: usize = 256 * 1024;

/// Bytes of entries in one consensus message: a slow peer gets its log in pieces.
pub(crate) const MESSAGE_BYTES: u64 = 1024 * 1024;

/// Consensus messages under way to one peer.
pub(crate) const MESSAGES_IN_FLIGHT: usize = 256;

/// Bytes of results after which the further operations of one multiRead are refused: far more than
/// any client takes in one reply, while a request of a megabyte could ask for many gigabytes.
pub(crate) const MULTI_READ_BYTES: usize = 16 << 20;

/// Bytes of applied entries kept in memory for members that lag or were away.
pub(crate) const LOG_TAIL_BYTES: u64 = 256 << 20;

/// The same while a member is sent a snapshot: what comes after it, so that it need not start over.
pub(crate) const LOG_SENDING_BYTES: u64 = 1 << 30;

/// Sessions that one server alone knows: as many as it can hold connections. Only ones that were
/// left behind come on top, and these expire.
pub(crate) const LOCAL_SESSIONS: usize = 100_000;

/// How long the leader need not hear of a client that was heard, unless the client waits for that:
/// far less than any timeout, and enough to tell of many at once. Told at the latest by the tick
/// that follows.
pub(crate) const TOUCH_DELAY_US: u64 = 10_000;

/// How long a leader's disk stands still before another member takes over: 1 s. Disks that are
/// merely busy do not take that long, and every change of the leader costs clients a reconnect.
pub(crate) const STALLED_DISK_TICKS: usize = 50;

/// How long a reconfig waits for a majority of the voters that it asks for.
pub(crate) const RECONFIG_PATIENCE_US: u64 = 10_000_000;

/// Length of one tick of consensus: elections take a few hundred milliseconds.
pub(crate) const TICK_US: u64 = 20_000;

/// The same without other members: below the longest step of the expiry clock.
pub(crate) const TICK_ALONE_US: u64 = 100_000;
