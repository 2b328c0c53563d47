//! Test servers do to sessions what their names say, as a raw client sees it.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tenure_testing::{Direction, EndReason, OperateError, Proxy, TestServer};
use tenure_wire::{ConnectRequest, ConnectResponse, SessionId, frame};

/// A connection that holds a session.
struct Client {
    stream: TcpStream,
    answer: ConnectResponse,
}

impl Client {
    fn open(addr: SocketAddr) -> Self {
        Self::attach(addr, SessionId(0), &[0; 16])
    }

    fn attach(addr: SocketAddr, session: SessionId, password: &[u8]) -> Self {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = ConnectRequest {
            timeout_ms: 10_000,
            session,
            password: Some(password),
            read_only: Some(false),
            ..ConnectRequest::default()
        };
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        request.encode(&mut bytes);
        frame::end(&mut bytes, start);
        stream.write_all(&bytes).unwrap();
        let mut answer = [0; 41];
        stream.read_exact(&mut answer).unwrap();
        Self { stream, answer: ConnectResponse::decode(&answer[4..]).unwrap() }
    }

    fn again(&self, addr: SocketAddr) -> SessionId {
        Self::attach(addr, self.answer.session, &self.answer.password).answer.session
    }

    fn ping(&mut self) {
        self.stream.write_all(&[0, 0, 0, 8, 255, 255, 255, 254, 0, 0, 0, 11]).unwrap();
    }

    fn is_answered(&mut self) -> bool {
        let mut answer = [0; 20];
        match self.stream.read_exact(&mut answer) {
            Ok(()) => true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn is_hung_up(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
            Ok(_) => false,
        }
    }
}

#[test]
fn sessions_expire_and_are_closed_when_told() {
    let server = TestServer::start().unwrap();
    let mut one = Client::open(server.addr());
    let ended = server.expire_session(one.answer.session).unwrap();
    assert!(matches!(ended.reason, EndReason::Expired { silent_ms: 10_000 }), "{:?}", ended.reason);
    assert!(one.is_hung_up());
    assert_eq!(one.again(server.addr()), SessionId(0));
    let other = Client::open(server.addr());
    let ended = server.close_session(other.answer.session).unwrap();
    assert_eq!(ended.reason, EndReason::ClosedByOperator);
    let gone = OperateError::UnknownSession(other.answer.session);
    assert_eq!(server.close_session(other.answer.session), Err(gone));
}

#[test]
fn a_cut_connection_costs_no_session() {
    let server = TestServer::start().unwrap();
    let mut client = Client::open(server.addr());
    server.drop_connection(client.answer.session).unwrap();
    assert!(client.is_hung_up());
    assert_eq!(client.again(server.addr()), client.answer.session);
}

#[test]
fn a_paused_server_answers_when_it_goes_on_and_a_restarted_one_knows_its_sessions() {
    let server = TestServer::start().unwrap();
    let mut client = Client::open(server.addr());
    server.pause().unwrap();
    client.ping();
    client.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(!client.is_answered());
    server.resume();
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(client.is_answered());
    server.restart().unwrap();
    assert!(client.is_hung_up());
    assert_eq!(client.again(server.addr()), client.answer.session);
    server.stop().unwrap();
    assert_eq!(server.pause(), Err(OperateError::Stopped));
}

#[test]
fn a_network_cuts_refuses_and_holds_back() {
    let server = TestServer::start().unwrap();
    let network = Proxy::start(server.addr()).unwrap();
    let mut client = Client::open(network.addr());
    for direction in [Direction::ToServer, Direction::ToClient] {
        network.blackhole(direction);
        client.ping();
        client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(!client.is_answered());
        network.heal();
        client.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert!(client.is_answered());
    }
    network.refuse();
    network.cut();
    assert!(client.is_hung_up());
    let mut refused = TcpStream::connect(network.addr()).unwrap();
    assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0);
    network.accept();
    assert_eq!(client.again(network.addr()), client.answer.session);
    assert_eq!(network.accepted(), 3);
}
