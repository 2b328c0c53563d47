//! Clients: a real session machine each, driven as the client's own thread drives it.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use tenure_client::machine::{Action, Auth, Host, LinkId, Machine, Settings};
use tenure_client::{LinkFault, Liveness, LostReason, Moment, SessionId, SessionToken, State};

use crate::application::Application;
use crate::clock::{Clock, MS, Nanos};
use crate::network::{Piece, Way};
use crate::trace::{Who, digest};
use crate::wishes::Bug;
use crate::world::{Event, Rule, World};

/// A host on which one process after the other uses the service.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) clock: Clock,
    pub(crate) process: Option<Process>,
    /// Counts processes.
    pub(crate) processes: u64,
    /// What the next process resumes.
    pub(crate) token: Option<SessionToken>,
    pub(crate) paused_until: Nanos,
    inbox: VecDeque<Event>,
    /// When the machine will be called next.
    wake_at: Nanos,
    /// When the application does something next.
    pub(crate) step_at: Nanos,
}

/// A process with one session.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) machine: Machine<u64, u64>,
    /// Its link, and whether that is connected.
    pub(crate) link: Option<(usize, bool)>,
    pub(crate) application: Application,
    /// What was published last.
    pub(crate) published: (State, Liveness),
    /// The session, once a server has confirmed it, or the one to be resumed.
    session: Option<SessionId>,
}

impl Client {
    pub(crate) fn new(clock: Clock) -> Self {
        Client {
            clock,
            process: None,
            processes: 0,
            token: None,
            paused_until: 0,
            inbox: VecDeque::new(),
            wake_at: 0,
            step_at: 0,
        }
    }

    pub(crate) fn is_paused(&self, now: Nanos) -> bool {
        now < self.paused_until
    }

    /// Whether its process believes, by its own clock, that its session lives.
    pub(crate) fn believes(&self, now: Nanos) -> bool {
        let until = self.process.as_ref().and_then(|process| process.machine.valid_until());
        until.is_some_and(|until| self.clock.moment(now) < until)
    }

    /// Whether it believes that it holds the lock.
    pub(crate) fn believes_in_lock(&self, now: Nanos) -> bool {
        self.process.as_ref().is_some_and(|process| process.application.holds_lock())
            && self.believes(now)
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.process.as_ref()?.machine.token().map(SessionToken::id)
    }
}

impl World {
    /// Starts a process, with a new session or the one left behind.
    pub(crate) fn start_client(&mut self, client: usize) {
        let seed = self.random.next();
        let number = |member: usize| Host { name: format!("s{member}"), port: member as u16 + 1 };
        let may_fail = !self.is_healed();
        let auths = match self.random.below(40) {
            0 if may_fail => vec![("nonsense", "")],
            1..6 => vec![("digest", "a:b"), ("digest", "c:d")],
            _ => Vec::new(),
        };
        let auth = |(scheme, credentials): (&str, &str)| Auth {
            scheme: scheme.to_owned(),
            credentials: credentials.as_bytes().to_vec(),
        };
        let limit = may_fail && self.random.per_mille(100);
        let host = &mut self.clients[client];
        let resume = host.token.take();
        let session = resume.as_ref().map(SessionToken::id);
        let settings = Settings {
            hosts: (0..self.members.len()).map(number).collect(),
            timeout: Duration::from_millis(self.plan.timeouts_ms[client]),
            read_only: false,
            auths: auths.into_iter().map(auth).collect(),
            resume,
            establish_limit: limit.then_some(Duration::from_millis(400)),
            max_reply_bytes: 1 << 20,
            seed,
        };
        host.processes += 1;
        host.wake_at = Nanos::MAX;
        let mut machine = Machine::new(settings);
        if let Some(Bug::Client(bug)) = self.bug {
            machine.plant(bug);
        }
        let published = (machine.state(), machine.liveness().clone());
        let application = Application::new(session.is_some());
        let process = Process { machine, link: None, application, published, session };
        host.process = Some(process);
        let number = host.processes;
        self.trace.note(self.now, Who::Client(client), "starts", number, || match session {
            Some(session) => format!("to resume {session}"),
            None => "for a new session".to_owned(),
        });
        self.counts.add(if session.is_some() { "tokens resumed" } else { "sessions wanted" });
        self.call(client, Machine::start);
    }

    /// Calls a client's machine and does what it wants.
    pub(crate) fn call(&mut self, client: usize, f: impl FnOnce(&mut Machine<u64, u64>, Moment)) {
        let now = self.clients[client].clock.moment(self.now);
        let Some(process) = &mut self.clients[client].process else { return };
        f(&mut process.machine, now);
        self.drive(client);
    }

