//! The session as a pure state machine: bytes, time and chance go in, bytes and actions come out.
//!
//! Whoever drives it opens and closes links when told to by [`Action`]s, hands in what arrives,
//! sends what [`Machine::transmit`] appends, and calls [`Machine::timeout_at`] when
//! [`Machine::next_deadline`] has come. The machine never reads a clock, waits or does I/O, so
//! that a hundred thousand lives of a session can be tested in virtual time.
//!
//! `C` tells the driver whose request was answered, `W` whose watch fired.

mod attach;
mod deadlines;
mod hosts;
mod planted;
mod queue;
mod replies;
#[cfg(test)]
mod tests;
mod transmit;
mod watches;
mod writer;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tenure_wire::{OpCode, Request, RequestHeader, Xid, Zxid, frame};

pub use hosts::{DEFAULT_PORT, Host, HostsError};
pub(crate) use hosts::{Hosts, parse as parse_hosts};
#[cfg(feature = "planted-bugs")]
pub use planted::PlantedBug;
#[cfg(not(feature = "planted-bugs"))]
use planted::PlantedBug;
pub use queue::Submission;
pub(crate) use queue::{Queue, vouches_when_answered};
pub use watches::{Event, EventKind, Intent, WatchKind};
pub(crate) use watches::{Rearmed, Watches};
use writer::Search;

use crate::moment::Moment;
use crate::random::Random;
use crate::status::{LinkFault, Liveness, LostReason, Risk, State};
use crate::token::SessionToken;

/// What a machine is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The servers.
    pub hosts: Vec<Host>,
    /// Session timeout asked for.
    pub timeout: Duration,
    /// Whether a server that cannot write would do.
    pub read_only: bool,
    /// Credentials to show on every link, in order.
    pub auths: Vec<Auth>,
    /// The session to resume, instead of establishing one.
    pub resume: Option<SessionToken>,
    /// How long to try before the session counts as not to be had; forever if there is no limit.
    pub establish_limit: Option<Duration>,
    /// The longest reply that is read; a longer one fails its request alone.
    pub max_reply_bytes: usize,
    /// Chance.
    pub seed: u64,
}

/// Credentials of one scheme.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// The scheme, such as `digest`.
    pub scheme: String,
    /// What it takes: for `digest`, `user:password`.
    pub credentials: Vec<u8>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Names one attempt to reach a server and the link that comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What the driver must do, in this order.
#[derive(Debug)]
pub enum Action<C, W> {
    /// Resolve the host's name, connect, and say [`Machine::connected`] or
    /// [`Machine::disconnected`].
    Open(LinkId, Host),
    /// Drop the link, or the attempt. Nothing more is wanted of it.
    Close(LinkId),
    /// A request came to its end.
    Finish(C, Result<Reply, Failure>),
    /// A watch fired. With `true` it is the watcher's last event.
    Notify(W, Event, bool),
    /// The session is lost, and the watcher with it.
    EndWatch(W, LostReason),
    /// State or liveness changed.
    Change(State, Liveness),
    /// Ask this server, on a connection of its own, whether it can write, and say
    /// [`Machine::writer_answered`].
    AskWriter(Host),
}

/// The successful answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What follows the header.
    pub body: Bytes,
    /// The newest change that the answer reflects.
    pub zxid: Zxid,
    /// 0, or the error code of a reply that carries its request's success all the same: that of
    /// an `exists` which found nothing.
    pub code: i32,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server refused it with this code.
    Code(i32),
    /// Nobody knows the outcome, if `sent` is true; otherwise nothing happened.
    Interrupted {
        /// Whether a write was sent, so that it may have taken effect.
        sent: bool,
        /// What came between.
        cause: Interruption,
    },
    /// The reply is longer than this client reads. What was asked for has happened.
    TooLong {
        /// Length of the reply in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// What came between a request and its reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// The link was lost.
    #[error("the link was lost: {0}")]
    Link(LinkFault),
    /// The application did not want to wait any longer.
    #[error("it took too long")]
    TimedOut,
    /// The session is lost.
    #[error("the session is lost: {0}")]
    Lost(LostReason),
}

/// Where the machine stands with its link.
#[derive(Debug)]
enum Link {
    /// There will be no other.
    Over,
    /// Before the next attempt.
    Waiting { until: Moment },
    /// A connection is being made.
    Opening { id: LinkId, since: Moment, limit: Duration },
    /// The handshake is under way; it was sent at `sent`.
    Shaking { id: LinkId, since: Moment, limit: Duration, sent: Option<Moment> },
    /// A server serves the session.
    Attached { id: LinkId },
}

