//! What happened to sessions lately, numbered, for operators who follow it live.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use tenure_wire::SessionId;

use super::query::Reply;
use crate::limits;

/// One step in the life of a session, as this server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEvent {
    /// Its number: 1 for the first since the server's start, then without a gap.
    pub seq: u64,
    /// When, by this server's wall clock, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// What happened.
    pub kind: SessionEventKind,
    /// To which session.
    pub session: SessionId,
    /// The address of its client, if it is or was connected to this server.
    pub client: Option<SocketAddr>,
    /// The negotiated timeout.
    pub timeout_ms: u32,
    /// Why, where there is more to say.
    pub reason: Option<String>,
}

/// What can happen to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEventKind {
    /// It began.
    Established,
    /// Its client attached again, here.
    Resumed,
    /// It lost its connection to this server, and lives on.
    LinkLost,
    /// Its client was not heard for its timeout.
    Expired,
    /// Its client closed it.
    ClosedByClient,
    /// An operator closed it.
    ClosedByOperator,
}

impl SessionEventKind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::Resumed => "resumed",
            Self::LinkLost => "link_lost",
            Self::Expired => "expired",
            Self::ClosedByClient => "closed_by_client",
            Self::ClosedByOperator => "closed_by_operator",
        }
    }
}

/// Some consecutive events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// In their order.
    pub events: Vec<SessionEvent>,
    /// Events before the first of these that were asked for and are no longer remembered.
    pub missed: u64,
    /// The number after which to go on.
    pub next_after: u64,
}

/// The latest events, and who waits for the next.
#[derive(Default)]
pub(crate) struct SessionEvents {
    ring: VecDeque<SessionEvent>,
    last: u64,
    waiting: Vec<(Instant, Reply<EventPage>)>,
}

impl SessionEvents {
    /// Numbers an event, keeps it, and tells those who wait.
    pub(crate) fn push(&mut self, event: SessionEvent) {
        self.last += 1;
        if self.ring.len() == limits::SESSION_EVENTS {
            self.ring.pop_front();
        }
        self.ring.push_back(SessionEvent { seq: self.last, ..event });
        for (_, reply) in std::mem::take(&mut self.waiting) {
            // They had seen everything before.
            reply.send(self.page(self.last - 1));
        }
    }

    /// Answers with what came after a number, or, if nothing did, with what comes next before
    /// `until`. A number that was not reached yet is one of an earlier start of the server: then
    /// everything is new.
    pub(crate) fn ask(&mut self, after: u64, until: Option<Instant>, reply: Reply<EventPage>) {
        let Some(until) = until.filter(|_| after == self.last) else {
            return reply.send(self.page(after));
        };
        // Whoever waited in vain does not ask twice, so that the list stays as short as the number
        // of admin connections.
        let now = Instant::now();
        self.waiting.retain(|(until, _)| *until > now);
        self.waiting.push((until, reply));
    }

    /// Where the clients of sessions were, as far as that is remembered.
    pub(crate) fn clients(&self) -> HashMap<SessionId, IpAddr> {
        let of = |event: &SessionEvent| Some((event.session, event.client?.ip()));
        self.ring.iter().filter_map(of).collect()
    }

    fn page(&self, after: u64) -> EventPage {
        let after = if after > self.last { 0 } else { after };
        let forgotten = self.last - self.ring.len() as u64;
        let skipped = after.saturating_sub(forgotten) as usize;
        let wanted = self.ring.iter().skip(skipped).take(limits::SESSION_EVENTS_PER_PAGE);
        let events: Vec<SessionEvent> = wanted.cloned().collect();
        let next_after = events.last().map_or(self.last, |event| event.seq);
        EventPage { events, missed: forgotten.saturating_sub(after), next_after }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, TryRecvError};
    use std::time::Duration;

    use super::*;

    fn push(events: &mut SessionEvents, session: i64) {
        events.push(SessionEvent {
            seq: 0,
            wall_ms: 5,
            kind: SessionEventKind::Established,
            session: SessionId(session),
            client: None,
            timeout_ms: 4_000,
            reason: None,
        });
    }

    fn ask(events: &mut SessionEvents, after: u64, wait: Duration) -> Receiver<EventPage> {
        let (sender, answer) = mpsc::channel();
        let until = (!wait.is_zero()).then(|| Instant::now() + wait);
        events.ask(after, until, Reply::new(move |page| sender.send(page).unwrap()));
        answer
    }

    fn seen(page: &EventPage) -> (Vec<u64>, u64, u64) {
        let seqs = page.events.iter().map(|event| event.seq).collect();
        (seqs, page.missed, page.next_after)
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let mut events = SessionEvents::default();
        let at_once =
            |events: &mut _, after| seen(&ask(events, after, Duration::ZERO).try_recv().unwrap());
        assert_eq!(at_once(&mut events, 0), (vec![], 0, 0));
        for session in 1..=3 {
            push(&mut events, session);
        }
        assert_eq!(at_once(&mut events, 0), (vec![1, 2, 3], 0, 3));
        assert_eq!(at_once(&mut events, 2), (vec![3], 0, 3));
        assert_eq!(at_once(&mut events, 3), (vec![], 0, 3));
        // A number of another life of the server.
        assert_eq!(at_once(&mut events, 77), (vec![1, 2, 3], 0, 3));
        for session in 0..limits::SESSION_EVENTS as i64 {
            push(&mut events, session);
        }
        let (seqs, missed, next_after) = at_once(&mut events, 1);
        assert_eq!((seqs[0], missed), (4, 2));
        assert_eq!(next_after, 3 + limits::SESSION_EVENTS_PER_PAGE as u64);
        assert_eq!(at_once(&mut events, next_after).0[0], next_after + 1);
    }

    #[test]
    fn whoever_has_seen_everything_waits_for_the_next() {
        let mut events = SessionEvents::default();
        push(&mut events, 1);
        let minute = Duration::from_secs(60);
        assert_eq!(seen(&ask(&mut events, 0, minute).try_recv().unwrap()).0, [1]);
        let waiting = ask(&mut events, 1, minute);
        assert_eq!(waiting.try_recv(), Err(TryRecvError::Empty));
        push(&mut events, 2);
        assert_eq!(seen(&waiting.try_recv().unwrap()), (vec![2], 0, 2));
        // Those whose time is over are let go of when the next one comes.
        let overdue = ask(&mut events, 2, Duration::from_nanos(1));
        while events.waiting[0].0 > Instant::now() {}
        let waiting = ask(&mut events, 2, minute);
        assert_eq!(overdue.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!((waiting.try_recv(), events.waiting.len()), (Err(TryRecvError::Empty), 1));
    }
}
