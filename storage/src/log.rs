//! The log: appended in batches, made durable by one sync, cut from the front.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::record::{self, Entry, HARD_STATE_BYTES, HEAD_BYTES, HardState, Link, Place};
use crate::recovery::{self, OpenError, Recovered, Scan};
use crate::segment::{self, HEADER_BYTES, Header};
use crate::spares::{FILL_STEP_BYTES, Spare, Spares};

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Length of one file in bytes; a larger batch makes a larger file.
    pub segment_bytes: u64,
    /// Entries up to this index are in a snapshot and not wanted; 0 for none.
    pub snapshot_index: u64,
    /// Start with an empty log although snapshots exist, giving up what came after them.
    pub accept_missing_log: bool,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 64 << 20, snapshot_index: 0, accept_missing_log: false }
    }
}

/// Why the log could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// No space. Nothing was lost, and the same call may be made again.
    #[error("no space left on the disk: {op} {}", file.display())]
    Full {
        /// What was attempted.
        op: &'static str,
        /// On which file.
        file: PathBuf,
    },
    /// The disk failed, so nobody knows what it holds: only a restart finds out.
    #[error("{op} {} failed: {what}; nothing more is written until a restart", file.display())]
    Failed {
        /// What was attempted.
        op: &'static str,
        /// On which file.
        file: PathBuf,
        /// The system's answer.
        what: String,
    },
    /// The batch is larger than the format can hold.
    #[error("a batch of {bytes} bytes is larger than the log's limit of {MAX_BATCH_BYTES}")]
    TooLarge {
        /// Bytes of the batch in the log.
        bytes: u64,
    },
}

impl WriteError {
    /// Whether the log refuses every further call.
    pub fn is_fatal(&self) -> bool {
        matches!(self, WriteError::Failed { .. })
    }

    pub(crate) fn of(op: &'static str, file: &Path, error: &io::Error) -> WriteError {
        let file = file.to_path_buf();
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => WriteError::Full { op, file },
            _ => WriteError::Failed { op, file, what: error.to_string() },
        }
    }
}

/// Offsets inside a segment are 32-bit; a segment's own length and one batch stay well below.
pub const MAX_BATCH_BYTES: u64 = 1 << 30;

/// Zeros in front of the first record of a new file: enough for a second or two of writes, little
/// enough to start at once.
const FIRST_FILL_BYTES: u64 = 1 << 20;

fn first_fill(segment_bytes: u64) -> u64 {
    FIRST_FILL_BYTES.min(segment_bytes)
}

/// What a segment starts with, at most.
const LAID_OUT_BYTES: u64 = HEADER_BYTES + HARD_STATE_BYTES;

/// The largest batch buffer that is kept for the next batch.
const KEEP_BUFFER_BYTES: usize = 4 << 20;

/// The log of one replica. One owner; it holds no lock and starts no thread.
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    /// Segments before the live one, oldest first.
    closed: VecDeque<Closed>,
    live: Live,
    spares: Spares,
    /// The newest consensus state written.
    hard_state: Option<HardState>,
    /// Index that the next entry may have at most.
    next_index: u64,
    buf: Vec<u8>,
    /// The error after which every call is refused.
    failure: Option<WriteError>,
}

struct Closed {
    path: PathBuf,
    max_index: u64,
    file_bytes: u64,
}

/// The segment being written.
struct Live {
    file: DiskFile,
    header: Header,
    max_index: u64,
    /// Where the next record goes.
    end: u64,
    /// Bytes known to be durable.
    durable: u64,
    /// The highest `durable` that a written record names.
    proven: u64,
    /// Checksum of the last record.
    checksum: u32,
    /// Bytes of the file that are allocated.
    filled: u64,
    /// Whether a failed write may have left records after the end. Nothing is written over them:
    /// the next batch starts a file, so that no sector ever mixes records of two attempts.
    dirty: bool,
    /// Whether it holds a batch yet; a fresh one takes any batch, however large.
    used: bool,
}

