//! Known mistakes of ZooKeeper-compatible servers, as tests: sessions, zxids and headers.
//!
//! The numbers are those of the list of traps that the compatibility document reports on. Traps
//! that need an ensemble, or concern clients only, have no test here.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use support::client::{AUTH_XID, DELETED, PING_XID, SET_WATCHES_XID};
use support::ops::{EPHEMERAL, Outcome};
use support::{Frame, Handshake, Op, Server, code};

const SETTINGS: &str = "tickTime=200\nminSessionTimeout=500\nmaxSessionTimeout=40000";

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::with(SETTINGS));

#[test]
fn t01_asking_for_an_old_session_never_gives_a_new_one() {
    let mut client = SERVER.connect();
    client.create_mode("/t01", b"", EPHEMERAL).unwrap();
    let id = client.id();
    let mut again = SERVER.establish(&client.ticket());
    assert_eq!((again.id(), again.exists("/t01").unwrap().ephemeral_owner), (id, id));
    let ticket = again.ticket();
    again.close();
    SERVER.socket().expect_refusal(&ticket);
}

#[test]
fn t02_only_ended_and_unknown_sessions_are_told_so() {
    let client = SERVER.connect();
    let unknown = Handshake { session_id: client.id() + 1_000_000, ..client.ticket() };
    SERVER.socket().expect_refusal(&unknown);
    let mut ahead = SERVER.socket();
    let handshake = Handshake { last_zxid: i64::MAX, ..client.ticket() };
    ahead.write_frame(&handshake.encode()).unwrap();
    ahead.expect_end();
    client.close();
}

#[test]
fn t02_an_unknown_session_that_is_ahead_is_sent_elsewhere_rather_than_ended() {
    let handshake = Handshake { last_zxid: i64::MAX, session_id: 4711, ..Handshake::new(30_000) };
    let mut socket = SERVER.socket();
    socket.write_frame(&handshake.encode()).unwrap();
    socket.expect_end();
}

#[test]
fn t03_session_ids_are_signed_and_odd_ones_are_unknown() {
    for session_id in [-1, i64::MIN, i64::MAX] {
        SERVER.socket().expect_refusal(&Handshake { session_id, ..Handshake::new(30_000) });
    }
    let client = SERVER.connect();
    assert_ne!(client.id(), 0);
    // Owners of containers and TTL znodes look like these in stored data.
    assert_ne!(client.id(), i64::MIN);
    assert_ne!((client.id() as u64) >> 56, 0xff);
    client.close();
}

#[test]
fn t05_touches_are_not_part_of_the_log() {
    let server = Server::with(SETTINGS);
    let mut client = server.connect();
    client.create("/t05", b"").unwrap();
    let zxid = client.last_zxid;
    for _ in 0..1_000 {
        assert_eq!(client.ping().zxid, zxid);
    }
    client.create("/t05/x", b"").unwrap();
    assert_eq!(client.last_zxid, zxid + 1);
    client.close();
}

#[test]
fn t06_a_session_whose_close_is_on_its_way_cannot_be_touched_back_to_life() {
    for _ in 0..20 {
        let mut client = SERVER.connect();
        let ticket = client.ticket();
        client.send_all(&[Op::create("/t06", b"", EPHEMERAL), Op::close_session()]);
        client.send_as(PING_XID, &Op::ping());
        assert_eq!(client.reply().err, 0);
        assert_eq!(client.reply().err, 0);
        client.expect_end_of_session();
        SERVER.socket().expect_refusal(&ticket);
        let mut other = SERVER.connect();
        assert_eq!(other.exists("/t06"), Err(code::NO_NODE));
        other.close();
    }
}

