//! What a client's process does with its session: it wants a lock, writes, reads and watches.

mod shared;

use std::time::Duration;

use tenure_client::machine::{
    Auth, Event as WatchEvent, EventKind, Failure, Intent, Reply, Submission, WatchKind, encode,
};
use tenure_client::{Liveness, LostReason, SessionToken, Stat, Zxid};
use tenure_wire::{Acl, Create, ErrorCode, Member, MemberRole, OpCode, Request, Response};

use crate::checks::Claim;
use crate::clock::{MS, Nanos};
use crate::server::member_line;
use crate::trace::{Who, digest};
use crate::world::{Event, Rule, World};
use shared::{Shared, View};

pub(crate) const LOCK: &str = "/lock";
pub(crate) const DATA: &str = "/data";

/// The state of one process.
#[derive(Debug)]
pub(crate) struct Application {
    lock: Lock,
    requests: Vec<Asked>,
    /// The last request that the server answered.
    last_answered: Option<u64>,
    watchers: Vec<Watcher>,
    /// The newest change that an answer reflected.
    zxid: Zxid,
    /// A znode that it has created.
    created: Option<String>,
    /// `/data` was tried to be created.
    prepared: bool,
    shared: View,
    /// No further request is made.
    is_closing: bool,
}

/// How it stands with the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    No,
    /// A request about it is under way.
    Asking,
    Holds,
    /// Nobody knows whether the last request about it happened.
    Unsure,
}

#[derive(Debug)]
struct Asked {
    what: What,
    at: Nanos,
    is_done: bool,
    /// It was answered, and not with an error.
    is_ok: bool,
}

impl Asked {
    fn new(what: What, at: Nanos) -> Self {
        Asked { what, at, is_done: false, is_ok: false }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Lock,
    CheckLock,
    Unlock,
    Prepare,
    Create(String),
    Set,
    Read(Option<usize>),
    ExistsLock(usize),
    ReadOwn,
    Sync,
    ChangeRole,
    Shared(Shared),
    AddWatch(usize),
    Auth,
    Close,
}

/// A watch.
#[derive(Debug)]
struct Watcher {
    kind: WatchKind,
    /// What was there when it was set: the change that made it so, 0 for nothing.
    since: Option<Zxid>,
    /// Events that came.
    events: u64,
    last_event: Zxid,
    /// The change of the last event that named one.
    last_change: Zxid,
    is_over: bool,
}

impl Application {
    pub(crate) fn new(is_resumed: bool) -> Self {
        Application {
            // An earlier process of the session may have it.
            lock: if is_resumed { Lock::Unsure } else { Lock::No },
            requests: Vec::new(),
            last_answered: None,
            watchers: Vec::new(),
            zxid: Zxid(0),
            created: None,
            prepared: false,
            shared: View::default(),
            is_closing: false,
        }
    }

    pub(crate) fn holds_lock(&self) -> bool {
        self.lock == Lock::Holds
    }

    /// A request or watch that has not ended.
    pub(crate) fn unfinished(&self) -> Option<String> {
        let request = self.requests.iter().position(|asked| !asked.is_done);
        let watcher = |watcher: &Watcher| watcher.since.is_some() && !watcher.is_over;
        let watch = self.watchers.iter().position(watcher);
        let request = request.map(|at| format!("request {at} ({:?})", self.requests[at].what));
        request.or_else(|| watch.map(|at| format!("watch {at} ({:?})", self.watchers[at])))
    }

    pub(crate) fn unfinished_request(&self) -> Option<String> {
        let request = self.requests.iter().find(|asked| !asked.is_done);
        request.map(|asked| format!("{:?}", asked.what))
    }

    /// A watch that should have fired by now: `data` and `lock` are the last changes of the znodes.
    pub(crate) fn missed(&self, data: Zxid, lock: Zxid) -> Option<String> {
        let missed = self.watchers.iter().find(|watcher| {
            let Some(since) = watcher.since.filter(|_| !watcher.is_over) else { return false };
            match watcher.kind {
                WatchKind::Data => since < data && watcher.events == 0,
                WatchKind::Exist => since != lock && watcher.events == 0,
                _ => watcher.last_event.max(since) < data,
            }
        });
        missed.map(|watcher| format!("{watcher:?}, while {DATA} is at {data}, {LOCK} at {lock}"))
    }

