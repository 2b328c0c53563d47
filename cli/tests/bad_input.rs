//! Input that no proper client sends: the server answers or closes, and keeps serving the others.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::io::ErrorKind;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use support::client::{framed, request};
use support::ops::{ALL, Acl, open};
use support::record::{Body, Fields};
use support::{Client, Handshake, Op, Random, Server, code, foreign, tenure_only};

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// The longest frame a server takes by default, `jute.maxbuffer`.
const MAX_FRAME: i32 = 0xf_ffff;

/// Another session must still be served.
fn assert_serving(witness: &mut Client) {
    assert!(witness.exists("/").unwrap().num_children >= 1);
}

#[test]
fn an_unknown_opcode_is_answered_and_ends_the_connection() {
    for opcode in [0, -1, 10, 13, 23, 99, 108, 12_345, i32::MAX, i32::MIN] {
        let mut client = SERVER.connect();
        let xid = client.send(&Op::new(opcode, Body::new().string("/").int(-1)));
        let reply = client.reply();
        assert_eq!((reply.xid, reply.zxid, reply.err), (xid, -1, code::UNIMPLEMENTED), "{opcode}");
        client.socket.expect_end();
        // The session is none the worse for it.
        SERVER.establish(&client.ticket()).close();
    }
}

#[test]
fn clients_may_not_create_sessions_or_delete_containers_by_request() {
    if tenure_only("ZooKeeper executes both of these internal requests") {
        return;
    }
    let mut client = SERVER.connect();
    client.create("/precious", b"").unwrap();
    let requests =
        [Op::new(20, Body::new().string("/precious")), Op::new(-10, Body::new().int(30_000))];
    for op in requests {
        let mut stranger = SERVER.connect();
        let reply = stranger.call(&op);
        assert_ne!(reply.err, 0, "operation {}", op.code);
    }
    client.exists("/precious").unwrap();
    client.close();
}

#[test]
fn a_body_that_does_not_decode_is_answered_and_the_connection_stays() {
    let mut client = SERVER.connect();
    let path = Body::new().string("/");
    let bad = [
        (1, Body::new()),
        (1, path.clone()),
        (1, path.clone().buffer(None)),
        (1, path.clone().buffer(None).int(1).int(ALL)),
        (1, path.clone().buffer(None).int(i32::MAX)),
        (2, path.clone()),
        (3, path.clone()),
        (3, Body::new().int(1_000_000)),
        (3, Body::new().int(-2).bool(false)),
        (3, Body::new().int(5).raw(b"/")),
        (4, Body::new()),
        (5, path.clone()),
        (5, path.clone().int(-7).int(0)),
        (5, path.clone().int(i32::MAX)),
        (6, Body::new()),
        (7, path.clone().int(1).int(ALL).string("world")),
        (8, Body::new().int(3)),
        (9, Body::new()),
        (12, path.clone()),
        (14, Body::new()),
        (14, Body::new().int(1)),
        (14, Body::new().int(1).bool(false).int(-1)),
        (14, Body::new().int(2).bool(false).int(-1).string("/x")),
        (15, path.clone()),
        (16, Body::new().string("")),
        (17, path.clone()),
        (18, path.clone()),
        (19, path.clone()),
        (21, Op::create("/x", b"", 5).body),
        (22, Body::new().int(4)),
        (101, Body::new().long(0).int(1)),
        (103, Body::new()),
        (104, Body::new().int(9)),
        (105, Body::new().long(0).int(0).int(0)),
        (106, path.clone()),
    ];
    for (opcode, body) in bad {
        let what = format!("operation {opcode} with {body:?}");
        let reply = client.call(&Op::new(opcode, body));
        assert_eq!(reply.err, code::MARSHALLING, "{what}");
        client.ping();
    }
    client.close();
}

#[test]
fn path_bytes_that_are_no_text_harm_nothing() {
    let mut client = SERVER.connect();
    for bytes in [&b"/\xff"[..], b"/\xc3", b"/\xed\xa0\xbd\xed\xb8\x80", b"/\xf0\x9f\x98\x80"] {
        let path = Body::new().buffer(Some(bytes));
        let create = Op::create_with(1, "", None, &open(), 0).body.0[4..].to_vec();
        let reply = client.call(&Op::new(1, path.clone().raw(&create)));
        let refused = matches!(reply.err, code::BAD_ARGUMENTS | code::MARSHALLING);
        assert!(refused, "{bytes:?} gave {}", reply.err);
        let reply = client.call(&Op::new(3, path.bool(false)));
        assert!(matches!(reply.err, code::NO_NODE | code::MARSHALLING), "{}", reply.err);
    }
    client.close();
}

