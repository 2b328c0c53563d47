//! Three servers as processes of their own, which are killed, paused and started again.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::disk::{self, Disks};
use super::members::{Members, Operator};
use super::network::Network;
use super::random::Random;
use crate::process::ask;

/// Members of the ensemble; two of them are a quorum.
pub(crate) const MEMBERS: usize = 3;

/// How long all three may take until they serve, on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may take to end after it was asked to.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may take to answer how it is.
const PATIENCE: Duration = Duration::from_millis(500);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What servers are started from.
pub(crate) struct Binaries {
    pub(crate) present: PathBuf,
    /// Another release, which the servers begin with.
    pub(crate) other: Option<PathBuf>,
    /// Decides which of the two a server is started from later.
    pub(crate) choice: Random,
}

impl Binaries {
    fn first(&self) -> &Path {
        self.other.as_ref().unwrap_or(&self.present)
    }

    fn next(&mut self) -> &Path {
        let takes_other = self.choice.below(2) == 0;
        self.other.as_ref().filter(|_| takes_other).unwrap_or(&self.present)
    }
}

/// The servers and the network between them. Dropping it ends all of them.
pub(crate) struct Ensemble {
    binaries: Binaries,
    folder: PathBuf,
    /// An address of its own for this run, so that no port is anybody else's.
    block: [u8; 2],
    disks: Disks,
    members: Members,
    processes: Vec<Option<Child>>,
    pub(crate) network: Network,
}

impl Ensemble {
    /// Starts all servers on empty folders below `folder`.
    pub(crate) fn start(
        binaries: Binaries,
        folder: &Path,
        disks: Disks,
        members: Members,
    ) -> anyhow::Result<Self> {
        let pid = std::process::id();
        let block = [1 + (pid / 200 % 200) as u8, 1 + (pid % 200) as u8];
        let fronts: Vec<_> = (0..MEMBERS).map(|n| front(block, n)).collect();
        let peers: Vec<_> = (0..MEMBERS).map(|n| address(block, n, PEER_PORT)).collect();
        let clients: Vec<_> = (0..MEMBERS).map(|n| address(block, n, CLIENT_PORT)).collect();
        let network =
            Network::start(&fronts, &peers, &clients).context("no ports for the network")?;
        let processes = (0..MEMBERS).map(|_| None).collect();
        let folder = folder.to_path_buf();
        let mut ensemble = Self { binaries, folder, block, disks, members, processes, network };
        for n in 0..MEMBERS {
            let data = ensemble.data(n);
            fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
            if disks == Disks::Small {
                disk::mount_small(&data)?;
            }
            ensemble.prepare(n)?;
            let binary = ensemble.binaries.first().to_path_buf();
            ensemble.spawn_from(&binary, n)?;
        }
        ensemble.settle()?;
        if members == Members::Change {
            // The first leader listed itself as where it listens: it is reached as all others are.
            Operator::establish(&ensemble)?.bring_back()?;
            ensemble.settle()?;
        }
        Ok(ensemble)
    }

    /// Writes what a server starts from.
    fn prepare(&self, n: usize) -> anyhow::Result<()> {
        let data = self.data(n);
        fs::write(data.join("myid"), (n + 1).to_string())?;
        let mut text = format!(
            "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={CLIENT_PORT}\n\
             clientPortAddress={}\nadmin.enableServer=false\nmaxClientCnxns=0\n\
             4lw.commands.whitelist=*\n",
            data.display(),
            self.client(n).ip(),
        );
        if self.disks == Disks::Small {
            // Room is asked for often, so that it matters when there is none.
            text += "preAllocSize=16\nsnapCount=2000\n";
        }
        if self.members == Members::Change {
            text += &format!("reconfigEnabled=true\n{}\n", Operator::SETTING);
        }
        for other in 0..MEMBERS {
            // Where it listens itself is nobody else's business.
            let own = address(self.block, n, PEER_PORT);
            text += &line(other, if other == n { own } else { front(self.block, other) });
            text.push('\n');
        }
        fs::write(self.folder.join(format!("server-{}.cfg", n + 1)), text)?;
        Ok(())
    }

    fn data(&self, n: usize) -> PathBuf {
        self.folder.join(format!("data-{}", n + 1))
    }

    /// Where a server listens for clients.
    pub(crate) fn client(&self, n: usize) -> SocketAddr {
        address(self.block, n, CLIENT_PORT)
    }

    /// A server as the list of members is to name it.
    pub(crate) fn line(&self, n: usize) -> String {
        line(n, front(self.block, n))
    }

    /// A connect string of all servers, without the network that breaks.
    pub(crate) fn hosts(&self) -> String {
        let hosts: Vec<_> = (0..MEMBERS).map(|n| self.client(n).to_string()).collect();
        hosts.join(",")
    }

