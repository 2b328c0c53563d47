//! Reading, changing and deleting znodes through real sockets, and the zxids that go with it.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;

use support::ops::{Acl, EPHEMERAL, PERSISTENT, READ};
use support::record::{Body, Fields};
use support::{Client, Op, Server, Stat, code};

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

#[test]
fn a_fresh_tree_has_the_reserved_znodes() {
    let server = Server::start();
    let mut client = server.connect();
    let root = client.exists("/").unwrap();
    assert_eq!(root, Stat { cversion: -1, num_children: 1, ..Stat::default() });
    assert_eq!(client.children("/").unwrap(), ["zookeeper"]);
    let (names, stat) = client.children_stat("/zookeeper").unwrap();
    assert_eq!(names, ["config", "quota"]);
    assert_eq!((stat.cversion, stat.num_children), (-2, 2));
    let (data, stat) = client.get("/zookeeper/config").unwrap();
    assert_eq!(data.unwrap_or_default(), b"");
    assert_eq!((stat.czxid, stat.aversion, stat.num_children), (0, -1, 0));
    let (acl, _) = client.get_acl("/zookeeper/config").unwrap();
    assert_eq!(acl, [Acl::new(READ, "world", "anyone")]);
    for reserved in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
        assert_eq!(client.delete(reserved), Err(code::BAD_ARGUMENTS), "{reserved}");
    }
    assert_eq!(client.set("/", b"root data").unwrap().version, 1);
    assert_eq!(client.get("/").unwrap().0.unwrap(), b"root data");
    client.create("/zookeeper/mine", b"").unwrap();
    assert_eq!(client.set("/zookeeper/config", b"x"), Err(code::NO_AUTH));
    client.close();
}

#[test]
fn set_data_changes_exactly_its_own_fields() {
    let mut client = SERVER.connect();
    client.create("/set", b"first").unwrap();
    client.create("/set/child", b"").unwrap();
    let before = client.exists("/set").unwrap();
    let stat = client.set("/set", b"second!").unwrap();
    assert!(stat.mtime >= before.mtime);
    let expected =
        Stat { mzxid: client.last_zxid, mtime: stat.mtime, version: 1, data_length: 7, ..before };
    assert_eq!(stat, expected);
    assert_eq!(client.get("/set").unwrap(), (Some(b"second!".to_vec()), stat));
    assert_eq!(client.set("/set/none", b""), Err(code::NO_NODE));
    assert_eq!(client.stat(&Op::set_data("/set", b"", 0)), Err(code::BAD_VERSION));
    assert_eq!(client.stat(&Op::set_data("/set", b"", 1)).unwrap().version, 2);
    for path in ["", "set", "/set/", "/set/..", "/set//child"] {
        assert_eq!(client.set(path, b""), Err(code::BAD_ARGUMENTS), "{path:?}");
    }
    client.close();
}

#[test]
fn children_change_cversion_and_pzxid_of_their_parent_alone() {
    let mut client = SERVER.connect();
    client.create("/kids", b"").unwrap();
    let fresh = client.exists("/kids").unwrap();
    client.create("/kids/a", b"").unwrap();
    // Of the change itself: a read's answer may carry a later one, another test's.
    let created = Stat { cversion: 1, num_children: 1, pzxid: client.last_zxid, ..fresh };
    let one = client.exists("/kids").unwrap();
    assert_eq!(one, created);
    client.set("/kids/a", b"data").unwrap();
    client.set_acl("/kids/a", &support::ops::open()).unwrap();
    client.create("/kids/a/deeper", b"").unwrap();
    assert_eq!(client.exists("/kids").unwrap(), one);
    client.delete("/kids/a/deeper").unwrap();
    client.delete("/kids/a").unwrap();
    let deleted = Stat { cversion: 2, num_children: 0, pzxid: client.last_zxid, ..fresh };
    assert_eq!(client.exists("/kids").unwrap(), deleted);
    client.close();
}

#[test]
fn set_acl_changes_aversion_alone() {
    let mut client = SERVER.connect();
    client.create("/acl", b"data").unwrap();
    let before = client.exists("/acl").unwrap();
    let stat = client.set_acl("/acl", &support::ops::open()).unwrap();
    assert_eq!(stat, Stat { aversion: 1, ..before });
    let stale = Op::set_acl("/acl", &support::ops::open(), 0);
    assert_eq!(client.stat(&stale), Err(code::BAD_VERSION));
    let right = Op::set_acl("/acl", &support::ops::open(), 1);
    assert_eq!(client.stat(&right).unwrap().aversion, 2);
    client.close();
}

