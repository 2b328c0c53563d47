//! Sessions through real sockets: how they begin, resume, move between connections and end.
//!
//! The numbers in the names are those of the session checklist that the compatibility document
//! reports on; the items missing here need an ensemble.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::client::{CHILDREN_CHANGED, DELETED, Established};
use support::ops::{self, EPHEMERAL};
use support::record::Fields;
use support::{Client, Frame, Handshake, Op, Server, code, foreign, tenure_only};

const SETTINGS: &str = "tickTime=200\nminSessionTimeout=500\nmaxSessionTimeout=40000";

/// The server of all tests that neither restart one nor count zxids.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server::with(SETTINGS));

/// A session with this timeout and an ephemeral znode at `path`.
fn owner(server: &Server, timeout_ms: i32, path: &str) -> Client {
    let mut client = server.establish(&Handshake::new(timeout_ms));
    assert_eq!(client.session.timeout_ms, timeout_ms);
    client.create_mode(path, b"", EPHEMERAL).unwrap();
    client
}

/// A session that will be told when `path` goes.
fn watcher(server: &Server, path: &str) -> Client {
    let mut client = server.connect();
    client.stat(&Op::exists(path, true)).expect("the znode is there to be watched");
    client
}

/// Waits until the session behind this ticket can no longer be resumed because `path` went.
fn wait_until_gone(watcher: &mut Client, path: &str) {
    watcher.expect_event(DELETED, path);
}

#[test]
fn s01_id_and_password_stay_the_same_over_reattaching() {
    let first = SERVER.connect();
    let session = first.session.clone();
    assert_eq!(session.password.len(), 16);
    assert_ne!(session.password, [0; 16]);
    first.hang_up();
    for _ in 0..3 {
        let again = SERVER.establish(&Handshake::resume(&session));
        assert_eq!(again.session, session);
        again.hang_up();
    }
    SERVER.establish(&Handshake::resume(&session)).close();
}

#[test]
fn s01_reattaching_costs_no_zxid_and_creating_a_session_costs_one() {
    let server = Server::with(SETTINGS);
    let mut client = server.connect();
    client.create("/a", b"").unwrap();
    let before = client.last_zxid;
    let ticket = client.ticket();
    client.hang_up();
    let mut client = server.establish(&ticket);
    client.create("/b", b"").unwrap();
    assert_eq!(client.last_zxid, before + 1);
    let other = server.connect();
    client.create("/c", b"").unwrap();
    assert_eq!(client.last_zxid, before + 3);
    assert_eq!(other.close().zxid, before + 4);
}

#[test]
fn s02_a_wrong_password_is_refused_and_the_session_survives() {
    let client = owner(&SERVER, 30_000, "/s02");
    let ticket = client.ticket();
    client.hang_up();
    let right = ticket.password.clone().unwrap();
    let mut flipped = right.clone();
    flipped[15] ^= 1;
    let longer = [right.as_slice(), &[0]].concat();
    let wrong = [Some(flipped), Some(vec![0; 16]), Some(right[..15].to_vec()), Some(longer), None];
    for password in wrong {
        SERVER.socket().expect_refusal(&Handshake { password, ..ticket.clone() });
    }
    let mut client = SERVER.establish(&ticket);
    assert_eq!(client.exists("/s02").unwrap().ephemeral_owner, client.id());
    client.close();
}

#[test]
fn s03_an_expired_session_is_refused_with_zeros() {
    let client = owner(&SERVER, 500, "/s03");
    let mut watch = watcher(&SERVER, "/s03");
    let ticket = client.ticket();
    client.hang_up();
    wait_until_gone(&mut watch, "/s03");
    SERVER.socket().expect_refusal(&ticket);
    SERVER.socket().expect_refusal(&Handshake { read_only: None, ..ticket });
    watch.close();
}

#[test]
fn s03_a_closed_session_is_refused_with_zeros() {
    let client = SERVER.connect();
    let ticket = client.ticket();
    client.close();
    SERVER.socket().expect_refusal(&ticket);
}

#[test]
fn s04_the_timeout_is_clamped_to_the_servers_bounds() {
    let cases = [
        (i32::MIN, 500),
        (-1, 500),
        (0, 500),
        (499, 500),
        (500, 500),
        (501, 501),
        (40_000, 40_000),
        (40_001, 40_000),
        (i32::MAX, 40_000),
    ];
    for (asked, granted) in cases {
        let client = SERVER.establish(&Handshake::new(asked));
        assert_eq!(client.session.timeout_ms, granted, "asked for {asked}");
        client.close();
    }
}

