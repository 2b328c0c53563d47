//! A raw client: it shows every byte the server sends, and hides no protocol state.

use std::collections::VecDeque;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::ops::{Acl, Op, Outcome, Stat, open, read_acl, read_outcomes};
use super::record::{Body, Fields};

/// How long any single answer may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const EVENT_XID: i32 = -1;
pub const PING_XID: i32 = -2;
pub const AUTH_XID: i32 = -4;
pub const SET_WATCHES_XID: i32 = -8;

pub const CREATED: i32 = 1;
pub const DELETED: i32 = 2;
pub const DATA_CHANGED: i32 = 3;
pub const CHILDREN_CHANGED: i32 = 4;

/// The first packet of a client.
#[derive(Clone, Debug)]
pub struct Handshake {
    pub protocol: i32,
    pub last_zxid: i64,
    pub timeout_ms: i32,
    pub session_id: i64,
    pub password: Option<Vec<u8>>,
    /// `None` is the old form, which has no such field.
    pub read_only: Option<bool>,
}

/// The first packet of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    pub protocol: i32,
    pub timeout_ms: i32,
    pub session_id: i64,
    pub password: Vec<u8>,
    pub read_only: Option<bool>,
}

/// A connection on which nothing is understood but the length before each frame.
#[derive(Debug)]
pub struct Socket {
    stream: BufReader<TcpStream>,
}

/// An established session and its connection.
#[derive(Debug)]
pub struct Client {
    pub socket: Socket,
    /// What the server granted.
    pub session: Established,
    /// Notifications read while a reply was awaited, oldest first.
    pub events: VecDeque<Event>,
    /// The zxid of the newest reply.
    pub last_zxid: i64,
    next_xid: i32,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub xid: i32,
    pub zxid: i64,
    pub err: i32,
    pub body: Vec<u8>,
}

/// A notification of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub zxid: i64,
    pub kind: i32,
    pub state: i32,
    pub path: String,
}

/// What a server sends on an established connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Reply(Reply),
    Event(Event),
}

impl Handshake {
    /// Asks for a new session.
    pub fn new(timeout_ms: i32) -> Self {
        Self {
            protocol: 0,
            last_zxid: 0,
            timeout_ms,
            session_id: 0,
            password: Some(vec![0; 16]),
            read_only: Some(false),
        }
    }

    /// Asks for an existing session.
    pub fn resume(session: &Established) -> Self {
        Self {
            session_id: session.session_id,
            password: Some(session.password.clone()),
            ..Self::new(session.timeout_ms)
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let body = Body::new()
            .int(self.protocol)
            .long(self.last_zxid)
            .int(self.timeout_ms)
            .long(self.session_id)
            .buffer(self.password.as_deref());
        match self.read_only {
            Some(read_only) => body.bool(read_only).0,
            None => body.0,
        }
    }
}

impl Socket {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// A socket to a server that may be gone.
    pub fn dial(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(address).map(Self::new)
    }

    /// How long a read may wait from now on.
    pub fn set_patience(&self, patience: Duration) {
        self.stream.get_ref().set_read_timeout(Some(patience)).unwrap();
    }

    /// How long a write may wait from now on.
    pub fn set_write_patience(&self, patience: Duration) {
        self.stream.get_ref().set_write_timeout(Some(patience)).unwrap();
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends bytes with their length before them.
    pub fn write_frame(&mut self, payload: &[u8]) -> io::Result<()> {
        self.write(&framed(payload))
    }

    /// The next frame's payload.
    pub fn read_frame(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = i32::from_be_bytes(length);
        let mut payload = vec![0; usize::try_from(length).expect("a length from a server")];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }

    /// Sends a handshake and reads the answer.
    pub fn try_handshake(&mut self, handshake: &Handshake) -> io::Result<Established> {
        self.write_frame(&handshake.encode())?;
        self.read_established()
    }

    /// Reads the answer to a handshake.
    pub fn read_established(&mut self) -> io::Result<Established> {
        let payload = self.read_frame()?;
        let mut fields = Fields(&payload);
        let mut answer = Established {
            protocol: fields.int(),
            timeout_ms: fields.int(),
            session_id: fields.long(),
            password: fields.buffer().expect("a password is never null"),
            read_only: None,
        };
        if !fields.0.is_empty() {
            answer.read_only = Some(fields.bool());
        }
        fields.end();
        Ok(answer)
    }

    /// Sends a handshake that must be refused as expired: zeros, then the end.
    pub fn expect_refusal(mut self, handshake: &Handshake) {
        let answer = self.try_handshake(handshake).expect("zeros, not a bare close");
        let zeros = Established {
            protocol: 0,
            timeout_ms: 0,
            session_id: 0,
            password: vec![0; 16],
            read_only: handshake.read_only.map(|_| false),
        };
        assert_eq!(answer, zeros);
        self.expect_end();
    }

    /// The server must close without sending anything further.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "unexpected bytes before the end: {rest:?}"),
            // A server may close with our bytes unread, which the network reports as a reset.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection should have ended: {error}"),
        }
    }

