//! One history: everybody who takes part, and the queue of what happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use crate::checks::Ledger;
use crate::client::Client;
use crate::clock::{MS, Nanos};
use crate::counts::Counts;
use crate::network::{Cut, Link, Piece, Way};
use crate::plan::Plan;
use crate::random::Random;
use crate::server::Member;
use crate::snapshots::{Snapshot, Transfer};
use crate::trace::{Trace, Who};
use crate::wishes::{Bug, Kind, Wishes};

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// When, in milliseconds since the history began.
    pub at_ms: u64,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ms: {}", self.rule, self.at_ms, self.text)
    }
}

/// What must hold in every history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// No client believes in a session that the ensemble has expired.
    NoBelieverAfterExpiry,
    /// No two clients believe that they hold the lock.
    OneBelieverOfLock,
    /// State and liveness change as the reference says, and the last change is the present state.
    LegalTransitions,
    /// Every request ends once, in order, and nobody hears of its end before that of the session.
    RequestsEndOnce,
    /// What is reported of a write is true.
    WritesAsReported,
    /// No event of a watch is lost, none comes twice, and each before a read that reveals it.
    NoEventLost,
    /// No session expires before its timeout has passed since its client was last heard.
    NeverExpiredEarly,
    /// Writes and synced reads take effect between asking and answer, all in one order.
    Linearizable,
    /// Nobody sees an older state than one it saw before, and answers come in the order of
    /// requests.
    SessionsInOrder,
    /// No number of a sequential znode is given twice, and later ones are greater.
    NumbersGivenOnce,
    /// An ephemeral znode is there exactly as long as its session.
    EphemeralsLikeSessions,
    /// A session ends for the reason that is given, and the same everywhere.
    RightReason,
    /// Nobody gets a session whose password he does not know.
    NeverAdopted,
    /// In no epoch two servers lead.
    OneLeaderPerEpoch,
    /// Nobody's session outlives its timeout by more than a moment while nothing is wrong.
    ExpiredInTime,
    /// Whose network and servers are well is served, and keeps its session.
    AliveWhenWell,
    /// All servers come to the same state, and it holds no session of a dead client.
    ServersAgree,
}

/// Something that is to happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A server's replica wanted to be called.
    Tick(usize),
    /// A batch is on a server's disk; `life` tells its process from later ones.
    Stored { member: usize, life: u64, ticket: u64 },
    /// A batch is on a server's disk that the server took to be there before.
    WrittenBack { member: usize, life: u64, ticket: u64 },
    /// A snapshot is on a server's disk.
    SnapshotStored { member: usize, life: u64, snapshot: Snapshot },
    /// A snapshot is whole at another server, if nothing came between.
    SnapshotArrives { transfer: Transfer, snapshot: Snapshot },
    /// A message between servers.
    PeerMessage { from: usize, to: usize, epoch: u64, message: Vec<u8> },
    /// A server notices that the link to another one broke.
    PeerDown { member: usize, life: u64, other: usize },
    /// The links between two servers break.
    PeersBreak(usize, usize),
    /// Something arrives at one end of a link.
    Arrives { link: usize, way: Way, piece: Piece },
    /// A client's attempt to connect succeeds.
    Opened { link: usize },
    /// A client's attempt to connect is refused.
    Refused { link: usize },
    /// A client's machine wanted to be called.
    Timer(usize),
    /// An application does something.
    Step(usize),
    /// A client's process goes on after a pause.
    WakeClient(usize),
    /// A server's process goes on after a pause.
    WakeServer(usize),
    /// A server's process starts again.
    Restart(usize),
    /// The next fault is chosen.
    NextFault,
    /// The next fault of a disk is.
    NextDiskFault,
    /// Whatever went wrong is over.
    Heal,
    /// Everybody must be well by now.
    Settled,
}

/// What is to happen, the earliest first, and in the order of scheduling at the same instant.
/// Events are large, so they lie still while their times are sorted.
#[derive(Debug, Default)]
struct Queue {
    times: BinaryHeap<Reverse<(Nanos, u64, usize)>>,
    scheduled: u64,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
}

impl Queue {
    fn push(&mut self, at: Nanos, event: Event) {
        let slot = self.free.pop().unwrap_or(self.events.len());
        if slot == self.events.len() {
            self.events.push(None);
        }
        self.events[slot] = Some(event);
        self.times.push(Reverse((at, self.scheduled, slot)));
        self.scheduled += 1;
    }

    fn pop(&mut self) -> Option<(Nanos, Event)> {
        let Reverse((at, _, slot)) = self.times.pop()?;
        self.free.push(slot);
        Some((at, self.events[slot].take()?))
    }
}

