//! The loop: commands, readiness, deadlines, and then every session that has something to do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use std::{io, mem};

use foldhash::fast::FixedState;
use mio::event::Event;
use mio::{Events, Poll, Token};

use super::link::{Link, Progress};
use super::resolve::Resolver;
use super::timers::Timers;
use super::wakeup::Wakeup;
use super::writers::Writers;
use super::{Bell, Command, Io, Session};
use crate::machine::{Action, Host, LinkId};
use crate::moment::Moment;
use crate::shared::Shared;
use crate::status::{Change, LinkFault};
use crate::tls::Tls;

pub(super) const WAKE: Token = Token(usize::MAX);
const CLOCK: Token = Token(usize::MAX - 1);

/// Bytes read at once, from all sessions into one buffer.
const READ_BYTES: usize = 256 * 1024;

/// Bytes of one session handed to the system in one turn, so that no session waits for another
/// one's thousands of watches.
const TURN_BYTES: usize = 64 * 1024;

/// Reads of one session in one turn.
const TURN_READS: usize = 4;

/// The longest sleep; deadlines that a suspend of the machine brought nearer show after it at the
/// latest, also where its end cannot be noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// A session and what the thread knows of it.
struct Slot {
    session: Box<Session>,
    shared: Arc<Shared>,
    link: Option<Link>,
    /// How its links are encrypted, if they are.
    tls: Option<Tls>,
    /// Where else the host of the present attempt might be reached.
    addrs: Vec<SocketAddr>,
    /// The present attempt, and the host that it is to reach.
    attempt: Option<(LinkId, Host)>,
    /// The earliest timer that is set.
    timer: Option<Moment>,
    /// It is among the sessions to be served in this turn.
    is_due: bool,
}

pub(super) struct Thread {
    poll: Poll,
    commands: Receiver<Command>,
    bell: Arc<Bell>,
    resolver: Resolver,
    writers: Writers,
    wakeup: Option<Wakeup>,
    slots: HashMap<u64, Slot, FixedState>,
    timers: Timers,
    /// Sessions to be served in this turn.
    due: Vec<u64>,
    /// Links with more to read than a turn allowed.
    unread: Vec<(u64, LinkId, bool)>,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl Thread {
    pub(super) fn new(
        poll: Poll,
        commands: Receiver<Command>,
        bell: Arc<Bell>,
        io: Io,
    ) -> io::Result<Self> {
        // Without it, the end of a suspend is noticed a little later.
        let wakeup = Wakeup::register(poll.registry(), CLOCK).ok();
        Ok(Self {
            poll,
            commands,
            bell,
            resolver: Resolver::new(io.clone()),
            writers: Writers::new(io),
            wakeup,
            slots: HashMap::with_hasher(FixedState::default()),
            timers: Timers::default(),
            due: Vec::new(),
            unread: Vec::new(),
            buffer: vec![0; READ_BYTES],
            out: Vec::with_capacity(TURN_BYTES),
        })
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            self.sleep(&mut events);
            let now = Moment::now();
            self.take_commands(now);
            for event in &events {
                match event.token() {
                    WAKE => {}
                    CLOCK => self.clock_was_set(),
                    Token(session) => {
                        self.ready(session as u64, event, now);
                    }
                }
            }
            events.clear();
            for (session, link, is_closed) in mem::take(&mut self.unread) {
                self.read(session, link, is_closed, now);
                self.mark(session);
            }
            while let Some((at, session)) = self.timers.pop_due(now) {
                if let Some(slot) = self.slots.get_mut(&session) {
                    if slot.timer == Some(at) {
                        slot.timer = None;
                    }
                    slot.session.timeout_at(now);
                    self.mark(session);
                }
            }
            for session in mem::take(&mut self.due) {
                self.serve(session, now);
            }
        }
    }

    fn clock_was_set(&mut self) {
        if let Some(wakeup) = &self.wakeup
            && wakeup.arm().is_err()
        {
            self.wakeup = None;
        }
    }

