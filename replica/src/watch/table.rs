//! All watches of this server, findable by path and by connection.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

use crate::input::ConnId;
use crate::limits::WATCH_SLICE;
use crate::watch::watchers::Watchers;
use crate::watch::{CHILD_TABLE, DATA_TABLE, WatchKind};

/// The watches of all connections. An empty table costs each change one branch.
#[derive(Debug)]
pub(crate) struct WatchTable {
    /// Each watched path once. A slot whose watchers are all gone is free.
    paths: Vec<WatchedPath>,
    free: Vec<PathSlot>,
    /// Buckets hold (hash, slot), so that growing the table reads no paths.
    index: HashTable<(u32, PathSlot)>,
    conns: HashMap<ConnId, ConnWatches, FixedState>,
    /// Connections that are gone, whose watches are still being removed.
    leaving: VecDeque<ConnId>,
    seed: FixedState,
    totals: Totals,
    /// Kept between changes so that a notification allocates nothing.
    pub(super) notified: Vec<ConnId>,
}

/// How much is being watched. A connection with several watches on a path counts once there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// Connections with anything in the data table.
    pub conns: usize,
    /// Paths with anything in the data table.
    pub paths: usize,
    /// Pairs of connection and path in the data table: what `wchs` prints.
    pub data: usize,
    /// Pairs of connection and path in the child table; with `data` what `mntr` prints.
    pub child: usize,
}

/// Which watches `checkWatches` and `removeWatches` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatcherType {
    /// Child watches.
    Children,
    /// Data and exists watches.
    Data,
    /// Watches of every kind.
    Any,
    /// Persistent watches.
    Persistent,
    /// Persistent recursive watches.
    PersistentRecursive,
}

impl WatcherType {
    /// The type of this code, if there is one.
    pub(crate) const fn from_i32(code: i32) -> Option<Self> {
        Some(match code {
            1 => WatcherType::Children,
            2 => WatcherType::Data,
            3 => WatcherType::Any,
            4 => WatcherType::Persistent,
            5 => WatcherType::PersistentRecursive,
            _ => return None,
        })
    }

    /// The kinds of watches it means.
    pub(crate) const fn kinds(self) -> &'static [WatchKind] {
        match self {
            WatcherType::Children => &[WatchKind::Child],
            WatcherType::Data => &[WatchKind::Data],
            WatcherType::Any => &WatchKind::ALL,
            WatcherType::Persistent => &[WatchKind::Persistent],
            WatcherType::PersistentRecursive => &[WatchKind::PersistentRecursive],
        }
    }
}

#[derive(Debug, Default)]
struct Totals {
    counts: WatchCounts,
    recursive: usize,
}

#[derive(Debug, Default)]
struct WatchedPath {
    path: Box<str>,
    watchers: Watchers,
    /// Connections that watch it in the data table.
    data: u32,
}

/// The paths that one connection watches.
#[derive(Debug, Default)]
struct ConnWatches {
    /// A path's slot above, the set of its kinds in the low four bits: four bytes a path.
    paths: HashTable<u32>,
    /// Paths that it watches in the data table.
    data: u32,
}

/// Place of a path in the table; reused once nobody watches the path.
type PathSlot = u32;

const KIND_BITS: u32 = 4;
const KINDS: u32 = (1 << KIND_BITS) - 1;

impl WatchTable {
    /// An empty table. The seed makes colliding paths hard to prepare; the order inside the
    /// tables never shows.
    pub(crate) fn new(seed: u64) -> Self {
        let seed = FixedState::with_seed(seed);
        WatchTable {
            paths: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            conns: HashMap::with_hasher(seed.clone()),
            leaving: VecDeque::new(),
            seed,
            totals: Totals::default(),
            notified: Vec::new(),
        }
    }

    /// True if nobody watches anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// True if any watch reaches below its own path.
    pub(super) fn has_recursive(&self) -> bool {
        self.totals.recursive > 0
    }

    /// What is being watched, in numbers.
    pub(crate) fn counts(&self) -> WatchCounts {
        self.totals.counts
    }

    /// How many paths a connection watches.
    pub(crate) fn paths_of(&self, conn: ConnId) -> usize {
        self.conns.get(&conn).map_or(0, |watches| watches.paths.len())
    }

    /// Whether a connection watches a path in any way.
    pub(crate) fn has_path(&self, conn: ConnId, path: &str) -> bool {
        let watches = self.conns.get(&conn);
        watches.zip(self.find(path)).is_some_and(|(watches, slot)| watches.kinds(slot) != 0)
    }