#[test]
fn s04_the_default_bounds_are_2_and_20_ticks() {
    let server = Server::with("tickTime=300");
    for (asked, granted) in [(1, 600), (5_000, 5_000), (100_000, 6_000)] {
        let client = server.establish(&Handshake::new(asked));
        assert_eq!(client.session.timeout_ms, granted);
        client.close();
    }
}

#[test]
fn s05_reattaching_with_another_timeout_renegotiates_it() {
    let client = owner(&SERVER, 600, "/s05");
    let mut watch = watcher(&SERVER, "/s05");
    let longer = Handshake { timeout_ms: 2_500, ..client.ticket() };
    client.hang_up();
    let client = SERVER.establish(&longer);
    assert_eq!(client.session.timeout_ms, 2_500);
    let silent_since = Instant::now();
    client.hang_up();
    wait_until_gone(&mut watch, "/s05");
    // The last packet was the handshake, sent a moment before its answer was read.
    assert!(silent_since.elapsed() >= Duration::from_millis(2_300), "expired by the old timeout");
    watch.close();
}

#[test]
fn s05_reattaching_with_a_shorter_timeout_shortens_the_wait() {
    let client = owner(&SERVER, 30_000, "/s05b");
    let mut watch = watcher(&SERVER, "/s05b");
    let shorter = Handshake { timeout_ms: 500, ..client.ticket() };
    let client = SERVER.establish(&shorter);
    assert_eq!(client.session.timeout_ms, 500);
    let silent_since = Instant::now();
    client.hang_up();
    wait_until_gone(&mut watch, "/s05b");
    assert!(silent_since.elapsed() < Duration::from_secs(15), "expired by the old timeout");
    watch.close();
}

#[test]
fn s06_a_second_attachment_ends_the_first_connection() {
    let mut first = owner(&SERVER, 30_000, "/s06");
    first.run(&Op::get_data("/s06", true)).unwrap();
    let mut second = SERVER.establish(&first.ticket());
    assert_eq!(second.session, first.session);
    first.socket.expect_end();
    assert_eq!(second.exists("/s06").unwrap().ephemeral_owner, second.id());
    // The watch belonged to the first connection.
    second.set("/s06", b"changed").unwrap();
    second.expect_no_event();
    second.close();
}

#[test]
fn s07_a_write_from_the_stale_connection_ends_it_without_an_error_code() {
    let mut stale = SERVER.connect();
    let mut current = SERVER.establish(&stale.ticket());
    // The server may have closed the socket already; then the write itself may fail.
    let request = support::client::request(1, &Op::create("/s07", b"", 0));
    let _ = stale.socket.write_frame(&request);
    stale.socket.expect_end();
    assert_eq!(current.exists("/s07"), Err(code::NO_NODE));
    current.close();
}

#[test]
fn s07_nothing_of_the_stale_connection_takes_effect_after_the_second_attachment() {
    let mut stale = SERVER.connect();
    stale.create("/s07b", b"").unwrap();
    let writes: Vec<Op> = (0..500).map(|i| Op::create(&format!("/s07b/{i}"), b"", 0)).collect();
    stale.send_all(&writes);
    let mut current = SERVER.establish(&stale.ticket());
    let seen = current.exists("/s07b").unwrap();
    current.create("/s07b/last", b"").unwrap();
    let after = current.exists("/s07b").unwrap();
    assert_eq!(after.cversion, seen.cversion + 1);
    current.close();
}

#[test]
fn s08_a_client_ahead_of_the_server_is_turned_away_without_a_byte() {
    let client = owner(&SERVER, 30_000, "/s08");
    let fresh = Handshake::new(30_000);
    for ahead in [client.last_zxid + 1_000_000, i64::MAX] {
        for ticket in [client.ticket(), fresh.clone()] {
            let mut socket = SERVER.socket();
            socket.write_frame(&Handshake { last_zxid: ahead, ..ticket }.encode()).unwrap();
            socket.expect_end();
        }
    }
    // The session is not touched by that, nor is its connection.
    let mut client = client;
    let seen = client.ping().zxid;
    assert!(seen >= client.last_zxid);
    for last_zxid in [seen, 0, -1, i64::MIN] {
        let ticket = Handshake { last_zxid, ..client.ticket() };
        client = SERVER.establish(&ticket);
    }
    assert_eq!(client.exists("/s08").unwrap().ephemeral_owner, client.id());
    client.close();
}

