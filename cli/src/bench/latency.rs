//! Latencies of one kind of operation, kept in a histogram of nanoseconds.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies between 1 ns and 10 minutes, to three significant digits.
pub(crate) struct Latency(Histogram<u64>);

/// What is shown of a [`Latency`]: the number of operations and percentiles in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    /// Number of operations.
    pub(crate) count: u64,
    /// Smallest, in microseconds.
    pub(crate) min: f64,
    /// Half were at most this, in microseconds.
    pub(crate) p50: f64,
    /// 90 of 100 were at most this, in microseconds.
    pub(crate) p90: f64,
    /// 99 of 100 were at most this, in microseconds.
    pub(crate) p99: f64,
    /// 999 of 1,000 were at most this, in microseconds.
    #[serde(rename = "p99.9")]
    pub(crate) p999: f64,
    /// Largest, in microseconds.
    pub(crate) max: f64,
}

impl Latency {
    pub(crate) fn new() -> Latency {
        let histogram = Histogram::new_with_bounds(1, MAX_NS, 3);
        Latency(histogram.expect("the bounds are constants that satisfy the histogram's rules"))
    }

    /// Counts one operation; anything beyond ten minutes is counted as ten minutes.
    pub(crate) fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Percentiles {
            count: self.0.len(),
            min: self.0.min() as f64 / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max() as f64 / 1e3,
        }
    }
}

const MAX_NS: u64 = 600_000_000_000;

#[cfg(test)]
mod tests {
    use super::Latency;

    #[test]
    fn percentiles_are_of_what_was_recorded() {
        let mut latency = Latency::new();
        for us in 1..=1000u64 {
            latency.record(us * 1000);
        }
        let seen = latency.percentiles();
        assert_eq!(seen.count, 1000);
        for (value, wanted) in
            [(seen.p50, 500.0), (seen.p90, 900.0), (seen.p99, 990.0), (seen.p999, 999.0)]
        {
            assert!((value - wanted).abs() <= wanted / 500.0, "{value} for {wanted}");
        }
        assert!(seen.max >= 1000.0 && seen.max < 1001.0);
    }

    #[test]
    fn absurd_latencies_are_counted_not_lost() {
        let mut latency = Latency::new();
        latency.record(u64::MAX);
        assert_eq!(latency.percentiles().count, 1);
        latency.clear();
        assert_eq!(latency.percentiles().count, 0);
    }
}
