//! How fast the log appends and syncs, beside the bare system calls on the same disk.
//!
//! `cargo run --release -p tenure-storage --example append [folder] [entry bytes] [seconds]`
#![allow(clippy::print_stdout, reason = "an example that prints a table")]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tenure_storage::{Entry, Log, LogOptions, RealDisk};

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let entry_bytes = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(128);
    let seconds = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1.0);
    let scratch = tempfile::tempdir_in(folder).expect("a scratch folder can be made");
    let round = Duration::from_secs_f64(seconds);

    println!("entries of {entry_bytes} bytes; median and 99th percentile of one batch");
    println!("{:>6} {:>10} {:>12} {:>9} {:>9}", "batch", "what", "entries/s", "p50 us", "p99 us");
    for batch in [1, 16, 256] {
        // In turn, so that a neighbour on the machine hurts both alike.
        for pass in 0..2 {
            let dir = scratch.path().join(format!("{batch}-{pass}"));
            report(batch, "raw", raw(&dir.with_extension("raw"), batch, entry_bytes, round));
            report(batch, "log", log(&dir, batch, entry_bytes, round));
        }
    }
}

/// Writes and syncs over zeros, as the log does, without its records.
fn raw(path: &Path, batch: usize, entry_bytes: usize, round: Duration) -> Vec<Duration> {
    const FILE_BYTES: usize = 64 << 20;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).open(path).expect("a new file can be made");
    file.write_all_at(&vec![0; FILE_BYTES], 0).expect("there is room for one file");
    file.sync_all().expect("the file can be synced");
    let block = vec![7; batch * entry_bytes];
    let mut offset = 0;
    timed(round, || {
        if offset + block.len() > FILE_BYTES {
            offset = 0;
        }
        file.write_all_at(&block, offset as u64).expect("the write goes through");
        file.sync_data().expect("the sync goes through");
        offset += block.len();
    })
}

fn log(dir: &Path, batch: usize, entry_bytes: usize, round: Duration) -> Vec<Duration> {
    let (mut log, _) =
        Log::open(RealDisk::shared(), dir, LogOptions::default()).expect("an empty folder opens");
    while log.prepare_next().expect("there is room for two files") {}
    let data = bytes::Bytes::from(vec![7; entry_bytes]);
    let mut index = 0;
    timed(round, || {
        let first = index + 1;
        index += batch as u64;
        let entry = |index| Entry { index, term: 1, kind: 0, data: data.clone() };
        let entries: Vec<Entry> = (first..=index).map(entry).collect();
        log.append(None, &entries).expect("the write goes through");
        log.sync().expect("the sync goes through");
    })
}

fn timed(round: Duration, mut commit: impl FnMut()) -> Vec<Duration> {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < round {
        let begun = Instant::now();
        commit();
        times.push(begun.elapsed());
    }
    times
}

fn report(batch: usize, what: &str, mut times: Vec<Duration>) {
    let total: Duration = times.iter().sum();
    times.sort();
    let us = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
    let rate = (batch * times.len()) as f64 / total.as_secs_f64();
    println!("{batch:>6} {what:>10} {rate:>12.0} {:>9} {:>9}", us(50), us(99));
}