#[test]
fn t06_expiry_and_resuming_never_both_win() {
    // Each comes back just when it expires: it either lives with its ephemeral or is told.
    let (mut lived, mut expired) = (0, 0);
    for (i, early_ms) in (0..12_u64).map(|i| (i, 30 + (i % 4) * 60)) {
        let path = format!("/t06-{i}");
        let mut client = SERVER.establish(&Handshake::new(500));
        client.create_mode(&path, b"", EPHEMERAL).unwrap();
        let ticket = client.ticket();
        client.hang_up();
        std::thread::sleep(Duration::from_millis(500 + 150 - early_ms));
        let answer = SERVER.socket().try_handshake(&ticket).unwrap();
        let mut other = SERVER.connect();
        if answer.session_id == 0 {
            expired += 1;
            assert_eq!(other.exists(&path), Err(code::NO_NODE));
        } else {
            lived += 1;
            assert_eq!(other.exists(&path).unwrap().ephemeral_owner, answer.session_id);
        }
        other.close();
    }
    println!("{lived} lived, {expired} expired");
}

#[test]
fn t07_close_takes_pipelined_creations_and_leaves_pending_deletions_alone() {
    for _ in 0..10 {
        let mut client = SERVER.connect();
        client.create_mode("/t07-old", b"", EPHEMERAL).unwrap();
        client.create_mode("/t07-taken", b"", EPHEMERAL).unwrap();
        let ops = [
            Op::create("/t07-new", b"", EPHEMERAL),
            Op::delete("/t07-old", -1),
            Op::delete("/t07-taken", -1),
            Op::create("/t07-taken", b"", 0),
            Op::close_session(),
            Op::create("/t07-late", b"", 0),
        ];
        for xid in &client.send_all(&ops)[..5] {
            let reply = client.reply();
            assert_eq!((reply.xid, reply.err), (*xid, 0));
        }
        client.expect_end_of_session();
        let mut other = SERVER.connect();
        for path in ["/t07-new", "/t07-old", "/t07-late"] {
            assert_eq!(other.exists(path), Err(code::NO_NODE));
        }
        // This one was deleted and made anew, as no one's ephemeral.
        other.delete("/t07-taken").unwrap();
        other.close();
    }
}

#[test]
fn t08_a_stale_connection_is_closed_and_never_answered_with_session_moved() {
    let mut stale = SERVER.connect();
    let current = SERVER.establish(&stale.ticket());
    for op in [Op::set_data("/", b"", -1), Op::multi(&[Op::create("/t08", b"", 0)])] {
        // The socket may be closed before the request is out.
        let _ = stale.socket.write_frame(&support::client::request(1, &op));
    }
    stale.socket.expect_end();
    let mut other = SERVER.connect();
    assert_eq!(other.exists("/t08"), Err(code::NO_NODE));
    current.close();
    other.close();
}

#[test]
fn t09_a_second_attachment_closes_the_first_connection_at_once() {
    let mut first = SERVER.connect();
    for _ in 0..10 {
        let second = SERVER.establish(&first.ticket());
        first.socket.expect_end();
        first = second;
    }
    first.close();
}

#[test]
fn t10_a_close_is_answered_before_the_connection_ends() {
    for pipelined in [0, 1, 100] {
        let mut client = SERVER.connect();
        let mut ops = vec![Op::exists("/", false); pipelined];
        ops.push(Op::close_session());
        for xid in client.send_all(&ops) {
            let reply = client.reply();
            assert_eq!((reply.xid, reply.err), (xid, 0));
        }
        client.socket.expect_end();
    }
}

#[test]
fn t12_live_notifications_carry_the_zxid_and_caught_up_ones_do_not() {
    let (mut client, mut watcher) = (SERVER.connect(), SERVER.connect());
    client.create("/t12", b"").unwrap();
    watcher.run(&Op::exists("/t12", true)).unwrap();
    let outcomes = client.multi(&[Op::set_data("/t12", b"", -1), Op::delete("/t12", -1)]);
    assert!(matches!(outcomes.unwrap()[1], Outcome::Delete));
    assert_eq!(watcher.event().zxid, client.last_zxid);
    let missed = Op::set_watches(0, &["/t12"], &[], &[]);
    watcher.send_as(SET_WATCHES_XID, &missed);
    assert_eq!(watcher.reply().err, 0);
    assert_eq!(watcher.expect_event(DELETED, "/t12"), -1);
    client.close();
    watcher.close();
}

