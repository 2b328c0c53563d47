//! Transactions of several operations through real sockets: exact results, atomicity, order.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;

use support::client::{CHILDREN_CHANGED, CREATED, DATA_CHANGED, DELETED};
use support::ops::{Acl, CONTAINER, EPHEMERAL, Outcome, READ, SEQUENTIAL, TTL, open};
use support::record::Body;
use support::{Op, Server, Stat, code};

static SERVER: LazyLock<Server> =
    LazyLock::new(|| Server::with("tickTime=2000\nextendedTypesEnabled=true"));

#[test]
fn every_operation_of_a_multi_answers_with_its_own_record() {
    let mut client = SERVER.connect();
    client.create("/m", b"").unwrap();
    let outcomes = client
        .multi(&[
            Op::create("/m/a", b"a", 0),
            Op::create2("/m/b", b"bb", EPHEMERAL),
            Op::create_container("/m/c"),
            Op::create_ttl("/m/t", TTL, 100_000),
            Op::set_data("/m/a", b"new", 0),
            Op::check("/m/a", 1),
            Op::delete("/m/c", -1),
        ])
        .unwrap();
    let zxid = client.last_zxid;
    let ctime = client.exists("/m/a").unwrap().ctime;
    let fresh =
        Stat { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime, mtime: ctime, ..Stat::default() };
    let ephemeral = Stat { ephemeral_owner: client.id(), data_length: 2, ..fresh };
    let expected = [
        Outcome::Create("/m/a".into()),
        Outcome::Create2("/m/b".into(), ephemeral),
        Outcome::Create2("/m/c".into(), fresh),
        Outcome::Create2("/m/t".into(), fresh),
        Outcome::SetData(Stat { version: 1, data_length: 3, ..fresh }),
        Outcome::Check,
        Outcome::Delete,
    ];
    assert_eq!(outcomes, expected);
    let parent = client.exists("/m").unwrap();
    assert_eq!((parent.cversion, parent.num_children, parent.pzxid), (5, 3, zxid));
    client.close();
}

#[test]
fn a_failing_operation_undoes_all_and_is_named() {
    let mut client = SERVER.connect();
    client.create("/f", b"").unwrap();
    let before = client.exists("/f").unwrap();
    let failures = [
        (Op::create("/f", b"", 0), code::NODE_EXISTS),
        (Op::create("/none/x", b"", 0), code::NO_NODE),
        (Op::create_with(1, "/f/x", None, &[], 0), code::INVALID_ACL),
        (Op::create("/f/..", b"", 0), code::BAD_ARGUMENTS),
        (Op::delete("/none", -1), code::NO_NODE),
        (Op::delete("/f", -1), code::NOT_EMPTY),
        (Op::delete("/f/new", 7), code::BAD_VERSION),
        (Op::delete("/zookeeper", -1), code::BAD_ARGUMENTS),
        (Op::set_data("/none", b"", -1), code::NO_NODE),
        (Op::set_data("/f/new", b"", 7), code::BAD_VERSION),
        (Op::check("/none", -1), code::NO_NODE),
        (Op::check("/f/new", 1), code::BAD_VERSION),
        (Op::create("/f/e/x", b"", 0), code::NO_CHILDREN_FOR_EPHEMERALS),
        (Op::create_ttl("/f/x", TTL, 0), code::BAD_ARGUMENTS),
    ];
    for (failing, expected) in failures {
        let ops = [
            Op::create("/f/new", b"", 0),
            Op::create("/f/e", b"", EPHEMERAL),
            failing,
            Op::delete("/f/new", -1),
            Op::check("/f", -1),
        ];
        let outcomes = client.multi(&ops).unwrap();
        let codes = [0, 0, expected, code::RUNTIME_INCONSISTENCY, code::RUNTIME_INCONSISTENCY];
        assert_eq!(outcomes, codes.map(Outcome::Error));
        assert_eq!(client.exists("/f").unwrap(), before);
    }
    client.close();
}

#[test]
fn each_operation_sees_the_ones_before_it() {
    let mut client = SERVER.connect();
    let outcomes = client
        .multi(&[
            Op::create("/s", b"", 0),
            Op::create("/s/n", b"", SEQUENTIAL),
            Op::create("/s/n", b"", SEQUENTIAL),
            Op::set_data("/s", b"x", 0),
            Op::set_data("/s", b"y", 1),
            Op::check("/s", 2),
            Op::delete("/s/n0000000000", 0),
            Op::create("/s/n0000000000", b"again", 0),
        ])
        .unwrap();
    assert_eq!(outcomes[1], Outcome::Create("/s/n0000000000".into()));
    assert_eq!(outcomes[2], Outcome::Create("/s/n0000000001".into()));
    let zxid = client.last_zxid;
    let stat = client.exists("/s").unwrap();
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid, stat.version), (zxid, zxid, zxid, 2));
    assert_eq!((stat.cversion, stat.num_children), (4, 2));
    let made = client.create_mode("/s/n", b"", SEQUENTIAL).unwrap();
    assert_eq!(made, "/s/n0000000003");
    // A failed multi leaves the counter alone.
    client.multi(&[Op::create("/s/n", b"", SEQUENTIAL), Op::check("/none", -1)]).unwrap();
    let made = client.create_mode("/s/n", b"", SEQUENTIAL).unwrap();
    assert_eq!(made, "/s/n0000000004");
    client.close();
}

