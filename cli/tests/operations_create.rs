//! The create family through real sockets: modes, sequence numbers, containers, TTL, refusals.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::client::DELETED;
use support::ops::{
    self, ALL, Acl, CONTAINER, EPHEMERAL, EPHEMERAL_SEQUENTIAL, PERSISTENT, SEQUENTIAL,
    SEQUENTIAL_TTL, TTL, open,
};
use support::record::{Body, Fields};
use support::{Client, Op, Server, Stat, code, tenure_only};

static SERVER: LazyLock<Server> =
    LazyLock::new(|| Server::with("tickTime=2000\nextendedTypesEnabled=true"));

/// Looks for containers and outlived TTL znodes five times a second.
static REAPING: LazyLock<Server> = LazyLock::new(|| {
    Server::with("tickTime=2000\nextendedTypesEnabled=true\nznode.container.checkIntervalMs=200")
});

/// The longest TTL: 40 bits of milliseconds.
const MAX_TTL_MS: i64 = (1 << 40) - 1;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Waits for the end of a znode whose removal the server decides.
fn wait_for_deletion(client: &mut Client, path: &str) {
    if client.run(&Op::exists(path, true)).is_ok() {
        client.expect_event(DELETED, path);
    }
    assert_eq!(client.exists(path), Err(code::NO_NODE));
}

#[test]
fn create_answers_with_the_path_alone() {
    let mut client = SERVER.connect();
    client.create("/plain", b"").unwrap();
    assert_eq!(client.create("/plain/persistent", b"x").unwrap(), "/plain/persistent");
    let made = client.create_mode("/plain/ephemeral", b"x", EPHEMERAL).unwrap();
    assert_eq!(made, "/plain/ephemeral");
    let made = client.create_mode("/plain/s", b"x", SEQUENTIAL).unwrap();
    assert_eq!(made, "/plain/s0000000002");
    let made = client.create_mode("/plain/e-", b"x", EPHEMERAL_SEQUENTIAL).unwrap();
    assert_eq!(made, "/plain/e-0000000003");
    let owner = client.id();
    for (path, expected) in [
        ("/plain/persistent", 0),
        ("/plain/s0000000002", 0),
        ("/plain/ephemeral", owner),
        ("/plain/e-0000000003", owner),
    ] {
        assert_eq!(client.exists(path).unwrap().ephemeral_owner, expected, "{path}");
    }
    client.close();
}

#[test]
fn a_new_znodes_stat_tells_of_its_creation() {
    let mut client = SERVER.connect();
    let before = now_ms();
    let (path, stat) = client.create_stat(&Op::create2("/fresh", b"12345", PERSISTENT)).unwrap();
    let zxid = client.last_zxid;
    assert_eq!(path, "/fresh");
    let Stat { ctime, .. } = stat;
    assert!((before - 1..=now_ms() + 1).contains(&ctime), "{ctime} is not about {before}");
    let expected = Stat {
        czxid: zxid,
        mzxid: zxid,
        pzxid: zxid,
        ctime,
        mtime: ctime,
        data_length: 5,
        ..Stat::default()
    };
    assert_eq!(stat, expected);
    assert_eq!(client.exists("/fresh").unwrap(), stat);
    assert_eq!(client.get("/fresh").unwrap(), (Some(b"12345".to_vec()), stat));
    let ephemeral = Op::create2("/fresh-e", b"", EPHEMERAL);
    assert_eq!(client.create_stat(&ephemeral).unwrap().1.ephemeral_owner, client.id());
    client.close();
}

#[test]
fn containers_and_ttl_znodes_answer_with_a_stat_and_no_owner() {
    let mut client = SERVER.connect();
    client.create("/typed", b"").unwrap();
    let cases = [
        (Op::create_container("/typed/container"), "/typed/container"),
        (Op::create_ttl("/typed/ttl", TTL, 100_000), "/typed/ttl"),
        (Op::create_ttl("/typed/ttl-", SEQUENTIAL_TTL, MAX_TTL_MS), "/typed/ttl-0000000002"),
    ];
    for (op, expected) in cases {
        let (path, stat) = client.create_stat(&op).unwrap();
        assert_eq!(path, expected);
        assert_eq!((stat.ephemeral_owner, stat.czxid), (0, client.last_zxid));
        assert_eq!(client.exists(&path).unwrap(), stat);
        client.create_mode(&format!("{path}/child"), b"", EPHEMERAL).unwrap();
    }
    client.close();
}

