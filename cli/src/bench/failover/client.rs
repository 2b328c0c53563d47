//! One session that survives its servers: it tries the next one at once, and resumes.

use std::collections::VecDeque;
use std::time::Duration;

use tenure_wire::{CreateMode, ErrorCode, Reader, Stat, Zxid};

use super::diary::Diary;
use super::ledger::Ledger;
use crate::bench::latency::Latency;
use crate::bench::link::{Link, Reply, Ticket};
use crate::bench::request;
use crate::bench::swarm::Happening;

/// A session and what it is there for.
pub(crate) struct Client {
    index: usize,
    /// The server it is at, or tries.
    pub(crate) server: usize,
    servers: usize,
    pub(crate) phase: Phase,
    /// Servers tried in vain since it was attached last.
    tried: usize,
    ticket: Option<Ticket>,
    zxid: Zxid,
    path: String,
    role: Role,
    sent: VecDeque<Sent>,
}

/// How it stands with the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Attached,
    /// Since then a server is asked.
    Trying {
        since_ns: u64,
    },
    /// The next server is to be tried then.
    Waiting {
        until_ns: u64,
    },
}

pub(crate) enum Role {
    /// Owns an ephemeral.
    Holder,
    /// Writes a counter, one write at a time.
    Writer { ledger: Ledger, next: u64, due_ns: u64 },
}

/// What was sent and is unanswered.
enum Sent {
    Ephemeral,
    Sync,
    /// A read of the writer's own znode.
    Look,
    Write {
        counter: u64,
        at_ns: u64,
    },
    /// A read of how many ephemerals there are.
    Count,
}

/// What is kept of all clients together.
pub(crate) struct Account {
    pub(crate) diary: Diary,
    pub(crate) latency: Latency,
    pub(crate) acknowledged: u64,
    pub(crate) errors: u64,
    pub(crate) lost_links: u64,
    pub(crate) lost_sessions: u64,
    pub(crate) failed_attempts: u64,
    /// The number of ephemerals, when it was asked for.
    pub(crate) ephemerals: Option<usize>,
    pub(crate) problem: Option<String>,
}

impl Client {
    /// A session that is open on its first server, with the znode at `path`.
    pub(crate) fn new(index: usize, servers: usize, link: &Link, path: String, role: Role) -> Self {
        Client {
            index,
            server: index % servers,
            servers,
            phase: Phase::Attached,
            tried: 0,
            ticket: link.ticket,
            zxid: Zxid(0),
            path,
            role,
            sent: VecDeque::new(),
        }
    }

    /// What to show the next server: nothing if the session is lost, and a new one is wanted.
    pub(crate) fn resumes(&self) -> Option<(Ticket, Zxid)> {
        self.ticket.map(|ticket| (ticket, self.zxid))
    }

    /// Acknowledged writes that are gone.
    pub(crate) fn lost_writes(&self) -> u64 {
        match &self.role {
            Role::Writer { ledger, .. } => ledger.lost,
            Role::Holder => 0,
        }
    }

    /// Whether it has a link, and nothing is unanswered.
    pub(crate) fn is_calm(&self) -> bool {
        self.phase == Phase::Attached && self.sent.is_empty()
    }

    /// When something is to be done for it that no server causes.
    pub(crate) fn due_ns(&self) -> u64 {
        match (&self.phase, &self.role) {
            (Phase::Waiting { until_ns }, _) => *until_ns,
            (Phase::Trying { since_ns }, _) => since_ns + ATTEMPT_LIMIT_NS,
            (Phase::Attached, Role::Writer { due_ns, .. }) if self.sent.is_empty() => *due_ns,
            (Phase::Attached, _) => u64::MAX,
        }
    }

    /// Queues the next write, if this is a writer.
    pub(crate) fn write(&mut self, link: &mut Link, interval_ns: u64, now_ns: u64) {
        let Role::Writer { next, due_ns, .. } = &mut self.role else { return };
        let counter = *next;
        *next += 1;
        *due_ns = now_ns + interval_ns;
        link.out.extend_from_slice(&request::set_data(&self.path, &data(counter)));
        self.sent.push_back(Sent::Write { counter, at_ns: now_ns });
    }

    /// Queues a last look at what was written.
    pub(crate) fn look(&mut self, link: &mut Link) {
        if matches!(self.role, Role::Writer { .. }) {
            link.out.extend_from_slice(&request::sync(&self.path));
            link.out.extend_from_slice(&request::get_data(&self.path, false));
            self.sent.extend([Sent::Sync, Sent::Look]);
        }
    }

    /// Queues the question how many ephemerals there are below a parent.
    pub(crate) fn count(&mut self, link: &mut Link, parent: &str) {
        link.out.extend_from_slice(&request::sync(parent));
        link.out.extend_from_slice(&request::exists(parent));
        self.sent.extend([Sent::Sync, Sent::Count]);
    }

