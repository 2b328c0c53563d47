//! Counts of values in buckets of equal relative width: a few nanoseconds to record, any percentile
//! to read, at most 3 % off.

/// How often which values occurred. Values are plain integers; their unit is the owner's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    buckets: Box<[u64]>,
}

/// Every power of two is cut into this many buckets, 2^5.
const SUB_BUCKET_BITS: u32 = 5;
/// Larger values count as this one: 12 days, if they are microseconds.
const MAX_VALUE: u64 = (1 << 40) - 1;
const BUCKETS: usize = bucket_of(MAX_VALUE) + 1;

impl Default for Histogram {
    fn default() -> Self {
        let buckets = vec![0; BUCKETS].into_boxed_slice();
        Self { count: 0, sum: 0, min: u64::MAX, max: 0, buckets }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        let value = value.min(MAX_VALUE);
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.buckets[bucket_of(value)] += 1;
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The smallest, 0 if there is none.
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The largest, 0 if there is none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Their mean, 0 if there is none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The values that these shares of all values do not exceed; shares are in `0.0..=1.0` and
    /// ascend. 0 if there is none.
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [u64; N] {
        let mut found = [0; N];
        if self.count == 0 {
            return found;
        }
        let mut next = 0;
        let mut below = 0;
        for bucket in bucket_of(self.min)..=bucket_of(self.max) {
            below += self.buckets[bucket];
            while next < N && below as f64 >= shares[next] * self.count as f64 {
                found[next] = middle_of(bucket).clamp(self.min, self.max);
                next += 1;
            }
        }
        found[next..].fill(self.max);
        found
    }

    /// How many values were at most each of these ascending bounds. A value within 3 % of a bound
    /// may be counted on its other side.
    pub fn at_most<const N: usize>(&self, bounds: [u64; N]) -> [u64; N] {
        let mut counts = [0; N];
        let mut bucket = 0;
        let mut below = 0;
        for (count, bound) in counts.iter_mut().zip(bounds) {
            let last = bucket_of(bound.min(MAX_VALUE));
            while self.count > 0 && bucket <= last {
                below += self.buckets[bucket];
                bucket += 1;
            }
            *count = below;
        }
        counts
    }
}

/// Small values have a bucket each; above, the leading bits choose it.
const fn bucket_of(value: u64) -> usize {
    if value < 1 << SUB_BUCKET_BITS {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BUCKET_BITS;
    let leading = (value >> shift) as usize;
    ((shift as usize) << SUB_BUCKET_BITS) + leading
}

/// A value that stands for all of its bucket.
const fn middle_of(bucket: usize) -> u64 {
    let sub_buckets = 1 << SUB_BUCKET_BITS;
    if bucket < 2 * sub_buckets {
        return bucket as u64;
    }
    let shift = (bucket >> SUB_BUCKET_BITS) - 1;
    let leading = (bucket - (shift << SUB_BUCKET_BITS)) as u64;
    (leading << shift) + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend_without_gaps() {
        assert_eq!(bucket_of(0), 0);
        let mut last = 0;
        for value in (0..100_000).chain((17..40).map(|bits| (1u64 << bits) - 1)) {
            let bucket = bucket_of(value);
            assert!(bucket >= last, "{value}");
            assert!(value > 100_000 || bucket <= last + 1, "{value}");
            assert_eq!(bucket_of(middle_of(bucket)), bucket, "{value}");
            last = bucket;
        }
        assert_eq!(bucket_of(MAX_VALUE), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_close() {
        let mut histogram = Histogram::default();
        (1..=100_000).for_each(|value| histogram.record(value));
        let shares = [0.0, 0.5, 0.95, 0.99, 0.999, 1.0];
        for (share, found) in shares.into_iter().zip(histogram.quantiles(shares)) {
            let exact = share * 100_000.0;
            assert!((found as f64 - exact).abs() <= exact * 0.03 + 1.0, "{share}: {found}");
        }
        assert_eq!((histogram.min(), histogram.max(), histogram.count()), (1, 100_000, 100_000));
        assert_eq!(histogram.mean(), 50_000.5);
    }

    #[test]
    fn at_most_counts_cumulatively() {
        let mut histogram = Histogram::default();
        for value in [0, 1, 31, 1000, 50_000] {
            histogram.record(value);
        }
        assert_eq!(histogram.at_most([0, 1, 31, 2000, 60_000, u64::MAX]), [1, 2, 3, 4, 5, 5]);
        assert_eq!(Histogram::default().at_most([5, 6]), [0, 0]);
    }

    #[test]
    fn empty_and_huge() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.min(), histogram.max(), histogram.mean()), (0, 0, 0.0));
        assert_eq!(histogram.quantiles([0.5]), [0]);
        histogram.record(u64::MAX);
        assert_eq!(histogram.quantiles([0.5, 1.0]), [MAX_VALUE; 2]);
    }
}
