//! Watches through real sockets: what arms them, what fires, in which order, with which zxid.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;

use support::client::{
    CHILDREN_CHANGED, CREATED, DATA_CHANGED, DELETED, Event, Handshake, SET_WATCHES_XID,
};
use support::ops::{ADMIN, ALL, Acl, EPHEMERAL, READ};
use support::record::Body;
use support::{Client, Frame, Op, Server, code};

const PERSISTENT: i32 = 0;
const RECURSIVE: i32 = 1;

/// Kinds of watch in checkWatches and removeWatches.
const CHILDREN: i32 = 1;
const DATA: i32 = 2;
const ANY: i32 = 3;
const ONLY_PERSISTENT: i32 = 4;
const ONLY_RECURSIVE: i32 = 5;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// A client that changes things and one that watches.
fn pair() -> (Client, Client) {
    (SERVER.connect(), SERVER.connect())
}

/// The notifications due up to now, without their zxids.
fn events(client: &mut Client) -> Vec<(i32, String)> {
    client.ping();
    client.events.drain(..).map(|event| (event.kind, event.path)).collect()
}

fn event(kind: i32, path: &str) -> (i32, String) {
    (kind, path.to_owned())
}

#[test]
fn a_data_watch_fires_once_with_the_zxid_of_the_change() {
    let (mut client, mut watcher) = pair();
    client.create("/data", b"").unwrap();
    watcher.data(&Op::get_data("/data", true)).unwrap();
    client.set_acl("/data", &support::ops::open()).unwrap();
    client.create("/data/child", b"").unwrap();
    watcher.expect_no_event();
    let stat = client.set("/data", b"1").unwrap();
    let expected = Event { zxid: stat.mzxid, kind: DATA_CHANGED, state: 3, path: "/data".into() };
    assert_eq!(watcher.event(), expected);
    client.set("/data", b"2").unwrap();
    watcher.expect_no_event();
}

#[test]
fn arming_the_same_watch_twice_arms_one() {
    let (mut client, mut watcher) = pair();
    client.create("/twice", b"").unwrap();
    for op in [Op::get_data("/twice", true), Op::exists("/twice", true)] {
        watcher.run(&op).unwrap();
        watcher.run(&op).unwrap();
    }
    client.set("/twice", b"").unwrap();
    assert_eq!(events(&mut watcher), [event(DATA_CHANGED, "/twice")]);
}

#[test]
fn exists_arms_a_watch_on_what_is_missing_and_the_other_reads_do_not() {
    let (mut client, mut watcher) = pair();
    for op in [
        Op::get_data("/missing", true),
        Op::get_children("/missing", true),
        Op::get_children2("/missing", true),
    ] {
        assert_eq!(watcher.call(&op).err, code::NO_NODE);
    }
    client.create("/missing", b"").unwrap();
    client.delete("/missing").unwrap();
    watcher.expect_no_event();
    assert_eq!(watcher.call(&Op::exists("/missing", true)).err, code::NO_NODE);
    client.create("/missing", b"").unwrap();
    let zxid = client.last_zxid;
    assert_eq!(watcher.expect_event(CREATED, "/missing"), zxid);
    client.delete("/missing").unwrap();
    watcher.expect_no_event();
}

#[test]
fn a_child_watch_fires_for_children_coming_and_going_and_for_the_znode_itself() {
    let (mut client, mut watcher) = pair();
    client.create("/kids", b"").unwrap();
    for op in [Op::get_children("/kids", true), Op::get_children2("/kids", true)] {
        watcher.run(&op).unwrap();
        client.set("/kids", b"data").unwrap();
        watcher.expect_no_event();
        client.create("/kids/a", b"").unwrap();
        assert_eq!(events(&mut watcher), [event(CHILDREN_CHANGED, "/kids")]);
        watcher.run(&op).unwrap();
        client.set("/kids/a", b"data").unwrap();
        client.create("/kids/a/below", b"").unwrap();
        client.delete("/kids/a/below").unwrap();
        watcher.expect_no_event();
        client.delete("/kids/a").unwrap();
        assert_eq!(events(&mut watcher), [event(CHILDREN_CHANGED, "/kids")]);
    }
    watcher.run(&Op::get_children("/kids", true)).unwrap();
    client.delete("/kids").unwrap();
    assert_eq!(events(&mut watcher), [event(DELETED, "/kids")]);
}

