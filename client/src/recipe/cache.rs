//! Mirrors of znodes in memory: of one, or of a whole subtree, kept up to date by a persistent
//! watch and reads.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use tenure_wire::ErrorCode;

use crate::error::Error;
use crate::machine::EventKind;
use crate::op::{Children, Node, Watch, WatchEvent, WatchMode};
use crate::path;
use crate::reply::Reply;
use crate::session::Session;
use crate::status::{Liveness, LostReason};

/// What changed in a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheChange {
    /// A znode is there that was not.
    Added {
        /// Its path.
        path: String,
        /// What it is.
        node: Node,
    },
    /// A znode's data changed, or it was deleted and created again. What came between two looks
    /// is not told.
    Changed {
        /// Its path.
        path: String,
        /// What it is now.
        node: Node,
    },
    /// A znode is gone.
    Removed {
        /// Its path.
        path: String,
        /// What it was.
        node: Node,
    },
    /// The cache has caught up: for the first time, or after a gap in the watch.
    Synced,
}

/// A cache of one znode, whether or not there is one.
///
/// Nothing happens in the background: the cache is kept up to date while [`ready`](Self::ready),
/// [`next`](Self::next) or [`run`](Self::run) is awaited, by whatever task the application gives
/// it to. Its [`view`](Self::view) can be read anywhere.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use tenure_client::recipe::NodeCache;
///
/// let mut cache = NodeCache::new(&session, "/config");
/// cache.ready().await?;
/// println!("{:?}", cache.current());
/// while let Some(change) = cache.next().await {
///     println!("{change:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NodeCache(Cache);

/// A cache of a znode and everything below it.
///
/// Nothing happens in the background; see [`NodeCache`].
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use tenure_client::recipe::TreeCache;
///
/// let mut cache = TreeCache::new(&session, "/config");
/// cache.ready().await?;
/// let view = cache.view();
/// tokio::spawn(async move { cache.run().await });
/// println!("{:?}", view.get("/config/limits"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TreeCache(Cache);

/// What a cache has at present; clones show the same.
#[derive(Clone, Debug)]
pub struct CacheView {
    session: Session,
    inner: Arc<Mutex<Mirror>>,
}

#[derive(Debug, Default)]
struct Mirror {
    nodes: BTreeMap<String, Node>,
    is_synced: bool,
}

macro_rules! cache_api {
    ($cache:ident) => {
        impl $cache {
            /// Waits until the cache has caught up. The changes are kept for
            /// [`next`](Self::next).
            ///
            /// # Errors
            /// If the session is lost.
            pub async fn ready(&mut self) -> Result<(), LostReason> {
                poll_fn(|cx| self.0.poll_ready(cx)).await
            }

            /// The next change, the first of which are the znodes that are there; `None` once the
            /// session is lost. May be dropped and called again at any time.
            pub async fn next(&mut self) -> Option<CacheChange> {
                poll_fn(|cx| self.0.poll_change(cx)).await
            }

            /// Keeps the cache up to date until the session is lost, and returns why it is.
            pub async fn run(&mut self) -> LostReason {
                while self.next().await.is_some() {}
                self.0.view.session.lost_reason()
            }

            /// What the cache has, to be read anywhere.
            pub fn view(&self) -> CacheView {
                self.0.view.clone()
            }
        }

        impl Stream for $cache {
            type Item = CacheChange;

            fn poll_next(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<CacheChange>> {
                self.0.poll_change(cx)
            }
        }
    };
}
cache_api!(NodeCache);
cache_api!(TreeCache);

impl NodeCache {
    /// A cache of the znode at this path. Nothing is asked until it is awaited.
    pub fn new(session: &Session, path: &str) -> Self {
        Self(Cache::new(session, path, WatchMode::Persistent))
    }

    /// The znode, if there is one.
    pub fn current(&self) -> Option<Node> {
        self.0.view.get(&self.0.root)
    }
}

impl TreeCache {
    /// A cache of the znode at this path and everything below it. Nothing is asked until it is
    /// awaited.
    pub fn new(session: &Session, path: &str) -> Self {
        Self(Cache::new(session, path, WatchMode::Recursive))
    }
}

impl CacheView {
    fn lock(&self) -> MutexGuard<'_, Mirror> {
        // Plain data, which a panic elsewhere cannot leave half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A znode.
    pub fn get(&self, path: &str) -> Option<Node> {
        self.lock().nodes.get(path).cloned()
    }

    /// The names of a znode's children, in order.
    pub fn children(&self, path: &str) -> Vec<String> {
        let below = path::child(path, "");
        let mirror = self.lock();
        let after = mirror.nodes.range(below.clone()..).map(|(path, _)| path.as_str());
        let names = after.map_while(|path| path.strip_prefix(below.as_str()));
        names.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned).collect()
    }

    /// All znodes, by path.
    pub fn all(&self) -> BTreeMap<String, Node> {
        self.lock().nodes.clone()
    }

    /// Whether no gap is open.
    pub(crate) fn is_synced(&self) -> bool {
        self.lock().is_synced
    }

    /// Whether the cache has all that its server had when it last told, and the session is live:
    /// no link is lost, no gap is open.
    pub fn is_current(&self) -> bool {
        self.lock().is_synced && self.session.liveness() == Liveness::Live
    }
}

