//! When sessions expire: the leader's clock and its queue of deadlines.
//!
//! The clock is the replica's own. It follows monotonic time, but a single step of it is at most
//! `MAX_STEP_US`: when the server was paused, its clients' packets wait unread, and that time must
//! not count against them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tenure_wire::SessionId;

/// Deadlines of all sessions, known to the leader only.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// Time on this clock.
    now_us: u64,
    /// Monotonic time of the last advance.
    mono_us: Option<u64>,
    sessions: HashMap<SessionId, Silence, FixedState>,
    /// Each session once, some time before its deadline: touches do not move it, the one that
    /// comes up too early is filed again. Entries that `Silence::filed_us` does not confirm are
    /// void.
    queue: BinaryHeap<Reverse<Filed>>,
}

/// What is known of a session: since when nothing was heard, and how long that may last.
#[derive(Debug)]
struct Silence {
    touched_us: u64,
    filed_us: u64,
    /// The deadline of before a resume, until the client is heard again; then 0.
    promised_us: u64,
    timeout_ms: u32,
}

/// When to look at a session next.
type Filed = (u64, SessionId);

/// The longest step of the clock: well over the time between two ticks, so that an idle server's
/// clock keeps time, and far below any session timeout.
const MAX_STEP_US: u64 = 250_000;

/// How far ahead the head of the queue is made exact, so that the server need not wake up between
/// its ticks for sessions that are not silent.
const HORIZON_US: u64 = 250_000;

/// Void entries tolerated before the queue is built anew.
const SPARE_ENTRIES: usize = 1_024;

impl Expiry {
    /// No sessions; the clock stands until the first `advance`.
    pub(crate) fn new() -> Self {
        Expiry {
            now_us: 0,
            mono_us: None,
            sessions: HashMap::with_hasher(FixedState::with_seed(0)),
            queue: BinaryHeap::new(),
        }
    }

    /// Moves the clock along with monotonic time.
    pub(crate) fn advance(&mut self, mono_us: u64) {
        let last_us = self.mono_us.unwrap_or(mono_us);
        self.now_us += mono_us.saturating_sub(last_us).min(MAX_STEP_US);
        self.mono_us = Some(mono_us.max(last_us));
    }

    /// Starts a session's timeout, from the last advance on.
    pub(crate) fn add(&mut self, session: SessionId, timeout_ms: u32) {
        let mut silence =
            Silence { touched_us: self.now_us, filed_us: 0, promised_us: 0, timeout_ms };
        silence.filed_us = file_at(session, self.now_us, silence.deadline_us());
        let filed_us = silence.filed_us;
        self.sessions.insert(session, silence);
        self.file(session, filed_us);
    }

    /// Something was heard of the session. False if it is not on the clock, because it is unknown
    /// or its end is under way.
    pub(crate) fn touch(&mut self, session: SessionId, mono_us: u64) -> bool {
        // A clock that stood behind the touch would let the session expire early.
        self.advance(mono_us);
        let Some(silence) = self.sessions.get_mut(&session) else { return false };
        silence.touched_us = self.now_us;
        if silence.promised_us != 0 {
            silence.promised_us = 0;
            let deadline_us = silence.deadline_us();
            if deadline_us < silence.filed_us {
                silence.filed_us = deadline_us;
                self.file(session, deadline_us);
            }
        }
        true
    }

    /// The client resumes its session, with another timeout perhaps. Until it is heard again it may
    /// not know that, and rely on the deadline of before: a resume never brings that forward. False
    /// if the session is not on the clock.
    pub(crate) fn resume(&mut self, session: SessionId, timeout_ms: u32, mono_us: u64) -> bool {
        self.advance(mono_us);
        let Some(silence) = self.sessions.get_mut(&session) else { return false };
        silence.promised_us = silence.deadline_us();
        silence.timeout_ms = timeout_ms;
        silence.touched_us = self.now_us;
        true
    }

    /// The session was granted a longer timeout under an earlier leader.
    pub(crate) fn prolong(&mut self, session: SessionId, timeout_ms: u32) {
        if let Some(silence) = self.sessions.get_mut(&session) {
            silence.timeout_ms = silence.timeout_ms.max(timeout_ms);
        }
    }