#[test]
fn a_deletion_is_told_once_and_then_to_the_parents_watch() {
    let (mut client, mut watcher) = pair();
    client.create("/gone", b"").unwrap();
    client.create("/gone/x", b"").unwrap();
    watcher.run(&Op::get_data("/gone/x", true)).unwrap();
    watcher.run(&Op::exists("/gone/x", true)).unwrap();
    watcher.run(&Op::get_children("/gone/x", true)).unwrap();
    watcher.run(&Op::get_children("/gone", true)).unwrap();
    client.delete("/gone/x").unwrap();
    let zxid = client.last_zxid;
    assert_eq!(watcher.expect_event(DELETED, "/gone/x"), zxid);
    assert_eq!(watcher.expect_event(CHILDREN_CHANGED, "/gone"), zxid);
    watcher.expect_no_event();
    // Nothing of it is left behind.
    client.create("/gone/x", b"").unwrap();
    client.delete("/gone/x").unwrap();
    watcher.expect_no_event();
}

#[test]
fn a_persistent_watch_stays_and_tells_of_its_znode_and_its_children() {
    let (mut client, mut watcher) = pair();
    watcher.add_watch("/persistent", PERSISTENT).unwrap();
    for _ in 0..2 {
        client.create("/persistent", b"").unwrap();
        client.create("/persistent/a", b"").unwrap();
        client.set("/persistent/a", b"").unwrap();
        client.set("/persistent", b"").unwrap();
        client.create("/persistent/a/b", b"").unwrap();
        client.delete("/persistent/a/b").unwrap();
        client.delete("/persistent/a").unwrap();
        client.delete("/persistent").unwrap();
        let expected = [
            event(CREATED, "/persistent"),
            event(CHILDREN_CHANGED, "/persistent"),
            event(DATA_CHANGED, "/persistent"),
            event(CHILDREN_CHANGED, "/persistent"),
            event(DELETED, "/persistent"),
        ];
        assert_eq!(events(&mut watcher), expected);
    }
}

#[test]
fn a_recursive_watch_tells_of_every_descendant_and_never_of_children() {
    let (mut client, mut watcher) = pair();
    watcher.add_watch("/recursive", RECURSIVE).unwrap();
    for _ in 0..2 {
        client.create("/recursive", b"").unwrap();
        client.create("/recursive/a", b"").unwrap();
        client.create("/recursive/a/b", b"").unwrap();
        client.set("/recursive/a/b", b"").unwrap();
        client.create("/recursively-not", b"").unwrap();
        client.delete("/recursively-not").unwrap();
        client.delete("/recursive/a/b").unwrap();
        client.delete("/recursive/a").unwrap();
        client.set("/recursive", b"").unwrap();
        client.delete("/recursive").unwrap();
        let expected = [
            event(CREATED, "/recursive"),
            event(CREATED, "/recursive/a"),
            event(CREATED, "/recursive/a/b"),
            event(DATA_CHANGED, "/recursive/a/b"),
            event(DELETED, "/recursive/a/b"),
            event(DELETED, "/recursive/a"),
            event(DATA_CHANGED, "/recursive"),
            event(DELETED, "/recursive"),
        ];
        assert_eq!(events(&mut watcher), expected);
    }
}

