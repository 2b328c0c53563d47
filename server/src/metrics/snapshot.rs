//! All metrics at one moment, plain values that can travel to another thread.

use std::fmt;

use super::Metrics;
use super::histogram::Histogram;
use super::process::ProcessInfo;
use super::readings::{Readings, ServerState};
use super::table::{Detail, METRICS, Metric, Source, Unit};

/// All metrics at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What the server was.
    pub state: ServerState,
    /// One sample per row of the table that applies.
    pub(crate) samples: Vec<Sample>,
}

/// The value of one metric.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Counter(u64),
    Level(i64),
    Mean(f64),
    Summary(Summary),
    SummaryByMember(Vec<(u64, Summary)>),
    Buckets { at_most: [u64; BOUNDS_US.len()], count: u64, sum_us: u64 },
    Own(u64),
    OwnLevel(u64),
    ByOperation(Vec<(&'static str, u64)>),
    ProcessTotal(f64),
    ProcessLevel(u64),
}

/// A summary in the unit it is shown in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) detail: Detail,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Values at `SHARES`.
    pub(crate) quantiles: [f64; SHARES.len()],
}

/// The percentiles shown.
pub(crate) const SHARES: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];

/// Upper bounds of latency buckets in microseconds, from 50 us to 10 s.
pub(crate) const BOUNDS_US: [u64; 17] = [
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// A number as `mntr` and JSON show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Whole.
    Integer(i64),
    /// Rounded to four decimals, shown with one at least.
    Float(f64),
}

impl Number {
    /// A mean as shown: four decimals.
    pub fn mean(value: f64) -> Self {
        Self::Float((value * 10_000.0).round() / 10_000.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            // Debug, because it writes 0.0 where Display writes 0, as scripts expect.
            Self::Float(value) => write!(f, "{value:?}"),
        }
    }
}

impl Metrics {
    /// All metrics now. Takes some tens of microseconds.
    pub fn snapshot(&self, readings: &Readings, process: &ProcessInfo) -> Snapshot {
        let samples = METRICS
            .iter()
            .filter_map(|metric| {
                let value = self.value(metric, readings, process)?;
                Some(Sample { name: metric.name, help: metric.help, value })
            })
            .collect();
        Snapshot { state: readings.state, samples }
    }

    fn value(&self, metric: &Metric, readings: &Readings, process: &ProcessInfo) -> Option<Value> {
        let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Some(match metric.source {
            Source::Counter(of) => Value::Counter(of(self)),
            Source::Level(of) => Value::Level(of(self)),
            Source::Mean(of) => Value::Mean(of(self)),
            Source::Reading(of) => Value::Level(whole(of(readings))),
            Source::Leader(of) => Value::Level(of(readings.leader.as_ref()?)),
            Source::Quorum(of) => Value::Level(whole(of(readings)?)),
            Source::Process(of) => Value::Level(whole(of(process))),
            Source::Summary(detail, unit, of) => Value::Summary(summary(detail, unit, of(self))),
            Source::SummaryByMember(detail, unit, of) => {
                let members = of(self).iter();
                let summaries = members.map(|(id, values)| (*id, summary(detail, unit, values)));
                Value::SummaryByMember(summaries.collect())
            }
            Source::Zero => Value::Counter(0),
            Source::ZeroSummary(detail) => Value::Summary(Summary {
                detail,
                count: 0,
                sum: 0.0,
                min: 0.0,
                max: 0.0,
                quantiles: [0.0; SHARES.len()],
            }),
            Source::Buckets(of) => {
                let histogram = of(self);
                let (count, sum_us) = (histogram.count(), histogram.sum());
                Value::Buckets { at_most: histogram.at_most(BOUNDS_US), count, sum_us }
            }
            Source::Own(of) => Value::Own(of(self)),
            Source::OwnLevel(of) => Value::OwnLevel(of(readings)?),
            Source::ByOperation => Value::ByOperation(self.requests.by_name()),
            Source::ProcessTotal(of) => Value::ProcessTotal(of(process)),
            Source::ProcessLevel(of) => Value::ProcessLevel(of(process)),
        })
    }
}

fn summary(detail: Detail, unit: Unit, histogram: &Histogram) -> Summary {
    let scale = match unit {
        Unit::Time => 0.001,
        Unit::Count => 1.0,
    };
    let shown = |value: u64| value as f64 * scale;
    Summary {
        detail,
        count: histogram.count(),
        sum: shown(histogram.sum()),
        min: shown(histogram.min()),
        max: shown(histogram.max()),
        quantiles: histogram.quantiles(SHARES).map(shown),
    }
}
