//! The state that a folder holds which no server uses: Tenure's, or ZooKeeper's.

use std::path::{Path, PathBuf};

use tenure_replica::State;
use tenure_server::StartError;
use tenure_storage::inspect::{Found, log_records};
use tenure_storage::{OpenError, RealDisk, Record, snapshots};
use thiserror::Error;

use crate::import::{self, FolderError};

/// Why a folder's state cannot be had.
#[derive(Debug, Error)]
pub(crate) enum FolderStateError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Snapshot(#[from] StartError),
    #[error(transparent)]
    ZooKeeper(#[from] FolderError),
    #[error("{}: {losses} things are lost there; `tenure import` tells which", folder.display())]
    Damaged { folder: PathBuf, losses: usize },
    #[error("{}: no snapshot there", .0.display())]
    NoSnapshot(PathBuf),
    #[error(
        "{}: the log goes on behind the newest snapshot, to index {last}, which ends at \
         {snapshot}. Start a server on it, and take what you need from the server",
        folder.display()
    )]
    LogGoesOn { folder: PathBuf, snapshot: u64, last: u64 },
}

/// Reads a folder as a whole.
pub(crate) fn read_state(folder: &Path) -> Result<State, FolderStateError> {
    let own = folder.join("tenure");
    match own.is_dir() {
        true => tenure_state(folder, &own),
        false => zookeeper_state(folder),
    }
}

fn zookeeper_state(folder: &Path) -> Result<State, FolderStateError> {
    let (state, losses) = import::read_state(folder)?;
    match losses {
        0 => Ok(state),
        losses => Err(FolderStateError::Damaged { folder: folder.to_path_buf(), losses }),
    }
}

/// A snapshot behind which the log has nothing.
fn tenure_state(folder: &Path, own: &Path) -> Result<State, FolderStateError> {
    let disk = RealDisk::shared();
    let dir = own.join("snapshots");
    let newest = snapshots::newest_valid(&disk, &dir)?;
    let (path, meta) = newest.ok_or(FolderStateError::NoSnapshot(dir))?;
    let log = own.join("log");
    if log.is_dir() {
        let entries = log_records(&disk, &log)?.filter_map(|item| match item.found {
            Found::Record(Record::Entry(entry)) => Some(entry.index),
            _ => None,
        });
        if let Some(last) = entries.max().filter(|last| *last > meta.index) {
            let (folder, snapshot) = (folder.to_path_buf(), meta.index);
            return Err(FolderStateError::LogGoesOn { folder, snapshot, last });
        }
    }
    Ok(tenure_server::read_snapshot(&disk, &path)?.1)
}
