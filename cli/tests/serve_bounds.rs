//! Bounds of connections: how many, how long without a handshake, and without descriptors left.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::client::framed;
use support::{Client, Handshake, Server, Socket};
use tempfile::TempDir;

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
