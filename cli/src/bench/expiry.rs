//! How late silent sessions expire, counted from the moment their last packet was sent.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tenure_wire::{CreateMode, ErrorCode, Reader, WatcherEvent};

use super::Args;
use super::bulk::{Bulk, create_all, sync_all};
use super::latency::Latency;
use super::meter::Meter;
use super::progress::Progress;
use super::report::Report;
use super::request;
use super::swarm::{Happening, Swarm};

/// `--count` sessions (default 1,000) with a timeout of `--session-timeout` fall silent one after
/// the other; session 0 watches the ephemeral of each.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let base = args.base()?;
    let count = args.count_or(1000);
    let mut swarm = Swarm::new(args.target()?)?;
    let mut progress = Progress::new();
    swarm.open(1, |_| {})?;
    create_all(&mut swarm, &base)?;
    swarm.open(count, |open| progress.tick(|| format!("{open} of {count} sessions")))?;
    let timeout_ns = swarm.link(1).timeout_ms * 1_000_000;
    let bulk = Bulk { links: 1..count + 1, total: count, pipeline: 1, tolerate: &[] };
    let create = |i: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&request::create(&name(&base, i), &[], CreateMode::Ephemeral));
    };
    bulk.run(&mut swarm, create, |_| {})?;
    sync_all(&mut swarm)?;
    let watch = |i: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&request::get_data(&name(&base, i), true));
    };
    let bulk = Bulk { links: 0..1, total: count, pipeline: 64, tolerate: &[] };
    bulk.run(&mut swarm, watch, |_| {})?;

    let meter = Meter::begin(args.server_processes())?;
    let mut silence = Silence {
        owner: (0..count).map(|i| (name(&base, i), i)).collect(),
        last_sent_ns: vec![None; count],
        gone: 0,
        early: Latency::new(),
        late: Latency::new(),
        earliest_ns: i64::MAX,
        problem: None,
    };
    silence.fall_silent(&mut swarm, timeout_ns)?;
    let begun_ns = swarm.now_ns();
    while silence.gone < count {
        silence.turn(&mut swarm, timeout_ns)?;
        progress.tick(|| format!("{} of {count} expired", silence.gone));
        let waited_ns = swarm.now_ns() - begun_ns;
        ensure!(waited_ns < 20 * timeout_ns, "{} of {count} expired", silence.gone);
    }
    let mut report = silence.report(count, timeout_ns);
    if let Some(server_us) = meter.end()?.server_us {
        report.figure("server_cpu_us_per_session", server_us as f64 / count as f64);
    }
    if !args.keep {
        let bulk = Bulk { links: 0..1, total: 1, pipeline: 1, tolerate: &[ErrorCode::NoNode] };
        bulk.run(&mut swarm, |_, out| out.extend_from_slice(&request::delete(&base)), |_| {})?;
    }
    swarm.close()?;
    Ok(report)
}

fn name(base: &str, i: usize) -> String {
    format!("{base}/s{i:07}")
}

struct Silence {
    owner: HashMap<String, usize>,
    last_sent_ns: Vec<Option<u64>>,
    gone: usize,
    early: Latency,
    late: Latency,
    earliest_ns: i64,
    problem: Option<String>,
}

impl Silence {
    /// Sends the last packet of every session, spread over half a timeout.
    fn fall_silent(&mut self, swarm: &mut Swarm, timeout_ns: u64) -> Result<()> {
        let count = self.last_sent_ns.len();
        let begin_ns = swarm.now_ns();
        for i in 0..count {
            let due_ns = begin_ns + timeout_ns / 2 * i as u64 / count as u64;
            while swarm.now_ns() < due_ns {
                let left = Duration::from_nanos(due_ns.saturating_sub(swarm.now_ns()));
                self.turn_for(swarm, timeout_ns, left)?;
            }
            let now_ns = swarm.now_ns();
            let link = swarm.link(i + 1);
            link.ping(now_ns);
            link.silent = true;
            self.last_sent_ns[i] = Some(now_ns);
        }
        Ok(())
    }

    fn turn(&mut self, swarm: &mut Swarm, timeout_ns: u64) -> Result<()> {
        self.turn_for(swarm, timeout_ns, Duration::from_millis(50))
    }

    fn turn_for(&mut self, swarm: &mut Swarm, timeout_ns: u64, patience: Duration) -> Result<()> {
        swarm.turn(patience, |index, _, now_ns, happening| match happening {
            Happening::Reply(reply) if reply.is_notification() && index == 0 => {
                self.take(reply.body(), now_ns, timeout_ns);
            }
            Happening::Closed if index == 0 => {
                self.problem = Some("the watching session was disconnected".to_owned());
            }
            _ => {}
        })?;
        match self.problem.take() {
            Some(problem) => bail!("{problem}"),
            None => Ok(()),
        }
    }

    fn take(&mut self, body: &[u8], now_ns: u64, timeout_ns: u64) {
        let event = WatcherEvent::decode(&mut Reader::new(body)).ok();
        let Some(&i) = event.and_then(|event| self.owner.get(event.path.as_ref())) else {
            self.problem = Some("a notification about something unknown".to_owned());
            return;
        };
        let Some(sent_ns) = self.last_sent_ns[i] else {
            self.problem = Some("a session expired that was not silent".to_owned());
            return;
        };
        let silent_ns = now_ns - sent_ns;
        let late_ns = silent_ns as i64 - timeout_ns as i64;
        self.earliest_ns = self.earliest_ns.min(late_ns);
        match u64::try_from(late_ns) {
            Ok(late_ns) => self.late.record(late_ns),
            Err(_) => self.early.record(late_ns.unsigned_abs()),
        }
        self.gone += 1;
    }

    fn report(&self, count: usize, timeout_ns: u64) -> Report {
        let mut report = Report::new("expiry");
        let late = self.late.percentiles();
        report.setting("sessions", count).setting("session_timeout_ms", timeout_ns / 1_000_000);
        report.figure("sessions", count as f64);
        report.figure("expired_early", self.early.percentiles().count as f64);
        report.figure("earliest_lateness_ms", self.earliest_ns as f64 / 1e6);
        report.figure("p50_lateness_ms", late.p50 / 1e3);
        report.figure("p99_lateness_ms", late.p99 / 1e3);
        report.figure("max_lateness_ms", late.max / 1e3);
        report.latency("lateness", late);
        report
    }
}
