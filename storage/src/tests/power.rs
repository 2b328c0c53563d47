//! Thousands of power losses: what was synced is there, and nothing that was never written.

use super::*;
use crate::{Faults, WriteError};

/// One record as the model keeps it.
#[derive(Clone, Debug)]
enum Op {
    State(HardState),
    Entry(Entry),
}

/// What the log must hold, kept without any disk.
#[derive(Default)]
struct Model {
    snapshot_index: u64,
    base: Content,
    /// Records since the base, in the order written.
    ops: Vec<Op>,
    /// So many of them are durable.
    synced: usize,
    /// Batches that failed since the last one that did not: a part may have got there.
    ghosts: Vec<Vec<Op>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    hard_state: Option<HardState>,
    entries: Vec<Entry>,
}

impl Content {
    fn apply(&mut self, op: &Op, snapshot_index: u64) {
        match op {
            Op::State(state) => self.hard_state = Some(*state),
            Op::Entry(entry) => {
                self.entries.retain(|old| old.index < entry.index);
                if entry.index > snapshot_index {
                    self.entries.push(entry.clone());
                }
            }
        }
    }

    fn last_index(&self, snapshot_index: u64) -> u64 {
        self.entries.last().map_or(snapshot_index, |entry| entry.index)
    }
}

impl Model {
    fn now(&self) -> Content {
        let mut content = self.base.clone();
        self.ops.iter().for_each(|op| content.apply(op, self.snapshot_index));
        content
    }

    fn snapshot(&mut self, index: u64) {
        self.snapshot_index = index;
        self.base.entries.retain(|entry| entry.index > index);
    }

    /// Whether `found` is one of the states that may follow a crash.
    fn allows(&self, found: &Content, everything: bool) -> bool {
        let least = if everything { self.ops.len() } else { self.synced };
        let mut content = self.base.clone();
        for count in 0..=self.ops.len() {
            if count > 0 {
                content.apply(&self.ops[count - 1], self.snapshot_index);
            }
            if count >= least && content == *found {
                return true;
            }
        }
        self.ghosts.iter().any(|ghost| {
            let mut content = content.clone();
            ghost.iter().any(|op| {
                content.apply(op, self.snapshot_index);
                content == *found
            })
        })
    }
}

/// The records of a batch, as `Log::append` orders them.
fn ops_of(hard_state: Option<HardState>, next_index: u64, entries: &[Entry]) -> Vec<Op> {
    let first = entries.first().map_or(next_index, |entry| entry.index);
    let early = hard_state.map(|state| HardState { commit: state.commit.min(first - 1), ..state });
    let late = hard_state.filter(|state| state.commit >= first);
    let entries = entries.iter().cloned().map(Op::Entry);
    early.map(Op::State).into_iter().chain(entries).chain(late.map(Op::State)).collect()
}

