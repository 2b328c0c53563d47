//! Sessions with ephemerals and steady writes while somebody stops servers: what is lost, and for
//! how long nothing can be written.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tenure_wire::{CreateMode, ErrorCode};

use self::client::{Account, Client, Phase, Role};
use self::diary::Diary;
use self::ledger::Ledger;
use super::Args;
use super::bulk::{Bulk, create_all, sync_all};
use super::latency::Latency;
use super::progress::Progress;
use super::report::Report;
use super::request;
use super::stop::Stop;
use super::swarm::Swarm;

mod client;
mod diary;
mod ledger;

/// `--connections` sessions write their own znode, a write every `--interval`; `--count` others
/// (default 200) hold an ephemeral each. All of them go from server to server as they must.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let base = args.base()?;
    let target = args.target()?;
    let servers = target.servers.len();
    let (writers, holders) = (args.connections as usize, args.count_or(200));
    let mut swarm = Swarm::new(target)?;
    let mut progress = Progress::new();
    swarm.open(writers + holders, |open| progress.tick(|| format!("{open} sessions")))?;
    let paths = prepare(&mut swarm, &base, writers)?;
    let role = |index: usize| match index < writers {
        true => Role::Writer { ledger: Ledger::default(), next: 1, due_ns: 0 },
        false => Role::Holder,
    };
    let clients = paths.iter().enumerate().map(|(index, path)| {
        Client::new(index, servers, swarm.link(index), path.clone(), role(index))
    });
    let clients = clients.collect();
    let account = Account {
        diary: Diary::new(swarm.now_ns()),
        latency: Latency::new(),
        acknowledged: 0,
        errors: 0,
        lost_links: 0,
        lost_sessions: 0,
        failed_attempts: 0,
        ephemerals: None,
        problem: None,
    };
    let interval_ns = u64::try_from(args.interval.as_nanos()).unwrap_or(u64::MAX);
    let mut group = Group { clients, account, interval_ns, writing: true };

    // Here the count is that of holders, not of operations.
    let limits = Args { count: None, ..args.clone() };
    let stop = Stop::new(&limits, Duration::from_secs(20))?;
    while !stop.is_reached(0) {
        group.turn(&mut swarm)?;
        progress.tick(|| format!("{} writes", group.account.acknowledged));
    }
    group.finish(&mut swarm, &format!("{base}/e"))?;
    if let Some(file) = &args.samples {
        group.account.diary.save(file)?;
    }
    let report = group.report(writers, holders);
    if !args.keep {
        remove(&mut swarm, &base, &paths)?;
    }
    swarm.close()?;
    Ok(report)
}

/// All sessions.
struct Group {
    clients: Vec<Client>,
    account: Account,
    interval_ns: u64,
    writing: bool,
}

impl Group {
    /// Does what is due, and waits until something happens or the next is due.
    fn turn(&mut self, swarm: &mut Swarm) -> Result<()> {
        for index in 0..self.clients.len() {
            self.see_to(index, swarm);
        }
        let now_ns = swarm.now_ns();
        let due = |client: &Client| match client.phase {
            Phase::Attached if !self.writing => u64::MAX,
            _ => client.due_ns(),
        };
        let next_ns = self.clients.iter().map(due).min().unwrap_or(u64::MAX);
        let patience = Duration::from_nanos(next_ns.saturating_sub(now_ns)).min(LONGEST_WAIT);
        let Group { clients, account, interval_ns, .. } = self;
        swarm.turn(patience, |index, link, now_ns, happening| {
            clients[index].take(link, happening, account, (*interval_ns, now_ns));
        })?;
        match self.account.problem.take() {
            Some(problem) => bail!("{problem}"),
            None => Ok(()),
        }
    }

