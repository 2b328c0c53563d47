//! What is wanted, row by row.

use super::criteria::Bound::{self, AtLeast, AtMost, NeverAbove};
use super::criteria::{Criterion, Term};
use super::scene::Scene::{self, Ephemerals, Expiry, Idle, Neighbours, Throughput, Tree, Watches};
use super::subject::Subject::{Echo, Tenure, ZooKeeper};

/// All of them, in the order in which they are shown.
pub(crate) const CRITERIA: &[Criterion<Scene>] = &[
    throughput("reads, 32 connections × 16", AtLeast(4.0), READ, &[(ZooKeeper, READ)]),
    cpu("reads, 32 connections × 16", AtMost(0.2), READ_CPU, &[(ZooKeeper, READ_CPU)]),
    wanted(
        Throughput,
        "reads, 32 connections × 16",
        "operations per second, against the echo server",
        AtLeast(0.8),
        (Tenure, READ),
        &[(Echo, READ)],
    ),
    throughput("reads, 1 connection × 1", AtLeast(1.5), READ_1, &[(ZooKeeper, READ_1)]),
    cpu("reads, 1 connection × 1", AtMost(0.25), READ_1_CPU, &[(ZooKeeper, READ_1_CPU)]),
    wanted(
        Throughput,
        "durable writes, 1 connection × 1",
        "median latency in µs, against fdatasync + echo",
        AtMost(1.3),
        (Tenure, "write-1x1/write.p50"),
        &[(Tenure, "disk/write and fdatasync.p50"), (Echo, "read-1x1/read.p50")],
    ),
    throughput("durable writes, 32 × 16", AtLeast(3.0), WRITE, &[(ZooKeeper, WRITE)]),
    cpu("durable writes, 32 × 16", AtMost(0.2), WRITE_CPU, &[(ZooKeeper, WRITE_CPU)]),
    throughput("creates, 32 × 16", AtLeast(3.0), CREATE, &[(ZooKeeper, CREATE)]),
    cpu("creates, 32 × 16", AtMost(0.2), CREATE_CPU, &[(ZooKeeper, CREATE_CPU)]),
    throughput("mixed 90/10, 32 × 16", AtLeast(4.0), MIXED, &[(ZooKeeper, MIXED)]),
    wanted(
        Throughput,
        "mixed 90/10, 32 × 16",
        "p99 of reads in µs, against reads only",
        AtMost(3.0),
        (Tenure, "mixed-32x16/read.p99"),
        &[(Tenure, "read-32x16/read.p99")],
    ),
    wanted(
        Throughput,
        "sessions, 32 clients",
        "opened and closed per second",
        AtLeast(4.0),
        (Tenure, SESSIONS),
        &[(ZooKeeper, SESSIONS)],
    ),
    wanted(
        Idle,
        "idle sessions with an ephemeral each, 20,000 or as many as files can be open",
        "resident bytes per session",
        AtMost(2048.0),
        (Tenure, "idle/server_resident_bytes_per_session"),
        &[],
    ),
    wanted(
        Idle,
        "idle sessions with an ephemeral each, 20,000 or as many as files can be open",
        "percent of a core, with pings",
        AtMost(0.2),
        (Tenure, IDLE_CPU),
        &[(ZooKeeper, IDLE_CPU)],
    ),
    wanted(
        Tree,
        "1 M znodes of 100 B",
        "resident bytes per znode",
        AtMost(0.5),
        (Tenure, ZNODE_BYTES),
        &[(ZooKeeper, ZNODE_BYTES)],
    ),
    wanted(
        Tree,
        "1 M znodes of 100 B",
        "resident bytes per znode over the data",
        AtMost(350.0),
        (Tenure, "load/resident_bytes_over_data"),
        &[],
    ),
    wanted(
        Ephemerals,
        "a session with 100,000 ephemerals closes",
        "ms until all are gone",
        AtMost(0.333),
        (Tenure, GONE),
        &[(ZooKeeper, GONE)],
    ),
    wanted(
        Ephemerals,
        "a session with 100,000 ephemerals closes",
        "longest read of another session in ms",
        AtMost(20.0),
        (Tenure, "ephemerals/longest_read_meanwhile_ms"),
        &[],
    ),
    wanted(
        Expiry,
        "1,000 silent sessions, timeout 4 s",
        "sessions expired early, in any round",
        NeverAbove(0.0),
        (Tenure, "expiry/expired_early"),
        &[],
    ),
    wanted(
        Expiry,
        "1,000 silent sessions, timeout 4 s",
        "p99 of lateness in ms",
        AtMost(20.0),
        (Tenure, "expiry/p99_lateness_ms"),
        &[],
    ),
    wanted(
        Watches,
        "one change, 10,000 watchers",
        "ms until the last is notified",
        AtMost(0.333),
        (Tenure, NOTIFIED),
        &[(ZooKeeper, NOTIFIED)],
    ),
    wanted(
        Tree,
        "snapshot of 1 M znodes under writes, 32 × 1",
        "p99 of writes in µs, during against outside",
        AtMost(1.5),
        (Tenure, "snapshot/write_p99_during_us"),
        &[(Tenure, "snapshot/write_p99_outside_us")],
    ),
    beside("reads beside a flood of reads", "neighbours/read_p99_beside_reads_ratio"),
    beside("writes beside a flood of reads", "neighbours/write_p99_beside_reads_ratio"),
    beside("pings beside a flood of reads", "neighbours/ping_p99_beside_reads_ratio"),
    beside("reads beside a flood of writes", "neighbours/read_p99_beside_writes_ratio"),
    beside("writes beside a flood of writes", "neighbours/write_p99_beside_writes_ratio"),
    beside("pings beside a flood of writes", "neighbours/ping_p99_beside_writes_ratio"),
    wanted(
        Neighbours,
        "sessions beside floods",
        "sessions lost",
        NeverAbove(0.0),
        (Tenure, "neighbours/sessions_lost"),
        &[],
    ),
    wanted(
        Tree,
        "start with 1 M znodes",
        "seconds until the first read",
        AtMost(0.25),
        (Tenure, START),
        &[(ZooKeeper, START)],
    ),
];

