//! Getting a link and a server's confirmation of the session on it, and what losing it means.

use tenure_wire::{
    ConnectRequest, ConnectResponse, SessionId, TENURE_PASSWORD, TENURE_PROTOCOL, frame,
};

use super::writer::Search;
use super::{Action, Failure, Held, Interruption, Link, LinkId, Machine, PlantedBug, Upkeep};
use crate::moment::Moment;
use crate::status::{Account, EndCause, LinkFault, Liveness, LostReason, Risk, State};
use crate::token::SessionToken;

impl<C, W: Clone> Machine<C, W> {
    /// Tries the next server.
    pub(super) fn open(&mut self, now: Moment) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let limit = self.attempt_limit(now);
        let host = self.hosts.next();
        self.at = Some(host.clone());
        self.link = Link::Opening { id, since: now, limit };
        self.actions.push_back(Action::Open(id, host));
    }

    /// The link that was to be opened is there.
    pub fn connected(&mut self, id: LinkId, now: Moment) {
        self.observe(now);
        match self.link {
            Link::Opening { id: wanted, since, limit } if wanted == id => {
                self.link = Link::Shaking { id, since, limit, sent: None };
            }
            _ => {}
        }
        self.settle(now);
    }

    /// The link, or the attempt to get it, came to its end.
    pub fn disconnected(&mut self, id: LinkId, fault: LinkFault, now: Moment) {
        self.observe(now);
        if self.link_id() == Some(id) {
            self.lose_link(fault, now);
        }
        self.settle(now);
    }

    /// Gives the link up, tells everybody whose write may or may not have happened, and gets ready
    /// for another.
    pub(super) fn lose_link(&mut self, fault: LinkFault, now: Moment) {
        if let Some(id) = self.link_id() {
            self.actions.push_back(Action::Close(id));
        }
        let was_attached = self.is_attached();
        self.partial = Vec::new();
        self.skip = 0;
        self.fault = Some(fault.clone());
        self.held.take_if(|held| held.is_local);
        if let Some(closing) = &mut self.closing {
            closing.asked = false;
        }
        self.link = Link::Waiting { until: now + self.pause(now) };
        self.set(State::Connecting, self.at_risk(Risk::Disconnected(fault.clone())));
        // After a pause the session may be gone with the link: that is what requests fail of then.
        self.end_if_overdue(now);
        if was_attached && !self.is_over() {
            let mut unknown = Vec::new();
            self.queue.link_lost(&mut unknown);
            let cause = Interruption::Link(fault);
            for completion in unknown {
                let failed = Failure::Interrupted { sent: true, cause: cause.clone() };
                self.actions.push_back(Action::Finish(completion, Err(failed)));
            }
        }
    }

    /// Appends the handshake and returns the wish that it states.
    pub(super) fn shake(&self, out: &mut Vec<u8>) {
        let token = self.held.as_ref().map(|held| &held.token);
        let by_tenure = token.is_some_and(|token| token.by_tenure);
        let timeout = self.timeout().as_millis();
        let request = ConnectRequest {
            protocol_version: if by_tenure { TENURE_PROTOCOL } else { 0 },
            last_zxid_seen: self.last_zxid,
            timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
            session: token.map_or(SessionId(0), SessionToken::id),
            password: Some(token.map_or(&TENURE_PASSWORD, |token| &token.password)),
            read_only: Some(self.settings.read_only),
        };
        let start = frame::begin(out);
        request.encode(out);
        frame::end(out, start);
    }

    /// The server's answer to the handshake that was sent at `sent`.
    pub(super) fn shaken(
        &mut self,
        id: LinkId,
        sent: Moment,
        payload: &[u8],
        now: Moment,
    ) -> Result<(), LinkFault> {
        let response = ConnectResponse::decode(payload)
            .map_err(|error| LinkFault::Protocol(format!("in the handshake: {error}")))?;
        let timeout_ms = u64::try_from(response.timeout_ms).unwrap_or(0);
        let refused = timeout_ms == 0 || response.session == SessionId(0);
        match &self.held {
            Some(held) if refused || held.token.id != response.session => {
                self.refused(response.account);
                return Ok(());
            }
            None if refused => {
                let what = "the server refuses to establish a session";
                return Err(LinkFault::Protocol(what.to_owned()));
            }
            _ => {}
        }
        let read_only = response.read_only == Some(true);
        let token = SessionToken {
            id: response.session,
            password: response.password,
            timeout: std::time::Duration::from_millis(timeout_ms),
            by_tenure: response.protocol_version == TENURE_PROTOCOL,
        };
        // The server has counted from when it received the handshake, at the earliest.
        let sent = self.counted_from(sent);
        let silent = now.since(sent);
        if silent >= self.believable(token.timeout) {
            // The answer waited out a pause: it tells of a session that may be gone again.
            return Err(LinkFault::TimedOut { after: silent });
        }
        let vouched = (!read_only).then_some(sent);
        self.held = Some(Held { token, vouched, is_local: read_only });
        // Until the credentials are confirmed that came with the wish for the session.
        if self.auth_waiting.is_empty() {
            self.establish_by = None;
        }
        self.link = Link::Attached { id };
        let rearms = !self.watches.is_empty() && !self.has(PlantedBug::ForgetsWatches);
        self.upkeep = Upkeep {
            asked: sent,
            confirmed: sent,
            rearm: rearms.then_some(None),
            rearm_zxid: self.last_zxid,
            search: read_only.then(|| Search::from(now)),
            ..Upkeep::default()
        };
        let state = if read_only { State::ConnectedReadOnly } else { State::Connected };
        self.set(state, Liveness::Live);
        self.ask_to_close();
        self.settle(now);
        Ok(())
    }

    /// A server says that the session does not exist.
    fn refused(&mut self, account: Option<tenure_wire::Account>) {
        if let Some(closing) = self.closing.take() {
            // So it is closed, which was wanted.
            self.closed(closing.completions);
            return;
        }
        let account = account.map(Account::from);
        self.lose(match account {
            Some(account) if account.cause != EndCause::Expired => {
                LostReason::ClosedElsewhere { account }
            }
            account => LostReason::Expired { account },
        });
    }

    /// The session was closed as the application wished.
    pub(super) fn closed(&mut self, completions: Vec<C>) {
        let done = super::Reply { body: bytes::Bytes::new(), zxid: self.last_zxid, code: 0 };
        let ends = completions.into_iter().map(|c| Action::Finish(c, Ok(done.clone())));
        self.actions.extend(ends);
        self.lose(LostReason::Closed);
    }
}