    fn see_to(&mut self, index: usize, swarm: &mut Swarm) {
        let (client, now_ns) = (&mut self.clients[index], swarm.now_ns());
        if client.due_ns() > now_ns {
            return;
        }
        match client.phase {
            Phase::Attached if self.writing => {
                client.write(swarm.link(index), self.interval_ns, now_ns);
                swarm.flush(index);
            }
            Phase::Attached => {}
            Phase::Trying { .. } => {
                swarm.link(index).abandon();
                client.lost_link(&mut self.account, now_ns);
            }
            Phase::Waiting { .. } => {
                client.phase = Phase::Trying { since_ns: now_ns };
                if swarm.resume(index, client.server, client.resumes()).is_err() {
                    client.lost_link(&mut self.account, now_ns);
                }
            }
        }
    }

    /// Stops writing, waits until all sessions are served again, and looks what is there.
    fn finish(&mut self, swarm: &mut Swarm, ephemerals: &str) -> Result<()> {
        self.writing = false;
        self.calm_down(swarm)?;
        for (index, client) in self.clients.iter_mut().enumerate() {
            client.look(swarm.link(index));
        }
        self.clients[0].count(swarm.link(0), ephemerals);
        swarm.flush_all();
        self.calm_down(swarm)?;
        ensure!(self.account.ephemerals.is_some(), "a link was lost at the end");
        Ok(())
    }

    fn calm_down(&mut self, swarm: &mut Swarm) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.clients.iter().all(Client::is_calm) {
            self.turn(swarm)?;
            let left = self.clients.iter().filter(|client| !client.is_calm()).count();
            ensure!(Instant::now() < deadline, "{left} sessions are not served at the end");
        }
        Ok(())
    }

    fn report(&self, writers: usize, holders: usize) -> Report {
        let account = &self.account;
        let mut report = Report::new("failover");
        report.setting("writers", writers).setting("holders", holders);
        let there = account.ephemerals.unwrap_or(0);
        let lost_writes: u64 = self.clients.iter().map(Client::lost_writes).sum();
        report.figure("sessions", self.clients.len() as f64);
        report.figure("sessions_lost", account.lost_sessions as f64);
        report.figure("ephemerals_missing", holders.saturating_sub(there) as f64);
        report.figure("writes_acknowledged", account.acknowledged as f64);
        report.figure("acknowledged_writes_lost", lost_writes as f64);
        report.figure("errors", account.errors as f64);
        report.figure("links_lost", account.lost_links as f64);
        report.figure("attempts_failed", account.failed_attempts as f64);
        report.latency("write", account.latency.percentiles());
        report
    }
}

/// Creates the writers' znodes and the holders' ephemerals; returns the path of each session.
fn prepare(swarm: &mut Swarm, base: &str, writers: usize) -> Result<Vec<String>> {
    for parent in ["w", "e"] {
        create_all(swarm, &format!("{base}/{parent}"))?;
    }
    let links = 0..swarm.len();
    let path = |index: usize| match index < writers {
        true => format!("{base}/w/{index:07}"),
        false => format!("{base}/e/{index:07}"),
    };
    let paths: Vec<String> = links.clone().map(path).collect();
    // One operation per link: the n-th is sent on the n-th.
    let bulk = Bulk { total: links.len(), links, pipeline: 1, tolerate: &[] };
    let create = |i: usize, out: &mut Vec<u8>| {
        let mode = if i < writers { CreateMode::Persistent } else { CreateMode::Ephemeral };
        out.extend_from_slice(&request::create(&paths[i], &client::data(0), mode));
    };
    bulk.run(swarm, create, |_| {})?;
    sync_all(swarm)?;
    Ok(paths)
}

fn remove(swarm: &mut Swarm, base: &str, paths: &[String]) -> Result<()> {
    let parents = [format!("{base}/w"), format!("{base}/e"), base.to_owned()];
    let all: Vec<&String> = paths.iter().chain(&parents).collect();
    let tolerate = &[ErrorCode::NoNode, ErrorCode::NotEmpty];
    let bulk = Bulk { links: 0..1, total: all.len(), pipeline: 16, tolerate };
    bulk.run(swarm, |i, out| out.extend_from_slice(&request::delete(all[i])), |_| {})?;
    Ok(())
}

const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// For sessions to be served again after the last stop.
const PATIENCE: Duration = Duration::from_secs(60);