#[test]
fn a_frame_with_an_impossible_length_ends_its_connection() {
    let mut witness = SERVER.connect();
    for length in [-1, i32::MIN, MAX_FRAME + 1, i32::MAX, 0] {
        let mut client = SERVER.connect();
        client.socket.write(&length.to_be_bytes()).unwrap();
        client.socket.expect_end();
        let mut stranger = SERVER.socket();
        stranger.write(&length.to_be_bytes()).unwrap();
        stranger.expect_end();
    }
    assert_serving(&mut witness);
    witness.close();
}

#[test]
fn a_frame_too_short_for_a_header_ends_its_connection() {
    let mut witness = SERVER.connect();
    for length in 1..8 {
        let mut client = SERVER.connect();
        client.socket.write_frame(&vec![0; length]).unwrap();
        client.socket.expect_end();
    }
    for length in [1, 8, 20, 27] {
        let mut stranger = SERVER.socket();
        stranger.write_frame(&vec![0; length]).unwrap();
        stranger.expect_end();
    }
    assert_serving(&mut witness);
    witness.close();
}

#[test]
fn the_longest_frame_is_taken() {
    let mut client = SERVER.connect();
    let around = request(1, &Op::set_data("/", b"", -1)).len();
    let data = vec![1; MAX_FRAME as usize - around];
    let frame = request(1, &Op::set_data("/none", &data[..data.len() - 4], -1));
    assert_eq!(frame.len(), MAX_FRAME as usize);
    client.socket.write_frame(&frame).unwrap();
    assert_eq!(client.reply().err, code::NO_NODE);
    client.ping();
    client.close();
}

#[test]
fn frames_that_arrive_byte_by_byte_are_served() {
    let mut socket = SERVER.socket();
    for byte in framed(&Handshake::new(30_000).encode()) {
        socket.write(&[byte]).unwrap();
    }
    let answer = socket.read_frame().unwrap();
    assert_eq!(answer.len(), 37);
    let frame = framed(&request(5, &Op::exists("/", false)));
    for byte in frame.repeat(3) {
        socket.write(&[byte]).unwrap();
    }
    for _ in 0..3 {
        let reply = socket.read_frame().unwrap();
        let mut fields = Fields(&reply);
        assert_eq!((fields.int(), fields.long() > 0, fields.int()), (5, true, 0));
    }
}

#[test]
fn a_client_that_hangs_up_in_the_middle_of_a_frame_is_forgotten() {
    let mut witness = SERVER.connect();
    let frame = framed(&request(1, &Op::create("/half", b"data", 0)));
    for cut in 1..frame.len() {
        let mut client = SERVER.connect();
        client.socket.write(&frame[..cut]).unwrap();
        client.hang_up();
    }
    assert_eq!(witness.exists("/half"), Err(code::NO_NODE));
    witness.close();
}

#[test]
fn a_handshake_with_pipelined_requests_is_answered_in_order() {
    let mut socket = SERVER.socket();
    let mut bytes = framed(&Handshake::new(30_000).encode());
    for xid in 1..=50 {
        bytes.extend(framed(&request(xid, &Op::exists("/", false))));
    }
    socket.write(&bytes).unwrap();
    assert_eq!(socket.read_frame().unwrap().len(), 37);
    for xid in 1..=50 {
        assert_eq!(Fields(&socket.read_frame().unwrap()).int(), xid);
    }
}

#[test]
fn a_refused_handshake_with_pipelined_requests_is_still_readable() {
    let mut bytes = framed(&Handshake { session_id: 77, ..Handshake::new(30_000) }.encode());
    for xid in 1..=50 {
        bytes.extend(framed(&request(xid, &Op::create("/never", b"", 0))));
    }
    let mut socket = SERVER.socket();
    socket.write(&bytes).unwrap();
    let answer = socket.read_frame().expect("the refusal arrives before the end");
    assert!(answer[4..36].iter().all(|byte| *byte == 0 || *byte == 16), "{answer:?}");
    socket.expect_end();
    let mut client = SERVER.connect();
    assert_eq!(client.exists("/never"), Err(code::NO_NODE));
    client.close();
}

