//! One connection of the load generator: bytes in and out, the handshake, pings.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};
use tenure_wire::{ConnectResponse, NOTIFICATION_XID, PASSWORD_LEN, PING_XID, SessionId, Zxid};

use super::request;
use super::swarm::Happening;

/// Where to connect to and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The servers' addresses; links spread evenly over them.
    pub(crate) servers: Vec<SocketAddr>,
    /// The session timeout to ask for, in milliseconds.
    pub(crate) timeout_ms: i32,
}

/// What it takes to resume a session on another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) session: SessionId,
    pub(crate) password: [u8; PASSWORD_LEN],
}

/// One connection and its session.
pub(crate) struct Link {
    stream: TcpStream,
    /// The beginning of a frame whose rest has not arrived.
    partial: Vec<u8>,
    /// Requests to send; whoever handles a happening appends here.
    pub(crate) out: Vec<u8>,
    /// How much of `out` the socket has taken.
    written: usize,
    /// When something was last sent, in nanoseconds since the swarm was made.
    pub(crate) last_sent_ns: u64,
    /// The timeout the server granted, in milliseconds; 0 before that.
    pub(crate) timeout_ms: u64,
    /// The session, once the server granted it.
    pub(crate) ticket: Option<Ticket>,
    /// Whether the session is to be resumed, which a server may refuse.
    resumes: bool,
    /// A silent session sends no pings.
    pub(crate) silent: bool,
    /// The connection ended, or will be ended by its owner.
    closed: bool,
}

/// What a read gave.
pub(crate) enum Received {
    /// Bytes up to `end`, and perhaps more to read.
    Frames { end: usize, more: bool },
    /// Nothing for now.
    Nothing,
    /// The connection ended.
    End,
}

/// A reply frame without its length; fields are read on demand.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a>(&'a [u8]);

impl<'a> Reply<'a> {
    /// The number of the request answered.
    pub(crate) fn xid(self) -> i32 {
        self.int_at(0)
    }

    /// The newest change that the server knew of.
    pub(crate) fn zxid(self) -> Zxid {
        let half = |at| i64::from(self.int_at(at));
        Zxid(half(4) << 32 | half(8) & 0xffff_ffff)
    }

    /// The error code, 0 for success.
    pub(crate) fn err(self) -> i32 {
        self.int_at(12)
    }

    pub(crate) fn is_notification(self) -> bool {
        self.xid() == NOTIFICATION_XID.0
    }

    /// What follows the header; empty if the reply is an error.
    pub(crate) fn body(self) -> &'a [u8] {
        self.0.get(16..).unwrap_or(&[])
    }

    fn int_at(self, at: usize) -> i32 {
        int_at(self.0, at).unwrap_or(i32::MIN)
    }
}

