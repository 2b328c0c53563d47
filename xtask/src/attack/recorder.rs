//! Where everybody who takes part in a run writes down what happened.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tenure_client::{Error, ErrorCode, Moment, Session, Stat};

use super::history::{Deed, Fate, History, Operation, Outcome, Role, Seen, Source};

/// The history of a run as it grows, and what is given out only once in it.
pub(crate) struct Recorder {
    start: Moment,
    started: SystemTime,
    history: Mutex<History>,
    sessions: AtomicU32,
    registers: AtomicU32,
    values: AtomicU64,
    is_ending: AtomicBool,
}

/// Znodes that all writers set, by their numbers from 0 on; further ones are created once.
pub(crate) const SHARED_REGISTERS: u32 = 8;

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            start: Moment::now(),
            started: SystemTime::now(),
            history: Mutex::default(),
            sessions: AtomicU32::new(0),
            registers: AtomicU32::new(SHARED_REGISTERS),
            values: AtomicU64::new(1),
            is_ending: AtomicBool::new(false),
        }
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the run began by the clock of the servers' logs, in seconds since 1970.
    pub(crate) fn began_s(&self) -> f64 {
        self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }

    /// Microseconds since the run began.
    pub(crate) fn now_us(&self) -> u64 {
        self.us(Moment::now())
    }

    /// The same of another instant.
    pub(crate) fn us(&self, at: Moment) -> u64 {
        at.since(self.start).as_micros() as u64
    }

    pub(crate) fn next_session(&self) -> u32 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// A value that nothing else writes.
    pub(crate) fn next_value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    /// A register that does not exist yet.
    pub(crate) fn next_register(&self) -> u32 {
        self.registers.fetch_add(1, Ordering::Relaxed)
    }

    /// How many registers there are, or may be.
    pub(crate) fn registers(&self) -> u32 {
        self.registers.load(Ordering::Relaxed)
    }

    /// From now on sessions that end are closed by us.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// Keeps a write that was handed in at `invoked_us`.
    pub(crate) fn wrote(
        &self,
        (session, register): (u32, u32),
        (value, expected): (u64, Option<i32>),
        invoked_us: u64,
        outcome: &Result<Stat, Error>,
    ) {
        let outcome = match outcome {
            Ok(stat) => Outcome::Done { version: stat.version, mzxid: stat.mzxid.0 },
            Err(error) if error.is(ErrorCode::BadVersion) => Outcome::BadVersion,
            Err(error) if error.may_have_happened() => Outcome::Unknown,
            Err(_) => Outcome::NotDone,
        };
        let deed = Deed::Write { value, expected, outcome };
        self.keep(session, register, invoked_us, deed);
    }

    /// Keeps a read that was begun at `invoked_us`.
    pub(crate) fn read(
        &self,
        (session, register): (u32, u32),
        source: Source,
        invoked_us: u64,
        seen: Option<Seen>,
    ) {
        self.keep(session, register, invoked_us, Deed::Read { source, seen });
    }

    fn keep(&self, session: u32, register: u32, invoked_us: u64, deed: Deed) {
        let completed_us = self.now_us();
        let operation = Operation { session, register, invoked_us, completed_us, deed };
        self.history().operations.push(operation);
    }

    /// Keeps that a session is there.
    pub(crate) fn begins(&self, number: u32, session: &Session, role: Role) {
        let timeout_us = session.timeout().as_micros() as u64;
        let id = session.id().0;
        let fate = Fate { session: number, id, timeout_us, role, lost: None, gone_us: None };
        self.history().fates.push(fate);
    }

    /// Changes what is known of a session.
    pub(crate) fn fate(&self, number: u32, change: impl FnOnce(&mut Fate)) {
        let mut history = self.history();
        // The latest are asked for most.
        if let Some(fate) = history.fates.iter_mut().rev().find(|fate| fate.session == number) {
            change(fate);
        }
    }
}
