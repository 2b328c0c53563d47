//! What operators and tests have the running server do: end sessions, cut connections, stand still.

use std::time::Instant;

use tenure_replica::{EndReason, Ended, Input};
use tenure_wire::SessionId;

use super::Driver;
use crate::admin::{END_TIMEOUT, EndAs, Live, OperateError, Reply};
use crate::mail::Mail;

/// Where the record of an end goes.
pub(super) type EndReply = Reply<Result<Ended, OperateError>>;

/// Who waits for sessions to end.
#[derive(Default)]
pub(super) struct AwaitedEnds(Vec<AwaitedEnd>);

struct AwaitedEnd {
    session: SessionId,
    since: Instant,
    /// When the session was established, by the wall clock.
    opened_ms: i64,
    reply: EndReply,
}

impl AwaitedEnds {
    /// Nobody waits longer than the timeout, so the list is as short as operators are few.
    fn add(&mut self, awaited: AwaitedEnd) {
        let now = awaited.since;
        self.0.retain(|other| now.saturating_duration_since(other.since) < END_TIMEOUT);
        self.0.push(awaited);
    }

    fn take(&mut self, session: SessionId) -> Vec<AwaitedEnd> {
        self.0.extract_if(.., |awaited| awaited.session == session).collect()
    }
}

impl Driver {
    /// Proposes the end of a session. Whoever asked is answered when it is applied.
    pub(super) fn propose_end(&mut self, session: SessionId, how: EndAs, reply: EndReply) {
        let live = self.session(session);
        // What this server alone knows it can end without a leader.
        if !self.replica.is_serving() && live.as_ref().is_none_or(|live| !live.is_local) {
            return reply.send(Err(OperateError::NotServing));
        }
        let Some(live) = live else {
            return reply.send(Err(OperateError::UnknownSession(session)));
        };
        let reason = match how {
            EndAs::ClosedByOperator => EndReason::ClosedByOperator,
            EndAs::Expired => EndReason::Expired { silent_ms: live.timeout_ms.into() },
        };
        let (since, opened_ms) = (self.clock.instant(), live.opened_wall_ms);
        self.ends_awaited.add(AwaitedEnd { session, since, opened_ms, reply });
        let input = Input::CloseSession { session, reason };
        self.replica.step(input, self.clock.now(), &mut self.out);
        self.deliver();
    }

    /// Tells those who wait for this session's end.
    pub(super) fn tell_end(&mut self, session: SessionId, reason: EndReason, timeout_ms: u32) {
        let waiting = self.ends_awaited.take(session);
        if waiting.is_empty() {
            return;
        }
        let remembered = self.replica.state().ended.get(session).cloned();
        let (ended_ms, zxid) = (self.clock.now().wall_ms, self.replica.last_zxid());
        for AwaitedEnd { opened_ms, reply, .. } in waiting {
            // The end of a session of this server alone is in no log, and not remembered.
            let ended = remembered.clone().unwrap_or_else(|| {
                let (ephemerals, paths) = (0, Vec::new());
                Ended { session, reason, timeout_ms, opened_ms, ended_ms, zxid, ephemerals, paths }
            });
            reply.send(Ok(ended));
        }
    }

    /// Drops the connection of a session at once, as a broken link would.
    pub(super) fn cut_connection(
        &mut self,
        session: SessionId,
        reply: Reply<Result<(), OperateError>>,
    ) {
        if self.session(session).is_none() {
            return reply.send(Err(OperateError::UnknownSession(session)));
        }
        let Some(conn) = self.replica.connection_of(session) else {
            return reply.send(Err(OperateError::NotConnected(session)));
        };
        self.drop_connection(conn);
        reply.send(Ok(()));
    }

    /// Does nothing until told to go on or to stop. What others report meanwhile keeps its order;
    /// the time is left out of the sessions' clock, as nobody could be heard in it.
    pub(super) fn stand_still(&mut self, reply: Reply<()>) {
        let since = self.clock.instant();
        reply.send(());
        while let Ok(mail) = self.mail.recv() {
            match mail {
                Mail::Resume => break,
                // To pause what is paused changes nothing.
                Mail::Pause(reply) => reply.send(()),
                Mail::Stop => {
                    self.late_mail.push_back(Mail::Stop);
                    break;
                }
                other => self.late_mail.push_back(other),
            }
        }
        let lasted = self.clock.instant().saturating_duration_since(since);
        self.clock.leave_out(lasted);
        self.watch_pause(lasted);
    }
}
