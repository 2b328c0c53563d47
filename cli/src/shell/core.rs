//! The shell itself: a session, and lines that are run on it one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tenure_client::{EstablishError, Liveness, LostReason, Session, SessionBuilder, Tls};

use super::command::{Command, Typed, UsageError};
use super::error::ShellError;
use super::events::Watches;
use super::history::History;
use super::output::Output;
use super::parse::parse;
use super::run::{self, Scope};
use super::spec::{COMMANDS, Spec};
use super::wait::{Stopped, Waiter};
use super::words;

/// How sessions are established.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) hosts: String,
    pub(super) timeout: Duration,
    pub(super) read_only: bool,
    /// How long to wait for a connection.
    pub(super) wait: Duration,
    /// How links are encrypted, if they are.
    pub(super) tls: Option<Tls>,
}

/// Whether lines follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Quit,
}

pub(super) struct Shell {
    pub(super) settings: Settings,
    pub(super) session: Option<Session>,
    pub(super) out: Output,
    pub(super) watches: Watches,
    pub(super) history: History,
    pub(super) waiter: Waiter,
    /// Whether somebody watches what happens.
    pub(super) is_terminal: bool,
    /// Whether events are printed.
    pub(super) prints_events: Arc<AtomicBool>,
}

/// How long closing a session may take; without an answer it ends by its timeout.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

