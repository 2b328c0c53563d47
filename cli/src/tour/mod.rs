//! `tenure tour`: the life and the end of a session, as it happens, on a server of the tour's own.

mod actor;
mod lesson;
mod lock;
mod stage;

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use stage::Stage;

/// How the tour goes on from step to step.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// On a terminal: go on after a moment instead of waiting for Enter
    #[arg(long)]
    auto: bool,
}

const EXIT_CODES: &str = "\
Without a terminal the tour runs straight through.

Exit codes:
  0    everything happened as told
  1    something did not; the last line says what
  130  stopped by Ctrl-C, SIGTERM or SIGHUP";

const INTERRUPTED: u8 = 130;

pub(crate) fn run(args: &Args) -> ExitCode {
    match play(args) {
        Ok(Some(())) => ExitCode::SUCCESS,
        Ok(None) => {
            eprintln!("\ntenure tour: stopped; the server and its data are gone");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            // Whoever read the output has read enough.
            let is_unread = error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe);
            if !is_unread {
                eprintln!("tenure tour: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Nothing if a signal came first. Either way nothing is left when this returns.
fn play(args: &Args) -> Result<Option<()>> {
    let interrupted = signals().context("signals cannot be caught")?;
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.context("the tour has no executor")?;
    let mut stage = Stage::new(args.auto);
    runtime.block_on(unless(interrupted, lesson::run(&mut stage))).transpose()
}

/// The end of what must be cleaned up behind itself, whatever ends it.
fn signals() -> io::Result<oneshot::Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (sender, interrupted) = oneshot::channel();
    thread::Builder::new().name("tour-signals".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            // A tour that is over needs no end.
            let _ = sender.send(());
        }
        // Further signals must not cut the cleaning short.
        signals.forever().for_each(drop);
    })?;
    Ok(interrupted)
}

/// Runs a future until it is ready or the signal comes, which drops it.
async fn unless<F: Future>(signal: oneshot::Receiver<()>, future: F) -> Option<F::Output> {
    let (mut signal, mut future) = (pin!(signal), pin!(future));
    poll_fn(|cx| match signal.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(cx).map(Some),
    })
    .await
}
