//! A backup: one file that holds a snapshot, what it is one of, and a checksum of all of it.
//!
//! ```text
//! header:   "TENUREBK", int version
//! snapshot: a snapshot file as servers write it
//! manifest: JSON, what the snapshot holds
//! footer:   long length of the snapshot, int length of the manifest, SHA-256 of all before,
//!           "KBERUNET"
//! ```
//! Numbers are little-endian. What was cut short has no footer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tenure_replica::State;
use tenure_server::StartError;
use tenure_storage::RealDisk;
use thiserror::Error;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// When it was taken, in milliseconds since the Unix epoch.
    pub(crate) taken_wall_ms: i64,
    /// The admin HTTP it was taken from.
    pub(crate) server: String,
    /// What that server said of its version.
    pub(crate) server_version: String,
    /// The ensemble's id in hexadecimal; zeros for a server by itself.
    pub(crate) cluster: String,
    /// The last change in it.
    pub(crate) zxid: String,
    /// Index and term of the last entry in it.
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) znodes: u64,
    pub(crate) ephemerals: u64,
    pub(crate) sessions: u64,
    pub(crate) snapshot_bytes: u64,
}

/// Why a file is no backup that can be used.
#[derive(Debug, Error)]
pub(crate) enum BackupError {
    #[error("{op} {} failed: {source}", path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is no backup: {hint}", path.display())]
    Foreign { path: PathBuf, hint: &'static str },
    #[error(
        "{} has backup format {found}, and this build knows {VERSION}: use the version of tenure \
         that wrote it, or a newer one",
        path.display()
    )]
    Version { path: PathBuf, found: u32 },
    #[error("{} has no end: it is unfinished, or was cut short when it was copied", .0.display())]
    CutShort(PathBuf),
    #[error("{} was altered: it does not match its checksum", .0.display())]
    Altered(PathBuf),
    #[error("{}: {source}", path.display())]
    Snapshot { path: PathBuf, source: Box<StartError> },
    #[error(
        "{} contradicts itself: it tells of {told} and holds {held}",
        path.display()
    )]
    Contradiction { path: PathBuf, told: String, held: String },
    #[error("{}: its manifest cannot be read: {what}", path.display())]
    Manifest { path: PathBuf, what: String },
}

const MAGIC: &[u8; 8] = b"TENUREBK";
const END_MAGIC: &[u8; 8] = b"KBERUNET";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 12;
const LENGTHS_BYTES: usize = 12;
const SUM_BYTES: usize = 32;
const FOOTER_BYTES: usize = LENGTHS_BYTES + SUM_BYTES + END_MAGIC.len();

/// Longest manifest: what ours come to many times over.
const MAX_MANIFEST_BYTES: u64 = 64 << 10;

/// Writes a backup as its snapshot arrives.
pub(crate) struct BackupWriter {
    file: File,
    path: PathBuf,
    sum: Sha256,
    snapshot_bytes: u64,
}

