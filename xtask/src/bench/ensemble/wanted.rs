//! What is wanted of three servers.

use super::Part::{self, Away, Expiry, Kill, Pings, Reads, Rolling, Single, Stop, Writes};
use crate::bench::criteria::Bound::{self, AtLeast, AtMost, NeverAbove};
use crate::bench::criteria::{Criterion, Term, Verdict};
use crate::bench::results::Results;
use crate::bench::subject::Subject::{Echo, Tenure, ZooKeeper};

/// The verdicts on one part.
pub(super) fn judge(part: Part, results: &Results) -> Vec<Verdict> {
    let of_part = CRITERIA.iter().filter(|criterion| criterion.scene == part);
    of_part.map(|criterion| criterion.judge(results)).collect()
}

const CRITERIA: &[Criterion<Part>] = &[
    own(Kill, KILL, "ms until every writer writes again", AtMost(300.0), KILL_GAP),
    own(Kill, KILL, WORST, NeverAbove(1000.0), KILL_GAP),
    ratio(
        Kill,
        KILL,
        "ms until every writer writes again, against ZooKeeper",
        AtMost(0.333),
        (Tenure, KILL_GAP),
        &[(ZooKeeper, KILL_GAP)],
    ),
    own(Kill, KILL, LOST_SESSIONS, NeverAbove(0.0), "kill/sessions_lost"),
    own(Kill, KILL, LOST_EPHEMERALS, NeverAbove(0.0), "kill/ephemerals_missing"),
    own(Kill, KILL, LOST_WRITES, NeverAbove(0.0), "kill/acknowledged_writes_lost"),
    own(Stop, STOP, "ms without writes of some writer", AtMost(100.0), "stop/without_writes_ms"),
    own(Stop, STOP, LOST_SESSIONS, NeverAbove(0.0), "stop/sessions_lost"),
    own(Stop, STOP, LOST_WRITES, NeverAbove(0.0), "stop/acknowledged_writes_lost"),
    own(Stop, STOP, "errors, in any round", NeverAbove(0.0), "stop/errors"),
    own(Stop, STOP, AGAIN, NeverAbove(0.0), "stop/links_lost_again"),
    own(
        Rolling,
        ROLLING,
        "ms without writes of some writer, per server",
        AtMost(100.0),
        "rolling/without_writes_ms",
    ),
    own(Rolling, ROLLING, LOST_SESSIONS, NeverAbove(0.0), "rolling/sessions_lost"),
    own(Rolling, ROLLING, LOST_WRITES, NeverAbove(0.0), "rolling/acknowledged_writes_lost"),
    own(Rolling, ROLLING, "errors, in any round", NeverAbove(0.0), "rolling/errors"),
    own(Rolling, ROLLING, AGAIN, NeverAbove(0.0), "rolling/links_lost_again"),
    ratio(
        Writes,
        "durable writes, 32 × 16, spread over the servers",
        "operations per second",
        AtLeast(3.0),
        (Tenure, WRITE),
        &[(ZooKeeper, WRITE)],
    ),
    ratio(
        Writes,
        "durable writes, 32 × 16, spread over the servers",
        "CPU per operation in µs, all servers together",
        AtMost(0.25),
        (Tenure, WRITE_CPU),
        &[(ZooKeeper, WRITE_CPU)],
    ),
    ratio(
        Single,
        "durable writes, 1 × 1, at the leader",
        "median latency in µs",
        AtMost(1.0),
        (Tenure, WRITE_1),
        &[(ZooKeeper, WRITE_1)],
    ),
    ratio(
        Single,
        "durable writes, 1 × 1, at the leader",
        "median latency in µs, against 2 × (fdatasync + echo)",
        AtMost(1.5),
        (Tenure, WRITE_1),
        &[(Tenure, DISK), (Tenure, DISK), (Echo, ECHO), (Echo, ECHO)],
    ),
    ratio(
        Single,
        "durable writes, 1 × 1, at a follower",
        "median latency in µs",
        AtMost(1.0),
        (Tenure, WRITE_1_FOLLOWER),
        &[(ZooKeeper, WRITE_1_FOLLOWER)],
    ),
    ratio(
        Reads,
        "reads, 32 × 16, at one follower",
        "operations per second, against a server alone",
        AtLeast(0.9),
        (Tenure, "read-at-follower-32x16/operations_per_second"),
        &[(Tenure, "read-alone-32x16/operations_per_second")],
    ),
    own(
        Expiry,
        "1,000 silent sessions at all servers, timeout 4 s",
        "sessions expired early, in any round",
        NeverAbove(0.0),
        "expiry/expired_early",
    ),
    own(
        Expiry,
        "1,000 silent sessions at all servers, timeout 4 s",
        "p99 of lateness in ms",
        AtMost(30.0),
        "expiry/p99_lateness_ms",
    ),
    own(
        Pings,
        "pings at a follower beside writes, 32 × 16",
        "p99 of the reply in µs",
        AtMost(50_000.0),
        "pings/ping.p99",
    ),
    ratio(
        Away,
        "a follower comes back that missed 1 M writes",
        "p99 of the leader's writes in µs, meanwhile against before",
        AtMost(1.5),
        (Tenure, "away/write_p99_meanwhile_us"),
        &[(Tenure, "away/write_p99_before_us")],
    ),
    // Before, there are two servers on this machine, and three from then on.
    ratio(
        Away,
        "a follower comes back that missed 1 M writes",
        "p99 of the leader's writes in µs, meanwhile against afterwards",
        AtMost(1.5),
        (Tenure, "away/write_p99_meanwhile_us"),
        &[(Tenure, "away/write_p99_after_us")],
    ),
];

