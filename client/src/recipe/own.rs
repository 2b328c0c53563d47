//! Whether a znode of one's own is still there: a watch on it that any number of futures may wait
//! for, and that asks again where its events leave a doubt.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tenure_wire::{Stat, Zxid};

use crate::error::Error;
use crate::machine::EventKind;
use crate::op::OneTimeWatch;
use crate::reply::Reply;
use crate::session::Session;

/// The watch on a znode of this session.
pub(crate) struct Own {
    session: Session,
    path: String,
    czxid: Zxid,
    watching: Mutex<Watching>,
    waiting: Arc<Waiting>,
}

enum Watching {
    /// The server will tell.
    Armed(OneTimeWatch),
    /// Something happened to the znode, or to the watch: the server is asked.
    Asking(Reply<(Option<Stat>, OneTimeWatch)>),
    /// Nobody tells any more, because the session is lost or the server refuses to.
    Blind,
    /// Somebody deleted it.
    Deleted,
    /// Its holder gave it up.
    Released,
}

/// How a znode of one's own ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Deleted,
    Released,
}

impl Own {
    /// Begins to watch. `None` if the znode is gone.
    pub(crate) async fn watch(
        session: &Session,
        path: &str,
    ) -> Result<Option<(Self, Stat)>, Error> {
        let (stat, watch) = session.exists(path).watch().await?;
        let Some(stat) = stat else { return Ok(None) };
        let own = Self {
            session: session.clone(),
            path: path.to_owned(),
            czxid: stat.czxid,
            watching: Mutex::new(Watching::Armed(watch)),
            waiting: Arc::default(),
        };
        Ok(Some((own, stat)))
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its holder gives it up: whoever waits for its end need not wait longer.
    pub(crate) fn released(&self) {
        let mut watching = self.lock();
        let before = match *watching {
            Watching::Deleted => return,
            _ => std::mem::replace(&mut *watching, Watching::Released),
        };
        drop(watching);
        drop(before);
        self.waiting.wake_by_ref();
    }

    /// How it ended, as far as the server has told by now.
    pub(crate) fn ended(&self) -> Option<Ended> {
        match self.advance() {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        }
    }

    /// Completes when the znode is gone.
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Ended> {
        // First, so that what comes from here on wakes this one too.
        self.waiting.add(cx.waker());
        self.advance()
    }

    fn advance(&self) -> Poll<Ended> {
        let waker = Waker::from(Arc::clone(&self.waiting));
        let mut cx = Context::from_waker(&waker);
        let mut watching = self.lock();
        loop {
            let next = match &mut *watching {
                Watching::Armed(watch) => match Pin::new(watch).poll(&mut cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(event)) if event.kind == EventKind::Deleted => Watching::Deleted,
                    Poll::Ready(Err(_)) if self.session.liveness().is_lost() => Watching::Blind,
                    Poll::Ready(_) => self.ask(),
                },
                Watching::Asking(reply) => match Pin::new(reply).poll(&mut cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok((Some(stat), watch))) if stat.czxid == self.czxid => {
                        Watching::Armed(watch)
                    }
                    Poll::Ready(Ok(_)) => Watching::Deleted,
                    Poll::Ready(Err(Error::NotDone { .. })) => self.ask(),
                    Poll::Ready(Err(error)) => {
                        if error.lost().is_none() {
                            let path = &self.path;
                            tracing::warn!(%path, %error, "a znode of our own cannot be watched");
                        }
                        Watching::Blind
                    }
                },
                Watching::Blind => return Poll::Pending,
                Watching::Deleted => return Poll::Ready(Ended::Deleted),
                Watching::Released => return Poll::Ready(Ended::Released),
            };
            *watching = next;
        }
    }

    fn ask(&self) -> Watching {
        match self.session.liveness().is_lost() {
            true => Watching::Blind,
            false => Watching::Asking(self.session.exists(&self.path).watch().send()),
        }
    }
}

/// Whoever waits for the end of one znode: its watch can wake only one.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }
}