/// Everybody and everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Nanos,
    queue: Queue,
    pub(crate) random: Random,
    /// For what was added to histories later, so that the chance of everything else stays what it
    /// was.
    pub(crate) extra: Random,
    pub(crate) plan: Plan,
    pub(crate) members: Vec<Member>,
    pub(crate) clients: Vec<Client>,
    pub(crate) links: Vec<Link>,
    /// Between a client and a server.
    pub(crate) cuts: Vec<Vec<Cut>>,
    /// From one server to another.
    pub(crate) peer_links: Vec<Vec<crate::network::PeerLink>>,
    /// Until when packets are slow for everybody.
    pub(crate) slow_until: Nanos,
    pub(crate) ledger: Ledger,
    pub(crate) trace: Trace,
    pub(crate) counts: Counts,
    pub(crate) violation: Option<Violation>,
    pub(crate) bug: Option<Bug>,
}

impl World {
    pub(crate) fn new(seed: u64, wishes: &Wishes) -> Self {
        let mut random = Random::new(crate::random::mix(!seed));
        let plan = Plan::new(seed, wishes.kind, &mut random);
        let (members, clients) = (plan.member_clocks.len(), plan.client_clocks.len());
        let mut world = World {
            now: 0,
            queue: Queue::default(),
            members: Vec::new(),
            clients: plan.client_clocks.iter().map(|clock| Client::new(*clock)).collect(),
            links: Vec::new(),
            cuts: vec![vec![Cut::default(); members]; clients],
            peer_links: vec![vec![Default::default(); members]; members],
            slow_until: 0,
            ledger: Ledger::default(),
            trace: Trace::new(wishes.keeps_lines),
            counts: Counts::default(),
            violation: None,
            bug: wishes.bug,
            random,
            extra: Random::new(crate::random::mix(crate::random::mix(seed))),
            plan,
        };
        let (plan, now) = (format!("{:?}", world.plan), world.now);
        world.trace.note(now, Who::World, "plan", seed, || plan);
        for member in 0..members {
            let clock = world.plan.member_clocks[member];
            let hash_seed = world.random.next();
            let server = Member::new(member, clock, &world.plan, hash_seed);
            world.members.push(server);
            world.start_server(member);
        }
        for client in 0..clients {
            let at = world.random.between(1, 900) * MS;
            world.schedule_step(client, at);
        }
        if wishes.kind != Kind::Quiet {
            world.schedule(world.plan.faults_begin(), Event::NextFault);
        }
        if world.plan.disks_fail {
            world.schedule(world.plan.faults_begin(), Event::NextDiskFault);
        }
        world.schedule(world.plan.healed_at, Event::Heal);
        world.schedule(world.plan.settled_at, Event::Settled);
        world
    }

    pub(crate) fn schedule(&mut self, at: Nanos, event: Event) {
        self.queue.push(at.max(self.now), event);
    }

    /// Lets the history take its course, up to its end or a violation.
    pub(crate) fn run(&mut self) {
        while self.violation.is_none() {
            match self.queue.pop() {
                Some((at, event)) if at <= self.plan.ends_at => {
                    self.now = at;
                    self.happen(event);
                }
                _ => {
                    self.now = self.plan.ends_at;
                    self.check_the_end();
                    break;
                }
            }
        }
        self.counts.add("histories");
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick(member) => self.tick(member),
            Event::Stored { member, life, ticket } => self.stored(member, life, ticket),
            Event::WrittenBack { member, life, ticket } => self.written(member, life, ticket),
            Event::SnapshotStored { member, life, snapshot } => {
                self.snapshot_stored(member, life, snapshot);
            }
            Event::SnapshotArrives { transfer, snapshot } => {
                self.snapshot_arrives(transfer, snapshot);
            }
            Event::PeerMessage { from, to, epoch, message } => {
                self.peer_message(from, to, epoch, message);
            }
            Event::PeerDown { member, life, other } => self.peer_down(member, life, other),
            Event::PeersBreak(one, other) => self.break_peer_links(one, other),
            Event::Arrives { link, way: Way::ToServer, piece } => self.at_server(link, piece),
            Event::Arrives { link, way: Way::ToClient, piece } => self.at_client(link, piece),
            Event::Opened { link } => self.opened(link),
            Event::Refused { link } => self.refused(link),
            Event::Timer(client) => self.timer(client),
            Event::Step(client) => self.step_application(client),
            Event::WakeClient(client) => self.wake_client(client),
            Event::WakeServer(member) => self.wake_server(member),
            Event::Restart(member) => self.restart(member),
            Event::NextFault => self.choose_fault(),
            Event::NextDiskFault => self.choose_disk_fault(),
            Event::Heal => self.heal(),
            Event::Settled => self.check_settled(),
        }
    }

    /// Notes the first rule that was broken; the history ends with it.
    pub(crate) fn violated(&mut self, rule: Rule, text: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let violation = Violation { rule, at_ms: self.now / MS, text: text() };
            let (now, line) = (self.now, violation.to_string());
            self.trace.note(now, Who::World, "VIOLATION", 0, || line);
            self.violation = Some(violation);
        }
    }

    /// Whether faults are over.
    pub(crate) fn is_healed(&self) -> bool {
        self.now >= self.plan.healed_at
    }

    /// The member that leads, if one does; the newest if there are two.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leads = |member: &&Member| member.replica.as_ref().is_some_and(|r| r.is_leader());
        let newest = self.members.iter().filter(leads).max_by_key(|member| member.led_epoch)?;
        Some(newest.index)
    }
}