#[test]
fn t13_zxids_grow_over_restarts_and_failed_writes_never_repeat_one() {
    let mut server = Server::with(SETTINGS);
    let mut last = 0;
    for round in 0..4 {
        let mut client = server.connect();
        for op in [Op::set_data("/", b"", -1), Op::delete("/none", -1), Op::create("/", b"", 0)] {
            let zxid = client.call(&op).zxid;
            assert!(zxid > last, "{zxid} after {last}");
            last = zxid;
        }
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
        server.restart();
    }
}

#[test]
fn t14_the_zxid_check_holds_right_after_a_start() {
    let mut server = Server::with(SETTINGS);
    let mut client = server.connect();
    client.create("/t14", b"").unwrap();
    let (ticket, seen) = (client.ticket(), client.last_zxid);
    server.kill();
    server.restart();
    // The server knows everything it ever showed, at once.
    server.establish(&Handshake { last_zxid: seen, ..ticket.clone() }).hang_up();
    let empty = Server::with(SETTINGS);
    for handshake in [ticket, Handshake::new(30_000)] {
        let mut socket = empty.socket();
        socket.write_frame(&Handshake { last_zxid: seen, ..handshake }.encode()).unwrap();
        match seen {
            // A server that starts its zxids anew has none as high as the other's.
            seen if seen > empty.connect().ping().zxid => socket.expect_end(),
            _ => {}
        }
    }
}

#[test]
fn t15_reads_pings_and_reattaching_do_not_raise_the_zxid() {
    let server = Server::with(SETTINGS);
    let mut client = server.connect();
    client.create("/t15", b"").unwrap();
    let zxid = client.last_zxid;
    for op in [Op::exists("/", true), Op::sync("/"), Op::multi_read(&[]), Op::who_am_i()] {
        assert_eq!(client.call(&op).zxid, zxid);
    }
    let mut client = server.establish(&client.ticket());
    assert_eq!(client.ping().zxid, zxid);
    client.close();
}

#[test]
fn t16_authentication_answers_with_zxid_0_and_an_unknown_operation_with_minus_1() {
    let mut client = SERVER.connect();
    client.send_as(AUTH_XID, &Op::auth("digest", b"a:b"));
    assert_eq!(client.reply().zxid, 0);
    let reply = client.call(&Op::new(4_711, support::record::Body::new()));
    assert_eq!((reply.zxid, reply.err), (-1, code::UNIMPLEMENTED));
    client.socket.expect_end();
}

#[test]
fn t17_a_ping_is_answered_in_its_turn() {
    let mut client = SERVER.connect();
    client.create("/t17", b"").unwrap();
    for _ in 0..20 {
        let write = client.send(&Op::set_data("/t17", b"", -1));
        client.send_as(PING_XID, &Op::ping());
        let read = client.send(&Op::exists("/t17", false));
        let order = [client.reply().xid, client.reply().xid, client.reply().xid];
        assert_eq!(order, [write, PING_XID, read]);
    }
    client.close();
}

#[test]
fn t17_pings_are_quick_while_another_session_writes() {
    let mut writer = SERVER.connect();
    let mut client = SERVER.connect();
    let ops: Vec<Op> = (0..2_000).map(|_| Op::set_data("/", &[1; 2_000], -1)).collect();
    writer.send_all(&ops);
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let sent = Instant::now();
        client.ping();
        slowest = slowest.max(sent.elapsed());
    }
    assert!(slowest < Duration::from_secs(3), "a ping took {slowest:?}");
    for _ in 0..2_000 {
        assert_eq!(writer.reply().err, 0);
    }
    client.close();
    writer.close();
}

