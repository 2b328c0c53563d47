//! Data folders that start with a state from elsewhere: imported, or restored from a backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenure_replica::{SnapshotMeta, State};
use tenure_storage::snapshots::{self, SnapshotMeta as FileMeta, SnapshotWriter};
use tenure_storage::{
    DataFolder, Disk, LockError, Log, LogOptions, OpenError, RealDisk, WriteError,
};
use thiserror::Error;

/// Why a data folder was not made.
#[derive(Debug, Error)]
pub enum FoundError {
    /// The folder cannot be taken into use.
    #[error(transparent)]
    Folder(#[from] LockError),
    /// There is a state already.
    #[error(
        "{} holds data already; nothing was changed. Name a folder that does not exist yet, or is \
         empty",
        .0.display()
    )]
    NotEmpty(PathBuf),
    /// The folder cannot be read, or its log not be begun.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The disk refuses.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Makes a data folder from which a server starts with this state. Its log may lie elsewhere, as
/// with `dataLogDir`. Returns the snapshot that holds the state.
///
/// # Errors
/// If there is anything in the folders already, or the disk refuses; nothing that a server would
/// start from is left then.
pub fn found_data_folder(
    data_dir: &Path,
    data_log_dir: &Path,
    state: &mut State,
) -> Result<PathBuf, FoundError> {
    let folder = DataFolder::open(data_dir, data_log_dir)?;
    let disk = RealDisk::shared();
    if !snapshots::list(&disk, folder.snapshot_dir())?.is_empty() {
        return Err(FoundError::NotEmpty(folder.snapshot_dir().to_path_buf()));
    }
    if disk.list(folder.log_dir()).is_ok_and(|names| !names.is_empty()) {
        return Err(FoundError::NotEmpty(folder.log_dir().to_path_buf()));
    }
    let meta = file_meta(&state.snapshot_meta());
    let path = write_snapshot(&disk, folder.snapshot_dir(), &meta, state)?;
    // In this order: a snapshot without a log does not start, a log without one starts empty.
    let options = LogOptions { snapshot_index: meta.index, ..LogOptions::default() };
    let (mut log, _) = Log::open(disk, folder.log_dir(), options)?;
    log.sync()?;
    Ok(path)
}

/// What storage keeps of a snapshot.
pub(crate) fn file_meta(meta: &SnapshotMeta) -> FileMeta {
    FileMeta { index: meta.index, term: meta.term, zxid: meta.zxid.0, extra: meta.members.clone() }
}

fn write_snapshot(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    meta: &FileMeta,
    state: &mut State,
) -> Result<PathBuf, WriteError> {
    let mut writer = SnapshotWriter::create(Arc::clone(disk), dir, meta)?;
    match state.write_chunks(|chunk| writer.chunk(chunk)) {
        Ok(()) => writer.finish(),
        Err(error) => {
            writer.abandon();
            Err(error)
        }
    }
}
