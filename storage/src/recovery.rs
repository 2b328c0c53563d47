//! What start-up finds: the newest valid snapshot, the log after it, or why it must not start.
//!
//! A write that was never synced may be missing, whole or in parts: it was never acknowledged, so
//! it is dropped with a note. Everything else that is missing stops the start. The two are told
//! apart by records that follow the first bad one: each names how many bytes of its segment were
//! durable when it was written, and a segment is only begun when the one before is durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::log::{Log, LogOptions};
use crate::record::{Entry, HardState, Record};
use crate::segment::{self, AfterEnd, FORMAT_VERSION, HEADER_BYTES, Header, HeaderFault, Scanner};
use crate::snapshots::{self, SnapshotMeta};

/// Why the data folder cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Bytes that were durable are gone or altered.
    #[error("{} is damaged at offset {offset}: {what}. {advice}", file.display())]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where the first bad byte can be, in bytes from the start of the file.
        offset: u64,
        /// What is wrong there.
        what: String,
        /// What the operator can do.
        advice: String,
    },
    /// Written by a newer build.
    #[error(
        "{} has format version {found}; this build reads up to {FORMAT_VERSION}. Start it with \
         the version of tenure that wrote it, or a newer one",
        file.display()
    )]
    Version {
        /// The file of the newer format.
        file: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// Entries between the snapshot and the log are missing.
    #[error(
        "the log in {} starts at index {first_index}, but the newest valid snapshot ends at index \
         {snapshot_index}: what lies between is missing. {advice}",
        dir.display()
    )]
    Gap {
        /// The log's folder.
        dir: PathBuf,
        /// Index of the snapshot the log must continue, 0 for none.
        snapshot_index: u64,
        /// Index of the oldest entry in the log.
        first_index: u64,
        /// What the operator can do.
        advice: String,
    },
    /// There are snapshots, but not even an empty log.
    #[error(
        "{} holds no log, but a snapshot at index {snapshot_index} exists: is dataLogDir right, \
         and is its disk mounted? Without the log, every write after that snapshot is lost",
        dir.display()
    )]
    LogMissing {
        /// The log's folder.
        dir: PathBuf,
        /// Index of the newest valid snapshot.
        snapshot_index: u64,
    },
    /// The operating system refused.
    #[error("{op} {} failed: {source}", file.display())]
    Io {
        /// What was attempted.
        op: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(op: &'static str, file: &Path, source: io::Error) -> OpenError {
        OpenError::Io { op, file: file.to_path_buf(), source }
    }

    pub(crate) fn damaged(file: &Path, offset: u64, what: impl Into<String>) -> OpenError {
        OpenError::Damaged {
            file: file.to_path_buf(),
            offset,
            what: what.into(),
            advice: format!("{ADVICE}: {INSTEAD}"),
        }
    }
}

const ADVICE: &str = "Acknowledged writes may be affected, so the server does not start. Keep a \
    copy of the data folder, check the disk, and look with `tenure inspect`. Instead of the \
    folder";

/// What to start from instead.
const INSTEAD: &str = "a member of an ensemble whose others serve gets everything from them once \
    its dataDir is empty except myid; a server by itself, or all members at once, are restored \
    from a backup";

/// What the log held.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The newest consensus state, if any was ever written.
    pub hard_state: Option<HardState>,
    /// Entries after the snapshot index, contiguous, overwritten ones resolved.
    pub entries: Vec<Entry>,
    /// What an operator may want to read, such as a dropped torn write.
    pub notes: Vec<String>,
}

/// One segment as recovery left it.
pub(crate) struct FoundSegment {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    /// Highest index ever appended to it, 0 for none.
    pub(crate) max_index: u64,
    /// Bytes of the file.
    pub(crate) file_bytes: u64,
}

/// The end of the last segment, where appending goes on.
pub(crate) struct FoundEnd {
    /// End of the last good record.
    pub(crate) end: u64,
    /// Checksum that the next record repeats.
    pub(crate) checksum: u32,
    /// Bytes that a record in the file proves to be durable.
    pub(crate) proven: u64,
    /// Intact records and heads of a torn write lie up to here and must be wiped.
    pub(crate) leftover_end: u64,
}

/// Everything a scan of the log's folder found.
pub(crate) struct Scan {
    pub(crate) recovered: Recovered,
    pub(crate) segments: Vec<FoundSegment>,
    pub(crate) end: Option<FoundEnd>,
    /// Index of the last entry, or the snapshot's if that is higher.
    pub(crate) last_index: u64,
}