impl Log {
    /// Opens the log of a folder, creating both if needed, and returns what it holds.
    ///
    /// What an unfinished write left behind is wiped, and the end of the log is written again
    /// and synced: after a failed sync the system may hold bytes that never reached the disk.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Log, Recovered), OpenError> {
        let segment_bytes = options.segment_bytes.clamp(4 << 10, MAX_BATCH_BYTES);
        disk.create_dir(dir).map_err(|error| OpenError::io("creating", dir, error))?;
        let scan = recovery::scan(&disk, dir, options.snapshot_index)?;
        let failed = |error| OpenError::io("opening", dir, error);
        let mut spares = Spares::open(&disk, dir, segment_bytes).map_err(failed)?;
        let hard_state = scan.recovered.hard_state;
        let next_index = scan.last_index + 1;
        let (closed, live, recovered) = if scan.end.is_none() {
            let header = Header {
                salt: disk.fresh_salt().map_err(failed)?,
                sequence: 1,
                first_index: next_index,
                previous_end: 0,
                recycled: false,
            };
            let mut spare = spares.take().map_err(failed)?;
            let header = Header { recycled: spare.recycled, ..header };
            let end = Live::lay_out(&mut spare, &header, None, first_fill(segment_bytes));
            let end = end.map_err(failed)?;
            let live = Live::name(spare, header, end, dir).map_err(failed)?;
            (VecDeque::new(), live, scan.recovered)
        } else {
            resume(&disk, scan)?
        };
        // A name found in the folder may not be durable yet.
        disk.sync_dir(dir).map_err(failed)?;
        let log = Log {
            disk,
            dir: dir.to_path_buf(),
            segment_bytes,
            closed,
            live,
            spares,
            hard_state,
            next_index,
            buf: Vec::new(),
            failure: None,
        };
        Ok((log, recovered))
    }

    /// Writes a batch, without making it durable. Entries are contiguous; the first may replace
    /// older ones of the same and higher indexes. After `WriteError::Full` nothing of the batch
    /// counts, and it can be appended again.
    pub fn append(
        &mut self,
        hard_state: Option<HardState>,
        entries: &[Entry],
    ) -> Result<(), WriteError> {
        self.refuse_after_failure()?;
        let contiguous = entries.windows(2).all(|pair| pair[1].index == pair[0].index + 1);
        assert!(contiguous, "entries of one batch are contiguous");
        if let Some(first) = entries.first() {
            assert!(first.index <= self.next_index, "a batch leaves no gap in the log");
        }
        let bytes = 2 * HARD_STATE_BYTES + entries.iter().map(record::entry_bytes).sum::<u64>();
        if bytes > MAX_BATCH_BYTES {
            return Err(WriteError::TooLarge { bytes });
        }
        let first_index = entries.first().map_or(self.next_index, |entry| entry.index);
        let full = self.live.used && self.live.end + bytes > self.segment_bytes;
        if full || self.live.dirty {
            self.rotate(first_index, bytes)?;
        }
        let checksum = self.encode(hard_state, first_index, entries);
        self.write_buf()?;
        self.live.checksum = checksum;
        self.live.used = true;
        if let Some(last) = entries.last() {
            self.next_index = last.index + 1;
            self.live.max_index = self.live.max_index.max(last.index);
        }
        self.hard_state = hard_state.or(self.hard_state);
        Ok(())
    }

    /// Makes everything appended durable. An error is fatal: the log takes nothing more.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.refuse_after_failure()?;
        if self.live.durable < self.live.end {
            let synced = self.live.file.sync_data();
            self.fatal("syncing", synced)?;
            self.live.durable = self.live.end;
        }
        Ok(())
    }

    /// Gives up whole files whose entries all lie before `index`, because a snapshot holds them.
    /// The next entry may then be `index` even if the log ended before.
    pub fn cut_before(&mut self, index: u64) -> Result<(), WriteError> {
        self.refuse_after_failure()?;
        while self.closed.front().is_some_and(|oldest| oldest.max_index < index) {
            let oldest = self.closed.pop_front().expect("the loop's condition saw it");
            // One durable step each, oldest first, so that no crash leaves a gap between files.
            let cut = self.spares.recycle(&oldest.path, oldest.file_bytes);
            self.fatal("cutting", cut)?;
        }
        self.next_index = self.next_index.max(index);
        Ok(())
    }

    /// One small step of getting ready: marks what was synced, fills the file ahead with zeros,
    /// then the next file. Call while idle, and now and then under load; true if there is more.
    /// `WriteError::Full` here harms nothing.
    pub fn prepare_next(&mut self) -> Result<bool, WriteError> {
        self.refuse_after_failure()?;
        self.mark_synced()?;
        let free = self.disk.free_bytes(&self.dir).unwrap_or(u64::MAX);
        if free < 4 * self.segment_bytes {
            return Ok(false);
        }
        if self.live.filled < self.segment_bytes {
            let step = FILL_STEP_BYTES.min(self.segment_bytes - self.live.filled);
            let written = self.live.file.write_all_at(&vec![0; step as usize], self.live.filled);
            self.checked("filling", written)?;
            let synced = self.live.file.sync_data();
            self.fatal("syncing", synced)?;
            self.live.durable = self.live.end;
            self.live.filled += step;
            return Ok(true);
        }
        let filled = self.spares.fill_step();
        self.checked("filling", filled)
    }

    /// Index of the last entry appended, or of the snapshot it continues.
    pub fn last_index(&self) -> u64 {
        self.next_index - 1
    }

    /// Writes that everything so far was synced, unless a record says so already: from then on,
    /// damage to the newest batch is told from a torn write.
    fn mark_synced(&mut self) -> Result<(), WriteError> {
        let room = self.live.end + HEAD_BYTES as u64 <= self.live.filled;
        let proven = self.live.proven >= self.live.durable;
        if self.live.durable < self.live.end || proven || !room || self.live.dirty {
            return Ok(());
        }
        self.buf.clear();
        let checksum = record::encode_synced(&mut self.buf, self.live.place(0), self.live.link());
        self.write_buf()?;
        self.live.checksum = checksum;
        // The marker itself needs no sync: losing it loses nothing.
        Ok(())
    }

    /// Encodes a batch so that every prefix of it is a valid state: no commit beyond the entries,
    /// no entry of a term that the hard state has not reached.
    fn encode(
        &mut self,
        hard_state: Option<HardState>,
        first_index: u64,
        entries: &[Entry],
    ) -> u32 {
        let buf = &mut self.buf;
        buf.clear();
        let mut link = self.live.link();
        if let Some(state) = hard_state {
            let early = HardState { commit: state.commit.min(first_index - 1), ..state };
            let place = self.live.place(buf.len());
            link.prev = record::encode_hard_state(buf, place, link, &early);
        }
        for entry in entries {
            let place = self.live.place(buf.len());
            link.prev = record::encode_entry(buf, place, link, entry);
        }
        if let Some(state) = hard_state.filter(|state| state.commit >= first_index) {
            let place = self.live.place(buf.len());
            link.prev = record::encode_hard_state(buf, place, link, &state);
        }
        link.prev
    }

    /// Writes the encoded records at the end, in one call.
    fn write_buf(&mut self) -> Result<(), WriteError> {
        let end = self.live.end + self.buf.len() as u64;
        let written = self.live.file.write_all_at(&self.buf, self.live.end);
        if self.buf.capacity() > KEEP_BUFFER_BYTES {
            self.buf = Vec::new();
        }
        self.live.dirty = written.is_err();
        if self.live.used {
            self.checked("writing", written)?;
        } else {
            // The room was made before: a disk that has none now cannot be reckoned with.
            self.fatal("writing", written)?;
        }
        self.live.filled = self.live.filled.max(end);
        self.live.end = end;
        self.live.proven = self.live.durable;
        Ok(())
    }

    /// Starts the next file, with room for a batch; everything before is durable by then.
    fn rotate(&mut self, first_index: u64, batch_bytes: u64) -> Result<(), WriteError> {
        self.sync()?;
        let salt = self.disk.fresh_salt();
        let salt = self.checked("choosing a salt for", salt)?;
        let spare = self.spares.take();
        let mut spare = self.checked("creating the file after", spare)?;
        let header = Header {
            salt,
            sequence: self.live.header.sequence + 1,
            first_index,
            previous_end: self.live.end,
            recycled: spare.recycled,
        };
        let fill = first_fill(self.segment_bytes).max(LAID_OUT_BYTES + batch_bytes);
        let laid_out = Live::lay_out(&mut spare, &header, self.hard_state, fill);
        let (end, checksum) = match laid_out {
            Ok(laid_out) => laid_out,
            Err(error) => {
                self.spares.discard(spare);
                return self.checked("starting the file after", Err(error));
            }
        };
        let named = Live::name(spare, header, (end, checksum), &self.dir)
            .and_then(|live| self.disk.sync_dir(&self.dir).map(|()| live));
        let live = self.fatal("naming the file after", named)?;
        let old = std::mem::replace(&mut self.live, live);
        self.closed.push_back(Closed {
            path: old.file.path().to_path_buf(),
            max_index: old.max_index,
            file_bytes: old.filled,
        });
        Ok(())
    }

    fn refuse_after_failure(&self) -> Result<(), WriteError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// A lack of space is reported; any other error ends the log's use.
    fn checked<T>(&mut self, op: &'static str, result: io::Result<T>) -> Result<T, WriteError> {
        result.map_err(|error| {
            let error = WriteError::of(op, self.live.file.path(), &error);
            if error.is_fatal() {
                self.failure = Some(error.clone());
            }
            error
        })
    }

    /// Any error ends the log's use.
    fn fatal<T>(&mut self, op: &'static str, result: io::Result<T>) -> Result<T, WriteError> {
        result.map_err(|error| {
            let file = self.live.file.path().to_path_buf();
            let error = WriteError::Failed { op, file, what: error.to_string() };
            self.failure = Some(error.clone());
            error
        })
    }
}

