//! The two clocks a replica is told: a monotonic one that cannot be set, and the wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tenure_replica::Now;

/// Reads the clocks for one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic microseconds count from now.
    pub(crate) fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Leaves a pause out of the monotonic time that replicas are told.
    pub(crate) fn leave_out(&mut self, pause: Duration) {
        self.start += pause;
    }

    /// The present, on the monotonic clock.
    pub(crate) fn instant(&self) -> Instant {
        Instant::now()
    }

    /// The present, as a replica is told it.
    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ms = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        Now { mono_us: self.mono_us(Instant::now()), wall_ms }
    }

    /// An instant in monotonic microseconds.
    pub(crate) fn mono_us(&self, at: Instant) -> u64 {
        // Half a million years fit.
        at.saturating_duration_since(self.start).as_micros() as u64
    }

    /// The instant of monotonic microseconds; rounded so that it is never before them.
    pub(crate) fn at(&self, mono_us: u64) -> Instant {
        self.start + Duration::from_micros(mono_us)
    }
}
