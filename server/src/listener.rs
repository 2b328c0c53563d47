//! Listening for clients: bind, accept, count per address, and rest when descriptors run out.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection::{Encryption, Incoming};
use crate::tls::Live;
use crate::{limits, tls};

/// The listening socket with its admission rules.
pub(crate) struct Listener {
    socket: TcpListener,
    /// What TLS connections start from, if there are any.
    tls: Option<Arc<Live<rustls::ServerConfig>>>,
    /// Its clients may also speak no TLS.
    takes_plain: bool,
    /// Set while a readiness edge has not been drained.
    pending: bool,
    /// Accepting rests until then, after a shortage of descriptors.
    resting_until: Option<Instant>,
    /// When such a shortage was last told.
    told_short: Option<Instant>,
    per_address: HashMap<IpAddr, u32>,
    total: u32,
    max_per_address: u32,
    max_total: u32,
}

/// What one call of [`Listener::accept`] came to.
pub(crate) enum Accepted {
    /// A client to serve.
    Client(Incoming),
    /// A client that was turned away, and why.
    Refused(SocketAddr, Refusal),
    /// Nobody is waiting any more.
    Drained,
    /// The process has no descriptors or memory left; accepting rests for a while. Said again only
    /// now and then, as long as it lasts.
    Short {
        /// What the operating system said.
        error: io::Error,
        /// Whether it is time to say so.
        is_news: bool,
    },
}

/// Why a connection was refused at accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `maxClientCnxns` connections of this address are open.
    TooManyOfAddress,
    /// `maxCnxns` connections are open.
    TooMany,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::TooManyOfAddress => "maxClientCnxns connections of this address are open",
            Refusal::TooMany => "maxCnxns connections are open",
        })
    }
}

impl Listener {
    /// Binds the first of `candidates` that works; a limit of 0 means none.
    pub(crate) fn bind(
        candidates: &[SocketAddr],
        backlog: i32,
        max_per_address: u32,
        max_total: u32,
    ) -> io::Result<Listener> {
        let socket = bind_first(candidates, backlog)?;
        Ok(Listener {
            socket,
            tls: None,
            takes_plain: true,
            pending: false,
            resting_until: None,
            told_short: None,
            per_address: HashMap::new(),
            total: 0,
            max_per_address,
            max_total,
        })
    }

    /// The same listener for clients that speak TLS.
    pub(crate) fn secured(self, tls: Arc<Live<rustls::ServerConfig>>) -> Listener {
        Listener { tls: Some(tls), takes_plain: false, ..self }
    }

    /// Changes the limits, 0 meaning none. Whoever is here stays.
    pub(crate) fn set_limits(&mut self, max_per_address: u32, max_total: u32) {
        self.max_per_address = max_per_address;
        self.max_total = max_total;
    }

    /// The same listener for clients that speak TLS and for those that do not.
    pub(crate) fn unified(self, tls: Arc<Live<rustls::ServerConfig>>) -> Listener {
        Listener { tls: Some(tls), takes_plain: true, ..self }
    }

    /// Whether all its clients speak TLS.
    pub(crate) fn is_secure(&self) -> bool {
        !self.takes_plain
    }

    /// How a fresh connection is to be understood.
    fn encryption(&self) -> io::Result<Encryption> {
        Ok(match &self.tls {
            None => Encryption::Plain,
            Some(tls) if self.takes_plain => Encryption::AsAsked(tls.get()),
            Some(tls) => Encryption::Tls(Box::new(tls::Session::new(tls.get())?)),
        })
    }

    /// The address bound, with the port the system picked if 0 was asked for.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Has `registry` report waiting clients as `token`.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Notes that clients are waiting.
    pub(crate) fn ready(&mut self) {
        self.pending = true;
    }

    /// Whether [`Listener::accept`] is worth calling now.
    pub(crate) fn wants_accept(&self, now: Instant) -> bool {
        match self.resting_until {
            Some(until) => now >= until,
            None => self.pending,
        }
    }

    /// When accepting resumes, if it rests.
    pub(crate) fn resumes_at(&self) -> Option<Instant> {
        self.resting_until
    }