#[test]
fn s09_an_ephemeral_outlives_a_lost_connection_but_not_the_timeout() {
    let client = owner(&SERVER, 1_000, "/s09");
    let mut watch = watcher(&SERVER, "/s09");
    let ticket = client.ticket();
    client.hang_up();
    sleep(Duration::from_millis(500));
    let mut client = SERVER.establish(&ticket);
    let last_packet = Instant::now();
    assert_eq!(client.exists("/s09").unwrap().ephemeral_owner, client.id());
    client.hang_up();
    wait_until_gone(&mut watch, "/s09");
    let silent = last_packet.elapsed();
    assert!(silent >= Duration::from_millis(1_000), "expired early, after {silent:?}");
    // Timeout plus one tick, and room for a busy machine.
    assert!(silent <= Duration::from_millis(3_000), "expired late, after {silent:?}");
    watch.close();
}

#[test]
fn s09_every_kind_of_request_keeps_the_session_alive() {
    let mut client = owner(&SERVER, 600, "/s09b");
    let requests = [
        Op::exists("/s09b", false),
        Op::set_data("/s09b", b"x", -1),
        Op::get_children("/nowhere", false),
        Op::sync("/"),
        Op::who_am_i(),
        Op::multi(&[Op::check("/s09b", -1)]),
    ];
    for op in requests.iter().cycle().take(12) {
        sleep(Duration::from_millis(200));
        client.call(op);
    }
    assert_eq!(client.exists("/s09b").unwrap().ephemeral_owner, client.id());
    client.close();
}

#[test]
fn s11_after_a_restart_sessions_resume_with_their_ephemerals() {
    let mut server = Server::with(SETTINGS);
    let mut client = owner(&server, 30_000, "/s11");
    client.create("/s11-kept", b"kept").unwrap();
    let session = client.session.clone();
    for round in 0..4 {
        let graceful = round % 2 == 0;
        if graceful {
            server.stop();
        } else {
            server.kill();
        }
        client.socket.expect_end();
        server.restart();
        let ticket = Handshake { last_zxid: client.last_zxid, ..client.ticket() };
        client = server.establish(&ticket);
        assert_eq!(client.session, session);
        assert_eq!(client.exists("/s11").unwrap().ephemeral_owner, client.id());
        assert_eq!(client.set("/s11", b"again").unwrap().version, round + 1);
    }
    client.close();
    assert_eq!(server.connect().exists("/s11"), Err(code::NO_NODE));
}

#[test]
fn s11_after_a_restart_every_session_has_its_whole_timeout_again() {
    let mut server = Server::with(SETTINGS);
    let client = owner(&server, 1_500, "/s11b");
    client.hang_up();
    sleep(Duration::from_millis(1_000));
    server.kill();
    let restarted = Instant::now();
    server.restart();
    let mut watch = watcher(&server, "/s11b");
    wait_until_gone(&mut watch, "/s11b");
    let alive = restarted.elapsed();
    assert!(alive >= Duration::from_millis(1_500), "expired {alive:?} after the restart");
    watch.close();
}

#[test]
fn s11_a_closed_or_expired_session_stays_so_over_a_restart() {
    let mut server = Server::with(SETTINGS);
    let closed = owner(&server, 30_000, "/s11c");
    let closed_ticket = closed.ticket();
    closed.close();
    let expired = owner(&server, 500, "/s11d");
    let mut watch = watcher(&server, "/s11d");
    let expired_ticket = expired.ticket();
    expired.hang_up();
    wait_until_gone(&mut watch, "/s11d");
    server.kill();
    server.restart();
    server.socket().expect_refusal(&closed_ticket);
    server.socket().expect_refusal(&expired_ticket);
    let mut client = server.connect();
    assert_eq!(client.children("/").unwrap(), ["zookeeper"]);
    client.close();
}

#[test]
fn s12_closing_answers_first_and_takes_all_ephemerals_with_one_zxid() {
    let mut client = SERVER.connect();
    let mut watch = SERVER.connect();
    let parents = ["/s12", "/s12/a", "/s12/b"];
    for parent in parents {
        client.create(parent, b"").unwrap();
    }
    let paths: Vec<String> =
        (0..30).map(|i| format!("{}/e{i}", parents[i % parents.len()])).collect();
    for path in &paths {
        client.create_mode(path, b"", EPHEMERAL).unwrap();
        watch.stat(&Op::exists(path, true)).unwrap();
    }
    let before = client.exists("/s12").unwrap();
    let zxid = client.close().zxid;
    let mut gone: Vec<String> = (0..30)
        .map(|_| {
            let event = watch.event();
            assert_eq!((event.kind, event.zxid), (DELETED, zxid));
            event.path
        })
        .collect();
    gone.sort();
    let mut expected = paths.clone();
    expected.sort();
    assert_eq!(gone, expected);
    for parent in parents {
        assert_eq!(watch.exists(parent).unwrap().pzxid, zxid);
    }
    let after = watch.exists("/s12").unwrap();
    assert_eq!(after.cversion, before.cversion + 10);
    watch.close();
}

