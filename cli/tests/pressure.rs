//! Under pressure: limits of tenants and in all, storms of handshakes, floods, memory.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Type};
use support::client::{Established, framed, request};
use support::{Client, Handshake, Op, Server, Socket};

/// There is no room for what was asked.
const NO_ROOM: i32 = -125;
/// A request waited too long.
const THROTTLED: i32 = -127;
const EPHEMERAL: i32 = 1;
const PERSISTENT_WATCH: i32 = 0;

const DEADLINE: Duration = Duration::from_secs(30);

/// A socket from another loopback address than that of other clients.
fn from_address(server: &Server, last: u8) -> Socket {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0);
    socket.bind(&source.into()).unwrap();
    socket.connect(&server.address().into()).unwrap();
    Socket::new(TcpStream::from(socket))
}

/// A session from another loopback address.
fn neighbour(server: &Server) -> Client {
    Client::establish(from_address(server, 2), &Handshake::new(30_000))
}

/// Whether the server ends the connection without a word.
fn is_sent_away(mut socket: Socket, handshake: &Handshake) -> bool {
    socket.write_frame(&handshake.encode()).unwrap();
    socket.read_frame().is_err()
}

/// A number in `mntr`.
fn number(server: &Server, name: &str) -> u64 {
    let text = server.word("mntr");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("zk_{name}\t")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Tries until it works; what others do to make it so takes a moment.
fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(Instant::now() < deadline, "{what}");
    }
}

fn try_connect(mut socket: Socket) -> Option<(Socket, Established)> {
    let session = socket.try_handshake(&Handshake::new(30_000)).ok()?;
    Some((socket, session))
}

#[test]
fn an_address_may_have_so_many_sessions_and_others_theirs() {
    let server = Server::with("tickTime=2000\ntenure.limits.sessions.perAddress=2");
    let first = server.connect();
    let mut second = server.connect();
    assert!(is_sent_away(server.socket(), &Handshake::new(30_000)));
    neighbour(&server).close();
    // A session counts while it lives, connected or not; who comes back to it is let in.
    let ticket = first.ticket();
    first.hang_up();
    assert!(is_sent_away(server.socket(), &Handshake::new(30_000)));
    let first = server.establish(&ticket);
    first.close();
    let (socket, session) = eventually("no place was freed", || try_connect(server.socket()));
    second.ping();
    Client::over(socket, session).close();
    second.close();
    assert!(number(&server, "tenure_limit_sessions_reached") >= 2);
    assert!(server.log().contains("limit=\"sessions\" tenant=\"127.0.0.1\""), "{}", server.log());
}

#[test]
fn the_ensemble_has_so_many_sessions_also_after_a_restart() {
    let settings = "tickTime=2000\ntenure.limits.sessions.total=2";
    let mut server = Server::with(settings);
    let (first, second) = (server.connect(), neighbour(&server));
    assert!(is_sent_away(server.socket(), &Handshake::new(30_000)));
    let tickets = [first.ticket(), second.ticket()];
    server.kill();
    server.restart();
    assert!(is_sent_away(server.socket(), &Handshake::new(30_000)));
    for ticket in &tickets {
        server.establish(ticket).close();
    }
    server.connect().close();
}

#[test]
fn znodes_in_all_and_ephemerals_of_a_session_are_limited() {
    let server = Server::with("tickTime=2000\ntenure.limits.ephemerals.perSession=2");
    let mut client = server.connect();
    for path in ["/a", "/b"] {
        client.create_mode(path, b"", EPHEMERAL).unwrap();
    }
    assert_eq!(client.create_mode("/c", b"", EPHEMERAL), Err(NO_ROOM));
    // As a whole or not at all.
    let both = [Op::create("/p", b"", 0), Op::create("/c", b"", EPHEMERAL)];
    client.multi(&both).unwrap();
    assert!(client.exists("/p").is_err());
    client.create("/p", b"").unwrap();
    client.delete("/a").unwrap();
    client.create_mode("/c", b"", EPHEMERAL).unwrap();
    let mut other = server.connect();
    other.create_mode("/d", b"", EPHEMERAL).unwrap();
    other.close();
    let mut server = server;
    let znodes = number(&server, "znode_count");
    // The count in `mntr` has the root twice.
    server.stop();
    server.configure(&format!("tickTime=2000\ntenure.limits.znodes.total={znodes}"));
    server.restart();
    let mut client = server.connect();
    client.create("/last", b"").unwrap();
    assert_eq!(client.create("/more", b""), Err(NO_ROOM));
    client.set("/p", &[1; 1000]).unwrap();
    client.delete("/last").unwrap();
    client.create("/more", b"").unwrap();
    client.close();
    assert!(number(&server, "tenure_limit_znodes_reached") >= 1);
}