/// Reads every segment, without changing anything.
pub(crate) fn scan(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    snapshot_index: u64,
) -> Result<Scan, OpenError> {
    let names = disk.list(dir).map_err(|error| OpenError::io("listing", dir, error))?;
    let mut opened = Vec::new();
    for (sequence, path) in segment::segment_paths(dir, &names) {
        opened.push(open_segment(disk, path, sequence)?);
    }
    check_sequence(&opened)?;
    let mut replay = Replay { snapshot_index, ..Replay::default() };
    let mut segments = Vec::new();
    let mut end = None;
    let count = opened.len();
    let ends: Vec<u64> = opened.iter().skip(1).map(|next| next.header.previous_end).collect();
    for (position, segment) in opened.into_iter().enumerate() {
        let known_end = ends.get(position).copied();
        let (found, at_end) = replay.segment(segment, known_end)?;
        segments.push(found);
        if position + 1 == count {
            end = Some(at_end);
        }
    }
    if let (Some(last), Some(end)) = (segments.last(), &end) {
        replay.check(dir, &last.path, end.end)?;
    }
    let last_index = replay.last_index.max(snapshot_index);
    let Replay { hard_state, entries, notes, .. } = replay;
    let recovered = Recovered { hard_state, entries, notes };
    Ok(Scan { recovered, segments, end, last_index })
}

pub(crate) struct OpenSegment {
    pub(crate) path: PathBuf,
    pub(crate) file: DiskFile,
    pub(crate) header: Header,
    pub(crate) checksum: u32,
    pub(crate) file_bytes: u64,
}

/// Opens a segment and checks its header.
pub(crate) fn open_segment(
    disk: &Arc<dyn Disk>,
    path: PathBuf,
    sequence: u64,
) -> Result<OpenSegment, OpenError> {
    let failed = |error| OpenError::io("opening", &path, error);
    let file = DiskFile::open(disk, &path, OpenMode::Read).map_err(failed)?;
    let file_bytes = file.size().map_err(failed)?;
    let mut bytes = [0; HEADER_BYTES as usize];
    let got = file.read_full_at(&mut bytes, 0).map_err(failed)?;
    let (header, checksum) = Header::decode(&bytes[..got]).map_err(|fault| match fault {
        HeaderFault::Damaged(what) => OpenError::damaged(&path, 0, what),
        HeaderFault::Version(found) => OpenError::Version { file: path.clone(), found },
    })?;
    if header.sequence != sequence {
        let what =
            format!("the file's name says segment {sequence}, its header {}", header.sequence);
        return Err(OpenError::damaged(&path, 24, what));
    }
    Ok(OpenSegment { path, file, header, checksum, file_bytes })
}

/// Judges what follows the last record of a segment, `known_end` as its successor has it.
pub(crate) fn check_end(
    path: &Path,
    scanner: &mut Scanner<'_>,
    known_end: Option<u64>,
) -> Result<AfterEnd, OpenError> {
    let end = scanner.offset();
    if let Some(known_end) = known_end {
        if end != known_end {
            let what = format!("the records of this file must reach offset {known_end}");
            return Err(OpenError::damaged(path, end, what));
        }
        return Ok(AfterEnd::nothing(end));
    }
    let after = scanner.after_end().map_err(|error| OpenError::io("reading", path, error))?;
    match after.proof_of_damage {
        Some(proof) => {
            let what = format!("no intact record, yet a later one at offset {proof} is");
            Err(OpenError::damaged(path, end, what))
        }
        None => Ok(after),
    }
}

fn check_sequence(segments: &[OpenSegment]) -> Result<(), OpenError> {
    for pair in segments.windows(2) {
        let expected = pair[0].header.sequence + 1;
        if pair[1].header.sequence != expected {
            let what = format!("segment {expected} before it is missing");
            return Err(OpenError::damaged(&pair[1].path, 0, what));
        }
    }
    Ok(())
}

/// The log's content, as replayed so far.
#[derive(Default)]
struct Replay {
    snapshot_index: u64,
    /// Index of the oldest entry of the contiguous run that ends at `last_index`.
    first_index: u64,
    /// Index of the newest entry, 0 for none.
    last_index: u64,
    /// The part of that run after the snapshot.
    entries: Vec<Entry>,
    hard_state: Option<HardState>,
    notes: Vec<String>,
}

impl Replay {
    /// Replays one segment; `known_end` is where its successor says that it ends.
    fn segment(
        &mut self,
        segment: OpenSegment,
        known_end: Option<u64>,
    ) -> Result<(FoundSegment, FoundEnd), OpenError> {
        let OpenSegment { path, file, header, checksum, file_bytes } = segment;
        let failed = |error| OpenError::io("reading", &path, error);
        let limit = known_end.unwrap_or(file_bytes).min(file_bytes);
        let mut scanner = Scanner::new(&file, (&header, checksum), limit);
        let mut max_index = 0;
        let mut proven = HEADER_BYTES;
        while let Some((head, record)) = scanner.next().map_err(failed)? {
            proven = proven.max(u64::from(head.link.durable));
            match record {
                Record::Entry(entry) => {
                    max_index = max_index.max(entry.index);
                    self.entry(entry);
                }
                Record::HardState(state) => self.hard_state = Some(state),
                Record::Synced => {}
            }
        }
        let (end, checksum) = (scanner.offset(), scanner.last_checksum());
        let after = check_end(&path, &mut scanner, known_end)?;
        self.note_torn(&path, &header, end, &after);
        let leftover_end = after.leftover_end;
        let found = FoundSegment { path, header, max_index, file_bytes };
        Ok((found, FoundEnd { end, checksum, proven, leftover_end }))
    }