#[test]
fn delete_checks_path_existence_version_and_children_in_this_order() {
    let mut client = SERVER.connect();
    client.create("/del", b"").unwrap();
    client.create("/del/child", b"").unwrap();
    assert_eq!(client.delete("/none/child"), Err(code::NO_NODE));
    assert_eq!(client.delete("/del/none"), Err(code::NO_NODE));
    let with_version = |version| Op::delete("/del", version);
    assert_eq!(client.run_bare(&with_version(3)), Err(code::BAD_VERSION));
    assert_eq!(client.run_bare(&with_version(0)), Err(code::NOT_EMPTY));
    assert_eq!(client.delete("/del"), Err(code::NOT_EMPTY));
    assert_eq!(client.delete("no-slash"), Err(code::BAD_ARGUMENTS));
    assert_eq!(client.delete(""), Err(code::BAD_ARGUMENTS));
    client.delete("/del/child").unwrap();
    client.run_bare(&with_version(0)).unwrap();
    assert_eq!(client.exists("/del"), Err(code::NO_NODE));
    client.close();
}

#[test]
fn a_malformed_path_deletes_no_other_znode() {
    let mut client = SERVER.connect();
    client.create("/mal", b"").unwrap();
    client.create("/mal/formed", b"").unwrap();
    for path in ["//mal", "/mal//formed", "/mal/formed/", "//mal/formed", "/mal/./formed"] {
        assert_eq!(client.delete(path), Err(code::NO_NODE), "{path}");
    }
    assert_eq!(client.delete("mal/formed"), Err(code::NO_NODE));
    client.delete("/mal/formed").unwrap();
    client.delete("/mal").unwrap();
    client.close();
}

#[test]
fn anybody_with_permission_may_delete_an_ephemeral() {
    let mut owner = SERVER.connect();
    let mut other = SERVER.connect();
    owner.create_mode("/theirs", b"", EPHEMERAL).unwrap();
    assert_eq!(other.set("/theirs", b"touched").unwrap().ephemeral_owner, owner.id());
    other.delete("/theirs").unwrap();
    assert_eq!(owner.exists("/theirs"), Err(code::NO_NODE));
    // It is free again, and the first owner's end does not take the second's znode.
    other.create_mode("/theirs", b"", EPHEMERAL).unwrap();
    owner.close();
    assert_eq!(other.exists("/theirs").unwrap().ephemeral_owner, other.id());
    other.close();
}

#[test]
fn reads_do_not_judge_paths() {
    let mut client = SERVER.connect();
    for path in ["none", "/none/", "//", "/..", "/zookeeper/", "/zookeeper//quota", "x\u{1}"] {
        for op in [
            Op::exists(path, false),
            Op::get_data(path, false),
            Op::get_children(path, false),
            Op::get_children2(path, false),
            Op::get_acl(path),
        ] {
            assert_eq!(client.call(&op).err, code::NO_NODE, "operation {} of {path:?}", op.code);
        }
    }
    // The empty path is another name of the root, for reads.
    assert_eq!(client.exists("").unwrap().czxid, 0);
    assert!(client.children("").unwrap().contains(&"zookeeper".to_owned()));
    client.get("").unwrap();
    client.close();
}

#[test]
fn children_come_with_and_without_a_stat() {
    let mut client = SERVER.connect();
    client.create("/list", b"").unwrap();
    assert_eq!(client.children("/list").unwrap(), [""; 0]);
    for name in ["b", "a", "c"] {
        client.create(&format!("/list/{name}"), b"").unwrap();
    }
    client.create("/list/a/below", b"").unwrap();
    assert_eq!(client.children("/list").unwrap(), ["a", "b", "c"]);
    let (names, stat) = client.children_stat("/list").unwrap();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(stat, client.exists("/list").unwrap());
    client.close();
}

#[test]
fn sync_gives_back_any_path() {
    let mut client = SERVER.connect();
    for path in ["/", "/none", "nonsense", ""] {
        let reply = client.run(&Op::sync(path)).unwrap();
        let mut fields = Fields(&reply.body);
        assert_eq!(fields.string(), path);
        fields.end();
    }
    client.close();
}

#[test]
fn all_descendants_are_counted() {
    let mut client = SERVER.connect();
    for path in ["/count", "/count/a", "/count/a/b", "/count/c", "/count-not"] {
        client.create(path, b"").unwrap();
    }
    let count = |client: &mut Client, path: &str| {
        let reply = client.run(&Op::get_all_children_number(path))?;
        let mut fields = Fields(&reply.body);
        let count = fields.int();
        fields.end();
        Ok::<i32, i32>(count)
    };
    assert_eq!(count(&mut client, "/count"), Ok(3));
    assert_eq!(count(&mut client, "/count/a"), Ok(1));
    assert_eq!(count(&mut client, "/count/c"), Ok(0));
    assert_eq!(count(&mut client, "/count/none"), Err(code::NO_NODE));
    assert!(count(&mut client, "/").unwrap() >= 8);
    client.close();
}

