//! Bounds of connections: how many, how long without a handshake, and without descriptors left.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::client::{framed, request};
use support::ops::Outcome;
use support::{Client, Handshake, Op, Server, Socket};
use tempfile::TempDir;

/// Pings sent behind a long answer; each answer to one is a header of 16 bytes and its length.
const PINGS: usize = 100;

/// The error code of an operation beyond a bound.
const THROTTLED: i32 = -127;

/// Whether the server closes this connection without a byte.
fn is_refused(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(n) => n == 0,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            true
        }
    }
}

#[test]
fn an_address_may_have_max_client_cnxns_connections_and_no_more() {
    let server = Server::with("tickTime=2000\nmaxClientCnxns=5");
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    assert!(is_refused(&TcpStream::connect(server.address()).unwrap()));
    clients.pop().unwrap().close();
    // The server may see the end of the one only after the next has come.
    let deadline = Instant::now() + Duration::from_secs(20);
    let client = loop {
        let mut socket = server.socket();
        match socket.try_handshake(&Handshake::new(30_000)) {
            Ok(session) => break support::Client::over(socket, session),
            Err(_) => assert!(Instant::now() < deadline, "no place was freed"),
        }
    };
    client.close();
    clients.into_iter().for_each(|client| drop(client.close()));
}

#[test]
fn a_connection_that_sends_no_handshake_is_closed_in_time() {
    let server = Server::with("tickTime=2000\nnio.sessionlessCnxnTimeout=300");
    let mut session = server.connect();
    let silent = TcpStream::connect(server.address()).unwrap();
    let mut dripping = TcpStream::connect(server.address()).unwrap();
    let began = Instant::now();
    // One byte now and then must not prolong it.
    let handshake = framed(&Handshake::new(30_000).encode());
    for byte in handshake.iter().take(5) {
        dripping.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(40));
    }
    assert!(is_refused(&silent) && is_refused(&dripping));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(10), "{took:?}");
    // A session is not concerned.
    session.ping();
    session.close();
}

/// A server with few descriptors, its port as it logged it, and its folder.
struct Limited {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Limited {
    fn start(descriptors: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        let mut process = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_tenure"), "serve", "--log-format", "json"])
            .args(["--listen", "127.0.0.1:0", "--data-dir", "d"])
            .args(["--set", "admin.enableServer=false", "--set", "maxClientCnxns=0"])
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = log
            .by_ref()
            .find_map(|line| {
                let line = line.unwrap();
                let (_, rest) = line.split_once("\"clients\":\"")?;
                Some(rest.split_once('"')?.0.to_owned())
            })
            .expect("the log says where it listens");
        // Somebody must read the rest, or the server would stand at a full pipe.
        std::thread::spawn(move || log.count());
        Self { process, address, _folder: folder }
    }

    fn client(&self) -> Client {
        let socket = Socket::new(TcpStream::connect(&self.address).unwrap());
        Client::establish(socket, &Handshake::new(30_000))
    }

    /// The most memory it has had so far.
    fn peak_memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processor time spent so far, in clock ticks of 10 ms.
    fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn clients_that_ask_and_never_read_cost_bounded_memory() {
    let server = Limited::start(1024);
    let mut witness = server.client();
    witness.create("/big", &[1; 1_000_000]).unwrap();
    let reads = vec![Op::get_data("/big", false); 200];
    let gathered = Op::multi_read(&vec![Op::get_data("/big", false); 2000]);
    // Answered in full, these are ten gigabytes, and as many again from a few multiReads.
    let mut deaf: Vec<Client> = (0..50).map(|_| server.client()).collect();
    for client in &mut deaf {
        client.send_all(&reads);
        client.send(&gathered);
    }
    for client in &mut deaf[..5] {
        let mut gathering = server.client();
        gathering.send(&gathered);
        std::mem::swap(client, &mut gathering);
    }
    for _ in 0..20 {
        witness.exists("/big").unwrap();
    }
    let peak = server.peak_memory_kib();
    assert!(peak < 400 * 1024, "{peak} KiB");
    // Who reads after all gets the answers, as many as fit.
    let reply = deaf.pop().map(|mut client| client.reply()).unwrap();
    assert_eq!((reply.err, reply.body.len()), (0, 4 + 1_000_000 + 68));
    let outcomes = witness.multi_read(&vec![Op::get_data("/big", false); 100]).unwrap();
    let refused = outcomes.iter().filter(|o| matches!(o, Outcome::Error(THROTTLED))).count();
    assert!(outcomes.len() == 100 && (50..95).contains(&refused), "{refused}");
    witness.close();
}

/// Asks for an answer of 15 MB and pings behind it, with a session timeout of a second.
fn ask_for_much(server: &Server) -> (TcpStream, Handshake) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let socket = Socket::new(stream.try_clone().unwrap());
    let client = Client::establish(socket, &Handshake::new(1000));
    let much = Op::multi_read(&vec![Op::get_data("/big", false); 15]);
    stream.write_all(&framed(&request(1, &much))).unwrap();
    for _ in 0..PINGS {
        stream.write_all(&framed(&request(-2, &Op::ping()))).unwrap();
    }
    (stream, client.ticket())
}

#[test]
fn a_slow_reader_keeps_its_session_and_one_that_does_not_read_loses_it() {
    let server = Server::with("tickTime=500");
    let mut witness = server.connect();
    witness.create("/big", &[1; 1_000_000]).unwrap();
    let (mut slow, _) = ask_for_much(&server);
    let (deaf, deaf_ticket) = ask_for_much(&server);
    // The pings wait behind the answer, unread by the server, for several timeouts.
    let mut length = [0; 4];
    slow.read_exact(&mut length).unwrap();
    let mut left = u32::from_be_bytes(length) as usize + PINGS * 20;
    assert!(left > 15_000_000, "{left}");
    let mut chunk = vec![0; 60_000];
    while left > 0 {
        let n = slow.read(&mut chunk).unwrap();
        assert!(n > 0, "the session ended although its client read all the time; {left} to go");
        left -= n;
        std::thread::sleep(Duration::from_millis(15));
    }
    server.socket().expect_refusal(&deaf_ticket);
    drop(deaf);
    witness.close();
}

#[test]
fn without_descriptors_left_the_server_serves_on_and_accepts_again_later() {
    let server = Limited::start(48);
    let mut first = server.client();
    first.create("/x", b"").unwrap();
    let crowd: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    for _ in 0..50 {
        first.exists("/x").unwrap();
    }
    let before = server.cpu_ticks();
    std::thread::sleep(Duration::from_millis(500));
    let spent = server.cpu_ticks() - before;
    assert!(spent < 25, "waiting for descriptors took {spent} ticks of 50");
    drop(crowd);
    server.client().close();
    first.exists("/x").unwrap();
    first.close();
}
