//! Sessions opened and closed, each on a connection of its own.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Args;
use super::latency::Latency;
use super::meter::Meter;
use super::progress::Progress;
use super::report::Report;
use super::request;
use super::swarm::{Happening, Swarm};

/// Keeps `--connections` clients busy connecting, opening, closing and disconnecting.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let mut swarm = Swarm::new(args.target()?)?;
    let mut progress = Progress::new();
    let connections = args.connections as usize;
    swarm.open(connections, |_| {})?;
    let mut churn = Churn {
        stage_begun_ns: vec![swarm.now_ns(); connections],
        open: Latency::new(),
        close: Latency::new(),
        finished: 0,
        to_reopen: Vec::new(),
        problem: None,
    };
    for index in 0..connections {
        swarm.link(index).out.extend_from_slice(&request::close_session());
    }
    swarm.flush_all();

    let begun = Instant::now();
    while begun.elapsed() < args.warmup {
        churn.turn(&mut swarm)?;
    }
    (churn.open, churn.close, churn.finished) = (Latency::new(), Latency::new(), 0);
    let meter = Meter::begin(args.server_processes())?;
    let begun = Instant::now();
    let duration = args.duration.unwrap_or(Duration::from_secs(5));
    let goal = args.count.map_or(u64::MAX, u64::from);
    while churn.finished < goal && (args.count.is_some() || begun.elapsed() < duration) {
        churn.turn(&mut swarm)?;
        progress.tick(|| {
            let rate = churn.finished as f64 / begun.elapsed().as_secs_f64();
            format!("{rate:.0} sessions per second")
        });
    }
    let mut report = Report::new("sessions");
    report.setting("connections", connections);
    meter.end()?.report(churn.finished, &mut report);
    report.latency("open", churn.open.percentiles());
    report.latency("close", churn.close.percentiles());
    Ok(report)
}

struct Churn {
    stage_begun_ns: Vec<u64>,
    open: Latency,
    close: Latency,
    finished: u64,
    to_reopen: Vec<usize>,
    problem: Option<&'static str>,
}

impl Churn {
    fn turn(&mut self, swarm: &mut Swarm) -> Result<()> {
        swarm.turn(Duration::from_millis(100), |index, link, now_ns, happening| {
            let stage_ns = now_ns - self.stage_begun_ns[index];
            match happening {
                Happening::Opened => {
                    self.open.record(stage_ns);
                    self.stage_begun_ns[index] = now_ns;
                    link.out.extend_from_slice(&request::close_session());
                }
                Happening::Reply(reply) => {
                    self.close.record(stage_ns);
                    self.finished += 1;
                    self.to_reopen.push(index);
                    // The client is done with it; its end of the connection must not count twice.
                    link.abandon();
                    if reply.err() != 0 {
                        self.problem = Some("the server refused to close a session");
                    }
                }
                Happening::Closed => self.problem = Some("the server closed a live connection"),
                Happening::Pong | Happening::Refused => {}
            }
        })?;
        for index in self.to_reopen.drain(..) {
            self.stage_begun_ns[index] = swarm.now_ns();
            swarm.reopen(index)?;
            swarm.flush(index);
        }
        match self.problem {
            Some(problem) => bail!("{problem}"),
            None => Ok(()),
        }
    }
}
