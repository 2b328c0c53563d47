//! Metrics as flat names and numbers: the lines of `mntr`, the fields of the admin `monitor`.

use std::fmt::Write;

use super::snapshot::{Number, Sample, Snapshot, Summary, Value};
use super::table::Detail;

impl Snapshot {
    /// Every metric as a name without prefix and a number. Times are in milliseconds. What only
    /// Prometheus can show is left out.
    pub fn lines(&self) -> Vec<(String, Number)> {
        let mut lines = Vec::new();
        for Sample { name, value, .. } in &self.samples {
            match value {
                Value::Counter(count) => {
                    let count = i64::try_from(*count).unwrap_or(i64::MAX);
                    lines.push(((*name).into(), Number::Integer(count)));
                }
                Value::Level(level) => lines.push(((*name).into(), Number::Integer(*level))),
                Value::Mean(mean) => lines.push(((*name).into(), Number::mean(*mean))),
                Value::Summary(summary) => push_summary(name, summary, &mut lines),
                Value::SummaryByMember(members) => {
                    for (id, summary) in members {
                        push_summary(&format!("{id}_{name}"), summary, &mut lines);
                    }
                }
                Value::Buckets { .. }
                | Value::Own(_)
                | Value::OwnLevel(_)
                | Value::ByOperation(_)
                | Value::ProcessTotal(_)
                | Value::ProcessLevel(_) => {}
            }
        }
        lines
    }

    /// The text of `mntr`.
    pub fn mntr(&self, version: &str) -> String {
        let mut text = format!("zk_version\t{version}\nzk_server_state\t{}\n", self.state.name());
        if let Some(peer_state) = self.state.peer_state() {
            writeln!(text, "zk_peer_state\t{peer_state}").expect("strings take everything");
        }
        for (name, number) in self.lines() {
            writeln!(text, "zk_{name}\t{number}").expect("strings take everything");
        }
        text
    }
}

fn push_summary(name: &str, summary: &Summary, lines: &mut Vec<(String, Number)>) {
    let mean = if summary.count == 0 { 0.0 } else { summary.sum / summary.count as f64 };
    let mut push = |kind: &str, number| lines.push((format!("{kind}_{name}"), number));
    push("avg", Number::mean(mean));
    push("min", integer(summary.min));
    push("max", integer(summary.max));
    push("cnt", integer(summary.count as f64));
    push("sum", integer(summary.sum));
    if summary.detail == Detail::Advanced {
        let [p50, _, p95, p99, p999] = summary.quantiles;
        for (kind, value) in [("p50", p50), ("p95", p95), ("p99", p99), ("p999", p999)] {
            push(kind, integer(value));
        }
    }
}

/// Scripts parse these as integers, so fractions of a millisecond are cut.
fn integer(value: f64) -> Number {
    Number::Integer(value as i64)
}