impl Live {
    /// Writes and syncs what a segment starts with; returns its end and last checksum.
    fn lay_out(
        spare: &mut Spare,
        header: &Header,
        hard_state: Option<HardState>,
        fill: u64,
    ) -> io::Result<(u64, u32)> {
        let (header_bytes, mut checksum) = header.encode();
        let mut bytes = header_bytes.to_vec();
        if let Some(state) = hard_state {
            // The segments before this one can be cut, so it carries the state on.
            let place = Place { salt: header.salt, offset: HEADER_BYTES };
            let link = Link { durable: HEADER_BYTES as u32, prev: checksum };
            checksum = record::encode_hard_state(&mut bytes, place, link, &state);
        }
        let end = bytes.len() as u64;
        if spare.filled < fill {
            bytes.resize(fill as usize, 0);
            spare.filled = fill;
        }
        spare.file.write_all_at(&bytes, 0)?;
        spare.file.sync_data()?;
        Ok((end, checksum))
    }

    /// Gives a laid out spare its place in the log. The folder is not synced.
    fn name(spare: Spare, header: Header, end: (u64, u32), dir: &Path) -> io::Result<Live> {
        let Spare { mut file, filled, .. } = spare;
        file.rename(&dir.join(segment::file_name(header.sequence, header.first_index)))?;
        let (end, checksum) = end;
        Ok(Live {
            file,
            header,
            max_index: 0,
            end,
            durable: end,
            proven: end,
            checksum,
            filled,
            dirty: false,
            used: false,
        })
    }

