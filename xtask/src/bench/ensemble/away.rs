//! A follower that was away comes back while others write.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::load::Load;
use super::servers::Ensemble;
use super::timeline::now_us;
use crate::bench::samples;
use crate::bench::scene::{Measured, flatten, pick_count};
use crate::bench::subject::{Bench, Subject};

/// Writes without it, then steadily to the leader: before, while and after it catches up.
pub(super) fn measure(bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
    let mut measured = Measured::new();
    let mut ensemble = Ensemble::start_fresh(bench, subject)?;
    let away = ensemble.follower()?;
    ensemble.stop(away)?;
    let missed = pick_count(bench.quick, MISSED);
    let servers = ensemble.running_addresses();
    let bulk = format!("write --warmup 0ms --count {missed} --server {servers}");
    flatten("missed", &bench.run(&bulk)?, &mut measured)?;

    let (leader, file) = (ensemble.leader()?, bench.folder.join("away.csv"));
    let steady = format!(
        "write --connections 8 --pipeline 1 --warmup 1s --server {} --samples {}",
        ensemble.address(leader),
        file.display()
    );
    let load = Load::start(bench, &steady)?;
    let phase = if bench.quick { Duration::from_secs(2) } else { Duration::from_secs(8) };
    std::thread::sleep(phase);
    let back_us = now_us();
    ensemble.spawn(away)?;
    catch_up(&ensemble, leader, away)?;
    let in_sync_us = now_us();
    std::thread::sleep(phase);
    flatten("away", &load.finish()?, &mut measured)?;
    ensemble.end()?;

    let samples = samples::read(&file)?;
    std::fs::remove_file(&file).context("cannot remove the samples")?;
    // Something short still has to show in a 99th percentile.
    let until_us = in_sync_us.max(back_us + SHORTEST_US);
    let begun = |(at_us, latency_us): &(u64, u64)| at_us.saturating_sub(*latency_us);
    let p99 = |is_in: &dyn Fn(&(u64, u64)) -> bool| {
        samples::p99(samples.iter().filter(|sample| is_in(sample)).copied().collect())
            .context("too few writes")
    };
    let before = p99(&|sample| sample.0 < back_us)?;
    let during = p99(&|sample| sample.0 >= back_us && begun(sample) <= until_us)?;
    let after = p99(&|sample| begun(sample) > until_us)?;
    measured.extend([
        ("away/in_sync_after_ms".to_owned(), (in_sync_us - back_us) as f64 / 1e3),
        ("away/write_p99_before_us".to_owned(), before),
        ("away/write_p99_meanwhile_us".to_owned(), during),
        ("away/write_p99_after_us".to_owned(), after),
    ]);
    Ok(measured)
}

/// Returns when the follower has what the leader had a moment before.
fn catch_up(ensemble: &Ensemble<'_>, leader: usize, away: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let wanted = ensemble.zxid(leader);
        std::thread::sleep(LOOK_EVERY);
        if ensemble.zxid(away).zip(wanted).is_some_and(|(own, wanted)| own >= wanted) {
            return Ok(());
        }
    }
    bail!("the follower is not in sync after {PATIENCE:?}")
}

const MISSED: u64 = 1_000_000;
const LOOK_EVERY: Duration = Duration::from_millis(10);
const SHORTEST_US: u64 = 2_000_000;
const PATIENCE: Duration = Duration::from_secs(180);