    /// Sets a watch. One that is already set stays as it is.
    pub(crate) fn add(&mut self, conn: ConnId, path: &str, kind: WatchKind) {
        let slot = match self.find(path) {
            Some(slot) => slot,
            None => self.occupy(path),
        };
        let watches = self.conns.entry(conn).or_default();
        let before = watches.kinds(slot);
        if before & kind.bit() != 0 {
            return;
        }
        watches.set_kinds(slot, before | kind.bit());
        let watched = &mut self.paths[slot as usize];
        watched.watchers.insert(kind, conn);
        self.totals.change(watched, watches, before, before | kind.bit());
    }

    /// Removes the watches that `which` means. False if there were none.
    pub(crate) fn remove(&mut self, conn: ConnId, path: &str, which: WatcherType) -> bool {
        let Some(slot) = self.find(path) else { return false };
        let mut removed = false;
        for kind in which.kinds() {
            if self.forget(conn, slot, *kind) {
                self.paths[slot as usize].watchers.remove(*kind, conn);
                removed = true;
            }
        }
        self.vacate_if_empty(slot);
        removed
    }

    /// True if the connection has any of the watches that `which` means.
    pub(crate) fn contains(&self, conn: ConnId, path: &str, which: WatcherType) -> bool {
        let Some(slot) = self.find(path) else { return false };
        let kinds = self.conns.get(&conn).map_or(0, |watches| watches.kinds(slot));
        which.kinds().iter().any(|kind| kinds & kind.bit() != 0)
    }

    /// Removes all watches of a connection that is gone: a few at once, many in slices.
    pub(crate) fn drop_conn(&mut self, conn: ConnId) {
        if self.conns.contains_key(&conn) {
            self.leaving.push_back(conn);
            self.drop_slice();
        }
    }

    /// Whether watches of connections that are gone are still to be removed. They may fire
    /// meanwhile; nobody is told.
    pub(crate) fn has_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Removes the next slice of them.
    pub(crate) fn drop_slice(&mut self) {
        let Some(conn) = self.leaving.front().copied() else { return };
        let entries = self.conns.get(&conn).map(|watches| watches.paths.iter());
        let slice: Vec<u32> = entries.into_iter().flatten().take(WATCH_SLICE).copied().collect();
        for entry in slice {
            let (slot, kinds) = (entry >> KIND_BITS, entry & KINDS);
            for kind in WatchKind::ALL {
                if kinds & kind.bit() != 0 && self.forget(conn, slot, kind) {
                    self.paths[slot as usize].watchers.remove(kind, conn);
                }
            }
            self.vacate_if_empty(slot);
        }
        // The last one takes the connection along.
        if !self.conns.contains_key(&conn) {
            self.leaving.pop_front();
        }
    }