const fn wanted(
    scene: Scene,
    load: &'static str,
    what: &'static str,
    bound: Bound,
    value: Term,
    against: &'static [Term],
) -> Criterion<Scene> {
    Criterion { scene, load, what, value, against, bound }
}

const fn beside(load: &'static str, key: &'static str) -> Criterion<Scene> {
    wanted(Neighbours, load, "p99, divided by that without", AtMost(3.0), (Tenure, key), &[])
}

const fn throughput(
    load: &'static str,
    bound: Bound,
    key: &'static str,
    against: &'static [Term],
) -> Criterion<Scene> {
    wanted(Throughput, load, "operations per second", bound, (Tenure, key), against)
}

const fn cpu(
    load: &'static str,
    bound: Bound,
    key: &'static str,
    against: &'static [Term],
) -> Criterion<Scene> {
    wanted(Throughput, load, "server CPU per operation in µs", bound, (Tenure, key), against)
}

const READ: &str = "read-32x16/operations_per_second";
const READ_CPU: &str = "read-32x16/server_cpu_us_per_operation";
const READ_1: &str = "read-1x1/operations_per_second";
const READ_1_CPU: &str = "read-1x1/server_cpu_us_per_operation";
const WRITE: &str = "write-32x16/operations_per_second";
const WRITE_CPU: &str = "write-32x16/server_cpu_us_per_operation";
const CREATE: &str = "create-32x16/operations_per_second";
const CREATE_CPU: &str = "create-32x16/server_cpu_us_per_operation";
const MIXED: &str = "mixed-32x16/operations_per_second";
const SESSIONS: &str = "sessions-32/operations_per_second";
const IDLE_CPU: &str = "idle/server_idle_cpu_percent";
const ZNODE_BYTES: &str = "load/server_resident_bytes_per_znode";
const GONE: &str = "ephemerals/all_gone_ms";
const NOTIFIED: &str = "watches/last_notification_ms";
const START: &str = "start/seconds";