    /// Something happened on its link.
    pub(crate) fn take(
        &mut self,
        link: &mut Link,
        happening: Happening<'_>,
        account: &mut Account,
        (interval_ns, now_ns): (u64, u64),
    ) {
        match happening {
            Happening::Opened => self.attached(link, account, (interval_ns, now_ns)),
            Happening::Reply(reply) if reply.is_notification() => {}
            Happening::Reply(reply) => self.answered(reply, account, now_ns),
            Happening::Pong => {}
            Happening::Refused => {
                account.lost_sessions += 1;
                account.diary.note("lost-session", self.index, now_ns);
                self.ticket = None;
                self.phase = Phase::Waiting { until_ns: now_ns };
            }
            Happening::Closed => self.lost_link(account, now_ns),
        }
    }

    /// The link ended, or none came about: on to the next server, at once until all were tried.
    pub(crate) fn lost_link(&mut self, account: &mut Account, now_ns: u64) {
        if self.phase == Phase::Attached {
            account.lost_links += 1;
            account.diary.note("lost-link", self.index, now_ns);
        } else {
            account.failed_attempts += 1;
            self.tried += 1;
        }
        self.sent.clear();
        self.server = (self.server + 1) % self.servers;
        let pause_ns = match (&self.role, self.tried) {
            (_, tried) if tried % self.servers != 0 || tried == 0 => 0,
            (Role::Writer { .. }, _) => WRITER_PAUSE_NS,
            (Role::Holder, _) => HOLDER_PAUSE_NS,
        };
        self.phase = Phase::Waiting { until_ns: now_ns + pause_ns };
    }

    fn attached(
        &mut self,
        link: &mut Link,
        account: &mut Account,
        (interval_ns, now_ns): (u64, u64),
    ) {
        account.diary.note("attached", self.index, now_ns);
        self.phase = Phase::Attached;
        self.tried = 0;
        let is_new = self.ticket.is_none();
        self.ticket = link.ticket;
        match self.role {
            Role::Writer { .. } => {
                link.out.extend_from_slice(&request::get_data(&self.path, false));
                self.sent.push_back(Sent::Look);
                self.write(link, interval_ns, now_ns);
            }
            Role::Holder if is_new => {
                let create = request::create(&self.path, &[], CreateMode::Ephemeral);
                link.out.extend_from_slice(&create);
                self.sent.push_back(Sent::Ephemeral);
            }
            Role::Holder => {}
        }
    }

    fn answered(&mut self, reply: Reply<'_>, account: &mut Account, now_ns: u64) {
        self.zxid = self.zxid.max(reply.zxid());
        let Some(sent) = self.sent.pop_front() else {
            account.problem = Some("a server answered more than was asked".to_owned());
            return;
        };
        if reply.err() != 0 {
            let is_there = ErrorCode::NodeExists.code();
            if !(matches!(sent, Sent::Ephemeral) && reply.err() == is_there) {
                account.errors += 1;
                account.diary.error(self.index, now_ns, reply.err());
            }
            return;
        }
        let understood = match (sent, &mut self.role) {
            (Sent::Write { counter, at_ns }, Role::Writer { ledger, .. }) => {
                account.acknowledged += 1;
                account.latency.record(now_ns - at_ns);
                account.diary.write(self.index, at_ns, now_ns);
                stat(reply).map(|stat| ledger.acknowledged(counter, stat.version))
            }
            (Sent::Look, Role::Writer { ledger, .. }) => {
                written(reply).map(|(counter, version)| ledger.seen(counter, version))
            }
            (Sent::Count, _) => stat(reply).map(|stat| {
                account.ephemerals = Some(usize::try_from(stat.num_children).unwrap_or(0));
            }),
            _ => Some(()),
        };
        if understood.is_none() {
            account.problem = Some("an answer that makes no sense".to_owned());
        }
    }
}

/// The data of a write: its counter.
pub(crate) fn data(counter: u64) -> [u8; 8] {
    counter.to_be_bytes()
}

fn stat(reply: Reply<'_>) -> Option<Stat> {
    Stat::decode(&mut Reader::new(reply.body())).ok()
}

fn written(reply: Reply<'_>) -> Option<(u64, i32)> {
    let mut reader = Reader::new(reply.body());
    let data = reader.buffer().ok()??;
    let stat = Stat::decode(&mut reader).ok()?;
    Some((u64::from_be_bytes(data.try_into().ok()?), stat.version))
}

/// How long a server may be silent before the next one is tried.
pub(crate) const ATTEMPT_LIMIT_NS: u64 = Duration::from_secs(1).as_nanos() as u64;
/// The pauses after all servers were tried in vain. A writer's is short, so that what is measured
/// is the servers' time. Many holders with one as short would take the processor from the servers.
const WRITER_PAUSE_NS: u64 = Duration::from_millis(5).as_nanos() as u64;
const HOLDER_PAUSE_NS: u64 = Duration::from_millis(100).as_nanos() as u64;
