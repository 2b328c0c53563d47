//! When a server was writing a snapshot, seen from outside: files with "snap" in their path that
//! appear, grow or get another name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A stretch of time by the Unix clock, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begin_us: u64,
    pub(crate) end_us: u64,
}

/// Looks at the data folder until told to stop, and returns when snapshots were being written.
pub(crate) fn watch(data: &Path, stop: &AtomicBool) -> Vec<Span> {
    let mut changes = Vec::new();
    let mut before = sizes(data);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_EVERY);
        let now = sizes(data);
        if now != before {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            changes.push(unix.as_micros() as u64);
            before = now;
        }
    }
    spans(&changes)
}

/// Changes less than [`PAUSE_US`] apart belong to one snapshot, which began before the first.
fn spans(changes: &[u64]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for at_us in changes {
        match spans.last_mut() {
            Some(span) if at_us - span.end_us < PAUSE_US => span.end_us = *at_us,
            _ => {
                let begin_us = at_us - LOOK_EVERY.as_micros() as u64;
                spans.push(Span { begin_us, end_us: *at_us });
            }
        }
    }
    spans
}

fn sizes(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // Files come and go while this looks; one that is gone is no snapshot being written.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(path),
                Ok(meta) if path.to_string_lossy().contains("snap") => {
                    found.insert(path, meta.len());
                }
                _ => {}
            }
        }
    }
    found
}

const LOOK_EVERY: Duration = Duration::from_millis(10);
const PAUSE_US: u64 = 700_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_close_together_are_one_snapshot() {
        let seen = spans(&[1_000_000, 1_200_000, 1_800_000, 5_000_000]);
        let span = |begin_us, end_us| Span { begin_us, end_us };
        assert_eq!(seen, [span(990_000, 1_800_000), span(4_990_000, 5_000_000)]);
    }

    #[test]
    fn only_snapshot_files_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("snapshots")).unwrap();
        fs::write(folder.path().join("snapshots/1"), "abc").unwrap();
        fs::write(folder.path().join("log.1"), "abc").unwrap();
        let found: Vec<u64> = sizes(folder.path()).into_values().collect();
        assert_eq!(found, [3]);
    }
}
