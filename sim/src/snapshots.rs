//! Snapshots of servers: taken, stored, and sent to members that were left behind.

use tenure_replica::{Input, Restorer, SnapshotMeta, State};

use crate::clock::{MS, Nanos};
use crate::trace::Who;
use crate::world::{Event, World};

/// A state as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) meta: SnapshotMeta,
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Snapshot {
    pub(crate) fn restore(&self, hash_seed: u64) -> State {
        let mut restorer = Restorer::new(hash_seed);
        for chunk in &self.chunks {
            restorer.chunk(chunk).expect("servers store what they can read");
        }
        restorer.finish().expect("only whole snapshots are stored")
    }
}

/// A snapshot on its way, between two processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    from: usize,
    from_life: u64,
    to: usize,
    to_life: u64,
    /// That of the link; a break ends the transfer.
    epoch: u64,
}

impl World {
    /// All chunks are there; soon they are durable.
    pub(crate) fn store_snapshot(&mut self, member: usize) {
        let server = &mut self.members[member];
        let Some(snapshot) = server.disk.unfinished.take() else { return };
        let life = server.life;
        self.check_snapshot(member, &snapshot);
        let at = self.now + self.random.between(MS, 30 * MS);
        self.schedule(at, Event::SnapshotStored { member, life, snapshot });
    }

    pub(crate) fn snapshot_stored(&mut self, member: usize, life: u64, snapshot: Snapshot) {
        let server = &mut self.members[member];
        if server.life != life || server.replica.is_none() {
            return;
        }
        let index = snapshot.meta.index;
        if server.disk.snapshot.as_ref().is_some_and(|newer| newer.meta.index > index) {
            // A newer one was received meanwhile.
            return;
        }
        self.counts.add("snapshots taken");
        self.trace.note(self.now, Who::Server(member), "snapshot", index, || {
            format!("of the state at index {index}")
        });
        server.disk.log.retain(|entry| entry.index > index);
        server.disk.snapshot = Some(snapshot);
        self.step(member, Input::SnapshotSaved { index });
        self.turn(member);
    }

    /// Sends a member the newest snapshot, or has one made.
    pub(crate) fn send_snapshot(&mut self, from: usize, to: usize, reaching: u64) {
        let server = &mut self.members[from];
        if server.sending_to.contains(&to) {
            return;
        }
        let newest = server.disk.snapshot.clone();
        let Some(snapshot) = newest.filter(|found| found.meta.index >= reaching) else {
            return self.step(from, Input::TakeSnapshot);
        };
        server.sending_to.push(to);
        let (from_life, to_life) = (server.life, self.members[to].life);
        let epoch = self.peer_links[from][to].epoch;
        let transfer = Transfer { from, from_life, to, to_life, epoch };
        let takes: Nanos = self.random.between(MS, 200 * MS);
        self.step(from, Input::SnapshotSending { to: to as u64 + 1, index: snapshot.meta.index });
        self.schedule(self.now + takes, Event::SnapshotArrives { transfer, snapshot });
    }

    pub(crate) fn snapshot_arrives(&mut self, transfer: Transfer, snapshot: Snapshot) {
        let Transfer { from, from_life, to, to_life, epoch } = transfer;
        let (there, back) = (&self.peer_links[from][to], &self.peer_links[to][from]);
        let is_cut =
            there.epoch != epoch || self.now < there.outage.until || self.now < back.outage.until;
        let is_there = self.members[to].life == to_life && self.members[to].replica.is_some();
        if is_there && !is_cut && self.members[to].is_paused(self.now) {
            // Not among what waits for its process, which is gone if that crashes: then the
            // sender learns of it.
            let later = self.members[to].paused_until;
            return self.schedule(later, Event::SnapshotArrives { transfer, snapshot });
        }
        if self.members[from].life == from_life && self.members[from].replica.is_some() {
            self.members[from].sending_to.retain(|member| *member != to);
            if is_cut || !is_there {
                self.step(from, Input::SnapshotNotSent { to: to as u64 + 1 });
            }
        }
        if is_cut || !is_there {
            self.counts.add("snapshots lost on the way");
            return;
        }
        self.receive_snapshot(to, snapshot);
    }

    fn receive_snapshot(&mut self, to: usize, snapshot: Snapshot) {
        let server = &mut self.members[to];
        let meta = snapshot.meta.clone();
        let newest = server.disk.snapshot.as_ref().map_or(0, |found| found.meta.index);
        let state = Box::new(snapshot.restore(server.config.hash_seed));
        if newest < meta.index {
            server.disk.snapshot = Some(snapshot);
        }
        self.counts.add("snapshots received");
        self.trace.note(self.now, Who::Server(to), "received", meta.index, || {
            format!("a snapshot at index {} of term {}", meta.index, meta.term)
        });
        self.step(to, Input::SnapshotReceived { meta, state });
        self.turn(to);
    }
}
