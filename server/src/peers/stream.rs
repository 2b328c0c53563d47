//! The bytes of one link. Everything that is said between members goes through here and nothing
//! else touches the socket, so what is said is encrypted on links that were secured, and plain on
//! the others.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::limits;

/// One connection between two members, seen from either end. One thread reads and writes it.
pub(crate) struct LinkStream {
    socket: TcpStream,
    /// Between the socket and what is said; `None` on a plain link.
    tls: Option<RefCell<Connection>>,
}

/// The same link in another hand, to end it from there.
pub(super) struct Hand(TcpStream);

impl Hand {
    /// Ends the link for both ends, whoever is reading or writing it.
    pub(super) fn end(&self) {
        // It may have ended by itself.
        _ = self.0.shutdown(Shutdown::Both);
    }
}

impl LinkStream {
    /// Connects to a member.
    pub(super) fn dial(address: &SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(address, limits::PEER_CONNECT)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(limits::PEER_STALL))?;
        Ok(LinkStream { socket, tls: None })
    }

    /// One that somebody has dialled.
    pub(super) fn accepted(socket: TcpStream) -> Self {
        // Without it answers only come later.
        _ = socket.set_nodelay(true);
        _ = socket.set_write_timeout(Some(limits::PEER_STALL));
        LinkStream { socket, tls: None }
    }

    /// The first byte that the other end sends, which is still to be read.
    pub(super) fn first_byte(&self, by: Instant) -> io::Result<u8> {
        let mut first = [0];
        self.set_read_patience(Some(left(by)?))?;
        match self.socket.peek(&mut first)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(first[0]),
        }
    }

    /// Secures a link that was dialled to a host of this name. Fails if the other end does not
    /// show by then that it is a member there.
    pub(super) fn secure_dialled(
        self,
        config: Arc<ClientConfig>,
        host: ServerName<'static>,
        by: Instant,
    ) -> io::Result<Self> {
        let tls = ClientConnection::new(config, host).map_err(io::Error::other)?;
        self.secure(tls.into(), by)
    }

    /// Secures a link that was accepted. Fails if the other end does not show by then that a
    /// member's authority vouches for it.
    pub(super) fn secure_accepted(
        self,
        config: Arc<ServerConfig>,
        by: Instant,
    ) -> io::Result<Self> {
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        self.secure(tls.into(), by)
    }

    fn secure(self, mut tls: Connection, by: Instant) -> io::Result<Self> {
        while tls.is_handshaking() {
            self.send_records(&mut tls)?;
            if tls.is_handshaking() {
                self.take_records(&mut tls, Some(by))?;
            }
        }
        self.send_records(&mut tls)?;
        Ok(LinkStream { tls: Some(RefCell::new(tls)), ..self })
    }

    /// Sends what TLS has to say.
    fn send_records(&self, tls: &mut Connection) -> io::Result<()> {
        while tls.wants_write() {
            tls.write_tls(&mut &self.socket)?;
        }
        Ok(())
    }

    /// Reads and decrypts what has come, be it nothing that was said. Returns whether the other end
    /// may still send more.
    fn take_records(&self, tls: &mut Connection, by: Option<Instant>) -> io::Result<bool> {
        if let Some(by) = by {
            self.set_read_patience(Some(left(by)?))?;
        }
        if tls.read_tls(&mut &self.socket)? == 0 {
            return match tls.is_handshaking() {
                true => Err(io::ErrorKind::UnexpectedEof.into()),
                false => Ok(false),
            };
        }
        if let Err(error) = tls.process_new_packets() {
            // It is told why. Whether that arrives is its own affair.
            _ = self.send_records(tls);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(true)
    }

    /// The certificate that the other end has shown; `None` on a plain link.
    pub(super) fn certificate(&self) -> Option<CertificateDer<'static>> {
        let tls = self.tls.as_ref()?.borrow();
        Some(tls.peer_certificates()?.first()?.clone().into_owned())
    }

    /// The same link in another hand.
    pub(super) fn another_hand(&self) -> io::Result<Hand> {
        self.socket.try_clone().map(Hand)
    }

    /// The other end, for log lines.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()
    }

    /// How long a read may wait; `None` for any time.
    pub(crate) fn set_read_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(patience)
    }

    /// Fills the buffer, however slowly the bytes come, or fails once the time is over.
    pub(super) fn read_exact_by(&self, buffer: &mut [u8], by: Instant) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..], Some(by)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_some(&self, buffer: &mut [u8], by: Option<Instant>) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            if let Some(by) = by {
                self.set_read_patience(Some(left(by)?))?;
            }
            return (&self.socket).read(buffer);
        };
        let mut tls = tls.borrow_mut();
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            // After the end the reader above has the last word: whether it was said, or cut.
            self.take_records(&mut tls, by)?;
            self.send_records(&mut tls)?;
        }
    }

    /// Fails if the other end is gone. On a link that is only written nothing is ever said from
    /// there, so only asking tells: the next message would still be taken, and lost, and an
    /// election may hang on that one.
    pub(super) fn check_alive(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        let asked = match &self.tls {
            None => self.socket.peek(&mut [0]).map(|found| found > 0),
            // What lies there may be words of TLS itself, and the end behind them.
            Some(tls) => self.take_records(&mut tls.borrow_mut(), None),
        };
        self.socket.set_nonblocking(false)?;
        match asked {
            Ok(false) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(true) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The time that is left, if any is.
fn left(by: Instant) -> io::Result<Duration> {
    match by.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

impl Read for &LinkStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer, None)
    }
}

impl Write for &LinkStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return (&self.socket).write(bytes) };
        let mut tls = tls.borrow_mut();
        let taken = tls.writer().write(bytes)?;
        self.send_records(&mut tls)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Nothing is kept back by a write.
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::TcpListener;

    use super::*;

    /// The two ends of a link: the one that dialled first.
    pub(crate) fn pair() -> (LinkStream, LinkStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = LinkStream::dial(&listener.local_addr().expect("bound")).expect("connects");
        let (there, _) = listener.accept().expect("accepted");
        (here, LinkStream::accepted(there))
    }

    #[test]
    fn the_end_of_an_idle_link_is_noticed() {
        let (here, there) = pair();
        assert!(here.check_alive().is_ok());
        drop(there);
        // The news of it arrives in its own time.
        here.set_read_patience(Some(limits::PEER_STALL)).expect("settable");
        assert_eq!((&here).read(&mut [0]).expect("an orderly end"), 0);
        assert!(here.check_alive().is_err());
    }

    #[test]
    fn a_link_can_be_ended_from_another_hand() {
        let (here, there) = pair();
        let reader = std::thread::spawn(move || (&there).read(&mut [0]).map_or(0, |read| read));
        here.another_hand().expect("a second handle").end();
        assert_eq!(reader.join().expect("it ends"), 0);
        assert!(here.check_alive().is_err());
    }
}
