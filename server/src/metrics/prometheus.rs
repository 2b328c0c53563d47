//! Metrics in the Prometheus text format.

use std::fmt::Write;

use super::snapshot::{BOUNDS_US, SHARES, Sample, Snapshot, Summary, Value};
use super::table::Detail;

impl Snapshot {
    /// The text of `/metrics`. `process_info` adds what concerns the process, not the service.
    pub fn prometheus(&self, process_info: bool) -> String {
        let mut text = String::with_capacity(32 * 1024);
        for sample in &self.samples {
            let of_process =
                matches!(sample.value, Value::ProcessTotal(_) | Value::ProcessLevel(_));
            if process_info || !of_process {
                push(sample, &mut text);
            }
        }
        text
    }
}

fn push(sample: &Sample, text: &mut String) {
    let Sample { name, help, value } = sample;
    let kind = match value {
        Value::Counter(_) | Value::Own(_) | Value::ByOperation(_) | Value::ProcessTotal(_) => {
            "counter"
        }
        Value::Level(_) | Value::Mean(_) | Value::OwnLevel(_) | Value::ProcessLevel(_) => "gauge",
        Value::Summary(_) | Value::SummaryByMember(_) => "summary",
        Value::Buckets { .. } => "histogram",
    };
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    match value {
        Value::Counter(value)
        | Value::Own(value)
        | Value::OwnLevel(value)
        | Value::ProcessLevel(value) => {
            line(text, format_args!("{name} {value}"));
        }
        Value::Level(value) => line(text, format_args!("{name} {value}")),
        Value::Mean(value) | Value::ProcessTotal(value) => {
            line(text, format_args!("{name} {value}"));
        }
        Value::ByOperation(counts) => {
            for (op, count) in counts {
                line(text, format_args!("{name}{{op=\"{op}\"}} {count}"));
            }
        }
        Value::Summary(summary) => push_summary(name, None, summary, text),
        Value::SummaryByMember(members) => {
            for (id, summary) in members {
                push_summary(name, Some(*id), summary, text);
            }
        }
        Value::Buckets { at_most, count, sum_us } => {
            for (bound_us, count) in BOUNDS_US.iter().zip(at_most) {
                let le = *bound_us as f64 / 1e6;
                line(text, format_args!("{name}_bucket{{le=\"{le}\"}} {count}"));
            }
            line(text, format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
            line(text, format_args!("{name}_sum {}", *sum_us as f64 / 1e6));
            line(text, format_args!("{name}_count {count}"));
        }
    }
}

/// The reference server names the label of a member `key`.
fn push_summary(name: &str, member: Option<u64>, summary: &Summary, text: &mut String) {
    let (more, labels) = match member {
        None => (String::new(), String::new()),
        Some(id) => (format!("key=\"{id}\","), format!("{{key=\"{id}\"}}")),
    };
    let shown = match summary.detail {
        Detail::Basic => 1,
        Detail::Advanced => SHARES.len(),
    };
    for (share, value) in SHARES.iter().zip(summary.quantiles).take(shown) {
        // A quantile of nothing is no number; a zero would draw a line that means something.
        let value = if summary.count == 0 { f64::NAN } else { value };
        line(text, format_args!("{name}{{{more}quantile=\"{share}\"}} {value}"));
    }
    line(text, format_args!("{name}_count{labels} {}", summary.count));
    line(text, format_args!("{name}_sum{labels} {}", summary.sum));
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("strings take everything");
}