    /// What the answer to a request claims, and from when on.
    fn claim(&self, number: u64) -> (Claim, Nanos) {
        let asked = &self.requests[number as usize];
        let claim = match &asked.what {
            What::Sync => Claim::Fresh,
            What::Shared(Shared::Read { sync: Some(sync), .. }) => {
                let sync = &self.requests[*sync as usize];
                return (if sync.is_ok { Claim::Fresh } else { Claim::Any }, sync.at);
            }
            What::Shared(Shared::Read { .. })
            | What::Read(_)
            | What::ReadOwn
            | What::CheckLock
            | What::ExistsLock(_)
            | What::AddWatch(_) => Claim::Any,
            What::Lock | What::Unlock | What::Prepare | What::Create(_) | What::Set => Claim::Write,
            What::Shared(_) | What::ChangeRole => Claim::Write,
            What::Auth | What::Close => Claim::Any,
        };
        (claim, asked.at)
    }

    fn watcher(&mut self, kind: WatchKind) -> usize {
        let (since, events, is_over) = (None, 0, false);
        let (last_event, last_change) = (Zxid(0), Zxid(0));
        let watcher = Watcher { kind, since, events, last_event, last_change, is_over };
        self.watchers.push(watcher);
        self.watchers.len() - 1
    }
}

impl World {
    pub(crate) fn schedule_step(&mut self, client: usize, at: Nanos) {
        self.clients[client].step_at = at;
        self.schedule(at, Event::Step(client));
    }

    /// An application's next step, whatever that is.
    pub(crate) fn step_application(&mut self, client: usize) {
        if self.clients[client].step_at != self.now {
            return;
        }
        if self.clients[client].process.is_none() {
            self.start_client(client);
        }
        let every = self.plan.step_every;
        let next = self.now + self.random.between(every / 2, every * 3 / 2);
        let Some(process) = &self.clients[client].process else { return };
        if process.application.is_closing {
            return;
        }
        // Some applications do not mind to ask while there is no link.
        let asks = process.machine.state().is_connected() || self.random.per_mille(100);
        if self.now < self.plan.settled_at {
            self.schedule_step(client, next);
        }
        if self.clients[client].is_paused(self.now) || !asks {
            return;
        }
        match self.random.below(1000) {
            0..6 if !self.is_healed() => self.leave(client),
            6..12 if !self.is_healed() => self.close(client),
            12..18 if !self.is_healed() => {
                let (is_silent, resumes) = (self.random.per_mille(500), self.random.per_mille(600));
                self.counts.add("clients crashed");
                self.trace.note(self.now, Who::Client(client), "crashes", 0, String::new);
                self.crash_client(client, is_silent, resumes);
            }
            18..30 => self.add_auth(client),
            30..330 => self.about_lock(client),
            330..450 => self.create_own(client),
            450..570 => self.set_data(client),
            570..750 => self.read_data(client),
            750..800 => self.watch_lock(client),
            800..860 => self.read_own(client),
            860..890 => self.watch_all(client),
            890..900 => self.drop_watch(client),
            900..908 if !self.is_healed() => self.update_hosts(client),
            908..916 if self.plan.reconfigures && !self.is_healed() => self.change_role(client),
            _ => self.ask(client, What::Sync, &Request::Sync { path: "/".into() }, None),
        }
        if self.plan.shares {
            self.use_shared(client);
        }
    }

    fn application(&mut self, client: usize) -> Option<&mut Application> {
        self.clients[client].process.as_mut().map(|process| &mut process.application)
    }

    fn ask(
        &mut self,
        client: usize,
        what: What,
        request: &Request<'_>,
        watch: Option<(WatchKind, &str, usize)>,
    ) {
        // Some are in a hurry.
        let hurries = self.random.per_mille(50);
        let patience = Duration::from_nanos(self.random.between(MS, 300 * MS));
        let (asked_at, now) = (self.now, self.clients[client].clock.moment(self.now));
        let Some(application) = self.application(client) else { return };
        let number = application.requests.len() as u64;
        self.trace.note(self.now, Who::Client(client), "asks", number, || {
            format!("request {number}: {what:?}")
        });
        let Some(application) = self.application(client) else { return };
        application.requests.push(Asked::new(what, asked_at));
        let watch = watch.map(|(kind, path, watcher)| {
            let (path, id, watcher) = (path.into(), watcher as u64, watcher as u64);
            Intent { kind, path, id, watcher, is_dropped: false }
        });
        let (op, frame, completion) = (request.op(), encode(request), Some(number));
        let deadline = hurries.then(|| now + patience);
        self.counts.add("requests");
        self.call(client, |machine, _| {
            machine.submit(Submission { op, frame, completion, watch, deadline });
        });
    }

