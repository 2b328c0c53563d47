//! Tests of the watch table, by example and against a naive model.

use std::collections::BTreeSet;

use tenure_wire::EventType::{self, *};

use super::WatchKind::{self, *};
use super::table::{WatchCounts, WatchTable, WatcherType};
use crate::fuzz::Random;
use crate::input::ConnId;

type Told = Vec<(u64, EventType, String)>;

/// One of the three changes that watches can see.
#[derive(Clone, Copy, Debug)]
enum Change {
    Created,
    Deleted,
    DataChanged,
}

fn fire(table: &mut WatchTable, change: Change, path: &str) -> Told {
    let mut told = Told::new();
    let mut deliver = |conn: ConnId, event, path: &str| told.push((conn.0, event, path.into()));
    match change {
        Change::Created => table.created(path, &mut deliver),
        Change::Deleted => table.deleted(path, &mut deliver),
        Change::DataChanged => table.data_changed(path, &mut deliver),
    }
    told
}

fn told(events: &[(u64, EventType, &str)]) -> Told {
    events.iter().map(|(conn, event, path)| (*conn, *event, (*path).into())).collect()
}

fn table(watches: &[(u64, &str, WatchKind)]) -> WatchTable {
    let mut table = WatchTable::new(1);
    for (conn, path, kind) in watches {
        table.add(ConnId(*conn), path, *kind);
    }
    table
}

#[test]
fn one_time_watches_fire_once_and_leave_nothing() {
    let mut table = table(&[(2, "/a", Data), (1, "/a", Data), (1, "/a", Data), (3, "/", Child)]);
    assert_eq!(table.counts(), WatchCounts { conns: 2, paths: 1, data: 2, child: 1 });
    let first = fire(&mut table, Change::DataChanged, "/a");
    assert_eq!(first, told(&[(1, NodeDataChanged, "/a"), (2, NodeDataChanged, "/a")]));
    assert_eq!(fire(&mut table, Change::DataChanged, "/a"), []);
    let created = fire(&mut table, Change::Created, "/b");
    assert_eq!(created, told(&[(3, NodeChildrenChanged, "/")]));
    assert!(table.is_empty());
    assert_eq!(table.held(), (0, 0, 0));
    assert_eq!(table.counts(), WatchCounts::default());
}

#[test]
fn a_delete_is_told_once_then_the_parent_s_children() {
    let mut table = table(&[
        (1, "/p/c", Data),
        (1, "/p/c", Child),
        (2, "/p/c", Child),
        (1, "/p", Child),
        (4, "/p", Data),
    ]);
    assert_eq!(
        fire(&mut table, Change::Deleted, "/p/c"),
        told(
            &[(1, NodeDeleted, "/p/c"), (2, NodeDeleted, "/p/c"), (1, NodeChildrenChanged, "/p"),]
        )
    );
    // The child watch of connection 1 was used up although it heard of the delete otherwise.
    assert!(!table.contains(ConnId(1), "/p/c", WatcherType::Any));
    assert_eq!(table.held(), (1, 1, 1));
}

#[test]
fn persistent_watches_stay_and_see_children() {
    let mut table = table(&[(1, "/p", Persistent), (1, "/p", Data), (1, "/p", Child)]);
    for _ in 0..2 {
        let data = fire(&mut table, Change::DataChanged, "/p");
        assert_eq!(data, told(&[(1, NodeDataChanged, "/p")]));
        let child = fire(&mut table, Change::Created, "/p/c");
        assert_eq!(child, told(&[(1, NodeChildrenChanged, "/p")]));
        assert_eq!(fire(&mut table, Change::DataChanged, "/p/c"), []);
        let deleted = fire(&mut table, Change::Deleted, "/p");
        assert_eq!(deleted, told(&[(1, NodeDeleted, "/p")]));
    }
    assert!(table.remove(ConnId(1), "/p", WatcherType::Persistent));
    assert_eq!(table.held(), (0, 0, 0));
}

#[test]
fn recursive_watches_see_everything_below_but_no_children_events() {
    let mut table = table(&[
        (1, "/", PersistentRecursive),
        (1, "/a", PersistentRecursive),
        (2, "/a", PersistentRecursive),
        (1, "/a/b", Data),
    ]);
    let created = fire(&mut table, Change::Created, "/a/b");
    assert_eq!(created, told(&[(1, NodeCreated, "/a/b"), (2, NodeCreated, "/a/b")]));
    let deleted = fire(&mut table, Change::Deleted, "/ab");
    assert_eq!(deleted, told(&[(1, NodeDeleted, "/ab")]));
    let root = fire(&mut table, Change::DataChanged, "/");
    assert_eq!(root, told(&[(1, NodeDataChanged, "/")]));
    assert!(!table.remove(ConnId(2), "/a", WatcherType::Persistent));
    assert!(table.remove(ConnId(2), "/a", WatcherType::PersistentRecursive));
    table.drop_conn(ConnId(1));
    assert_eq!(table.held(), (0, 0, 0));
    assert!(!table.has_recursive());
}