#[test]
fn odd_session_ids_are_unknown_sessions() {
    for session_id in [-1, i64::MIN, i64::MAX, 1, 0x100_0000_0000_0000] {
        for password in [Some(vec![0; 16]), Some(Vec::new()), None, Some(vec![255; 1_000])] {
            let handshake = Handshake { session_id, password, ..Handshake::new(30_000) };
            SERVER.socket().expect_refusal(&handshake);
        }
    }
}

#[test]
fn xids_come_back_as_they_were() {
    let mut client = SERVER.connect();
    for xid in [0, 7, 7, i32::MAX, i32::MIN, -3, -100, 1] {
        client.send_as(xid, &Op::exists("/", false));
        assert_eq!(client.reply().xid, xid);
    }
    // A ping is known by its operation, not by its xid.
    client.send_as(99, &Op::ping());
    assert_eq!(client.reply().xid, -2);
    client.close();
}

/// Ordinary requests, to be damaged.
fn corpus() -> Vec<Vec<u8>> {
    let multi = [Op::create("/fuzz/m", b"x", 0), Op::delete("/fuzz/m", -1)];
    let reads = [Op::get_data("/fuzz", false), Op::get_children("/fuzz", false)];
    let acl = [Acl::new(ALL, "world", "anyone"), Acl::new(1, "ip", "127.0.0.1/8")];
    let ops = [
        Op::create("/fuzz/a", b"data", 0),
        Op::create2("/fuzz/s", b"data", 2),
        Op::create_container("/fuzz/c"),
        Op::create_ttl("/fuzz/t", 5, 1_000),
        Op::delete("/fuzz/a", -1),
        Op::exists("/fuzz", true),
        Op::get_data("/fuzz", true),
        Op::set_data("/fuzz", b"data", -1),
        Op::get_acl("/fuzz"),
        Op::set_acl("/fuzz/a", &acl, -1),
        Op::get_children2("/fuzz", true),
        Op::sync("/fuzz"),
        Op::multi(&multi),
        Op::multi_read(&reads),
        Op::reconfig("server.1=a:1:2", "", -1),
        Op::check_watches("/fuzz", 3),
        Op::remove_watches("/fuzz", 3),
        Op::auth("digest", b"a:b"),
        Op::set_watches(0, &["/fuzz"], &["/fuzz/x"], &["/fuzz"]),
        Op::set_watches2(0, [&["/fuzz"], &[], &[], &["/fuzz"], &["/"]]),
        Op::get_ephemerals("/"),
        Op::get_all_children_number("/fuzz"),
        Op::add_watch("/fuzz", 1),
        Op::who_am_i(),
        Op::ping(),
    ];
    ops.iter().map(|op| request(1, op)).collect()
}

/// Damages a frame's payload: bits, bytes, lengths, ends.
fn damage(random: &mut Random, payload: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(payload.len() as u64) as usize;
        match random.below(6) {
            0 => payload[at] ^= 1 << random.below(8),
            1 => payload[at] = random.next() as u8,
            2 => payload.truncate(at.max(1)),
            3 => payload.insert(at, random.next() as u8),
            4 => {
                let end = (at + 4).min(payload.len());
                payload[at..end].fill(*random.pick(&[0, 0x7f, 0x80, 0xff]));
            }
            _ => payload.extend_from_slice(&random.next().to_be_bytes()),
        }
    }
}

/// Reads what the server makes of it, until it closes or has answered a ping sent behind it.
fn drain(client: &mut Client) -> bool {
    loop {
        match client.socket.read_frame() {
            Ok(frame) if frame.len() == 16 && frame[..4] == (-2_i32).to_be_bytes() => return true,
            Ok(_) => {}
            Err(error) => {
                let ended = matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                );
                assert!(ended, "neither an answer nor an end: {error}");
                return false;
            }
        }
    }
}

/// Sends damaged requests one by one; returns how many ended their connection.
fn send_damaged(server: &Server, mut random: Random, cases: usize) -> usize {
    let corpus = corpus();
    let mut client = server.connect();
    let mut closed = 0;
    for _ in 0..cases {
        let mut payload = random.pick(&corpus).clone();
        damage(&mut random, &mut payload);
        let mut bytes = framed(&payload);
        bytes.extend(framed(&request(-2, &Op::ping())));
        let alive = client.socket.write(&bytes).is_ok() && drain(&mut client);
        if !alive {
            closed += 1;
            client = server.connect();
        }
    }
    closed
}