#[test]
fn s13_expiry_notifies_of_the_znode_and_of_its_parents_children() {
    let mut watch = SERVER.connect();
    watch.create("/s13", b"").unwrap();
    let client = owner(&SERVER, 500, "/s13/e");
    watch.stat(&Op::exists("/s13/e", true)).unwrap();
    watch.run(&Op::get_children("/s13", true)).unwrap();
    client.hang_up();
    let zxid = watch.expect_event(DELETED, "/s13/e");
    assert_eq!(watch.expect_event(CHILDREN_CHANGED, "/s13"), zxid);
    let parent = watch.exists("/s13").unwrap();
    assert_eq!((parent.pzxid, parent.num_children), (zxid, 0));
    watch.close();
}

#[test]
fn s14_a_client_that_only_pings_lives_for_ten_timeouts() {
    let mut client = owner(&SERVER, 500, "/s14");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(5_000) {
        sleep(Duration::from_millis(160));
        client.ping();
    }
    assert_eq!(client.exists("/s14").unwrap().ephemeral_owner, client.id());
    client.close();
}

#[test]
fn s15_a_client_that_slept_past_its_timeout_finds_its_connection_closed_and_is_told() {
    let mut client = owner(&SERVER, 500, "/s15");
    // Says nothing, as a stopped process would: its socket stays open.
    client.socket.expect_end();
    SERVER.socket().expect_refusal(&client.ticket());
    let mut other = SERVER.connect();
    assert_eq!(other.exists("/s15"), Err(code::NO_NODE));
    other.close();
}

#[test]
fn s15_a_server_that_slept_expires_nobody_whose_ping_is_waiting() {
    if tenure_only("ZooKeeper may expire sessions whose pings its stopped process has not read") {
        return;
    }
    let server = Server::with(SETTINGS);
    let mut clients: Vec<Client> =
        (0..20).map(|i| owner(&server, 600, &format!("/s15-{i}"))).collect();
    server.pause();
    for _ in 0..9 {
        sleep(Duration::from_millis(200));
        for client in &mut clients {
            client.send_as(support::client::PING_XID, &Op::ping());
        }
    }
    server.resume();
    for (i, client) in clients.iter_mut().enumerate() {
        for _ in 0..9 {
            assert_eq!(client.reply().err, 0);
        }
        let path = format!("/s15-{i}");
        assert_eq!(client.exists(&path).unwrap().ephemeral_owner, client.id());
    }
}

#[test]
fn s16_requests_after_close_never_execute() {
    let mut client = SERVER.connect();
    let mut ops = vec![Op::create("/s16-before", b"", 0), Op::close_session()];
    ops.extend((0..20).map(|i| Op::create(&format!("/s16-after{i}"), b"", i % 2)));
    client.send_all(&ops);
    assert_eq!(client.reply().xid, 1);
    let reply = client.reply();
    assert_eq!((reply.xid, reply.err), (2, 0));
    client.expect_end_of_session();
    let mut other = SERVER.connect();
    let names = other.children("/").unwrap();
    assert!(names.contains(&"s16-before".to_owned()));
    assert!(!names.iter().any(|name| name.starts_with("s16-after")), "{names:?}");
    other.close();
}

#[test]
fn s17_an_ephemeral_created_just_before_close_does_not_stay() {
    let mut ops: Vec<Op> =
        (0..20).map(|i| Op::create(&format!("/s17-{i}"), b"", EPHEMERAL)).collect();
    ops.push(Op::multi(&[Op::create("/s17-multi", b"", EPHEMERAL)]));
    ops.push(Op::close_session());
    for _ in 0..5 {
        let mut client = SERVER.connect();
        for xid in client.send_all(&ops) {
            let reply = client.reply();
            assert_eq!((reply.xid, reply.err), (xid, 0));
        }
        client.socket.expect_end();
        let mut other = SERVER.connect();
        let names = other.children("/").unwrap();
        assert!(!names.iter().any(|name| name.starts_with("s17-")), "{names:?}");
        other.close();
    }
}