#[test]
fn flags_that_do_not_fit_the_operation_are_bad_arguments() {
    let mut client = SERVER.connect();
    for flags in [-1, 7, 8, 100, i32::MAX, i32::MIN, TTL, SEQUENTIAL_TTL] {
        let result = client.create_mode("/flags", b"", flags);
        assert_eq!(result, Err(code::BAD_ARGUMENTS), "create with flags {flags}");
        let result = client.create_stat(&Op::create2("/flags", b"", flags));
        assert_eq!(result, Err(code::BAD_ARGUMENTS), "create2 with flags {flags}");
    }
    for flags in [PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, CONTAINER, 7] {
        let result = client.create_stat(&Op::create_ttl("/flags", flags, 1_000));
        assert_eq!(result, Err(code::BAD_ARGUMENTS), "createTTL with flags {flags}");
    }
    let result = client.create_stat(&Op::create_with(19, "/flags", None, &open(), 7));
    assert_eq!(result, Err(code::BAD_ARGUMENTS));
    for ttl_ms in [0, -1, i64::MIN, MAX_TTL_MS + 1, i64::MAX] {
        let result = client.create_stat(&Op::create_ttl("/flags", TTL, ttl_ms));
        assert_eq!(result, Err(code::BAD_ARGUMENTS), "a TTL of {ttl_ms}");
    }
    assert_eq!(client.exists("/flags"), Err(code::NO_NODE));
    client.close();
}

#[test]
fn without_extended_types_there_is_no_ttl() {
    let server = Server::start();
    let mut client = server.connect();
    let op = Op::create_ttl("/ttl", TTL, 1_000);
    assert_eq!(client.create_stat(&op), Err(code::UNIMPLEMENTED));
    // Only unknown operations end the connection.
    assert_eq!(client.create_stat(&Op::create_container("/container")).unwrap().1.version, 0);
    client.close();
}

#[test]
fn null_and_empty_data_stay_apart() {
    let mut client = SERVER.connect();
    client.run(&Op::create_with(1, "/null", None, &open(), 0)).unwrap();
    client.create("/empty", b"").unwrap();
    let (data, stat) = client.get("/null").unwrap();
    assert_eq!((data, stat.data_length), (None, 0));
    let (data, stat) = client.get("/empty").unwrap();
    assert_eq!((data, stat.data_length), (Some(Vec::new()), 0));
    client.stat(&Op::set_data_to("/empty", None, -1)).unwrap();
    assert_eq!(client.get("/empty").unwrap().0, None);
    client.close();
}

#[test]
fn paths_that_no_znode_may_have_are_refused() {
    let mut client = SERVER.connect();
    client.create("/p", b"").unwrap();
    let bad = [
        "",
        "p",
        "p/q",
        "//",
        "/p//q",
        "/p/",
        "/p/.",
        "/p/..",
        "/.",
        "/..",
        "/p/\0",
        "/p/a\0b",
        "/p/\u{1}",
        "/p/\u{1f}",
        "/p/\u{7f}",
        "/p/\u{9f}",
        "/p/\u{e000}",
        "/p/\u{f8ff}",
        "/p/\u{fff0}",
        "/p/\u{fffd}",
        "/p/\u{ffff}",
        "/p/\u{10000}",
        "/p/\u{1f600}",
    ];
    for path in bad {
        let result = client.create(path, b"");
        assert!(
            matches!(result, Err(code::BAD_ARGUMENTS | code::NO_NODE)),
            "{path:?} gave {result:?}"
        );
        let parent_exists = path.starts_with("/p/") && path != "/p//q";
        if parent_exists {
            assert_eq!(result, Err(code::BAD_ARGUMENTS), "{path:?}");
        }
    }
    let good = [
        "/p/...",
        "/p/.a",
        "/p/a.",
        "/p/a..b",
        "/p/ ",
        "/p/\u{20}\u{7e}",
        "/p/\u{a0}",
        "/p/\u{d7ff}",
        "/p/\u{f900}",
        "/p/\u{feff}",
        "/p/\u{ffef}",
        "/p/zookeeper",
        "/p/ä",
    ];
    for path in good {
        assert_eq!(client.create(path, b"").as_deref(), Ok(path));
    }
    assert_eq!(client.children("/p").unwrap().len(), good.len());
    client.close();
}

