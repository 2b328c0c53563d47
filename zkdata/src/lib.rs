//! The files of a ZooKeeper data folder, versions 3.4 to 3.9: bytes to values and back, without
//! any I/O.
//!
//! [`unpack`] undoes the compression of a snapshot, [`decode_snapshot`] makes a [`Tree`] of it,
//! [`LogScanner`] finds the transactions of a log, which [`Tree::apply`] repeats on the tree.
//! [`SnapshotWriter`] goes the other way. Decoders never panic and allocate in proportion to what
//! they are given; whatever does not check out is told with its place.
#![warn(missing_docs)]

mod compression;
mod log;
mod snapshot;
mod snapshot_writer;
mod stat;
mod tree;
mod txn;

pub use compression::{Compression, UnpackError, unpack};
pub use log::{LogItem, LogRecord, LogScanner, NotLog};
pub use snapshot::{Snapshot, SnapshotError, decode_snapshot};
pub use snapshot_writer::SnapshotWriter;
pub use stat::{Kind, StoredStat};
pub use tree::{AclList, Misfit, MisfitKind, Session, Tree, Znode, is_digest_known};
pub use txn::{Change, Digest, NewZnode, Txn, TxnHeader};
