//! The watches of this client: which of its watchers a notification concerns, and how the watches
//! are set again on a new link.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use tenure_wire::{EventType, OpCode, Request, SetWatches, Zxid};

/// What a watcher waits for. A server keeps one watch per kind and path for all of a client's
/// watchers, except that data and existence are the same thing to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchKind {
    /// Change of a znode's data, once.
    Data,
    /// A znode's coming into being, once.
    Exist,
    /// Change of a znode's children, once.
    Children,
    /// Everything that happens to a znode and its children list, again and again.
    Persistent,
    /// Everything that happens to a znode and its descendants, again and again.
    Recursive,
}

impl WatchKind {
    const fn is_one_time(self) -> bool {
        matches!(self, Self::Data | Self::Exist | Self::Children)
    }

    /// The number that a request to remove the watch gives the kind.
    pub(crate) const fn removal(self) -> i32 {
        match self {
            Self::Children => 1,
            Self::Data | Self::Exist => 2,
            Self::Persistent => 4,
            Self::Recursive => 5,
        }
    }
}

/// What happened to a watched path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// To which path, as the server names it.
    pub path: Arc<str>,
    /// The change that did it; not known of changes made while there was no link.
    pub zxid: Option<Zxid>,
}

/// What a watcher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The znode was created.
    Created,
    /// The znode was deleted.
    Deleted,
    /// The znode's data was set.
    DataChanged,
    /// A child of the znode was created or deleted.
    ChildrenChanged,
    /// Events may have been missed: the link was lost and the watch set again on a new one, or the
    /// watcher took its events too slowly. Whoever mirrors znodes must look again.
    Gap,
}

/// A watch that a request sets if it succeeds.
#[derive(Clone, Debug)]
pub struct Intent<W> {
    /// What to wait for; `Exist` if the request finds no znode.
    pub kind: WatchKind,
    /// The path, as the server names it.
    pub path: Arc<str>,
    /// Tells this watcher from the others.
    pub id: u64,
    /// Whom to tell.
    pub watcher: W,
    /// The watcher lost interest before the watch was set.
    pub is_dropped: bool,
}

#[derive(Debug)]
struct Watching<W> {
    kind: WatchKind,
    id: u64,
    watcher: W,
}

/// All watchers by path.
#[derive(Debug)]
pub(crate) struct Watches<W> {
    by_path: BTreeMap<Arc<str>, Vec<Watching<W>>>,
    /// Recursive watchers among them: without any, nobody looks for watchers of ancestors.
    recursive: usize,
}