#[test]
fn thousands_of_damaged_requests_leave_the_server_serving() {
    let senders = 8;
    let cases = if foreign() { 250 } else { 1_000 };
    let mut random = Random::seeded("damaged requests");
    let server = Server::with("tickTime=2000\nextendedTypesEnabled=true");
    let mut witness = server.connect();
    witness.create("/fuzz", b"").unwrap();
    witness.create("/untouched", b"untouched").unwrap();
    let closed: usize = thread::scope(|scope| {
        let senders: Vec<_> = (0..senders)
            .map(|_| {
                let random = random.fork();
                scope.spawn(|| send_damaged(&server, random, cases))
            })
            .collect();
        while senders.iter().any(|sender| !sender.is_finished()) {
            assert_eq!(witness.get("/untouched").unwrap().0.unwrap(), b"untouched");
            thread::sleep(Duration::from_millis(5));
        }
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    println!("{} damaged requests, {closed} of them ended their connection", senders * cases);
    assert_eq!(witness.get("/untouched").unwrap().0.unwrap(), b"untouched");
    witness.close();
}

#[test]
fn garbage_instead_of_a_handshake_leaves_the_server_serving() {
    let cases = if foreign() { 300 } else { 2_000 };
    let mut random = Random::seeded("garbage");
    let server = Server::start();
    let mut witness = server.connect();
    let handshake = Handshake::new(30_000).encode();
    for case in 0..cases {
        let mut socket = server.socket();
        let bytes = match case % 3 {
            0 => (0..random.below(200)).map(|_| random.next() as u8).collect(),
            1 => {
                let mut payload = handshake.clone();
                damage(&mut random, &mut payload);
                framed(&payload)
            }
            _ => framed(&handshake)[..random.below(49) as usize].to_vec(),
        };
        // The server may close before it has read everything.
        let _ = socket.write(&bytes);
        if case % 2 == 0 {
            socket.hang_up();
        }
    }
    assert_serving(&mut witness);
    server.connect().close();
    witness.close();
}

#[test]
fn thousands_of_connections_at_once_are_served() {
    let wanted = if foreign() { 1_000 } else { 8_000 };
    let count = wanted.min(raise_descriptor_limit() - 500);
    assert!(count >= 500, "this system allows too few open files to learn anything");
    let server = Server::start();
    let handshake = framed(&Handshake::new(30_000).encode());
    let mut clients: Vec<Client> = Vec::new();
    while clients.len() < count {
        let batch = 250.min(count - clients.len());
        let mut sockets: Vec<_> = (0..batch).map(|_| server.socket()).collect();
        for socket in &mut sockets {
            socket.write(&handshake).unwrap();
        }
        for mut socket in sockets {
            let session = socket.read_established().unwrap();
            clients.push(Client::over(socket, session));
        }
    }
    let mut ids: Vec<i64> = clients.iter().map(Client::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    for client in &mut clients {
        client.send(&Op::exists("/", false));
    }
    for client in &mut clients {
        assert_eq!(client.reply().err, 0);
    }
    // All but one hang up at once; the server keeps serving.
    let mut last = clients.pop().unwrap();
    drop(clients);
    assert_serving(&mut last);
    server.connect().close();
    last.close();
}

/// Allows this process, and the servers it starts, as many open files as the system lets it.
fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.map_or(usize::MAX, |current| current as usize)
}

#[test]
fn a_client_that_never_reads_hinders_nobody() {
    let server = Server::start();
    let mut witness = server.connect();
    witness.create("/big", &vec![1; 500_000]).unwrap();
    let mut deaf = server.connect();
    let ops = vec![Op::get_data("/big", false); 100];
    // Fifty megabytes of answers, more than the sockets between us hold.
    for _ in 0..20 {
        deaf.socket.set_write_patience(Duration::from_millis(200));
        if deaf.try_send_all(&ops).is_err() {
            break;
        }
    }
    for _ in 0..100 {
        witness.set("/big", b"small").unwrap();
        assert_serving(&mut witness);
    }
    witness.close();
}

#[test]
fn many_threads_of_bad_clients_and_one_good_one() {
    let server = Server::start();
    let mut good = server.connect();
    good.create("/good", b"").unwrap();
    thread::scope(|scope| {
        for i in 0..4_u8 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..50 {
                    let mut client = server.connect();
                    let _ = client.socket.write(&vec![i; 100 + round]);
                    let _ = client.socket.read_frame();
                }
            });
        }
        for _ in 0..300 {
            good.set("/good", b"x").unwrap();
        }
    });
    assert_eq!(good.exists("/good").unwrap().version, 300);
    good.close();
}
