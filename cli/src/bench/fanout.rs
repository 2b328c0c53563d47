//! One change and the many watchers that are told about it.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::Args;
use super::bulk::{Bulk, create_all};
use super::latency::Latency;
use super::meter::Meter;
use super::progress::Progress;
use super::report::Report;
use super::request;
use super::swarm::{Happening, Swarm};

/// `--count` sessions (default 1,000) watch one znode, which changes five times.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let path = args.base()?;
    let watchers = args.count_or(1000);
    let mut swarm = Swarm::new(args.target()?)?;
    let mut progress = Progress::new();
    swarm.open(1, |_| {})?;
    create_all(&mut swarm, &path)?;
    swarm.open(watchers, |open| progress.tick(|| format!("{open} of {watchers} sessions")))?;

    let mut rounds = Rounds { each: Latency::new(), first: Latency::new(), last: Latency::new() };
    let mut written = Latency::new();
    let meter = Meter::begin(args.server_processes())?;
    for round in 0..ROUNDS {
        let bulk = Bulk { links: 1..watchers + 1, total: watchers, pipeline: 1, tolerate: &[] };
        let watch =
            |_: usize, out: &mut Vec<u8>| out.extend_from_slice(&request::get_data(&path, true));
        bulk.run(&mut swarm, watch, |_| {})?;
        progress.tick(|| format!("round {round}"));
        written.record(rounds.change(&mut swarm, &path, watchers, args.size as usize)?);
    }
    let spent = meter.end()?;

    let mut report = Report::new("watches");
    report.setting("watchers", watchers).setting("rounds", ROUNDS);
    report.figure("watchers", watchers as f64);
    report.figure("last_notification_ms", rounds.last.percentiles().p50 / 1e3);
    if let Some(server_us) = spent.server_us {
        let notified = (watchers * ROUNDS) as f64;
        report.figure("server_cpu_us_per_watch_set_and_fired", server_us as f64 / notified);
    }
    report.latency("write", written.percentiles());
    report.latency("first notified", rounds.first.percentiles());
    report.latency("last notified", rounds.last.percentiles());
    report.latency("notified", rounds.each.percentiles());
    if !args.keep {
        let bulk = Bulk { links: 0..1, total: 1, pipeline: 1, tolerate: &[] };
        bulk.run(&mut swarm, |_, out| out.extend_from_slice(&request::delete(&path)), |_| {})?;
    }
    swarm.close()?;
    Ok(report)
}

struct Rounds {
    each: Latency,
    first: Latency,
    last: Latency,
}

impl Rounds {
    /// Changes the znode and waits until every watcher knows; returns the write's latency in
    /// nanoseconds.
    fn change(
        &mut self,
        swarm: &mut Swarm,
        path: &str,
        watchers: usize,
        size: usize,
    ) -> Result<u64> {
        let sent_ns = swarm.now_ns();
        swarm.link(0).out.extend_from_slice(&request::set_data(path, &vec![b'y'; size]));
        swarm.flush(0);
        let (mut notified, mut written_ns, mut last_ns) = (0, None, 0);
        let mut problem = None;
        while notified < watchers || written_ns.is_none() {
            swarm.turn(Duration::from_secs(1), |index, _, now_ns, happening| match happening {
                Happening::Reply(reply) if reply.is_notification() => {
                    notified += 1;
                    last_ns = now_ns - sent_ns;
                    self.each.record(last_ns);
                    if notified == 1 {
                        self.first.record(last_ns);
                    }
                }
                Happening::Reply(reply) if index == 0 => {
                    written_ns = Some(now_ns - sent_ns);
                    if reply.err() != 0 {
                        problem = Some("the change was refused");
                    }
                }
                Happening::Closed => problem = Some("the server closed a connection"),
                _ => {}
            })?;
            if let Some(problem) = problem {
                bail!("{problem}");
            }
            let waited = Duration::from_nanos(swarm.now_ns() - sent_ns);
            ensure!(waited < PATIENCE, "only {notified} of {watchers} watchers were notified");
        }
        self.last.record(last_ns);
        Ok(written_ns.unwrap_or(0))
    }
}

const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);
