//! The table of metrics: one row per name, in ZooKeeper's spelling, and where its value comes from.

use std::collections::BTreeMap;

use super::Limited;
use super::Metrics;
use super::histogram::Histogram;
use super::process::ProcessInfo;
use super::readings::{LeaderReadings, Readings};
use crate::admin::NotReady;

/// One metric.
pub(crate) struct Metric {
    /// Its name without any prefix.
    pub(crate) name: &'static str,
    /// One sentence for whoever reads the Prometheus text.
    pub(crate) help: &'static str,
    /// Where its value comes from.
    pub(crate) source: Source,
}

/// Where a value comes from, which also says what kind of metric it is.
pub(crate) enum Source {
    /// Only grows, until a reset.
    Counter(fn(&Metrics) -> u64),
    /// A level that was counted.
    Level(fn(&Metrics) -> i64),
    /// A mean.
    Mean(fn(&Metrics) -> f64),
    /// A level read off the live server.
    Reading(fn(&Readings) -> u64),
    /// A level that only a leader has; left out elsewhere.
    Leader(fn(&LeaderReadings) -> i64),
    /// The number of voting members; left out by a server of its own.
    Quorum(fn(&Readings) -> Option<u64>),
    /// A level the operating system knows.
    Process(fn(&ProcessInfo) -> u64),
    /// Counts of values, shown as count, sum, extremes and, if detailed, percentiles.
    Summary(Detail, Unit, fn(&Metrics) -> &Histogram),
    /// The same for each member there are values of.
    SummaryByMember(Detail, Unit, fn(&Metrics) -> &BTreeMap<u64, Histogram>),
    /// Something that this server does not have and whose count therefore is zero: read caches,
    /// learner traffic of a server of its own. Dashboards show a flat line, not "no data".
    Zero,
    /// `Zero` with the shape of a summary.
    ZeroSummary(Detail),
    /// Prometheus only: cumulative buckets in seconds over microseconds.
    Buckets(fn(&Metrics) -> &Histogram),
    /// Prometheus only: a counter that the reference server does not have.
    Own(fn(&Metrics) -> u64),
    /// Prometheus only: a level that the reference server does not have; left out where there is
    /// none.
    OwnLevel(fn(&Readings) -> Option<u64>),
    /// Prometheus only: one counter for each operation.
    ByOperation,
    /// Prometheus only: a counter of the process.
    ProcessTotal(fn(&ProcessInfo) -> f64),
    /// Prometheus only: a level of the process.
    ProcessLevel(fn(&ProcessInfo) -> u64),
}

/// Whether a summary shows percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Count, sum, extremes, mean.
    Basic,
    /// Percentiles as well.
    Advanced,
}

/// What a summary's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Recorded in microseconds, shown in milliseconds.
    Time,
    /// Shown as recorded.
    Count,
}

use Detail::{Advanced, Basic};
use Source::*;
use Unit::{Count, Time};

const fn row(name: &'static str, source: Source, help: &'static str) -> Metric {
    Metric { name, help, source }
}

const fn limit(name: &'static str, count: fn(&Metrics) -> u64) -> Metric {
    row(name, Counter(count), "Times that this limit was reached.")
}

