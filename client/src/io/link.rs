//! One connection to a server: a socket that never blocks, and what could not be written yet.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::machine::LinkId;
use crate::tls::Records;

/// A connection, or the attempt to make one.
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) addr: SocketAddr,
    socket: TcpStream,
    /// Between the socket and what is said, if that is encrypted.
    tls: Option<Box<Records>>,
    /// Whether the connection is there.
    pub(super) is_open: bool,
    /// The system had no room for these bytes.
    unwritten: Vec<u8>,
    written: usize,
}

/// What reading led to.
pub(super) enum Progress {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Drained,
    /// The server hung up.
    HungUp,
}

impl Link {
    /// Begins to connect.
    pub(super) fn open(
        id: LinkId,
        addr: SocketAddr,
        tls: Option<Records>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let tls = tls.map(Box::new);
        let mut socket = TcpStream::connect(addr)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { id, addr, socket, tls, is_open: false, unwritten: Vec::new(), written: 0 })
    }

    /// Looks whether the connection has come about.
    pub(super) fn finish_opening(&mut self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(_) => {
                // A request must not wait for the acknowledgement of the one before.
                self.socket.set_nodelay(true)?;
                self.is_open = match &mut self.tls {
                    Some(tls) => tls.shake_hands(&mut self.socket)?,
                    None => true,
                };
                Ok(self.is_open)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether more may be handed out for sending: what was handed out before is written.
    pub(super) fn has_room(&self) -> bool {
        self.is_open
            && self.unwritten.is_empty()
            && self.tls.as_ref().is_none_or(|tls| !tls.wants_write())
    }

    /// Writes, and keeps what the system does not take. `bytes` is empty afterwards.
    pub(super) fn write(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.write(&mut self.socket, bytes)?;
            bytes.clear();
            return Ok(());
        }
        let mut sent = 0;
        while sent < bytes.len() {
            match self.socket.write(&bytes[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unwritten.extend_from_slice(&bytes[sent..]);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.clear();
        Ok(())
    }

    /// Goes on with what was kept. True once nothing is.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if let Some(tls) = &mut self.tls {
            return tls.flush(&mut self.socket);
        }
        while self.written < self.unwritten.len() {
            match self.socket.write(&self.unwritten[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unwritten = Vec::new();
        self.written = 0;
        Ok(true)
    }

    /// Whether the end is already known, of which no readiness will tell.
    pub(super) fn has_ended(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_ended())
    }

    /// Reads, up to the end of the buffer or of what is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Progress> {
        if let Some(tls) = &mut self.tls {
            return match tls.read(&mut self.socket, buffer)? {
                0 if tls.has_ended() => Ok(Progress::HungUp),
                0 => Ok(Progress::Drained),
                count => Ok(Progress::Bytes(count)),
            };
        }
        loop {
            return match self.socket.read(buffer) {
                Ok(0) => Ok(Progress::HungUp),
                Ok(count) => Ok(Progress::Bytes(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Progress::Drained),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }
}