    /// The client hangs up. The session does not end by this.
    pub fn hang_up(self) {
        self.stream.get_ref().shutdown(Shutdown::Both).unwrap();
    }
}

impl Client {
    /// Sends a handshake that must be accepted.
    pub fn establish(mut socket: Socket, handshake: &Handshake) -> Self {
        let session = socket.try_handshake(handshake).expect("an answer to the handshake");
        assert_ne!(session.session_id, 0, "the session was refused");
        Self::over(socket, session)
    }

    /// A client on a connection that has its handshake behind it.
    pub fn over(socket: Socket, session: Established) -> Self {
        Self { socket, session, events: VecDeque::new(), last_zxid: 0, next_xid: 1 }
    }

    /// The handshake that resumes this session.
    pub fn ticket(&self) -> Handshake {
        Handshake::resume(&self.session)
    }

    /// The session's id.
    pub fn id(&self) -> i64 {
        self.session.session_id
    }

    /// Sends a request with the next xid.
    pub fn send(&mut self, op: &Op) -> i32 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.send_as(xid, op);
        xid
    }

    /// Sends a request with this xid.
    pub fn send_as(&mut self, xid: i32, op: &Op) {
        self.socket.write_frame(&request(xid, op)).expect("the connection takes a request");
    }

    /// Sends several requests in one piece and returns their xids.
    pub fn send_all(&mut self, ops: &[Op]) -> Vec<i32> {
        self.try_send_all(ops).expect("the connection takes requests")
    }

    /// Sends several requests in one piece, if the connection takes them.
    pub fn try_send_all(&mut self, ops: &[Op]) -> io::Result<Vec<i32>> {
        let first = self.next_xid;
        self.next_xid += ops.len() as i32;
        let xids: Vec<i32> = (first..self.next_xid).collect();
        let bytes: Vec<u8> =
            xids.iter().zip(ops).flat_map(|(xid, op)| framed(&request(*xid, op))).collect();
        self.socket.write(&bytes)?;
        Ok(xids)
    }

    /// The next thing the server sent; notifications set aside come first.
    pub fn frame(&mut self) -> Frame {
        match self.events.pop_front() {
            Some(event) => Frame::Event(event),
            None => self.try_frame().expect("a frame from the server"),
        }
    }

    /// The next thing on the socket.
    pub fn try_frame(&mut self) -> io::Result<Frame> {
        let payload = self.socket.read_frame()?;
        let mut fields = Fields(&payload);
        let (xid, zxid, err) = (fields.int(), fields.long(), fields.int());
        if xid != EVENT_XID {
            if err != 0 {
                // But the one to a SASL token, which has a null token.
                let is_bare = fields.0.is_empty() || fields.0 == [0xff; 4];
                assert!(is_bare, "an error reply has no body: {:?}", fields.0);
            }
            return Ok(Frame::Reply(Reply { xid, zxid, err, body: fields.0.to_vec() }));
        }
        let (kind, state, path) = (fields.int(), fields.int(), fields.string());
        fields.end();
        assert_eq!((err, state), (0, 3), "every notification has these");
        Ok(Frame::Event(Event { zxid, kind, state, path }))
    }

    /// The next reply; notifications before it are set aside.
    pub fn reply(&mut self) -> Reply {
        self.try_reply().expect("a reply from the server")
    }

    /// The next reply, or why there is none.
    pub fn try_reply(&mut self) -> io::Result<Reply> {
        loop {
            match self.try_frame()? {
                Frame::Event(event) => self.events.push_back(event),
                Frame::Reply(reply) => {
                    if reply.zxid > 0 {
                        self.last_zxid = reply.zxid;
                    }
                    return Ok(reply);
                }
            }
        }
    }

    /// One request and its reply.
    pub fn call(&mut self, op: &Op) -> Reply {
        let xid = self.send(op);
        let reply = self.reply();
        assert_eq!(reply.xid, xid, "replies come in the order of requests");
        reply
    }

    /// One request; its reply, or the error code in it.
    pub fn run(&mut self, op: &Op) -> Result<Reply, i32> {
        let reply = self.call(op);
        if reply.err == 0 { Ok(reply) } else { Err(reply.err) }
    }

    /// One request that answers with a header only.
    pub fn run_bare(&mut self, op: &Op) -> Result<(), i32> {
        let reply = self.run(op)?;
        assert!(reply.body.is_empty(), "this operation has no response record: {:?}", reply.body);
        Ok(())
    }

    /// The next notification.
    pub fn event(&mut self) -> Event {
        match self.frame() {
            Frame::Event(event) => event,
            Frame::Reply(reply) => panic!("a notification should have come, not {reply:?}"),
        }
    }

    /// The next notification must be this one; returns its zxid.
    pub fn expect_event(&mut self, kind: i32, path: &str) -> i64 {
        let event = self.event();
        assert_eq!((event.kind, event.path.as_str()), (kind, path));
        event.zxid
    }

    /// No notification has been sent up to now: a ping's reply would come after it.
    pub fn expect_no_event(&mut self) {
        self.ping();
        assert_eq!(self.events, [], "no notification was due");
    }

    /// A ping and its reply.
    pub fn ping(&mut self) -> Reply {
        self.send_as(PING_XID, &Op::ping());
        let reply = self.reply();
        assert_eq!((reply.xid, reply.err, reply.body.len()), (PING_XID, 0, 0));
        reply
    }

    /// Authenticates; panics if the server refuses.
    pub fn authenticate(&mut self, scheme: &str, credentials: &str) {
        self.send_as(AUTH_XID, &Op::auth(scheme, credentials.as_bytes()));
        let reply = self.reply();
        let expected = Reply { xid: AUTH_XID, zxid: 0, err: 0, body: Vec::new() };
        assert_eq!(reply, expected);
    }

    /// Closes the session: a reply, then the end of the connection.
    pub fn close(mut self) -> Reply {
        let reply = self.call(&Op::close_session());
        assert_eq!((reply.err, reply.body.len()), (0, 0));
        self.socket.expect_end();
        reply
    }

    /// The connection must end. Requests behind the one that closed the session may be told, before
    /// that, that it has expired.
    pub fn expect_end_of_session(&mut self) {
        while let Ok(reply) = self.try_reply() {
            assert_eq!((reply.err, reply.body.len()), (super::code::SESSION_EXPIRED, 0));
        }
        self.socket.expect_end();
    }

    /// Hangs up without closing the session.
    pub fn hang_up(self) {
        self.socket.hang_up();
    }
}