#[test]
fn an_empty_multi_succeeds_with_nothing() {
    let mut client = SERVER.connect();
    assert_eq!(client.multi(&[]).unwrap(), []);
    assert_eq!(client.multi_read(&[]).unwrap(), []);
    client.close();
}

#[test]
fn a_multi_holds_nothing_but_its_own_kinds() {
    let mut client = SERVER.connect();
    client.create("/k", b"").unwrap();
    let foreign = [
        Op::set_acl("/k", &open(), -1),
        Op::exists("/k", false),
        Op::get_data("/k", false),
        Op::get_children("/k", false),
        Op::sync("/k"),
        Op::ping(),
        Op::close_session(),
        Op::multi(&[]),
        Op::create("/k/x", b"", 77),
        Op::new(99, Body::new()),
    ];
    for op in foreign {
        let ops = [Op::create("/k/y", b"", 0), op];
        assert_eq!(client.multi(&ops), Err(code::MARSHALLING), "operation {}", ops[1].code);
        assert_eq!(client.exists("/k").unwrap().num_children, 0);
    }
    for op in [Op::create("/k/y", b"", 0), Op::set_data("/k", b"", -1), Op::check("/k", -1)] {
        let ops = [Op::get_data("/k", false), op];
        assert_eq!(client.multi_read(&ops), Err(code::MARSHALLING), "operation {}", ops[1].code);
    }
    assert_eq!(client.exists("/k").unwrap().version, 0);
    client.close();
}

#[test]
fn each_read_of_a_multi_read_stands_alone() {
    let mut client = SERVER.connect();
    client.create("/r", b"data").unwrap();
    client.create("/r/child", b"").unwrap();
    let secret = [Acl::new(READ, "digest", "nobody:x")];
    client.create_acl("/r/secret", b"", &secret, 0).unwrap();
    let stat = client.exists("/r").unwrap();
    let before = client.last_zxid;
    let mut outcomes = client
        .multi_read(&[
            Op::get_data("/r", true),
            Op::get_data("/none", false),
            Op::get_children("/r", true),
            Op::get_children("/none", false),
            Op::get_data("/r/secret", false),
            Op::get_children("/r/child", false),
        ])
        .unwrap();
    if let Outcome::GetChildren(names) = &mut outcomes[2] {
        names.sort();
    }
    let expected = [
        Outcome::GetData(Some(b"data".to_vec()), stat),
        Outcome::Error(code::NO_NODE),
        Outcome::GetChildren(vec!["child".into(), "secret".into()]),
        Outcome::Error(code::NO_NODE),
        Outcome::Error(code::NO_AUTH),
        Outcome::GetChildren(Vec::new()),
    ];
    assert_eq!(outcomes, expected);
    assert!(client.last_zxid >= before);
    // The watch flags inside were ignored.
    client.set("/r", b"changed").unwrap();
    client.delete("/r/child").unwrap();
    client.expect_no_event();
    client.close();
}

#[test]
fn events_of_a_multi_come_in_its_order_with_its_zxid_and_none_if_it_fails() {
    let mut client = SERVER.connect();
    let mut watcher = SERVER.connect();
    client.create("/w", b"").unwrap();
    client.create("/w/old", b"").unwrap();
    for path in ["/w", "/w/old", "/w/new"] {
        let _ = watcher.call(&Op::exists(path, true));
    }
    watcher.run(&Op::get_children("/w", true)).unwrap();
    let ops =
        [Op::set_data("/w", b"x", -1), Op::create("/w/new", b"", 0), Op::delete("/w/old", -1)];
    let mut failing = ops.to_vec();
    failing.push(Op::check("/none", -1));
    assert_eq!(client.multi(&failing).unwrap()[3], Outcome::Error(code::NO_NODE));
    watcher.expect_no_event();
    client.multi(&ops).unwrap();
    let zxid = client.last_zxid;
    let expected =
        [(DATA_CHANGED, "/w"), (CREATED, "/w/new"), (CHILDREN_CHANGED, "/w"), (DELETED, "/w/old")];
    for (kind, path) in expected {
        assert_eq!(watcher.expect_event(kind, path), zxid);
    }
    watcher.expect_no_event();
    client.close();
    watcher.close();
}

#[test]
fn permissions_are_checked_inside_a_multi() {
    let mut client = SERVER.connect();
    let readable = [Acl::new(READ, "world", "anyone")];
    client.create_acl("/auth", b"", &readable, 0).unwrap();
    let unreadable = [Acl::new(READ, "digest", "nobody:x")];
    client.create_acl("/hidden", b"", &unreadable, 0).unwrap();
    let refused =
        [Op::create("/auth/x", b"", 0), Op::set_data("/auth", b"", -1), Op::check("/hidden", -1)];
    for op in refused {
        let outcomes = client.multi(&[Op::check("/auth", -1), op]).unwrap();
        assert_eq!(outcomes, [0, code::NO_AUTH].map(Outcome::Error));
    }
    client.close();
}

#[test]
fn a_container_flag_inside_a_multi_is_understood() {
    let mut client = SERVER.connect();
    let op = Op::create_with(19, "/in-multi", None, &open(), CONTAINER);
    let outcomes = client.multi(&[op]).unwrap();
    assert!(matches!(&outcomes[..], [Outcome::Create2(path, _)] if path == "/in-multi"));
    client.close();
}