#[test]
fn an_address_may_watch_so_many_paths() {
    let server = Server::with("tickTime=2000\ntenure.limits.watches.perAddress=3");
    let mut client = server.connect();
    let mut second = server.connect();
    for path in ["/a", "/b", "/c", "/d"] {
        client.create(path, b"").unwrap();
    }
    client.run(&Op::get_data("/a", true)).unwrap();
    client.run(&Op::exists("/b", true)).unwrap();
    second.run(&Op::get_children("/c", true)).unwrap();
    for refused in [
        Op::get_data("/d", true),
        Op::exists("/none", true),
        Op::get_children("/d", true),
        Op::get_children2("/d", true),
        Op::add_watch("/d", PERSISTENT_WATCH),
    ] {
        assert_eq!(client.call(&refused).err, NO_ROOM);
        assert_eq!(second.call(&refused).err, NO_ROOM);
    }
    // Without a watch, on what is watched already, and for others all is as ever.
    client.run(&Op::get_data("/d", false)).unwrap();
    client.run(&Op::get_children("/a", true)).unwrap();
    let mut other = neighbour(&server);
    other.run(&Op::get_data("/d", true)).unwrap();
    other.close();
    // A watch that fired is none any more.
    second.set("/b", b"1").unwrap();
    client.run(&Op::get_data("/d", true)).unwrap();
    client.close();
    eventually("what a closed session watched counts no more", || {
        second.run(&Op::get_data("/d", true)).ok()
    });
    second.close();
    assert!(number(&server, "tenure_limit_watches_reached") >= 10);
}

#[test]
fn watches_set_again_are_not_refused() {
    let server = Server::with("tickTime=2000\ntenure.limits.watches.total=1");
    let mut client = server.connect();
    client.create("/a", b"").unwrap();
    client.run(&Op::set_watches(client.last_zxid, &["/a", "/"], &["/none"], &[])).unwrap();
    assert_eq!(client.call(&Op::get_data("/zookeeper", true)).err, NO_ROOM);
    client.set("/a", b"1").unwrap();
    client.expect_event(support::client::DATA_CHANGED, "/a");
    client.close();
}

#[test]
fn who_asks_too_often_waits_and_keeps_its_sessions() {
    let settings = "tickTime=500\ntenure.limits.requestsPerSecond.perAddress=1";
    let server = Server::with(settings);
    // It waits for as long as its session lives without being heard, several times.
    let mut flood = server.establish(&Handshake::new(1000));
    let mut idle = server.connect();
    let mut other = neighbour(&server);
    let ops = vec![Op::exists("/", false); 4];
    let xids = flood.send_all(&ops);
    for xid in xids {
        // Pings are answered meanwhile, and others have limits of their own.
        idle.ping();
        other.exists("/").unwrap();
        let reply = flood.reply();
        assert_eq!((reply.xid, reply.err), (xid, 0));
    }
    idle.close();
    flood.close();
    other.close();
    assert!(number(&server, "tenure_limit_requests_reached") >= 1);
}

#[test]
fn a_request_that_waited_too_long_is_refused_in_its_turn() {
    let settings = "tickTime=2000\nthrottledOpWaitTime=50\n\
                    tenure.limits.requestsPerSecond.perAddress=1";
    let server = Server::with(settings);
    let mut client = server.connect();
    let ops = [
        Op::create("/a", b"", 0),
        Op::exists("/", false),
        Op::create("/b", b"", 0),
        Op::ping(),
        Op::exists("/b", false),
    ];
    let mut bytes = Vec::new();
    for (xid, op) in (1..).zip(&ops) {
        let xid = if xid == 4 { support::client::PING_XID } else { xid };
        bytes.extend_from_slice(&framed(&request(xid, op)));
    }
    client.socket.write(&bytes).unwrap();
    let replies: Vec<_> = (0..5).map(|_| client.reply()).map(|r| (r.xid, r.err)).collect();
    assert_eq!(replies, [(1, 0), (2, THROTTLED), (3, THROTTLED), (-2, 0), (5, THROTTLED)]);
    let mut other = neighbour(&server);
    assert!(other.exists("/b").is_err());
    other.close();
    assert_eq!(number(&server, "throttled_ops"), 4);
}

