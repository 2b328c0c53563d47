//! The network between the members, and between clients and members, which breaks when told to.

use std::io;
use std::net::SocketAddr;

use tenure_testing::{Direction, Proxy};

/// All links.
pub(crate) struct Network {
    /// What a member dials to reach another one.
    links: Vec<Link>,
    /// What some of the clients dial to reach a member.
    clients: Vec<Proxy>,
}

struct Link {
    from: usize,
    to: usize,
    proxy: Proxy,
}

impl Network {
    /// A network before members that listen here for each other, and here for clients.
    pub(crate) fn start(peers: &[SocketAddr], clients: &[SocketAddr]) -> io::Result<Self> {
        let mut links = Vec::new();
        for from in 0..peers.len() {
            for to in (0..peers.len()).filter(|to| *to != from) {
                links.push(Link { from, to, proxy: Proxy::start(peers[to])? });
            }
        }
        let clients = clients.iter().map(|address| Proxy::start(*address));
        Ok(Self { links, clients: clients.collect::<io::Result<_>>()? })
    }

    /// Where `from` finds `to`; `direct` if that is itself.
    pub(crate) fn address(&self, from: usize, to: usize, direct: SocketAddr) -> SocketAddr {
        let link = self.links.iter().find(|link| (link.from, link.to) == (from, to));
        link.map_or(direct, |link| link.proxy.addr())
    }

    /// A connect string of all members, through this network.
    pub(crate) fn hosts(&self) -> String {
        let hosts: Vec<_> = self.clients.iter().map(Proxy::hosts).collect();
        hosts.join(",")
    }

    /// Nothing that `from` says reaches `to` any more; neither notices.
    pub(crate) fn block(&self, from: usize, to: usize) {
        for link in &self.links {
            if (link.from, link.to) == (from, to) {
                link.proxy.blackhole(Direction::ToServer);
            } else if (link.from, link.to) == (to, from) {
                link.proxy.blackhole(Direction::ToClient);
            }
        }
    }

    /// Connects all members again. What was held back arrives now, or is lost with its connections.
    pub(crate) fn heal(&self, is_lost: bool) {
        for link in &self.links {
            if is_lost {
                link.proxy.cut();
            }
            link.proxy.heal();
        }
    }

    /// Ends every client's connection at once.
    pub(crate) fn cut_clients(&self) {
        self.clients.iter().for_each(Proxy::cut);
    }

    /// Nothing passes between a member and its clients any more; neither notices.
    pub(crate) fn block_clients(&self, member: usize) {
        self.clients[member].partition();
    }

    /// Ends what [`block_clients`](Self::block_clients) began.
    pub(crate) fn heal_clients(&self, member: usize) {
        self.clients[member].heal();
    }
}
