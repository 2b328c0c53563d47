//! The end of a session that owns many ephemerals, and what other sessions feel of it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tenure_wire::{CreateMode, ErrorCode, Reader, Stat};

use super::Args;
use super::bulk::{Bulk, create_all};
use super::latency::Latency;
use super::meter::Meter;
use super::progress::Progress;
use super::report::Report;
use super::request;
use super::swarm::{Happening, Swarm};

/// Session 1 creates `--count` ephemerals (default 10,000) and closes while session 0 reads.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let base = args.base()?;
    let count = args.count_or(10_000);
    let mut swarm = Swarm::new(args.target()?)?;
    let mut progress = Progress::new();
    swarm.open(2, |_| {})?;
    create_all(&mut swarm, &base)?;
    let bulk = Bulk { links: 1..2, total: count, pipeline: 256, tolerate: &[] };
    let create = |i: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&request::create(
            &format!("{base}/e{i:07}"),
            &[],
            CreateMode::Ephemeral,
        ));
    };
    let created =
        bulk.run(&mut swarm, create, |done| progress.tick(|| format!("{done} ephemerals")))?;

    let mut prober = Prober { exists: request::exists(&base), latency: Latency::new() };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let left = prober.read(&mut swarm)?.children;
        ensure!(left == count, "{left} of {count} ephemerals are there before the close");
    }
    let before = std::mem::replace(&mut prober.latency, Latency::new());
    let meter = Meter::begin(args.server_processes())?;
    let close_ns = swarm.now_ns();
    swarm.link(1).out.extend_from_slice(&request::close_session());
    swarm.flush(1);
    let mut replied_ns = None;
    let gone_ns = loop {
        let seen = prober.read(&mut swarm)?;
        replied_ns = replied_ns.or(seen.close_replied_ns);
        if seen.children == 0 {
            break seen.at_ns - close_ns;
        }
        ensure!(seen.at_ns - close_ns < 120_000_000_000, "ephemerals are left after two minutes");
    };
    // What the removal leaves to be done still belongs to it.
    let calm = Instant::now();
    while calm.elapsed() < Duration::from_millis(500) {
        replied_ns = replied_ns.or(prober.read(&mut swarm)?.close_replied_ns);
    }
    let spent = meter.end()?;

    let mut report = Report::new("ephemerals");
    report.setting("ephemerals", count);
    report.figure("ephemerals", count as f64);
    report.figure("created_per_second", count as f64 / created.seconds);
    report.figure("all_gone_ms", gone_ns as f64 / 1e6);
    if let Some(at_ns) = replied_ns {
        report.figure("close_replied_ms", at_ns.saturating_sub(close_ns) as f64 / 1e6);
    }
    report.figure("longest_read_meanwhile_ms", prober.latency.percentiles().max / 1e3);
    if let Some(server_us) = spent.server_us {
        report.figure("server_cpu_ms_until_calm", server_us as f64 / 1e3);
    }
    report.latency("read before", before.percentiles());
    report.latency("read meanwhile", prober.latency.percentiles());
    if !args.keep {
        let bulk = Bulk { links: 0..1, total: 1, pipeline: 1, tolerate: &[ErrorCode::NoNode] };
        bulk.run(&mut swarm, |_, out| out.extend_from_slice(&request::delete(&base)), |_| {})?;
    }
    swarm.close()?;
    Ok(report)
}

/// Session 0, which reads the parent's stat, one request at a time.
struct Prober {
    exists: Vec<u8>,
    latency: Latency,
}

struct Seen {
    at_ns: u64,
    children: usize,
    /// When session 1 got the reply to its close, if during this read.
    close_replied_ns: Option<u64>,
}

impl Prober {
    fn read(&mut self, swarm: &mut Swarm) -> Result<Seen> {
        let sent_ns = swarm.now_ns();
        swarm.link(0).out.extend_from_slice(&self.exists);
        swarm.flush(0);
        let (mut answer, mut close_replied_ns, mut problem) = (None, None, None);
        while answer.is_none() {
            swarm.turn(Duration::from_secs(1), |index, _, now_ns, happening| match happening {
                Happening::Reply(reply) if index == 0 => match child_count(reply.body()) {
                    Some(children) => answer = Some((now_ns, children)),
                    None => problem = Some("the reply to exists is not a stat"),
                },
                Happening::Reply(_) => close_replied_ns = Some(now_ns),
                Happening::Closed if index == 0 => {
                    problem = Some("the reading session was disconnected")
                }
                _ => {}
            })?;
            if let Some(problem) = problem {
                bail!("{problem}");
            }
            ensure!(swarm.now_ns() - sent_ns < 120_000_000_000, "a read took two minutes");
        }
        let (at_ns, children) = answer.unwrap_or_default();
        self.latency.record(at_ns - sent_ns);
        Ok(Seen { at_ns, children, close_replied_ns })
    }
}

fn child_count(stat: &[u8]) -> Option<usize> {
    let stat = Stat::decode(&mut Reader::new(stat)).ok()?;
    usize::try_from(stat.num_children).ok()
}