    /// Performs and sends until there is nothing more to do.
    pub(crate) fn drive(&mut self, client: usize) {
        let now = self.clients[client].clock.moment(self.now);
        loop {
            self.act(client);
            let Some(process) = &mut self.clients[client].process else { return };
            let mut bytes = Vec::new();
            if let Some((link, true)) = process.link {
                process.machine.transmit(now, &mut bytes, 64 * 1024);
                if !bytes.is_empty() {
                    self.send(link, Way::ToServer, Piece::Bytes(bytes));
                    continue;
                }
            }
            break;
        }
        self.act(client);
        self.check_client(client);
        let host = &mut self.clients[client];
        let Some(process) = &host.process else { return };
        if process.machine.is_over() {
            return self.end_process(client);
        }
        let Some(due) = process.machine.next_deadline() else { return };
        let due = host.clock.when(due.as_nanos());
        if host.wake_at <= self.now || due < host.wake_at {
            let at = due.max(self.now + 1) + self.random.below(300_000);
            self.clients[client].wake_at = at;
            self.schedule(at, Event::Timer(client));
        }
    }

    fn act(&mut self, client: usize) {
        while let Some(process) = &mut self.clients[client].process
            && let Some(action) = process.machine.next_action()
        {
            match action {
                Action::Open(id, host) => {
                    let link = self.links.len();
                    process.link = Some((link, false));
                    let number = self.clients[client].processes;
                    self.trace.note(self.now, Who::Client(client), "connects", id.0, || {
                        format!("link {} to {host}", id.0)
                    });
                    self.open_link(client, number, id, host.port as usize - 1);
                }
                Action::Close(id) => self.close_link(client, id),
                Action::Finish(number, outcome) => self.finished(client, number, outcome),
                Action::Notify(watcher, event, is_last) => {
                    self.notified(client, watcher, &event, is_last);
                }
                Action::EndWatch(watcher, reason) => self.watch_ended(client, watcher, &reason),
                Action::Change(state, liveness) => self.changed(client, state, liveness),
                // Asked for only at a server that cannot write, and here are none.
                Action::AskWriter(_) => {}
            }
        }
    }

    fn close_link(&mut self, client: usize, id: LinkId) {
        let Some(process) = &mut self.clients[client].process else { return };
        if let Some((link, was_open)) = process.link.take_if(|(link, _)| self.links[*link].id == id)
        {
            self.trace
                .note(self.now, Who::Client(client), "closes", id.0, || format!("link {}", id.0));
            if was_open {
                self.send(link, Way::ToServer, Piece::End);
            }
        }
    }

    fn changed(&mut self, client: usize, state: State, liveness: Liveness) {
        let now = self.now;
        let Some(process) = &mut self.clients[client].process else { return };
        let text = format!("{state} ({liveness})");
        let number = digest(text.as_bytes());
        self.trace.note(now, Who::Client(client), "STATE", number, || text);
        let before = mem::replace(&mut process.published, (state, liveness));
        let after = &process.published;
        if let Err(what) = crate::checks::transition(&before, after) {
            let text = format!("client {client} went from {before:?} to {after:?}: {what}");
            return self.violated(Rule::LegalTransitions, || text);
        }
        if after.1 == Liveness::Live {
            let session = process.machine.token().map(SessionToken::id);
            let same = process.session.is_none() || process.session == session;
            if !same {
                let text = format!("client {client} silently got the session {session:?}");
                return self.violated(Rule::LegalTransitions, || text);
            }
            if before.1 == Liveness::Establishing {
                self.counts.add("sessions confirmed");
            } else if before.0 == State::Connecting {
                self.counts.add("reconnects");
            } else {
                self.counts.add("silences survived");
            }
            process.session = session;
        }
        let lost = match &process.published.1 {
            Liveness::Lost(reason) => process.session.map(|session| (session, reason.clone())),
            _ => None,
        };
        match &process.published.1 {
            Liveness::AtRisk { .. } => self.counts.add("at risk"),
            Liveness::Lost(reason) => self.counts.add(match reason {
                LostReason::NotEstablished { .. } => "lost: not established",
                LostReason::Expired { .. } => "lost: expired",
                LostReason::DeadlinePassed { .. } => "lost: deadline passed",
                LostReason::Paused { .. } => "lost: paused",
                LostReason::Closed => "lost: closed",
                LostReason::Left => "lost: left",
                LostReason::ClosedElsewhere { .. } => "lost: closed elsewhere",
                LostReason::AuthFailed { .. } => "lost: auth failed",
                _ => "lost: other",
            }),
            _ => {}
        }
        if let Some((session, reason)) = lost {
            self.check_loss(client, session, &reason);
        }
        if before.1 != Liveness::Establishing && self.now > self.plan.settled_at && state.is_final()
        {
            self.violated(Rule::AliveWhenWell, || format!("client {client} lost its session"));
        }
    }