    fn about_lock(&mut self, client: usize) {
        let gives_up = self.random.per_mille(80);
        let Some(application) = self.application(client) else { return };
        match application.lock {
            Lock::Asking => {}
            Lock::No => {
                application.lock = Lock::Asking;
                self.ask(client, What::Lock, &create(LOCK, 1), None);
            }
            Lock::Unsure => {
                application.lock = Lock::Asking;
                self.ask(client, What::CheckLock, &get(LOCK, false), None);
            }
            Lock::Holds if gives_up => {
                application.lock = Lock::Asking;
                let delete = Request::Delete { path: LOCK.into(), version: -1 };
                self.ask(client, What::Unlock, &delete, None);
            }
            Lock::Holds => {}
        }
    }

    fn create_own(&mut self, client: usize) {
        let path = format!("/c{client}-{}", self.ledger.next_name());
        let what = What::Create(path.clone());
        self.ask(client, what, &create(&path, 0), None);
    }

    pub(crate) fn set_data(&mut self, client: usize) {
        let Some(application) = self.application(client) else { return };
        if !std::mem::replace(&mut application.prepared, true) {
            return self.ask(client, What::Prepare, &create(DATA, 0), None);
        }
        let set = Request::SetData { path: DATA.into(), data: None, version: -1 };
        self.ask(client, What::Set, &set, None);
    }

    fn read_data(&mut self, client: usize) {
        let watches = self.random.per_mille(600);
        let Some(application) = self.application(client) else { return };
        let watcher = watches.then(|| application.watcher(WatchKind::Data));
        let watch = watcher.map(|watcher| (WatchKind::Data, DATA, watcher));
        self.ask(client, What::Read(watcher), &get(DATA, watches), watch);
    }

    fn watch_lock(&mut self, client: usize) {
        let Some(application) = self.application(client) else { return };
        let watcher = application.watcher(WatchKind::Exist);
        let request = Request::Exists { path: LOCK.into(), watch: true };
        let watch = Some((WatchKind::Data, LOCK, watcher));
        self.ask(client, What::ExistsLock(watcher), &request, watch);
    }

    fn watch_all(&mut self, client: usize) {
        let Some(application) = self.application(client) else { return };
        if application.watchers.iter().any(|watcher| watcher.kind == WatchKind::Persistent) {
            return;
        }
        let watcher = application.watcher(WatchKind::Persistent);
        let request = Request::AddWatch { path: DATA.into(), mode: 0 };
        let watch = Some((WatchKind::Persistent, DATA, watcher));
        self.ask(client, What::AddWatch(watcher), &request, watch);
    }

    /// The application loses interest in one of its watches.
    fn drop_watch(&mut self, client: usize) {
        let chosen = self.random.next();
        let Some(application) = self.application(client) else { return };
        let waits = |watcher: &Watcher| watcher.since.is_some() && !watcher.is_over;
        let waiting: Vec<usize> = (0..application.watchers.len())
            .filter(|at| waits(&application.watchers[*at]))
            .collect();
        if !waiting.is_empty() {
            self.forget_watch(client, waiting[chosen as usize % waiting.len()]);
            self.drive(client);
        }
    }

    fn forget_watch(&mut self, client: usize, watcher: usize) {
        let Some(process) = &mut self.clients[client].process else { return };
        let forgotten = &mut process.application.watchers[watcher];
        forgotten.is_over = true;
        let path = if forgotten.kind == WatchKind::Exist { LOCK } else { DATA };
        process.machine.drop_watch(path, watcher as u64);
    }

    fn read_own(&mut self, client: usize) {
        let Some(application) = self.application(client) else { return };
        if let Some(path) = application.created.clone() {
            self.ask(client, What::ReadOwn, &get(&path, false), None);
        }
    }

