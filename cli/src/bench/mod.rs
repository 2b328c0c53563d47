//! `tenure bench`: load for any server that speaks the protocol, and what came of it.
//!
//! All workloads are closed loops: a connection sends its next request when an earlier one was
//! answered. A stalled server therefore lowers the load, and the percentiles are those of the
//! requests that were sent, not of requests a patient outside world would have sent meanwhile.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use self::link::Target;
use self::process::Processes;
use self::report::Report;

mod bulk;
mod churn;
pub(crate) mod disk;
mod echo;
mod ephemerals;
mod expiry;
mod failover;
mod fanout;
mod idle;
mod latency;
mod link;
mod meter;
mod neighbours;
mod pings;
mod process;
mod progress;
mod report;
mod request;
mod steady;
mod stop;
mod swarm;
mod znodes;

/// What to run and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// What to run, one after the other
    #[arg(value_enum, default_values = ["read", "write", "mixed", "sessions"])]
    workload: Vec<Workload>,
    /// The server to drive, or several, over which the connections spread evenly
    #[arg(long, value_name = "HOST:PORT,...", default_value = "127.0.0.1:2181")]
    server: String,
    /// Connections, each with its own session
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Unanswered requests per connection
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pipeline: u32,
    /// Bytes of data per znode
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(..1_000_000))]
    size: u32,
    /// How long to measure, as in 500ms, 5s or 2m [default: 5s; idle-sessions: 20s]
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// How many operations, sessions, watchers, ephemerals or znodes
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    count: Option<u32>,
    /// How long to run before measuring begins
    #[arg(long, value_parser = duration, default_value = "1s")]
    warmup: Duration,
    /// Share of reads in `mixed`
    #[arg(long, default_value_t = 0.9, value_parser = ratio)]
    read_ratio: f64,
    /// How many znodes `read`, `write` and `mixed` spread over
    #[arg(long, default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keys: u32,
    /// Time between two writes of a writer in `failover`, or two requests of a session in `pings`
    /// and `neighbours`
    #[arg(long, value_parser = duration, default_value = "5ms")]
    interval: Duration,
    /// Print `ready` when measuring begins, and measure until standard input ends
    #[arg(long)]
    until_eof: bool,
    /// Session timeout to ask for
    #[arg(long, value_parser = duration, default_value = "30s")]
    session_timeout: Duration,
    /// The znode below which everything happens [default: /tenure-bench-PID]
    #[arg(long)]
    path: Option<String>,
    /// Leave the znodes there afterwards
    #[arg(long)]
    keep: bool,
    /// Write a line `unix_us,latency_us` per operation of `read` to `mixed` to this file, or what
    /// happened to whom in `failover`
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// The servers' processes, if they run here: adds their processor time and memory
    #[arg(long, value_name = "PID,...", value_delimiter = ',')]
    server_pid: Vec<u32>,
    /// Print one JSON object per workload
    #[arg(long)]
    json: bool,
    /// Where `echo-server` listens
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The folder `disk` writes to
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

/// What can be run.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Workload {
    /// Reads of random znodes
    Read,
    /// Durable writes of random znodes
    Write,
    /// Creations of znodes
    Create,
    /// Reads and writes together
    Mixed,
    /// Sessions opened and closed
    Sessions,
    /// Sessions that only ping, each with an ephemeral
    IdleSessions,
    /// One change, seen by many watchers
    Watches,
    /// The end of a session that owns many ephemerals
    Ephemerals,
    /// How late silent sessions expire
    Expiry,
    /// Sessions with ephemerals and steady writes, while somebody stops the servers
    Failover,
    /// How long the reply to a ping takes
    Pings,
    /// Sessions beside a flood of requests from another address
    Neighbours,
    /// Memory of many znodes
    Znodes,
    /// Many znodes created as fast as possible, and left there
    Load,
    /// Not a load: a server that answers every request alike, as a yardstick
    EchoServer,
    /// Not a load: durable appends to a file, as a yardstick
    Disk,
}

/// Runs the workloads asked for and prints what was measured.
pub(crate) fn run(args: &Args) -> Result<()> {
    raise_open_files_limit();
    for workload in &args.workload {
        let report = match workload {
            Workload::EchoServer => {
                return echo::serve(echo::listen(args.listen)?, args.size as usize);
            }
            Workload::Disk => disk::run(args)?,
            Workload::Read | Workload::Write | Workload::Create | Workload::Mixed => {
                steady::run(*workload, args)?
            }
            Workload::Sessions => churn::run(args)?,
            Workload::IdleSessions => idle::run(args)?,
            Workload::Watches => fanout::run(args)?,
            Workload::Ephemerals => ephemerals::run(args)?,
            Workload::Expiry => expiry::run(args)?,
            Workload::Failover => failover::run(args)?,
            Workload::Pings => pings::run(args)?,
            Workload::Neighbours => neighbours::run(args)?,
            Workload::Znodes | Workload::Load => znodes::run(*workload, args)?,
        };
        print(&report, args.json)?;
    }
    Ok(())
}

impl Workload {
    /// Its name on the command line.
    fn name(self) -> &'static str {
        match self {
            Workload::Read => "read",
            Workload::Write => "write",
            Workload::Create => "create",
            Workload::Mixed => "mixed",
            Workload::Sessions => "sessions",
            Workload::IdleSessions => "idle-sessions",
            Workload::Watches => "watches",
            Workload::Ephemerals => "ephemerals",
            Workload::Expiry => "expiry",
            Workload::Failover => "failover",
            Workload::Pings => "pings",
            Workload::Neighbours => "neighbours",
            Workload::Znodes => "znodes",
            Workload::Load => "load",
            Workload::EchoServer => "echo-server",
            Workload::Disk => "disk",
        }
    }
}

impl Args {
    fn target(&self) -> Result<Target> {
        let resolve = |server: &str| -> Result<SocketAddr> {
            let mut addresses = server
                .to_socket_addrs()
                .with_context(|| format!("{server} is not a server's address (HOST:PORT)"))?;
            addresses.next().with_context(|| format!("{server} has no address"))
        };
        let servers = self.server.split(',').map(resolve).collect::<Result<Vec<_>>>()?;
        let timeout_ms = i32::try_from(self.session_timeout.as_millis());
        Ok(Target { servers, timeout_ms: timeout_ms.context("--session-timeout is too long")? })
    }

    fn base(&self) -> Result<String> {
        let default = || format!("/tenure-bench-{}", std::process::id());
        let path = self.path.clone().unwrap_or_else(default);
        if path.len() < 2 || !path.starts_with('/') || path.ends_with('/') {
            bail!("--path must be absolute, below the root, and without a slash at its end");
        }
        Ok(path)
    }

    fn server_processes(&self) -> Processes {
        Processes::new(&self.server_pid)
    }

    fn count_or(&self, default: usize) -> usize {
        self.count.map_or(default, |count| count as usize)
    }
}

fn print(report: &Report, json: bool) -> Result<()> {
    let text = if json { serde_json::to_string(report)? + "\n" } else { report.text() };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot print the result")
}

/// As many files as the system allows; too few shows later as a failure to make a socket.
fn raise_open_files_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Running with the old limit is better than not running.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 =
        number.parse().map_err(|_| "a duration is like 500ms, 5s or 2m".to_owned())?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        _ => return Err("a duration needs a unit: ms, s or m".to_owned()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a ratio is between 0 and 1".to_owned()),
    }
}

#[cfg(test)]
mod tests;