#[test]
fn requests_under_way_are_limited_and_all_answered_in_order() {
    let settings = "tickTime=2000\ntenure.limits.outstandingRequests.perAddress=2\n\
                    tenure.limits.unsentKiB.perAddress=64";
    let server = Server::with(settings);
    let mut clients: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    clients[0].create("/x", &[1; 1000]).unwrap();
    let ops: Vec<Op> = (0..60)
        .flat_map(|i| [Op::set_data("/x", &[i; 1000], -1), Op::get_data("/x", false)])
        .collect();
    let xids: Vec<Vec<i32>> = clients.iter_mut().map(|client| client.send_all(&ops)).collect();
    for (client, xids) in clients.iter_mut().zip(xids) {
        for xid in xids {
            let reply = client.reply();
            assert_eq!((reply.xid, reply.err), (xid, 0));
        }
    }
    clients.into_iter().for_each(|client| drop(client.close()));
    assert!(number(&server, "tenure_limit_outstanding_reached") >= 1);
}

#[test]
fn large_requests_under_way_are_limited() {
    let settings = "tickTime=2000\nlargeRequestThreshold=10000\nlargeRequestMaxBytes=100000";
    let server = Server::with(settings);
    let mut witness = server.connect();
    witness.create("/x", &[1; 50_000]).unwrap();
    // Together they are too many, one after the other they are not.
    for _ in 0..5 {
        witness.set("/x", &[2; 50_000]).unwrap();
    }
    let mut greedy = neighbour(&server);
    let ops = vec![Op::set_data("/x", &[3; 50_000], -1); 200];
    eventually("large requests without end", || {
        let _ = greedy.try_send_all(&ops);
        (number(&server, "large_requests_rejected") > 0).then_some(())
    });
    // All that waited is answered or given up, and counts no more.
    eventually("no room for a large request", || {
        let mut client = server.connect();
        client.send(&Op::set_data("/x", &[4; 50_000], -1));
        client.try_reply().ok()
    });
    witness.exists("/x").unwrap();
    witness.close();
}

#[test]
fn in_a_storm_those_come_in_who_were_there_before() {
    let server = Server::with(
        "tickTime=2000\nconnection_throttle_tokens=7\nconnection_throttle_fill_time=100000000\n\
         connection_throttle_weight_enabled=true",
    );
    // Three tokens for a new session, two for one to come back to, as whoever looked whether the
    // server has started took them.
    let client = server.connect();
    let ticket = client.ticket();
    client.hang_up();
    assert!(is_sent_away(server.socket(), &Handshake::new(30_000)));
    let mut client = server.establish(&ticket);
    client.ping();
    assert!(is_sent_away(server.socket(), &ticket));
    client.ping();
    // Words are no handshakes.
    assert_eq!(number(&server, "connection_drop_count"), 2);
    client.close();
}

#[test]
fn of_a_thousand_handshakes_at_once_none_is_forgotten() {
    let server = Server::start();
    let client = server.connect();
    let ticket = client.ticket();
    client.hang_up();
    let mut sockets: Vec<Socket> = (0..1000)
        .map(|i| {
            let mut socket = from_address(&server, 1 + (i % 3) as u8);
            socket.write_frame(&Handshake::new(30_000).encode()).unwrap();
            socket
        })
        .collect();
    // Somebody comes back meanwhile.
    let mut client = server.establish(&ticket);
    client.ping();
    for socket in &mut sockets {
        assert_ne!(socket.read_established().unwrap().session_id, 0);
    }
    client.close();
}

