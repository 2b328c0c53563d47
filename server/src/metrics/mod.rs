//! What the server counts about itself. One table names every metric as ZooKeeper does; `mntr`
//! text, Prometheus text and the admin `monitor` JSON are three renderings of it.
//!
//! The I/O thread owns [`Metrics`] and counts without locks. Whoever wants to see the numbers gets
//! a [`Snapshot`] of them.

mod connection;
mod histogram;
mod lines;
mod process;
mod prometheus;
mod readings;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

pub use connection::{ConnectionStats, Done};
pub use histogram::Histogram;
pub use process::ProcessInfo;
pub use readings::{FollowerReading, LeaderReadings, Readings, ServerState};
pub use snapshot::{Number, Snapshot};

use std::collections::BTreeMap;

use tenure_wire::{EventType, OpCode};

/// Everything counted since the start or the last reset. Plain fields: the hot path adds to them
/// directly or through the methods below.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Frames received from clients, handshakes and four-letter words included.
    pub packets_received: u64,
    /// Frames sent to clients, notifications included.
    pub packets_sent: u64,
    /// Bytes received from clients.
    pub bytes_received: u64,
    /// Bytes of replies.
    pub response_bytes: u64,
    /// Sizes of replies in bytes.
    pub response_sizes: ResponseSizes,
    /// Sizes of the entries that this server proposed, in bytes.
    pub proposal_sizes: ResponseSizes,
    /// Latency of every request, pings included, in microseconds.
    pub request_latency_us: Histogram,
    /// Latency of reads, from frame read to reply queued, in microseconds.
    pub read_latency_us: Histogram,
    /// Latency of writes, from frame read to reply queued, in microseconds.
    pub write_latency_us: Histogram,
    /// Time to append and sync one batch of the log, in microseconds.
    pub sync_us: Histogram,
    /// Entries in one synced batch of the log.
    pub sync_batch_entries: Histogram,
    /// Batches waiting for the disk when another is handed over.
    pub sync_queue_batches: Histogram,
    /// Syncs that took longer than `fsync.warningthresholdms`.
    pub slow_syncs: u64,
    /// Entries handed to the log.
    pub proposals: u64,
    /// Entries committed.
    pub commits: u64,
    /// Time to write one snapshot, in microseconds.
    pub snapshot_us: Histogram,
    /// Snapshots that could not be written.
    pub snapshot_errors: u64,
    /// Time to recover the data folder at start, in microseconds.
    pub recovery_us: Histogram,
    /// How long this server did not serve for lack of a leader, in microseconds.
    pub leaderless_us: Histogram,
    /// From when this leader proposed an entry until a follower had confirmed it, in microseconds,
    /// by the follower's number: a sample of them.
    pub ack_us: BTreeMap<u64, Histogram>,
    /// From when a voting member knew its leader until it was in sync, in microseconds.
    pub follower_sync_us: Histogram,
    /// The same of a member without a vote.
    pub observer_sync_us: Histogram,
    /// Time to read the newest snapshot at start, in microseconds.
    pub recovery_snapshot_us: Histogram,
    /// Time to read the log behind it at start, in microseconds.
    pub recovery_log_us: Histogram,
    /// Entries applied from the log at start.
    pub recovery_entries: Histogram,
    /// Handshakes received.
    pub connection_requests: u64,
    /// Connections closed at accept, because a bound was reached.
    pub connections_rejected: u64,
    /// Chance that a handshake is turned away in a storm.
    pub drop_chance: f64,
    /// Connections closed to spare the server from a connect storm.
    pub connections_dropped: u64,
    /// Times that a limit was reached, by [`Limited`].
    pub limited: [u64; Limited::COUNT],
    /// Connections closed because their clients did not read.
    pub slow_readers_closed: u64,
    /// Requests refused because they had waited too long.
    pub throttled_ops: u64,
    /// Connections closed because they never began a session.
    pub sessionless_connections_expired: u64,
    /// Connections whose handshake asked for the session they had before.
    pub connections_revalidated: u64,
    /// Sessions expired.
    pub sessions_expired: u64,
    /// Times that this server served under a new leader.
    pub elections: u64,
    /// Failed authentications.
    pub auth_failed: u64,
    /// Requests and credentials that were refused to somebody.
    pub denials: u64,
    /// Failed TLS handshakes.
    pub unsuccessful_handshakes: u64,
    /// Request frames larger than the server takes.
    pub large_requests_rejected: u64,
    /// Times that reading from a client paused, because too much was outstanding.
    pub throttle_waits: u64,
    /// Requests of connections already closed.
    pub stale_requests: u64,
    /// Replies to connections already closed.
    pub stale_replies: u64,
    /// Failures after which the server stops.
    pub unrecoverable_errors: u64,
    /// Times that the wall clock was set.
    pub clock_steps: u64,
    /// Times that the I/O loop stood still, in microseconds.
    pub pauses_us: Histogram,
    /// Storms of expiries.
    pub expiry_storms: u64,
    /// Times that the disk of the log was full.
    pub disk_full_times: u64,
    /// Answered requests by operation, in the order of [`OpCode::ALL`].
    pub requests: RequestCounts,
    /// Watches fired by one creation.
    pub node_created_watches: Histogram,
    /// Watches fired by one deletion.
    pub node_deleted_watches: Histogram,
    /// Watches fired by one change of data.
    pub node_changed_watches: Histogram,
    /// Watches fired by one change of children.
    pub node_children_watches: Histogram,
}

