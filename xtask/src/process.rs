//! Server processes under observation: starting one and waiting until it answers, stopping it,
//! and what it costs.
//!
//! ```text
//! let mut server = zookeeper::spawn(Path::new("zoo.cfg"), &zookeeper::Options::default())?;
//! let before = server.usage()?;
//! // ... load on server.address() ...
//! let cpu = server.usage()?.cpu - before.cpu;
//! server.stop()?;
//! ```

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

/// How long a server may take until it answers; recovery of a large tree takes a while.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long a server may take to end after it was asked to.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// How long a question may stay unanswered, at first and after many. A server in the middle of
/// starting may accept a connection and forget it, so the first ones must not cost much; a busy
/// machine needs longer.
const FIRST_PATIENCE: Duration = Duration::from_millis(50);
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two looks at a server.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a process has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time of all threads, those that have ended included; counted in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Memory that is resident now.
    pub(crate) resident_bytes: u64,
}

/// Reads what a process has used so far.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = read_proc(pid, "stat")?;
    let status = read_proc(pid, "status")?;
    Ok(Usage {
        cpu: cpu_time(&stat).context("cannot read processor times")?,
        resident_bytes: resident_bytes(&status).context("cannot read the resident memory")?,
    })
}

fn read_proc(pid: u32, name: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// The times in user and kernel mode are fields 14 and 15; the name, field 2, may hold anything.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_micros((user + kernel) * 1_000_000 / per_second))
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts a server that will listen on `address`, writes what it prints to `log`, and returns
    /// as soon as it serves requests.
    pub(crate) fn start(command: Command, address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        // A log that is not there yet is as good as an empty one.
        let _ = fs::remove_file(log);
        let mut server = Self::spawn(command, address, log)?;
        server.wait_until_it_serves()?;
        Ok(server)
    }

    /// Starts a server that will listen on `address`, and appends what it prints to `log`.
    pub(crate) fn spawn(
        mut command: Command,
        address: SocketAddr,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        // Else what another server does would be measured, once this one has given up.
        if TcpStream::connect(address).is_ok() {
            bail!("something else listens at {address} already");
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, address, log: log.to_owned() })
    }

    /// Returns as soon as it serves requests: a member of an ensemble does so only with others.
    pub(crate) fn wait_until_it_serves(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut patience = FIRST_PATIENCE;
        while !serves(self.address, patience) {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let fate =
                    ended.map_or_else(|| "is silent".to_owned(), |status| status.to_string());
                let said = last_lines(&self.log);
                bail!("the server for {} {fate}; it said:\n{said}", self.address);
            }
            std::thread::sleep(LOOK_EVERY);
            patience = (patience * 3 / 2).min(LAST_PATIENCE);
        }
        Ok(())
    }

    /// Where it listens for clients.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        usage(self.pid())
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().context("cannot kill the server")?;
        self.child.wait().context("cannot await the end of the server")?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, Signal::TERM).context("cannot stop the server")?;
        let deadline = Instant::now() + STOP_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("the server for {} ignores SIGTERM", self.address)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the server there serves requests: `srvr` is the one four-letter word that every server
/// allows by default, and it names a mode only when requests are served.
fn serves(address: SocketAddr, patience: Duration) -> bool {
    ask(address, "srvr", patience).is_ok_and(|answer| answer.contains("Mode: "))
}

/// The answer to a four-letter word.
pub(crate) fn ask(address: SocketAddr, word: &str, patience: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_past_any_name() {
        let stat = "7 (a) b 1 (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_time("7 (a"), None);
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(60) {
            std::hint::black_box(0);
        }
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.cpu >= Duration::from_millis(10), "{usage:?}");
        assert!(usage.resident_bytes > 500_000, "{usage:?}");
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported_with_its_words() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no data folder; exit 3"]);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let error = ServerProcess::start(command, address, log.path()).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no data folder"), "{error}");
    }
}