    pub(crate) fn timer(&mut self, client: usize) {
        let host = &self.clients[client];
        if host.wake_at == self.now && !host.is_paused(self.now) {
            self.call(client, Machine::timeout_at);
        }
    }

    pub(crate) fn opened(&mut self, link: usize) {
        let id = self.links[link].id;
        if let Some(client) = self.ready(link, || Event::Opened { link }) {
            if let Some(process) = &mut self.clients[client].process {
                process.link = Some((link, true));
            }
            self.call(client, |machine, now| machine.connected(id, now));
        }
    }

    pub(crate) fn refused(&mut self, link: usize) {
        let id = self.links[link].id;
        if let Some(client) = self.ready(link, || Event::Refused { link }) {
            let (server, error) = (self.links[link].member.to_string(), "refused".to_owned());
            let fault = LinkFault::Connect { server, error };
            self.call(client, |machine, now| machine.disconnected(id, fault, now));
        }
    }

    pub(crate) fn at_client(&mut self, link: usize, piece: Piece) {
        let id = self.links[link].id;
        let kept = piece.clone();
        let event = || Event::Arrives { link, way: Way::ToClient, piece: kept };
        let Some(client) = self.ready(link, event) else { return };
        match piece {
            Piece::Bytes(bytes) => {
                self.call(client, |machine, now| machine.received(id, &bytes, now));
            }
            Piece::End => {
                self.call(client, |machine, now| machine.disconnected(id, LinkFault::HungUp, now));
            }
        }
    }

    /// The client whose link something came on, if it still has that link and runs.
    fn ready(&mut self, link: usize, event: impl FnOnce() -> Event) -> Option<usize> {
        let (client, number) = (self.links[link].client, self.links[link].process);
        let host = &mut self.clients[client];
        let process = host.process.as_ref().filter(|_| host.processes == number)?;
        if process.link.is_none_or(|(own, _)| own != link) {
            return None;
        }
        if host.is_paused(self.now) {
            host.inbox.push_back(event());
            return None;
        }
        Some(client)
    }

    /// What came during a pause is read, then the clock is looked at.
    pub(crate) fn wake_client(&mut self, client: usize) {
        let host = &mut self.clients[client];
        if host.is_paused(self.now) || host.process.is_none() {
            return;
        }
        for event in mem::take(&mut host.inbox) {
            match event {
                Event::Opened { link } => self.opened(link),
                Event::Refused { link } => self.refused(link),
                Event::Arrives { link, piece, .. } => self.at_client(link, piece),
                other => unreachable!("{other:?} is nothing that a client waits for"),
            }
        }
        self.call(client, Machine::timeout_at);
    }

    /// The session is over, and everything about it must be settled.
    fn end_process(&mut self, client: usize) {
        let Some(process) = self.clients[client].process.take() else { return };
        if let Some(what) = process.application.unfinished() {
            self.violated(Rule::RequestsEndOnce, || {
                format!("the session of client {client} is over, but not {what}")
            });
        }
        if process.published.1 == Liveness::Lost(LostReason::Left) {
            self.clients[client].token = process.machine.token().cloned();
        }
        self.next_process(client);
    }

    pub(crate) fn next_process(&mut self, client: usize) {
        let longest = if self.is_healed() { 100 } else { 400 };
        let at = self.now + self.random.between(1, longest) * MS;
        self.schedule_step(client, at);
    }

    /// The process is killed.
    pub(crate) fn crash_client(&mut self, client: usize, is_silent: bool, resumes: bool) {
        let host = &mut self.clients[client];
        host.inbox.clear();
        host.paused_until = 0;
        let Some(process) = host.process.take() else { return };
        if let Some((link, true)) = process.link
            && !is_silent
        {
            self.send(link, Way::ToServer, Piece::End);
        }
        if resumes && !process.published.1.is_lost() {
            self.clients[client].token = process.machine.token().cloned();
        }
        self.next_process(client);
    }
}
