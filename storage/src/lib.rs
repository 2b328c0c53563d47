//! Durable bytes: the log and the snapshots of one replica.
//!
//! Knows nothing of sessions, znodes or consensus: entries and chunks are opaque. The log is a row
//! of files with checksummed records ([`Log`]); a snapshot is one file ([`snapshots`]); start-up
//! finds both again or says exactly why not ([`recover`]). All bytes pass through one trait,
//! [`Disk`], so that tests can lose power at any moment.

mod disk;
mod faulty;
mod incoming;
pub mod inspect;
mod lock;
mod log;
mod random;
mod record;
mod recovery;
mod segment;
pub mod snapshots;
mod spares;
mod window;

pub use disk::{Disk, DiskFile, FileId, OpenMode, RealDisk};
pub use faulty::{Faults, FaultyDisk};
pub use incoming::{IncomingError, IncomingSnapshot};
pub use lock::{DataFolder, LockError};
pub use log::{Log, LogOptions, MAX_BATCH_BYTES, WriteError};
pub use record::{Entry, HardState, Record};
pub use recovery::{FoundSnapshot, OpenError, Recovered, Recovery, recover};
pub use segment::FORMAT_VERSION;

#[cfg(test)]
mod tests;
