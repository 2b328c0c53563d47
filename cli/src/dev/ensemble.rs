//! The loop of `tenure dev`: takes note of what happens to the servers, says so, and does what is
//! typed.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::command::{Command, HELP, Which};
use super::event::{Event, ProcessChange};
use super::leadership::Leadership;
use super::server::{Plan, Server, State};
use super::show::{self, Screen};
use crate::four_letter::{Role, Srvr};

/// How long a server that ended stays down before it is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// The pause doubles with every failure right after a start, so many times at most.
const MAX_DOUBLINGS: u32 = 5;
/// A process that ends sooner has failed to start.
const YOUNG: Duration = Duration::from_secs(5);
/// How long the first election may take before the servers are shown as they are.
const FIRST_LOOK: Duration = Duration::from_secs(15);
/// So long without a leader is worth a line.
const LONG_WITHOUT: Duration = Duration::from_secs(2);
/// How long servers may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How often servers are asked who they are: while all is well, right after a change, and when
/// a change drags on. The second is how exactly elections are timed.
const PACE_STEADY: Duration = Duration::from_millis(200);
const PACE_CHANGING: Duration = Duration::from_millis(10);
const PACE_WAITING: Duration = Duration::from_millis(100);
/// How long after a change the quick pace lasts.
const CHANGING: Duration = Duration::from_secs(5);

/// What a typed command does to one server.
type Act = fn(&mut Ensemble, usize) -> Result<()>;

/// All servers, and what is known of them.
pub(super) struct Ensemble {
    servers: Vec<Server>,
    leadership: Leadership,
    screen: Screen,
    /// For the threads that watch new processes.
    events: Sender<Event>,
    restarts: bool,
    phase: Phase,
    /// The line about the present time without a leader was printed.
    without_told: bool,
    next_ask: Instant,
    last_change: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The servers are shown when all of them serve, or now.
    Starting {
        until: Instant,
    },
    Running,
    /// Whoever still runs then is killed.
    Stopping {
        until: Instant,
    },
}

impl Ensemble {
    /// Starts every server.
    pub(super) fn start(
        plans: Vec<Plan>,
        events: Sender<Event>,
        screen: Screen,
        restarts: bool,
    ) -> Result<Self> {
        let now = Instant::now();
        let mut servers = Vec::new();
        for plan in plans {
            let id = plan.id;
            let started = Server::new(plan, &events).and_then(|mut server| {
                server.start(&events)?;
                Ok(server)
            });
            servers.push(started.with_context(|| format!("server {id} cannot be started"))?);
        }
        Ok(Self {
            servers,
            leadership: Leadership::new(now),
            screen,
            events,
            restarts,
            phase: Phase::Starting { until: now + FIRST_LOOK },
            without_told: false,
            next_ask: now,
            last_change: now,
        })
    }