/// Operations with their answers decoded.
impl Client {
    pub fn create(&mut self, path: &str, data: &[u8]) -> Result<String, i32> {
        self.create_mode(path, data, super::ops::PERSISTENT)
    }

    pub fn create_mode(&mut self, path: &str, data: &[u8], mode: i32) -> Result<String, i32> {
        self.create_acl(path, data, &open(), mode)
    }

    pub fn create_acl(
        &mut self,
        path: &str,
        data: &[u8],
        acl: &[Acl],
        mode: i32,
    ) -> Result<String, i32> {
        let reply = self.run(&Op::create_with(1, path, Some(data), acl, mode))?;
        let mut fields = Fields(&reply.body);
        let created = fields.string();
        fields.end();
        Ok(created)
    }

    /// A request of the create family that answers with path and stat.
    pub fn create_stat(&mut self, op: &Op) -> Result<(String, Stat), i32> {
        let reply = self.run(op)?;
        let mut fields = Fields(&reply.body);
        let answer = (fields.string(), Stat::read(&mut fields));
        fields.end();
        Ok(answer)
    }

    pub fn delete(&mut self, path: &str) -> Result<(), i32> {
        self.run_bare(&Op::delete(path, -1))
    }

    pub fn exists(&mut self, path: &str) -> Result<Stat, i32> {
        self.stat(&Op::exists(path, false))
    }

