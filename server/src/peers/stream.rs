//! The bytes of one link. Everything that is said between members goes through here and nothing
//! else touches the socket, so an encrypted stream can take the place of the plain one: set up in
//! [`LinkStream::dial`] and [`LinkStream::accepted`], read and written below.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::limits;

/// One connection between two members, seen from either end.
pub(crate) struct LinkStream {
    socket: TcpStream,
}

impl LinkStream {
    /// Connects to a member.
    pub(super) fn dial(address: &SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(address, limits::PEER_CONNECT)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(limits::PEER_STALL))?;
        Ok(LinkStream { socket })
    }

    /// One that somebody has dialled.
    pub(super) fn accepted(socket: TcpStream) -> Self {
        // Without it answers only come later.
        _ = socket.set_nodelay(true);
        _ = socket.set_write_timeout(Some(limits::PEER_STALL));
        LinkStream { socket }
    }

    /// The same link in another hand, to end it from there.
    pub(super) fn another_hand(&self) -> io::Result<Self> {
        Ok(LinkStream { socket: self.socket.try_clone()? })
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
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.set_read_patience(Some(left))?;
            let mut reader = self;
            match reader.read(&mut buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Fails if the other end is gone. On a link that is only written nothing ever comes from
    /// there, so only asking tells: the next message would still be taken, and lost, and an
    /// election may hang on that one.
    pub(super) fn check_alive(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends the link for both ends, whoever is reading or writing it.
    pub(super) fn end(&self) {
        // It may have ended by itself.
        _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Read for &LinkStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(buffer)
    }
}

impl Write for &LinkStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.socket).flush()
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