struct World {
    random: Random,
    disk: Arc<FaultyDisk>,
    model: Model,
    term: u64,
    commit: u64,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            random: Random::new(seed),
            disk: Arc::new(FaultyDisk::new(seed ^ 0xd15c)),
            model: Model::default(),
            term: 1,
            commit: 0,
        }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.random.below(one_in) == 0
    }

    fn append(&mut self, log: &mut Log) -> Result<(), WriteError> {
        let last = log.last_index();
        let mut first = last + 1;
        if self.chance(8) && last > self.commit {
            // A new leader overwrites what was not committed.
            self.term += 1;
            first = self.commit + 1 + self.random.below(last - self.commit);
        }
        let count = self.random.below(5);
        let mut entries = Vec::new();
        for index in first..first + count {
            let most = if self.chance(40) { 6000 } else { 400 };
            entries.push(entry(index, self.term, self.random.below(most) as usize));
        }
        let last = entries.last().map_or(last, |entry| entry.index);
        let commit = self.commit + self.random.below(last - self.commit + 1);
        let hard_state = (count == 0 || self.chance(2)).then(|| state(self.term, commit));
        let ops = ops_of(hard_state, log.last_index() + 1, &entries);
        match log.append(hard_state, &entries) {
            Ok(()) => {
                self.model.ops.extend(ops);
                self.model.ghosts.clear();
                self.commit = hard_state.map_or(self.commit, |state| state.commit);
                Ok(())
            }
            Err(error) => {
                self.model.ghosts.push(ops);
                Err(error)
            }
        }
    }

    fn cut(&mut self, log: &mut Log) -> Result<(), WriteError> {
        log.sync()?;
        let mut index = self.model.snapshot_index;
        index += self.random.below(self.commit.saturating_sub(index) + 1);
        if self.chance(10) {
            // A snapshot that was received can lie ahead of the log.
            index = log.last_index() + 1 + self.random.below(5);
            self.commit = index;
        }
        self.model.base = self.model.now();
        self.model.ops.clear();
        self.model.synced = 0;
        self.model.snapshot(index);
        log.cut_before(index + 1)
    }

    fn set_faults(&mut self) {
        let mut faults = Faults::default();
        match self.random.below(4) {
            0 => faults.short_write_one_in = 2,
            1 => faults.fail_sync_one_in = 12,
            2 => {
                faults.capacity_bytes = 10_000 + self.random.below(10_000);
                faults.short_write_one_in = 3;
            }
            _ => {}
        }
        self.disk.set_faults(faults);
    }

    /// Works until something ends the process.
    fn work(&mut self, log: &mut Log) {
        for _ in 0..self.random.below(40) {
            let done = match self.random.below(12) {
                0..=5 => self.append(log),
                6..=8 => log.sync().map(|()| self.model.synced = self.model.ops.len()),
                9 => self.cut(log),
                _ => log.prepare_next().map(|_| ()),
            };
            match done {
                Ok(()) | Err(WriteError::Full { .. }) => {}
                Err(error) => {
                    assert_eq!(log.append(None, &[]).unwrap_err(), error, "the error stays");
                    assert_eq!(log.sync().unwrap_err(), error, "the error stays");
                    break;
                }
            }
        }
    }

    /// Opens the log on a disk that may fail meanwhile, and says if it did.
    fn open_fails(&mut self) -> bool {
        let mut faults = Faults { fail_sync_one_in: 2, ..Faults::default() };
        if self.chance(2) {
            faults = Faults { fail_write_one_in: 2, short_write_one_in: 3, ..Faults::default() };
        }
        self.disk.set_faults(faults);
        let opened = open(&self.disk, self.model.snapshot_index);
        self.disk.set_faults(Faults::default());
        match opened {
            Ok(_) => false,
            Err(OpenError::Io { .. }) => true,
            Err(other) => panic!("a crash is no damage: {other}"),
        }
    }

    fn round(&mut self, mut power: bool) {
        while self.chance(3) && self.open_fails() {
            if self.chance(2) {
                power = true;
                self.disk.lose_power();
            } else {
                self.disk.kill();
            }
        }
        let opened = open(&self.disk, self.model.snapshot_index);
        let (mut log, found) = opened.expect("a crash is no damage");
        let found = Content { hard_state: found.hard_state, entries: found.entries };
        let expected = self.model.now();
        assert!(
            self.model.allows(&found, !power),
            "found {found:?}\nexpected {expected:?}\nsynced {} of {:?}",
            self.model.synced,
            self.model.ops,
        );
        assert_eq!(log.last_index(), found.last_index(self.model.snapshot_index));
        self.commit = found.hard_state.map_or(0, |state| state.commit);
        self.commit = self.commit.max(self.model.snapshot_index);
        self.term = self.term.max(found.hard_state.map_or(0, |state| state.term)) + 1;
        self.model.base = found;
        self.model.ops.clear();
        self.model.ghosts.clear();
        self.model.synced = 0;
        self.set_faults();
        self.work(&mut log);
        self.disk.set_faults(Faults::default());
    }
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    let mut power = true;
    for _ in 0..8 {
        world.round(power);
        power = world.chance(2);
        if power { world.disk.lose_power() } else { world.disk.kill() }
    }
    world
}

#[test]
fn every_synced_entry_survives_thousands_of_crashes() {
    for seed in 0..3000 {
        let result = std::panic::catch_unwind(|| drop(run(seed)));
        assert!(result.is_ok(), "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |world: &World| {
        let files = segments(&world.disk);
        files.iter().map(|path| (path.clone(), world.disk.contents(path))).collect::<Vec<_>>()
    };
    for seed in 0..20 {
        assert_eq!(bytes(&run(seed)), bytes(&run(seed)), "seed {seed}");
    }
}