/// What happens on an attached link apart from requests.
#[derive(Debug, Default)]
struct Upkeep {
    /// When the ping was sent that is not answered yet.
    ping_sent: Option<Moment>,
    /// When the last packet was sent that the server answered with more than a read.
    confirmed: Moment,
    /// When something was last sent whose reply will vouch.
    asked: Moment,
    /// The server answered something beyond the handshake: one that only ever gets that far must
    /// not be tried again at once, and for ever.
    proven: bool,
    /// Credentials sent and confirmed on this link.
    auths_sent: usize,
    auths_confirmed: usize,
    /// Watches still to be set again: those behind this one, if it is not over.
    rearm: Option<Option<Rearmed>>,
    /// Batches of watches not confirmed yet.
    rearm_pending: usize,
    /// The zxid up to which nothing was missed, at the time of the handshake.
    rearm_zxid: Zxid,
    /// At a server that cannot write.
    search: Option<Search>,
}

/// A session that a server confirmed, or that is to be resumed.
#[derive(Clone, Debug)]
struct Held {
    token: SessionToken,
    /// The send time of the last packet whose answer vouched for the session; `None` for one
    /// that is still to be resumed, and for one of a server that cannot write: no leader knows it.
    vouched: Option<Moment>,
    /// It was made up by a server that cannot write, and means nothing to any other.
    is_local: bool,
}

/// One session, from its first attempt to its end.
#[derive(Debug)]
pub struct Machine<C, W> {
    settings: Settings,
    random: Random,
    hosts: Hosts,
    state: State,
    liveness: Liveness,
    held: Option<Held>,
    link: Link,
    /// The server tried or used.
    at: Option<Host>,
    next_link: u64,
    /// Why the last link ended.
    fault: Option<LinkFault>,
    upkeep: Upkeep,
    queue: Queue<C, W>,
    watches: Watches<W>,
    last_zxid: Zxid,
    /// When to give up establishing the session.
    establish_by: Option<Moment>,
    /// Who waits for which of the credentials to be confirmed.
    auth_waiting: Vec<(usize, C)>,
    closing: Option<Closing<C>>,
    /// The beginning of a frame whose rest has not arrived.
    partial: Vec<u8>,
    /// Bytes of a reply that is too long to be read, still to come.
    skip: usize,
    /// By how much the latest call came later than it was due.
    late: Duration,
    /// When the latest call was made.
    #[cfg(feature = "planted-bugs")]
    seen: Moment,
    #[cfg(feature = "planted-bugs")]
    planted: Option<PlantedBug>,
    actions: VecDeque<Action<C, W>>,
}

/// A close under way.
#[derive(Debug)]
struct Closing<C> {
    completions: Vec<C>,
    /// Until when a server is looked for to tell it.
    until: Moment,
    asked: bool,
}

impl<C, W: Clone> Machine<C, W> {
    /// A session that is not established yet. Nothing happens until [`Machine::start`].
    pub fn new(mut settings: Settings) -> Self {
        let mut random = Random::new(settings.seed);
        let hosts = Hosts::new(std::mem::take(&mut settings.hosts), &mut random);
        settings.timeout = settings.timeout.min(MAX_TIMEOUT);
        let held = settings.resume.clone().map(|mut token| {
            token.timeout = token.timeout.min(MAX_TIMEOUT);
            Held { token, vouched: None, is_local: false }
        });
        Self {
            random,
            hosts,
            state: State::NotConnected,
            liveness: Liveness::Establishing,
            held,
            link: Link::Waiting { until: Moment::default() },
            at: None,
            next_link: 1,
            fault: None,
            upkeep: Upkeep::default(),
            queue: Queue::new(),
            watches: Watches::new(),
            last_zxid: Zxid(0),
            establish_by: None,
            auth_waiting: Vec::new(),
            closing: None,
            partial: Vec::new(),
            skip: 0,
            late: Duration::ZERO,
            #[cfg(feature = "planted-bugs")]
            seen: Moment::default(),
            #[cfg(feature = "planted-bugs")]
            planted: None,
            actions: VecDeque::new(),
            settings,
        }
    }

    /// Limits the requests that are sent and not answered yet; further ones wait their turn.
    pub fn limit_outstanding(&mut self, requests: usize) {
        self.queue.set_window(requests);
    }

    /// Begins to look for a server.
    pub fn start(&mut self, now: Moment) {
        self.establish_by = self.settings.establish_limit.map(|limit| now + limit);
        self.set(State::Connecting, Liveness::Establishing);
        self.open(now);
    }

    /// What the driver must do next. Empty it after every other call.
    pub fn next_action(&mut self) -> Option<Action<C, W>> {
        self.actions.pop_front()
    }

