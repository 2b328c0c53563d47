//! One TLS connection between the socket and the frames: records in, plaintext out, and back.

use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{Error, ServerConfig, ServerConnection};

use super::certificate;
use crate::connection::ReadOutcome;
use crate::limits;

/// The TLS state of one connection.
pub(crate) struct Session {
    records: ServerConnection,
    /// Plaintext bytes turned into records that are not all sent yet.
    staged: usize,
    /// The client's bytes made no sense: what still comes is thrown away.
    is_refused: bool,
}

/// What one read came to.
pub(crate) struct Taken {
    /// The plaintext, if any.
    pub(crate) outcome: ReadOutcome,
    /// Nothing is left for now, neither in the socket nor decrypted.
    pub(crate) is_drained: bool,
}

impl Session {
    /// The server's side of a fresh connection.
    pub(crate) fn new(config: Arc<ServerConfig>) -> io::Result<Session> {
        let records = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Session { records, staged: 0, is_refused: false })
    }

    /// Reads plaintext into `buffer`; `WouldBlock` if there is none now. Bytes that are not TLS,
    /// and certificates that are not accepted, are an error of kind `InvalidData`.
    pub(crate) fn read(&mut self, socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Taken> {
        let mut socket = Watched { socket, is_drained: false };
        if self.is_refused {
            let n = socket.read(buffer)?;
            let outcome = if n == 0 { ReadOutcome::End } else { ReadOutcome::Bytes(0) };
            return Ok(Taken { outcome, is_drained: socket.is_drained });
        }
        for _ in 0..limits::TLS_READS_AT_ONCE {
            match self.records.reader().read(buffer) {
                Ok(0) => return Ok(Taken { outcome: ReadOutcome::End, is_drained: true }),
                Ok(n) => {
                    let is_drained = socket.is_drained && n < buffer.len();
                    return Ok(Taken { outcome: ReadOutcome::Bytes(n), is_drained });
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
            if self.records.read_tls(&mut socket)? == 0 {
                return Ok(Taken { outcome: ReadOutcome::End, is_drained: true });
            }
            if let Err(error) = self.records.process_new_packets() {
                self.is_refused = true;
                let why = match error {
                    Error::InvalidMessage(_) if self.records.is_handshaking() => {
                        format!("it does not speak TLS, and this port takes nothing else: {error}")
                    }
                    error => error.to_string(),
                };
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        // Records without content: others wait too.
        Ok(Taken { outcome: ReadOutcome::Bytes(0), is_drained: false })
    }

    /// Whether the handshake is under way: it has neither succeeded nor failed.
    pub(crate) fn is_handshaking(&self) -> bool {
        !self.is_refused && self.records.is_handshaking()
    }

    /// Whom the certificate is for that the client has shown, if it has.
    pub(crate) fn subject(&self) -> Option<String> {
        certificate::subject(self.records.peer_certificates()?.first()?)
    }

    /// Whether there are records to send.
    pub(crate) fn wants_write(&self) -> bool {
        self.records.wants_write()
    }

    /// Sends records, then `bytes` as one, and returns how many of `bytes` are sent. After
    /// `WouldBlock` the next call must be given the same bytes, maybe with more behind them.
    pub(crate) fn write(&mut self, socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        self.write_records(socket)?;
        if self.staged == 0 {
            let record = &bytes[..bytes.len().min(limits::TLS_RECORD_BYTES)];
            self.staged = self.records.writer().write(record)?;
            self.write_records(socket)?;
        }
        Ok(std::mem::take(&mut self.staged))
    }

    /// Sends the records there are, all of them or as far as `WouldBlock`.
    pub(crate) fn write_records(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        while self.records.wants_write() {
            match self.records.write_tls(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Has the client told that nothing more comes, so that it can tell the end from a cut.
    pub(crate) fn send_end(&mut self) {
        if !self.is_refused {
            self.records.send_close_notify();
        }
    }
}

/// A socket that notes when it is empty.
struct Watched<'a> {
    socket: &'a mut TcpStream,
    is_drained: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Ok(n) => {
                    self.is_drained = n < buffer.len();
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
