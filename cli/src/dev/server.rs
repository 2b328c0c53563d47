//! One server of the ensemble: a child process that is started, watched, paused and ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, SyncSender};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::event::{self, Event};
use crate::four_letter::Role;

/// How a server is started, and where it is found.
pub(super) struct Plan {
    pub(super) id: u64,
    pub(super) clients: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) log: PathBuf,
    /// The words of the command line behind the program's name.
    pub(super) arguments: Vec<OsString>,
}

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is no process.
    Down,
    /// The process stands still.
    Paused,
    /// It runs, but does not serve: it starts, or has no leader.
    NotServing,
    Serving(Role),
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Paused => "paused",
            Self::NotServing => "not serving",
            Self::Serving(role) => role.name(),
        }
    }
}

/// A server, whether it runs or not. Its process ends at once when this is dropped.
pub(super) struct Server {
    pub(super) plan: Plan,
    pub(super) state: State,
    /// When its process was started, paused or resumed last: what was asked before does not count.
    pub(super) changed_at: Instant,
    /// It is not started again by itself.
    pub(super) stays_down: bool,
    /// When it will be started again.
    pub(super) start_at: Option<Instant>,
    /// Failures in a row right after a start.
    pub(super) failures: u32,
    /// What it has to be back from, until it serves.
    pub(super) back_from: Option<&'static str>,
    /// Tells the thread that asks it to ask.
    ask: SyncSender<()>,
    process: Option<Child>,
}

impl Server {
    /// A server that does not run yet.
    pub(super) fn new(plan: Plan, events: &Sender<Event>) -> io::Result<Self> {
        let ask = event::asker(plan.id, plan.clients.to_string(), events.clone())?;
        Ok(Self {
            plan,
            state: State::Down,
            changed_at: Instant::now(),
            stays_down: false,
            start_at: None,
            failures: 0,
            back_from: None,
            ask,
            process: None,
        })
    }

    /// Starts its process, on the calling thread: the process ends with that thread.
    pub(super) fn start(&mut self, events: &Sender<Event>) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(&self.plan.log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(&self.plan.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C is meant for this process, which then stops the servers in its own way.
            .process_group(0);
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        // First, so that it is ended by `drop` if the rest fails.
        self.process = Some(child);
        self.changed_at = Instant::now();
        self.state = State::NotServing;
        self.start_at = None;
        self.stays_down = false;
        event::watch_process(self.plan.id, pid, events.clone())
    }

    /// Sends its process a signal, if there is one.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            // It is not reaped yet, so its number is its own. It may have ended nevertheless.
            let _ = kill_process(Pid::from_child(process), signal);
        }
    }

    /// Takes note of the end of its process.
    pub(super) fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        self.state = State::Down;
        self.process.take().map(|mut process| process.wait()).transpose()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Has it asked for its role, unless it cannot answer or has been asked already.
    pub(super) fn ask(&self) {
        if self.is_running() && self.state != State::Paused {
            // The thread is busy with an earlier question.
            let _ = self.ask.try_send(());
        }
    }

    /// The last line of its log, for a process that ended by itself.
    pub(super) fn last_words(&self) -> String {
        last_line(&self.plan.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It has ended already, or does now.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn last_line(path: &Path) -> Option<String> {
    let text = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
}
