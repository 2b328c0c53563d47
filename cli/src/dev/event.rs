//! What `tenure dev` waits for, from every side, in one queue.

use std::io::{self, BufRead, IsTerminal};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::four_letter::Srvr;

pub(super) enum Event {
    /// Somebody typed, or a script wrote.
    Line(String),
    /// The process is to end: a signal, or the end of a terminal's input.
    Stop,
    /// A server's process was paused, goes on or has ended.
    Process { id: u64, change: ProcessChange, at: Instant },
    /// A server was asked for its role. Nothing if it did not answer.
    Heard { id: u64, asked_at: Instant, at: Instant, answer: Option<Srvr> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessChange {
    Paused,
    Resumed,
    /// It must still be reaped.
    Ended,
}

/// How long a server may take to say what it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Passes on signals that ask for the end. Call it before there is anything to clean up.
pub(super) fn watch_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    spawn("dev-signals", move || {
        for _ in signals.forever() {
            if events.send(Event::Stop).is_err() {
                return;
            }
        }
    })
}

/// Passes on lines of standard input. Its end counts only on a terminal, where somebody pressed
/// Ctrl-D: a service manager or a script gives none to begin with.
pub(super) fn watch_input(events: Sender<Event>) -> io::Result<()> {
    spawn("dev-input", move || {
        let input = io::stdin();
        for line in input.lock().lines().map_while(Result::ok) {
            if events.send(Event::Line(line)).is_err() {
                return;
            }
        }
        if input.is_terminal() {
            // Without a receiver it has ended already.
            let _ = events.send(Event::Stop);
        }
    })
}

/// Passes on what becomes of a child process, up to its end.
pub(super) fn watch_process(id: u64, pid: Pid, events: Sender<Event>) -> io::Result<()> {
    spawn("dev-process", move || {
        let pauses = WaitIdOptions::STOPPED | WaitIdOptions::CONTINUED;
        // Left to be reaped by its owner, so that its number means nobody else meanwhile.
        let anything = pauses | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            let change = match waitid(WaitId::Pid(pid), anything) {
                Ok(Some(status)) if status.stopped() => ProcessChange::Paused,
                Ok(Some(status)) if status.continued() => ProcessChange::Resumed,
                Err(Errno::INTR) => continue,
                _ => ProcessChange::Ended,
            };
            if change != ProcessChange::Ended {
                // Has the system report the next change; what is lost by an end in between is
                // made up for by the end.
                let _ = waitid(WaitId::Pid(pid), pauses | WaitIdOptions::NOHANG);
            }
            let is_last = change == ProcessChange::Ended;
            if events.send(Event::Process { id, change, at: Instant::now() }).is_err() || is_last {
                return;
            }
        }
    })
}

/// Asks a server for its role whenever told to. A question while one is under way is dropped.
pub(super) fn asker(id: u64, address: String, events: Sender<Event>) -> io::Result<SyncSender<()>> {
    let (ask, asked): (SyncSender<()>, Receiver<()>) = sync_channel(0);
    spawn("dev-asker", move || {
        while asked.recv().is_ok() {
            let asked_at = Instant::now();
            let answer = Srvr::of(&address, None, ANSWER_LIMIT).ok();
            let heard = Event::Heard { id, asked_at, at: Instant::now(), answer };
            if events.send(heard).is_err() {
                return;
            }
        }
    })?;
    Ok(ask)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