/// What both caches are.
#[derive(Debug)]
struct Cache {
    root: String,
    mode: WatchMode,
    view: CacheView,
    watch: Watching,
    /// Paths to be looked at: those that wait, and those whose replies are awaited, in order.
    to_read: VecDeque<String>,
    reading: VecDeque<Reading>,
    /// The same by path.
    due: HashMap<String, Due>,
    /// Everything is being looked at: at the beginning, and after a gap.
    is_scanning: bool,
    changes: VecDeque<CacheChange>,
}

enum Watching {
    Setting(Reply<Watch>),
    Set(Watch),
    Not,
    Ended,
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Setting(_) => "Setting",
            Self::Set(_) => "Set",
            Self::Not => "Not",
            Self::Ended => "Ended",
        })
    }
}

/// A path that is to be looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    /// Something happened to it since it was asked for: the answer may be out of date.
    is_stale: bool,
    /// Its children are to be looked at as well.
    with_children: bool,
}

/// A path that was asked for.
struct Reading {
    path: String,
    node: Part<Node>,
    children: Option<Part<Children>>,
}

enum Part<T> {
    Awaited(Reply<T>),
    Here(Result<T, Error>),
}

impl<T> Part<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Awaited(reply) = self {
            let Poll::Ready(outcome) = Pin::new(reply).poll(cx) else { return Poll::Pending };
            *self = Self::Here(outcome);
        }
        Poll::Ready(())
    }

    fn into_outcome(self) -> Option<Result<T, Error>> {
        match self {
            Self::Here(outcome) => Some(outcome),
            Self::Awaited(_) => None,
        }
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Paths asked for at a time.
const READ_AT_ONCE: usize = 128;

impl Cache {
    fn new(session: &Session, root: &str, mode: WatchMode) -> Self {
        Self {
            root: root.to_owned(),
            mode,
            view: CacheView { session: session.clone(), inner: Arc::default() },
            watch: Watching::Not,
            to_read: VecDeque::new(),
            reading: VecDeque::new(),
            due: HashMap::new(),
            is_scanning: false,
            changes: VecDeque::new(),
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LostReason>> {
        while !self.view.lock().is_synced {
            if !self.advance(cx) {
                return match self.watch {
                    Watching::Ended => Poll::Ready(Err(self.view.session.lost_reason())),
                    _ => Poll::Pending,
                };
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_change(&mut self, cx: &mut Context<'_>) -> Poll<Option<CacheChange>> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return Poll::Ready(Some(change));
            }
            if !self.advance(cx) {
                return match self.watch {
                    Watching::Ended => Poll::Ready(None),
                    _ => Poll::Pending,
                };
            }
        }
    }

    /// Does what can be done at once. False if there is nothing.
    fn advance(&mut self, cx: &mut Context<'_>) -> bool {
        let told = self.poll_watch(cx);
        let read = self.poll_read(cx);
        self.ask();
        if self.is_scanning && self.due.is_empty() && !matches!(self.watch, Watching::Ended) {
            self.is_scanning = false;
            self.view.lock().is_synced = true;
            self.changes.push_back(CacheChange::Synced);
            return true;
        }
        told || read
    }

    fn poll_watch(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.watch {
            Watching::Not => {
                let reply = self.view.session.watch(&self.root, self.mode);
                self.watch = Watching::Setting(reply);
            }
            Watching::Setting(reply) => match Pin::new(reply).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(watch)) => {
                    self.watch = Watching::Set(watch);
                    self.scan();
                }
                Poll::Ready(Err(error)) => {
                    self.watch = Watching::Not;
                    if error.lost().is_some() || !matches!(error, Error::NotDone { .. }) {
                        self.end(&error);
                    }
                }
            },
            Watching::Set(watch) => match Pin::new(watch).poll_next(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(event)) => self.happened(event),
                // The application may have removed all watches of the path.
                Poll::Ready(None) if !self.view.session.liveness().is_lost() => {
                    self.watch = Watching::Not;
                }
                Poll::Ready(None) => {
                    self.watch = Watching::Ended;
                    self.view.lock().is_synced = false;
                }
            },
            Watching::Ended => return false,
        }
        true
    }

    fn end(&mut self, error: &Error) {
        if error.lost().is_none() {
            tracing::warn!(path = %self.root, %error, "a cache cannot be kept up to date");
        }
        self.watch = Watching::Ended;
        self.view.lock().is_synced = false;
    }

    /// Looks at everything again.
    fn scan(&mut self) {
        self.is_scanning = true;
        self.view.lock().is_synced = false;
        let with_children = self.mode == WatchMode::Recursive;
        self.look_at(self.root.clone(), with_children);
    }

    fn happened(&mut self, event: WatchEvent) {
        match event.kind {
            EventKind::Gap => self.scan(),
            EventKind::Created | EventKind::DataChanged => self.look_at(event.path, false),
            EventKind::Deleted => self.remove(&event.path),
            EventKind::ChildrenChanged => {}
        }
    }

    /// What is known of a path may be out of date.
    fn look_at(&mut self, path: String, with_children: bool) {
        match self.due.get_mut(&path) {
            Some(due) => {
                due.is_stale = true;
                due.with_children |= with_children;
            }
            None => {
                self.due.insert(path.clone(), Due { is_stale: false, with_children });
                self.to_read.push_back(path);
            }
        }
    }

    /// Asks for as many of the paths as may be asked for at a time.
    fn ask(&mut self) {
        while self.reading.len() < READ_AT_ONCE
            && let Some(path) = self.to_read.pop_front()
        {
            let Some(due) = self.due.get_mut(&path) else { continue };
            due.is_stale = false;
            let session = &self.view.session;
            let children = due.with_children.then(|| session.children(&path).send());
            let node = Part::Awaited(session.get(&path).send());
            self.reading.push_back(Reading { node, children: children.map(Part::Awaited), path });
        }
    }

    /// Takes the answer that is due next.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(reading) = self.reading.front_mut() else { return false };
        if reading.children.as_mut().is_some_and(|part| part.poll(cx).is_pending())
            || reading.node.poll(cx).is_pending()
        {
            return false;
        }
        let Reading { path, node, children } = self.reading.pop_front().expect("it is the front");
        let is_stale = self.due.get(&path).is_some_and(|due| due.is_stale);
        let outcomes = (node.into_outcome(), children.and_then(Part::into_outcome));
        let failed = match &outcomes {
            (Some(Err(error)), _) | (_, Some(Err(error))) => Some(error),
            _ => None,
        };
        let is_interrupted = matches!(failed, Some(Error::NotDone { .. }));
        if failed.is_some_and(|error| error.lost().is_some()) {
            self.due.remove(&path);
            return true;
        }
        if is_stale || is_interrupted {
            // As the last one, so that its turn comes after what was asked for before.
            self.to_read.push_back(path);
            return true;
        }
        self.due.remove(&path);
        match outcomes {
            (Some(Ok(node)), children) => {
                self.put(&path, node);
                if let Some(Ok(children)) = children {
                    self.compare_children(&path, &children.names);
                }
            }
            (Some(Err(error)), _) => {
                if !error.is(ErrorCode::NoNode) {
                    tracing::warn!(%path, %error, "a znode cannot be cached");
                }
                self.remove(&path);
            }
            (None, _) => {}
        }
        true
    }

    fn put(&mut self, path: &str, node: Node) {
        let before = self.view.lock().nodes.insert(path.to_owned(), node.clone());
        let path = path.to_owned();
        match before {
            None => self.changes.push_back(CacheChange::Added { path, node }),
            Some(before)
                if (before.stat.czxid, before.stat.mzxid) != (node.stat.czxid, node.stat.mzxid) =>
            {
                self.changes.push_back(CacheChange::Changed { path, node });
            }
            Some(_) => {}
        }
    }

    /// A scan has listed a znode's children: what else is cached below it is gone, and they are
    /// looked at next.
    fn compare_children(&mut self, path: &str, names: &[String]) {
        for cached in self.view.children(path) {
            if names.binary_search(&cached).is_err() {
                self.remove(&path::child(path, &cached));
            }
        }
        for name in names {
            self.look_at(path::child(path, name), true);
        }
    }

    /// A znode is gone, and with it what is below it.
    fn remove(&mut self, path: &str) {
        let below = path::child(path, "");
        // Whoever was asked about it may answer that it is there.
        for (due_path, due) in &mut self.due {
            due.is_stale |= due_path == path || due_path.starts_with(&below);
        }
        let mut mirror = self.view.lock();
        let after = mirror.nodes.range(below.clone()..).map(|(path, _)| path);
        let gone = after.take_while(|path| path.starts_with(&below));
        let mut gone: Vec<String> = gone.filter(|path| **path != below).cloned().collect();
        gone.push(path.to_owned());
        for path in gone {
            if let Some(node) = mirror.nodes.remove(&path) {
                self.changes.push_back(CacheChange::Removed { path, node });
            }
        }
    }
}