    /// Until when, on this clock, a session that was resumed keeps its deadline of before.
    pub(crate) fn promised_us(&self, session: SessionId) -> u64 {
        self.sessions.get(&session).map_or(0, |silence| silence.promised_us)
    }

    /// Renews that promise: what was heard since then shows nothing of what the client knows.
    pub(crate) fn promise(&mut self, session: SessionId, until_us: u64) {
        if let Some(silence) = self.sessions.get_mut(&session) {
            silence.promised_us = silence.promised_us.max(until_us);
        }
    }

    /// Takes a session off the clock.
    pub(crate) fn remove(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        self.drop_void_entries();
    }

    /// Takes every session off the clock whose deadline had come at a monotonic time, and says how
    /// long it was silent, in milliseconds. The longest overdue comes first.
    ///
    /// The time may lie before the last advance: up to it the caller has heard everything that
    /// arrived, while what came since may still wait unread.
    pub(crate) fn pop_expired(&mut self, mono_us: u64, out: &mut Vec<(SessionId, u64)>) {
        let ahead_us = self.mono_us.map_or(0, |last_us| last_us.saturating_sub(mono_us));
        let until_us = self.now_us.saturating_sub(ahead_us);
        let horizon_us = self.now_us + HORIZON_US;
        while let Some(Reverse((filed_us, session))) = self.queue.peek().copied() {
            let Some(silence) = self.sessions.get_mut(&session) else {
                self.queue.pop();
                continue;
            };
            let deadline_us = silence.deadline_us();
            if filed_us != silence.filed_us {
                self.queue.pop();
            } else if deadline_us > filed_us && filed_us <= horizon_us {
                silence.filed_us = file_at(session, self.now_us, deadline_us);
                self.queue.pop();
                self.queue.push(Reverse((silence.filed_us, session)));
            } else if deadline_us <= until_us {
                out.push((session, (until_us - silence.touched_us) / 1000));
                self.queue.pop();
                self.sessions.remove(&session);
            } else {
                return;
            }
        }
    }

    /// When `pop_expired` may have something next, in monotonic time. Never after that.
    pub(crate) fn next_deadline_us(&self) -> Option<u64> {
        let Reverse((filed_us, _)) = self.queue.peek()?;
        Some(self.mono_us? + filed_us.saturating_sub(self.now_us))
    }

    /// How long until a session expires unless something is heard of it, in milliseconds.
    pub(crate) fn left_ms(&self, session: SessionId) -> Option<u64> {
        let silence = self.sessions.get(&session)?;
        Some(silence.deadline_us().saturating_sub(self.now_us).div_ceil(1000))
    }

    /// How long nothing was heard of a session, in milliseconds.
    pub(crate) fn silent_ms(&self, session: SessionId) -> Option<u64> {
        let silence = self.sessions.get(&session)?;
        Some((self.now_us - silence.touched_us) / 1000)
    }

    fn file(&mut self, session: SessionId, deadline_us: u64) {
        self.queue.push(Reverse((deadline_us, session)));
        self.drop_void_entries();
    }

    /// Keeps the queue in proportion to the sessions, however many come and go.
    fn drop_void_entries(&mut self) {
        if self.queue.len() <= 2 * self.sessions.len() + SPARE_ENTRIES {
            return;
        }
        let sessions = &self.sessions;
        self.queue.retain(|Reverse((filed_us, session))| {
            sessions.get(session).is_some_and(|silence| silence.filed_us == *filed_us)
        });
    }
}

/// A distant deadline is looked at somewhere in the second half of the way there, different for
/// each session: a new leader starts a million timeouts at one instant, and must not find them all
/// due for a look at another.
fn file_at(session: SessionId, now_us: u64, deadline_us: u64) -> u64 {
    let left_us = deadline_us.saturating_sub(now_us);
    if left_us <= 2 * HORIZON_US {
        return deadline_us;
    }
    let scattered = (session.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    now_us + left_us / 2 + ((left_us / 2 * scattered) >> 32)
}

impl Silence {
    fn deadline_us(&self) -> u64 {
        (self.touched_us + u64::from(self.timeout_ms) * 1000).max(self.promised_us)
    }
}

#[cfg(test)]
mod tests;