/// Every metric. The order is that of `mntr`: levels, counters, summaries.
pub(crate) static METRICS: &[Metric] = &[
    row("ephemerals_count", Reading(|r| r.ephemerals_count), "Ephemeral znodes."),
    row("num_alive_connections", Reading(|r| r.alive_connections), "Open client connections."),
    row("avg_latency", Mean(|m| m.request_latency_us.mean() / 1000.0), "Mean latency, ms."),
    row("outstanding_requests", Reading(|r| r.outstanding_requests), "Requests not yet answered."),
    row("znode_count", Reading(|r| r.znode_count), "Znodes."),
    row("global_sessions", Reading(|r| r.global_sessions), "Live sessions."),
    row(
        "non_mtls_remote_conn_count",
        Reading(|r| r.plain_remote_connections),
        "Connections without TLS from other machines.",
    ),
    row("last_client_response_size", Level(|m| m.response_sizes.last()), "Last reply, bytes."),
    row("packets_sent", Counter(|m| m.packets_sent), "Frames sent to clients."),
    row("packets_received", Counter(|m| m.packets_received), "Frames received from clients."),
    row("max_client_response_size", Level(|m| m.response_sizes.max()), "Largest reply, bytes."),
    row(
        "connection_drop_probability",
        Mean(|m| m.drop_chance),
        "Chance of being turned away in a storm.",
    ),
    row("watch_count", Reading(|r| r.watch_count), "Watches set."),
    row("auth_failed_count", Counter(|m| m.auth_failed), "Failed authentications."),
    row("min_latency", Level(|m| millis(m.request_latency_us.min())), "Least latency, ms."),
    row("max_file_descriptor_count", Process(|p| p.max_files), "Open files allowed."),
    row(
        "approximate_data_size",
        Reading(|r| r.approximate_data_bytes),
        "Bytes of all paths and data.",
    ),
    row("open_file_descriptor_count", Process(|p| p.open_files), "Open files."),
    row("local_sessions", Reading(|r| r.local_sessions), "Sessions known to this server alone."),
    row("uptime", Reading(|r| r.uptime_ms), "Milliseconds since the start."),
    row("max_latency", Level(|m| millis(m.request_latency_us.max())), "Greatest latency, ms."),
    row(
        "outstanding_tls_handshake",
        Reading(|r| r.tls_handshakes),
        "TLS handshakes of clients under way.",
    ),
    row("min_client_response_size", Level(|m| m.response_sizes.min()), "Smallest reply, bytes."),
    row(
        "non_mtls_local_conn_count",
        Reading(|r| r.plain_local_connections),
        "Connections without TLS from this machine.",
    ),
    row("quorum_size", Quorum(|r| r.quorum_size), "Voting members of the ensemble."),
    row("learners", Leader(|l| level(l.learners)), "Connected followers and observers."),
    row("synced_followers", Leader(|l| level(l.synced_followers)), "Followers in sync."),
    row(
        "synced_non_voting_followers",
        Leader(|l| level(l.synced_non_voting_followers)),
        "Non-voting followers in sync.",
    ),
    row("synced_observers", Leader(|l| level(l.synced_observers)), "Observers in sync."),
    row("pending_syncs", Leader(|l| level(l.pending_syncs)), "Client syncs not yet answered."),
    row("leader_uptime", Leader(|l| level(l.uptime_ms)), "Milliseconds of this leadership."),
    row("last_proposal_size", Leader(|l| l.last_proposal_bytes), "Last proposal, bytes."),
    row("min_proposal_size", Leader(|l| l.min_proposal_bytes), "Smallest proposal, bytes."),
    row("max_proposal_size", Leader(|l| l.max_proposal_bytes), "Largest proposal, bytes."),
    row("watch_bytes", Zero, "Not tracked."),
    row("stale_requests_dropped", Counter(|m| m.stale_requests), "Requests of closed connections."),
    row("throttled_ops", Counter(|m| m.throttled_ops), "Requests refused for their age."),
    row("insecure_admin_count", Zero, "Admin requests without TLS; not tracked."),
    row("connection_rejected", Counter(|m| m.connections_rejected), "Closed at accept."),
    row(
        "sessionless_connections_expired",
        Counter(|m| m.sessionless_connections_expired),
        "Connections that never began a session.",
    ),
    row("stale_requests", Counter(|m| m.stale_requests), "Requests of closed connections."),
    row("connection_drop_count", Counter(|m| m.connections_dropped), "Turned away in a storm."),
    row("response_packet_cache_hits", Zero, "There is no such cache."),
    row("bytes_received_count", Counter(|m| m.bytes_received), "Bytes received from clients."),
    row("request_throttle_wait_count", Counter(|m| m.throttle_waits), "Pauses of reading."),
    row("response_packet_cache_misses", Zero, "There is no such cache."),
    row("stale_replies", Counter(|m| m.stale_replies), "Replies to closed connections."),
    row("response_bytes", Counter(|m| m.response_bytes), "Bytes of replies."),
    row("prep_processor_request_queued", Counter(|m| m.proposals), "Entries handed to the log."),
    row("sync_processor_request_queued", Counter(|m| m.proposals), "Entries handed to the log."),
    row("ensemble_auth_fail", Zero, "Wrong ensemble names."),
    row("diff_count", Zero, "Followers caught up from the log."),
    row(
        "connection_revalidate_count",
        Counter(|m| m.connections_revalidated),
        "Handshakes that asked for an earlier session.",
    ),
    row("unrecoverable_error_count", Counter(|m| m.unrecoverable_errors), "Fatal failures."),
    row("unsuccessful_handshake", Counter(|m| m.unsuccessful_handshakes), "Failed TLS handshakes."),
    row("commit_count", Counter(|m| m.commits), "Entries committed."),
    row("outstanding_changes_queued", Counter(|m| m.proposals), "Entries handed to the log."),
    row("request_commit_queued", Counter(|m| m.commits), "Entries committed."),
    row("ensemble_auth_skip", Zero, "Clients that named no ensemble."),
    row("proposal_count", Counter(|m| m.proposals), "Entries handed to the log."),
    row("large_requests_rejected", Counter(|m| m.large_requests_rejected), "Frames too large."),
    row("outstanding_changes_removed", Counter(|m| m.commits), "Entries committed."),
    row("looking_count", Counter(|m| m.elections), "Elections seen."),
    row("digest_mismatches_count", Zero, "Replicas that differ."),
    row("ensemble_auth_success", Zero, "Right ensemble names."),
    row("snapshot_error_count", Counter(|m| m.snapshot_errors), "Snapshots that failed."),
    row("connection_request_count", Counter(|m| m.connection_requests), "Handshakes received."),
    row("snap_count", Zero, "Followers caught up by a snapshot."),
    row("stale_sessions_expired", Counter(|m| m.sessions_expired), "Sessions expired."),
    row("revalidate_count", Zero, "Sessions checked with the leader."),
    row("response_packet_get_children_cache_misses", Zero, "There is no such cache."),
    row("response_packet_get_children_cache_hits", Zero, "There is no such cache."),
    row("tls_handshake_exceeded", Zero, "TLS handshakes refused."),
    row(
        "node_created_watch_count",
        Summary(Basic, Count, |m| &m.node_created_watches),
        "Watches fired by a creation.",
    ),
    row(
        "node_deleted_watch_count",
        Summary(Basic, Count, |m| &m.node_deleted_watches),
        "Watches fired by a deletion.",
    ),
    row(
        "node_changed_watch_count",
        Summary(Basic, Count, |m| &m.node_changed_watches),
        "Watches fired by a change of data.",
    ),
    row(
        "node_children_watch_count",
        Summary(Basic, Count, |m| &m.node_children_watches),
        "Watches fired by a change of children.",
    ),
    row("fsynctime", Summary(Basic, Time, |m| &m.sync_us), "Append and sync of a batch, ms."),
    row("snapshottime", Summary(Basic, Time, |m| &m.snapshot_us), "Writing a snapshot, ms."),
    row("dbinittime", Summary(Basic, Time, |m| &m.recovery_us), "Recovery at start, ms."),
    row(
        "startup_snap_load_time",
        Summary(Basic, Time, |m| &m.recovery_snapshot_us),
        "Reading the snapshot at start, ms.",
    ),
    row(
        "startup_txns_load_time",
        Summary(Basic, Time, |m| &m.recovery_log_us),
        "Reading the log at start, ms.",
    ),
    row(
        "startup_txns_loaded",
        Summary(Basic, Count, |m| &m.recovery_entries),
        "Entries applied at start.",
    ),
    row(
        "sync_processor_queue_size",
        Summary(Basic, Count, |m| &m.sync_queue_batches),
        "Batches waiting for the disk.",
    ),
    row(
        "sync_processor_batch_size",
        Summary(Basic, Count, |m| &m.sync_batch_entries),
        "Entries in one synced batch.",
    ),
    row("prep_processor_queue_size", ZeroSummary(Basic), "Requests are not queued here."),
    row(
        "election_time",
        Summary(Basic, Time, |m| &m.leaderless_us),
        "From the loss of a leader to service under the next, ms.",
    ),
    row(
        "leader_unavailable_time",
        Summary(Basic, Time, |m| &m.leaderless_us),
        "Time without a leader, ms.",
    ),
    row(
        "unavailable_time",
        Summary(Basic, Time, |m| &m.leaderless_us),
        "Time without service, ms.",
    ),
    row(
        "follower_sync_time",
        Summary(Basic, Time, |m| &m.follower_sync_us),
        "From when a follower knew its leader until it was in sync, ms.",
    ),
    row(
        "observer_sync_time",
        Summary(Basic, Time, |m| &m.observer_sync_us),
        "From when an observer knew its leader until it was in sync, ms.",
    ),
    row("readlatency", Summary(Advanced, Time, |m| &m.read_latency_us), "Latency of reads, ms."),
    row(
        "updatelatency",
        Summary(Advanced, Time, |m| &m.write_latency_us),
        "Latency of writes, ms.",
    ),
    row(
        "propagation_latency",
        Summary(Advanced, Time, |m| &m.write_latency_us),
        "From receipt of a write to its effect, ms.",
    ),
    row(
        "sync_processor_queue_and_flush_time_ms",
        Summary(Advanced, Time, |m| &m.sync_us),
        "Append and sync of a batch, ms.",
    ),
    row(
        "sync_processor_queue_flush_time_ms",
        Summary(Advanced, Time, |m| &m.sync_us),
        "Append and sync of a batch, ms.",
    ),
    row(
        "proposal_latency",
        Summary(Advanced, Time, |m| &m.write_latency_us),
        "From receipt of a write to its effect, which a quorum precedes, ms.",
    ),
    row(
        "quorum_ack_latency",
        Summary(Advanced, Time, |m| &m.write_latency_us),
        "From receipt of a write to its effect, which a quorum precedes, ms.",
    ),
    row(
        "jvm_pause_time_ms",
        Summary(Advanced, Time, |m| &m.pauses_us),
        "Pauses of the I/O loop, ms.",
    ),
    row(
        "ack_latency",
        SummaryByMember(Advanced, Time, |m| &m.ack_us),
        "From a leader's proposal to a follower's answer, ms.",
    ),
    row("tenure_denials", Counter(|m| m.denials), "Requests and credentials refused."),
    row(
        "tenure_audit_records_lost",
        Reading(|r| r.audit_records_lost),
        "Records that the audit log's disk was too slow or too full for.",
    ),
    limit("tenure_limit_connections_reached", |m| m.limited[Limited::Connections as usize]),
    limit("tenure_limit_sessions_reached", |m| m.limited[Limited::Sessions as usize]),
    limit("tenure_limit_outstanding_reached", |m| m.limited[Limited::Outstanding as usize]),
    limit("tenure_limit_unsent_reached", |m| m.limited[Limited::Unsent as usize]),
    limit("tenure_limit_requests_reached", |m| m.limited[Limited::Requests as usize]),
    limit("tenure_limit_watches_reached", |m| m.limited[Limited::Watches as usize]),
    limit("tenure_limit_znodes_reached", |m| m.limited[Limited::Znodes as usize]),
    limit("tenure_limit_storm_reached", |m| m.limited[Limited::Storm as usize]),
    limit("tenure_limit_memory_reached", |m| m.limited[Limited::Memory as usize]),
    row(
        "tenure_slow_readers_closed",
        Counter(|m| m.slow_readers_closed),
        "Connections closed because their clients did not read.",
    ),
    row("tenure_tenants", Reading(|r| r.tenants), "Addresses and identities with connections."),
    row("tenure_unread_connections", Reading(|r| r.unread), "Connections left unread."),
    row("tenure_memory_used_bytes", Reading(|r| r.memory_used), "Memory used, as estimated."),
    row("tenure_memory_limit_bytes", Reading(|r| r.memory_limit), "Its limit; 0 for none."),
    row(
        "tenure_refuses_growth",
        Reading(|r| r.refuses_growth.into()),
        "1 while writes that need more memory are refused.",
    ),
    row(
        "tenure_read_latency_seconds",
        Buckets(|m| &m.read_latency_us),
        "Latency of reads, from frame read to reply queued.",
    ),
    row(
        "tenure_write_latency_seconds",
        Buckets(|m| &m.write_latency_us),
        "Latency of writes, from frame read to reply queued.",
    ),
    row(
        "tenure_log_sync_seconds",
        Buckets(|m| &m.sync_us),
        "Time to append and sync one batch of the log.",
    ),
    row("tenure_requests_total", ByOperation, "Requests answered, by operation."),
    row("tenure_serving", OwnLevel(|r| Some(u64::from(r.serving))), "Clients are served."),
    row(
        "tenure_ready",
        OwnLevel(|r| Some(u64::from(NotReady::of(r).is_none()))),
        "Reads and writes are served: what /readyz says.",
    ),
    row(
        "tenure_leader_id",
        OwnLevel(|r| r.quorum_size.map(|_| r.led_by.unwrap_or(0))),
        "Number of the leader; 0 without one.",
    ),
    row("tenure_disk_full", OwnLevel(|r| Some(u64::from(r.disk_full))), "Writes wait for room."),
    row(
        "tenure_disk_busy_milliseconds",
        OwnLevel(|r| Some(r.disk_busy_ms)),
        "For how long the disk has been at one write or sync.",
    ),
    row(
        "tenure_max_follower_lag_entries",
        OwnLevel(|r| r.leader.as_ref().map(|_| lag(r))),
        "Entries that the furthest behind of the connected members lacks; only at the leader.",
    ),
    row("tenure_slow_syncs_total", Own(|m| m.slow_syncs), "Syncs over fsync.warningthresholdms."),
    row("tenure_clock_steps_total", Own(|m| m.clock_steps), "Times the wall clock was set."),
    row("tenure_pauses_total", Own(|m| m.pauses_us.count()), "Times the I/O loop stood still."),
    row("tenure_expiry_storms_total", Own(|m| m.expiry_storms), "Times many sessions expired."),
    row("tenure_disk_full_total", Own(|m| m.disk_full_times), "Times the disk was full."),
    row("process_cpu_seconds_total", ProcessTotal(|p| p.cpu_seconds), "CPU time spent."),
    row("process_resident_memory_bytes", ProcessLevel(|p| p.resident_bytes), "Resident memory."),
    row("process_virtual_memory_bytes", ProcessLevel(|p| p.virtual_bytes), "Mapped memory."),
    row("process_open_fds", ProcessLevel(|p| p.open_files), "Open file descriptors."),
    row("process_max_fds", ProcessLevel(|p| p.max_files), "Open file descriptors allowed."),
];

/// The worst lag of those members that are connected.
fn lag(readings: &Readings) -> u64 {
    let connected = readings.followers.iter().filter(|follower| follower.is_connected());
    connected.map(|follower| follower.behind).max().unwrap_or(0)
}

/// Whole milliseconds of microseconds.
pub(crate) fn millis(micros: u64) -> i64 {
    level(micros / 1000)
}

fn level(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