#[test]
fn creating_what_exists_or_has_no_parent_fails() {
    let mut client = SERVER.connect();
    client.create("/there", b"").unwrap();
    assert_eq!(client.create("/there", b""), Err(code::NODE_EXISTS));
    assert_eq!(client.create("/", b""), Err(code::NODE_EXISTS));
    assert_eq!(client.create("/not/there", b""), Err(code::NO_NODE));
    client.create_mode("/there/e", b"", EPHEMERAL).unwrap();
    for mode in [PERSISTENT, EPHEMERAL, SEQUENTIAL] {
        let result = client.create_mode("/there/e/child", b"", mode);
        assert_eq!(result, Err(code::NO_CHILDREN_FOR_EPHEMERALS));
    }
    let container = Op::create_container("/there/e/child");
    assert_eq!(client.create_stat(&container), Err(code::NO_CHILDREN_FOR_EPHEMERALS));
    client.close();
}

#[test]
fn of_several_faults_the_first_check_decides() {
    let mut client = SERVER.connect();
    client.create("/order", b"").unwrap();
    client.create("/order/there", b"").unwrap();
    client.create_mode("/order/e", b"", EPHEMERAL).unwrap();
    let closed = [Acl::new(ops::READ, "world", "anyone")];
    client.create_acl("/order/closed", b"", &closed, PERSISTENT).unwrap();
    let create =
        |path: &str, acl: &[Acl], flags: i32| Op::create_with(1, path, Some(b""), acl, flags);
    let nonsense = [Acl::new(ALL, "nonsense", "x")];
    let cases = [
        ("flags before the path", create("x", &[], 9), code::BAD_ARGUMENTS),
        ("the slash before the list", create("x", &[], 0), code::BAD_ARGUMENTS),
        ("NUL before the list", create("/x\0", &[], 0), code::BAD_ARGUMENTS),
        ("the list before the parent", create("/no/x", &[], 0), code::INVALID_ACL),
        ("the scheme before the parent", create("/no/x", &nonsense, 0), code::INVALID_ACL),
        ("the list before the rest of the path", create("/order/..", &[], 0), code::INVALID_ACL),
        ("the parent before the path", create("/no/../x", &open(), 0), code::NO_NODE),
        ("permission before the path", create("/order/closed/..", &open(), 0), code::NO_AUTH),
        ("the path before existence", create("/order/there/", &open(), 0), code::BAD_ARGUMENTS),
        ("the path before the ephemeral", create("/order/e/.", &open(), 0), code::BAD_ARGUMENTS),
        ("the list before existence", create("/order/there", &[], 0), code::INVALID_ACL),
    ];
    for (what, op, expected) in cases {
        assert_eq!(client.call(&op).err, expected, "{what}");
    }
    let ttl = Op::create_ttl("x", TTL, -1);
    assert_eq!(client.call(&ttl).err, code::BAD_ARGUMENTS);
    client.close();
}

#[test]
fn sequence_numbers_count_every_creation_below_the_parent() {
    let mut client = SERVER.connect();
    client.create("/seq", b"").unwrap();
    let next = |client: &mut Client, prefix: &str, mode| {
        client.create_mode(&format!("/seq/{prefix}"), b"", mode).unwrap()
    };
    assert_eq!(next(&mut client, "a", SEQUENTIAL), "/seq/a0000000000");
    assert_eq!(next(&mut client, "plain", PERSISTENT), "/seq/plain");
    assert_eq!(next(&mut client, "b", EPHEMERAL_SEQUENTIAL), "/seq/b0000000002");
    client.delete("/seq/plain").unwrap();
    client.delete("/seq/b0000000002").unwrap();
    assert_eq!(next(&mut client, "a", SEQUENTIAL), "/seq/a0000000003");
    assert_eq!(next(&mut client, "", SEQUENTIAL), "/seq/0000000004");
    // A refused creation uses no number, a grandchild none of its grandparent's.
    assert_eq!(client.create("/seq/a0000000000", b""), Err(code::NODE_EXISTS));
    client.create("/seq/a0000000000/child", b"").unwrap();
    assert_eq!(next(&mut client, "a", SEQUENTIAL), "/seq/a0000000005");
    for name in client.children("/seq/a0000000000").unwrap() {
        client.delete(&format!("/seq/a0000000000/{name}")).unwrap();
    }
    for name in client.children("/seq").unwrap() {
        client.delete(&format!("/seq/{name}")).unwrap();
    }
    assert_eq!(next(&mut client, "a", SEQUENTIAL), "/seq/a0000000006");
    client.delete("/seq/a0000000006").unwrap();
    client.delete("/seq").unwrap();
    client.create("/seq", b"").unwrap();
    assert_eq!(next(&mut client, "a", SEQUENTIAL), "/seq/a0000000000");
    client.close();
}