#[test]
fn a_recursive_watch_on_the_root_sees_everything() {
    let server = Server::start();
    let (mut client, mut watcher) = (server.connect(), server.connect());
    watcher.add_watch("/", RECURSIVE).unwrap();
    client.create("/any", b"").unwrap();
    client.create("/any/where", b"").unwrap();
    client.set("/", b"").unwrap();
    let expected = [event(CREATED, "/any"), event(CREATED, "/any/where"), event(DATA_CHANGED, "/")];
    assert_eq!(events(&mut watcher), expected);
}

#[test]
fn several_watches_that_match_one_change_give_one_notification() {
    let (mut client, mut watcher) = pair();
    client.create("/several", b"").unwrap();
    client.create("/several/x", b"").unwrap();
    watcher.add_watch("/several", RECURSIVE).unwrap();
    watcher.add_watch("/several/x", PERSISTENT).unwrap();
    watcher.run(&Op::get_data("/several/x", true)).unwrap();
    client.set("/several/x", b"").unwrap();
    assert_eq!(events(&mut watcher), [event(DATA_CHANGED, "/several/x")]);
    client.set("/several/x", b"").unwrap();
    assert_eq!(events(&mut watcher), [event(DATA_CHANGED, "/several/x")]);
}

#[test]
fn watches_end_with_their_connection() {
    let (mut client, mut watcher) = pair();
    client.create("/attached", b"").unwrap();
    watcher.run(&Op::get_data("/attached", true)).unwrap();
    watcher.add_watch("/attached", PERSISTENT).unwrap();
    let ticket = watcher.ticket();
    watcher.hang_up();
    let mut watcher = SERVER.establish(&ticket);
    client.set("/attached", b"").unwrap();
    watcher.expect_no_event();
    assert_eq!(watcher.call(&Op::check_watches("/attached", ANY)).err, code::NO_WATCHER);
}

#[test]
fn a_sessions_end_deletes_its_ephemerals_one_after_the_other() {
    let (mut client, mut watcher) = pair();
    client.create("/close", b"").unwrap();
    for path in ["/close/a", "/close/b"] {
        client.create_mode(path, b"", EPHEMERAL).unwrap();
    }
    watcher.add_watch("/close", PERSISTENT).unwrap();
    for path in ["/close/a", "/close/b"] {
        watcher.run(&Op::exists(path, true)).unwrap();
    }
    client.close();
    let seen = events(&mut watcher);
    assert_eq!(seen.len(), 4);
    for step in seen.chunks(2) {
        assert_eq!(step[0].0, DELETED);
        assert_eq!(step[1], event(CHILDREN_CHANGED, "/close"));
    }
}

#[test]
fn removing_goes_by_kind() {
    let (mut client, mut watcher) = pair();
    client.create("/remove", b"").unwrap();
    let arm = |watcher: &mut Client| {
        watcher.run(&Op::get_data("/remove", true)).unwrap();
        watcher.run(&Op::get_children("/remove", true)).unwrap();
    };
    let all = [CHILDREN, DATA, ANY, ONLY_PERSISTENT, ONLY_RECURSIVE];
    let armed = |watcher: &mut Client| {
        all.map(|kind| match watcher.run_bare(&Op::check_watches("/remove", kind)) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error, code::NO_WATCHER);
                false
            }
        })
    };
    assert_eq!(armed(&mut watcher), [false; 5]);
    for kind in all {
        let op = Op::remove_watches("/remove", kind);
        assert_eq!(watcher.run_bare(&op), Err(code::NO_WATCHER));
    }
    arm(&mut watcher);
    assert_eq!(armed(&mut watcher), [true, true, true, false, false]);
    watcher.run_bare(&Op::remove_watches("/remove", CHILDREN)).unwrap();
    assert_eq!(armed(&mut watcher), [false, true, true, false, false]);
    watcher.run_bare(&Op::remove_watches("/remove", DATA)).unwrap();
    assert_eq!(armed(&mut watcher), [false; 5]);
    arm(&mut watcher);
    watcher.run_bare(&Op::remove_watches("/remove", ANY)).unwrap();
    assert_eq!(armed(&mut watcher), [false; 5]);
    client.set("/remove", b"").unwrap();
    client.create("/remove/x", b"").unwrap();
    watcher.expect_no_event();
    for (mode, kind) in [(PERSISTENT, ONLY_PERSISTENT), (RECURSIVE, ONLY_RECURSIVE)] {
        watcher.add_watch("/remove", mode).unwrap();
        assert!(armed(&mut watcher)[kind as usize - 1]);
        watcher.run_bare(&Op::remove_watches("/remove", kind)).unwrap();
        client.set("/remove", b"").unwrap();
        watcher.expect_no_event();
    }
    for bad in [0, 6, -1, 99] {
        assert_eq!(watcher.call(&Op::remove_watches("/remove", bad)).err, code::MARSHALLING);
        assert_eq!(watcher.call(&Op::check_watches("/remove", bad)).err, code::MARSHALLING);
    }
}