    pub fn set(&mut self, path: &str, data: &[u8]) -> Result<Stat, i32> {
        self.stat(&Op::set_data(path, data, -1))
    }

    pub fn set_acl(&mut self, path: &str, acl: &[Acl]) -> Result<Stat, i32> {
        self.stat(&Op::set_acl(path, acl, -1))
    }

    /// A request that answers with a stat alone.
    pub fn stat(&mut self, op: &Op) -> Result<Stat, i32> {
        let reply = self.run(op)?;
        let mut fields = Fields(&reply.body);
        let stat = Stat::read(&mut fields);
        fields.end();
        Ok(stat)
    }

    pub fn get(&mut self, path: &str) -> Result<(Option<Vec<u8>>, Stat), i32> {
        self.data(&Op::get_data(path, false))
    }

    /// A request that answers with data and a stat.
    pub fn data(&mut self, op: &Op) -> Result<(Option<Vec<u8>>, Stat), i32> {
        let reply = self.run(op)?;
        let mut fields = Fields(&reply.body);
        let answer = (fields.buffer(), Stat::read(&mut fields));
        fields.end();
        Ok(answer)
    }

    pub fn get_acl(&mut self, path: &str) -> Result<(Vec<Acl>, Stat), i32> {
        let reply = self.run(&Op::get_acl(path))?;
        let mut fields = Fields(&reply.body);
        let answer = (read_acl(&mut fields), Stat::read(&mut fields));
        fields.end();
        Ok(answer)
    }

    /// The children's names, sorted: the protocol promises no order.
    pub fn children(&mut self, path: &str) -> Result<Vec<String>, i32> {
        self.names(&Op::get_children(path, false))
    }

    pub fn children_stat(&mut self, path: &str) -> Result<(Vec<String>, Stat), i32> {
        let reply = self.run(&Op::get_children2(path, false))?;
        let mut fields = Fields(&reply.body);
        let mut names = fields.strings();
        let stat = Stat::read(&mut fields);
        fields.end();
        names.sort();
        Ok((names, stat))
    }

    /// A request that answers with strings in no promised order; they are sorted here.
    pub fn names(&mut self, op: &Op) -> Result<Vec<String>, i32> {
        let reply = self.run(op)?;
        let mut fields = Fields(&reply.body);
        let mut names = fields.strings();
        fields.end();
        names.sort();
        Ok(names)
    }

    pub fn multi(&mut self, ops: &[Op]) -> Result<Vec<Outcome>, i32> {
        let reply = self.run(&Op::multi(ops))?;
        Ok(read_outcomes(Fields(&reply.body)))
    }

    pub fn multi_read(&mut self, ops: &[Op]) -> Result<Vec<Outcome>, i32> {
        let reply = self.run(&Op::multi_read(ops))?;
        Ok(read_outcomes(Fields(&reply.body)))
    }

    /// Arms a watch with addWatch; its response is one int, 0.
    pub fn add_watch(&mut self, path: &str, mode: i32) -> Result<(), i32> {
        let reply = self.run(&Op::add_watch(path, mode))?;
        assert_eq!(reply.body, [0; 4]);
        Ok(())
    }
}

/// A request's payload: header and record.
pub fn request(xid: i32, op: &Op) -> Vec<u8> {
    Body::new().int(xid).int(op.code).raw(&op.body.0).0
}

/// A payload with its length before it.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    Body::new().int(payload.len() as i32).raw(payload).0
}