    fn add_auth(&mut self, client: usize) {
        let is_wrong = !self.is_healed() && self.random.per_mille(200);
        let scheme = if is_wrong { "nonsense" } else { "digest" }.to_owned();
        let asked = Asked::new(What::Auth, self.now);
        let Some(application) = self.application(client) else { return };
        let number = application.requests.len() as u64;
        application.requests.push(asked);
        let auth = Auth { scheme, credentials: b"u:p".to_vec() };
        self.call(client, |machine, _| machine.add_auth(auth, number));
    }

    /// Some member is to vote, or to vote no more.
    fn change_role(&mut self, client: usize) {
        let member = self.random.below(self.members.len() as u64) as usize;
        let role = self.random.pick(&[MemberRole::Participant, MemberRole::Observer]);
        let line = Member { role, ..member_line(member) }.to_string();
        let (joining, config_id) = (Some(line.as_str().into()), -1);
        let request = Request::Reconfig { joining, leaving: None, new_members: None, config_id };
        self.ask(client, What::ChangeRole, &request, None);
    }

    fn update_hosts(&mut self, client: usize) {
        let hosts = (0..self.members.len()).filter(|_| self.random.per_mille(700));
        let hosts: Vec<_> = hosts.collect();
        let hosts = if hosts.is_empty() { (0..self.members.len()).collect() } else { hosts };
        let host = |member: usize| tenure_client::machine::Host {
            name: format!("s{member}"),
            port: member as u16 + 1,
        };
        let hosts = hosts.into_iter().map(host).collect();
        self.counts.add("host lists changed");
        self.call(client, |machine, now| machine.update_hosts(hosts, now));
    }

    fn close(&mut self, client: usize) {
        let asked = Asked::new(What::Close, self.now);
        let Some(application) = self.application(client) else { return };
        let number = application.requests.len() as u64;
        application.requests.push(asked);
        application.is_closing = true;
        application.lock = Lock::No;
        self.trace.note(self.now, Who::Client(client), "asks", number, || "Close".to_owned());
        self.call(client, |machine, now| machine.close(Some(number), now));
    }

    fn leave(&mut self, client: usize) {
        let Some(application) = self.application(client) else { return };
        application.is_closing = true;
        self.call(client, |machine, _| machine.leave());
    }

    /// A request came to its end.
    pub(crate) fn finished(&mut self, client: usize, number: u64, outcome: Result<Reply, Failure>) {
        let text = match &outcome {
            Ok(reply) => format!("request {number}: zxid {} code {}", reply.zxid, reply.code),
            Err(failure) => format!("request {number}: {failure:?}"),
        };
        let now = self.now;
        self.trace.note(now, Who::Client(client), "finished", digest(text.as_bytes()), || text);
        let Some(process) = &mut self.clients[client].process else { return };
        let is_lost = process.published.1.is_lost();
        let own = process.machine.token().map(SessionToken::id);
        let application = &mut process.application;
        let asked = &mut application.requests[number as usize];
        let what = asked.what.clone();
        if std::mem::replace(&mut asked.is_done, true) {
            return self.violated(Rule::RequestsEndOnce, || {
                format!("request {number} of client {client} ended twice")
            });
        }
        let is_answer = matches!(outcome, Ok(_) | Err(Failure::Code(_)));
        let is_ordinary = !matches!(what, What::Auth | What::Close);
        if is_answer && is_ordinary {
            if application.last_answered.is_some_and(|last| last > number) {
                return self.violated(Rule::RequestsEndOnce, || {
                    format!("request {number} of client {client} was answered out of order")
                });
            }
            application.last_answered = Some(number);
        }
        let says_lost = matches!(
            outcome,
            Err(Failure::Interrupted { cause: tenure_client::Interruption::Lost(_), .. })
        );
        if says_lost && !is_lost {
            return self.violated(Rule::RequestsEndOnce, || {
                format!("request {number} of client {client} ended with a session not lost yet")
            });
        }
        if let Ok(reply) = &outcome
            && is_ordinary
        {
            if reply.zxid < application.zxid {
                let (before, after) = (application.zxid, reply.zxid);
                return self.violated(Rule::SessionsInOrder, || {
                    format!("client {client} went back from {before} to {after}")
                });
            }
            application.zxid = reply.zxid;
            let asked = &mut application.requests[number as usize];
            asked.is_ok = true;
            let (claim, since) = application.claim(number);
            self.check_order(client, claim, since, reply.zxid);
            self.check_heard(client, reply.zxid);
        }
        let wishes = Asker { own: own.map_or(0, |own| own.0), number, client };
        self.judge(&wishes, what, outcome);
    }

