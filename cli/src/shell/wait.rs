//! Waiting for a future on a thread of our own, until it is ready, Ctrl-C is pressed or time is up.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Waits on the thread that made it, and knows of Ctrl-C.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiter {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

/// Why a wait ended before its future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    Interrupted,
    TimedOut,
}

impl Waiter {
    /// A waiter that signals wake instead of ending the process: a session that was opened is to
    /// be closed. On a terminal its end is such a signal too.
    pub(super) fn with_signals(is_terminal: bool) -> io::Result<Self> {
        let waiter = Self::default();
        let (told, waiting) = (waiter.clone(), thread::current());
        let all = [SIGINT, SIGTERM, SIGHUP];
        let mut signals = Signals::new(if is_terminal { &all[..] } else { &all[..2] })?;
        thread::Builder::new().name("shell-signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if signal != SIGINT {
                    told.terminated.store(true, Ordering::SeqCst);
                    if is_terminal {
                        // Takes the editor out of the line it is reading, and nothing else does.
                        let _ = kill_process(getpid(), Signal::INT);
                    }
                }
                told.interrupted.store(true, Ordering::SeqCst);
                waiting.unpark();
            }
        })?;
        Ok(waiter)
    }

    /// Whether the process is to end.
    pub(super) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::SeqCst)
    }

    /// Forgets a signal that came while nothing was being waited for.
    pub(super) fn reset(&self) {
        self.interrupted.store(false, Ordering::SeqCst);
    }

    /// Whether a signal came since the last [`reset`](Self::reset).
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Runs a future on this thread.
    pub(super) fn wait<F: Future>(
        &self,
        future: F,
        limit: Option<Duration>,
    ) -> Result<F::Output, Stopped> {
        run(future, limit, || self.is_interrupted())
    }

    /// Runs a future that no signal is to cut short; nothing if it takes too long.
    pub(super) fn finish<F: Future>(&self, future: F, limit: Duration) -> Option<F::Output> {
        run(future, Some(limit), || false).ok()
    }
}

fn run<F: Future>(
    future: F,
    limit: Option<Duration>,
    is_interrupted: impl Fn() -> bool,
) -> Result<F::Output, Stopped> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut future = pin!(future);
    let waker = thread_waker();
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Ok(output);
        }
        if is_interrupted() {
            return Err(Stopped::Interrupted);
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return Err(Stopped::TimedOut),
            Some(left) => thread::park_timeout(left),
        }
    }
}

/// Wakes the present thread.
pub(super) fn thread_waker() -> Waker {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    Arc::new(Unpark(thread::current())).into()
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use super::*;

    #[test]
    fn a_wait_ends_with_its_future_its_time_or_a_signal() {
        let waiter = Waiter::default();
        assert_eq!(waiter.wait(ready(7), None), Ok(7));
        let limit = Some(Duration::from_millis(1));
        assert_eq!(waiter.wait(pending::<()>(), limit), Err(Stopped::TimedOut));
        waiter.interrupted.store(true, Ordering::SeqCst);
        assert_eq!(waiter.wait(pending::<()>(), None), Err(Stopped::Interrupted));
        // What is ready is not thrown away.
        assert_eq!(waiter.wait(ready(7), None), Ok(7));
        waiter.reset();
        assert_eq!(waiter.wait(pending::<()>(), limit), Err(Stopped::TimedOut));
    }

    #[test]
    fn another_thread_wakes_it() {
        let waiter = Waiter::default();
        let done = Arc::new(AtomicBool::new(false));
        let mut waking = None;
        let woken = waiter.wait(
            poll_fn(|cx| {
                if done.load(Ordering::SeqCst) {
                    return Poll::Ready(());
                }
                if waking.is_none() {
                    let (waker, done) = (cx.waker().clone(), Arc::clone(&done));
                    waking = Some(thread::spawn(move || {
                        done.store(true, Ordering::SeqCst);
                        waker.wake();
                    }));
                }
                Poll::Pending
            }),
            None,
        );
        assert_eq!(woken, Ok(()));
    }
}
