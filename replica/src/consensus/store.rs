//! The part of the log that the consensus library reads: entries not yet applied, and a tail of
//! applied ones for peers that lag. The disk has its own copy; this one is never read from it.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::mem;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

#[derive(Debug)]
pub(crate) struct Store {
    hard_state: HardState,
    conf_state: ConfState,
    /// Index and term of the entry just before the first one kept.
    before: (u64, u64),
    entries: VecDeque<Entry>,
    /// Bytes of their data.
    bytes: u64,
    /// Members that need entries from before the first one kept.
    left_behind: RefCell<BTreeSet<u64>>,
}

/// How many applied entries are kept for members that lag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// Entries from this index on are kept all the same: a member is being brought up to there.
    pub(crate) needed_from: u64,
}

impl Store {
    pub(crate) fn new(
        hard_state: HardState,
        conf_state: ConfState,
        before: (u64, u64),
        entries: Vec<Entry>,
    ) -> Self {
        let bytes = entries.iter().map(|entry| entry.data.len() as u64).sum();
        let left_behind = RefCell::default();
        Store { hard_state, conf_state, before, entries: entries.into(), bytes, left_behind }
    }

    /// Goes on from a snapshot of another member; there is no entry to keep.
    pub(crate) fn restart(&mut self, conf_state: ConfState, before: (u64, u64)) {
        self.conf_state = conf_state;
        self.before = before;
        self.entries.clear();
        self.bytes = 0;
    }

    /// Index of the entry just before the first one kept: a snapshot that ends there or later
    /// can be continued.
    pub(crate) fn before(&self) -> u64 {
        self.before.0
    }

    /// The members that were found to be too far behind since the last call.
    pub(crate) fn take_left_behind(&mut self) -> BTreeSet<u64> {
        mem::take(self.left_behind.get_mut())
    }

    pub(crate) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(crate) fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    pub(crate) fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    /// Appends entries; the first may replace older ones from its index on.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.index > self.before.0, "an entry before the compacted ones was replaced");
        assert!(first.index <= self.last() + 1, "the log has no gaps");
        while self.last() >= first.index {
            let replaced = self.entries.pop_back();
            self.bytes -= replaced.map_or(0, |entry| entry.data.len() as u64);
        }
        self.bytes += entries.iter().map(|entry| entry.data.len() as u64).sum::<u64>();
        self.entries.extend(entries.iter().cloned());
    }

    /// Forgets entries up to `applied` beyond the tail that is to be kept.
    pub(crate) fn compact(&mut self, applied: u64, tail: Tail) {
        while let Some(entry) = self.entries.front() {
            let is_within =
                applied - self.before.0.min(applied) <= tail.entries && self.bytes <= tail.bytes;
            if entry.index > applied || is_within || entry.index >= tail.needed_from {
                break;
            }
            self.bytes -= entry.data.len() as u64;
            self.before = (entry.index, entry.term);
            self.entries.pop_front();
        }
    }

    fn last(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }
}

impl Storage for Store {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let from = (low - self.before.0 - 1) as usize;
        let until = (high - self.before.0 - 1) as usize;
        let mut entries: Vec<Entry> = self.entries.range(from..until).cloned().collect();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.before.0 {
            return Ok(self.before.1);
        }
        if index < self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let entry = self.entries.get((index - self.before.0 - 1) as usize);
        entry.map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.before.0 + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    /// Snapshots travel beside consensus, which only hears that one has arrived.
    fn snapshot(&self, _request_index: u64, to: u64) -> Result<Snapshot> {
        self.left_behind.borrow_mut().insert(to);
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
