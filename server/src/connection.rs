//! One client's socket with what was read and not processed, and what was not sent yet.
//!
//! A connection holds buffers only while it has bytes in them: an idle one costs its socket and
//! this struct.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use tenure_replica::ConnId;

use crate::limits;
use crate::metrics::ConnectionStats;
use crate::tenants::{TenantId, Usage};
use crate::tls;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is known yet: the first four bytes are a word or the length of a handshake.
    Opening,
    /// The handshake went to the replica; every frame is a request.
    Attached,
    /// Nothing more is processed. What is unsent is sent, then the client's end is awaited.
    Closing,
}

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// This many bytes, and there may be more.
    Bytes(usize),
    /// Nothing there now.
    Nothing,
    /// The client will send no more.
    End,
}

/// A connection just accepted.
pub(crate) struct Incoming {
    /// Its socket.
    pub(crate) socket: TcpStream,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// How it is encrypted.
    pub(crate) encryption: Encryption,
    /// It came through the port for TLS alone.
    pub(crate) secure_port: bool,
}

/// How a connection is encrypted.
pub(crate) enum Encryption {
    /// Not at all.
    Plain,
    /// As its first byte says: if by TLS, started from this.
    AsAsked(Arc<rustls::ServerConfig>),
    /// By TLS.
    Tls(Box<tls::Session>),
}

/// One client connection.
pub(crate) struct Connection {
    /// Its name towards the replica.
    pub(crate) id: ConnId,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// How far it has come.
    pub(crate) phase: Phase,
    /// When it was accepted, wall clock since the Unix epoch.
    pub(crate) established_wall_ms: i64,
    /// What was counted about it.
    pub(crate) stats: ConnectionStats,
    /// It is on the driver's list of connections with unsent bytes.
    pub(crate) is_dirty: bool,
    /// It is on the driver's list of connections to read.
    pub(crate) is_queued: bool,
    /// It is on the driver's list of connections left unread.
    pub(crate) is_paused: bool,
    /// It came through the port for TLS alone.
    pub(crate) secure_port: bool,
    /// Whole frames may lie among the bytes held back: its share of time was over, or a bound hit.
    pub(crate) has_more: bool,
    /// Its client's address, among those who share the server.
    pub(crate) address: TenantId,
    /// Its client's identity among them, once it has proven one.
    pub(crate) identity: Option<TenantId>,
    /// What it has under way, as counted for its tenants.
    pub(crate) used: Usage,
    /// Bytes of large requests of which some may wait for an answer.
    pub(crate) large: usize,
    /// It waits for a new session.
    pub(crate) is_opening: bool,
    /// When it was last left unread.
    pub(crate) paused_at: Option<Instant>,
    socket: TcpStream,
    /// Between the socket and the bytes below.
    encryption: Encryption,
    /// The operating system may hold bytes for us. Readiness is reported once per arrival, so this
    /// stays set until a read came back short.
    readable: bool,
    /// The client shut down its sending side: after the last bytes a read reports the end.
    half_closed: bool,
    /// The operating system takes bytes from us, as far as we know.
    writable: bool,
    /// Bytes read and not processed: part of a frame, or frames held back by a bound.
    inbox: Vec<u8>,
    /// Bytes to send, from `outbox_sent` on.
    outbox: Vec<u8>,
    outbox_sent: usize,
    /// Something was sent since this was last asked.
    has_sent_some: bool,
}