    fn note_torn(&mut self, path: &Path, header: &Header, end: u64, after: &AfterEnd) {
        let bytes = after.torn_bytes.max(after.leftover_end - end);
        if bytes > 0 {
            let note = format!("dropped a torn write of {bytes} bytes at {}:{end}", path.display());
            self.notes.push(note);
        } else if after.has_bytes && !header.recycled {
            self.notes.push(format!("dropped a torn write at {}:{end}", path.display()));
        }
    }

    fn entry(&mut self, entry: Entry) {
        // A later record replaces the tail from its index on; one beyond the end starts anew,
        // after a snapshot that was received covers what lies between.
        if self.last_index == 0 || entry.index > self.last_index + 1 {
            self.entries.clear();
            self.first_index = entry.index;
        } else {
            self.first_index = self.first_index.min(entry.index);
            while self.entries.last().is_some_and(|last| last.index >= entry.index) {
                self.entries.pop();
            }
        }
        self.last_index = entry.index;
        if entry.index > self.snapshot_index {
            self.entries.push(entry);
        }
    }

    fn check(&self, dir: &Path, last: &Path, end: u64) -> Result<(), OpenError> {
        if self.last_index > self.snapshot_index && self.first_index > self.snapshot_index + 1 {
            let advice = match self.snapshot_index {
                0 => "Put the missing snapshot back, or give the folder up",
                _ => "Put the missing or damaged newer snapshot back, or give the folder up",
            };
            return Err(OpenError::Gap {
                dir: dir.to_path_buf(),
                snapshot_index: self.snapshot_index,
                first_index: self.first_index,
                advice: format!("{advice}: {INSTEAD}"),
            });
        }
        let last_index = self.last_index.max(self.snapshot_index);
        match self.hard_state {
            Some(state) if state.commit > last_index => {
                let commit = state.commit;
                let what =
                    format!("index {commit} was committed, but the log ends at {last_index}");
                Err(OpenError::damaged(last, end, what))
            }
            _ => Ok(()),
        }
    }
}

/// A snapshot to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSnapshot {
    /// Its file.
    pub path: PathBuf,
    /// What it is a snapshot of.
    pub meta: SnapshotMeta,
}

/// Everything needed to start.
pub struct Recovery {
    /// The newest valid snapshot whose successor entries are in the log.
    pub snapshot: Option<FoundSnapshot>,
    /// Consensus state; its commit is never below the snapshot's index.
    pub hard_state: Option<HardState>,
    /// The entries after the snapshot.
    pub entries: Vec<Entry>,
    /// What an operator may want to read.
    pub notes: Vec<String>,
    /// The log, open for appending.
    pub log: Log,
}

/// Finds the newest valid snapshot and the log after it, or says why the server must not start.
///
/// Removes leftovers of unfinished snapshots. A damaged newest snapshot is passed over, with a
/// note, if an older one and the log together still hold everything.
pub fn recover(
    disk: &Arc<dyn Disk>,
    snapshot_dir: &Path,
    log_dir: &Path,
    options: &LogOptions,
) -> Result<Recovery, OpenError> {
    let mut notes = snapshots::remove_leftovers(disk, snapshot_dir)?;
    let mut snapshot = None;
    let mut first_fault = None;
    for path in snapshots::list(disk, snapshot_dir)? {
        match snapshots::validate(disk, &path) {
            Ok(meta) => {
                snapshot = Some(FoundSnapshot { path, meta });
                break;
            }
            Err(error @ (OpenError::Damaged { .. } | OpenError::Version { .. })) => {
                notes.push(format!("passed over a snapshot: {error}"));
                first_fault.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    let snapshot_index = snapshot.as_ref().map_or(0, |found| found.meta.index);
    if !has_segments(disk, log_dir)? {
        match (first_fault, &snapshot) {
            (Some(fault), None) => return Err(fault),
            (_, Some(_)) if !options.accept_missing_log => {
                return Err(OpenError::LogMissing { dir: log_dir.to_path_buf(), snapshot_index });
            }
            _ => {}
        }
    }
    let options = LogOptions { snapshot_index, ..options.clone() };
    let (log, recovered) = Log::open(Arc::clone(disk), log_dir, options)?;
    notes.extend(recovered.notes);
    let mut hard_state = recovered.hard_state;
    if let Some(state) = &mut hard_state {
        state.commit = state.commit.max(snapshot_index);
    }
    Ok(Recovery { snapshot, hard_state, entries: recovered.entries, notes, log })
}

fn has_segments(disk: &Arc<dyn Disk>, dir: &Path) -> Result<bool, OpenError> {
    match disk.list(dir) {
        Ok(names) => Ok(!segment::segment_paths(dir, &names).is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OpenError::io("listing", dir, error)),
    }
}
