//! Latencies of single operations, told apart by whether a snapshot was being written.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::snapshots::Span;

/// The 99th percentiles of operations outside and inside of the spans.
#[derive(Debug, PartialEq)]
pub(crate) struct Apart {
    pub(crate) outside_us: f64,
    /// `None` if too few operations fell into the spans.
    pub(crate) inside_us: Option<f64>,
}

/// Reads a file of lines `unix_us,latency_us`.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<(u64, u64)>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let parse = |line: &str| {
        let (at, latency) = line.split_once(',')?;
        Some((at.parse().ok()?, latency.parse().ok()?))
    };
    text.lines().map(|line| parse(line).context("a line that is no sample")).collect()
}

/// An operation is inside if any part of it overlaps a span.
pub(crate) fn apart(samples: &[(u64, u64)], spans: &[Span]) -> Option<Apart> {
    let overlaps = |at_us: u64, latency_us: u64| {
        spans.iter().any(|span| at_us >= span.begin_us && at_us - latency_us <= span.end_us)
    };
    let (inside, outside): (Vec<_>, Vec<_>) =
        samples.iter().partition(|(at_us, latency_us)| overlaps(*at_us, *latency_us));
    let enough = inside.len() >= FEWEST;
    Some(Apart { outside_us: p99(outside)?, inside_us: if enough { p99(inside) } else { None } })
}

/// The 99th percentile of the latencies.
pub(crate) fn p99(samples: Vec<(u64, u64)>) -> Option<f64> {
    let mut latencies: Vec<u64> = samples.into_iter().map(|(_, latency)| latency).collect();
    latencies.sort_unstable();
    let rank = (latencies.len() * 99).div_ceil(100);
    latencies.get(rank.checked_sub(1)?).map(|latency| *latency as f64)
}

/// Below this a 99th percentile says little.
const FEWEST: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_apart_by_overlap() {
        let span = Span { begin_us: 10_000, end_us: 20_000 };
        let mut samples: Vec<(u64, u64)> = (0..1000).map(|i| (i, 1)).collect();
        // Begun before the span and answered in it, and begun in it and answered after it.
        samples.extend((0..400).map(|i| (10_000 + i, 5000)));
        samples.extend((0..400).map(|i| (20_001 + i, 2000)));
        let apart = apart(&samples, &[span]).unwrap();
        assert_eq!(apart, Apart { outside_us: 1.0, inside_us: Some(5000.0) });
    }

    #[test]
    fn a_few_operations_make_no_percentile() {
        let samples: Vec<(u64, u64)> = (0..1000).map(|i| (i + 10, 1)).collect();
        let apart = apart(&samples, &[Span { begin_us: 0, end_us: 50 }]).unwrap();
        assert_eq!(apart.inside_us, None);
    }

    #[test]
    fn lines_that_are_no_samples_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "1,2\n3,4\n").unwrap();
        assert_eq!(read(file.path()).unwrap(), [(1, 2), (3, 4)]);
        fs::write(file.path(), "1;2\n").unwrap();
        assert!(read(file.path()).is_err());
    }
}