#[test]
fn ephemerals_are_listed_for_their_own_session_by_prefix() {
    let mut client = SERVER.connect();
    let mut other = SERVER.connect();
    client.create("/eph", b"").unwrap();
    let mut paths = Vec::new();
    for name in ["ab", "abc", "b"] {
        let path = format!("/eph/{name}");
        client.create_mode(&path, b"", EPHEMERAL).unwrap();
        paths.push(path);
    }
    client.create("/eph/persistent", b"").unwrap();
    other.create_mode("/eph/others", b"", EPHEMERAL).unwrap();
    let mut listed = |prefix: &str| client.names(&Op::get_ephemerals(prefix)).unwrap();
    assert_eq!(listed("/"), paths);
    assert_eq!(listed(""), paths);
    // A prefix of characters, not of path components.
    assert_eq!(listed("/eph/a"), paths[..2]);
    assert_eq!(listed("/eph/abc"), paths[1..2]);
    assert_eq!(listed("/none"), [""; 0]);
    let null_prefix = Op::new(103, Body::new().buffer(None));
    assert_eq!(client.names(&null_prefix).unwrap(), paths);
    client.close();
    assert_eq!(other.names(&Op::get_ephemerals("/")).unwrap(), ["/eph/others"]);
    other.close();
}

#[test]
fn each_write_takes_one_zxid_even_if_it_fails_and_reads_take_none() {
    let server = Server::start();
    let mut client = server.connect();
    client.create("/z", b"").unwrap();
    let mut expected = client.last_zxid;
    let failing = [
        Op::create("/z", b"", 0),
        Op::create("/none/z", b"", 0),
        Op::create("/z", b"", 99),
        Op::create_with(1, "/y", None, &[], 0),
        Op::delete("/none", -1),
        Op::set_data("/z", b"", 99),
        Op::set_acl("/none", &support::ops::open(), -1),
        Op::multi(&[Op::delete("/none", -1)]),
        Op::multi(&[]),
    ];
    for op in &failing {
        expected += 1;
        assert_eq!(client.call(op).zxid, expected, "operation {}: {:?}", op.code, op.body);
    }
    let reading = [
        Op::exists("/z", true),
        Op::get_data("/none", false),
        Op::get_children("/", true),
        Op::get_acl("/z"),
        Op::sync("/"),
        Op::who_am_i(),
        Op::multi_read(&[Op::get_data("/z", false)]),
        Op::add_watch("/z", 0),
        Op::get_ephemerals("/"),
        Op::set_watches(0, &[], &[], &[]),
    ];
    for op in &reading {
        assert_eq!(client.call(op).zxid, expected, "operation {}", op.code);
    }
    assert_eq!(client.ping().zxid, expected);
    client.close();
}

#[test]
fn a_pipelined_read_sees_the_write_before_it() {
    let mut client = SERVER.connect();
    client.create("/pipe", b"0").unwrap();
    let mut ops = Vec::new();
    for i in 0..200 {
        ops.push(Op::set_data("/pipe", format!("{i}").as_bytes(), i));
        ops.push(Op::get_data("/pipe", false));
    }
    let xids = client.send_all(&ops);
    for (i, pair) in xids.chunks(2).enumerate() {
        let written = client.reply();
        assert_eq!((written.xid, written.err), (pair[0], 0));
        let read = client.reply();
        assert_eq!((read.xid, read.err), (pair[1], 0));
        assert_eq!(Fields(&read.body).buffer().unwrap(), format!("{i}").as_bytes());
    }
    client.close();
}

#[test]
fn data_as_long_as_a_frame_allows_is_stored() {
    let mut client = SERVER.connect();
    let long = vec![7; 1_048_376];
    client.create("/long", &long).unwrap();
    assert_eq!(client.get("/long").unwrap().0.unwrap(), long);
    client.set("/long", b"").unwrap();
    client.close();
}

#[test]
fn a_standalone_server_does_not_reconfigure() {
    let mut client = SERVER.connect();
    let op = Op::reconfig("server.5=host:1:2;3", "", -1);
    assert_eq!(client.call(&op).err, code::RECONFIG_DISABLED);
    client.close();
    let enabled = Server::with("tickTime=2000\nreconfigEnabled=true");
    let mut client = enabled.connect();
    assert_eq!(client.call(&op).err, code::UNIMPLEMENTED);
    client.ping();
    client.close();
}

#[test]
fn what_the_tree_holds_survives_kill_and_stop() {
    let mut server = Server::start();
    let mut client = server.connect();
    let closed = [Acl::new(READ, "world", "anyone"), Acl::new(31, "digest", "bob:x")];
    client.create_acl("/kept", b"data", &closed, PERSISTENT).unwrap();
    client.create("/kept-parent", b"").unwrap();
    client.create("/kept-parent/x", b"").unwrap();
    client.delete("/kept-parent/x").unwrap();
    client.run(&Op::create_with(1, "/kept-null", None, &support::ops::open(), 0)).unwrap();
    let paths = ["/kept", "/kept-parent", "/kept-null", "/"];
    let stats = |client: &mut Client| paths.map(|path| client.exists(path).unwrap());
    let before = stats(&mut client);
    for round in 0..4 {
        if round % 2 == 0 {
            server.kill();
        } else {
            assert!(server.stop().is_some(), "a graceful stop ends by exiting");
        }
        server.restart();
        let mut client = server.connect();
        assert_eq!(stats(&mut client), before);
        assert_eq!(client.get("/kept").unwrap().0.unwrap(), b"data");
        assert_eq!(client.get("/kept-null").unwrap().0, None);
        assert_eq!(client.get_acl("/kept").unwrap().0.len(), 2);
        client.close();
    }
}
