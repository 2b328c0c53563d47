//! Time: until when the session may be believed in, when to ping, when a link counts as dead, and
//! when to try again.
//!
//! All of it is counted from the time at which the last packet was *sent* that a server confirmed
//! with an answer that vouches, called `vouched`. The server counts its timeout T from when it
//! received that packet, which is later; so the deadline here always comes before the server's.
//!
//! | after `vouched` | what happens |
//! | --- | --- |
//! | T/3 | a ping is sent, unless a write was |
//! | T/2 | still no answer: at risk, silent |
//! | 2T/3 | the link is given up and another server tried |
//! | T less a margin for clocks that drift | lost |

use std::time::Duration;

use super::writer::Search;
use super::{Failure, Interruption, Link, Machine, PlantedBug};
use crate::moment::Moment;
use crate::status::{LinkFault, Liveness, LostReason, Risk};

/// The part of the timeout by which the deadline here comes before T: clocks that run apart by a
/// hundredth are broken; those of healthy machines do by less than a thousandth.
const MARGIN_DIVISOR: u32 = 100;

/// The least margin, which covers what the timers of this machine are late by.
const MIN_MARGIN: Duration = Duration::from_millis(2);

/// The shortest limit on an attempt to reach a server.
const MIN_ATTEMPT: Duration = Duration::from_millis(50);

