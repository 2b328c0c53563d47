//! Three servers of one kind on this machine, each with its own data folder.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::bench::subject::{Bench, Subject};
use crate::process::{ServerProcess, ask};
use crate::zookeeper;

/// How many servers there are.
pub(super) const SERVERS: usize = 3;

/// The servers, whether they run or not; all are killed when this is dropped.
pub(super) struct Ensemble<'a> {
    bench: &'a Bench,
    subject: Subject,
    running: [Option<ServerProcess>; SERVERS],
}

/// What a server says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    mode: String,
    zxid: u64,
    /// Open client connections, that of the question included.
    connections: usize,
}

impl<'a> Ensemble<'a> {
    /// Starts three servers on empty data folders and returns when all of them serve.
    pub(super) fn start_fresh(bench: &'a Bench, subject: Subject) -> anyhow::Result<Self> {
        let mut ensemble = Self { bench, subject, running: [const { None }; SERVERS] };
        for n in 0..SERVERS {
            let (data, log) = (ensemble.data(n), ensemble.file(n, "log"));
            if data.exists() {
                fs::remove_dir_all(&data)
                    .with_context(|| format!("cannot empty {}", data.display()))?;
            }
            fs::create_dir_all(&data)?;
            fs::write(data.join("myid"), format!("{}\n", n + 1))?;
            fs::write(&log, "")?;
            fs::write(ensemble.file(n, "cfg"), ensemble.configuration(n))?;
        }
        for n in 0..SERVERS {
            ensemble.spawn(n)?;
        }
        for server in ensemble.running.iter_mut().flatten() {
            server.wait_until_it_serves()?;
        }
        Ok(ensemble)
    }

    /// Where all servers listen for clients, as a list.
    pub(super) fn addresses(&self) -> String {
        self.listed((0..SERVERS).collect())
    }

    /// Where those servers listen that run, as a list.
    pub(super) fn running_addresses(&self) -> String {
        self.listed((0..SERVERS).filter(|n| self.running[*n].is_some()).collect())
    }