#[test]
fn t18_bodies_are_exactly_as_long_as_they_should_be() {
    let mut client = SERVER.connect();
    client.create("/t18", b"").unwrap();
    let mut length = |op: &Op| {
        let reply = client.call(op);
        (reply.err, reply.body.len())
    };
    assert_eq!(length(&Op::create("/t18", b"", 0)), (code::NODE_EXISTS, 0));
    assert_eq!(length(&Op::get_data("/none", false)), (code::NO_NODE, 0));
    assert_eq!(length(&Op::create("/t18/x", b"", 0)), (0, 4 + "/t18/x".len()));
    assert_eq!(length(&Op::create2("/t18/y", b"", 0)), (0, 4 + "/t18/y".len() + 68));
    assert_eq!(length(&Op::exists("/t18", true)), (0, 68));
    assert_eq!(length(&Op::set_data("/t18/x", b"", -1)), (0, 68));
    assert_eq!(length(&Op::add_watch("/t18", 0)), (0, 4));
    assert_eq!(length(&Op::get_all_children_number("/t18")), (0, 4));
    for op in [
        Op::delete("/t18/x", -1),
        Op::check_watches("/t18", 3),
        Op::remove_watches("/t18", 3),
        Op::set_watches(i64::MAX, &[], &[], &[]),
        Op::set_watches2(i64::MAX, [&[]; 5]),
        Op::close_session(),
    ] {
        assert_eq!(length(&op), (0, 0), "operation {}", op.code);
    }
}

#[test]
fn t48_a_storm_of_new_sessions_is_answered_in_full() {
    let server = Server::with(SETTINGS);
    let mut sockets: Vec<_> = (0..500).map(|_| server.socket()).collect();
    let bytes = support::client::framed(&Handshake::new(30_000).encode());
    for socket in &mut sockets {
        socket.write(&bytes).unwrap();
    }
    let mut ids: Vec<i64> = sockets
        .iter_mut()
        .map(|socket| {
            let answer = socket.read_frame().unwrap();
            i64::from_be_bytes(answer[8..16].try_into().unwrap())
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 500);
}

#[test]
fn t54_session_ids_are_never_used_again() {
    let mut server = Server::with(SETTINGS);
    let mut seen = Vec::new();
    for _ in 0..4 {
        for _ in 0..20 {
            let mut client = server.connect();
            let names = client.names(&Op::get_ephemerals("/")).unwrap();
            assert_eq!(names, [""; 0], "a new session owns nothing");
            client.create_mode(&format!("/e{}", seen.len()), b"", EPHEMERAL).unwrap();
            seen.push(client.id());
            client.hang_up();
        }
        server.kill();
        server.restart();
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 80);
}

#[test]
fn t37_a_notification_and_the_replies_around_it_keep_their_order() {
    let mut client = SERVER.connect();
    client.create("/t37", b"").unwrap();
    client.create("/t37/x", b"").unwrap();
    client.run(&Op::get_children("/t37", true)).unwrap();
    client.run(&Op::get_data("/t37/x", true)).unwrap();
    let xids = client.send_all(&[
        Op::exists("/t37", false),
        Op::multi(&[Op::set_data("/t37/x", b"", -1), Op::delete("/t37/x", -1)]),
        Op::exists("/t37/x", false),
    ]);
    let mut order = Vec::new();
    while order.len() < 5 {
        order.push(match client.try_frame().unwrap() {
            Frame::Event(event) => (event.kind, event.path),
            Frame::Reply(reply) => (reply.xid + 1_000, String::new()),
        });
    }
    let reply = |xid: i32| (xid + 1_000, String::new());
    let expected = [
        reply(xids[0]),
        (support::client::DATA_CHANGED, "/t37/x".to_owned()),
        (support::client::CHILDREN_CHANGED, "/t37".to_owned()),
        reply(xids[1]),
        reply(xids[2]),
    ];
    assert_eq!(order, expected);
    client.close();
}
