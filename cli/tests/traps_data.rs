//! Known mistakes of ZooKeeper-compatible servers, as tests: the tree, watches, protocol edges.
//!
//! Numbered like the tests in `traps_sessions.rs`.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;

use support::client::{
    CHILDREN_CHANGED, CREATED, DATA_CHANGED, DELETED, SET_WATCHES_XID, framed, request,
};
use support::ops::{ALL, Acl, EPHEMERAL, Outcome, READ, SEQUENTIAL, TTL, open};
use support::record::{Body, Fields};
use support::{Client, Handshake, Op, Server, code, tenure_only};

static SERVER: LazyLock<Server> =
    LazyLock::new(|| Server::with("tickTime=2000\nextendedTypesEnabled=true"));

/// A number out of the summary of watches.
fn watches(server: &Server, line: &str) -> u64 {
    let text = server.word("wchs");
    let number = match line {
        "connections" => text.split(" connections watching ").next(),
        "paths" => {
            let rest = text.split(" connections watching ").nth(1);
            rest.and_then(|rest| rest.split(" paths").next())
        }
        _ => text.split("Total watches:").nth(1),
    };
    number.unwrap_or_else(|| panic!("{line} in {text:?}")).trim().parse().unwrap()
}

#[test]
fn t19_cversion_counts_creations_and_deletions_of_children_only() {
    let mut client = SERVER.connect();
    client.create("/t19", b"").unwrap();
    client.create("/t19/a", b"").unwrap();
    client.create("/t19/b", b"").unwrap();
    client.set("/t19/a", b"x").unwrap();
    client.set("/t19", b"x").unwrap();
    client.delete("/t19/a").unwrap();
    let stat = client.exists("/t19").unwrap();
    assert_eq!((stat.cversion, stat.pzxid), (3, client.last_zxid));
    client.close();
}

#[test]
fn t20_sequence_numbers_survive_deletions_and_restarts() {
    let mut server = Server::with("tickTime=2000\nsnapCount=20");
    let mut client = server.connect();
    client.create("/t20", b"").unwrap();
    let mut expected = 0;
    for round in 0..4 {
        for _ in 0..10 {
            let made = client.create_mode("/t20/n-", b"", SEQUENTIAL).unwrap();
            assert_eq!(made, format!("/t20/n-{expected:010}"));
            client.delete(&made).unwrap();
            client.create("/t20/plain", b"").unwrap();
            client.delete("/t20/plain").unwrap();
            expected += 2;
        }
        let before = client.exists("/t20").unwrap();
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
        server.restart();
        client = server.connect();
        assert_eq!(client.exists("/t20").unwrap(), before);
    }
    client.close();
}

#[test]
fn t21_owners_are_session_ids_and_typed_znodes_have_none() {
    let mut client = SERVER.connect();
    client.create("/t21", b"").unwrap();
    client.create_mode("/t21/e", b"", EPHEMERAL).unwrap();
    let (_, container) = client.create_stat(&Op::create_container("/t21/c")).unwrap();
    let (_, ttl) = client.create_stat(&Op::create_ttl("/t21/t", TTL, 60_000)).unwrap();
    assert_eq!((container.ephemeral_owner, ttl.ephemeral_owner), (0, 0));
    assert_eq!(client.exists("/t21/e").unwrap().ephemeral_owner, client.id());
    client.close();
    // Its ephemeral no longer stands in the way.
    let mut client = SERVER.connect();
    client.delete("/t21/c").unwrap();
    client.delete("/t21/t").unwrap();
    client.delete("/t21").unwrap();
    client.close();
}

#[test]
fn t22_null_data_is_not_empty_data() {
    let mut client = SERVER.connect();
    client.run(&Op::create_with(1, "/t22", None, &open(), 0)).unwrap();
    assert_eq!(client.get("/t22").unwrap().0, None);
    client.set("/t22", b"").unwrap();
    assert_eq!(client.get("/t22").unwrap().0, Some(Vec::new()));
    assert_eq!(client.exists("/t22").unwrap().data_length, 0);
    client.close();
}