impl Shell {
    /// Runs one line; its documents and errors are the caller's to show.
    pub(super) fn line(&mut self, line: &str) -> Result<Flow, ShellError> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(Flow::Continue);
        }
        self.history.push(line);
        let words = words::split(line).map_err(UsageError::from)?;
        self.words(&words)
    }

    /// Runs a command of these words.
    pub(super) fn words(&mut self, words: &[String]) -> Result<Flow, ShellError> {
        let Typed { command, deprecated } = parse(words)?;
        if let Some(deprecated) = deprecated {
            self.out.remark(deprecated);
        }
        let document = match command {
            Command::Quit => return Ok(Flow::Quit),
            Command::Redo { number } => return self.redo(number),
            Command::Help { command } => self.help(command)?,
            Command::History => self.show_history()?,
            Command::PrintWatches { on } => self.print_watches(on)?,
            Command::Version => self.version()?,
            Command::Session => self.describe_session()?,
            Command::Connect { hosts } => self.connect(hosts)?,
            Command::Close => self.close_command()?,
            command => self.ask(&command)?,
        };
        self.out.document(&document)?;
        Ok(Flow::Continue)
    }

    /// Runs a command that needs a session.
    fn ask(&mut self, command: &Command) -> Result<Value, ShellError> {
        let session = self.connected(command)?;
        let scope = Scope {
            session: &session,
            out: &self.out,
            watches: &self.watches,
            prints_events: self.prints_events.load(Ordering::Relaxed) && !self.out.json,
        };
        match self.waiter.wait(run::run(scope, command), None) {
            Ok(outcome) => outcome,
            Err(Stopped::Interrupted | Stopped::TimedOut) => Err(ShellError::Interrupted),
        }
    }

    /// The session, once it has a connection or will not get one.
    fn connected(&self, command: &Command) -> Result<Session, ShellError> {
        let Some(session) = &self.session else {
            return Err(ShellError::NotConnected("; 'connect' makes a session".to_owned()));
        };
        let needs_none = matches!(command, Command::RemoveWatches { local: true, .. });
        if session.state().is_connected() || session.state().is_final() || needs_none {
            return Ok(session.clone());
        }
        let mut changes = session.changes();
        let connected = async {
            while let Some(change) = changes.next().await {
                if change.state.is_connected() || change.state.is_final() {
                    return;
                }
            }
        };
        if self.is_terminal {
            let seconds = self.settings.wait.as_secs_f32();
            self.out.remark(&format!(
                "No connection at present; waiting {seconds} s for one. Ctrl-C gives up."
            ));
        }
        match self.waiter.wait(connected, Some(self.settings.wait)) {
            Ok(()) => Ok(session.clone()),
            Err(Stopped::Interrupted) => Err(ShellError::Interrupted),
            Err(Stopped::TimedOut) => {
                let (hosts, seconds) = (&self.settings.hosts, self.settings.wait.as_secs_f32());
                let cause = match session.liveness() {
                    Liveness::AtRisk { cause, .. } => format!(": {cause}"),
                    _ => String::new(),
                };
                Err(ShellError::NotConnected(format!(
                    ": nobody at {hosts} answered within {seconds:.1} s{cause}; still trying"
                )))
            }
        }
    }

    /// Establishes a session, waiting for it as long as the settings say.
    pub(super) fn establish(&mut self) -> Result<(), ShellError> {
        let hosts = self.settings.hosts.clone();
        let builder = self.builder().establish_timeout(self.settings.wait);
        match self.waiter.wait(builder.establish(), None) {
            Ok(Ok(session)) => {
                self.watches.follow(&session);
                self.session = Some(session);
                Ok(())
            }
            Ok(Err(error)) => Err(ShellError::Establish { hosts, error }),
            Err(_) => Err(ShellError::Interrupted),
        }
    }

    /// As [`establish`](Self::establish), but goes on trying in the background, with a session
    /// that waits for a server, if none is there.
    pub(super) fn establish_or_go_on(&mut self) -> Result<(), ShellError> {
        match self.establish() {
            Err(error) if is_worth_trying(&error) => {
                let started = self.builder().start();
                let hosts = self.settings.hosts.clone();
                let session = started.map_err(|error| ShellError::Establish { hosts, error })?;
                self.watches.follow(&session);
                self.session = Some(session);
                Err(error)
            }
            other => other,
        }
    }

    fn builder(&self) -> SessionBuilder {
        let builder = Session::builder(&self.settings.hosts)
            .timeout(self.settings.timeout)
            .read_only(self.settings.read_only);
        match &self.settings.tls {
            Some(tls) => builder.tls(tls.clone()),
            None => builder,
        }
    }

    fn connect(&mut self, hosts: Option<String>) -> Result<Value, ShellError> {
        if let Some(hosts) = hosts {
            self.settings.hosts = hosts;
        }
        self.close();
        if self.is_terminal {
            self.out.remark(&format!("Connecting to {} ...", self.settings.hosts));
        }
        self.establish()?;
        self.tell_connection();
        let session = self.session.as_ref();
        Ok(json!({"session": session.map(|session| session.id().to_string())}))
    }

    /// Says on a terminal which session was established.
    pub(super) fn tell_connection(&self) {
        let Some(session) = self.session.as_ref().filter(|_| self.is_terminal) else { return };
        let server = session.server().map(|server| server.to_string());
        self.out.remark(&format!(
            "Connected to {}: session {}, timeout {} ms",
            server.as_ref().unwrap_or(&self.settings.hosts),
            session.id(),
            session.timeout().as_millis()
        ));
    }

    fn close_command(&mut self) -> Result<Value, ShellError> {
        if self.session.is_none() {
            return Err(ShellError::NotConnected(String::new()));
        }
        self.close();
        Ok(json!({"ok": true}))
    }

    /// Closes the session, if there is one, so that its ephemerals go now and not at its timeout.
    pub(super) fn close(&mut self) {
        let Some(session) = self.session.take() else { return };
        if session.state().is_final() {
            return;
        }
        let id = session.id();
        match self.waiter.finish(session.close(), CLOSE_LIMIT) {
            Some(Ok(())) => {}
            _ if id.0 == 0 => {}
            _ => self.out.remark(&format!(
                "session {id} could not be closed in time: it ends, with its ephemerals, when its \
                 timeout is over"
            )),
        }
    }

    /// Shows why a command failed; to one that does not exist, which ones do.
    pub(super) fn show(&self, error: &ShellError) {
        if matches!(error, ShellError::Usage(UsageError::NotFound(_))) {
            self.out.remark(usages().trim_end());
        }
        self.out.error(error);
    }

    fn redo(&mut self, number: usize) -> Result<Flow, ShellError> {
        let is_redo = |line: &str| {
            line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("redo"))
        };
        let line = match self.history.get(number) {
            Some(line) if !is_redo(line) => line.to_owned(),
            _ => return Err(ShellError::Failed("Command index out of range".to_owned())),
        };
        self.history.replace_last(&line);
        self.words(&words::split(&line).map_err(UsageError::from)?)
    }

    fn show_history(&self) -> Result<Value, ShellError> {
        let mut lines = Vec::new();
        for (number, line) in self.history.newest() {
            self.out.line(&format!("{number} - {line}"))?;
            lines.push(json!({"number": number, "line": line}));
        }
        Ok(json!({"history": lines}))
    }

    fn print_watches(&self, on: Option<bool>) -> Result<Value, ShellError> {
        match on {
            Some(on) => self.prints_events.store(on, Ordering::Relaxed),
            None => {
                let word = if self.prints_events.load(Ordering::Relaxed) { "on" } else { "off" };
                self.out.line(&format!("printwatches is {word}"))?;
            }
        }
        Ok(json!({"printwatches": self.prints_events.load(Ordering::Relaxed)}))
    }

    fn version(&self) -> Result<Value, ShellError> {
        let version = env!("CARGO_PKG_VERSION");
        self.out.line(&format!("Tenure CLI version: {version}"))?;
        Ok(json!({"version": version}))
    }

    fn help(&self, command: Option<&Spec>) -> Result<Value, ShellError> {
        match command {
            None => {
                for spec in COMMANDS {
                    self.out.line(&format!("{:<30} {}", spec.brief(), spec.help))?;
                }
                self.out.line(
                    "\n'help command' explains flags; Tab completes commands, flags and paths; \
                     quotes \" and ' keep spaces",
                )?;
            }
            Some(spec) => {
                self.out.line(&spec.usage())?;
                self.out.line(&format!("    {}", spec.help))?;
                for flag in spec.flags {
                    let name = format!("-{} {}", flag.name, flag.value.unwrap_or_default());
                    self.out.line(&format!("  {name:<14} {}", flag.help))?;
                }
            }
        }
        let shown: Vec<_> = match command {
            Some(spec) => vec![spec],
            None => COMMANDS.iter().collect(),
        };
        let list = shown.iter().map(|spec| json!({"usage": spec.usage(), "help": spec.help}));
        Ok(json!({"commands": list.collect::<Vec<_>>()}))
    }

    fn describe_session(&self) -> Result<Value, ShellError> {
        let Some(session) = &self.session else {
            return Err(ShellError::NotConnected("; 'connect' makes a session".to_owned()));
        };
        let (id, state, liveness) = (session.id(), session.state(), session.liveness());
        let timeout_ms = session.timeout().as_millis() as u64;
        let valid = session.valid_until().map(|until| until.remaining().as_millis() as u64);
        let server = session.server().map(|server| server.to_string());
        let zxid = session.last_zxid();
        self.out.text(&format!(
            "id = {id}\nstate = {state}\nliveness = {liveness}\ntimeout = {timeout_ms} ms\n\
             valid for = {}\nserver = {}\nlast zxid = {zxid}\n",
            valid.map_or("nothing confirms it".to_owned(), |ms| format!("{ms} ms")),
            server.as_deref().unwrap_or("none at present"),
        ))?;
        Ok(json!({
            "id": id.to_string(),
            "state": state.name(),
            "liveness": liveness.to_string(),
            "timeout_ms": timeout_ms,
            "valid_for_ms": valid,
            "server": server,
            "last_zxid": zxid.to_string(),
            "chroot": session.chroot(),
        }))
    }
}

/// The usage of every command, a line each.
fn usages() -> String {
    COMMANDS.iter().map(|spec| format!("\t{}\n", spec.usage())).collect()
}

/// Whether a server may yet come.
fn is_worth_trying(error: &ShellError) -> bool {
    match error {
        ShellError::Establish { error: EstablishError::Lost(reason), .. } => {
            matches!(reason, LostReason::NotEstablished { .. })
        }
        ShellError::Interrupted => true,
        _ => false,
    }
}