    /// Runs until the end is asked for and every server has stopped.
    pub(super) fn run(mut self, happening: &Receiver<Event>) -> Result<()> {
        loop {
            let wait = self.next_deadline().saturating_duration_since(Instant::now());
            match happening.recv_timeout(wait) {
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is kept here"),
            }
            self.due()?;
            let all_down = self.servers.iter().all(|server| !server.is_running());
            if all_down && matches!(self.phase, Phase::Stopping { .. }) {
                return Ok(());
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Stop => self.stop(),
            Event::Line(line) if line.trim().is_empty() => {}
            Event::Line(line) => match line.parse() {
                Ok(command) => self.obey(command)?,
                Err(error) => self.screen.text(&format!("{error}\n")),
            },
            Event::Process { id, change, at } => self.process_changed(id, change, at)?,
            Event::Heard { id, asked_at, at, answer } => self.heard(id, asked_at, at, answer),
        }
        Ok(())
    }

    fn next_deadline(&self) -> Instant {
        let phase = match self.phase {
            Phase::Starting { until } | Phase::Stopping { until } => Some(until),
            Phase::Running => None,
        };
        let starts = self.servers.iter().filter_map(|server| server.start_at);
        starts.chain(phase).fold(self.next_ask, Instant::min)
    }

    /// Does what it is time for.
    fn due(&mut self) -> Result<()> {
        let now = Instant::now();
        match self.phase {
            Phase::Starting { until } if now >= until || self.is_settled() => self.show_start(),
            Phase::Stopping { until } if now >= until => {
                self.screen.event("some servers do not stop; they are killed");
                self.servers.iter().for_each(|server| server.signal(Signal::KILL));
                self.phase = Phase::Stopping { until: now + STOP_LIMIT };
            }
            _ => {}
        }
        for n in 0..self.servers.len() {
            if self.servers[n].start_at.is_some_and(|at| at <= now) {
                self.start_again(n)?;
            }
        }
        if now >= self.next_ask {
            self.servers.iter().for_each(Server::ask);
            self.next_ask = now + self.pace(now);
        }
        if self.phase == Phase::Running
            && !self.without_told
            && self.servers.len() > 1
            && let Some(since) = self.leadership.without_since()
            && now - since > LONG_WITHOUT
        {
            self.without_told = true;
            self.tell_of_no_leader();
        }
        Ok(())
    }

    fn pace(&self, now: Instant) -> Duration {
        match self.is_settled() {
            true => PACE_STEADY,
            false if now - self.last_change < CHANGING => PACE_CHANGING,
            false => PACE_WAITING,
        }
    }

    /// Whether somebody leads and whoever can serve does.
    fn is_settled(&self) -> bool {
        let is_settled = |server: &Server| server.state != State::NotServing;
        self.leadership.leader().is_some() && self.servers.iter().all(is_settled)
    }

    fn changed(&mut self, at: Instant) {
        self.last_change = at;
        self.next_ask = at;
    }

    fn index(&self, id: u64) -> Option<usize> {
        self.servers.iter().position(|server| server.plan.id == id)
    }

    fn show_start(&mut self) {
        self.phase = Phase::Running;
        let (status, advice) = (show::status(&self.servers), show::advice(&self.servers));
        self.screen.text(&format!("\n{status}{advice}"));
    }

    fn tell_of_no_leader(&self) {
        let running = |server: &&Server| server.is_running() && server.state != State::Paused;
        let running = self.servers.iter().filter(running).count();
        let (all, needed) = (self.servers.len(), self.servers.len() / 2 + 1);
        self.screen.event(&match running < needed {
            true => format!("nobody leads: {running} of {all} servers run, {needed} are needed"),
            false => format!("nobody leads yet, although {running} of {all} servers run"),
        });
    }

    fn process_changed(&mut self, id: u64, change: ProcessChange, at: Instant) -> Result<()> {
        let Some(n) = self.index(id) else { return Ok(()) };
        let is_stopping = matches!(self.phase, Phase::Stopping { .. });
        let led = if self.leadership.leader() == Some(id) { "; it led" } else { "" };
        self.changed(at);
        let server = &mut self.servers[n];
        let lived = at.saturating_duration_since(server.changed_at);
        server.changed_at = at;
        match change {
            ProcessChange::Paused => {
                server.state = State::Paused;
                self.leadership.paused(id, at);
                self.screen.event(&format!("server {id} was paused (SIGSTOP){led}"));
            }
            ProcessChange::Resumed => {
                server.state = State::NotServing;
                server.back_from = Some("it was resumed");
                if !is_stopping {
                    self.screen.event(&format!("server {id} was resumed (SIGCONT)"));
                }
            }
            ProcessChange::Ended => {
                let status = server.reap().with_context(|| format!("server {id} is lost"))?;
                self.leadership.ended(id, at);
                if let Some(status) = status.filter(|_| !is_stopping) {
                    self.ended(n, status, lived, led);
                }
            }
        }
        self.without_told &= self.leadership.leader().is_none();
        Ok(())
    }

    /// Says how a process ended, and when it will be started again.
    fn ended(&mut self, n: usize, status: ExitStatus, lived: Duration, led: &str) {
        let server = &mut self.servers[n];
        let id = server.plan.id;
        server.failures = match status.code() {
            Some(1..) if lived < YOUNG => server.failures + 1,
            _ => 0,
        };
        let pause = RESTART_PAUSE * 2_u32.pow(server.failures.min(MAX_DOUBLINGS));
        let is_hopeless = matches!(status.code(), Some(BAD_USAGE | BAD_FOLDER));
        let and_then = if server.stays_down || !self.restarts || is_hopeless {
            format!("start {id} brings it back")
        } else {
            server.start_at = Some(Instant::now() + pause);
            format!("it is started again in {} s", pause.as_secs())
        };
        let how = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("was killed ({})", signal_name(signal)),
            (None, Some(0)) => "stopped".to_owned(),
            (None, code) => {
                let code = code.unwrap_or_default();
                format!("ended with exit code {code} ({})", server.last_words())
            }
        };
        self.screen.event(&format!("server {id} {how}{led}; {and_then}"));
    }