    fn judge(&mut self, asker: &Asker, what: What, outcome: Result<Reply, Failure>) {
        let client = asker.client;
        let known = known(&outcome);
        if let (
            What::Read(Some(watcher)) | What::ExistsLock(watcher) | What::AddWatch(watcher),
            Err(_),
        ) = (&what, &outcome)
        {
            // Without an answer nobody waits for events.
            self.forget_watch(client, *watcher);
        }
        match what {
            What::Create(path) => {
                self.ledger.wrote(path.clone(), known);
                if let (Some(true), Some(application)) = (known, self.application(client)) {
                    application.created = Some(path);
                }
            }
            What::ReadOwn if outcome == Err(Failure::Code(NO_NODE)) => {
                self.violated(Rule::WritesAsReported, || {
                    format!("client {client} does not find what it created")
                });
            }
            What::ChangeRole if known == Some(true) => self.counts.add("members changed"),
            What::Shared(shared) => self.shared_answered(asker, shared, &outcome),
            What::Close if known == Some(true) => {
                self.ledger.sessions.closed.insert(asker.own);
            }
            What::Lock | What::Unlock | What::CheckLock => {
                self.lock_answered(asker, &what, outcome)
            }
            What::Read(watcher) => {
                if let Ok(reply) = &outcome
                    && let Ok(Response::Data { stat, .. }) =
                        Response::decode(OpCode::GetData, &reply.body)
                {
                    self.data_read(client, watcher, stat.mzxid);
                }
            }
            What::ExistsLock(watcher) => {
                let Ok(reply) = &outcome else { return };
                let stat = match Response::decode(OpCode::Exists, &reply.body) {
                    Ok(Response::Stat(stat)) if reply.code == 0 => stat,
                    _ => Stat::default(),
                };
                if let Some(application) = self.application(client) {
                    application.watchers[watcher].since = Some(stat.mzxid);
                }
            }
            What::AddWatch(watcher) => {
                if let (Ok(reply), Some(application)) = (&outcome, self.application(client)) {
                    application.watchers[watcher].since = Some(reply.zxid);
                }
            }
            _ => {}
        }
    }

    /// Whoever reads a change must have heard of it before, if it watched for it.
    fn data_read(&mut self, client: usize, watcher: Option<usize>, mzxid: Zxid) {
        let Some(application) = self.application(client) else { return };
        let is_late = |watcher: &&Watcher| {
            watcher.kind == WatchKind::Data
                && !watcher.is_over
                && watcher.since.is_some_and(|since| since < mzxid)
        };
        let late = application.watchers.iter().find(is_late).map(|late| format!("{late:?}"));
        if let Some(watcher) = watcher {
            application.watchers[watcher].since = Some(mzxid);
        }
        if let Some(late) = late {
            self.violated(Rule::NoEventLost, || {
                format!(
                    "client {client} read {DATA} at {mzxid}, but not heard of it before: {late}"
                )
            });
        }
    }

    /// An answer reveals all changes up to its zxid: whoever watched for one has heard of it.
    fn check_heard(&mut self, client: usize, zxid: Zxid) {
        let Some(change) = self.ledger.last_change_of_data(zxid) else { return };
        let Some(application) = self.application(client) else { return };
        let is_late = |watcher: &&Watcher| {
            let Some(since) = watcher.since.filter(|_| !watcher.is_over) else { return false };
            match watcher.kind {
                WatchKind::Data => since < change,
                WatchKind::Persistent => watcher.last_event.max(since) < change,
                _ => false,
            }
        };
        let late = application.watchers.iter().find(is_late).map(|late| format!("{late:?}"));
        if let Some(late) = late {
            self.violated(Rule::NoEventLost, || {
                format!(
                    "client {client} was answered at {zxid}, but not told before that {DATA} \
                     changed at {change}: {late}"
                )
            });
        }
    }