#[test]
fn s18_the_old_handshake_without_read_only_gets_the_old_answer() {
    let old = Handshake { read_only: None, ..Handshake::new(30_000) };
    assert_eq!(old.encode().len(), 44);
    let mut socket = SERVER.socket();
    socket.write_frame(&old.encode()).unwrap();
    let answer = socket.read_frame().unwrap();
    assert_eq!(answer.len(), 36);
    let mut fields = Fields(&answer);
    assert_eq!((fields.int(), fields.int()), (0, 30_000));
    assert_ne!(fields.long(), 0);
    assert_eq!(fields.buffer().unwrap().len(), 16);

    let new = Handshake::new(30_000);
    assert_eq!(new.encode().len(), 45);
    socket = SERVER.socket();
    socket.write_frame(&new.encode()).unwrap();
    let answer = socket.read_frame().unwrap();
    assert_eq!((answer.len(), answer[36]), (37, 0));
}

#[test]
fn s20_ten_thousand_sessions_expire_at_once_without_stalling_pings() {
    // Other servers may need longer than the timeout to open all of them.
    let sessions = if foreign() { 1_000 } else { 10_000 };
    let mut server = Server::with(SETTINGS);
    let mut setup = server.connect();
    setup.create("/s20", b"").unwrap();
    let handshake = Handshake::new(15_000).encode();
    let create = Op::create("/s20/e", b"", ops::EPHEMERAL_SEQUENTIAL);
    let create = support::client::request(1, &create);
    let opening = [support::client::framed(&handshake), support::client::framed(&create)].concat();
    for _ in 0..sessions / 500 {
        let mut sockets: Vec<_> = (0..500).map(|_| server.socket()).collect();
        for socket in &mut sockets {
            socket.write(&opening).unwrap();
        }
        for socket in &mut sockets {
            socket.read_frame().expect("a session");
            socket.read_frame().expect("an ephemeral");
        }
    }
    // After a restart they all count from the same instant.
    server.kill();
    server.restart();
    let mut client = server.connect();
    let mut left = client.exists("/s20").unwrap().num_children;
    assert_eq!(left, sessions);
    let mut slowest = Duration::ZERO;
    while left > 0 {
        let sent = Instant::now();
        client.ping();
        slowest = slowest.max(sent.elapsed());
        left = client.exists("/s20").unwrap().num_children;
    }
    println!("slowest ping while {sessions} sessions expired: {slowest:?}");
    assert!(slowest < Duration::from_millis(1_500), "a ping took {slowest:?}");
    client.close();
}

/// What a handshake may hold beside the ordinary.
#[test]
fn unusual_handshakes_are_accepted() {
    let usual = Handshake::new(30_000);
    let unusual = [
        Handshake { protocol: 7, ..usual.clone() },
        Handshake { protocol: -1, ..usual.clone() },
        Handshake { password: None, ..usual.clone() },
        Handshake { password: Some(Vec::new()), ..usual.clone() },
        Handshake { password: Some(vec![9; 32]), ..usual.clone() },
        Handshake { read_only: Some(true), ..usual.clone() },
    ];
    for handshake in unusual {
        let client = SERVER.establish(&handshake);
        let Established { protocol, timeout_ms, ref password, read_only, .. } = client.session;
        assert_eq!((protocol, timeout_ms, password.len()), (0, 30_000, 16));
        assert_eq!(read_only, Some(false));
        client.close();
    }
}

/// Notifications and replies of one connection form one stream in the order of changes.
#[test]
fn the_event_of_ones_own_write_comes_before_its_reply() {
    let mut client = SERVER.connect();
    client.create("/own", b"").unwrap();
    client.run(&Op::get_data("/own", true)).unwrap();
    let xid = client.send(&Op::set_data("/own", b"1", -1));
    let Ok(Frame::Event(event)) = client.try_frame() else { panic!("the event comes first") };
    let reply = client.reply();
    assert_eq!((reply.xid, reply.err, reply.zxid), (xid, 0, event.zxid));
    client.close();
}

#[test]
fn ends_of_sessions_before_a_restart_are_no_news() {
    if tenure_only("its log is looked at") {
        return;
    }
    let mut server = Server::with("tickTime=100");
    let client = server.establish(&Handshake::new(200));
    let id = client.id();
    drop(client);
    let told = |server: &Server| server.log().matches("session ended").count();
    while told(&server) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    server.kill();
    server.restart();
    let mut witness = server.connect();
    witness.create("/written", b"").unwrap();
    assert_eq!(told(&server), 1, "{id:x}:\n{}", server.log());
    let metrics = server.word("mntr");
    assert!(!metrics.contains("stale_sessions_expired\t1"), "{metrics}");
    witness.close();
}
