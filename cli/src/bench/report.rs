//! The result of a workload, as text for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::latency::Percentiles;

/// One workload's result. Names of figures end in their unit.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The workload's name.
    pub(crate) workload: String,
    /// What it was asked to do.
    pub(crate) settings: BTreeMap<String, String>,
    /// Single numbers, in the order they were measured.
    #[serde(serialize_with = "as_map")]
    pub(crate) figures: Vec<(String, f64)>,
    /// Latencies in microseconds by kind of operation.
    pub(crate) latencies_us: BTreeMap<String, Percentiles>,
}

impl Report {
    pub(crate) fn new(workload: &str) -> Report {
        Report {
            workload: workload.to_owned(),
            settings: BTreeMap::new(),
            figures: Vec::new(),
            latencies_us: BTreeMap::new(),
        }
    }

    pub(crate) fn setting(&mut self, name: &str, value: impl ToString) -> &mut Report {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    pub(crate) fn figure(&mut self, name: &str, value: f64) -> &mut Report {
        self.figures.push((name.to_owned(), value));
        self
    }

    pub(crate) fn latency(&mut self, name: &str, value: Percentiles) -> &mut Report {
        self.latencies_us.insert(name.to_owned(), value);
        self
    }

    /// The report as lines of text.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.workload);
        let settings: Vec<String> =
            self.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let width = self.figures.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(12);
        let _ = writeln!(text, "  {}", settings.join(", "));
        for (name, value) in &self.figures {
            let _ = writeln!(text, "  {:width$}  {:>14}", name.replace('_', " "), number(*value));
        }
        if !self.latencies_us.is_empty() {
            let _ = writeln!(
                text,
                "  {:width$}  {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
                "latency (us)", "count", "p50", "p90", "p99", "p99.9", "max"
            );
        }
        for (name, row) in &self.latencies_us {
            let cells = [row.p50, row.p90, row.p99, row.p999, row.max].map(number);
            let _ = write!(text, "  {name:width$}  {:>10}", row.count);
            for cell in cells {
                let _ = write!(text, " {cell:>10}");
            }
            text.push('\n');
        }
        text
    }
}

/// Whole numbers in groups of three digits; small ones with the decimals that matter.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let plain = format!("{value:.decimals$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::from(if whole.starts_with('-') { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

fn as_map<S: serde::Serializer>(
    figures: &[(String, f64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(figures.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::{Report, number};
    use crate::bench::latency::Latency;

    #[test]
    fn numbers_are_grouped_and_keep_the_decimals_that_matter() {
        assert_eq!(number(1_234_567.4), "1,234,567");
        assert_eq!(number(-1234.0), "-1,234");
        assert_eq!(number(99.96), "100.0");
        assert_eq!(number(0.123), "0.12");
        assert_eq!(number(0.0), "0");
    }

    #[test]
    fn text_has_a_line_per_figure_and_kind() {
        let mut latency = Latency::new();
        latency.record(1_500);
        let mut report = Report::new("read");
        report.setting("connections", 32).figure("operations_per_second", 12_345.0);
        report.latency("read", latency.percentiles());
        let text = report.text();
        assert!(text.contains("connections 32"), "{text}");
        assert!(text.contains("operations per second          12,345"), "{text}");
        assert!(text.lines().last().unwrap().contains("1.50"), "{text}");
    }

    #[test]
    fn json_names_figures_by_key() {
        let mut report = Report::new("read");
        report.figure("seconds", 1.5);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["figures"]["seconds"], 1.5);
    }
}
