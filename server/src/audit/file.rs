//! The files of the audit log: the present one, and older ones numbered from 1, the newest first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The present file, and where the others are.
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    max_files: u32,
}

impl AuditFile {
    /// Goes on with the file of this path, which is made if there is none.
    pub(super) fn open(path: PathBuf, max_bytes: u64, max_files: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let (file, bytes) = open(&path)?;
        let mut file = Self { path, file, bytes, max_bytes, max_files };
        file.end_broken_line()?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines, all or none of them.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        // Others may have cut it short, as tools that rotate logs do.
        self.bytes = self.file.metadata()?.len();
        if self.bytes > 0 && self.bytes + lines.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all(lines) {
            // Half a line would spoil the next one. Shortening a file takes no room.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Sets the present file aside. If that fails at some point, no file is lost, and it is tried
    /// again with the next line.
    fn rotate(&mut self) -> io::Result<()> {
        let kept = self.max_files.saturating_sub(1);
        if kept == 0 {
            self.file.set_len(0)?;
            self.bytes = 0;
            return Ok(());
        }
        for number in (1..kept).rev() {
            rename_if_there(&self.numbered(number), &self.numbered(number + 1))?;
        }
        rename_if_there(&self.path, &self.numbered(1))?;
        (self.file, self.bytes) = open(&self.path)?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// A crash can leave half a line.
    fn end_broken_line(&mut self) -> io::Result<()> {
        let mut last = [b'\n'];
        if self.bytes > 0 {
            File::open(&self.path)?.read_exact_at(&mut last, self.bytes - 1)?;
        }
        if last != [b'\n'] {
            self.file.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// For its owner's eyes alone: it tells of znodes that others may not read.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