#[test]
fn removal_is_by_type() {
    let mut table = table(&[(1, "/a", Data), (1, "/a", Child), (1, "/a", Persistent)]);
    assert!(!table.remove(ConnId(2), "/a", WatcherType::Any));
    assert!(!table.remove(ConnId(1), "/b", WatcherType::Any));
    assert!(table.remove(ConnId(1), "/a", WatcherType::Data));
    assert!(!table.contains(ConnId(1), "/a", WatcherType::Data));
    assert!(!table.remove(ConnId(1), "/a", WatcherType::Data));
    assert!(table.contains(ConnId(1), "/a", WatcherType::Children));
    assert!(table.contains(ConnId(1), "/a", WatcherType::Any));
    assert!(table.remove(ConnId(1), "/a", WatcherType::Any));
    assert_eq!(table.held(), (0, 0, 0));
    let known: Vec<_> = (0..=6).filter(|code| WatcherType::from_i32(*code).is_some()).collect();
    assert_eq!(known, [1, 2, 3, 4, 5]);
}

#[test]
fn listings_are_of_the_data_table_and_sorted() {
    let table = table(&[
        (9, "/b", Data),
        (9, "/a", PersistentRecursive),
        (9, "/a", Data),
        (2, "/b", Persistent),
        (2, "/a", Child),
        (7, "/a", Child),
    ]);
    assert_eq!(table.by_conn(), [(ConnId(2), vec!["/b"]), (ConnId(9), vec!["/a", "/b"])]);
    assert_eq!(table.by_path(), [("/a", vec![ConnId(9)]), ("/b", vec![ConnId(2), ConnId(9)])]);
    assert_eq!(table.counts(), WatchCounts { conns: 2, paths: 2, data: 3, child: 3 });
}

#[test]
fn many_watchers_and_many_watches_are_not_quadratic() {
    let started = std::time::Instant::now();
    let mut table = WatchTable::new(1);
    for conn in (0..100_000).rev() {
        table.add(ConnId(conn), "/shared", Data);
    }
    assert_eq!(fire(&mut table, Change::DataChanged, "/shared").len(), 100_000);
    assert!(table.is_empty());
    for conn in 0..100_000 {
        table.add(ConnId(conn), "/shared", Child);
    }
    for path in 0..100_000 {
        table.add(ConnId(5), &format!("/own/{path}"), Data);
    }
    for conn in 0..100_000 {
        table.drop_conn(ConnId(conn));
    }
    while table.has_leaving() {
        table.drop_slice();
    }
    assert_eq!(table.held(), (0, 0, 0));
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}

/// The watches as one plain set.
#[derive(Default)]
struct Model(BTreeSet<(u64, String, WatchKind)>);

impl Model {
    fn table(&self, kinds: &[WatchKind], path: &str) -> BTreeSet<u64> {
        let here = |watch: &&(u64, String, WatchKind)| watch.1 == path && kinds.contains(&watch.2);
        self.0.iter().filter(here).map(|(conn, ..)| *conn).collect()
    }

    fn fire(&mut self, change: Change, path: &str) -> Told {
        let event = match change {
            Change::Created => NodeCreated,
            Change::Deleted => NodeDeleted,
            Change::DataChanged => NodeDataChanged,
        };
        let mut data = self.table(&[Data, Persistent, PersistentRecursive], path);
        let mut above = String::from(path);
        while above != "/" {
            above.truncate(above.rfind('/').unwrap().max(1));
            data.extend(self.table(&[PersistentRecursive], &above));
        }
        self.0.retain(|(_, at, kind)| !(at == path && *kind == Data));
        let mut told: Told = data.iter().map(|conn| (*conn, event, path.into())).collect();
        if let Change::Deleted = change {
            let child = self.table(&[Child, Persistent], path);
            self.0.retain(|(_, at, kind)| !(at == path && *kind == Child));
            told.extend(child.difference(&data).map(|conn| (*conn, event, path.into())));
        }
        if !matches!(change, Change::DataChanged) && path != "/" {
            let parent = &path[..path.rfind('/').unwrap().max(1)];
            let child = self.table(&[Child, Persistent], parent);
            self.0.retain(|(_, at, kind)| !(at == parent && *kind == Child));
            told.extend(child.iter().map(|conn| (*conn, NodeChildrenChanged, parent.into())));
        }
        told
    }

    fn pairs(&self, kinds: &[WatchKind]) -> BTreeSet<(u64, &str)> {
        let watches = self.0.iter().filter(|(_, _, kind)| kinds.contains(kind));
        watches.map(|(conn, path, _)| (*conn, path.as_str())).collect()
    }

