//! Disks: they write in the order in which they were asked to, take their time, stall and fill up,
//! and of what they had not written when a process died some first part may be there.

use std::collections::VecDeque;

use tenure_replica::{HardState, Input, LogEntry, Persist};

use crate::clock::{MS, Nanos};
use crate::random::Random;
use crate::snapshots::Snapshot;
use crate::trace::Who;
use crate::wishes::{Bug, HostBug};
use crate::world::{Event, World};

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) snapshot: Option<Snapshot>,
    /// Not whole yet.
    pub(crate) unfinished: Option<Snapshot>,
    /// Handed over, and not durable yet.
    pub(crate) pending: VecDeque<Job>,
    pub(crate) free_at: Nanos,
}

/// What a disk is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    Persist(Persist),
    /// The log goes on behind a snapshot that was received.
    Restart(u64),
}

impl Disk {
    pub(crate) fn write(&mut self, job: Job) {
        let persist = match job {
            Job::Persist(persist) => persist,
            Job::Restart(after) => return self.log.retain(|entry| entry.index > after),
        };
        if let Some(hard_state) = persist.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(first) = persist.entries.first() {
            let keep = self.log.partition_point(|entry| entry.index < first.index);
            self.log.truncate(keep);
            self.log.extend(persist.entries);
        }
    }

    /// The process dies: so many batches are written all the same, and the rest is lost.
    pub(crate) fn lose(&mut self, survives: usize) {
        for _ in 0..survives {
            let Some(job) = self.pending.pop_front() else { break };
            self.write(job);
        }
    }

    /// Of the next batch only the first records are there: its hard state, and some entries.
    /// Says whether that happened.
    pub(crate) fn tear(&mut self, random: &mut Random) -> bool {
        let Some(Job::Persist(mut persist)) = self.pending.pop_front() else { return false };
        let whole = random.below(persist.entries.len() as u64 + 1) as usize;
        persist.entries.truncate(whole);
        self.write(Job::Persist(persist));
        true
    }

    /// Index and term of the last entry that is durable.
    pub(crate) fn end(&self) -> (u64, u64) {
        let snapshot = self.snapshot.as_ref().map_or((0, 0), |it| (it.meta.index, it.meta.term));
        self.log.last().map_or(snapshot, |entry| (entry.index, entry.term).max(snapshot))
    }
}

/// Something wrong with a disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DiskFault {
    /// All writes wait for a while, for whatever reason. A full disk is the same: the server
    /// tries again until there is room.
    Stall { lasts: Nanos },
    /// A sync fails: nobody knows what is durable, so the server stops.
    FailSync { lasts: Nanos },
    /// Everything is lost, and the process with it.
    Wipe { lasts: Nanos },
}

impl World {
    pub(crate) fn persist(&mut self, member: usize, persist: Persist) {
        let (life, ticket) = (self.members[member].life, persist.ticket);
        let takes = self.random.between(self.plan.disk.0, self.plan.disk.1);
        let disk = &mut self.members[member].disk;
        disk.free_at = disk.free_at.max(self.now) + takes;
        disk.pending.push_back(Job::Persist(persist));
        let at = disk.free_at;
        if self.bug == Some(Bug::Host(HostBug::SkipsSync)) {
            // Written back some time later, as operating systems do.
            self.schedule(at + 300 * MS, Event::WrittenBack { member, life, ticket });
        }
        self.schedule(at, Event::Stored { member, life, ticket });
    }

    pub(crate) fn stored(&mut self, member: usize, life: u64, ticket: u64) {
        if self.members[member].life != life || self.members[member].replica.is_none() {
            return;
        }
        if self.bug != Some(Bug::Host(HostBug::SkipsSync)) {
            self.written(member, life, ticket);
        }
        if !self.must_wait(member, || Event::Stored { member, life, ticket }) {
            self.step(member, Input::Persisted { ticket });
            self.turn(member);
        }
    }

    /// The disk works on while the process stands still.
    pub(crate) fn written(&mut self, member: usize, life: u64, ticket: u64) {
        if self.members[member].life != life || self.members[member].replica.is_none() {
            return;
        }
        let disk = &mut self.members[member].disk;
        while let Some(job) = disk.pending.pop_front_if(|next| match next {
            Job::Persist(persist) => persist.ticket <= ticket,
            Job::Restart(_) => true,
        }) {
            disk.write(job);
        }
    }

    /// Chooses what goes wrong next with some disk, up to the time when all is well.
    pub(crate) fn choose_disk_fault(&mut self) {
        if self.is_healed() {
            return;
        }
        let every = 2 * self.plan.fault_every;
        let next = self.now + self.extra.between(every / 3, every * 5 / 3);
        self.schedule(next, Event::NextDiskFault);
        let member = self.extra.below(self.members.len() as u64) as usize;
        let longest = 2 * self.plan.longest;
        let limit = self.extra.between(longest / 40, longest);
        let lasts = self.extra.between(longest / 40, limit);
        let fault = match self.extra.below(100) {
            0..65 => DiskFault::Stall { lasts },
            65..90 => DiskFault::FailSync { lasts },
            _ => DiskFault::Wipe { lasts },
        };
        let number = self.extra.next();
        self.trace.note(self.now, Who::Server(member), "DISK", number, || format!("{fault:?}"));
        self.inflict_on_disk(member, fault);
    }

    fn inflict_on_disk(&mut self, member: usize, fault: DiskFault) {
        let until = |now: Nanos, lasts: Nanos| (now + lasts).min(self.plan.healed_at);
        match fault {
            DiskFault::Stall { lasts } => {
                let until = until(self.now, lasts);
                self.counts.add("fault: disk stalled");
                let disk = &mut self.members[member].disk;
                disk.free_at = disk.free_at.max(until);
            }
            DiskFault::FailSync { lasts } => {
                let until = until(self.now, lasts);
                if self.members[member].replica.is_some() {
                    self.counts.add("fault: sync failed");
                    self.crash(member, false);
                    self.schedule(until, Event::Restart(member));
                }
            }
            DiskFault::Wipe { lasts } => {
                let until = until(self.now, lasts);
                if self.may_lose_its_disk(member) {
                    self.counts.add("fault: disk lost");
                    self.crash(member, false);
                    self.members[member].disk = Disk::default();
                    self.schedule(until, Event::Restart(member));
                }
            }
        }
    }

    /// What a majority has confirmed must not be lost with disks: a voter may lose its own only
    /// while all the others hold whatever they ever confirmed. An observer promises nothing.
    fn may_lose_its_disk(&self, member: usize) -> bool {
        if self.plan.reconfigures
            || self.members.len() == 1
            || self.members[member].replica.is_none()
        {
            return false;
        }
        let holds_all = |other: &crate::server::Member| {
            let catches_up = other.replica.as_ref().is_some_and(|r| r.is_catching_up());
            other.disk.end() > (0, 0) && !other.disk.hard_state.catching_up && !catches_up
        };
        let mut voters = self.members.iter().filter(|other| other.index < self.plan.voters);
        member >= self.plan.voters || voters.all(|other| other.index == member || holds_all(other))
    }
}