#[test]
fn t23_deleting_asks_the_parent_and_exists_asks_for_read() {
    let mut client = SERVER.connect();
    client.create("/t23", b"").unwrap();
    let nobody = [Acl::new(ALL, "digest", "nobody:x")];
    client.create_acl("/t23/x", b"", &nobody, 0).unwrap();
    assert_eq!(client.exists("/t23/x"), Err(code::NO_AUTH));
    let count = Op::get_all_children_number("/t23/x");
    assert_eq!(client.call(&count).err, code::NO_AUTH);
    client.delete("/t23/x").unwrap();
    client.create("/t23/y", b"").unwrap();
    client.set_acl("/t23", &[Acl::new(READ, "world", "anyone")]).unwrap();
    assert_eq!(client.delete("/t23/y"), Err(code::NO_AUTH));
    client.close();
}

#[test]
fn t24_digests_are_masked_and_an_empty_list_is_invalid() {
    let mut client = SERVER.connect();
    let acl = [Acl::new(READ, "world", "anyone"), Acl::new(ALL, "digest", "bob:hash")];
    client.create_acl("/t24", b"", &acl, 0).unwrap();
    assert_eq!(client.get_acl("/t24").unwrap().0[1].id, "bob:x");
    assert_eq!(client.create_acl("/t24/x", b"", &[], 0), Err(code::INVALID_ACL));
    client.close();
}

#[test]
fn t25_path_rules_hold_for_writes_and_the_empty_path_reads_the_root() {
    let mut client = SERVER.connect();
    assert_eq!(client.create("/\u{1f600}", b""), Err(code::BAD_ARGUMENTS));
    assert_eq!(client.exists("/\u{1f600}"), Err(code::NO_NODE));
    assert_eq!(client.exists("").unwrap().czxid, 0);
    client.create("/t25", b"").unwrap();
    assert_eq!(client.create_mode("/t25/", b"", SEQUENTIAL).unwrap(), "/t25/0000000000");
    client.close();
}

#[test]
fn t26_a_failed_multi_answers_per_operation_and_fires_nothing() {
    let (mut client, mut watcher) = (SERVER.connect(), SERVER.connect());
    client.create("/t26", b"").unwrap();
    watcher.add_watch("/t26", 1).unwrap();
    watcher.run(&Op::get_children("/t26", true)).unwrap();
    let ops = [Op::create("/t26/a", b"", 0), Op::check("/none", 0), Op::delete("/t26", -1)];
    let outcomes = client.multi(&ops).unwrap();
    assert_eq!(outcomes, [0, code::NO_NODE, -2].map(Outcome::Error));
    watcher.expect_no_event();
    client.close();
    watcher.close();
}

#[test]
fn t27_a_multi_read_fails_part_by_part() {
    let mut client = SERVER.connect();
    client.create("/t27", b"x").unwrap();
    let reads = [Op::get_data("/none", false), Op::get_data("/t27", true)];
    let outcomes = client.multi_read(&reads).unwrap();
    assert_eq!(outcomes[0], Outcome::Error(code::NO_NODE));
    assert!(matches!(&outcomes[1], Outcome::GetData(Some(data), _) if data == b"x"));
    client.set("/t27", b"").unwrap();
    client.expect_no_event();
    client.close();
}

#[test]
fn t28_a_read_behind_a_write_on_one_connection_sees_it() {
    let mut client = SERVER.connect();
    client.create("/t28", b"").unwrap();
    for i in 0..50 {
        let value = format!("{i}");
        client.send_all(&[Op::set_data("/t28", value.as_bytes(), -1), Op::get_data("/t28", false)]);
        assert_eq!(client.reply().err, 0);
        let reply = client.reply();
        assert_eq!(Fields(&reply.body).buffer().unwrap(), value.as_bytes());
    }
    client.close();
}

#[test]
fn t29_all_children_are_listed_whatever_their_order() {
    let mut client = SERVER.connect();
    client.create("/t29", b"").unwrap();
    let mut expected: Vec<String> = (0..300).map(|i| format!("c{i}")).collect();
    let ops: Vec<Op> =
        expected.iter().map(|name| Op::create(&format!("/t29/{name}"), b"", 0)).collect();
    client.send_all(&ops);
    for _ in &ops {
        assert_eq!(client.reply().err, 0);
    }
    expected.sort();
    assert_eq!(client.children("/t29").unwrap(), expected);
    client.close();
}

