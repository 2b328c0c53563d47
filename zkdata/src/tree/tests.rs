//! Transactions on a tree, those included that a snapshot holds already.

use super::*;

fn header(session: i64, zxid: i64) -> TxnHeader {
    TxnHeader { session, cxid: 0, zxid, time_ms: 1000 + zxid, kind: 0 }
}

fn create(path: &str, kind: Kind, parent_cversion: i32) -> Txn {
    let (path, data) = (path.to_owned(), Some(b"x".to_vec()));
    Txn::One(Change::Create(NewZnode { path, data, acl: vec![Acl::OPEN], kind, parent_cversion }))
}

fn delete(path: &str) -> Txn {
    Txn::One(Change::Delete { path: path.to_owned() })
}

/// Applies and says what did not fit.
fn applied(tree: &mut Tree, zxid: i64, txn: Txn) -> Vec<MisfitKind> {
    let mut misfits = Vec::new();
    tree.apply(&header(9, zxid), txn, &mut misfits);
    misfits.into_iter().map(|misfit| misfit.kind).collect()
}

#[test]
fn changes_leave_the_stats_that_a_server_has() {
    let mut tree = Tree::fresh();
    assert_eq!(applied(&mut tree, 1, create("/a", Kind::Persistent, 1)), []);
    assert_eq!(applied(&mut tree, 2, create("/a/b", Kind::Container, -1)), []);
    let set = Change::SetData { path: "/a".into(), data: None, version: 1 };
    let acl = Change::SetAcl { path: "/a".into(), acl: Vec::new(), version: 1 };
    assert_eq!(applied(&mut tree, 3, Txn::Multi(vec![set, acl, Change::Nothing])), []);
    assert_eq!(applied(&mut tree, 4, delete("/a/b")), []);
    let znode = &tree.znodes["/a"];
    let expected = StoredStat {
        czxid: 1,
        mzxid: 3,
        pzxid: 4,
        ctime: 1001,
        mtime: 1003,
        version: 1,
        cversion: 1,
        aversion: 1,
        owner: 0,
    };
    assert_eq!((znode.stat, &znode.data, &*znode.acl), (expected, &None, &Vec::new()));
}

#[test]
fn what_a_fuzzy_snapshot_holds_already_is_not_done_twice() {
    let mut tree = Tree::fresh();
    applied(&mut tree, 5, create("/a", Kind::Persistent, 3));
    // An older change than the parent has seen.
    assert_eq!(applied(&mut tree, 4, create("/a", Kind::Persistent, 2)), [MisfitKind::NodeExists]);
    assert_eq!((tree.znodes[""].stat.cversion, tree.znodes[""].stat.pzxid), (3, 5));
    assert_eq!(tree.znodes["/a"].stat.czxid, 5);
    // A newer one: only the parent is from before.
    assert_eq!(applied(&mut tree, 6, create("/a", Kind::Persistent, 4)), [MisfitKind::NodeExists]);
    assert_eq!((tree.znodes[""].stat.cversion, tree.znodes[""].stat.pzxid), (4, 6));
    assert_eq!(applied(&mut tree, 7, delete("/b")), [MisfitKind::NoNode]);
    assert_eq!(tree.znodes[""].stat.pzxid, 7);
    assert_eq!(applied(&mut tree, 8, delete("/b/c")), [MisfitKind::NoParent]);
    let set = Change::SetData { path: "/b".into(), data: None, version: 1 };
    assert_eq!(applied(&mut tree, 9, Txn::One(set)), [MisfitKind::NoNode]);
}

#[test]
fn a_sessions_end_takes_its_ephemerals_listed_or_not() {
    for listed in [vec![], vec!["/e".to_owned(), "/gone".to_owned()]] {
        let mut tree = Tree::fresh();
        applied(&mut tree, 1, Txn::CreateSession { timeout_ms: 4000 });
        let session = Session { timeout_ms: 4000, opened_ms: Some(1001) };
        assert_eq!(tree.sessions[&9], session);
        applied(&mut tree, 2, create("/e", Kind::Ephemeral(9), 1));
        applied(&mut tree, 3, create("/f", Kind::Ephemeral(9), 2));
        applied(&mut tree, 4, create("/other", Kind::Ephemeral(8), 3));
        applied(&mut tree, 5, Txn::CloseSession { paths: listed });
        assert!(tree.sessions.is_empty());
        let left: Vec<_> = tree.znodes.keys().map(String::as_str).collect();
        assert_eq!(left, ["", "/other", "/zookeeper", "/zookeeper/quota"]);
        assert_eq!(tree.znodes[""].stat.pzxid, 5);
        assert_eq!(tree.drop_orphans(), [(8, "/other".to_owned())]);
        assert_eq!(tree.znodes.len(), 3);
    }
}
