//! The rules that every history must keep, and what must be remembered to check them.

mod order;
mod queue;
mod replicas;
mod sessions;

use std::collections::BTreeSet;

use tenure_client::{Liveness, LostReason, Risk, SessionId, State, Zxid};
use tenure_replica::{EndReason, Tree};

pub(crate) use order::{Claim, Order, REGISTERS, register_path, value_of};
use queue::Queue;
use replicas::{Seen, wrong_ephemerals};
use sessions::Sessions;

use crate::application::{DATA, LOCK};
use crate::world::{Rule, World};

/// What is known of all sessions and writes.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) sessions: Sessions,
    pub(crate) order: Order,
    pub(crate) queue: Queue,
    seen: Seen,
    /// Znodes that clients tried to create, and whether they did, if they know.
    writes: Vec<(String, Option<bool>)>,
    names: u64,
    /// Changes of the znode that everybody watches: not all of them, but no other.
    changes_of_data: Vec<Zxid>,
}

impl Ledger {
    /// Tells a write from all others.
    pub(crate) fn next_name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    pub(super) fn data_changed(&mut self, zxid: Zxid) {
        if self.changes_of_data.last().is_none_or(|last| *last < zxid) {
            self.changes_of_data.push(zxid);
        }
    }

    /// The last known change of that znode up to some zxid.
    pub(crate) fn last_change_of_data(&self, zxid: Zxid) -> Option<Zxid> {
        let later = self.changes_of_data.partition_point(|change| *change <= zxid);
        later.checked_sub(1).map(|last| self.changes_of_data[last])
    }

    /// A client was told what became of a write, or that nobody knows.
    pub(crate) fn wrote(&mut self, path: String, happened: Option<bool>) {
        self.writes.push((path, happened));
    }
}

impl World {
    /// No client believes in a session that was expired.
    fn check_belief(&mut self, client: usize) {
        let host = &self.clients[client];
        let Some(session) = host.session() else { return };
        if let Some((at, EndReason::Expired { .. })) = self.ledger.sessions.end_of(session)
            && host.believes(self.now)
        {
            let text = format!(
                "client {client} believes in session {session}, expired {} us ago",
                (self.now - at) / 1000
            );
            self.violated(Rule::NoBelieverAfterExpiry, || text);
        }
    }

    /// Everything that must hold of a client after each call of its machine.
    pub(crate) fn check_client(&mut self, client: usize) {
        let Some(process) = &self.clients[client].process else { return };
        let machine = &process.machine;
        let (state, liveness) = &process.published;
        if *state != machine.state() || liveness != machine.liveness() {
            let text = format!(
                "client {client} is {} ({}) but last said {state} ({liveness})",
                machine.state(),
                machine.liveness()
            );
            return self.violated(Rule::LegalTransitions, || text);
        }
        if let Liveness::AtRisk { until, .. } = liveness
            && Some(*until) != machine.valid_until()
        {
            let text = format!("client {client} is at risk until {until}, but lives until another");
            return self.violated(Rule::LegalTransitions, || text);
        }
        self.check_belief(client);
        if !self.believes_in_lock(client) {
            return;
        }
        let mut others = (0..self.clients.len()).filter(|other| *other != client);
        let other = others.find(|other| self.believes_in_lock(*other));
        if let Some(other) = other {
            self.violated(Rule::OneBelieverOfLock, || {
                format!("clients {client} and {other} both believe that they hold the lock")
            });
        }
    }

    /// Whether a client believes that it holds the lock, unless an operator has ended its session,
    /// of which nobody can know beforehand.
    fn believes_in_lock(&self, client: usize) -> bool {
        let host = &self.clients[client];
        let end = host.session().and_then(|session| self.ledger.sessions.end_of(session));
        let has_expired = end.is_none_or(|end| matches!(end.1, EndReason::Expired { .. }));
        host.believes_in_lock(self.now) && has_expired
    }

    fn stat_zxid(&self, path: &str) -> Zxid {
        let newest = self.members.iter().filter_map(|member| member.replica.as_ref());
        let newest = newest.max_by_key(|replica| replica.last_zxid());
        let Some(tree) = newest.map(|replica| &replica.state().tree) else { return Zxid(0) };
        let node = tree.find(path).and_then(|id| tree.node(id));
        node.map_or(Zxid(0), |node| node.stat().mzxid)
    }

    /// The last change of the znode that everybody watches.
    pub(crate) fn newest_data(&self) -> Zxid {
        let known = self.ledger.changes_of_data.last().copied();
        self.stat_zxid(DATA).max(known.unwrap_or(Zxid(0)))
    }

    /// Some time after the last fault everybody must be served again.
    pub(crate) fn check_settled(&mut self) {
        for client in 0..self.clients.len() {
            let state =
                self.clients[client].process.as_ref().map(|process| process.machine.state());
            if state != Some(State::Connected) {
                return self.violated(Rule::AliveWhenWell, || {
                    format!("client {client} is {state:?} though nothing is wrong any more")
                });
            }
        }
        // Nobody can have watched for what changes now after it changed.
        self.set_data(0);
        self.set_data(0);
    }