/// The first pause after all servers were tried in vain, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl<C, W: Clone> Machine<C, W> {
    /// The last instant of which it is certain that the session lives at the ensemble; `None`
    /// before a server has confirmed it, and once it is lost or closed.
    pub fn valid_until(&self) -> Option<Moment> {
        if self.liveness.is_lost() {
            return None;
        }
        self.deadline()
    }

    /// As `valid_until`, also while the session is being closed.
    fn deadline(&self) -> Option<Moment> {
        let held = self.held.as_ref()?;
        Some(held.vouched? + self.believable(held.token.timeout))
    }

    /// For how long a session of this timeout may be believed in once it was vouched for.
    pub(super) fn believable(&self, timeout: Duration) -> Duration {
        if self.has(PlantedBug::NoMargin) { timeout } else { timeout - margin(timeout) }
    }

    /// When [`Machine::timeout_at`] must be called, at the latest.
    pub fn next_deadline(&self) -> Option<Moment> {
        let link = match self.link {
            Link::Over => return None,
            Link::Waiting { until } => Some(until),
            Link::Opening { since, limit, .. } | Link::Shaking { since, limit, .. } => {
                Some(since + limit)
            }
            Link::Attached { .. } => self.upkeep_deadline(),
        };
        let closing = self.closing.as_ref().map(|closing| closing.until);
        let requests = self.queue.next_deadline();
        let all = [link, self.valid_until(), closing, self.establish_by, requests];
        all.into_iter().flatten().min()
    }

    fn upkeep_deadline(&self) -> Option<Moment> {
        let (confirmed, timeout) = (self.upkeep.confirmed, self.timeout());
        let silent = confirmed + timeout * 2 / 3;
        let ping = self.upkeep.ping_sent.is_none().then(|| self.ping_at());
        let risk = (self.liveness == Liveness::Live).then(|| confirmed + timeout / 2);
        let search = self.upkeep.search.as_ref().and_then(Search::due);
        [Some(silent), ping, risk, search].into_iter().flatten().min()
    }

    /// When a ping is due, unless one is under way.
    pub(super) fn ping_at(&self) -> Moment {
        self.upkeep.asked + self.timeout() / 3
    }

    /// The timeout negotiated, or asked for if there is none yet.
    pub fn timeout(&self) -> Duration {
        self.held.as_ref().map_or(self.settings.timeout, |held| held.token.timeout)
    }

    /// Does what is due. May be called at any time.
    pub fn timeout_at(&mut self, now: Moment) {
        self.observe(now);
        while let Some(gone) = self.queue.give_up(now) {
            let cause = Interruption::TimedOut;
            let failed = Failure::Interrupted { sent: gone.may_have_happened, cause };
            self.actions.extend(gone.completion.map(|c| super::Action::Finish(c, Err(failed))));
        }
        match self.link {
            Link::Over => return,
            Link::Waiting { until } if until <= now => self.open(now),
            Link::Opening { since, limit, .. } | Link::Shaking { since, limit, .. }
                if since + limit <= now =>
            {
                self.lose_link(LinkFault::TimedOut { after: limit }, now);
            }
            Link::Attached { .. } => {
                self.check_silence(now);
                self.look_for_writer(now);
            }
            _ => {}
        }
        self.settle(now);
    }

    /// An attached link on which nothing vouches is a risk, then given up.
    fn check_silence(&mut self, now: Moment) {
        let (silent, timeout) = (now.since(self.upkeep.confirmed), self.timeout());
        if silent >= timeout * 2 / 3 {
            self.lose_link(LinkFault::Silent { silent }, now);
        } else if silent >= timeout / 2 && self.liveness == Liveness::Live {
            self.set(self.state, self.at_risk(Risk::Silent));
        }
    }

    /// Notes how late this call is: a process that did not run for long must not blame the server.
    pub(super) fn observe(&mut self, now: Moment) {
        self.see(now);
        self.late = self.next_deadline().map_or(Duration::ZERO, |due| now.since(due));
    }

    /// Ends what has lived too long. Called last by every input that time comes with.
    pub(super) fn settle(&mut self, now: Moment) {
        if let Some(closing) = self.closing.take_if(|closing| closing.until <= now) {
            // Nobody was told, or said so; the session ends by itself a little later.
            let fault = self.fault.clone().filter(|_| !self.is_attached());
            let cause = fault.map_or(Interruption::TimedOut, Interruption::Link);
            let failed = Failure::Interrupted { sent: closing.asked, cause };
            for completion in closing.completions {
                self.actions.push_back(super::Action::Finish(completion, Err(failed.clone())));
            }
            return self.lose(LostReason::Closed);
        }
        if self.establish_by.take_if(|by| *by <= now).is_some() {
            if self.liveness == Liveness::Establishing {
                let after = self.settings.establish_limit.unwrap_or_default();
                return self.lose(LostReason::NotEstablished { after, cause: self.fault.clone() });
            }
            // The session is there; only its credentials are not confirmed.
            self.give_up_auths();
        }
        self.end_if_overdue(now);
    }

    /// Ends the session if nothing vouches for it any more.
    pub(super) fn end_if_overdue(&mut self, now: Moment) {
        if self.valid_until().is_none_or(|until| now < until) {
            return;
        }
        let vouched = self.held.as_ref().and_then(|held| held.vouched).unwrap_or(now);
        // Late by more than a heartbeat's time: with this process running, the session would
        // have been kept alive.
        let reason = if self.late >= self.timeout() / 3 {
            LostReason::Paused { paused: self.late }
        } else {
            let fault = self.fault.clone().filter(|_| !self.is_attached());
            LostReason::DeadlinePassed { silent: now.since(vouched), cause: fault }
        };
        self.lose(reason);
    }

    /// How long an attempt to reach a server may take. A session in danger must have time to try
    /// every server in the last third of its timeout; each round in vain allows twice as long, but
    /// never so long that a server which is silent keeps it from the others.
    pub(super) fn attempt_limit(&self, now: Moment) -> Duration {
        let timeout = self.timeout();
        let count = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let rounds = self.hosts.rounds_failed().min(8);
        match self.valid_until() {
            Some(until) => {
                let fair = timeout / (3 * count.saturating_add(1)) * (1 << rounds);
                fair.min(until.since(now) / count).max(MIN_ATTEMPT)
            }
            None => (timeout / count * (1 << rounds)).min(timeout).max(MIN_ATTEMPT),
        }
    }

    /// The pause before the next attempt: none to speak of until every server was tried.
    pub(super) fn pause(&mut self, now: Moment) -> Duration {
        let rounds = self.hosts.rounds_failed();
        if rounds == 0 {
            return Duration::ZERO;
        }
        let mut longest = LONGEST_PAUSE;
        if let Some(until) = self.valid_until() {
            longest = longest.min(until.since(now) / 8);
        }
        let pause = (FIRST_PAUSE * (1 << (rounds - 1).min(8))).min(longest);
        // From half of it to one and a half: clients of one server must not come back as one.
        let nanos = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX).max(1_000_000);
        Duration::from_nanos(nanos / 2 + self.random.below(nanos))
    }
}

fn margin(timeout: Duration) -> Duration {
    (timeout / MARGIN_DIVISOR).max(MIN_MARGIN).min(timeout)
}
