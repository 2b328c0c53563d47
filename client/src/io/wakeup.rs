//! Notices that the machine was suspended, so that deadlines that passed meanwhile show at once.

use std::io;

use mio::{Registry, Token};

/// Becomes readable when the wall clock is set, which the end of a suspend does as well. Timers
/// of the readiness queue stand still while the machine sleeps, and would come late after it.
#[cfg(target_os = "linux")]
pub(super) struct Wakeup(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Wakeup {
    pub(super) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = Self(timerfd_create(TimerfdClockId::Realtime, flags)?);
        timer.arm()?;
        let mut source = mio::unix::SourceFd(&timer.0.as_raw_fd());
        registry.register(&mut source, token, mio::Interest::READABLE)?;
        Ok(timer)
    }

    /// Waits for the next step of the clock.
    pub(super) fn arm(&self) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let never = Timespec { tv_sec: i64::MAX / 2_000_000_000, tv_nsec: 0 };
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&self.0, flags, &Itimerspec { it_interval: once, it_value: never })?;
        Ok(())
    }
}

/// Elsewhere deadlines show when a timer of the readiness queue does.
#[cfg(not(target_os = "linux"))]
pub(super) struct Wakeup;

#[cfg(not(target_os = "linux"))]
impl Wakeup {
    pub(super) fn register(_: &Registry, _: Token) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn arm(&self) -> io::Result<()> {
        Ok(())
    }
}