    /// The state of the connection.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether the session lives, as far as can be known.
    pub fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// The session that is held, once a server has confirmed it, and what resumes it.
    pub fn token(&self) -> Option<&SessionToken> {
        self.held.as_ref().map(|held| &held.token)
    }

    /// The newest change this client knows of.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Why the last link, or the last attempt, failed.
    pub fn last_fault(&self) -> Option<&LinkFault> {
        self.fault.as_ref()
    }

    /// Whether there is nothing left to do, ever.
    pub fn is_over(&self) -> bool {
        matches!(self.link, Link::Over)
    }

    /// Hands in a request. It is sent as soon as its turn comes.
    pub fn submit(&mut self, submission: Submission<C, W>) {
        if let Liveness::Lost(reason) = &self.liveness {
            let cause = Interruption::Lost(reason.clone());
            if let Some(watch) = submission.watch {
                self.actions.push_back(Action::EndWatch(watch.watcher, reason.clone()));
            }
            let failed = Err(Failure::Interrupted { sent: false, cause });
            self.actions.extend(submission.completion.map(|c| Action::Finish(c, failed)));
            return;
        }
        self.queue.submit(submission);
    }

    /// A watcher lost interest. If it was the last of its kind, the server is told.
    pub fn drop_watch(&mut self, path: &str, id: u64) {
        if self.queue.drop_intent(id) {
            return;
        }
        let Some(kind) = self.watches.remove(path, id) else { return };
        // A request under way might count on the watch that would be removed behind it.
        if !matches!(self.link, Link::Attached { .. }) || self.queue.will_watch(path, kind) {
            return;
        }
        let request = Request::RemoveWatches { path: path.into(), kind: kind.removal() };
        let frame = encode(&request);
        let op = OpCode::RemoveWatches;
        let (completion, watch, deadline) = (None, None, None);
        self.queue.submit(Submission { op, frame, completion, watch, deadline });
    }

    /// A server removed all watches of some kinds at a path, as asked.
    pub fn watches_removed(&mut self, path: &str, removed: impl Fn(WatchKind) -> bool) {
        let reason = LostReason::Closed;
        for watcher in self.watches.remove_all(path, removed) {
            self.actions.push_back(Action::EndWatch(watcher, reason.clone()));
        }
    }

    /// Shows further credentials, on this link and all later ones.
    pub fn add_auth(&mut self, auth: Auth, completion: C) {
        if let Liveness::Lost(reason) = &self.liveness {
            let cause = Interruption::Lost(reason.clone());
            let failed = Err(Failure::Interrupted { sent: false, cause });
            self.actions.push_back(Action::Finish(completion, failed));
            return;
        }
        self.auth_waiting.push((self.settings.auths.len(), completion));
        self.settings.auths.push(auth);
    }

    /// Nobody waits for the confirmation of credentials any more.
    fn give_up_auths(&mut self) {
        for (_, completion) in std::mem::take(&mut self.auth_waiting) {
            let cause = Interruption::TimedOut;
            let failed = Err(Failure::Interrupted { sent: false, cause });
            self.actions.push_back(Action::Finish(completion, failed));
        }
    }

    /// Replaces the list of servers, and moves to another one if the load is to stay even.
    pub fn update_hosts(&mut self, hosts: Vec<Host>, now: Moment) {
        self.observe(now);
        let at = self.at.as_ref().filter(|_| !matches!(self.link, Link::Waiting { .. }));
        if self.hosts.update(hosts, at, &mut self.random) && !self.is_over() {
            self.lose_link(LinkFault::Rebalanced, now);
        }
        self.settle(now);
    }

    /// Closes the session: from now on it is not believed in any more. Requests handed in before
    /// are still carried out, then the server is told, if one can be reached in time.
    pub fn close(&mut self, completion: Option<C>, now: Moment) {
        self.observe(now);
        if let Some(closing) = &mut self.closing {
            closing.completions.extend(completion);
            return;
        }
        let confirmed =
            self.is_attached() || self.held.as_ref().is_some_and(|held| held.vouched.is_some());
        if self.is_over() || !confirmed {
            self.lose(LostReason::Closed);
            let done = Reply { body: Bytes::new(), zxid: self.last_zxid, code: 0 };
            self.actions.extend(completion.map(|c| Action::Finish(c, Ok(done))));
            return;
        }
        // Once the deadline has passed no server need be told: it finds out by itself.
        let until = self.valid_until().unwrap_or(now + self.timeout());
        let completions = completion.into_iter().collect();
        self.closing = Some(Closing { completions, until, asked: false });
        self.end_watches(&LostReason::Closed);
        self.set(State::Closed, Liveness::Lost(LostReason::Closed));
        self.ask_to_close();
        self.settle(now);
    }