impl<W: Clone> Watches<W> {
    pub(crate) fn new() -> Self {
        Self { by_path: BTreeMap::new(), recursive: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// The request that wanted it succeeded.
    pub(crate) fn add(&mut self, intent: Intent<W>) {
        let Intent { kind, path, id, watcher, .. } = intent;
        self.recursive += usize::from(kind == WatchKind::Recursive);
        self.by_path.entry(path).or_default().push(Watching { kind, id, watcher });
    }

    /// A watcher lost interest. The kind is returned if the server's watch has no other watcher.
    pub(crate) fn remove(&mut self, path: &str, id: u64) -> Option<WatchKind> {
        let watching = self.by_path.get_mut(path)?;
        let position = watching.iter().position(|watching| watching.id == id)?;
        let kind = watching.swap_remove(position).kind;
        self.recursive -= usize::from(kind == WatchKind::Recursive);
        let shared = watching.iter().any(|other| other.kind.removal() == kind.removal());
        if watching.is_empty() {
            self.by_path.remove(path);
        }
        (!shared).then_some(kind)
    }

    /// Removes all watchers of a path whose watches a server removed, and hands them out.
    pub(crate) fn remove_all(&mut self, path: &str, removed: impl Fn(WatchKind) -> bool) -> Vec<W> {
        let Some(watching) = self.by_path.get_mut(path) else { return Vec::new() };
        let gone: Vec<W> =
            watching.extract_if(.., |w| removed(w.kind)).map(|w| w.watcher).collect();
        if watching.is_empty() {
            self.by_path.remove(path);
        }
        self.recursive = self.count_recursive();
        gone
    }

    fn count_recursive(&self) -> usize {
        let all = self.by_path.values().flatten();
        all.filter(|watching| watching.kind == WatchKind::Recursive).count()
    }

    /// Whom a notification concerns. One-time watchers are forgotten with it.
    pub(crate) fn notify(&mut self, kind: EventType, path: &str, told: &mut Vec<(W, bool)>) {
        if let Some(watching) = self.by_path.get_mut(path) {
            watching.retain(|one| {
                let concerned = concerns(one.kind, kind);
                if concerned {
                    told.push((one.watcher.clone(), one.kind.is_one_time()));
                }
                !(concerned && one.kind.is_one_time())
            });
            if watching.is_empty() {
                self.by_path.remove(path);
            }
        }
        if self.recursive == 0 || kind == EventType::NodeChildrenChanged {
            return;
        }
        let mut child = path;
        while let Some(parent) = crate::path::parent(child) {
            let watching = self.by_path.get(parent).into_iter().flatten();
            let recursive = watching.filter(|one| one.kind == WatchKind::Recursive);
            told.extend(recursive.map(|one| (one.watcher.clone(), false)));
            child = parent;
        }
    }

    /// Everybody who still waits, with the path; the watches are gone.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = W> + use<W> {
        self.recursive = 0;
        std::mem::take(&mut self.by_path).into_values().flatten().map(|one| one.watcher)
    }

    /// The persistent watchers and their paths: what they missed, no server tells.
    pub(crate) fn persistent(&self) -> impl Iterator<Item = (&Arc<str>, &W)> {
        self.by_path.iter().flat_map(|(path, watching)| {
            let persistent = watching.iter().filter(|one| !one.kind.is_one_time());
            persistent.map(move |one| (path, &one.watcher))
        })
    }

    /// The request that sets the watches behind `after` again, with at most `max_bytes` of paths
    /// unless a single one is longer, and where the next one begins. `None` when there are no more.
    pub(crate) fn rearm(
        &self,
        after: Option<&Rearmed>,
        relative_zxid: Zxid,
        max_bytes: usize,
    ) -> Option<(Request<'_>, Rearmed)> {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Included(&after.path));
        let mut watches = SetWatches {
            op: OpCode::SetWatches,
            relative_zxid,
            data: Vec::new(),
            exist: Vec::new(),
            child: Vec::new(),
            persistent: Vec::new(),
            persistent_recursive: Vec::new(),
        };
        let (mut bytes, mut last) = (0, None);
        'batch: for (path, watching) in self.by_path.range::<Arc<str>, _>((start, Bound::Unbounded))
        {
            let done = after.filter(|after| after.path == *path).map_or(0, |after| after.kinds);
            let lists = [
                (WatchKind::Data, &mut watches.data),
                (WatchKind::Exist, &mut watches.exist),
                (WatchKind::Children, &mut watches.child),
                (WatchKind::Persistent, &mut watches.persistent),
                (WatchKind::Recursive, &mut watches.persistent_recursive),
            ];
            for (index, (kind, list)) in lists.into_iter().enumerate().skip(done) {
                if !watching.iter().any(|one| one.kind == kind) {
                    continue;
                }
                bytes += path.len() + LENGTH_PREFIX;
                if bytes > max_bytes && last.is_some() {
                    break 'batch;
                }
                list.push((&**path).into());
                if !kind.is_one_time() {
                    watches.op = OpCode::SetWatches2;
                }
                last = Some((path, index + 1));
            }
        }
        let (path, kinds) = last?;
        Some((Request::SetWatches(watches), Rearmed { path: Arc::clone(path), kinds }))
    }
}

/// How far setting the watches again has got.
#[derive(Clone, Debug)]
pub(crate) struct Rearmed {
    /// The last path.
    path: Arc<str>,
    /// So many kinds of watches on it are done with, in the order of the request.
    kinds: usize,
}

const LENGTH_PREFIX: usize = 4;

/// Whether a notification of exactly its path concerns a watcher of this kind.
fn concerns(kind: WatchKind, event: EventType) -> bool {
    match event {
        EventType::NodeCreated | EventType::NodeDataChanged => kind != WatchKind::Children,
        EventType::NodeDeleted => true,
        EventType::NodeChildrenChanged => {
            matches!(kind, WatchKind::Children | WatchKind::Persistent)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watches(list: &[(WatchKind, &str)]) -> Watches<usize> {
        let mut watches = Watches::new();
        for (index, (kind, path)) in list.iter().enumerate() {
            let id = index as u64;
            let path = (*path).into();
            watches.add(Intent { kind: *kind, path, id, watcher: index, is_dropped: false });
        }
        watches
    }

    fn told(watches: &mut Watches<usize>, kind: EventType, path: &str) -> Vec<usize> {
        let mut told = Vec::new();
        watches.notify(kind, path, &mut told);
        told.into_iter().map(|(watcher, _)| watcher).collect()
    }

    #[test]
    fn notifications_find_their_watchers_and_only_once_those_who_asked_for_one() {
        let mut all = watches(&[
            (WatchKind::Data, "/a/b"),
            (WatchKind::Exist, "/a/b"),
            (WatchKind::Children, "/a/b"),
            (WatchKind::Persistent, "/a/b"),
            (WatchKind::Recursive, "/a/b"),
            (WatchKind::Recursive, "/"),
            (WatchKind::Persistent, "/a"),
            (WatchKind::Recursive, "/a/b/c"),
        ]);
        assert_eq!(told(&mut all, EventType::NodeChildrenChanged, "/a/b"), [2, 3]);
        assert_eq!(told(&mut all, EventType::NodeDataChanged, "/a/b"), [0, 1, 3, 4, 5]);
        assert_eq!(told(&mut all, EventType::NodeDeleted, "/a/b"), [3, 4, 5]);
        assert_eq!(told(&mut all, EventType::NodeCreated, "/a/x"), [5]);
        assert_eq!(told(&mut all, EventType::NodeDataChanged, "/a/b/c/d"), [7, 4, 5]);
    }

    #[test]
    fn the_last_watcher_of_a_kind_takes_the_servers_watch_with_it() {
        let mut all = watches(&[
            (WatchKind::Data, "/a"),
            (WatchKind::Exist, "/a"),
            (WatchKind::Persistent, "/a"),
        ]);
        assert_eq!(all.remove("/a", 0), None, "the other shares the server's watch");
        assert_eq!(all.remove("/a", 1), Some(WatchKind::Exist));
        assert_eq!(all.remove("/a", 1), None, "gone already");
        assert_eq!(all.remove("/a", 2), Some(WatchKind::Persistent));
        assert!(all.is_empty());
    }

    #[test]
    fn watches_are_set_again_in_batches() {
        let paths: Vec<String> = (0..100).map(|number| format!("/node-{number:03}")).collect();
        let list: Vec<_> = paths.iter().map(|path| (WatchKind::Data, path.as_str())).collect();
        let mut all = watches(&list);
        let (kind, path) = (WatchKind::Recursive, "/z".into());
        all.add(Intent { kind, path, id: 100, watcher: 100, is_dropped: false });
        let (mut after, mut seen, mut batches) = (None, Vec::new(), 0);
        while let Some((request, last)) = all.rearm(after.as_ref(), Zxid(7), 130) {
            let Request::SetWatches(watches) = &request else { panic!("{request:?}") };
            let persistent = !watches.persistent_recursive.is_empty();
            assert_eq!(watches.op == OpCode::SetWatches2, persistent);
            seen.extend(watches.data.iter().map(ToString::to_string));
            batches += 1;
            after = Some(last);
        }
        assert_eq!(seen, paths);
        assert_eq!(batches, 11);
    }
}