#[test]
fn an_exists_watch_on_a_missing_znode_is_removed_as_a_data_watch() {
    let (mut client, mut watcher) = pair();
    watcher.call(&Op::exists("/not-yet", true));
    watcher.run_bare(&Op::check_watches("/not-yet", DATA)).unwrap();
    watcher.run_bare(&Op::remove_watches("/not-yet", DATA)).unwrap();
    client.create("/not-yet", b"").unwrap();
    watcher.expect_no_event();
}

#[test]
fn an_unknown_watch_mode_cannot_be_decoded() {
    let mut client = SERVER.connect();
    for mode in [-1, 2, 77] {
        assert_eq!(client.call(&Op::add_watch("/mode", mode)).err, code::MARSHALLING);
    }
    client.ping();
}

#[test]
fn set_watches_tells_of_what_was_missed_and_arms_the_rest() {
    let mut client = SERVER.connect();
    for path in ["/rearm", "/rearm/same", "/rearm/changed", "/rearm/kids", "/rearm/gone"] {
        client.create(path, b"").unwrap();
    }
    let relative = client.last_zxid;
    client.set("/rearm/changed", b"").unwrap();
    client.create("/rearm/kids/a", b"").unwrap();
    client.delete("/rearm/gone").unwrap();
    client.create("/rearm/new", b"").unwrap();
    let mut watcher = SERVER.connect();
    let op = Op::set_watches(
        relative,
        &["/rearm/same", "/rearm/changed", "/rearm/gone"],
        &["/rearm/new", "/rearm/later"],
        &["/rearm/same", "/rearm/kids", "/rearm/never"],
    );
    watcher.send_as(SET_WATCHES_XID, &op);
    let reply = watcher.reply();
    assert_eq!((reply.xid, reply.err, reply.body.len()), (SET_WATCHES_XID, 0, 0));
    assert!(watcher.events.iter().all(|event| event.zxid == -1), "{:?}", watcher.events);
    let mut caught_up = events(&mut watcher);
    caught_up.sort();
    let mut expected = [
        event(DATA_CHANGED, "/rearm/changed"),
        event(DELETED, "/rearm/gone"),
        event(CREATED, "/rearm/new"),
        event(CHILDREN_CHANGED, "/rearm/kids"),
        event(DELETED, "/rearm/never"),
    ];
    expected.sort();
    assert_eq!(caught_up, expected);
    // What fired is not armed; what did not is.
    client.set("/rearm/changed", b"").unwrap();
    client.set("/rearm/new", b"").unwrap();
    client.create("/rearm/kids/b", b"").unwrap();
    watcher.expect_no_event();
    client.create("/rearm/later", b"").unwrap();
    client.create("/rearm/same/child", b"").unwrap();
    client.set("/rearm/same", b"").unwrap();
    let expected = [
        event(CREATED, "/rearm/later"),
        event(CHILDREN_CHANGED, "/rearm/same"),
        event(DATA_CHANGED, "/rearm/same"),
    ];
    assert_eq!(events(&mut watcher), expected);
}

