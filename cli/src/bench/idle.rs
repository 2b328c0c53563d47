//! Many sessions that hold one ephemeral each and only ping: what they cost a server at rest.

use std::time::{Duration, Instant};

use anyhow::Result;
use tenure_wire::CreateMode;

use super::Args;
use super::bulk::{Bulk, create_all};
use super::meter::Meter;
use super::progress::Progress;
use super::report::Report;
use super::request;
use super::swarm::Swarm;

/// Opens `--count` sessions (default 1,000), waits, and reports memory and processor time.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let base = args.base()?;
    let count = args.count_or(1000);
    let mut swarm = Swarm::new(args.target()?)?;
    let mut progress = Progress::new();
    swarm.open(1, |_| {})?;
    create_all(&mut swarm, &base)?;
    let before = resident(args)?;

    let begun = Instant::now();
    swarm.open(count, |open| progress.tick(|| format!("{open} of {count} sessions")))?;
    let open_seconds = begun.elapsed().as_secs_f64();
    let bulk = Bulk { links: 1..count + 1, total: count, pipeline: 1, tolerate: &[] };
    let create = |i: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&request::create(
            &format!("{base}/e{i:07}"),
            &[],
            CreateMode::Ephemeral,
        ));
    };
    bulk.run(&mut swarm, create, |done| progress.tick(|| format!("{done} ephemerals")))?;

    // Work that the server does behind the last reply is no part of being idle.
    hold(&mut swarm, Duration::from_secs(2), |_| {})?;
    let after = resident(args)?;
    let meter = Meter::begin(args.server_processes())?;
    let duration = args.duration.unwrap_or(Duration::from_secs(20));
    hold(&mut swarm, duration, |left| progress.tick(|| format!("idle, {left:.0} s to go")))?;
    let spent = meter.end()?;

    let mut report = Report::new("idle-sessions");
    report.setting("sessions", count).setting("session_timeout_ms", swarm.link(0).timeout_ms);
    report.figure("sessions", count as f64);
    report.figure("sessions_opened_per_second", count as f64 / open_seconds);
    report.figure("seconds", spent.seconds);
    if let (Some(before), Some(after)) = (before, after) {
        report.figure("server_resident_bytes_before", before as f64);
        report.figure("server_resident_bytes", after as f64);
        let grown = after as f64 - before as f64;
        report.figure("server_resident_bytes_per_session", grown / count as f64);
    }
    if let Some(server_us) = spent.server_us {
        report.figure("server_idle_cpu_percent", server_us as f64 / spent.seconds / 1e4);
    }
    report.figure("client_idle_cpu_percent", spent.client_us as f64 / spent.seconds / 1e4);
    report.figure("lost_sessions", swarm.closed_links() as f64);
    swarm.close()?;
    Ok(report)
}

fn hold(swarm: &mut Swarm, duration: Duration, mut say: impl FnMut(f64)) -> Result<()> {
    let end = Instant::now() + duration;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        swarm.turn(left, |_, _, _, _| {})?;
        say(left.as_secs_f64());
    }
}

fn resident(args: &Args) -> Result<Option<u64>> {
    args.server_processes().resident_bytes()
}