/// How many requests of each operation were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestCounts([u64; OpCode::ALL.len()]);

impl Default for RequestCounts {
    fn default() -> Self {
        Self([0; OpCode::ALL.len()])
    }
}

impl RequestCounts {
    /// Counts one.
    pub fn count(&mut self, op: OpCode) {
        // A short table: the common operations are in front.
        if let Some(at) = OpCode::ALL.iter().position(|known| *known == op) {
            self.0[at] += 1;
        }
    }

    /// Names and counts of what was asked for at all.
    pub fn by_name(&self) -> Vec<(&'static str, u64)> {
        let counts = OpCode::ALL.iter().zip(self.0);
        counts.filter(|(_, count)| *count > 0).map(|(op, count)| (op.name(), count)).collect()
    }
}

/// Limits that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Open connections.
    Connections,
    /// Live sessions.
    Sessions,
    /// Requests that wait for an answer.
    Outstanding,
    /// Bytes not sent yet.
    Unsent,
    /// Requests per second.
    Requests,
    /// Bytes of large requests.
    LargeRequests,
    /// Watched paths.
    Watches,
    /// Znodes, in all, of a session or below a path with a quota.
    Znodes,
    /// Handshakes in a storm of them.
    Storm,
    /// Memory.
    Memory,
}

impl Limited {
    /// How many there are.
    pub const COUNT: usize = Self::Memory as usize + 1;

    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Sessions => "sessions",
            Self::Outstanding => "outstandingRequests",
            Self::Unsent => "unsentKiB",
            Self::Requests => "requestsPerSecond",
            Self::LargeRequests => "largeRequestMaxBytes",
            Self::Watches => "watches",
            Self::Znodes => "znodes",
            Self::Storm => "connection_throttle",
            Self::Memory => "memory",
        }
    }
}

/// What kind of request took its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Answered from the local tree.
    Read,
    /// Went through the log; session creation and closing included.
    Write,
    /// A ping, or an authentication.
    Session,
}

/// Sizes of replies, or of proposals, in bytes; `None` before the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseSizes {
    /// Last, smallest and largest, in this order.
    sizes: Option<(u32, u32, u32)>,
}

impl ResponseSizes {
    fn record(&mut self, bytes: u32) {
        self.sizes = Some(match self.sizes {
            None => (bytes, bytes, bytes),
            Some((_, min, max)) => (bytes, min.min(bytes), max.max(bytes)),
        });
    }

    /// Bytes of the last one, or -1.
    pub fn last(self) -> i64 {
        self.sizes.map_or(-1, |s| s.0.into())
    }

    /// Bytes of the smallest one, or -1.
    pub fn min(self) -> i64 {
        self.sizes.map_or(-1, |s| s.1.into())
    }

    /// Bytes of the largest one, or -1.
    pub fn max(self) -> i64 {
        self.sizes.map_or(-1, |s| s.2.into())
    }
}

impl Metrics {
    /// A frame came in, its length prefix included in `bytes`.
    pub fn frame_received(&mut self, bytes: usize) {
        self.packets_received += 1;
        self.bytes_received += bytes as u64;
    }

    /// A reply or notification was queued, its length prefix included in `bytes`.
    pub fn frame_sent(&mut self, bytes: usize) {
        self.packets_sent += 1;
        self.response_bytes += bytes as u64;
        self.response_sizes.record(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// The leader handed an entry of so many bytes to the log.
    pub fn proposed(&mut self, bytes: usize) {
        self.proposals += 1;
        self.proposal_sizes.record(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// A request was answered this long after its frame was read.
    pub fn request_done(&mut self, kind: RequestKind, latency_us: u64) {
        self.request_latency_us.record(latency_us);
        match kind {
            RequestKind::Read => self.read_latency_us.record(latency_us),
            RequestKind::Write => self.write_latency_us.record(latency_us),
            RequestKind::Session => {}
        }
    }

    /// A batch of the log became durable; `waiting` batches still wait.
    pub fn batch_synced(&mut self, entries: usize, took_us: u64, waiting: usize) {
        self.sync_us.record(took_us);
        self.sync_batch_entries.record(entries as u64);
        self.sync_queue_batches.record(waiting as u64);
    }

    /// A follower confirmed an entry this long after this leader proposed it.
    pub fn acked(&mut self, member: u64, took_us: u64) {
        self.ack_us.entry(member).or_default().record(took_us);
    }

    /// This server took so long to get in sync with a leader.
    pub fn in_sync(&mut self, took_us: u64, is_observer: bool) {
        match is_observer {
            true => self.observer_sync_us.record(took_us),
            false => self.follower_sync_us.record(took_us),
        }
    }

    /// One change fired this many watches of one kind.
    pub fn watches_fired(&mut self, event: EventType, watches: usize) {
        let histogram = match event {
            EventType::NodeCreated => &mut self.node_created_watches,
            EventType::NodeDeleted => &mut self.node_deleted_watches,
            EventType::NodeDataChanged => &mut self.node_changed_watches,
            EventType::NodeChildrenChanged => &mut self.node_children_watches,
            // Nothing else is ever fired by a change.
            _ => return,
        };
        histogram.record(watches as u64);
    }

    /// Starts all over, as `srst` asks.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