    fn lock_answered(&mut self, asker: &Asker, what: &What, outcome: Result<Reply, Failure>) {
        let (client, known) = (asker.client, known(&outcome));
        let Some(application) = self.application(client) else { return };
        let lock = match (what, &outcome) {
            (What::Lock, Ok(_)) => Lock::Holds,
            // Perhaps its own, of an earlier attempt.
            (What::Lock, Err(Failure::Code(NODE_EXISTS))) => Lock::Unsure,
            (What::CheckLock, Ok(reply)) => match Response::decode(OpCode::GetData, &reply.body) {
                Ok(Response::Data { stat, .. }) if stat.ephemeral_owner == asker.own => Lock::Holds,
                _ => Lock::No,
            },
            (What::CheckLock, Err(Failure::Interrupted { .. })) => Lock::Unsure,
            (What::Unlock, Err(_)) if known != Some(true) => Lock::Unsure,
            (_, Err(Failure::Interrupted { sent: true, .. })) => Lock::Unsure,
            _ => Lock::No,
        };
        application.lock = lock;
        if lock == Lock::Holds {
            let number = asker.number;
            self.counts.add("locks held");
            self.trace.note(self.now, Who::Client(client), "HOLDS", number, || LOCK.to_owned());
        }
    }

    pub(crate) fn notified(
        &mut self,
        client: usize,
        watcher: u64,
        event: &WatchEvent,
        is_last: bool,
    ) {
        let (kind, path, zxid) = (event.kind, event.path.clone(), event.zxid);
        self.trace.note(self.now, Who::Client(client), "watch", watcher, || {
            format!("watch {watcher}: {kind:?} of {path} at {zxid:?}")
        });
        self.counts.add("notifications");
        let newest = self.newest_data();
        let Some(application) = self.application(client) else { return };
        let watcher = &mut application.watchers[watcher as usize];
        let twice = watcher.is_over || watcher.since.is_none();
        watcher.events += 1;
        watcher.is_over = is_last;
        watcher.last_event = match kind {
            // Whoever hears of a gap looks again.
            EventKind::Gap => watcher.last_event.max(newest),
            _ => watcher.last_event.max(zxid.unwrap_or(newest)),
        };
        let again = zxid.is_some_and(|zxid| zxid <= watcher.last_change);
        watcher.last_change = watcher.last_change.max(zxid.unwrap_or_default());
        if again {
            let text = format!("client {client} heard of {path} at {zxid:?} again, or too late");
            self.violated(Rule::NoEventLost, || text);
        }
        if twice {
            let text = format!("client {client} heard of {path} after its watch had ended");
            self.violated(Rule::NoEventLost, || text);
        }
    }

    pub(crate) fn watch_ended(&mut self, client: usize, watcher: u64, reason: &LostReason) {
        let Some(process) = &mut self.clients[client].process else { return };
        let is_lost = matches!(process.published.1, Liveness::Lost(_));
        let watcher = &mut process.application.watchers[watcher as usize];
        let was_over = std::mem::replace(&mut watcher.is_over, true);
        if was_over || !(is_lost || *reason == LostReason::Closed) {
            self.violated(Rule::NoEventLost, || {
                format!("a watch of client {client} ended twice, or with no reason")
            });
        }
    }
}

/// Who asked.
struct Asker {
    own: i64,
    number: u64,
    client: usize,
}

/// Whether a write happened, if that is known.
fn known(outcome: &Result<Reply, Failure>) -> Option<bool> {
    match outcome {
        Ok(_) | Err(Failure::TooLong { .. }) => Some(true),
        Err(Failure::Code(_)) => Some(false),
        Err(Failure::Interrupted { sent, .. }) => (!sent).then_some(false),
    }
}

fn create(path: &str, flags: i32) -> Request<'_> {
    let (op, acl) = (OpCode::Create, vec![Acl::OPEN]);
    Request::Create(Create { op, path: path.into(), data: None, acl, flags, ttl_ms: None })
}

fn get(path: &str, watch: bool) -> Request<'_> {
    Request::GetData { path: path.into(), watch }
}

const NO_NODE: i32 = ErrorCode::NoNode.code();
const NODE_EXISTS: i32 = ErrorCode::NodeExists.code();
