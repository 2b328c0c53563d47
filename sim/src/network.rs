//! Links: streams that keep their order, until they are cut, delayed, half open, or gone. Nothing
//! comes twice or out of turn on a stream, between servers no more than to clients: a link breaks
//! instead.

use std::collections::VecDeque;

use tenure_client::machine::LinkId;
use tenure_replica::ConnId;
use tenure_wire::{SessionId, Xid};

use crate::clock::{MS, Nanos};
use crate::world::{Event, World};

/// A direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What travels on a link.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// The other end is closed.
    End,
}

/// Something wrong between two hosts, for a while.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    pub(crate) to_server: Outage,
    pub(crate) to_client: Outage,
}

/// Nothing gets through until it ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outage {
    pub(crate) until: Nanos,
    /// What is sent meanwhile never arrives, and nothing behind it on the same link: it is half
    /// open. Otherwise it arrives late, as TCP sends it again.
    pub(crate) loses: bool,
}

impl Cut {
    fn outage(&self, way: Way) -> Outage {
        match way {
            Way::ToServer => self.to_server,
            Way::ToClient => self.to_client,
        }
    }
}

/// A connection of a client, from the attempt on.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: usize,
    /// Which of the client's processes it belongs to, and by which name.
    pub(crate) process: u64,
    pub(crate) id: LinkId,
    pub(crate) member: usize,
    /// Which of the server's processes it belongs to.
    pub(crate) life: u64,
    /// By its direction: when the last piece arrives, and whether none will any more.
    last: [Nanos; 2],
    broken: [bool; 2],
    /// The server's end.
    pub(crate) server: ServerEnd,
}

/// What a server knows of a connection.
#[derive(Debug, Default)]
pub(crate) struct ServerEnd {
    pub(crate) conn: Option<ConnId>,
    pub(crate) is_closed: bool,
    /// The beginning of a frame.
    pub(crate) partial: Vec<u8>,
    /// When the handshake came.
    pub(crate) connected_at: Option<Nanos>,
    /// The handshake was answered: for this session, with this timeout.
    pub(crate) granted: Option<(SessionId, Nanos)>,
    pub(crate) is_answered: bool,
    /// When pings and writes came whose answers will vouch.
    pub(crate) pings: VecDeque<Nanos>,
    pub(crate) writes: VecDeque<(Xid, Nanos)>,
    /// Requests that will be answered in their order.
    pub(crate) asked: VecDeque<Xid>,
    /// The client wants its session closed.
    pub(crate) asks_close: bool,
}

/// A stream of messages from one server to another.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerLink {
    last: Nanos,
    pub(crate) outage: Outage,
    /// Grows with every break: what was under way then is lost.
    pub(crate) epoch: u64,
}

impl Link {
    pub(crate) fn new(
        client: usize,
        process: u64,
        id: LinkId,
        (member, life): (usize, u64),
    ) -> Self {
        let (last, broken, server) = ([0; 2], [false; 2], ServerEnd::default());
        Link { client, process, id, member, life, last, broken, server }
    }

    pub(crate) fn is_of_stranger(&self) -> bool {
        self.process == STRANGER
    }
}

/// In place of the number of a process: somebody who only pretends to be the client.
pub(crate) const STRANGER: u64 = u64::MAX;

impl World {
    fn latency(&mut self, (least, most): (Nanos, Nanos)) -> Nanos {
        let usual = self.random.between(least, most);
        let slow = self.plan.slow_per_mille;
        if self.now < self.slow_until {
            usual * 10 + self.random.between(0, 50) * MS
        } else if slow > 0 && !self.is_healed() && self.random.per_mille(slow) {
            usual + self.random.between(10, 300) * MS
        } else {
            usual
        }
    }

    /// Begins an attempt to connect.
    pub(crate) fn open_link(&mut self, client: usize, process: u64, id: LinkId, member: usize) {
        let link = self.links.len();
        let life = self.members[member].life;
        self.links.push(Link::new(client, process, id, (member, life)));
        let cut = self.cuts[client][member];
        if self.now < cut.to_server.until || self.now < cut.to_client.until {
            self.counts.add("connects into a void");
            return;
        }
        let there = self.latency(self.plan.latency);
        let back = self.latency(self.plan.latency);
        let at = self.now + there + back;
        let host = &self.members[member];
        if host.refuses_until > self.now || (host.replica.is_none() && !host.is_silent) {
            self.counts.add("connects refused");
            self.schedule(at, Event::Refused { link });
        } else if host.replica.is_some() {
            self.links[link].last = [at; 2];
            self.schedule(at, Event::Opened { link });
        } else {
            self.counts.add("connects into a void");
        }
    }

    /// Sends on a link, behind everything sent before.
    pub(crate) fn send(&mut self, link: usize, way: Way, piece: Piece) {
        let which = way as usize;
        let (client, member) = (self.links[link].client, self.links[link].member);
        let outage = self.cuts[client][member].outage(way);
        let mut start = self.now;
        if self.links[link].broken[which] {
            return;
        }
        if self.now < outage.until {
            if outage.loses {
                self.counts.add("links half open");
                self.links[link].broken[which] = true;
                return;
            }
            self.counts.add("packets delivered after an outage");
            start = outage.until;
        }
        let at = (start + self.latency(self.plan.latency)).max(self.links[link].last[which] + 1);
        // A stream has no frames: now and then one arrives in two pieces.
        match piece {
            Piece::Bytes(mut bytes) if bytes.len() > 1 && self.random.per_mille(30) => {
                let rest = bytes.split_off(self.random.between(1, bytes.len() as u64 - 1) as usize);
                let later = at + self.random.between(1, 3 * MS);
                self.links[link].last[which] = later;
                let piece = Piece::Bytes(bytes);
                self.schedule(at, Event::Arrives { link, way, piece });
                self.schedule(later, Event::Arrives { link, way, piece: Piece::Bytes(rest) });
            }
            piece => {
                self.links[link].last[which] = at;
                self.schedule(at, Event::Arrives { link, way, piece });
            }
        }
    }

    /// Sends a message to another server, if it gets there.
    pub(crate) fn send_peer(&mut self, from: usize, to: usize, message: Vec<u8>) {
        let PeerLink { last, outage, epoch } = self.peer_links[from][to];
        let mut start = self.now;
        if self.now < outage.until {
            if outage.loses {
                return;
            }
            start = outage.until;
        }
        let at = (start + self.latency(self.plan.peer_latency)).max(last + 1);
        self.peer_links[from][to].last = at;
        self.schedule(at, Event::PeerMessage { from, to, epoch, message });
    }

    /// The links between two servers break: both notice, unless one is gone or cut off.
    pub(crate) fn break_peer_links(&mut self, one: usize, other: usize) {
        for (member, gone) in [(one, other), (other, one)] {
            self.peer_links[member][gone].epoch += 1;
            let at = self.now + self.latency(self.plan.peer_latency);
            let life = self.members[member].life;
            self.schedule(at, Event::PeerDown { member, life, other: gone });
        }
    }
}
