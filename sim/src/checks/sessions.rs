//! When and why sessions end: never early, never late, and for the reason that is given.

use std::collections::{BTreeMap, BTreeSet};

use tenure_client::{LostReason, SessionId};
use tenure_replica::EndReason;

use crate::clock::{MS, Nanos};
use crate::world::{Rule, World};

/// What is known of all sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// When the ensemble ended them, and why.
    ended: BTreeMap<SessionId, (Nanos, EndReason)>,
    /// Until when the servers have promised them to live, by true time.
    promised: BTreeMap<SessionId, Promise>,
    /// When servers heard of them last, and the timeout that was granted then.
    heard: BTreeMap<SessionId, (Nanos, Nanos)>,
    /// Sessions whose clients have asked a server to close them, and those of which an operator
    /// has.
    pub(crate) asked_by_client: BTreeSet<SessionId>,
    pub(crate) asked_by_operator: BTreeSet<SessionId>,
    /// Sessions whose clients were told that they are closed.
    pub(crate) closed: BTreeSet<i64>,
}

/// What a client may rely on.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    /// The link on which the session was granted last.
    link: usize,
    until: Nanos,
    /// What was promised on earlier links, until the client is heard on the present one.
    earlier: Nanos,
}

/// How much later than its timeout a session may end when nothing is wrong: a tick, a batch of
/// touches that waits for the one before, and the log.
const LATE: Nanos = 50 * MS;

/// A server's clock may run too fast by a thousandth.
fn by_a_fast_clock(timeout: Nanos) -> Nanos {
    timeout - timeout / 999
}

impl Sessions {
    /// A server granted a session on a handshake that it got at `heard_at`. Until the client is
    /// heard again, an earlier promise holds as well.
    pub(crate) fn granted(
        &mut self,
        session: SessionId,
        link: usize,
        heard_at: Nanos,
        timeout: Nanos,
    ) {
        self.heard.insert(session, (heard_at, timeout));
        let promised = self.promised.entry(session).or_default();
        let earlier = promised.earlier.max(promised.until);
        *promised = Promise { link, until: heard_at + by_a_fast_clock(timeout), earlier };
    }

    /// A server got something that keeps a session alive.
    pub(crate) fn touched(&mut self, now: Nanos, session: SessionId) {
        if let Some((at, _)) = self.heard.get_mut(&session) {
            *at = now;
        }
    }

    /// A client sent something on a link on which its session was granted.
    pub(crate) fn heard(&mut self, session: SessionId, link: usize) {
        if let Some(promised) = self.promised.get_mut(&session).filter(|last| last.link == link) {
            promised.earlier = 0;
        }
    }

    /// A server answered a packet that it got at `heard_at`, with an answer that vouches.
    pub(crate) fn vouched(
        &mut self,
        session: SessionId,
        link: usize,
        heard_at: Nanos,
        timeout: Nanos,
    ) {
        let promised = self.promised.entry(session).or_default();
        let is_latest = promised.link == link;
        let until = if is_latest { &mut promised.until } else { &mut promised.earlier };
        *until = (*until).max(heard_at + by_a_fast_clock(timeout));
    }

    /// When and why a session ended.
    pub(crate) fn end_of(&self, session: SessionId) -> Option<(Nanos, EndReason)> {
        self.ended.get(&session).copied()
    }
}

impl World {
    /// A server applied a session's end. The first one to do so ends it; all others must give the
    /// same reason.
    pub(crate) fn session_ended(&mut self, member: usize, session: SessionId, reason: EndReason) {
        self.check_ephemerals_gone(member, session);
        if let Some((_, first)) = self.ledger.sessions.end_of(session) {
            if first != reason {
                self.violated(Rule::RightReason, || {
                    format!("session {session} was {first}, and at another server {reason}")
                });
            }
            return;
        }
        self.ledger.sessions.ended.insert(session, (self.now, reason));
        self.check_reason(session, reason);
        if !matches!(reason, EndReason::Expired { .. }) {
            return;
        }
        self.counts.add("sessions expired");
        let promised = self.ledger.sessions.promised.get(&session).copied().unwrap_or_default();
        let promised = promised.until.max(promised.earlier);
        if self.now < promised {
            let early = (promised - self.now) / 1000;
            self.violated(Rule::NeverExpiredEarly, || {
                format!("session {session} expired {early} us before the promised end")
            });
        }
        for client in 0..self.clients.len() {
            self.check_belief(client);
        }
        if self.plan.is_quiet {
            self.check_expiry_when_quiet(session);
        }
    }

    /// Nothing is wrong, but a session expired: its client is gone, and has been for its timeout
    /// and not much longer.
    fn check_expiry_when_quiet(&mut self, session: SessionId) {
        if let Some(client) =
            (0..self.clients.len()).find(|client| self.clients[*client].session() == Some(session))
        {
            self.violated(Rule::AliveWhenWell, || {
                format!("session {session} expired, and client {client} was well")
            });
        }
        let Some((heard_at, timeout)) = self.ledger.sessions.heard.get(&session) else { return };
        let (least, most) = (by_a_fast_clock(*timeout), timeout + timeout / 999 + LATE);
        let took = self.now - heard_at;
        if took < least || took > most {
            self.violated(Rule::ExpiredInTime, || {
                format!("session {session} expired after {} us of silence", took / 1000)
            });
        }
    }

    /// Whether things happened as the reason says.
    fn check_reason(&mut self, session: SessionId, reason: EndReason) {
        let sessions = &self.ledger.sessions;
        let least_ms = self.plan.bounds_ms.iter().map(|(least, _)| *least).min();
        let is_right = match reason {
            EndReason::ClosedByClient => sessions.asked_by_client.contains(&session),
            EndReason::ClosedByOperator => sessions.asked_by_operator.contains(&session),
            EndReason::Expired { silent_ms } => {
                silent_ms >= u64::from(least_ms.unwrap_or_default()) && silent_ms <= self.now / MS
            }
        };
        if !is_right {
            self.violated(Rule::RightReason, || {
                format!("session {session} was {reason}, says a server, and it was not")
            });
        }
    }

    /// A client was told that its session is gone: it must be, and for that reason.
    pub(crate) fn check_loss(&mut self, client: usize, session: SessionId, reason: &LostReason) {
        let end = self.ledger.sessions.end_of(session).map(|(_, reason)| reason);
        // A server that never had a local session can only say that it does not know it.
        let local = self.plan.local_sessions;
        let is_right = match reason {
            LostReason::Expired { .. } => local || matches!(end, Some(EndReason::Expired { .. })),
            LostReason::ClosedElsewhere { .. } => {
                matches!(end, Some(EndReason::ClosedByClient | EndReason::ClosedByOperator))
            }
            _ => true,
        };
        if !is_right {
            self.violated(Rule::RightReason, || {
                format!("client {client} was told of session {session}: {reason}; in truth {end:?}")
            });
        }
    }
}