    /// The data table by connection: each with its paths, everything sorted.
    pub(crate) fn by_conn(&self) -> Vec<(ConnId, Vec<&str>)> {
        let mut all: Vec<_> = self
            .conns
            .iter()
            .filter(|(_, watches)| watches.data > 0)
            .map(|(conn, watches)| {
                let watched = watches.paths.iter().filter(|entry| *entry & DATA_TABLE != 0);
                let mut paths: Vec<&str> =
                    watched.map(|entry| &*self.paths[(entry >> KIND_BITS) as usize].path).collect();
                paths.sort_unstable();
                (*conn, paths)
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// What one connection watches, in order.
    pub(crate) fn of_conn(&self, conn: ConnId) -> Vec<(WatchKind, &str)> {
        let Some(watches) = self.conns.get(&conn) else { return Vec::new() };
        let mut all: Vec<_> = watches
            .paths
            .iter()
            .flat_map(|entry| {
                let path = &*self.paths[(entry >> KIND_BITS) as usize].path;
                let set = WatchKind::ALL.into_iter().filter(move |kind| entry & kind.bit() != 0);
                set.map(move |kind| (kind, path))
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// The data table by path: each with its connections, everything sorted.
    pub(crate) fn by_path(&self) -> Vec<(&str, Vec<ConnId>)> {
        let mut all: Vec<_> = self
            .paths
            .iter()
            .filter(|watched| watched.data > 0)
            .map(|watched| {
                let data_table = WatchKind::Persistent..=WatchKind::PersistentRecursive;
                let mut conns: Vec<_> =
                    watched.watchers.of(data_table).map(|(_, conn)| conn).collect();
                conns.sort_unstable();
                conns.dedup();
                (&*watched.path, conns)
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// The slot of a path that somebody watches.
    pub(super) fn find(&self, path: &str) -> Option<PathSlot> {
        let hash = self.hash(path);
        self.index
            .find(spread(hash), |(other, slot)| {
                *other == hash && *self.paths[*slot as usize].path == *path
            })
            .map(|(_, slot)| *slot)
    }

    /// Who watches the path in this slot.
    pub(super) fn watchers(&self, slot: PathSlot) -> &Watchers {
        &self.paths[slot as usize].watchers
    }

    /// Removes all watches of a one-time kind at a path: they have fired.
    pub(super) fn consume(&mut self, slot: PathSlot, kind: WatchKind) {
        let mut watchers = std::mem::take(&mut self.paths[slot as usize].watchers);
        for (_, conn) in watchers.of(kind..=kind) {
            self.forget(conn, slot, kind);
        }
        watchers.clear(kind);
        self.paths[slot as usize].watchers = watchers;
        self.vacate_if_empty(slot);
    }

    /// Takes a watch off its connection, and counts that. The path's own list is the caller's.
    fn forget(&mut self, conn: ConnId, slot: PathSlot, kind: WatchKind) -> bool {
        let Some(watches) = self.conns.get_mut(&conn) else { return false };
        let before = watches.kinds(slot);
        if before & kind.bit() == 0 {
            return false;
        }
        watches.set_kinds(slot, before & !kind.bit());
        self.totals.change(&mut self.paths[slot as usize], watches, before, before & !kind.bit());
        if watches.paths.is_empty() {
            self.conns.remove(&conn);
        }
        true
    }

    fn occupy(&mut self, path: &str) -> PathSlot {
        let watched = WatchedPath { path: path.into(), ..WatchedPath::default() };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.paths[slot as usize] = watched;
                slot
            }
            None => {
                self.paths.push(watched);
                let slot = PathSlot::try_from(self.paths.len() - 1).unwrap_or(PathSlot::MAX);
                assert!(slot <= PathSlot::MAX >> KIND_BITS, "memory ends before 2^28 paths");
                slot
            }
        };
        let hash = self.hash(path);
        self.index.insert_unique(spread(hash), (hash, slot), |(hash, _)| spread(*hash));
        slot
    }

    fn vacate_if_empty(&mut self, slot: PathSlot) {
        if !self.paths[slot as usize].watchers.is_empty() {
            return;
        }
        let watched = std::mem::take(&mut self.paths[slot as usize]);
        let hash = self.hash(&watched.path);
        if let Ok(entry) = self.index.find_entry(spread(hash), |(_, other)| *other == slot) {
            entry.remove();
        }
        self.free.push(slot);
    }

    fn hash(&self, path: &str) -> u32 {
        self.seed.hash_one(path) as u32
    }

    /// Paths held in memory, for the tests that look for leaks.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize, usize) {
        (self.paths.len() - self.free.len(), self.index.len(), self.conns.len())
    }
}

impl ConnWatches {
    /// The set of kinds at a path.
    fn kinds(&self, slot: PathSlot) -> u32 {
        let found = self.paths.find(spread(slot), |entry| entry >> KIND_BITS == slot);
        found.map_or(0, |entry| entry & KINDS)
    }

    fn set_kinds(&mut self, slot: PathSlot, kinds: u32) {
        let found = self.paths.find_entry(spread(slot), |entry| entry >> KIND_BITS == slot);
        let entry = slot << KIND_BITS | kinds;
        match found {
            Ok(mut found) if kinds != 0 => *found.get_mut() = entry,
            Ok(found) => _ = found.remove(),
            Err(_) => {
                let hash = |entry: &u32| spread(entry >> KIND_BITS);
                self.paths.insert_unique(spread(slot), entry, hash);
            }
        }
    }
}

impl Totals {
    /// Counts that one connection's kinds at one path change from `before` to `after`.
    fn change(
        &mut self,
        watched: &mut WatchedPath,
        watches: &mut ConnWatches,
        before: u32,
        after: u32,
    ) {
        let step = |bits: u32| isize::from(after & bits != 0) - isize::from(before & bits != 0);
        let counts = &mut self.counts;
        match step(DATA_TABLE) {
            1 => {
                counts.data += 1;
                counts.paths += usize::from(watched.data == 0);
                counts.conns += usize::from(watches.data == 0);
                watched.data += 1;
                watches.data += 1;
            }
            -1 => {
                counts.data -= 1;
                watched.data -= 1;
                watches.data -= 1;
                counts.paths -= usize::from(watched.data == 0);
                counts.conns -= usize::from(watches.data == 0);
            }
            _ => {}
        }
        counts.child = counts.child.wrapping_add_signed(step(CHILD_TABLE));
        let recursive = step(WatchKind::PersistentRecursive.bit());
        self.recursive = self.recursive.wrapping_add_signed(recursive);
    }
}

/// A table wants all 64 bits of a hash; we have 32.
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