#[test]
fn short_of_memory_what_grows_is_refused_and_all_else_goes_on() {
    let server = Server::with("tickTime=500\ntenure.limits.memory=128M");
    let mut session = server.establish(&Handshake::new(1000));
    session.create("/small", &[1; 100]).unwrap();
    session.create_mode("/mine", b"", EPHEMERAL).unwrap();
    let big = vec![7; 1_000_000];
    let path = |i: usize| format!("/big-{i}");
    let mut created = 0;
    let error = eventually("memory without end", || {
        session.ping();
        created += 1;
        session.create(&path(created), &big).err()
    });
    created -= 1;
    assert_eq!(error, NO_ROOM);
    assert!((20..200).contains(&created), "{created}");
    // Nothing that grows.
    assert_eq!(session.set("/small", &[1; 101]).err(), Some(NO_ROOM));
    assert_eq!(session.create("/x", b"").err(), Some(NO_ROOM));
    let multi = [Op::set_data("/small", b"", -1), Op::create("/x", b"", 0)];
    session.multi(&multi).unwrap();
    // All else.
    assert_eq!(session.get("/small").unwrap().0, Some(vec![1; 100]));
    session.set("/small", &[2; 100]).unwrap();
    session.set("/small", b"").unwrap();
    session.ping();
    neighbour(&server).close();
    let other = server.connect();
    let ticket = other.ticket();
    other.hang_up();
    server.establish(&ticket).close();
    assert_eq!(number(&server, "tenure_refuses_growth"), 1);
    assert!(number(&server, "tenure_limit_memory_reached") >= 3);
    // Until enough is deleted.
    for i in 1..=created / 2 {
        session.delete(&path(i)).unwrap();
    }
    eventually("growth is refused although there is room", || {
        session.ping();
        session.create("/x", b"").ok()
    });
    assert_eq!(number(&server, "tenure_refuses_growth"), 0);
    session.exists("/mine").unwrap();
    session.close();
    let log = server.log();
    assert!(log.contains("short of memory") && log.contains("enough memory again"), "{log}");
}

#[test]
fn who_never_reads_its_notifications_is_cut_off() {
    let server = Server::start();
    let mut witness = server.connect();
    let long = format!("/{}", "x".repeat(500_000));
    witness.create(&long, b"").unwrap();
    let mut deaf = neighbour(&server);
    deaf.add_watch(&long, PERSISTENT_WATCH).unwrap();
    eventually("a client that never reads stays", || {
        witness.set(&long, b"").unwrap();
        (number(&server, "tenure_slow_readers_closed") == 1).then_some(())
    });
    witness.close();
    let log = server.log();
    assert!(log.contains("slow_reader_closed") && log.contains("127.0.0.2:"), "{log}");
}

/// Keeps a connection's pipeline full until told to stop.
fn flood(mut client: Client, op: &Op, stop: &AtomicBool) {
    let ops = vec![op.clone(); 400];
    let mut unanswered = client.send_all(&ops).len();
    while !stop.load(Ordering::Relaxed) {
        unanswered += client.send_all(&ops).len();
        for _ in 0..ops.len() {
            assert_eq!(client.reply().err, 0);
            unanswered -= 1;
        }
    }
    for _ in 0..unanswered {
        assert_eq!(client.reply().err, 0);
    }
    client.close();
}

#[test]
fn a_flood_from_one_address_ends_nobody_elses_session() {
    let server = Server::with("tickTime=500");
    let mut witness = neighbour(&server);
    witness.create("/x", &[1; 100]).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let flooding: Vec<_> = (0..12)
        .map(|i| {
            let (client, stop) = (server.connect(), Arc::clone(&stop));
            let op = match i % 2 {
                0 => Op::set_data("/x", &[2; 100], -1),
                _ => Op::get_data("/x", false),
            };
            std::thread::spawn(move || flood(client, &op, &stop))
        })
        .collect();
    // Sessions of a second, over several of these, that have one request or ping at a time.
    let mut quiet: Vec<Client> = (0..10)
        .map(|_| Client::establish(from_address(&server, 3), &Handshake::new(1000)))
        .collect();
    for (i, client) in quiet.iter_mut().enumerate() {
        client.create_mode(&format!("/e{i}"), b"", EPHEMERAL).unwrap();
    }
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        for client in &mut quiet {
            client.ping();
        }
        quiet[0].set("/x", b"").unwrap();
        quiet[1].get("/x").unwrap();
    }
    for i in 0..quiet.len() {
        witness.exists(&format!("/e{i}")).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    flooding.into_iter().for_each(|thread| thread.join().unwrap());
    quiet.into_iter().for_each(|client| drop(client.close()));
    witness.close();
}