impl Connection {
    /// Takes over a fresh socket and has `registry` report its readiness as `token`.
    pub(crate) fn new(
        id: ConnId,
        Incoming { mut socket, peer, encryption, secure_port }: Incoming,
        established_wall_ms: i64,
        (registry, token): (&Registry, Token),
        address: TenantId,
    ) -> io::Result<Connection> {
        socket.set_nodelay(true)?;
        // Both interests once and for good: readiness is reported on change only, so an interest
        // nobody waits for costs nothing, and no system call is needed to change it.
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Connection {
            id,
            peer,
            phase: Phase::Opening,
            established_wall_ms,
            stats: ConnectionStats::default(),
            is_dirty: false,
            is_queued: false,
            is_paused: false,
            secure_port,
            has_more: false,
            address,
            identity: None,
            used: Usage::default(),
            large: 0,
            is_opening: false,
            paused_at: None,
            socket,
            encryption,
            readable: false,
            half_closed: false,
            writable: true,
            inbox: Vec::new(),
            outbox: Vec::new(),
            outbox_sent: 0,
            has_sent_some: false,
        })
    }

    /// Notes what the operating system reported.
    pub(crate) fn note_ready(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.half_closed |= event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// For whom it counts.
    pub(crate) fn tenants(&self) -> [Option<TenantId>; 2] {
        [Some(self.address), self.identity]
    }

    /// With whom it takes turns.
    pub(crate) fn tenant(&self) -> TenantId {
        self.identity.unwrap_or(self.address)
    }

    /// Whether it came through TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls().is_some()
    }

    /// Whether its TLS handshake is under way.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls().is_some_and(tls::Session::is_handshaking)
    }

    /// Whom the certificate is for that the client has shown, if it has.
    pub(crate) fn certificate_subject(&self) -> Option<String> {
        self.tls()?.subject()
    }

    fn tls(&self) -> Option<&tls::Session> {
        match &self.encryption {
            Encryption::Tls(tls) => Some(tls),
            Encryption::Plain | Encryption::AsAsked(_) => None,
        }
    }

    /// Whether a read may find something.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether the client will send no more than what is here.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.half_closed
    }

    /// Whether a write may go through.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether serving it may find something.
    pub(crate) fn has_work(&self) -> bool {
        self.readable || self.has_more
    }

    /// Whether bytes were read that are not processed yet.
    pub(crate) fn has_held_back(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Reads once into `buffer`. An error of kind `InvalidData` says that the client does not speak
    /// TLS as it must; nothing it sends from then on is given out.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<ReadOutcome> {
        match self.encryption {
            Encryption::Plain => {}
            Encryption::AsAsked(_) => return self.read_as_asked(buffer),
            Encryption::Tls(_) => return self.read_tls(buffer),
        }
        loop {
            match self.socket.read(buffer) {
                Ok(0) => {
                    self.readable = false;
                    self.half_closed = true;
                    return Ok(ReadOutcome::End);
                }
                Ok(n) => {
                    // A short read emptied the socket; what arrives later is reported again. Only
                    // the end of the stream must be fetched by a read of its own.
                    self.readable = n == buffer.len() || self.half_closed;
                    return Ok(ReadOutcome::Bytes(n));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(ReadOutcome::Nothing);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Reads for the first time, which tells how the connection is encrypted.
    fn read_as_asked(&mut self, buffer: &mut [u8]) -> io::Result<ReadOutcome> {
        let mut first = [0];
        let n = loop {
            match self.socket.peek(&mut first) {
                Ok(n) => break n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(ReadOutcome::Nothing);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        };
        let asked = std::mem::replace(&mut self.encryption, Encryption::Plain);
        if let Encryption::AsAsked(config) = asked
            && first[..n] == [tls::HANDSHAKE]
        {
            self.encryption = Encryption::Tls(Box::new(tls::Session::new(config)?));
        }
        self.read(buffer)
    }

    fn read_tls(&mut self, buffer: &mut [u8]) -> io::Result<ReadOutcome> {
        let Encryption::Tls(tls) = &mut self.encryption else { return Ok(ReadOutcome::Nothing) };
        let taken = tls.read(&mut self.socket, buffer);
        // The client waits for our part of the handshake, or for why it failed.
        let answered = match self.writable {
            true => tls.write_records(&mut self.socket),
            false => Ok(()),
        };
        match taken {
            Ok(taken) => {
                self.half_closed |= taken.outcome == ReadOutcome::End;
                self.readable =
                    taken.outcome != ReadOutcome::End && (!taken.is_drained || self.half_closed);
                self.note_blocked(answered)?;
                Ok(taken.outcome)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                self.note_blocked(answered)?;
                Ok(ReadOutcome::Nothing)
            }
            Err(e) => Err(e),
        }
    }

    /// Remembers that the operating system takes no more bytes, if that is how a write ended.
    fn note_blocked(&mut self, written: io::Result<()>) -> io::Result<()> {
        match written {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(())
            }
            written => written,
        }
    }

    /// Takes the bytes held back, to be processed and given to [`Connection::hold_back`] again.
    pub(crate) fn take_held_back(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.inbox)
    }

    /// Keeps what could not be processed of a buffer from [`Connection::take_held_back`].
    pub(crate) fn hold_back(&mut self, mut buffer: Vec<u8>, processed: usize) {
        if processed < buffer.len() {
            buffer.drain(..processed);
            // One large frame must not pin its memory while small ones follow.
            if buffer.capacity() > 4 * limits::READ_CHUNK_BYTES
                && buffer.len() < buffer.capacity() / 4
            {
                buffer.shrink_to_fit();
            }
            self.inbox = buffer;
        }
    }

    /// Bytes not sent yet.
    pub(crate) fn unsent(&self) -> usize {
        self.outbox.len() - self.outbox_sent
    }

    /// Whether there is anything to write, be it what TLS has to say by itself.
    pub(crate) fn wants_write(&self) -> bool {
        self.unsent() > 0 || self.tls().is_some_and(tls::Session::wants_write)
    }

    /// Whether the operating system took bytes from us since this was last asked.
    pub(crate) fn has_sent_some(&mut self) -> bool {
        std::mem::take(&mut self.has_sent_some)
    }

    /// Appends bytes to be sent; `spare` is a buffer to use if none is at hand.
    pub(crate) fn queue(&mut self, bytes: &[u8], spare: impl FnOnce() -> Vec<u8>) {
        if self.outbox.capacity() == 0 {
            self.outbox = spare();
        }
        self.outbox.extend_from_slice(bytes);
    }

    /// Writes what is unsent as far as the operating system takes it. Returns the buffer for reuse
    /// once all is sent.
    pub(crate) fn flush(&mut self) -> io::Result<Option<Vec<u8>>> {
        while self.wants_write() {
            let rest = &self.outbox[self.outbox_sent..];
            let written = match &mut self.encryption {
                Encryption::Tls(tls) => tls.write(&mut self.socket, rest),
                Encryption::Plain | Encryption::AsAsked(_) => self.socket.write(rest),
            };
            match written {
                Ok(0) if !rest.is_empty() => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.outbox_sent += n;
                    self.has_sent_some |= n > 0;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.writable = false;
                    self.drop_sent_half();
                    return Ok(None);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.outbox_sent = 0;
        let mut buffer = std::mem::take(&mut self.outbox);
        buffer.clear();
        Ok(Some(buffer))
    }

    /// Gives the sent part of a long output back, without moving bytes on every write.
    fn drop_sent_half(&mut self) {
        if self.outbox_sent > self.outbox.len() / 2 {
            self.outbox.drain(..self.outbox_sent);
            self.outbox.shrink_to(2 * self.outbox.len());
            self.outbox_sent = 0;
        }
    }

    /// Ends our direction of the stream, after what was sent.
    pub(crate) fn finish_sending(&mut self) -> io::Result<()> {
        if let Encryption::Tls(tls) = &mut self.encryption {
            tls.send_end();
            let written = tls.write_records(&mut self.socket);
            self.note_blocked(written)?;
            if self.wants_write() {
                // The next flush comes back here.
                return Ok(());
            }
        }
        self.socket.shutdown(Shutdown::Write)
    }

    /// Has the operating system forget about the socket before it is dropped.
    pub(crate) fn deregister(&mut self, registry: &Registry) {
        // Fails only if it was never registered, which leaves nothing to undo.
        let _ = registry.deregister(&mut self.socket);
    }
}
