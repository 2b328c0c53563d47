//! Instants on a clock that also counts the time in which the machine was suspended.

use std::fmt;
use std::time::Duration;

/// An instant of this machine's clock since boot, suspends included (`CLOCK_BOOTTIME` on Linux).
///
/// A session's deadline at the server passes while this machine sleeps, so a clock that stands
/// still meanwhile, as that behind [`std::time::Instant`] does, would tell of a life that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The instant of `nanos` nanoseconds after boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The present instant.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(CLOCK);
        // Both parts of a clock since boot are never negative.
        let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
        Self(seconds * 1_000_000_000 + nanos)
    }

    /// How much time is left until this instant; zero once it has come.
    pub fn remaining(self) -> Duration {
        self.since(Self::now())
    }

    /// How long this instant lies after `earlier`; zero if it does not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Moment {
    /// Seconds since boot, with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_count_forward_and_never_below_zero() {
        let now = Moment::now();
        assert!(Moment::now() >= now);
        assert_eq!((now + Duration::from_secs(2)).since(now), Duration::from_secs(2));
        assert_eq!(now.since(now + Duration::from_secs(2)), Duration::ZERO);
        assert_eq!(now.remaining(), Duration::ZERO);
        assert!((now + Duration::from_secs(100)).remaining() > Duration::from_secs(90));
        assert_eq!(Moment::from_nanos(5) - Duration::from_secs(1), Moment::from_nanos(0));
        assert_eq!(Moment::from_nanos(1_234_567_890).to_string(), "1.234s");
    }
}
