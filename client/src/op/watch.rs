//! Watches as futures and streams that unregister when they are dropped.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tenure_wire::{DecodeError, Request, Zxid};

use crate::error::Error;
use crate::io::Command;
use crate::machine::{Event, EventKind, WatchKind};
use crate::path;
use crate::reply::{Answer, Draft, Reply, Watcher};
use crate::session::Session;
use crate::status::LostReason;

/// What happened to a watched path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// What.
    pub kind: EventKind,
    /// To which path.
    pub path: String,
    /// The change that did it, where the server tells: ZooKeeper does from 3.9 on, and nobody does
    /// for changes made while there was no link.
    pub zxid: Option<Zxid>,
}

/// How long a persistent watch reaches down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// The znode and the list of its children.
    Persistent,
    /// The znode and everything below it, but no lists of children.
    Recursive,
}

impl Session {
    /// Watches a path again and again, whether or not there is a znode. The stream ends when the
    /// session is lost.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::{EventKind, WatchMode};
    ///
    /// let mut watch = session.watch("/app", WatchMode::Recursive).await?;
    /// session.create_all("/app/one").await?;
    /// let (first, second) = (watch.next().await, watch.next().await);
    /// assert_eq!(first.map(|event| event.kind), Some(EventKind::Created));
    /// assert_eq!(second.map(|event| event.path), Some("/app/one".into()));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// None of its own; servers before ZooKeeper 3.6 do not know it.
    pub fn watch<'a>(&'a self, path: &'a str, mode: WatchMode) -> Reply<Watch> {
        let mut draft = Draft::new(self, path);
        let (kind, mode) = match mode {
            WatchMode::Persistent => (WatchKind::Persistent, 0),
            WatchMode::Recursive => (WatchKind::Recursive, 1),
        };
        draft.watch = Some(kind);
        let read = |mut answer: Answer<'_>| -> Result<Watch, DecodeError> {
            Ok(Watch(Registration::of(&mut answer)))
        };
        draft.send_about(|path| Request::AddWatch { path, mode }, read)
    }

    /// Removes this session's watches of a path: those of one kind, or all. Their streams end.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::WatchMode;
    ///
    /// let mut watch = session.watch("/app", WatchMode::Persistent).await?;
    /// session.remove_watches("/app", None).await?;
    /// assert_eq!(watch.next().await, None);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoWatcher` if there are none.
    pub async fn remove_watches(&self, path: &str, kind: Option<WatchKind>) -> Result<(), Error> {
        let kind_number = kind.map_or(ANY_KIND, WatchKind::removal);
        let removal = |path| Request::RemoveWatches { path, kind: kind_number };
        Draft::new(self, path).send_about(removal, |_| Ok(())).await?;
        let shared: Arc<str> = path::absolute(self.chroot(), path).into();
        self.connection().send(|key| Command::WatchesRemoved(key, shared, removed_by(kind)));
        Ok(())
    }
}

/// The number of all kinds in a request to remove watches.
const ANY_KIND: i32 = 3;

/// Which watches a removal concerns: data and existence are one to the server.
fn removed_by(kind: Option<WatchKind>) -> fn(WatchKind) -> bool {
    match kind {
        None => |_| true,
        Some(WatchKind::Data | WatchKind::Exist) => {
            |kind| matches!(kind, WatchKind::Data | WatchKind::Exist)
        }
        Some(WatchKind::Children) => |kind| kind == WatchKind::Children,
        Some(WatchKind::Persistent) => |kind| kind == WatchKind::Persistent,
        Some(WatchKind::Recursive) => |kind| kind == WatchKind::Recursive,
    }
}

/// A watch that the background thread knows of; dropping it takes it back.
struct Registration {
    session: Session,
    watcher: Watcher,
}

impl Registration {
    /// That of a request's own watch.
    fn of(answer: &mut Answer<'_>) -> Self {
        let watcher = answer.about.watch.take().expect("the request sets a watch");
        Self { session: answer.about.session.clone(), watcher }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<WatchEvent, LostReason>> {
        let Event { kind, path, zxid } = ready!(self.watcher.queue.poll(cx))?;
        let path = path::relative(self.session.chroot(), &path).to_owned();
        Poll::Ready(Ok(WatchEvent { kind, path, zxid }))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.watcher.forget(&self.session);
    }
}

/// The future of a one-time watch's event: the next one at its path, or why there will be none.
/// Dropping it takes the watch back.
#[must_use = "dropping a watch takes it back"]
pub struct OneTimeWatch(Registration);

impl OneTimeWatch {
    pub(super) fn of(answer: &mut Answer<'_>) -> Self {
        Self(Registration::of(answer))
    }
}

impl Future for OneTimeWatch {
    type Output = Result<WatchEvent, LostReason>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

/// The stream of a persistent watch's events. Dropping it takes the watch back.
///
/// After a link was lost and another found, and when events were not taken for long, an event of
/// kind [`EventKind::Gap`] says that others may have been missed.
#[must_use = "dropping a watch takes it back"]
pub struct Watch(Registration);

impl Watch {
    /// The next event; `None` once the session is lost or the watch was removed.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        poll_fn(|cx| self.0.poll(cx)).await.ok()
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.0.poll(cx).map(Result::ok)
    }
}