#[test]
fn set_watches2_arms_persistent_watches_without_catching_up() {
    let mut client = SERVER.connect();
    client.create("/rearm2", b"").unwrap();
    let relative = client.last_zxid;
    client.set("/rearm2", b"").unwrap();
    client.create("/rearm2/x", b"").unwrap();
    let mut watcher = SERVER.connect();
    let lists: [&[&str]; 5] = [&[], &[], &[], &["/rearm2"], &["/rearm2/x"]];
    // Some clients send it with an ordinary xid.
    watcher.run_bare(&Op::set_watches2(relative, lists)).unwrap();
    watcher.expect_no_event();
    for _ in 0..2 {
        client.set("/rearm2", b"").unwrap();
        client.create("/rearm2/x/y", b"").unwrap();
        client.delete("/rearm2/x/y").unwrap();
        let expected = [
            event(DATA_CHANGED, "/rearm2"),
            event(CREATED, "/rearm2/x/y"),
            event(DELETED, "/rearm2/x/y"),
        ];
        assert_eq!(events(&mut watcher), expected);
    }
    let lists: [&[&str]; 5] = [&["/rearm2"], &["/rearm2"], &["/rearm2"], &[], &[]];
    watcher.run_bare(&Op::set_watches2(relative, lists)).unwrap();
    let mut caught_up = events(&mut watcher);
    caught_up.sort();
    let expected = [
        event(CREATED, "/rearm2"),
        event(DATA_CHANGED, "/rearm2"),
        event(CHILDREN_CHANGED, "/rearm2"),
    ];
    assert_eq!(caught_up, expected);
}

