//! What is wanted of the client.

use super::Client::{self, Kazoo, RustCrate, Tenure};
use super::{DEPTHS, LOADS, Part};
use crate::bench::criteria::Bound::{self, AtLeast, AtMost, NeverAbove};
use crate::bench::criteria::{Verdict, number};
use crate::bench::results::Results;

/// The verdicts on one part.
pub(super) fn judge(part: Part, results: &Results) -> Vec<Verdict> {
    match part {
        Part::Pipelined => pipelined(results),
        _ => {
            let of_part = CRITERIA.iter().filter(|criterion| criterion.part == part);
            of_part.map(|criterion| criterion.judge(results)).collect()
        }
    }
}

/// Twice the throughput of others at no more than half of the processor time.
fn pipelined(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (load, depth) in LOADS.iter().flat_map(|load| DEPTHS.map(|depth| (load, depth))) {
        let load = format!("{load}, {depth} at a time");
        for other in [RustCrate, Kazoo] {
            for (key, what, bound) in [
                ("operations_per_second", "operations per second", AtLeast(2.0)),
                ("client_cpu_us_per_operation", "client CPU µs per operation", AtMost(0.5)),
            ] {
                let key = format!("{load}/{key}");
                let what = format!("{what}, against {}", other.as_ref());
                verdicts.push(ratio(&load, what, bound, &key, other, results));
            }
        }
    }
    verdicts
}

fn ratio(
    load: &str,
    what: String,
    bound: Bound,
    key: &str,
    other: Client,
    results: &Results,
) -> Verdict {
    let blank = blank(load, what, bound.shown("×"));
    let own = results.median(Tenure, key);
    let Some((own, other)) = own.zip(results.median(other, key)) else { return blank };
    Verdict {
        measured: format!("{}×", number(own / other)),
        figures: format!("{} against {}", number(own), number(other)),
        met: Some(bound.holds(own / other)),
        ..blank
    }
}

fn blank(load: &str, what: String, wanted: String) -> Verdict {
    let measured = "not measured".to_owned();
    Verdict { load: load.to_owned(), what, wanted, measured, figures: String::new(), met: None }
}

struct Criterion {
    part: Part,
    load: &'static str,
    what: &'static str,
    key: &'static str,
    bound: Bound,
}

const fn row(
    part: Part,
    load: &'static str,
    what: &'static str,
    key: &'static str,
    bound: Bound,
) -> Criterion {
    Criterion { part, load, what, key, bound }
}

const CRITERIA: &[Criterion] = &[
    row(
        Part::Sessions,
        "10,000 live sessions in one process",
        "resident bytes per session",
        "10,000 sessions/resident_bytes_per_session",
        AtMost(8192.0),
    ),
    row(
        Part::Sessions,
        "10,000 live sessions in one process",
        "threads of the process",
        "10,000 sessions/threads_with_all",
        NeverAbove(4.0),
    ),
    row(
        Part::Sessions,
        "10,000 live sessions in one process",
        "live after three timeouts",
        "10,000 sessions/sessions_live_at_the_end",
        AtLeast(10_000.0),
    ),
    row(
        Part::HandOver,
        "a lock that its holder releases, links of 1 ms",
        "round trips until the next holder has it",
        "release, 1 ms/hand_over_in_round_trips",
        AtMost(2.0),
    ),
    row(
        Part::HandOver,
        "a lock that its holder releases, loopback",
        "round trips until the next holder has it",
        "release, loopback/hand_over_in_round_trips",
        AtMost(2.0),
    ),
    row(
        Part::HandOver,
        "a lock whose holder crashes",
        "worst ms from its session's end until the next holder has it",
        "crash/from_end_to_next_holder_worst_ms",
        NeverAbove(30.0),
    ),
    row(
        Part::Reconnect,
        "reconnect with 100,000 watches",
        "ms until a request of the session is answered",
        "reconnect/back_after_ms",
        AtMost(1000.0),
    ),
    row(
        Part::Reconnect,
        "reconnect with 100,000 watches",
        "worst ms of another session's requests, in any round",
        "reconnect/neighbour_worst_ms",
        NeverAbove(50.0),
    ),
];

impl Criterion {
    fn judge(&self, results: &Results) -> Verdict {
        let value = match self.bound {
            Bound::NeverAbove(_) => results.largest(Tenure, self.key),
            _ => results.median(Tenure, self.key),
        };
        let blank = blank(self.load, self.what.to_owned(), self.bound.shown(""));
        let Some(value) = value else { return blank };
        Verdict { measured: number(value), met: Some(self.bound.holds(value)), ..blank }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelined_loads_are_judged_by_their_ratios() {
        let mut results = Results::new(1);
        let key = "read, 16 at a time/operations_per_second";
        results.add(Tenure, key, 300.0);
        results.add(RustCrate, key, 100.0);
        results.add(Kazoo, key, 200.0);
        let verdicts = judge(Part::Pipelined, &results);
        let met: Vec<_> = verdicts.iter().map(|verdict| verdict.met).take(4).collect();
        assert_eq!(met, [Some(true), None, Some(false), None]);
        assert_eq!(verdicts[0].measured, "3×");
    }

    #[test]
    fn the_worst_round_counts_where_it_must() {
        let mut results = Results::new(2);
        for (watched, back) in [(10.0, 100.0), (60.0, 9000.0), (10.0, 100.0)] {
            results.add(Tenure, "reconnect/neighbour_worst_ms", watched);
            results.add(Tenure, "reconnect/back_after_ms", back);
        }
        let verdicts = judge(Part::Reconnect, &results);
        assert_eq!(verdicts[0].met, Some(true));
        assert_eq!(verdicts[1].met, Some(false));
    }
}