    /// Where a record stands that is `ahead` bytes after the end.
    fn place(&self, ahead: usize) -> Place {
        Place { salt: self.header.salt, offset: self.end + ahead as u64 }
    }

    fn link(&self) -> Link {
        let durable = u32::try_from(self.durable).expect("segments and batches stay below 2 GiB");
        Link { durable, prev: self.checksum }
    }
}

/// Takes up the last segment of a scan where it ended.
fn resume(
    disk: &Arc<dyn Disk>,
    scan: Scan,
) -> Result<(VecDeque<Closed>, Live, Recovered), OpenError> {
    let Scan { recovered, mut segments, end, .. } = scan;
    let (last, end) = segments.pop().zip(end).expect("the caller saw an end");
    let failed = |error| OpenError::io("settling", &last.path, error);
    let file = DiskFile::open(disk, &last.path, OpenMode::Write).map_err(failed)?;
    rewrite(&file, end.proven, end.end).map_err(failed)?;
    for at in (end.end..end.leftover_end).step_by(REWRITE_BYTES) {
        let len = (end.leftover_end - at).min(REWRITE_BYTES as u64);
        file.write_all_at(&vec![0; len as usize], at).map_err(failed)?;
    }
    file.sync_data().map_err(failed)?;
    let live = Live {
        file,
        header: last.header,
        max_index: last.max_index,
        end: end.end,
        durable: end.end,
        proven: end.proven,
        checksum: end.checksum,
        filled: last.file_bytes.max(end.end),
        dirty: false,
        used: true,
    };
    let close = |found: recovery::FoundSegment| Closed {
        path: found.path,
        max_index: found.max_index,
        file_bytes: found.file_bytes,
    };
    Ok((segments.into_iter().map(close).collect(), live, recovered))
}

const REWRITE_BYTES: usize = 1 << 20;

/// Writes the same bytes once more, so that the next sync covers them.
fn rewrite(file: &DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut buf = vec![0; REWRITE_BYTES.min((to - from) as usize)];
    let mut at = from;
    while at < to {
        let len = ((to - at) as usize).min(REWRITE_BYTES);
        let got = file.read_full_at(&mut buf[..len], at)?;
        file.write_all_at(&buf[..got], at)?;
        at += len as u64;
    }
    Ok(())
}