#[test]
fn a_sequential_path_may_end_in_a_slash() {
    let mut client = SERVER.connect();
    client.create("/slash", b"").unwrap();
    assert_eq!(client.create_mode("/slash/", b"", SEQUENTIAL).unwrap(), "/slash/0000000000");
    assert_eq!(client.create_mode("/slash//", b"", SEQUENTIAL), Err(code::NO_NODE));
    assert_eq!(client.create_mode("/slash/..", b"", SEQUENTIAL).unwrap(), "/slash/..0000000001");
    client.close();
}

#[test]
fn a_create_with_the_container_flag_makes_a_container() {
    if tenure_only("create with flag 4 makes a container; ZooKeeper makes a persistent znode") {
        return;
    }
    let mut client = REAPING.connect();
    for code in [1, 15] {
        let path = format!("/flag4-{code}");
        client.run(&Op::create_with(code, &path, None, &open(), CONTAINER)).unwrap();
        client.create(&format!("{path}/child"), b"").unwrap();
        client.delete(&format!("{path}/child")).unwrap();
        wait_for_deletion(&mut client, &path);
    }
    client.close();
}

#[test]
fn create_container_goes_by_its_number_whatever_its_flag_says() {
    let mut client = REAPING.connect();
    client.create_stat(&Op::create_with(19, "/flag0", None, &open(), PERSISTENT)).unwrap();
    client.create("/flag0/child", b"").unwrap();
    client.delete("/flag0/child").unwrap();
    wait_for_deletion(&mut client, "/flag0");
    client.close();
}

#[test]
fn a_container_goes_after_its_last_child_and_not_before_its_first() {
    let mut client = REAPING.connect();
    client.create("/containers", b"").unwrap();
    for name in ["never-used", "in-use", "emptied"] {
        client.create_stat(&Op::create_container(&format!("/containers/{name}"))).unwrap();
    }
    client.create("/containers/in-use/child", b"").unwrap();
    // The second time, the reaper has had time to look at all the others too.
    for cversion in [4, 6] {
        client.create("/containers/emptied/child", b"").unwrap();
        client.delete("/containers/emptied/child").unwrap();
        wait_for_deletion(&mut client, "/containers/emptied");
        assert_eq!(client.exists("/containers").unwrap().cversion, cversion);
        client.create_stat(&Op::create_container("/containers/emptied")).unwrap();
    }
    assert_eq!(client.children("/containers").unwrap(), ["emptied", "in-use", "never-used"]);
    client.close();
}

#[test]
fn a_ttl_znode_goes_when_unchanged_for_its_ttl_and_without_children() {
    let mut client = REAPING.connect();
    let (_, made) = client.create_stat(&Op::create_ttl("/ttl", TTL, 500)).unwrap();
    client.create_stat(&Op::create_ttl("/ttl-parent", TTL, 1)).unwrap();
    client.create("/ttl-parent/child", b"").unwrap();
    client.create_stat(&Op::create_ttl("/ttl-long", TTL, 600_000)).unwrap();
    wait_for_deletion(&mut client, "/ttl");
    let lived = now_ms() - made.mtime;
    assert!(lived >= 500, "a TTL of 500 ms ended after {lived} ms");
    client.exists("/ttl-parent").unwrap();
    client.exists("/ttl-long").unwrap();
    client.delete("/ttl-parent/child").unwrap();
    wait_for_deletion(&mut client, "/ttl-parent");
    client.close();
}

#[test]
fn setting_data_renews_a_ttl_and_a_child_does_not() {
    let mut client = REAPING.connect();
    client.create_stat(&Op::create_ttl("/renewed", TTL, 1_500)).unwrap();
    client.create_stat(&Op::create_ttl("/visited", TTL, 1_500)).unwrap();
    std::thread::sleep(Duration::from_millis(1_000));
    let renewed = client.set("/renewed", b"again").unwrap().mtime;
    client.create("/visited/child", b"").unwrap();
    client.delete("/visited/child").unwrap();
    wait_for_deletion(&mut client, "/visited");
    client.exists("/renewed").expect("renewed half a second before its end");
    wait_for_deletion(&mut client, "/renewed");
    assert!(now_ms() - renewed >= 1_500);
    client.close();
}

#[test]
fn bytes_after_a_request_are_ignored() {
    let mut client = SERVER.connect();
    let op = Op::create("/trailing", b"", 0);
    let longer = Op::new(1, op.body.raw(b"more bytes than the record has"));
    let reply = client.run(&longer).unwrap();
    assert_eq!(Fields(&reply.body).string(), "/trailing");
    let longer = Op::new(3, Body::new().string("/trailing").bool(false).long(7));
    client.stat(&longer).unwrap();
    client.close();
}