    /// Hangs up without telling the server: the session lives on until its timeout.
    pub fn leave(&mut self) {
        self.lose(LostReason::Left);
    }

    /// Queues the request that closes the session, behind everything else.
    fn ask_to_close(&mut self) {
        let attached = matches!(self.link, Link::Attached { .. });
        let Some(closing) = self.closing.as_mut().filter(|closing| attached && !closing.asked)
        else {
            return;
        };
        closing.asked = true;
        let frame = encode(&Request::CloseSession);
        let op = OpCode::CloseSession;
        let (completion, watch, deadline) = (None, None, None);
        self.queue.submit(Submission { op, frame, completion, watch, deadline });
    }

    /// The session is gone for good, and everything that depends on it.
    fn lose(&mut self, reason: LostReason) {
        if self.is_over() {
            return;
        }
        if let Some(id) = self.link_id() {
            self.actions.push_back(Action::Close(id));
        }
        self.link = Link::Over;
        self.at = None;
        let state = match reason {
            LostReason::AuthFailed { .. } => State::AuthFailed,
            _ => State::Closed,
        };
        // First the news, then what follows from it: nobody may learn of a request's end and
        // still believe in the session.
        self.set(state, Liveness::Lost(reason.clone()));
        let actions = &mut self.actions;
        let cause = Interruption::Lost(reason.clone());
        self.queue.drain(|completion, sent| {
            let failed = Failure::Interrupted { sent, cause: cause.clone() };
            actions.push_back(Action::Finish(completion, Err(failed)));
        });
        for (_, completion) in std::mem::take(&mut self.auth_waiting) {
            let failed = match reason {
                LostReason::AuthFailed { .. } => Failure::Code(AUTH_FAILED),
                _ => Failure::Interrupted { sent: false, cause: cause.clone() },
            };
            actions.push_back(Action::Finish(completion, Err(failed)));
        }
        self.end_watches(&reason);
        if let Some(closing) = self.closing.take() {
            let failed = Failure::Interrupted { sent: closing.asked, cause };
            for completion in closing.completions {
                self.actions.push_back(Action::Finish(completion, Err(failed.clone())));
            }
        }
        self.partial = Vec::new();
        self.reorder_if_planted();
    }

    fn end_watches(&mut self, reason: &LostReason) {
        for watcher in self.watches.drain() {
            self.actions.push_back(Action::EndWatch(watcher, reason.clone()));
        }
    }

    /// Publishes state and liveness, if they are news. What is final stays.
    fn set(&mut self, state: State, liveness: Liveness) {
        let is_news = self.state != state || self.liveness != liveness;
        if !is_news || self.liveness.is_lost() {
            return;
        }
        self.state = state;
        self.liveness = liveness.clone();
        self.actions.push_back(Action::Change(state, liveness));
    }

    fn link_id(&self) -> Option<LinkId> {
        match self.link {
            Link::Over | Link::Waiting { .. } => None,
            Link::Opening { id, .. } | Link::Shaking { id, .. } | Link::Attached { id } => Some(id),
        }
    }

    fn is_attached(&self) -> bool {
        matches!(self.link, Link::Attached { .. })
    }

    /// What the present lack of a link means for the session.
    fn at_risk(&self, cause: Risk) -> Liveness {
        self.valid_until().map_or(Liveness::Establishing, |until| Liveness::AtRisk { until, cause })
    }
}

/// The longest timeout that the protocol can ask for. Multiples of it are computed with.
const MAX_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

const AUTH_FAILED: i32 = tenure_wire::ErrorCode::AuthFailed.code();

/// A request as a frame, with xid 0 for the time being.
pub fn encode(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame_size(request));
    encode_as(Xid(0), request, &mut out);
    out
}

/// About how many bytes the frame of a request takes, so that it is allocated once.
fn frame_size(request: &Request<'_>) -> usize {
    const FIXED: usize = 64;
    match request {
        Request::Create(create) => {
            FIXED * 2 + create.path.len() + create.data.map_or(0, <[u8]>::len)
        }
        Request::SetData { path, data, .. } => FIXED + path.len() + data.map_or(0, <[u8]>::len),
        Request::GetData { path, .. }
        | Request::Exists { path, .. }
        | Request::GetChildren2 { path, .. }
        | Request::Delete { path, .. } => FIXED + path.len(),
        _ => FIXED,
    }
}

fn encode_as(xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) {
    let start = frame::begin(out);
    RequestHeader { xid, op: request.op().code() }.encode(out);
    request.encode(out);
    frame::end(out, start);
}