    /// Where a server listens for clients.
    pub(super) fn address(&self, n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port(CLIENTS, n)))
    }

    /// The processes of all servers that run, as a list.
    pub(super) fn pids(&self) -> String {
        let pids: Vec<String> =
            self.running.iter().flatten().map(|server| server.pid().to_string()).collect();
        pids.join(",")
    }

    /// The process of a server that runs.
    pub(super) fn pid(&self, n: usize) -> anyhow::Result<u32> {
        Ok(self.running[n].as_ref().context("the server does not run")?.pid())
    }

    /// The server that leads, as soon as one does that others follow.
    pub(super) fn leader(&self) -> anyhow::Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let running = (0..SERVERS).filter(|n| self.running[*n].is_some());
            let modes: Vec<_> = running.map(|n| (n, self.said(n).map(|said| said.mode))).collect();
            let is = |mode: &Option<String>, wanted| mode.as_deref() == Some(wanted);
            let leaders: Vec<usize> =
                modes.iter().filter(|(_, mode)| is(mode, "leader")).map(|(n, _)| *n).collect();
            let followed = modes.iter().any(|(_, mode)| is(mode, "follower"));
            if let ([leader], true) = (&leaders[..], followed) {
                return Ok(*leader);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("the servers have no leader")
    }

    /// A server that follows.
    pub(super) fn follower(&self) -> anyhow::Result<usize> {
        let leader = self.leader()?;
        (0..SERVERS)
            .filter(|n| *n != leader)
            .find(|n| self.running[*n].is_some())
            .context("the leader is alone")
    }

    /// The newest change a server has, if it serves.
    pub(super) fn zxid(&self, n: usize) -> Option<u64> {
        self.said(n).map(|said| said.zxid)
    }

    /// Returns when so many clients are connected to the servers that serve.
    pub(super) fn wait_for_clients(&self, wanted: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let said = (0..SERVERS).filter_map(|n| self.said(n));
            let connected: usize = said.map(|said| said.connections.saturating_sub(1)).sum();
            if connected >= wanted {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("{wanted} clients are not connected")
    }

    /// Kills a server (SIGKILL).
    pub(super) fn kill(&mut self, n: usize) -> anyhow::Result<()> {
        self.running[n].take().context("the server does not run")?.kill()
    }

    /// Asks a server to end (SIGTERM), and waits until it has.
    pub(super) fn stop(&mut self, n: usize) -> anyhow::Result<()> {
        self.running[n].take().context("the server does not run")?.stop()?;
        Ok(())
    }

    /// Starts a server on what it left.
    pub(super) fn spawn(&mut self, n: usize) -> anyhow::Result<()> {
        ensure!(self.running[n].is_none(), "server {} runs already", n + 1);
        let zoo_cfg = self.file(n, "cfg");
        let command = match self.subject {
            Subject::ZooKeeper => {
                let options = zookeeper::Options { no_admin: true, ..Default::default() };
                zookeeper::command(&zoo_cfg, &options)?
            }
            _ => {
                let mut command = Command::new(&self.bench.tenure);
                command.arg("serve").arg(&zoo_cfg);
                command
            }
        };
        let server = ServerProcess::spawn(command, self.address(n), &self.file(n, "log"))?;
        self.running[n] = Some(server);
        Ok(())
    }

    /// Starts a server on what it left, and returns when it serves.
    pub(super) fn restart(&mut self, n: usize) -> anyhow::Result<()> {
        self.spawn(n)?;
        self.running[n].as_mut().context("it was just started")?.wait_until_it_serves()
    }

    /// Kills all servers: what is measured is over.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        for server in self.running.iter_mut().filter_map(Option::take) {
            server.kill()?;
        }
        Ok(())
    }

    fn said(&self, n: usize) -> Option<Said> {
        parse(&ask(self.address(n), "srvr", ANSWER_WITHIN).ok()?)
    }

    fn data(&self, n: usize) -> PathBuf {
        self.bench.folder.join(format!("{}-{}-data", self.subject.name(), n + 1))
    }

    fn file(&self, n: usize, extension: &str) -> PathBuf {
        self.bench.folder.join(format!("{}-{}.{extension}", self.subject.name(), n + 1))
    }

    fn listed(&self, servers: Vec<usize>) -> String {
        let all: Vec<String> = servers.into_iter().map(|n| self.address(n).to_string()).collect();
        all.join(",")
    }

    fn port(&self, kind: u16, n: usize) -> u16 {
        self.subject.port() + kind + n as u16
    }

    /// The same file for both kinds: upstream's sample with three servers.
    fn configuration(&self, n: usize) -> String {
        let mut text = format!(
            "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={}\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n",
            self.data(n).display(),
            self.port(CLIENTS, n)
        );
        for m in 0..SERVERS {
            let (quorum, election) = (self.port(QUORUM, m), self.port(ELECTION, m));
            text += &format!("server.{}=127.0.0.1:{quorum}:{election}\n", m + 1);
        }
        text
    }
}

/// The lines of `srvr` that matter here; nothing if it does not serve.
fn parse(answer: &str) -> Option<Said> {
    let value = |key: &str| answer.lines().find_map(|line| line.strip_prefix(key));
    let zxid = u64::from_str_radix(value("Zxid: 0x")?.trim(), 16).ok()?;
    let connections = value("Connections: ")?.trim().parse().ok()?;
    Some(Said { mode: value("Mode: ")?.trim().to_owned(), zxid, connections })
}

/// Ports count from the standalone server's, in steps that keep the kinds apart.
const CLIENTS: u16 = 100;
const QUORUM: u16 = 200;
const ELECTION: u16 = 300;
/// For an election on a very busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_tells_its_mode_and_newest_change() {
        let answer = "Zookeeper version: 3.9.5\nConnections: 7\nOutstanding: 0\n\
                      Zxid: 0x500000012\nMode: leader\nNode count: 5\n";
        let said = Said { mode: "leader".to_owned(), zxid: 0x5_0000_0012, connections: 7 };
        assert_eq!(parse(answer), Some(said));
        assert_eq!(parse("This ZooKeeper instance is not currently serving requests\n"), None);
    }
}
