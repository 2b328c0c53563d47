//! The raw yardstick for durable writes: appends to a file that was filled before, each synced.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::Args;
use super::latency::Latency;
use super::report::Report;

/// Writes `--count` blocks (default 2,000) of `--size` bytes and syncs the data of each.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let path = args.dir.join(format!("tenure-bench-{}.tmp", std::process::id()));
    let measured = measure(&path, args.count_or(2000), args.size.max(1) as usize);
    let latency = measured.with_context(|| format!("cannot measure with {}", path.display()))?;
    let mut report = Report::new("disk");
    report.setting("size", args.size).setting("dir", args.dir.display());
    report.figure("fdatasync_p50_us", latency.percentiles().p50);
    report.latency("write and fdatasync", latency.percentiles());
    Ok(report)
}

/// How long writing and syncing a block takes, for so many blocks of so many bytes, in a file that
/// is removed afterwards.
pub(crate) fn measure(path: &Path, count: usize, bytes: usize) -> io::Result<Latency> {
    let measured = measure_in(path, count, &vec![b'x'; bytes]);
    // The file is only in the way now; the measurement is what counts.
    let _ = std::fs::remove_file(path);
    measured
}

fn measure_in(path: &Path, count: usize, block: &[u8]) -> io::Result<Latency> {
    let mut file: File =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    for _ in 0..count {
        file.write_all(&vec![0; block.len()])?;
    }
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut latency = Latency::new();
    for _ in 0..count {
        let begun = Instant::now();
        file.write_all(block)?;
        file.sync_data()?;
        latency.record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(latency)
}
