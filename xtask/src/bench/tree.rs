//! A large tree: its memory, a snapshot of it under load, and a start with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::scene::{Measured, flatten, pick_count};
use super::subject::{Bench, Subject};
use super::{first_read, samples, snapshots};
use crate::process::ServerProcess;

/// Loads a million znodes of 100 bytes, writes until a snapshot was taken, and starts again.
pub(crate) fn measure(bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
    let mut measured = Measured::new();
    let count = pick_count(bench.quick, 1_000_000);
    let server = bench.start_fresh(subject)?;
    let load = format!("load --path /tree --count {count} --size {DATA_BYTES}");
    flatten("load", &bench.drive(&server, &load)?, &mut measured)?;
    let per_znode = measured.iter().find(|(key, _)| key.ends_with("_bytes_per_znode"));
    let (_, per_znode) = per_znode.context("the memory of the server was not measured")?;
    measured.push(("load/resident_bytes_over_data".to_owned(), per_znode - DATA_BYTES));
    snapshot_under_load(bench, subject, &server, &mut measured)?;
    server.stop()?;

    // That the server has its data shows in a read of the last znode.
    let last = format!("/tree/p{:05}/n{:07}", (count - 1) / 1000, count - 1);
    let begun = Instant::now();
    let (server, seconds) = std::thread::scope(|scope| {
        let starting = scope.spawn(|| bench.start(subject));
        let worthwhile = || !starting.is_finished() || begun.elapsed() < PATIENCE;
        let found = first_read::wait(subject.address(), &last, worthwhile);
        let seconds = begun.elapsed().as_secs_f64();
        let server = starting.join().expect("starting a server does not panic")?;
        ensure!(found, "the last znode cannot be read after the start");
        Ok((server, seconds))
    })?;
    measured.push(("start/seconds".to_owned(), seconds));
    let resident = server.usage()?.resident_bytes as f64;
    measured.push(("start/server_resident_bytes".to_owned(), resident));
    server.stop()?;
    Ok(measured)
}

/// Writes for long enough to reach the default number of entries between snapshots.
fn snapshot_under_load(
    bench: &Bench,
    subject: Subject,
    server: &ServerProcess,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let file = bench.folder.join("samples.csv");
    let duration = if bench.quick { "3s" } else { "30s" };
    let load = format!(
        "write --pipeline 1 --size 100 --warmup 2s --duration {duration} --samples {}",
        file.display()
    );
    let stop = AtomicBool::new(false);
    let data = bench.data_folder(subject);
    let (report, spans) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| snapshots::watch(&data, &stop));
        let report = bench.drive(server, &load);
        stop.store(true, Ordering::Relaxed);
        let spans = watcher.join().expect("looking at files does not panic");
        (report, spans)
    });
    flatten("write-during-snapshots", &report?, measured)?;
    let samples = samples::read(&file)?;
    let taken = spans
        .iter()
        .filter(|span| samples.first().is_some_and(|(first_us, _)| span.end_us > *first_us));
    let longest = taken.clone().map(|span| span.end_us - span.begin_us).max();
    measured.push(("snapshot/taken_meanwhile".to_owned(), taken.count() as f64));
    if let Some(longest_us) = longest {
        measured.push(("snapshot/longest_seconds".to_owned(), longest_us as f64 / 1e6));
    }
    if let Some(apart) = samples::apart(&samples, &spans) {
        measured.push(("snapshot/write_p99_outside_us".to_owned(), apart.outside_us));
        if let Some(inside_us) = apart.inside_us {
            measured.push(("snapshot/write_p99_during_us".to_owned(), inside_us));
        }
    }
    std::fs::remove_file(&file).context("cannot remove the samples")
}

const DATA_BYTES: f64 = 100.0;
/// For a start with a million znodes.
const PATIENCE: Duration = Duration::from_secs(120);