#[test]
fn t30_clients_cannot_delete_as_the_reaper_does() {
    if tenure_only("ZooKeeper lets any client delete any leaf by deleteContainer") {
        return;
    }
    let mut client = SERVER.connect();
    let closed = [Acl::new(READ, "world", "anyone")];
    client.create_acl("/t30", b"", &open(), 0).unwrap();
    client.create("/t30/leaf", b"").unwrap();
    client.create_stat(&Op::create_container("/t30/container")).unwrap();
    client.set_acl("/t30", &closed).unwrap();
    for path in ["/t30/leaf", "/t30/container"] {
        let mut stranger = SERVER.connect();
        let reply = stranger.call(&Op::new(20, Body::new().string(path)));
        assert_ne!(reply.err, 0);
        client.exists(path).unwrap();
    }
    client.close();
}

#[test]
fn t31_a_wrong_password_leaves_the_rightful_connection_alone() {
    if tenure_only("ZooKeeper closes the rightful connection before it checks the password") {
        return;
    }
    let mut client = SERVER.connect();
    client.create("/t31", b"").unwrap();
    client.run(&Op::get_data("/t31", true)).unwrap();
    for password in [None, Some(vec![1; 16]), Some(Vec::new())] {
        SERVER.socket().expect_refusal(&Handshake { password, ..client.ticket() });
    }
    client.set("/t31", b"").unwrap();
    client.expect_event(DATA_CHANGED, "/t31");
    client.close();
}

#[test]
fn t32_watches_leave_nothing_behind() {
    let server = Server::start();
    let counts =
        |server: &Server| ["connections", "paths", "total"].map(|line| watches(server, line));
    let mut client = server.connect();
    client.create("/t32", b"").unwrap();
    assert_eq!(counts(&server), [0, 0, 0]);
    let mut watcher = server.connect();
    for path in ["/t32", "/t32/a", "/t32/b"] {
        watcher.call(&Op::exists(path, true));
    }
    assert_eq!(counts(&server), [1, 3, 3]);
    client.create("/t32/a", b"").unwrap();
    watcher.expect_event(CREATED, "/t32/a");
    assert_eq!(counts(&server), [1, 2, 2]);
    watcher.add_watch("/t32", 1).unwrap();
    watcher.run_bare(&Op::remove_watches("/t32", 3)).unwrap();
    assert_eq!(counts(&server), [1, 1, 1]);
    watcher.close();
    assert_eq!(counts(&server), [0, 0, 0]);
    let mut watcher = server.connect();
    watcher.run(&Op::exists("/t32", true)).unwrap();
    // Another attachment takes the session, not its watches.
    let successor = server.establish(&watcher.ticket());
    watcher.socket.expect_end();
    assert_eq!(counts(&server), [0, 0, 0]);
    successor.close();
    client.close();
}

#[test]
fn t33_only_exists_watches_what_is_missing() {
    let mut client = SERVER.connect();
    for op in [Op::get_data("/t33", true), Op::get_children("/t33", true)] {
        assert_eq!(client.call(&op).err, code::NO_NODE);
    }
    client.create("/t33", b"").unwrap();
    client.expect_no_event();
    client.call(&Op::exists("/t33/x", true));
    client.create("/t33/x", b"").unwrap();
    client.expect_event(CREATED, "/t33/x");
    client.close();
}

#[test]
fn t34_a_deletion_is_told_once_and_the_parents_watch_follows() {
    let mut client = SERVER.connect();
    client.create("/t34", b"").unwrap();
    client.create("/t34/x", b"").unwrap();
    for op in [
        Op::exists("/t34/x", true),
        Op::get_data("/t34/x", true),
        Op::get_children("/t34/x", true),
        Op::get_children("/t34", true),
    ] {
        client.run(&op).unwrap();
    }
    client.delete("/t34/x").unwrap();
    client.expect_event(DELETED, "/t34/x");
    client.expect_event(CHILDREN_CHANGED, "/t34");
    client.expect_no_event();
    client.close();
}

