//! True time, and the clocks of processes that run apart from it.

use tenure_client::Moment;
use tenure_replica::Now;

/// Nanoseconds of true time since the history began.
pub(crate) type Nanos = u64;

pub(crate) const MS: Nanos = 1_000_000;

/// A process's clock: it started at another time than everybody else's and runs a little too fast
/// or too slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// What it showed when the history began.
    offset: Nanos,
    /// Millionths by which it runs too fast.
    drift_ppm: i64,
    /// By how much its wall clock is off, in milliseconds.
    pub(crate) wall_skew_ms: i64,
}

const MILLION: u64 = 1_000_000;
/// A Tuesday in 2023.
const EPOCH_MS: i64 = 1_700_000_000_000;

impl Clock {
    pub(crate) fn new(offset: Nanos, drift_ppm: i64) -> Self {
        Self { offset, drift_ppm, wall_skew_ms: 0 }
    }

    /// What it shows at a true instant.
    pub(crate) fn at(&self, true_time: Nanos) -> Nanos {
        // Histories are short enough for 64 bits, which are several times as fast as 128.
        let ahead = (true_time as i64 * self.drift_ppm).div_euclid(MILLION as i64);
        self.offset + true_time.wrapping_add_signed(ahead)
    }

    /// The first true instant at which it shows at least this.
    pub(crate) fn when(&self, shown: Nanos) -> Nanos {
        let elapsed = shown.saturating_sub(self.offset);
        let rate = MILLION.wrapping_add_signed(self.drift_ppm);
        match elapsed.checked_mul(MILLION) {
            Some(scaled) => scaled.div_ceil(rate),
            None => (u128::from(elapsed) * u128::from(MILLION)).div_ceil(rate.into()) as u64,
        }
    }

    /// For a client.
    pub(crate) fn moment(&self, true_time: Nanos) -> Moment {
        Moment::from_nanos(self.at(true_time))
    }

    /// For a server.
    pub(crate) fn now(&self, true_time: Nanos) -> Now {
        let mono_us = self.at(true_time) / 1000;
        Now { mono_us, wall_ms: EPOCH_MS + self.wall_skew_ms + (mono_us / 1000) as i64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_what_it_was_waited_for() {
        for drift_ppm in [-1000, -1, 0, 3, 1000] {
            let clock = Clock::new(77 * MS, drift_ppm);
            for shown in [77 * MS, 78 * MS, 12_345 * MS + 678, 123_456_789 * MS + 1] {
                let when = clock.when(shown);
                assert!(clock.at(when) >= shown, "{drift_ppm} {shown}");
                assert!(when == 0 || clock.at(when - 1) < shown, "{drift_ppm} {shown}");
            }
        }
        assert_eq!(Clock::new(0, 1000).at(1_000 * MS), 1_001 * MS);
    }
}