    /// Starts a server that is down.
    pub(crate) fn spawn(&mut self, n: usize) -> anyhow::Result<()> {
        let binary = self.binaries.next().to_path_buf();
        self.spawn_from(&binary, n)
    }

    fn spawn_from(&mut self, binary: &Path, n: usize) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log(n))?;
        let child = Command::new(binary)
            .arg("serve")
            .arg(self.folder.join(format!("server-{}.cfg", n + 1)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        self.processes[n] = Some(child);
        Ok(())
    }

    /// Ends a server as a power cut would, but for what the system has still to write.
    pub(crate) fn kill(&mut self, n: usize) -> anyhow::Result<()> {
        let mut child = self.processes[n].take().context("it is down already")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks a server to end, and waits until it has.
    pub(crate) fn stop(&mut self, n: usize) -> anyhow::Result<ExitStatus> {
        let child = self.processes[n].as_mut().context("it is down already")?;
        kill_process(Pid::from_child(child), Signal::TERM)?;
        let deadline = Instant::now() + STOPPED_WITHIN;
        loop {
            if let Some(status) = child.try_wait()? {
                self.processes[n] = None;
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "server {} ignores SIGTERM", n + 1);
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Has a server stand still, or go on.
    pub(crate) fn signal(&self, n: usize, signal: Signal) -> anyhow::Result<()> {
        let child = self.processes[n].as_ref().context("it is down")?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// Leaves a server that is down with nothing but its number.
    pub(crate) fn wipe(&self, n: usize) -> anyhow::Result<()> {
        disk::empty(&self.data(n))?;
        self.prepare(n)
    }

    /// Leaves no room on a server's disk, or makes room again. The disk must be a small one.
    pub(crate) fn fill_disk(&self, n: usize, is_full: bool) -> anyhow::Result<()> {
        ensure!(self.disks == Disks::Small, "only small disks are filled");
        if is_full { disk::fill(&self.data(n)) } else { disk::make_room(&self.data(n)) }
    }

    /// Waits until one server leads and the others follow; says which one leads.
    pub(crate) fn settle(&mut self) -> anyhow::Result<usize> {
        self.settle_without(None)
    }

    /// The same of all but one, which must serve nobody.
    pub(crate) fn settle_without(&mut self, gone: Option<usize>) -> anyhow::Result<usize> {
        let wanted = MEMBERS - 1 - usize::from(gone.is_some());
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            let modes: Vec<_> = (0..MEMBERS).map(|n| self.mode(n)).collect();
            let leaders = modes.iter().filter(|mode| *mode == "leader").count();
            let followers = modes.iter().filter(|mode| *mode == "follower").count();
            let is_gone = gone.is_none_or(|n| modes[n].is_empty());
            if leaders == 1 && followers == wanted && is_gone {
                let leader = modes.iter().position(|mode| mode == "leader");
                return leader.context("one of them leads");
            }
            for (n, process) in self.processes.iter_mut().enumerate() {
                if let Some(child) = process
                    && let Some(status) = child.try_wait()?
                {
                    bail!("server {} ended by itself: {status}", n + 1);
                }
            }
            if Instant::now() > deadline {
                bail!("no leader with {wanted} followers within {SETTLED_WITHIN:?}: {modes:?}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until a server that lost its disk counts for a quorum again. Only its log tells.
    pub(crate) fn await_vote(&self, n: usize, since: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            let mut log = File::open(self.log(n))?;
            log.seek(SeekFrom::Start(since))?;
            let mut text = String::new();
            log.read_to_string(&mut text)?;
            if text.contains("votes again") {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "server {} has not caught up: {text}", n + 1);
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn log(&self, n: usize) -> PathBuf {
        self.folder.join(format!("server-{}.log", n + 1))
    }

    /// Length of a server's log in bytes.
    pub(crate) fn log_len(&self, n: usize) -> anyhow::Result<u64> {
        Ok(fs::metadata(self.log(n))?.len())
    }

    /// What a server says it is; empty if it does not serve.
    fn mode(&self, n: usize) -> String {
        let answer = ask(self.client(n), "srvr", PATIENCE).unwrap_or_default();
        let mode = answer.lines().find_map(|line| line.strip_prefix("Mode: "));
        mode.unwrap_or_default().to_owned()
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const CLIENT_PORT: u16 = 2181;
const PEER_PORT: u16 = 2888;
const ELECTION_PORT: u16 = 3888;

fn address([x, y]: [u8; 2], n: usize, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, x, y, n as u8 + 1), port))
}

/// Where the others find a server: what is there knows who dials.
fn front(block: [u8; 2], n: usize) -> SocketAddr {
    address(block, MEMBERS + n, PEER_PORT)
}

fn line(n: usize, at: SocketAddr) -> String {
    format!("server.{}={}:{}:{ELECTION_PORT}", n + 1, at.ip(), at.port())
}
