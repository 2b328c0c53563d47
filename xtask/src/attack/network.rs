//! The network between the members, and between clients and members, which breaks when told to.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tenure_testing::{Direction, Proxy};

/// How long whoever dials a member may take to say who it is.
const GREETED_WITHIN: Duration = Duration::from_secs(10);
/// Where the greeting of `server/src/peers/hello.rs` tells who dials, in all of its versions: after
/// a name, two versions, a length and a purpose.
const FROM_AT: usize = 8 + 2 + 2 + 2 + 1;

/// All links.
pub(crate) struct Network {
    /// What is between one member and another one that it dials.
    links: Arc<[Link]>,
    /// What some of the clients dial to reach a member.
    clients: Vec<Proxy>,
}

struct Link {
    from: usize,
    to: usize,
    proxy: Proxy,
}

impl Network {
    /// A network before members that listen at `peers` for each other, and at `clients` for
    /// clients. Members find each other at `fronts`: all of them find one at the same address, as
    /// the list of members wants it, and yet each has a link of its own.
    pub(crate) fn start(
        fronts: &[SocketAddr],
        peers: &[SocketAddr],
        clients: &[SocketAddr],
    ) -> io::Result<Self> {
        let mut links = Vec::new();
        for from in 0..peers.len() {
            for to in (0..peers.len()).filter(|to| *to != from) {
                links.push(Link { from, to, proxy: Proxy::start(peers[to])? });
            }
        }
        let links: Arc<[Link]> = links.into();
        for (to, front) in fronts.iter().enumerate() {
            receive(TcpListener::bind(front)?, to, &links)?;
        }
        let clients = clients.iter().map(|address| Proxy::start(*address));
        Ok(Self { links, clients: clients.collect::<io::Result<_>>()? })
    }

    /// A connect string of all members, through this network.
    pub(crate) fn hosts(&self) -> String {
        let hosts: Vec<_> = self.clients.iter().map(Proxy::hosts).collect();
        hosts.join(",")
    }

    /// Nothing that `from` says reaches `to` any more; neither notices.
    pub(crate) fn block(&self, from: usize, to: usize) {
        for link in self.links.iter() {
            if (link.from, link.to) == (from, to) {
                link.proxy.blackhole(Direction::ToServer);
            } else if (link.from, link.to) == (to, from) {
                link.proxy.blackhole(Direction::ToClient);
            }
        }
    }

    /// Connects all members again. What was held back arrives now, or is lost with its connections.
    pub(crate) fn heal(&self, is_lost: bool) {
        for link in self.links.iter() {
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

/// Puts whoever dials `to` on its own link, for as long as this program runs.
fn receive(listener: TcpListener, to: usize, links: &Arc<[Link]>) -> io::Result<()> {
    let links = Arc::clone(links);
    let accept = move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let links = Arc::clone(&links);
            let put_through = move || {
                // Who does not say who it is is let go, and dials again.
                let Ok(from) = who_dials(&stream) else { return };
                let link = links.iter().find(|link| (link.from, link.to) == (from, to));
                if let Some(link) = link {
                    link.proxy.carry(stream);
                }
            };
            // Without a thread it is let go as well.
            let _ = thread::Builder::new().name("network".into()).spawn(put_through);
        }
    };
    thread::Builder::new().name("network".into()).spawn(accept)?;
    Ok(())
}

/// Looks at the greeting, which is written at once, and leaves it to be read.
fn who_dials(stream: &TcpStream) -> io::Result<usize> {
    let mut greeting = [0; FROM_AT + 8];
    stream.set_read_timeout(Some(GREETED_WITHIN))?;
    let there = stream.peek(&mut greeting)?;
    stream.set_read_timeout(None)?;
    let id = greeting[..there].last_chunk().filter(|_| there == greeting.len());
    let id = u64::from_be_bytes(*id.ok_or(io::ErrorKind::UnexpectedEof)?);
    usize::try_from(id).ok().and_then(|id| id.checked_sub(1)).ok_or(io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn whoever_dials_one_address_has_a_link_of_its_own() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let members = [listen(), listen(), listen()];
        let peers = members.each_ref().map(|member| member.local_addr().unwrap());
        // Nobody takes them meanwhile: the system gives each port once in a while.
        let fronts = [(); 3].map(|()| listen().local_addr().unwrap());
        let network = Network::start(&fronts, &peers, &[]).unwrap();
        let dial = |from: u64| {
            let mut stream = TcpStream::connect(fronts[1]).unwrap();
            let mut greeting = vec![0; FROM_AT];
            greeting.extend(from.to_be_bytes());
            stream.write_all(&greeting).unwrap();
            stream
        };
        network.block(0, 1);
        let _third = dial(3);
        let mut greeting = [0; FROM_AT + 8];
        members[1].accept().unwrap().0.read_exact(&mut greeting).unwrap();
        assert_eq!(greeting.last(), Some(&3));
        let _first = dial(1);
        let (mut held_back, _) = members[1].accept().unwrap();
        held_back.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(held_back.read_exact(&mut greeting).is_err());
        network.heal(false);
        held_back.set_read_timeout(None).unwrap();
        held_back.read_exact(&mut greeting).unwrap();
        assert_eq!(greeting.last(), Some(&1));
    }
}