#[test]
fn a_large_batch_of_watches_is_rearmed() {
    let (mut client, mut watcher) = pair();
    client.create("/batch", b"").unwrap();
    let paths: Vec<String> = (0..3_000).map(|i| format!("/batch/{i:040}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    for part in paths.chunks(1_000) {
        watcher.send_as(SET_WATCHES_XID, &Op::set_watches(client.last_zxid, &[], part, &[]));
    }
    for _ in 0..3 {
        assert_eq!(watcher.reply().err, 0);
    }
    for path in [paths[0], paths[1_500], paths[2_999]] {
        client.create(path, b"").unwrap();
        assert_eq!(events(&mut watcher), [event(CREATED, path)]);
    }
}

#[test]
fn events_are_kept_from_those_who_may_not_read() {
    let (mut client, mut watcher) = pair();
    client.authenticate("digest", "owner:secret");
    client.create("/private", b"").unwrap();
    watcher.run(&Op::get_data("/private", true)).unwrap();
    watcher.run(&Op::get_children("/private", true)).unwrap();
    watcher.add_watch("/private", RECURSIVE).unwrap();
    let private = [Acl::new(ALL, "auth", "")];
    client.set_acl("/private", &private).unwrap();
    client.set("/private", b"").unwrap();
    client.create_acl("/private/x", b"", &private, 0).unwrap();
    client.delete("/private/x").unwrap();
    watcher.expect_no_event();
    // The one-shot watches are gone all the same; the recursive one still stands.
    client.set_acl("/private", &support::ops::open()).unwrap();
    client.set("/private", b"").unwrap();
    client.create("/private/y", b"").unwrap();
    let expected = [event(DATA_CHANGED, "/private"), event(CREATED, "/private/y")];
    assert_eq!(events(&mut watcher), expected);
    let code = watcher.call(&Op::check_watches("/private", CHILDREN)).err;
    assert_eq!(code, code::NO_WATCHER);
}

#[test]
fn exists_without_permission_arms_nothing() {
    let (mut client, mut watcher) = pair();
    let hidden = [Acl::new(ADMIN, "world", "anyone"), Acl::new(READ, "digest", "nobody:x")];
    client.create_acl("/unreadable", b"", &hidden, 0).unwrap();
    for op in [
        Op::exists("/unreadable", true),
        Op::get_data("/unreadable", true),
        Op::get_children("/unreadable", true),
    ] {
        assert_eq!(watcher.call(&op).err, code::NO_AUTH);
    }
    client.set_acl("/unreadable", &support::ops::open()).unwrap();
    client.delete("/unreadable").unwrap();
    watcher.expect_no_event();
    // addWatch asks for no permission.
    client.create_acl("/unreadable", b"", &hidden, 0).unwrap();
    watcher.add_watch("/unreadable", PERSISTENT).unwrap();
}

#[test]
fn replies_and_notifications_keep_the_order_of_changes() {
    let (mut client, mut watcher) = pair();
    client.create("/stream", b"0").unwrap();
    watcher.add_watch("/stream", PERSISTENT).unwrap();
    let rounds = 300;
    let writes: Vec<Op> =
        (1..=rounds).map(|i| Op::set_data("/stream", i.to_string().as_bytes(), -1)).collect();
    client.send_all(&writes);
    let (mut told, mut highest) = (0, 0);
    while told < rounds || highest < rounds {
        let xid = watcher.send(&Op::get_data("/stream", false));
        let reply = loop {
            match watcher.try_frame().unwrap() {
                Frame::Event(_) => told += 1,
                Frame::Reply(reply) => break reply,
            }
        };
        assert_eq!((reply.xid, reply.err), (xid, 0));
        let data = support::record::Fields(&reply.body).buffer().unwrap();
        highest = String::from_utf8(data).unwrap().parse().unwrap();
        // Whoever sees a value has been told of every change up to it.
        assert_eq!(told, highest);
    }
    for _ in 0..rounds {
        assert_eq!(client.reply().err, 0);
    }
}

#[test]
fn a_resumed_client_gets_every_change_either_as_catch_up_or_live() {
    let (mut client, watcher) = pair();
    client.create("/handover", b"").unwrap();
    let mut seen = watcher.session.clone();
    watcher.hang_up();
    for _ in 0..20 {
        let relative = client.exists("/handover").unwrap().mzxid;
        let write = client.send(&Op::set_data("/handover", b"", -1));
        let mut watcher = SERVER.establish(&Handshake::resume(&seen));
        let op = Op::set_watches(relative, &["/handover"], &[], &[]);
        watcher.send_as(SET_WATCHES_XID, &op);
        assert_eq!(client.reply().xid, write);
        let kind = loop {
            match watcher.try_frame().unwrap() {
                Frame::Event(event) => break event.kind,
                Frame::Reply(reply) => assert_eq!(reply.err, 0),
            }
        };
        assert_eq!(kind, DATA_CHANGED);
        seen = watcher.session.clone();
        watcher.hang_up();
    }
}

#[test]
fn thousands_of_paths_watched_by_one_connection_fire_each_once() {
    let (mut client, mut watcher) = pair();
    client.create("/many", b"").unwrap();
    let count = 2_000;
    let paths: Vec<String> = (0..count).map(|i| format!("/many/{i}")).collect();
    let ops: Vec<Op> = paths.iter().map(|path| Op::exists(path, true)).collect();
    watcher.send_all(&ops);
    for _ in 0..count {
        assert_eq!(watcher.reply().err, code::NO_NODE);
    }
    let ops: Vec<Op> = paths.iter().map(|path| Op::create(path, b"", 0)).collect();
    client.send_all(&ops);
    for path in &paths {
        watcher.expect_event(CREATED, path);
    }
    for _ in 0..count {
        assert_eq!(client.reply().err, 0);
    }
    watcher.expect_no_event();
}

#[test]
fn requests_with_a_watch_flag_other_than_one_still_watch() {
    let (mut client, mut watcher) = pair();
    client.create("/flag", b"").unwrap();
    watcher.run(&Op::new(4, Body::new().string("/flag").raw(&[7]))).unwrap();
    client.set("/flag", b"").unwrap();
    watcher.expect_event(DATA_CHANGED, "/flag");
}