const fn own(
    scene: Part,
    load: &'static str,
    what: &'static str,
    bound: Bound,
    key: &'static str,
) -> Criterion<Part> {
    ratio(scene, load, what, bound, (Tenure, key), &[])
}

const fn ratio(
    scene: Part,
    load: &'static str,
    what: &'static str,
    bound: Bound,
    value: Term,
    against: &'static [Term],
) -> Criterion<Part> {
    Criterion { scene, load, what, value, against, bound }
}

const KILL: &str = "the leader is killed, 200 sessions, steady writes";
const STOP: &str = "the leader is stopped, 200 sessions, steady writes";
const ROLLING: &str = "all are restarted in turn, 200 sessions, steady writes";
const WORST: &str = "ms until every writer writes again, worst of all";
const LOST_SESSIONS: &str = "sessions lost, in any round";
const LOST_EPHEMERALS: &str = "ephemerals missing at the end, in any round";
const LOST_WRITES: &str = "acknowledged writes lost, in any round";
const AGAIN: &str = "links lost more than once by a session, in any round";
const KILL_GAP: &str = "kill/without_writes_ms";
const WRITE: &str = "write-32x16/operations_per_second";
const WRITE_CPU: &str = "write-32x16/server_cpu_us_per_operation";
const WRITE_1: &str = "write-1x1/write.p50";
const WRITE_1_FOLLOWER: &str = "write-1x1-at-follower/write.p50";
const DISK: &str = "disk/write and fdatasync.p50";
const ECHO: &str = "read-1x1/read.p50";

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_part_is_judged() {
        for part in Part::value_variants() {
            assert!(!judge(*part, &Results::new(1)).is_empty(), "{part:?}");
        }
    }

    #[test]
    fn the_worst_of_all_kills_counts_beside_their_median() {
        let mut results = Results::new(1);
        for (gap, theirs) in [(100.0, 2000.0), (200.0, 3000.0), (1500.0, 4000.0)] {
            results.add(Tenure, KILL_GAP, gap);
            results.add(ZooKeeper, KILL_GAP, theirs);
        }
        let met: Vec<_> = judge(Kill, &results).iter().map(|verdict| verdict.met).collect();
        assert_eq!(met[..4], [Some(true), Some(false), Some(true), None]);
    }

    #[test]
    fn a_write_is_held_against_two_syncs_and_two_round_trips() {
        let mut results = Results::new(1);
        results.add(Tenure, WRITE_1, 660.0);
        results.add(Tenure, DISK, 200.0);
        results.add(Echo, ECHO, 20.0);
        let verdict = &judge(Single, &results)[1];
        assert_eq!((verdict.measured.as_str(), verdict.met), ("1.5×", Some(true)));
    }
}
