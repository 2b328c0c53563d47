//! Tests over the disk double: power loss, faults, damage, garbage, and the format's golden folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::random::Random;
use crate::{Disk, Entry, FaultyDisk, HardState, Log, LogOptions, OpenError, Recovered};

mod damage;
mod faults;
mod fuzz;
mod golden;
mod power;

const DIR: &str = "/log";

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn as_disk(disk: &Arc<FaultyDisk>) -> Arc<dyn Disk> {
    Arc::clone(disk) as Arc<dyn Disk>
}

/// Files of the smallest size, so that tests cross from one to the next often.
fn options(snapshot_index: u64) -> LogOptions {
    LogOptions { segment_bytes: 4 << 10, snapshot_index, accept_missing_log: false }
}

fn open(disk: &Arc<FaultyDisk>, snapshot_index: u64) -> Result<(Log, Recovered), OpenError> {
    Log::open(as_disk(disk), dir(), options(snapshot_index))
}

fn entry(index: u64, term: u64, bytes: usize) -> Entry {
    let byte = (index as u8).wrapping_mul(31).wrapping_add(term as u8);
    Entry { index, term, kind: (index % 3) as u8, data: vec![byte; bytes].into() }
}

fn state(term: u64, commit: u64) -> HardState {
    HardState { term, vote: 1, commit, catching_up: commit % 2 == 1 }
}

/// The log files of the double, oldest first.
fn segments(disk: &FaultyDisk) -> Vec<PathBuf> {
    let names = disk.list(dir()).unwrap();
    names.iter().filter(|name| name.ends_with(".log")).map(|name| dir().join(name)).collect()
}
