//! Segment files made ready ahead of their use: filled with real zeros, or recycled.
//!
//! Overwriting allocated bytes keeps the file system's journal out of the way of a sync, which
//! halves its time; blocks that are only reserved do not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, OpenMode};

/// Zeros written per step, small enough that an append waits little behind one.
pub(crate) const FILL_STEP_BYTES: u64 = 512 << 10;

/// More than this many full spares would only hold disk space.
const MAX_SPARES: usize = 2;

const SUFFIX: &str = ".free";

/// A file that can become a segment.
pub(crate) struct Spare {
    pub(crate) file: DiskFile,
    /// Bytes from its start that are allocated and durable.
    pub(crate) filled: u64,
    /// Whether it may hold anything but zeros.
    pub(crate) recycled: bool,
}

/// The spare files of a log's folder.
pub(crate) struct Spares {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    ready: Vec<Spare>,
    next_number: u64,
}

impl Spares {
    /// Adopts what an earlier run left in the folder.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, segment_bytes: u64) -> io::Result<Spares> {
        let mut spares = Spares {
            disk: Arc::clone(disk),
            dir: dir.to_path_buf(),
            segment_bytes,
            ready: Vec::new(),
            next_number: 1,
        };
        for name in disk.list(dir)?.iter().filter(|name| name.ends_with(SUFFIX)) {
            let path = dir.join(name);
            let file = DiskFile::open(disk, &path, OpenMode::Write)?;
            let filled = file.size()?;
            if filled > segment_bytes || spares.ready.len() == MAX_SPARES {
                drop(file);
                disk.remove(&path)?;
                continue;
            }
            let number = name.strip_suffix(SUFFIX).and_then(|number| number.parse::<u64>().ok());
            spares.next_number = spares.next_number.max(number.unwrap_or(0) + 1);
            spares.ready.push(Spare { file, filled, recycled: true });
        }
        Ok(spares)
    }

    /// The fullest spare, or a new empty file.
    pub(crate) fn take(&mut self) -> io::Result<Spare> {
        let fullest = (0..self.ready.len()).max_by_key(|at| self.ready[*at].filled);
        match fullest {
            Some(at) => Ok(self.ready.swap_remove(at)),
            None => self.create(),
        }
    }

    /// Whether a full spare waits.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.iter().any(|spare| spare.filled >= self.segment_bytes)
    }

    /// Adds zeros to the next spare; returns whether there is more to do.
    pub(crate) fn fill_step(&mut self) -> io::Result<bool> {
        if self.is_ready() {
            return Ok(false);
        }
        let segment_bytes = self.segment_bytes;
        if self.ready.is_empty() {
            let spare = self.create()?;
            self.ready.push(spare);
        }
        let spare = &mut self.ready[0];
        let step = FILL_STEP_BYTES.min(segment_bytes - spare.filled);
        spare.file.write_all_at(&vec![0; step as usize], spare.filled)?;
        spare.file.sync_data()?;
        spare.filled += step;
        Ok(spare.filled < segment_bytes)
    }

    /// Turns a segment that is no longer needed into a spare, or removes it; durable on return.
    pub(crate) fn recycle(&mut self, path: &Path, file_bytes: u64) -> io::Result<()> {
        let full = self.ready.iter().filter(|spare| spare.filled >= self.segment_bytes).count();
        if file_bytes == self.segment_bytes && full < MAX_SPARES {
            let mut file = DiskFile::open(&self.disk, path, OpenMode::Write)?;
            file.rename(&self.next_path())?;
            self.ready.push(Spare { file, filled: file_bytes, recycled: true });
        } else {
            self.disk.remove(path)?;
        }
        self.disk.sync_dir(&self.dir)
    }

    /// Gives up a spare that could not be made a segment, and the space it holds.
    pub(crate) fn discard(&self, spare: Spare) {
        let path = spare.file.path().to_path_buf();
        drop(spare);
        // The file is nobody's: if it cannot be removed now, the next start adopts it.
        let _ = self.disk.remove(&path);
    }

    fn create(&mut self) -> io::Result<Spare> {
        let path = self.next_path();
        let file = DiskFile::open(&self.disk, &path, OpenMode::Create)?;
        Ok(Spare { file, filled: 0, recycled: false })
    }

    fn next_path(&mut self) -> PathBuf {
        let number = self.next_number;
        self.next_number += 1;
        self.dir.join(format!("{number:08}{SUFFIX}"))
    }
}
