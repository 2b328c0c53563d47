//! The only door to the disk: one trait, positions explicit, so that tests can stand in for it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Who may look into folders that are made: their owner. Data, digests of passwords and what
/// sessions are resumed with are nobody else's business.
pub(crate) const DIR_MODE: u32 = 0o700;

/// An open file of a [`Disk`]; never reused by the same disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading only.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new file, for reading and writing; one that exists is emptied first.
    Create,
}

/// What the log and the snapshots need of a file system.
///
/// `write_at` and `read_at` may move fewer bytes than asked; [`DiskFile`] loops. A file's bytes
/// survive a power loss after `sync_data`, its name after `sync_dir` on its folder.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<FileId>;
    /// Forgets an open file; unknown ids are ignored.
    fn close(&self, file: FileId);
    /// Length of an open file in bytes.
    fn len(&self, file: FileId) -> io::Result<u64>;
    /// Reads at a position; 0 means end of file.
    fn read_at(&self, file: FileId, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at a position, extending the file if needed.
    fn write_at(&self, file: FileId, buf: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes the file's bytes and length durable.
    fn sync_data(&self, file: FileId) -> io::Result<()>;
    /// Renames within one folder, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names of the files in a folder, sorted; a folder that does not exist is an error.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a folder and its parents, durably; existing ones are fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that an unprivileged writer can still add to the file system of this folder.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// A number that did not come up before: the salt of a new log segment.
    fn fresh_salt(&self) -> io::Result<u64>;
}

/// One open file, closed on drop, with loops over short reads and writes.
pub struct DiskFile {
    disk: Arc<dyn Disk>,
    id: FileId,
    path: PathBuf,
}

impl DiskFile {
    /// Opens a file of a disk.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path, mode: OpenMode) -> io::Result<DiskFile> {
        let id = disk.open(path, mode)?;
        Ok(DiskFile { disk: Arc::clone(disk), id, path: path.to_path_buf() })
    }

    /// The path it was opened or last renamed as.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes.
    pub fn size(&self) -> io::Result<u64> {
        self.disk.len(self.id)
    }

    /// Reads until the buffer is full or the file ends; returns the bytes read.
    pub fn read_full_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.disk.read_at(self.id, &mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Writes all bytes, however many calls it takes.
    pub fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.disk.write_at(self.id, &buf[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes its bytes durable.
    pub fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data(self.id)
    }

    /// Renames it; the open file stays usable. The folder is not synced.
    pub fn rename(&mut self, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.path, to)?;
        self.path = to.to_path_buf();
        Ok(())
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        self.disk.close(self.id);
    }
}

/// The machine's file system.
#[derive(Default)]
pub struct RealDisk {
    files: Mutex<OpenFiles>,
}

#[derive(Default)]
struct OpenFiles {
    next: u64,
    by_id: BTreeMap<FileId, Arc<fs::File>>,
}

impl RealDisk {
    /// The machine's file system, ready to be shared.
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(RealDisk::default())
    }

    /// The system call that follows runs outside the lock.
    fn file(&self, id: FileId) -> io::Result<Arc<fs::File>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.by_id.get(&id).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<FileId> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(true);
            }
        }
        let file = options.open(path)?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.next += 1;
        let id = FileId(files.next);
        files.by_id.insert(id, Arc::new(file));
        Ok(id)
    }

    fn close(&self, file: FileId) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.by_id.remove(&file);
    }

    fn len(&self, file: FileId) -> io::Result<u64> {
        Ok(self.file(file)?.metadata()?.len())
    }

    fn read_at(&self, file: FileId, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file(file)?.read_at(buf, offset)
    }

    fn write_at(&self, file: FileId, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.file(file)?.write_at(buf, offset)
    }

    fn sync_data(&self, file: FileId) -> io::Result<()> {
        self.file(file)?.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // None of our names is anything but ASCII, so others are not ours.
            if let (true, Ok(name)) =
                (entry.file_type()?.is_file(), entry.file_name().into_string())
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_dir(parent)?;
        }
        match fs::DirBuilder::new().mode(DIR_MODE).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            other => other?,
        }
        self.sync_dir(parent.unwrap_or(Path::new(".")))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stats = rustix::fs::statvfs(dir)?;
        Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
    }

    fn fresh_salt(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        getrandom::getrandom(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(u64::from_le_bytes(bytes))
    }
}