impl Link {
    /// Starts connection number `order` and queues its request for a session: a new one, unless
    /// there is one to resume, of a client that has seen `last_zxid`.
    pub(crate) fn connect(
        to: (SocketAddr, usize),
        timeout_ms: i32,
        resume: Option<(Ticket, Zxid)>,
        (registry, token): (&Registry, Token),
    ) -> Result<Link> {
        let (server, order) = to;
        let socket = Socket::new(
            Domain::for_address(server),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )
        .context("cannot make a socket (is the limit of open files too low?)")?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source_address(server, order) {
            socket.bind(&source.into()).with_context(|| format!("cannot bind to {source}"))?;
        }
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => {
                return Err(error).with_context(|| format!("cannot connect to {server}"));
            }
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Link {
            stream,
            partial: Vec::new(),
            out: request::connect(timeout_ms, resume),
            written: 0,
            last_sent_ns: 0,
            timeout_ms: 0,
            ticket: None,
            resumes: resume.is_some(),
            silent: false,
            closed: false,
        })
    }

    /// Writes what is queued, as far as the socket takes it.
    pub(crate) fn flush(&mut self, now_ns: u64) {
        while self.written < self.out.len() && !self.closed {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Not connected yet, full, or broken: the next readiness or read tells which.
                Err(_) => return,
            }
            self.last_sent_ns = now_ns;
        }
        self.out.clear();
        self.written = 0;
    }

    /// Reads once into `scratch`, behind what is left of the last read.
    pub(crate) fn receive(&mut self, scratch: &mut Vec<u8>) -> Received {
        if self.closed {
            return Received::Nothing;
        }
        let kept = self.partial.len();
        if kept + MIN_READ_BYTES > scratch.len() {
            scratch.resize(2 * (kept + MIN_READ_BYTES), 0);
        }
        scratch[..kept].copy_from_slice(&self.partial);
        match self.stream.read(&mut scratch[kept..]) {
            Ok(0) => {
                self.closed = true;
                Received::End
            }
            Ok(count) => {
                self.partial.clear();
                let end = kept + count;
                Received::Frames { end, more: end == scratch.len() }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Received::Nothing,
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.partial.clear();
                Received::Frames { end: kept, more: true }
            }
            Err(_) => {
                self.closed = true;
                Received::End
            }
        }
    }

    /// Hands every whole frame in `bytes` to `handle` and keeps the rest for later.
    pub(crate) fn for_each_frame(
        &mut self,
        bytes: &[u8],
        mut handle: impl FnMut(&mut Link, Happening<'_>),
    ) -> Result<()> {
        let mut at = 0;
        while let Some(len) = int_at(bytes, at) {
            let len = usize::try_from(len).context("negative length")?;
            ensure!(len <= MAX_REPLY_BYTES, "a length of {len} bytes");
            let Some(frame) = bytes.get(at + 4..at + 4 + len) else { break };
            at += 4 + len;
            if self.timeout_ms == 0 {
                let granted =
                    ConnectResponse::decode(frame).context("the answer to connect is cut off")?;
                if granted.timeout_ms <= 0 && self.resumes {
                    self.closed = true;
                    handle(self, Happening::Refused);
                    return Ok(());
                }
                ensure!(granted.timeout_ms > 0, "the server refused a session");
                self.timeout_ms = granted.timeout_ms.unsigned_abs().into();
                let (session, password) = (granted.session, granted.password);
                self.ticket = Some(Ticket { session, password });
                handle(self, Happening::Opened);
            } else if int_at(frame, 0) == Some(PING_XID.0) {
                handle(self, Happening::Pong);
            } else {
                ensure!(len >= 16, "a reply of {len} bytes");
                handle(self, Happening::Reply(Reply(frame)));
            }
        }
        self.partial.extend_from_slice(&bytes[at..]);
        Ok(())
    }

    /// Queues and sends a ping if the session was quiet for a third of its timeout.
    pub(crate) fn ping_if_idle(&mut self, now_ns: u64) {
        let quiet_ns = now_ns.saturating_sub(self.last_sent_ns);
        let due = self.timeout_ms > 0 && quiet_ns * 3 >= self.timeout_ms * 1_000_000;
        if due && !self.silent && !self.closed && self.out.is_empty() {
            self.out = request::ping();
            self.flush(now_ns);
        }
    }

    /// Sends a ping now.
    pub(crate) fn ping(&mut self, now_ns: u64) {
        self.out.extend_from_slice(&request::ping());
        self.flush(now_ns);
    }

    /// Ignores whatever still comes; the owner is about to replace or drop this link.
    pub(crate) fn abandon(&mut self) {
        self.closed = true;
    }

    /// Whether the connection ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Many connections from one loopback address run out of ports, and into the servers' default of
/// at most 60 connections per address; the loopback network has 16 million addresses.
fn source_address(server: SocketAddr, order: usize) -> Option<SocketAddr> {
    let block = u32::try_from(order / LINKS_PER_SOURCE).ok()? % MAX_SOURCES;
    match server.ip() {
        IpAddr::V4(ip) if ip.is_loopback() && block > 0 => {
            let source = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + block);
            Some(SocketAddr::new(source.into(), 0))
        }
        _ => None,
    }
}

fn int_at(bytes: &[u8], at: usize) -> Option<i32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

const LINKS_PER_SOURCE: usize = 50;
const MAX_SOURCES: u32 = 65_000;
const MIN_READ_BYTES: usize = 64 * 1024;
/// Far above any reply to a request of this program; a longer one is a broken stream.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;
/// `EINPROGRESS`: a non-blocking connect has begun.
const IN_PROGRESS: i32 = 115;

#[cfg(test)]
mod tests {
    use super::{LINKS_PER_SOURCE, source_address};

    #[test]
    fn loopback_connections_spread_over_source_addresses() {
        let server = "127.0.0.1:2181".parse().unwrap();
        assert_eq!(source_address(server, 0), None);
        let far = source_address(server, LINKS_PER_SOURCE * 300).unwrap();
        assert_eq!(far.to_string(), "127.1.1.44:0");
    }

    #[test]
    fn other_networks_keep_their_own_source() {
        let server = "192.0.2.7:2181".parse().unwrap();
        assert_eq!(source_address(server, 5_000), None);
    }
}