    /// What must hold of the history as a whole.
    pub(crate) fn check_the_end(&mut self) {
        let (data, lock) = (self.stat_zxid(DATA), self.stat_zxid(LOCK));
        for client in 0..self.clients.len() {
            let Some(process) = &self.clients[client].process else { continue };
            if let Some(what) = process.application.unfinished_request() {
                let text = format!("client {client} never heard of its request {what}");
                return self.violated(Rule::RequestsEndOnce, || text);
            }
            if let Some(what) = process.application.missed(data, lock) {
                let text = format!("client {client} never heard of a change: {what}");
                return self.violated(Rule::NoEventLost, || text);
            }
        }
        self.check_agreement();
        self.check_writes();
        self.check_shared();
    }

    fn check_shared(&mut self) {
        let replicas = || self.members.iter().filter_map(|member| member.replica.as_ref());
        if let Some(wrong) = replicas().find_map(wrong_ephemerals) {
            self.violated(Rule::EphemeralsLikeSessions, || wrong);
        } else if let Some(wrong) = replicas().find_map(|it| self.ledger.queue.wrong(it)) {
            self.violated(Rule::WritesAsReported, || wrong);
        }
        for register in 0..REGISTERS {
            let path = register_path(register);
            let newest = self.ledger.order.newest_version(register);
            let version = |tree: &Tree| Some(tree.node(tree.find(path)?)?.stat().version);
            let last = self.members[0].replica.as_ref().map(|it| version(&it.state().tree));
            if last != Some(newest) {
                self.violated(Rule::WritesAsReported, || {
                    format!("{path} is at version {last:?}, and was at {newest:?}")
                });
            }
        }
    }

    fn check_agreement(&mut self) {
        let replicas = || self.members.iter().filter_map(|member| member.replica.as_ref());
        let digests: Vec<u64> = replicas().map(|replica| replica.state().tree.digest()).collect();
        if digests.len() < self.members.len() || digests.windows(2).any(|two| two[0] != two[1]) {
            return self.violated(Rule::ServersAgree, || format!("their digests are {digests:x?}"));
        }
        let live: BTreeSet<SessionId> = self.clients.iter().filter_map(|c| c.session()).collect();
        let Some(first) = replicas().next() else { return };
        let mut known = first.state().sessions.iter().map(|session| session.id);
        if let Some(dead) = known.find(|session| !live.contains(session)) {
            drop(known);
            let text = format!("session {dead} has no client any more and did not end");
            self.violated(Rule::ServersAgree, || text);
        }
    }

    fn check_writes(&mut self) {
        let Some(replica) = self.members[0].replica.as_ref() else { return };
        let (tree, sessions) = (&replica.state().tree, &replica.state().sessions);
        let wrong = self.ledger.writes.iter().find(|(path, happened)| {
            happened.is_some_and(|happened| tree.find(path).is_some() != happened)
        });
        let still = |session: &&i64| sessions.get(SessionId(**session)).is_some();
        let unclosed = self.ledger.sessions.closed.iter().find(still).copied();
        if let Some((path, happened)) = wrong.cloned() {
            self.violated(Rule::WritesAsReported, || {
                format!("{path} was created: {happened:?} says the client, and the tree not")
            });
        } else if let Some(session) = unclosed {
            self.violated(Rule::WritesAsReported, || format!("{session:#x} is not closed"));
        }
    }
}

/// Whether one published state may follow another (reference section 2.14, and what is built on
/// it).
pub(crate) fn transition(
    before: &(State, Liveness),
    after: &(State, Liveness),
) -> Result<(), &'static str> {
    let ((from, was), (to, is)) = (before, after);
    if before == after {
        return Err("that is no change");
    }
    let states = match (from, to) {
        (State::Closed | State::AuthFailed, _) => return Err("nothing follows a final state"),
        (State::NotConnected, State::Connecting | State::Closed) => true,
        (State::Connecting, State::Connecting | State::Connected | State::Closed) => true,
        (State::Connected, State::Connecting | State::Closed | State::AuthFailed) => true,
        (State::Connected, State::Connected) => true,
        _ => false,
    };
    if !states {
        return Err("no such step between states exists");
    }
    let fits = match is {
        Liveness::Establishing => *to == State::Connecting,
        Liveness::Live => *to == State::Connected,
        Liveness::AtRisk { cause: Risk::Silent, .. } => *to == State::Connected,
        Liveness::AtRisk { .. } => *to == State::Connecting,
        Liveness::Lost(LostReason::AuthFailed { .. }) => *to == State::AuthFailed,
        Liveness::Lost(_) => *to == State::Closed,
    };
    if !fits {
        return Err("state and liveness do not go together");
    }
    let follows = match (was, is) {
        (Liveness::Lost(_), _) => false,
        (Liveness::Establishing, Liveness::AtRisk { .. }) => false,
        (_, Liveness::Establishing) => *was == Liveness::Establishing,
        // Somebody with no time left must have been warned, unless nothing ran to do it.
        (_, Liveness::Lost(LostReason::DeadlinePassed { .. })) => {
            matches!(was, Liveness::AtRisk { .. })
        }
        (_, Liveness::Lost(LostReason::NotEstablished { .. })) => *was == Liveness::Establishing,
        _ => true,
    };
    if follows { Ok(()) } else { Err("the one liveness does not follow the other") }
}
