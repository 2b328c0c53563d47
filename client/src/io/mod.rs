//! The background thread that serves all sessions of the process: sockets, heartbeats, deadlines.
//!
//! It belongs to no async runtime, so that an executor that is blocked or busy does not cost any
//! session its life.

mod link;
mod resolve;
mod thread;
mod timers;
mod wakeup;
mod writers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread as threads};

use mio::Waker;

use crate::machine::{Auth, Host, LinkId, Machine, Submission, WatchKind};
use crate::shared::{Completion, Shared, WatchQueue};
use crate::tls::Tls;

/// One session's machine, as the thread drives it.
pub(crate) type Session = Machine<Completion, Arc<WatchQueue>>;

/// What the application, or the resolver, tells the thread.
pub(crate) enum Command {
    /// A session to serve from now on.
    Begin(u64, Box<Session>, Arc<Shared>, Option<Tls>),
    /// A request.
    Submit(u64, Submission<Completion, Arc<WatchQueue>>),
    /// A watcher was dropped: its path and number.
    DropWatch(u64, Arc<str>, u64),
    /// Watches that a request removed at the server.
    WatchesRemoved(u64, Arc<str>, fn(WatchKind) -> bool),
    /// Further credentials.
    AddAuth(u64, Auth, Completion),
    /// Other servers.
    UpdateHosts(u64, Vec<Host>),
    /// Close the session.
    Close(u64, Option<Completion>),
    /// Hang up without closing it.
    Leave(u64),
    /// The addresses of the host that a link is to lead to.
    Resolved(u64, LinkId, io::Result<Vec<std::net::SocketAddr>>),
    /// Whether a server can write.
    WriterAnswered(u64, Host, bool),
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Io {
    commands: Sender<Command>,
    bell: Arc<Bell>,
}

/// Wakes the thread, at the cost of a system call only if it sleeps.
pub(crate) struct Bell {
    waker: Waker,
    awake: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        if !self.awake.swap(true, Ordering::SeqCst) {
            // Fails only if the queue of readiness is gone, and with it the thread.
            let _ = self.waker.wake();
        }
    }

    /// The thread is about to look for commands a last time before it sleeps.
    pub(crate) fn may_sleep(&self) {
        self.awake.store(false, Ordering::SeqCst);
    }

    /// The thread does not sleep.
    pub(crate) fn is_awake(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }
}

impl Io {
    /// The process's one thread, started when it is first needed.
    pub(crate) fn get() -> io::Result<Self> {
        static IO: Mutex<Option<Io>> = Mutex::new(None);
        let mut started = IO.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(io) = &*started {
            return Ok(io.clone());
        }
        let poll = mio::Poll::new()?;
        let waker = Waker::new(poll.registry(), thread::WAKE)?;
        let (commands, received) = mpsc::channel();
        let bell = Arc::new(Bell { waker, awake: AtomicBool::new(true) });
        let io = Io { commands, bell: Arc::clone(&bell) };
        let thread = thread::Thread::new(poll, received, bell, io.clone())?;
        threads::Builder::new().name("tenure-client".into()).spawn(move || thread.run())?;
        Ok(started.insert(io).clone())
    }

    pub(crate) fn send(&self, command: Command) {
        // The thread never ends while there is a way to it.
        if self.commands.send(command).is_ok() {
            self.bell.ring();
        }
    }
}