    fn counts(&self) -> WatchCounts {
        let data = self.pairs(&[Data, Persistent, PersistentRecursive]);
        WatchCounts {
            conns: data.iter().map(|(conn, _)| conn).collect::<BTreeSet<_>>().len(),
            paths: data.iter().map(|(_, path)| path).collect::<BTreeSet<_>>().len(),
            data: data.len(),
            child: self.pairs(&[Child, Persistent]).len(),
        }
    }
}

const TYPES: [WatcherType; 5] = [
    WatcherType::Children,
    WatcherType::Data,
    WatcherType::Any,
    WatcherType::Persistent,
    WatcherType::PersistentRecursive,
];

fn compare(seed: u64, operations: usize) {
    let mut random = Random::new(seed);
    let (mut table, mut model) = (WatchTable::new(seed), Model::default());
    let paths = ["/", "/a", "/b", "/a/a", "/a/b", "/ab", "/a/a/a", "/a/a/b"];
    let changes = [Change::Created, Change::Deleted, Change::DataChanged];
    for step in 0..operations {
        let (conn, path) = (random.below(5) as u64, paths[random.below(paths.len())]);
        let context = || format!("seed {seed} step {step} conn {conn} path {path}");
        let which = TYPES[random.below(5)];
        let kinds = which.kinds();
        let mine = |(watcher, at, kind): &(u64, String, WatchKind)| {
            *watcher == conn && at == path && kinds.contains(kind)
        };
        let expected = model.0.iter().any(mine);
        match random.below(16) {
            0..=8 => {
                let kind = WatchKind::ALL[random.below(4)];
                table.add(ConnId(conn), path, kind);
                model.0.insert((conn, path.into(), kind));
            }
            9 => {
                assert_eq!(table.remove(ConnId(conn), path, which), expected, "{}", context());
                model.0.retain(|watch| !mine(watch));
            }
            10 => assert_eq!(table.contains(ConnId(conn), path, which), expected, "{}", context()),
            11 => {
                table.drop_conn(ConnId(conn));
                model.0.retain(|(watcher, ..)| *watcher != conn);
            }
            _ => {
                let change = changes[random.below(3)];
                let events = fire(&mut table, change, path);
                assert_eq!(events, model.fire(change, path), "{} {change:?}", context());
            }
        }
        if step % 8 != 0 {
            continue;
        }
        assert_eq!(table.counts(), model.counts(), "{}", context());
        let paths: BTreeSet<_> = model.0.iter().map(|(_, path, _)| path).collect();
        let conns: BTreeSet<_> = model.0.iter().map(|(conn, ..)| conn).collect();
        assert_eq!(table.held(), (paths.len(), paths.len(), conns.len()), "{}", context());
    }
    let listed: Vec<_> = table
        .by_conn()
        .into_iter()
        .flat_map(|(conn, paths)| paths.into_iter().map(move |path| (conn.0, path)))
        .collect();
    let pairs = model.pairs(&[Data, Persistent, PersistentRecursive]);
    assert_eq!(listed, pairs.into_iter().collect::<Vec<_>>(), "seed {seed}");
}

#[test]
fn seeded_operations_agree_with_the_naive_model() {
    for seed in 0..20 {
        compare(seed, 12_000);
    }
}

#[test]
fn the_watches_of_a_gone_connection_go_in_slices_and_fire_for_nobody() {
    let mut table = WatchTable::new(1);
    let paths: Vec<String> = (0..10_000).map(|number| format!("/n{number}")).collect();
    for path in &paths {
        table.add(ConnId(1), path, WatchKind::Data);
        table.add(ConnId(1), path, WatchKind::Child);
    }
    table.add(ConnId(2), "/n1", WatchKind::Data);
    table.drop_conn(ConnId(1));
    assert!(table.has_leaving());
    let mut told = Vec::new();
    for path in paths.iter().take(5_000) {
        table.deleted(path, &mut |conn, _, _| told.push(conn));
    }
    assert_eq!(told.iter().filter(|conn| **conn == ConnId(2)).count(), 1);
    // Slots that became free are used again meanwhile.
    table.add(ConnId(3), "/other", WatchKind::Persistent);
    let mut slices = 0;
    while table.has_leaving() {
        table.drop_slice();
        slices += 1;
    }
    assert!((2..=6).contains(&slices), "{slices}");
    let counts = table.counts();
    assert_eq!((counts.conns, counts.paths, counts.data, counts.child), (1, 1, 1, 1));
    assert_eq!(table.held(), (1, 1, 1));
    table.data_changed("/other", &mut |conn, _, _| assert_eq!(conn, ConnId(3)));
}
