//! States that are put together, written and read again.

use tenure_wire::Perms;

use super::*;
use crate::snapshot::Restorer;

const OWNER: SessionId = SessionId(0x0200_0000_0000_0007);

fn node(path: &str, kind: NodeKind) -> FoundNode<'_> {
    FoundNode {
        path,
        data: Some(b"data"),
        acl: &[Acl::OPEN],
        kind,
        zxids: [Zxid(3), Zxid(4), Zxid(5)],
        times_ms: [30, 40],
        versions: [1, 2],
        created_children: 9,
    }
}

fn state() -> State {
    let mut founder = Founder::new(1);
    assert!(founder.session(OWNER, 4000, [7; PASSWORD_LEN], 10));
    assert!(!founder.session(OWNER, 5000, [8; PASSWORD_LEN], 11), "it is there already");
    for (path, kind) in [
        ("/", NodeKind::Persistent),
        ("/a", NodeKind::Container),
        ("/a/e", NodeKind::Ephemeral(OWNER)),
        ("/a/t", NodeKind::Ttl(60)),
    ] {
        founder.znode(&node(path, kind)).expect("it fits");
    }
    founder.finish(Zxid::new(5, 77), 3)
}

fn restored(state: &mut State) -> State {
    let mut restorer = Restorer::new(2);
    let taken = state.write_chunks(|chunk| restorer.chunk(chunk));
    taken.expect("what is written is read");
    restorer.finish().expect("it is whole")
}

#[test]
fn what_is_added_is_there_with_its_own_stat() {
    let mut made = state();
    for state in [restored(&mut made), made] {
        let tree = &state.tree;
        let stat = tree.at(tree.find("/a").expect("added")).stat();
        assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), (Zxid(3), Zxid(4), Zxid(5)));
        assert_eq!((stat.ctime, stat.mtime, stat.version, stat.aversion), (30, 40, 1, 2));
        assert_eq!((stat.num_children, stat.cversion), (2, 2 * 9 - 2));
        assert_eq!((tree.totals.ephemerals, tree.totals.ttls.len()), (1, 1));
        let session = state.sessions.get(OWNER).expect("added");
        assert_eq!((session.timeout_ms, session.ephemeral_count()), (4000, 1));
        assert!(session.has_password(Some(&[7; PASSWORD_LEN])));
    }
}

#[test]
fn missing_built_in_znodes_are_those_of_a_new_server() {
    let state = state();
    let fresh = State::new(0);
    for path in ["/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
        let stat = |state: &State| state.tree.at(state.tree.find(path).expect(path)).stat();
        assert_eq!(stat(&state), stat(&fresh), "{path}");
        let acl = |state: &State| {
            let node = state.tree.at(state.tree.find(path).expect(path));
            state.tree.acls.get(node.acl).to_vec()
        };
        assert_eq!(acl(&state), acl(&fresh), "{path}");
    }
}

#[test]
fn equal_states_found_the_same_ensemble_and_others_another() {
    let (one, equal) = (state(), state());
    assert!(one.cluster() != 0 && one.cluster() == equal.cluster());
    let other = Founder::new(1).finish(Zxid::new(5, 77), 3);
    assert_ne!(other.cluster(), one.cluster());
    // Founded again from what it was founded from, it is the same.
    let mut again = restored(&mut state());
    again.begin_history(3);
    assert_eq!(again.cluster(), one.cluster());
    let mut later = restored(&mut state());
    later.begin_history(9);
    assert_ne!(later.cluster(), one.cluster());
}

#[test]
fn history_goes_on_above_everything_that_was() {
    let mut state = state();
    let first = state.next_zxid(2);
    assert!(first > Zxid::new(5, 77) && first.epoch() > 5, "{first}");
    assert!(state.next_session(1, 0).0 & ((1 << 56) - 1) > 7);
    // An epoch that was promised counts, although nothing was changed in it.
    let mut ahead = Founder::new(0).finish(Zxid(5), 40);
    assert!(ahead.next_zxid(2).epoch() > 40);
    let meta = state.snapshot_meta();
    assert_eq!((meta.index, meta.term, meta.zxid), (1, 1, Zxid::new(5, 77)));
}

#[test]
fn quotas_are_found_and_their_use_is_counted() {
    let mut founder = Founder::new(0);
    for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/quota/q", "/q", "/q/x"] {
        founder.znode(&node(path, NodeKind::Persistent)).expect("it fits");
    }
    let limits = FoundNode {
        data: Some(b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2"),
        ..node("/zookeeper/quota/q/zookeeper_limits", NodeKind::Persistent)
    };
    founder.znode(&limits).expect("it fits");
    let stats = node("/zookeeper/quota/q/zookeeper_stats", NodeKind::Persistent);
    founder.znode(&stats).expect("it fits");
    let state = founder.finish(Zxid(9), 0);
    assert!(state.quotas.exceeds_hard("/q/y", 1, 0));
    let shown = state.tree.at(state.tree.find(stats.path).expect("added"));
    assert_eq!(shown.data(), Some(&b"count=2,bytes=8"[..]));
}

#[test]
fn what_fits_nowhere_is_refused() {
    let mut founder = Founder::new(0);
    let refused = |founder: &mut Founder, path: &'static str, kind| {
        founder.znode(&node(path, kind)).expect_err("it does not fit")
    };
    let plain = NodeKind::Persistent;
    assert_eq!(refused(&mut founder, "/a", plain), FoundingError::NoParent);
    founder.znode(&node("/", plain)).expect("it is the first");
    assert_eq!(refused(&mut founder, "/", plain), FoundingError::Twice);
    assert_eq!(refused(&mut founder, "a", plain), FoundingError::Path);
    assert_eq!(refused(&mut founder, "/a/", plain), FoundingError::NoParent);
    founder.znode(&node("/a", plain)).expect("it fits");
    assert_eq!(refused(&mut founder, "/a", plain), FoundingError::Twice);
    assert_eq!(refused(&mut founder, "/a/", plain), FoundingError::Path);
    assert_eq!(refused(&mut founder, "/b/c", plain), FoundingError::NoParent);
    let orphan = NodeKind::Ephemeral(SessionId(5));
    assert_eq!(refused(&mut founder, "/e", orphan), FoundingError::NoSession);
}

#[test]
fn lists_that_differ_stay_apart() {
    let mut founder = Founder::new(0);
    founder.znode(&node("/", NodeKind::Persistent)).expect("it fits");
    let acl = [Acl { perms: Perms::READ, scheme: "digest".into(), id: "u:h".into() }];
    founder.znode(&FoundNode { acl: &acl, ..node("/a", NodeKind::Persistent) }).expect("it fits");
    let mut made = founder.finish(Zxid(9), 0);
    for state in [restored(&mut made), made] {
        let node = state.tree.at(state.tree.find("/a").expect("added"));
        assert_eq!(state.tree.acl(node), acl);
    }
}
