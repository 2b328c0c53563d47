//! A server that answers every request with one and the same reply: the yardstick for framing and
//! sockets alone, without sessions, tree or log.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use tenure_wire::{ConnectResponse, Put, ReplyHeader, SessionId, Stat, Xid, Zxid, frame};

/// Listens, and prints on which address.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    writeln!(std::io::stdout(), "echo server on {}", listener.local_addr()?)?;
    Ok(listener)
}

/// Serves until the process is ended.
pub(crate) fn serve(mut listener: TcpListener, size: usize) -> Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut scratch = vec![0; 256 * 1024];
    let reply = get_data_reply(size);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut clients)?;
                continue;
            }
            let slot = &mut clients[event.token().0];
            if let Some(client) = slot
                && !client.serve(&mut scratch, &reply)
            {
                *slot = None;
            }
        }
    }
}

struct Client {
    stream: TcpStream,
    /// The first frame, which asks for a session, was answered.
    greeted: bool,
    partial: Vec<u8>,
    out: Vec<u8>,
    written: usize,
}

impl Client {
    /// Answers what has arrived; false when the connection is over.
    fn serve(&mut self, scratch: &mut Vec<u8>, reply: &[u8]) -> bool {
        loop {
            let kept = self.partial.len();
            if scratch.len() < kept + 64 * 1024 {
                scratch.resize(2 * kept + 64 * 1024, 0);
            }
            scratch[..kept].copy_from_slice(&self.partial);
            let (end, more) = match self.stream.read(&mut scratch[kept..]) {
                Ok(0) => return false,
                Ok(count) => (kept + count, kept + count == scratch.len()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            self.partial.clear();
            if !self.answer(&scratch[..end], reply) {
                return false;
            }
            if !more {
                break;
            }
        }
        self.flush()
    }

    fn answer(&mut self, bytes: &[u8], reply: &[u8]) -> bool {
        if !self.greeted && bytes == b"srvr" {
            // Whoever starts servers asks this to learn that they are up.
            self.out.extend_from_slice(b"Mode: echo\n");
            self.flush();
            return false;
        }
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + 4) {
            let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            if len > MAX_FRAME_BYTES {
                return false;
            }
            let Some(frame) = bytes.get(at + 4..at + 4 + len) else { break };
            at += 4 + len;
            if self.greeted {
                let start = self.out.len();
                self.out.extend_from_slice(reply);
                if let Some(xid) = frame.get(..4) {
                    self.out[start + 4..start + 8].copy_from_slice(xid);
                }
            } else {
                self.greeted = true;
                self.out.extend_from_slice(&connect_reply());
            }
        }
        self.partial.extend_from_slice(&bytes[at..]);
        true
    }

    fn flush(&mut self) -> bool {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.out.clear();
        self.written = 0;
        true
    }
}

fn accept(listener: &TcpListener, poll: &Poll, clients: &mut Vec<Option<Client>>) -> Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("cannot accept"),
        };
        stream.set_nodelay(true)?;
        let free = clients.iter().position(Option::is_none).unwrap_or(clients.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(free), interest)?;
        let client =
            Client { stream, greeted: false, partial: Vec::new(), out: Vec::new(), written: 0 };
        match clients.get_mut(free) {
            Some(slot) => *slot = Some(client),
            None => clients.push(Some(client)),
        }
    }
}

/// The reply to a getData of this many bytes.
fn get_data_reply(size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let start = frame::begin(&mut out);
    ReplyHeader { xid: Xid(0), zxid: Zxid(1), err: 0 }.encode(&mut out);
    out.put_buffer(Some(&vec![0; size]));
    Stat::default().encode(&mut out);
    frame::end(&mut out, start);
    out
}

fn connect_reply() -> Vec<u8> {
    let granted = ConnectResponse {
        timeout_ms: 30_000,
        session: SessionId(1),
        read_only: Some(false),
        ..ConnectResponse::default()
    };
    let mut out = Vec::new();
    let start = frame::begin(&mut out);
    granted.encode(&mut out);
    frame::end(&mut out, start);
    out
}

const LISTENER: Token = Token(usize::MAX - 1);
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