    fn heard(&mut self, id: u64, asked_at: Instant, at: Instant, answer: Option<Srvr>) {
        let Some(n) = self.index(id) else { return };
        let server = &mut self.servers[n];
        let is_stale = asked_at < server.changed_at || !server.is_running();
        if is_stale || server.state == State::Paused {
            return;
        }
        let role = match answer {
            Some(Srvr::Serving(serving)) => Some(serving.role),
            _ => None,
        };
        let leads = matches!(role, Some(Role::Leader | Role::Standalone));
        let news = self.leadership.heard(id, leads, at);
        // One that was replaced while it was paused does not know it yet.
        let is_believed = !leads || self.leadership.leader() == Some(id);
        let state = role.filter(|_| is_believed).map_or(State::NotServing, State::Serving);
        let was = std::mem::replace(&mut server.state, state);
        if was != state || news.is_some() {
            self.last_change = at;
        }
        if let Some(news) = news {
            self.without_told = false;
            self.screen.event(&show::leads(news, self.servers.len()));
        }
        let server = &mut self.servers[n];
        if matches!(state, State::Serving(_))
            && let Some(from) = server.back_from.take()
            && news.is_none()
        {
            let after = at.saturating_duration_since(server.changed_at);
            self.screen.event(&show::back(server, from, after));
        }
    }

    fn start_again(&mut self, n: usize) -> Result<()> {
        let server = &mut self.servers[n];
        let id = server.plan.id;
        server.start(&self.events).with_context(|| format!("server {id} cannot be started"))?;
        server.back_from = Some("its start");
        self.screen.event(&format!("server {id} is started again"));
        self.changed(Instant::now());
        Ok(())
    }

    fn obey(&mut self, command: Command) -> Result<()> {
        let (which, act): (Which, Act) = match command {
            Command::Kill(which) => (which, Self::kill),
            Command::Pause(which) => (which, Self::pause),
            Command::Resume(which) => (which, Self::resume),
            Command::Start(which) => (which, Self::start_by_hand),
            Command::Status => {
                self.screen.text(&show::status(&self.servers));
                return Ok(());
            }
            Command::Help => {
                self.screen.text(&format!("{HELP}\n"));
                return Ok(());
            }
            Command::Quit => {
                self.stop();
                return Ok(());
            }
        };
        let found = match which {
            Which::Id(id) => self.index(id).ok_or_else(|| {
                let ids: Vec<_> = self.servers.iter().map(|s| s.plan.id.to_string()).collect();
                format!("there is no server {id}; there are {}", ids.join(", "))
            }),
            Which::Leader => {
                let leader = self.leadership.leader().and_then(|id| self.index(id));
                leader.ok_or_else(|| "nobody leads now".to_owned())
            }
        };
        match found {
            Ok(n) => act(self, n),
            Err(error) => {
                self.screen.text(&format!("{error}\n"));
                Ok(())
            }
        }
    }

    // What comes of these is told when it is seen, as if somebody else had done it.

    fn kill(&mut self, n: usize) -> Result<()> {
        let server = &mut self.servers[n];
        server.stays_down = true;
        match server.is_running() {
            true => server.signal(Signal::KILL),
            false => {
                server.start_at = None;
                self.remark(n, "does not run, and is not started again by itself");
            }
        }
        Ok(())
    }

    fn pause(&mut self, n: usize) -> Result<()> {
        match self.servers[n].state {
            State::Down => self.remark(n, "does not run"),
            State::Paused => self.remark(n, "is paused already"),
            _ => self.servers[n].signal(Signal::STOP),
        }
        Ok(())
    }

    fn resume(&mut self, n: usize) -> Result<()> {
        match self.servers[n].state {
            State::Paused => self.servers[n].signal(Signal::CONT),
            _ => self.remark(n, "is not paused"),
        }
        Ok(())
    }

    fn start_by_hand(&mut self, n: usize) -> Result<()> {
        match self.servers[n].is_running() {
            true => self.remark(n, "runs already"),
            false => self.start_again(n)?,
        }
        Ok(())
    }

    fn remark(&self, n: usize, what: &str) {
        self.screen.text(&format!("server {} {what}\n", self.servers[n].plan.id));
    }

    /// Asks every server to stop; asked twice, makes them.
    fn stop(&mut self) {
        let signal = match self.phase {
            Phase::Stopping { .. } => Signal::KILL,
            _ => Signal::TERM,
        };
        self.phase = Phase::Stopping { until: Instant::now() + STOP_LIMIT };
        for server in &mut self.servers {
            server.start_at = None;
            server.signal(signal);
            // One that is paused would not notice.
            server.signal(Signal::CONT);
        }
    }
}

/// Exit codes of `tenure serve` after which another start would do no better.
const BAD_USAGE: i32 = 2;
const BAD_FOLDER: i32 = crate::BAD_FOLDER as i32;

fn signal_name(signal: i32) -> String {
    match signal {
        signal_hook::consts::SIGABRT => "SIGABRT".to_owned(),
        signal_hook::consts::SIGKILL => "SIGKILL".to_owned(),
        signal_hook::consts::SIGSEGV => "SIGSEGV".to_owned(),
        signal_hook::consts::SIGTERM => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}
