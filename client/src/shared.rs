//! What the background thread and the application's handles share: a session's status, the queues
//! of its watchers, and the completion of its requests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tenure_wire::Zxid;
use tokio::sync::{oneshot, watch};

use crate::machine::{Event, EventKind, Failure, Interruption, Reply};
use crate::moment::Moment;
use crate::status::{Change, Liveness, LostReason, State};
use crate::token::SessionToken;

/// Changes that a reader who does not read may fall behind by. Beyond, the oldest go: the latest
/// is what counts.
const CHANGES_KEPT: usize = 64;

/// Events that a watcher who does not read may fall behind by. Beyond, they give way to a gap.
const EVENTS_KEPT: usize = 16_384;

/// The status of one session, written by the background thread alone.
pub(crate) struct Shared {
    /// Nanoseconds of the moment until which the session is valid; 0 if it is not.
    valid_until: AtomicU64,
    last_zxid: AtomicI64,
    /// When the background thread last looked after the session.
    served: AtomicU64,
    status: Mutex<Status>,
    lost: watch::Sender<Option<LostReason>>,
}

struct Status {
    latest: Change,
    token: Option<SessionToken>,
    readers: Vec<Weak<ChangeQueue>>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let (state, liveness) = (State::NotConnected, Liveness::Establishing);
        let latest = Change { state, liveness, at: Moment::now(), server: None };
        Self {
            valid_until: AtomicU64::new(0),
            last_zxid: AtomicI64::new(0),
            served: AtomicU64::new(0),
            status: Mutex::new(Status { latest, token: None, readers: Vec::new() }),
            lost: watch::Sender::new(None),
        }
    }

    pub(crate) fn valid_until(&self) -> Option<Moment> {
        match self.valid_until.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(Moment::from_nanos(nanos)),
        }
    }

    pub(crate) fn last_zxid(&self) -> Zxid {
        Zxid(self.last_zxid.load(Ordering::Acquire))
    }

    pub(crate) fn latest(&self) -> Change {
        lock(&self.status).latest.clone()
    }

    pub(crate) fn token(&self) -> Option<SessionToken> {
        lock(&self.status).token.clone()
    }

    /// Completes when the session is lost.
    pub(crate) async fn lost(&self) -> LostReason {
        let mut lost = self.lost.subscribe();
        let reason = match lost.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            // The sender is part of `self`.
            Err(_) => None,
        };
        reason.unwrap_or(LostReason::Closed)
    }

    /// A reader of all changes from the present state on.
    pub(crate) fn subscribe(&self) -> Arc<ChangeQueue> {
        let mut status = lock(&self.status);
        let queue = Arc::new(ChangeQueue::default());
        queue.push(status.latest.clone());
        status.readers.retain(|reader| reader.strong_count() > 0);
        status.readers.push(Arc::downgrade(&queue));
        queue
    }

    /// When the background thread last looked after the session.
    pub(crate) fn served(&self) -> Moment {
        Moment::from_nanos(self.served.load(Ordering::Relaxed))
    }

    pub(crate) fn publish(&self, valid_until: Option<Moment>, last_zxid: Zxid, now: Moment) {
        self.served.store(now.as_nanos(), Ordering::Relaxed);
        let nanos = valid_until.map_or(0, Moment::as_nanos);
        self.valid_until.store(nanos, Ordering::Release);
        self.last_zxid.store(last_zxid.0, Ordering::Release);
    }

    pub(crate) fn change(&self, change: Change, token: Option<&SessionToken>) {
        let mut status = lock(&self.status);
        status.token = token.cloned();
        status.latest = change.clone();
        for reader in &status.readers {
            if let Some(reader) = reader.upgrade() {
                reader.push(change.clone());
            }
        }
        drop(status);
        if let Liveness::Lost(reason) = change.liveness {
            self.lost.send_replace(Some(reason));
        }
    }
}

/// A mutex guards plain data here, which a panic elsewhere cannot leave half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes that one reader has not seen yet.
#[derive(Default)]
pub(crate) struct ChangeQueue(Mutex<Pending<Change>>);

struct Pending<T> {
    items: VecDeque<T>,
    waker: Option<Waker>,
    ended: Option<LostReason>,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), waker: None, ended: None }
    }
}

impl ChangeQueue {
    fn push(&self, change: Change) {
        let mut pending = lock(&self.0);
        if pending.items.len() == CHANGES_KEPT {
            pending.items.pop_front();
        }
        pending.items.push_back(change);
        let waker = pending.waker.take();
        drop(pending);
        waker.into_iter().for_each(Waker::wake);
    }

    /// The next change; `None` once the last, a final one, was taken.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        let mut pending = lock(&self.0);
        if let Some(change) = pending.items.pop_front() {
            if let Liveness::Lost(reason) = &change.liveness
                && pending.items.is_empty()
            {
                pending.ended = Some(reason.clone());
            }
            return Poll::Ready(Some(change));
        }
        if pending.ended.is_some() {
            return Poll::Ready(None);
        }
        pending.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Events that one watcher has not seen yet.
#[derive(Default)]
pub(crate) struct WatchQueue(Mutex<Pending<Event>>);

impl WatchQueue {
    pub(crate) fn push(&self, event: Event, is_last: bool) {
        let mut pending = lock(&self.0);
        if pending.items.len() >= EVENTS_KEPT {
            pending.items.clear();
            let (kind, path) = (EventKind::Gap, event.path.clone());
            pending.items.push_back(Event { kind, path, zxid: None });
        }
        pending.items.push_back(event);
        if is_last {
            // A one-time watch has nothing more to tell; the reason is never shown.
            pending.ended = Some(LostReason::Closed);
        }
        let waker = pending.waker.take();
        drop(pending);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn end(&self, reason: LostReason) {
        let mut pending = lock(&self.0);
        pending.ended.get_or_insert(reason);
        let waker = pending.waker.take();
        drop(pending);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Whether nothing will be added, so that nobody need be told to stop.
    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.0).ended.is_some()
    }

    /// The next event, or why there is none.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Event, LostReason>> {
        let mut pending = lock(&self.0);
        if let Some(event) = pending.items.pop_front() {
            return Poll::Ready(Ok(event));
        }
        if let Some(reason) = &pending.ended {
            return Poll::Ready(Err(reason.clone()));
        }
        pending.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Where the outcome of a request goes.
pub(crate) enum Completion {
    /// To the application, if it still waits.
    Application(oneshot::Sender<Finished>),
    /// To nobody: what follows is done on the background thread.
    Background(Followup),
}

/// What follows from the outcome of a request that nobody awaits. It must not block.
pub(crate) type Followup = Box<dyn FnOnce(Result<Reply, Failure>) + Send>;

/// The outcome of a request, and when it came.
pub(crate) struct Finished {
    pub(crate) outcome: Result<Reply, Failure>,
    pub(crate) at: Moment,
}

impl Completion {
    /// For a request that the application awaits.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Finished>) {
        let (sender, receiver) = oneshot::channel();
        (Self::Application(sender), receiver)
    }

    /// Delivers the outcome.
    pub(crate) fn finish(self, outcome: Result<Reply, Failure>, at: Moment) {
        match self {
            // The application may have stopped waiting.
            Self::Application(sender) => drop(sender.send(Finished { outcome, at })),
            Self::Background(followup) => followup(outcome),
        }
    }

    /// The session was over before the request came.
    pub(crate) fn session_is_gone(self) {
        let cause = Interruption::Lost(LostReason::Closed);
        self.finish(Err(Failure::Interrupted { sent: false, cause }), Moment::now());
    }
}
