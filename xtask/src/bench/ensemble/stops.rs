//! Servers are killed, stopped and restarted under sessions with ephemerals and steady writes.

use std::time::Duration;

use anyhow::Context;

use super::load::Load;
use super::servers::{Ensemble, SERVERS};
use super::timeline::{Timeline, now_us};
use crate::bench::scene::{Measured, flatten};
use crate::bench::subject::{Bench, Subject};

/// How servers end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The leader is killed (SIGKILL), and started again when there is another.
    Kill,
    /// The leader is stopped (SIGTERM), and started again when there is another.
    Stop,
    /// The followers and then the leader are stopped and started again at once.
    Rolling,
}

/// One server's end, in microseconds of the Unix clock.
struct Event {
    at_us: u64,
    /// When it was started again.
    restarted_us: u64,
    /// When the next thing is about to happen.
    until_us: u64,
}

impl How {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Rolling => "rolling",
        }
    }

    /// Measures one ensemble.
    pub(super) fn measure(self, bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
        let mut ensemble = Ensemble::start_fresh(bench, subject)?;
        let file = bench.folder.join("diary.csv");
        let holders = if bench.quick { 50 } else { 200 };
        let load = Load::start(
            bench,
            &format!(
                "failover --connections {WRITERS} --count {holders} --interval 5ms --size 8 \
                 --session-timeout 10s --server {} --samples {} --keep",
                ensemble.addresses(),
                file.display()
            ),
        )?;
        let mut events = Vec::new();
        for _ in 0..self.times(bench.quick) {
            for server in self.victims(&ensemble)? {
                ensemble.wait_for_clients(WRITERS + holders)?;
                events.push(self.strike(&mut ensemble, server)?);
            }
        }
        let report = load.finish()?;
        ensemble.end()?;
        let mut measured = Measured::new();
        flatten(self.name(), &report, &mut measured)?;
        self.tell(&Timeline::read(&file)?, &events, &mut measured)?;
        std::fs::remove_file(&file).context("cannot remove the diary")?;
        Ok(measured)
    }

    fn times(self, quick: bool) -> usize {
        match self {
            Self::Rolling => 1,
            _ if quick => 2,
            Self::Kill => 10,
            Self::Stop => 5,
        }
    }

    fn victims(self, ensemble: &Ensemble<'_>) -> anyhow::Result<Vec<usize>> {
        let leader = ensemble.leader()?;
        if self != Self::Rolling {
            return Ok(vec![leader]);
        }
        let followers = (0..SERVERS).filter(|n| *n != leader);
        Ok(followers.chain([leader]).collect())
    }

    fn strike(self, ensemble: &mut Ensemble<'_>, server: usize) -> anyhow::Result<Event> {
        // The load goes on as usual for a while: before, between and behind what happens.
        std::thread::sleep(CALM);
        let at_us = now_us();
        match self {
            Self::Kill => ensemble.kill(server)?,
            _ => ensemble.stop(server)?,
        }
        if self != Self::Rolling {
            ensemble.leader()?;
            std::thread::sleep(CALM);
        }
        let restarted_us = now_us();
        ensemble.restart(server)?;
        std::thread::sleep(CALM);
        Ok(Event { at_us, restarted_us, until_us: now_us() })
    }

    fn tell(
        self,
        timeline: &Timeline,
        events: &[Event],
        measured: &mut Measured,
    ) -> anyhow::Result<()> {
        let mut add = |key: &str, value: f64| {
            measured.push((format!("{}/{key}", self.name()), value));
        };
        let mut again = 0;
        for Event { at_us, restarted_us, until_us } in events {
            let gap = match self {
                Self::Kill => timeline.writes_back(*at_us),
                Self::Stop => timeline.longest_gap(*at_us, *restarted_us),
                Self::Rolling => timeline.longest_gap(*at_us, *until_us),
            };
            let gap = gap.context("not every writer wrote before and after")?;
            add("without_writes_ms", gap.of_slowest_ms);
            add("without_writes_of_anybody_ms", gap.of_all_ms);
            add("all_sessions_attached_after_ms", timeline.attached_again_ms(*at_us, *until_us));
            if self != Self::Rolling {
                let gap = timeline.longest_gap(*restarted_us, *until_us);
                let gap = gap.context("nobody wrote while a server started again")?;
                add("without_writes_at_its_return_ms", gap.of_slowest_ms);
            }
            again += timeline.links_lost_again(*at_us, *until_us);
        }
        add("links_lost_again", again as f64);
        Ok(())
    }
}

const WRITERS: usize = 6;
const CALM: Duration = Duration::from_secs(1);
