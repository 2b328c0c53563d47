//! The data folder: where things lie in it, which format it has, and that one process uses it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use crate::disk::DIR_MODE;
use crate::segment::FORMAT_VERSION;

/// Why the data folder cannot be taken into use.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "the data folder {} is in use by another process{}: stop that one first, or choose \
         another dataDir",
        dir.display(),
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The locked folder.
        dir: PathBuf,
        /// The process that holds it, if it wrote its id.
        pid: Option<u32>,
    },
    /// Its format is not the one this build knows.
    #[error(
        "{} says the data folder has format `{found}`, this build knows `{}`: start it with the \
         version of tenure that wrote it, or a newer one",
        file.display(),
        version_line().trim_end()
    )]
    Version {
        /// The file that names the format.
        file: PathBuf,
        /// What it says.
        found: String,
    },
    /// There is data, but nothing says of which format.
    #[error(
        "{} is missing although {} holds data: put the folder back as a whole",
        file.display(),
        file.parent().unwrap_or(Path::new(".")).display()
    )]
    NoVersion {
        /// The file that should name the format.
        file: PathBuf,
    },
    /// The operating system refused.
    #[error("{op} {} failed: {source}", path.display())]
    Io {
        /// What was attempted.
        op: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A data folder (and a log folder, which may be elsewhere) held by this process.
///
/// Everything lies below a folder named `tenure`, so that an existing ZooKeeper folder can be
/// named as dataDir without the two ever mixing.
#[derive(Debug)]
pub struct DataFolder {
    log_dir: PathBuf,
    snapshot_dir: PathBuf,
    notes: Vec<String>,
    // Closing the files, even by being killed, releases the locks.
    _locks: Vec<File>,
}

const FOLDER: &str = "tenure";
const LOCK_FILE: &str = "tenure.lock";
const VERSION_FILE: &str = "VERSION";
const LOG_FOLDER: &str = "log";
const SNAPSHOT_FOLDER: &str = "snapshots";

impl DataFolder {
    /// Creates what is missing, takes the locks and checks the format.
    pub fn open(data_dir: &Path, data_log_dir: &Path) -> Result<DataFolder, LockError> {
        let (data, log) = (data_dir.join(FOLDER), data_log_dir.join(FOLDER));
        let mut locks = vec![take(&data)?];
        // Two servers must not share a log either. The same folder may be named in two ways.
        create(&log)?;
        if same(&data, &log) {
            check_version(&data, &[LOG_FOLDER, SNAPSHOT_FOLDER])?;
        } else {
            locks.push(take(&log)?);
            check_version(&data, &[SNAPSHOT_FOLDER])?;
            check_version(&log, &[LOG_FOLDER])?;
        }
        let mut notes = Vec::new();
        for dir in [data_dir, data_log_dir] {
            if dir.join("version-2").is_dir() && notes.is_empty() {
                notes.push(format!(
                    "{} also holds ZooKeeper's data (version-2); it is neither read nor changed",
                    dir.display()
                ));
            }
        }
        Ok(DataFolder {
            log_dir: log.join(LOG_FOLDER),
            snapshot_dir: data.join(SNAPSHOT_FOLDER),
            notes,
            _locks: locks,
        })
    }

    /// Where the log lies.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Where the snapshots lie.
    pub fn snapshot_dir(&self) -> &Path {
        &self.snapshot_dir
    }

    /// What an operator may want to read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

fn failed(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LockError {
    move |source| LockError::Io { op, path: path.to_path_buf(), source }
}

fn create(dir: &Path) -> Result<(), LockError> {
    let mut made = fs::DirBuilder::new();
    made.recursive(true).mode(DIR_MODE).create(dir).map_err(failed("creating", dir))?;
    for dir in [Some(dir), dir.parent()].into_iter().flatten() {
        sync_dir(dir)?;
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> Result<(), LockError> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir).and_then(|file| file.sync_all()).map_err(failed("syncing", dir))
}

/// Takes the lock of a folder; it ends with the file, hence with the process.
fn take(dir: &Path) -> Result<File, LockError> {
    create(dir)?;
    let path = dir.join(LOCK_FILE);
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(failed("opening", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // The holder may be about to write it: its id is only a help.
            let _ = Read::by_ref(&mut file).take(32).read_to_string(&mut text);
            return Err(LockError::InUse { dir: dir.to_path_buf(), pid: text.trim().parse().ok() });
        }
        Err(error) => return Err(failed("locking", &path)(error.into())),
    }
    file.set_len(0).map_err(failed("writing", &path))?;
    writeln!(file, "{}", std::process::id()).map_err(failed("writing", &path))?;
    Ok(file)
}

fn version_line() -> String {
    format!("tenure {FORMAT_VERSION}\n")
}

/// Checks the format of a folder, or names it if the folder is new.
fn check_version(dir: &Path, data_folders: &[&str]) -> Result<(), LockError> {
    let file = dir.join(VERSION_FILE);
    match fs::read(&file) {
        Ok(found) if found == version_line().as_bytes() => Ok(()),
        Ok(found) => {
            let found = String::from_utf8_lossy(&found[..found.len().min(64)]).trim().to_owned();
            Err(LockError::Version { file, found })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if data_folders.iter().any(|folder| holds_files(&dir.join(folder))) {
                return Err(LockError::NoVersion { file });
            }
            let unfinished = dir.join(format!("{VERSION_FILE}.tmp"));
            let written = File::create(&unfinished).and_then(|mut file| {
                file.write_all(version_line().as_bytes())?;
                file.sync_all()
            });
            written.map_err(failed("writing", &unfinished))?;
            fs::rename(&unfinished, &file).map_err(failed("naming", &file))?;
            sync_dir(dir)
        }
        Err(error) => Err(failed("reading", &file)(error)),
    }
}

fn holds_files(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}
