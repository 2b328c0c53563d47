//! A snapshot file that arrives from elsewhere, in pieces.
//!
//! It takes its name only when it is whole, checked from end to end, and durable. What came of it
//! stays until the next start, so that a transfer that broke off goes on where it stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::log::WriteError;
use crate::recovery::OpenError;
use crate::snapshots::{self, UNFINISHED};

/// Bytes written between syncs: one long sync at the end would hold up the log's.
const SYNC_EVERY_BYTES: u64 = 4 << 20;

/// A snapshot that is being received.
pub struct IncomingSnapshot {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: DiskFile,
    path: PathBuf,
    written: u64,
    synced: u64,
}

/// Why a received snapshot does not count.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    /// A sender gave a name that no snapshot has.
    #[error("{0:?} is no name of a snapshot")]
    Name(String),
    /// The disk refuses.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It arrived altered, or was damaged where it came from. What came of it is gone.
    #[error(transparent)]
    Damaged(#[from] OpenError),
}

impl IncomingSnapshot {
    /// Goes on receiving the snapshot called `name` from `sender`, or begins to.
    ///
    /// # Errors
    /// If that is no snapshot's name, or the disk refuses.
    pub fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        name: &str,
        sender: u64,
    ) -> Result<Self, IncomingError> {
        if !snapshots::is_name(name) {
            return Err(IncomingError::Name(name.to_owned()));
        }
        // Two members' files of one state may differ in how they are compressed.
        let unfinished = dir.join(format!("{name}.from-{sender}{UNFINISHED}"));
        let failed = |error| WriteError::of("creating", &unfinished, &error);
        disk.create_dir(dir).map_err(failed)?;
        let (file, written) = match DiskFile::open(disk, &unfinished, OpenMode::Write) {
            Ok(file) => {
                let size = file.size().map_err(failed)?;
                (file, size)
            }
            Err(_) => (DiskFile::open(disk, &unfinished, OpenMode::Create).map_err(failed)?, 0),
        };
        let (disk, dir, path) = (Arc::clone(disk), dir.to_path_buf(), dir.join(name));
        Ok(IncomingSnapshot { disk, dir, file, path, written, synced: 0 })
    }

    /// How many bytes are here already.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// If the disk refuses; what came before stays.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), IncomingError> {
        let written = self.file.write_all_at(bytes, self.written);
        written.map_err(|error| self.error("writing", &error))?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= SYNC_EVERY_BYTES {
            self.file.sync_data().map_err(|error| self.error("syncing", &error))?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// All is here: checks every byte, makes the file durable and gives it its name.
    ///
    /// # Errors
    /// If it is damaged, or the disk refuses.
    pub fn finish(mut self) -> Result<PathBuf, IncomingError> {
        self.file.sync_data().map_err(|error| self.error("syncing", &error))?;
        if let Err(error) = snapshots::validate(&self.disk, self.file.path()) {
            self.abandon();
            return Err(error.into());
        }
        let path = self.path.clone();
        self.file.rename(&path).map_err(|error| self.error("naming", &error))?;
        let synced = self.disk.sync_dir(&self.dir);
        synced.map_err(|error| self.error("syncing the folder of", &error))?;
        Ok(path)
    }

    /// Gives it up and frees its space.
    pub fn abandon(self) {
        let path = self.file.path().to_path_buf();
        drop(self.file);
        // The next start removes it if this does not.
        _ = self.disk.remove(&path);
    }

    fn error(&self, op: &'static str, error: &std::io::Error) -> WriteError {
        WriteError::of(op, self.file.path(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use crate::snapshots::{SnapshotMeta, SnapshotReader, SnapshotWriter};

    fn sent(disk: &Arc<dyn Disk>, dir: &Path) -> (String, Vec<u8>) {
        let meta = SnapshotMeta { index: 7, term: 2, zxid: 9, extra: vec![1] };
        let mut writer = SnapshotWriter::create(Arc::clone(disk), dir, &meta).expect("created");
        writer.chunk(&[7; 10_000]).expect("written");
        writer.chunk(b"end").expect("written");
        let path = writer.finish().expect("finished");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        (name, std::fs::read(path).expect("readable"))
    }

    #[test]
    fn a_snapshot_that_broke_off_goes_on_where_it_stopped() {
        let (there, here) =
            (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        let disk = RealDisk::shared();
        let (name, bytes) = sent(&disk, there.path());
        let (one, rest) = bytes.split_at(50);
        let mut first = IncomingSnapshot::open(&disk, here.path(), &name, 3).expect("opened");
        first.append(one).expect("written");
        drop(first);
        let other = IncomingSnapshot::open(&disk, here.path(), &name, 2).expect("opened");
        assert_eq!(other.written(), 0, "another member's is another file");
        let mut second = IncomingSnapshot::open(&disk, here.path(), &name, 3).expect("opened");
        assert_eq!(second.written(), 50);
        assert_eq!(snapshots::list(&disk, here.path()).expect("listed"), [] as [PathBuf; 0]);
        second.append(rest).expect("written");
        let path = second.finish().expect("whole");
        let mut reader = SnapshotReader::open(&disk, &path).expect("readable");
        assert_eq!(reader.meta().index, 7);
        assert_eq!(reader.next_chunk().expect("intact"), Some(vec![7; 10_000]));
        assert_eq!(reader.next_chunk().expect("intact"), Some(b"end".to_vec()));
        assert_eq!(reader.next_chunk().expect("intact"), None);
    }

    #[test]
    fn what_arrives_altered_or_cut_short_or_with_an_odd_name_does_not_count() {
        let (there, here) =
            (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        let disk = RealDisk::shared();
        let (name, bytes) = sent(&disk, there.path());
        for end in [0, 20, 50, bytes.len() - 1] {
            let mut cut = IncomingSnapshot::open(&disk, here.path(), &name, 3).expect("opened");
            assert_eq!(cut.written(), 0, "a damaged one is gone");
            cut.append(&bytes[..end]).expect("written");
            assert!(matches!(cut.finish(), Err(IncomingError::Damaged(_))));
        }
        for at in (0..bytes.len()).step_by(7) {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let mut file = IncomingSnapshot::open(&disk, here.path(), &name, 3).expect("opened");
            file.append(&altered).expect("written");
            assert!(file.finish().is_err(), "byte {at}");
        }
        for odd in ["../x.snap", "x.snap", "", &format!("{name}.tmp"), &format!("a/{name}")] {
            let opened = IncomingSnapshot::open(&disk, here.path(), odd, 3);
            assert!(matches!(opened, Err(IncomingError::Name(_))), "{odd}");
        }
    }
}
