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
pub(super) struct AwaitedEnds(Vec<(SessionId, Instant, EndReply)>);

impl AwaitedEnds {
    /// Nobody waits longer than the timeout, so the list is as short as operators are few.
    fn add(&mut self, session: SessionId, now: Instant, reply: EndReply) {
        self.0.retain(|(_, since, _)| now.saturating_duration_since(*since) < END_TIMEOUT);
        self.0.push((session, now, reply));
    }

    fn take(&mut self, session: SessionId) -> Vec<EndReply> {
        let taken = self.0.extract_if(.., |(awaited, ..)| *awaited == session);
        taken.map(|(_, _, reply)| reply).collect()
    }
}

impl Driver {
    /// Proposes the end of a session. Whoever asked is answered when it is applied.
    pub(super) fn propose_end(&mut self, session: SessionId, how: EndAs, reply: EndReply) {
        if !self.replica.is_serving() {
            return reply.send(Err(OperateError::NotServing));
        }
        let Some(live) = self.session(session) else {
            return reply.send(Err(OperateError::UnknownSession(session)));
        };
        let reason = match how {
            EndAs::ClosedByOperator => EndReason::ClosedByOperator,
            EndAs::Expired => EndReason::Expired { silent_ms: live.timeout_ms.into() },
        };
        self.ends_awaited.add(session, self.clock.instant(), reply);
        let input = Input::CloseSession { session, reason };
        self.replica.step(input, self.clock.now(), &mut self.out);
        self.deliver();
    }

    /// Tells those who wait for this session's end.
    pub(super) fn tell_end(&mut self, session: SessionId) {
        let waiting = self.ends_awaited.take(session);
        if waiting.is_empty() {
            return;
        }
        let ended = self.replica.state().ended.get(session).cloned();
        for reply in waiting {
            // It was remembered a moment ago, when its end was applied.
            reply.send(ended.clone().ok_or(OperateError::UnknownSession(session)));
        }
    }

    /// Drops the connection of a session at once, as a broken link would.
    pub(super) fn cut_connection(
        &mut self,
        session: SessionId,
        reply: Reply<Result<(), OperateError>>,
    ) {
        if self.replica.state().sessions.get(session).is_none() {
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
        self.clock.leave_out(self.clock.instant().saturating_duration_since(since));
    }
}
