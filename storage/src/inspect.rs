//! Reading a data folder without changing it, damage included, for people who look into one.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::record::Record;
use crate::recovery::{self, OpenError, OpenSegment};
use crate::segment::{self, Scanner};

/// One thing found in a log file.
#[derive(Debug)]
pub struct LogItem {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes from its start.
    pub offset: u64,
    /// What stands there.
    pub found: Found,
}

/// What stands at a place in the log.
#[derive(Debug)]
pub enum Found {
    /// A record.
    Record(Record),
    /// The end of the last file's records, followed by an unfinished write of this many bytes.
    TornWrite(u64),
    /// Something that stops the server from starting; reading goes on with the next file.
    Damage(OpenError),
}

/// Every record of the log in a folder, in the order written.
///
/// One segment's records are gathered at a time. A server that writes meanwhile does no harm.
pub fn log_records(disk: &Arc<dyn Disk>, dir: &Path) -> Result<LogRecords, OpenError> {
    let names = disk.list(dir).map_err(|error| OpenError::io("listing", dir, error))?;
    let segments = segment::segment_paths(dir, &names).into();
    Ok(LogRecords { disk: Arc::clone(disk), segments, items: VecDeque::new(), previous: None })
}

/// Iterator of [`log_records`].
pub struct LogRecords {
    disk: Arc<dyn Disk>,
    segments: VecDeque<(u64, PathBuf)>,
    items: VecDeque<LogItem>,
    /// Sequence of the segment before.
    previous: Option<u64>,
}

impl Iterator for LogRecords {
    type Item = LogItem;

    fn next(&mut self) -> Option<LogItem> {
        while self.items.is_empty() {
            let (sequence, path) = self.segments.pop_front()?;
            if self.previous.is_some_and(|previous| previous + 1 != sequence) {
                let error = OpenError::damaged(&path, 0, "a segment before it is missing");
                self.push(&path, 0, Found::Damage(error));
            }
            self.previous = Some(sequence);
            match recovery::open_segment(&self.disk, path.clone(), sequence) {
                Ok(segment) => self.read(&segment),
                Err(error) => self.push(&path, 0, Found::Damage(error)),
            }
        }
        self.items.pop_front()
    }
}

impl LogRecords {
    fn push(&mut self, file: &Path, offset: u64, found: Found) {
        self.items.push_back(LogItem { file: file.to_path_buf(), offset, found });
    }

    fn read(&mut self, segment: &OpenSegment) {
        let next_end = self.segments.front().and_then(|(sequence, path)| {
            let next = recovery::open_segment(&self.disk, path.clone(), *sequence).ok()?;
            Some(next.header.previous_end)
        });
        let limit = next_end.unwrap_or(segment.file_bytes).min(segment.file_bytes);
        let header = (&segment.header, segment.checksum);
        let mut scanner = Scanner::new(&segment.file, header, limit);
        loop {
            let offset = scanner.offset();
            match scanner.next() {
                Ok(Some((_, record))) => self.push(&segment.path, offset, Found::Record(record)),
                Ok(None) => break,
                Err(error) => {
                    let error = OpenError::io("reading", &segment.path, error);
                    return self.push(&segment.path, offset, Found::Damage(error));
                }
            }
        }
        let damage = recovery::check_end(&segment.path, &mut scanner, next_end);
        match damage {
            Ok(after) if after.torn_bytes > 0 => {
                self.push(&segment.path, scanner.offset(), Found::TornWrite(after.torn_bytes));
            }
            Ok(_) => {}
            Err(error) => self.push(&segment.path, scanner.offset(), Found::Damage(error)),
        }
    }
}