#[test]
fn t35_watches_are_set_again_in_batches_with_any_xid() {
    let mut client = SERVER.connect();
    client.create("/t35", b"").unwrap();
    let now = client.last_zxid;
    for (xid, op) in [
        (SET_WATCHES_XID, Op::set_watches(now, &["/t35"], &[], &[])),
        (SET_WATCHES_XID, Op::set_watches2(now, [&[], &["/t35/x"], &[], &[], &[]])),
        (900, Op::set_watches(now, &[], &[], &["/t35"])),
        (901, Op::set_watches2(now, [&[], &[], &[], &[], &[]])),
    ] {
        client.send_as(xid, &op);
        let reply = client.reply();
        assert_eq!((reply.xid, reply.err, reply.body.len()), (xid, 0, 0));
    }
    client.create("/t35/x", b"").unwrap();
    client.set("/t35", b"").unwrap();
    client.expect_event(CREATED, "/t35/x");
    client.expect_event(CHILDREN_CHANGED, "/t35");
    client.expect_event(DATA_CHANGED, "/t35");
    client.close();
}

#[test]
fn t36_persistent_watches_do_not_catch_up_and_recursive_ones_leave_children_out() {
    let mut client = SERVER.connect();
    client.create("/t36", b"").unwrap();
    let lists: [&[&str]; 5] = [&[], &[], &[], &["/t36"], &["/t36/deep"]];
    client.run_bare(&Op::set_watches2(0, lists)).unwrap();
    client.expect_no_event();
    client.create("/t36/deep", b"").unwrap();
    client.create("/t36/deep/er", b"").unwrap();
    client.expect_event(CREATED, "/t36/deep");
    client.expect_event(CHILDREN_CHANGED, "/t36");
    client.expect_event(CREATED, "/t36/deep/er");
    client.expect_no_event();
    client.close();
}

#[test]
fn t38_events_are_withheld_from_whoever_may_not_read_but_use_up_the_watch() {
    let (mut client, mut watcher) = (SERVER.connect(), SERVER.connect());
    client.authenticate("digest", "t38:t38");
    client.create("/t38", b"").unwrap();
    watcher.run(&Op::get_data("/t38", true)).unwrap();
    client.set_acl("/t38", &[Acl::new(ALL, "auth", "")]).unwrap();
    client.set("/t38", b"").unwrap();
    client.set_acl("/t38", &open()).unwrap();
    client.set("/t38", b"").unwrap();
    watcher.expect_no_event();
    client.close();
    watcher.close();
}

#[test]
fn t39_removing_a_watch_is_not_an_event() {
    let mut client = SERVER.connect();
    client.create("/t39", b"").unwrap();
    client.run(&Op::get_data("/t39", true)).unwrap();
    client.add_watch("/t39", 0).unwrap();
    client.run_bare(&Op::remove_watches("/t39", 3)).unwrap();
    client.expect_no_event();
    client.close();
}

#[test]
fn t40_the_old_handshake_gets_the_old_answer() {
    let old = Handshake { read_only: None, ..Handshake::new(30_000) };
    let client = SERVER.establish(&old);
    assert_eq!(client.session.read_only, None);
    let again = Handshake { read_only: None, ..client.ticket() };
    let client = SERVER.establish(&again);
    assert_eq!(client.session.read_only, None);
    client.close();
}

#[test]
fn t41_four_letter_words_count_as_the_first_bytes_only() {
    assert_eq!(SERVER.word("ruok"), "imok");
    let mut client = SERVER.connect();
    client.socket.write(b"ruok").unwrap();
    // Here they are a length, and far too large a one.
    client.socket.expect_end();
}

#[test]
fn t42_answers_may_be_longer_than_the_longest_request() {
    let mut client = SERVER.connect();
    client.create("/t42", b"").unwrap();
    let name = "x".repeat(1_000);
    let ops: Vec<Op> = (0..1_200).map(|i| Op::create(&format!("/t42/{name}{i}"), b"", 0)).collect();
    for part in ops.chunks(100) {
        client.send_all(part);
        for _ in part {
            assert_eq!(client.reply().err, 0);
        }
    }
    let reply = client.run(&Op::get_children("/t42", false)).unwrap();
    assert!(reply.body.len() > 0xf_ffff, "{}", reply.body.len());
    client.close();
}