    /// Waits for readiness, a command or the next deadline.
    fn sleep(&mut self, events: &mut Events) {
        self.bell.may_sleep();
        // A command that came before this line rang no bell.
        let timeout = match self.has_commands() {
            true => Duration::ZERO,
            false if !self.due.is_empty() || !self.unread.is_empty() => Duration::ZERO,
            false => {
                let next = self.timers.next().map_or(LONGEST_SLEEP, Moment::remaining);
                next.min(LONGEST_SLEEP)
            }
        };
        if let Err(error) = self.poll.poll(events, Some(timeout))
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "waiting for the network failed");
        }
        self.bell.is_awake();
    }

    fn has_commands(&mut self) -> bool {
        match self.commands.try_recv() {
            Ok(command) => {
                self.take(command, Moment::now());
                true
            }
            // The sender in the resolver never goes.
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => false,
        }
    }

    fn take_commands(&mut self, now: Moment) {
        while let Ok(command) = self.commands.try_recv() {
            self.take(command, now);
        }
    }

    fn take(&mut self, command: Command, now: Moment) {
        let session = match &command {
            Command::Begin(session, ..)
            | Command::Submit(session, ..)
            | Command::DropWatch(session, ..)
            | Command::WatchesRemoved(session, ..)
            | Command::AddAuth(session, ..)
            | Command::UpdateHosts(session, ..)
            | Command::Close(session, ..)
            | Command::Leave(session)
            | Command::Resolved(session, ..)
            | Command::WriterAnswered(session, ..) => *session,
        };
        if let Command::Begin(_, mut machine, shared, tls) = command {
            machine.start(now);
            let (link, addrs, attempt, timer) = (None, Vec::new(), None, None);
            let is_due = false;
            let slot = Slot { session: machine, shared, link, tls, addrs, attempt, timer, is_due };
            self.slots.insert(session, slot);
            return self.mark(session);
        }
        let Some(slot) = self.slots.get_mut(&session) else { return refuse(command) };
        let machine = &mut slot.session;
        match command {
            Command::Submit(_, submission) => machine.submit(submission),
            Command::DropWatch(_, path, id) => machine.drop_watch(&path, id),
            Command::WatchesRemoved(_, path, removed) => machine.watches_removed(&path, removed),
            Command::AddAuth(_, auth, completion) => machine.add_auth(auth, completion),
            Command::UpdateHosts(_, hosts) => machine.update_hosts(hosts, now),
            Command::Close(_, completion) => machine.close(completion, now),
            Command::Leave(_) => machine.leave(),
            Command::Resolved(_, link, found) => self.resolved(session, link, found, now),
            Command::WriterAnswered(_, host, can_write) => {
                machine.writer_answered(&host, can_write, now);
            }
            Command::Begin(..) => unreachable!("handled above"),
        }
        self.mark(session);
    }

    fn mark(&mut self, session: u64) {
        if let Some(slot) = self.slots.get_mut(&session)
            && !mem::replace(&mut slot.is_due, true)
        {
            self.due.push(session);
        }
    }

    /// Lets a session act until it has nothing more to do in this turn.
    fn serve(&mut self, session: u64, now: Moment) {
        let Some(slot) = self.slots.get_mut(&session) else { return };
        slot.is_due = false;
        let mut again = false;
        loop {
            self.act(session, now);
            let Some(slot) = self.slots.get_mut(&session) else { return };
            let Some(link) = slot.link.as_mut().filter(|link| link.has_room()) else { break };
            // A turn's bytes are handed out once: the rest must wait for the next.
            if again {
                break;
            }
            slot.session.transmit(now, &mut self.out, TURN_BYTES);
            again = slot.session.has_to_transmit(now);
            if self.out.is_empty() {
                break;
            }
            if let Err(error) = link.write(&mut self.out) {
                self.out.clear();
                let id = link.id;
                slot.session.disconnected(id, LinkFault::Broken(error.to_string()), now);
            }
        }
        self.act(session, now);
        let Some(slot) = self.slots.get_mut(&session) else { return };
        if again && slot.link.as_ref().is_some_and(Link::has_room) {
            self.mark(session);
        }
        self.set_timer(session);
    }

    fn set_timer(&mut self, session: u64) {
        let Some(slot) = self.slots.get_mut(&session) else { return };
        if slot.session.is_over() {
            self.slots.remove(&session);
            return;
        }
        if let Some(at) = slot.session.next_deadline()
            && slot.timer.is_none_or(|set| at < set)
        {
            slot.timer = Some(at);
            self.timers.add(at, session);
        }
    }

    /// Performs what the session's machine wants done.
    fn act(&mut self, session: u64, now: Moment) {
        let Some(slot) = self.slots.get_mut(&session) else { return };
        let shared = Arc::clone(&slot.shared);
        shared.publish(slot.session.valid_until(), slot.session.last_zxid(), now);
        while let Some(slot) = self.slots.get_mut(&session)
            && let Some(action) = slot.session.next_action()
        {
            match action {
                Action::Open(link, host) => self.open(session, link, host, now),
                Action::AskWriter(host) => self.writers.ask(session, host, slot.tls.clone()),
                Action::Close(id) => {
                    slot.link.take_if(|link| link.id == id);
                    slot.attempt = None;
                    slot.addrs = Vec::new();
                }
                Action::Finish(completion, outcome) => completion.finish(outcome, now),
                Action::Notify(queue, event, is_last) => queue.push(event, is_last),
                Action::EndWatch(queue, reason) => queue.end(reason),
                Action::Change(state, liveness) => {
                    let server = slot.link.as_ref().map(|link| link.addr);
                    let server = server.filter(|_| state.is_connected());
                    let change = Change { state, liveness, at: now, server };
                    slot.shared.change(change, slot.session.token());
                }
            }
        }
    }

    fn open(&mut self, session: u64, link: LinkId, host: Host, now: Moment) {
        if let Some(slot) = self.slots.get_mut(&session) {
            slot.attempt = Some((link, host.clone()));
        }
        if let Some(addr) = self.resolver.ask(session, link, host) {
            self.resolved(session, link, Ok(vec![addr]), now);
        }
    }

    fn resolved(
        &mut self,
        session: u64,
        link: LinkId,
        found: io::Result<Vec<SocketAddr>>,
        now: Moment,
    ) {
        let Some(slot) = self.slots.get_mut(&session) else { return };
        // The answer may come when the machine has long gone on to another server.
        let Some((_, host)) = slot.attempt.as_ref().filter(|(wanted, _)| *wanted == link) else {
            return;
        };
        match found {
            Ok(addrs) => {
                slot.addrs = addrs;
                slot.addrs.reverse();
                self.try_next_addr(session, link, None, now);
            }
            Err(error) => {
                let fault =
                    LinkFault::Resolve { host: host.name.clone(), error: error.to_string() };
                slot.session.disconnected(link, fault, now);
            }
        }
    }

    /// Connects to the next address of the host, or gives the attempt up.
    fn try_next_addr(
        &mut self,
        session: u64,
        link: LinkId,
        mut error: Option<(SocketAddr, io::Error)>,
        now: Moment,
    ) {
        let Some(slot) = self.slots.get_mut(&session) else { return };
        slot.link = None;
        while let Some(addr) = slot.addrs.pop() {
            let (registry, token) = (self.poll.registry(), Token(session as usize));
            let host = slot.attempt.as_ref().map_or("", |(_, host)| &host.name);
            let records = slot.tls.as_ref().map(|tls| tls.begin(host)).transpose();
            match records.and_then(|tls| Link::open(link, addr, tls, registry, token)) {
                Ok(opened) => {
                    slot.link = Some(opened);
                    return;
                }
                Err(failed) => error = Some((addr, failed)),
            }
        }
        let fault = match error {
            Some((addr, error)) => {
                LinkFault::Connect { server: addr.to_string(), error: error.to_string() }
            }
            None => {
                let attempt = slot.attempt.as_ref();
                let host = attempt.map_or(String::new(), |(_, host)| host.name.clone());
                LinkFault::Resolve { host, error: "it has no address".to_owned() }
            }
        };
        slot.session.disconnected(link, fault, now);
    }

    /// A socket can be read or written.
    fn ready(&mut self, session: u64, event: &Event, now: Moment) {
        let Some(slot) = self.slots.get_mut(&session) else { return };
        let Some(link) = &mut slot.link else { return };
        let id = link.id;
        if !link.is_open {
            let addr = link.addr;
            match link.finish_opening() {
                Ok(true) => slot.session.connected(id, now),
                Ok(false) => return,
                Err(error) => {
                    self.try_next_addr(session, id, Some((addr, error)), now);
                    return self.mark(session);
                }
            }
        } else if event.is_writable()
            && let Err(error) = link.flush()
        {
            slot.session.disconnected(id, LinkFault::Broken(error.to_string()), now);
            return self.mark(session);
        }
        if event.is_readable() {
            self.read(session, id, event.is_read_closed(), now);
        }
        self.mark(session);
    }

    /// Reads what is there, and with `is_closed` up to the end: readiness is told once for the last
    /// bytes and the end behind them.
    fn read(&mut self, session: u64, id: LinkId, is_closed: bool, now: Moment) {
        for _ in 0..TURN_READS {
            let Some(slot) = self.slots.get_mut(&session) else { return };
            let Some(link) = slot.link.as_mut().filter(|link| link.id == id) else { return };
            let fault = match link.read(&mut self.buffer) {
                Ok(Progress::Drained) => return,
                Ok(Progress::Bytes(count)) => {
                    let is_ending = link.has_ended();
                    slot.session.received(id, &self.buffer[..count], now);
                    self.act(session, now);
                    // Less than there was room for: the socket is empty, and says so otherwise.
                    if count < self.buffer.len() && !is_closed && !is_ending {
                        return;
                    }
                    continue;
                }
                Ok(Progress::HungUp) => LinkFault::HungUp,
                Err(error) => LinkFault::Broken(error.to_string()),
            };
            return slot.session.disconnected(id, fault, now);
        }
        // More may be waiting than a turn allows, and the queue of readiness will not say so again.
        self.unread.push((session, id, is_closed));
    }
}

/// The session of a command is gone.
fn refuse(command: Command) {
    match command {
        Command::Submit(_, submission) => {
            if let Some(watch) = submission.watch {
                watch.watcher.end(crate::status::LostReason::Closed);
            }
            if let Some(completion) = submission.completion {
                completion.session_is_gone();
            }
        }
        Command::AddAuth(_, _, completion) | Command::Close(_, Some(completion)) => {
            completion.session_is_gone();
        }
        _ => {}
    }
}