    /// Takes the next waiting client.
    pub(crate) fn accept(&mut self, now: Instant) -> Accepted {
        self.resting_until = None;
        loop {
            match self.socket.accept() {
                Ok((socket, peer)) => {
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    let encryption = match self.encryption() {
                        Ok(encryption) => encryption,
                        Err(e) => return self.rest(now, e),
                    };
                    let secure_port = self.is_secure();
                    return match self.admit(peer.ip()) {
                        Ok(()) => {
                            Accepted::Client(Incoming { socket, peer, encryption, secure_port })
                        }
                        Err(refusal) => Accepted::Refused(peer, refusal),
                    };
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.pending = false;
                    return Accepted::Drained;
                }
                // The client gave up while it waited: the next one may still be there.
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                // Out of descriptors or memory: trying again at once would spin.
                Err(e) => return self.rest(now, e),
            }
        }
    }

    fn rest(&mut self, now: Instant, why: io::Error) -> Accepted {
        self.pending = true;
        self.resting_until = Some(now + limits::ACCEPT_PAUSE);
        let is_news = self.told_short.is_none_or(|at| now - at >= limits::ACCEPT_SHORT_LINE);
        if is_news {
            self.told_short = Some(now);
        }
        Accepted::Short { error: why, is_news }
    }

    fn admit(&mut self, ip: IpAddr) -> Result<(), Refusal> {
        if self.max_total != 0 && self.total >= self.max_total {
            return Err(Refusal::TooMany);
        }
        let count = self.per_address.entry(ip).or_insert(0);
        if self.max_per_address != 0 && *count >= self.max_per_address {
            return Err(Refusal::TooManyOfAddress);
        }
        *count += 1;
        self.total += 1;
        Ok(())
    }

    /// Notes that an accepted connection from `ip` is gone.
    pub(crate) fn released(&mut self, ip: IpAddr) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.per_address.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&ip);
            }
        }
    }
}

fn bind_first(candidates: &[SocketAddr], backlog: i32) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (i, addr) in candidates.iter().enumerate() {
        match listen_on(*addr, backlog) {
            Ok(socket) => return Ok(socket),
            // The first address is the one that was meant: its failure is the telling one, unless
            // the machine merely has no IPv6.
            Err(e) if i == 0 || failure.kind() != io::ErrorKind::AddrInUse => failure = e,
            Err(_) => {}
        }
    }
    Err(failure)
}

fn listen_on(addr: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as StdStream;
    use std::time::Duration;

    use super::*;

    fn accept_one(listener: &mut Listener) -> Accepted {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match listener.accept(Instant::now()) {
                Accepted::Drained if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                other => return other,
            }
        }
    }

    #[test]
    fn refuses_over_the_limit_of_an_address_until_one_leaves() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut listener = Listener::bind(&[any], 16, 1, 0).unwrap();
        let addr = listener.local_addr().unwrap();
        let _first = StdStream::connect(addr).unwrap();
        let Accepted::Client(first) = accept_one(&mut listener) else { panic!("refused") };
        let _second = StdStream::connect(addr).unwrap();
        let refused = accept_one(&mut listener);
        assert!(matches!(refused, Accepted::Refused(_, Refusal::TooManyOfAddress)));
        listener.released(first.peer.ip());
        let _third = StdStream::connect(addr).unwrap();
        assert!(matches!(accept_one(&mut listener), Accepted::Client(..)));
    }

    #[test]
    fn refuses_over_the_total_limit() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut listener = Listener::bind(&[any], 16, 0, 1).unwrap();
        let addr = listener.local_addr().unwrap();
        let _first = StdStream::connect(addr).unwrap();
        assert!(matches!(accept_one(&mut listener), Accepted::Client(..)));
        let _second = StdStream::connect(addr).unwrap();
        assert!(matches!(accept_one(&mut listener), Accepted::Refused(_, Refusal::TooMany)));
    }

    #[test]
    fn an_ipv4_client_of_a_dual_stack_listener_has_its_ipv4_address() {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let mut listener = Listener::bind(&[any], 16, 0, 0).unwrap();
        let port = listener.local_addr().unwrap().port();
        let _client = StdStream::connect(("127.0.0.1", port)).unwrap();
        let Accepted::Client(client) = accept_one(&mut listener) else { panic!("refused") };
        assert_eq!(client.peer.ip(), IpAddr::from([127, 0, 0, 1]));
    }
}