#[test]
fn t44_operations_that_clients_probe_for_exist() {
    let mut client = SERVER.connect();
    for op in [
        Op::create2("/t44", b"", 0),
        Op::create_container("/t44/c"),
        Op::create_ttl("/t44/t", TTL, 60_000),
        Op::add_watch("/t44", 1),
        Op::who_am_i(),
        Op::multi_read(&[]),
        Op::get_ephemerals("/"),
        Op::get_all_children_number("/"),
        Op::set_watches2(0, [&[]; 5]),
    ] {
        assert_eq!(client.call(&op).err, 0, "operation {}", op.code);
    }
    client.close();
}

#[test]
fn t45_identities_add_up_and_a_failure_ends_the_connection() {
    let mut client = SERVER.connect();
    for name in ["a", "b", "a"] {
        client.authenticate("digest", &format!("{name}:pw"));
    }
    let reply = client.run(&Op::who_am_i()).unwrap();
    // Two names and the address.
    assert_eq!(Fields(&reply.body).int(), 3);
    client.send_as(-4, &Op::auth("nonsense", b""));
    assert_eq!(client.reply().err, code::AUTH_FAILED);
    client.socket.expect_end();
}

#[test]
fn t46_reserved_xids_are_judged_by_their_operation() {
    let mut client = SERVER.connect();
    for xid in [-2, -4, -8, i32::MAX, 1] {
        client.send_as(xid, &Op::exists("/", false));
        let reply = client.reply();
        assert_eq!((reply.xid, reply.err, reply.body.len()), (xid, 0, 68));
    }
    client.close();
}

#[test]
fn t47_a_refusal_arrives_even_if_the_client_has_sent_more() {
    for _ in 0..50 {
        let refused = Handshake { session_id: 99, ..Handshake::new(30_000) };
        let mut bytes = framed(&refused.encode());
        bytes.extend(framed(&request(1, &Op::exists("/", false))));
        let mut socket = SERVER.socket();
        socket.write(&bytes).unwrap();
        assert_eq!(socket.read_frame().expect("the refusal").len(), 37);
        socket.expect_end();
    }
}

#[test]
fn t49_times_stay_as_they_were_chosen() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.create("/t49", b"").unwrap();
    client.set("/t49", b"x").unwrap();
    let before = client.exists("/t49").unwrap();
    server.kill();
    server.restart();
    assert_eq!(server.connect().exists("/t49").unwrap(), before);
}

#[test]
fn t50_the_configuration_znode_can_be_read() {
    let mut client = SERVER.connect();
    assert_eq!(client.get("/zookeeper/config").unwrap().0.unwrap_or_default(), b"");
    client.close();
}

#[test]
fn t51_the_counts_of_a_quota_are_no_changes_of_the_tree() {
    let server = Server::start();
    let mut client = server.connect();
    for path in ["/t51", "/zookeeper/quota/t51"] {
        client.create(path, b"").unwrap();
    }
    for (name, data) in [("limits", "count=9,bytes=9"), ("stats", "count=0,bytes=0")] {
        let path = format!("/zookeeper/quota/t51/zookeeper_{name}");
        client.create(&path, data.as_bytes()).unwrap();
    }
    let stats = "/zookeeper/quota/t51/zookeeper_stats";
    client.run(&Op::get_data(stats, true)).unwrap();
    let before = client.exists(stats).unwrap();
    client.create("/t51/x", b"").unwrap();
    client.expect_no_event();
    let after = client.exists(stats).unwrap();
    assert_eq!((after.mzxid, after.version), (before.mzxid, before.version));
    client.close();
}

#[test]
fn t52_trailing_bytes_of_a_request_are_ignored() {
    let mut client: Client = SERVER.connect();
    let op = Op::create_container("/t52");
    let longer = Op::new(op.code, op.body.long(7).long(7));
    let (path, _) = client.create_stat(&longer).unwrap();
    assert_eq!(path, "/t52");
    let mut bytes = Handshake::new(30_000).encode();
    bytes.extend([7; 20]);
    let mut socket = SERVER.socket();
    socket.write_frame(&bytes).unwrap();
    assert_eq!(socket.read_frame().unwrap().len(), 37);
    client.close();
}
