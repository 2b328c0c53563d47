//! Where a listener binds, as socket addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use tenure_wire::Listen;

/// The socket addresses to try, best first; the listener binds the first that works. For every
/// interface that is the IPv6 wildcard (to be bound dual-stack), then the IPv4 one.
pub(crate) fn candidates(listen: &Listen) -> io::Result<Vec<SocketAddr>> {
    match &listen.host {
        None => Ok(vec![
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), listen.port),
            SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), listen.port),
        ]),
        Some(host) => Ok((host.as_str(), listen.port).to_socket_addrs()?.collect()),
    }
}
