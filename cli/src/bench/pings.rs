//! How long the reply to a ping takes, while others make the servers work.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Args;
use super::latency::Latency;
use super::meter::Meter;
use super::report::Report;
use super::stop::Stop;
use super::swarm::{Happening, Swarm};

/// `--connections` sessions send a ping each, one at a time, `--interval` apart or more.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let mut swarm = Swarm::new(args.target()?)?;
    let connections = args.connections as usize;
    swarm.open(connections, |_| {})?;
    let mut pings = Pings {
        interval_ns: u64::try_from(args.interval.as_nanos()).unwrap_or(u64::MAX),
        sent_ns: vec![None; connections],
        due_ns: vec![swarm.now_ns(); connections],
        latency: Latency::new(),
        answered: 0,
        closed: false,
    };
    let warm = Stop::after(args.warmup);
    while !warm.is_reached(0) {
        pings.turn(&mut swarm)?;
    }
    pings.latency.clear();
    pings.answered = 0;
    let meter = Meter::begin(args.server_processes())?;
    let stop = Stop::new(args, Duration::from_secs(5))?;
    while !stop.is_reached(pings.answered) {
        pings.turn(&mut swarm)?;
    }
    let mut report = Report::new("pings");
    report.setting("connections", connections);
    report.setting("interval_ms", args.interval.as_millis());
    meter.end()?.report(pings.answered, &mut report);
    report.latency("ping", pings.latency.percentiles());
    swarm.close()?;
    Ok(report)
}

struct Pings {
    interval_ns: u64,
    /// When the unanswered ping of a session was sent.
    sent_ns: Vec<Option<u64>>,
    due_ns: Vec<u64>,
    latency: Latency,
    answered: u64,
    closed: bool,
}

impl Pings {
    fn turn(&mut self, swarm: &mut Swarm) -> Result<()> {
        let now_ns = swarm.now_ns();
        let mut next_ns = now_ns + self.interval_ns;
        for index in 0..swarm.len() {
            if self.sent_ns[index].is_some() {
                continue;
            }
            if self.due_ns[index] <= now_ns {
                swarm.link(index).ping(now_ns);
                self.sent_ns[index] = Some(now_ns);
            } else {
                next_ns = next_ns.min(self.due_ns[index]);
            }
        }
        let patience = Duration::from_nanos(next_ns.saturating_sub(swarm.now_ns()));
        swarm.turn(patience, |index, _, now_ns, happening| match happening {
            Happening::Pong => {
                // A ping that the swarm sent by itself to keep the session has no time to it.
                if let Some(sent_ns) = self.sent_ns[index].take() {
                    self.latency.record(now_ns - sent_ns);
                    self.due_ns[index] = now_ns.max(sent_ns + self.interval_ns);
                    self.answered += 1;
                }
            }
            Happening::Closed => self.closed = true,
            _ => {}
        })?;
        if self.closed {
            bail!("the server closed a connection after {} pings", self.answered);
        }
        Ok(())
    }
}