impl BackupWriter {
    /// Begins a file that does not exist yet.
    pub(crate) fn create(path: &Path) -> Result<Self, BackupError> {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(failed("creating", path))?;
        let (path, sum) = (path.to_path_buf(), Sha256::new());
        let mut writer = BackupWriter { file, path, sum, snapshot_bytes: 0 };
        writer.write(MAGIC)?;
        writer.write(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    /// Adds some more of the snapshot.
    pub(crate) fn snapshot(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.snapshot_bytes += bytes.len() as u64;
        self.write(bytes)
    }

    /// How much of the snapshot is here.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes
    }

    /// Reads the snapshot back, which checks it.
    pub(crate) fn state(&self) -> Result<(Manifest, State), BackupError> {
        read_state(&self.path, self.snapshot_bytes)
    }

    /// Ends the file, and makes it durable.
    pub(crate) fn finish(mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(manifest).map_err(|error| BackupError::Manifest {
            path: self.path.clone(),
            what: error.to_string(),
        })?;
        self.write(&text)?;
        self.write(&self.snapshot_bytes.to_le_bytes())?;
        self.write(&(text.len() as u32).to_le_bytes())?;
        let sum = self.sum.clone().finalize();
        self.file.write_all(&sum).map_err(failed("writing", &self.path))?;
        self.file.write_all(END_MAGIC).map_err(failed("writing", &self.path))?;
        self.file.sync_all().map_err(failed("syncing", &self.path))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.sum.update(bytes);
        self.file.write_all(bytes).map_err(failed("writing", &self.path))
    }
}

/// Reads and checks a whole backup.
pub(crate) fn read(path: &Path) -> Result<(Manifest, State), BackupError> {
    let mut file = File::open(path).map_err(failed("opening", path))?;
    let size = file.metadata().map_err(failed("reading", path))?.len();
    check_header(&mut file, path)?;
    let (snapshot_bytes, manifest_bytes, sum) = read_footer(&mut file, path, size)?;
    check_sum(&mut file, path, size - (FOOTER_BYTES - LENGTHS_BYTES) as u64, &sum)?;
    let mut text = vec![0; manifest_bytes];
    file.seek(SeekFrom::Start(HEADER_BYTES + snapshot_bytes)).map_err(failed("reading", path))?;
    file.read_exact(&mut text).map_err(failed("reading", path))?;
    let told: Manifest = serde_json::from_slice(&text).map_err(|error| BackupError::Manifest {
        path: path.to_path_buf(),
        what: error.to_string(),
    })?;
    let (held, state) = read_state(path, snapshot_bytes)?;
    let (told_of, holds) = (told.contents(), held.contents());
    if told_of != holds {
        let path = path.to_path_buf();
        return Err(BackupError::Contradiction { path, told: told_of, held: holds });
    }
    Ok((told, state))
}

impl Manifest {
    /// What can be compared with a snapshot.
    pub(crate) fn contents(&self) -> String {
        let Manifest { zxid, znodes, ephemerals, sessions, cluster, .. } = self;
        format!(
            "{znodes} znodes, {ephemerals} of them ephemeral, and {sessions} sessions at zxid \
             {zxid} of cluster {cluster}"
        )
    }
}

fn failed(op: &'static str, path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_path_buf();
    move |source| BackupError::Io { op, path: path.clone(), source }
}

/// A manifest that tells what the snapshot holds and nothing of where it comes from.
fn read_state(path: &Path, snapshot_bytes: u64) -> Result<(Manifest, State), BackupError> {
    let part = HEADER_BYTES..HEADER_BYTES + snapshot_bytes;
    let read = tenure_server::read_snapshot_part(&RealDisk::shared(), path, part);
    let damaged = |source| {
        let (path, source) = (path.to_path_buf(), Box::new(source));
        BackupError::Snapshot { path, source }
    };
    let (meta, state) = read.map_err(damaged)?;
    let manifest = Manifest {
        taken_wall_ms: 0,
        server: String::new(),
        server_version: String::new(),
        cluster: format!("{:016x}", state.cluster()),
        zxid: state.zxid().to_string(),
        index: meta.index,
        term: meta.term,
        znodes: state.tree.len() as u64,
        ephemerals: state.tree.ephemerals() as u64,
        sessions: state.sessions.len() as u64,
        snapshot_bytes,
    };
    Ok((manifest, state))
}

/// Other files that people may take for backups, and what to do with them.
const FOREIGN: [(&[u8], &str); 4] = [
    (b"ZKSN", "it is a snapshot of ZooKeeper. Take the folder over with `tenure import`"),
    (b"ZKLG", "it is a log of ZooKeeper. Take the folder over with `tenure import`"),
    (b"TENURSNP", "it is a snapshot out of a data folder, which lacks what the log has after it"),
    (b"\x1f\x8b", "it is compressed with gzip. Unpack it first"),
];

fn check_header(file: &mut File, path: &Path) -> Result<(), BackupError> {
    let mut header = Vec::new();
    file.take(HEADER_BYTES).read_to_end(&mut header).map_err(failed("reading", path))?;
    if !header.starts_with(MAGIC) {
        let known = FOREIGN.iter().find(|(magic, _)| header.starts_with(magic));
        let hint = known.map_or("it does not begin as backups do", |(_, hint)| *hint);
        // Cut short before anything could be told.
        return Err(match MAGIC.starts_with(&header) {
            true => BackupError::CutShort(path.to_path_buf()),
            false => BackupError::Foreign { path: path.to_path_buf(), hint },
        });
    }
    let Some(version) = header.last_chunk::<4>().filter(|_| header.len() as u64 == HEADER_BYTES)
    else {
        return Err(BackupError::CutShort(path.to_path_buf()));
    };
    match u32::from_le_bytes(*version) {
        VERSION => Ok(()),
        found => Err(BackupError::Version { path: path.to_path_buf(), found }),
    }
}

/// Lengths of snapshot and manifest, and the sum over all before it.
fn read_footer(
    file: &mut File,
    path: &Path,
    size: u64,
) -> Result<(u64, usize, [u8; SUM_BYTES]), BackupError> {
    let cut_short = || BackupError::CutShort(path.to_path_buf());
    let start = size.checked_sub(FOOTER_BYTES as u64).ok_or_else(cut_short)?;
    file.seek(SeekFrom::Start(start)).map_err(failed("reading", path))?;
    let mut footer = [0; FOOTER_BYTES];
    file.read_exact(&mut footer).map_err(failed("reading", path))?;
    if !footer.ends_with(END_MAGIC) {
        return Err(cut_short());
    }
    let snapshot = u64::from_le_bytes(footer[..8].try_into().expect("eight bytes"));
    let manifest = u32::from_le_bytes(footer[8..12].try_into().expect("four bytes"));
    let manifest = u64::from(manifest);
    let parts = [HEADER_BYTES, snapshot, manifest, FOOTER_BYTES as u64];
    let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part));
    if sum != Some(size) || manifest > MAX_MANIFEST_BYTES {
        return Err(BackupError::Altered(path.to_path_buf()));
    }
    let sum = &footer[LENGTHS_BYTES..LENGTHS_BYTES + SUM_BYTES];
    Ok((snapshot, manifest as usize, sum.try_into().expect("its length is fixed")))
}

fn check_sum(
    file: &mut File,
    path: &Path,
    bytes: u64,
    expected: &[u8; SUM_BYTES],
) -> Result<(), BackupError> {
    file.seek(SeekFrom::Start(0)).map_err(failed("reading", path))?;
    let mut sum = Sha256::new();
    let mut rest = file.take(bytes);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match rest.read(&mut buffer).map_err(failed("reading", path))? {
            0 => break,
            read => sum.update(&buffer[..read]),
        }
    }
    match sum.finalize()[..] == expected[..] {
        true => Ok(()),
        false => Err(BackupError::Altered(path.to_path_buf())),
    }
}
