//! Metrics of a server as Prometheus reads them, and what happened between two readings.

use std::collections::BTreeMap;

/// Series with their labels as written, and their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    pub(super) fn get(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or(0.0)
    }

    /// Adds what another server counted.
    pub(super) fn add(&mut self, other: &Self) {
        for (series, value) in &other.0 {
            *self.0.entry(series.clone()).or_default() += value;
        }
    }

    /// What was counted since an earlier reading. Counters that began anew count from zero.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let grown = |(series, value): (&String, &f64)| {
            let before = earlier.get(series);
            let grown = if *value < before { *value } else { value - before };
            (series.clone(), grown)
        };
        Self(self.0.iter().map(grown).collect())
    }

    /// Values of one name by their only label, the greatest first.
    pub(super) fn by_label(&self, name: &str) -> Vec<(&str, f64)> {
        let label = |series: &'_ str| -> Option<(usize, usize)> {
            let labels = series.strip_prefix(name)?.strip_prefix('{')?.strip_suffix("\"}")?;
            let value = labels.split_once("=\"")?.1;
            Some((series.len() - 2 - value.len(), series.len() - 2))
        };
        let labelled = self.0.iter().filter_map(|(series, value)| {
            let (from, to) = label(series)?;
            Some((&series[from..to], *value))
        });
        let mut found: Vec<(&str, f64)> = labelled.collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    /// The value, in milliseconds, that this share of what a histogram counted does not exceed, as
    /// far as its buckets tell; `None` if it counted nothing.
    pub(super) fn quantile_ms(&self, histogram: &str, share: f64) -> Option<f64> {
        let mut buckets: Vec<(f64, f64)> = self
            .by_label(&format!("{histogram}_bucket"))
            .into_iter()
            .map(|(bound, count)| (bound.parse().unwrap_or(f64::INFINITY), count))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = buckets.last()?.1;
        let wanted = share * all;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in buckets {
            if count >= wanted && count > 0.0 {
                // Beyond the last bound nothing is known but that.
                let bound = if bound.is_finite() { bound } else { low };
                let inside = (wanted - below) / (count - below).max(1.0);
                return Some((low + (bound - low) * inside) * 1000.0);
            }
            (low, below) = (bound, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP x y\n# TYPE ops counter\nops{op=\"getData\"} 30\n\
        ops{op=\"create\"} 5\nplain 7\nt_bucket{le=\"0.001\"} 50\nt_bucket{le=\"0.01\"} 90\n\
        t_bucket{le=\"+Inf\"} 100\nt_count 100\n";

    #[test]
    fn what_grew_between_two_readings() {
        let earlier = Metrics::parse("plain 5\nops{op=\"getData\"} 40\n");
        let grown = Metrics::parse(TEXT).since(&earlier);
        assert_eq!(grown.get("plain"), 2.0);
        assert_eq!(grown.by_label("ops"), [("getData", 30.0), ("create", 5.0)]);
        let mut both = Metrics::parse(TEXT);
        both.add(&Metrics::parse("plain 1\nother 2\n"));
        assert_eq!((both.get("plain"), both.get("other")), (8.0, 2.0));
    }

    #[test]
    fn quantiles_lie_within_their_buckets() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.quantile_ms("t", 0.25), Some(0.5));
        assert_eq!(metrics.quantile_ms("t", 0.5), Some(1.0));
        let p80 = metrics.quantile_ms("t", 0.8).unwrap_or_default();
        assert!((1.0..10.0).contains(&p80), "{p80}");
        assert_eq!(metrics.quantile_ms("t", 0.99), Some(10.0));
        assert_eq!(metrics.quantile_ms("nothing", 0.5), None);
        assert_eq!(Metrics::parse("z_bucket{le=\"+Inf\"} 0\n").quantile_ms("z", 0.5), None);
    }
}
