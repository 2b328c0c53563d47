//! When a workload that runs for a while ends: after a time, after a number of operations, or when
//! whoever started it says so.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Args;

/// The end of a workload.
pub(crate) enum Stop {
    /// This many operations.
    Count(u64),
    /// This instant.
    At(Instant),
    /// The end of standard input.
    Input(Arc<AtomicBool>),
}

impl Stop {
    /// As the arguments say, from now on. If that is the end of standard input, whoever will end it
    /// is told that measuring begins.
    pub(crate) fn new(args: &Args, default: Duration) -> Result<Stop> {
        if args.until_eof {
            let mut out = io::stdout().lock();
            writeln!(out, "ready").and_then(|()| out.flush()).context("cannot print")?;
            let ended = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&ended);
            std::thread::spawn(move || {
                // An input that cannot be read has ended too.
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                flag.store(true, Ordering::Release);
            });
            return Ok(Stop::Input(ended));
        }
        Ok(match args.count {
            Some(count) => Stop::Count(count.into()),
            None => Stop::after(args.duration.unwrap_or(default)),
        })
    }

    /// When a time has passed from now on.
    pub(crate) fn after(duration: Duration) -> Stop {
        Stop::At(Instant::now() + duration)
    }

    /// Whether it is reached, with this many operations done.
    pub(crate) fn is_reached(&self, done: u64) -> bool {
        match self {
            Stop::Count(count) => done >= *count,
            Stop::At(at) => Instant::now() >= *at,
            Stop::Input(ended) => ended.load(Ordering::Acquire),
        }
    }
}
