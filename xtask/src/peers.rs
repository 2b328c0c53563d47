//! `cargo xtask peers`: the checks of `xtask/peers`, which are written against stock clients, run
//! with a server that is started for them and restarted when they ask for it.

mod certificates;
pub(crate) mod clients;
mod server;
mod zkcli;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal};

use server::{Manner, PeerServer};

/// How long the checks of one client may take; a server that never answers must not hang the run.
const LIMIT: Duration = Duration::from_secs(300);

/// What to run the checks with.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Check Apache ZooKeeper instead, which tells whether the checks are right
    #[arg(long, conflicts_with = "server")]
    reference: bool,
    /// The program to check; `serve ZOO_CFG` is added
    #[arg(long, default_value = "target/release/tenure")]
    server: PathBuf,
    /// Over TLS, client and server both with certificates of `tenure certs`
    #[arg(long, conflicts_with_all = ["reference", "secure"])]
    tls: bool,
    /// Check instead how clients prove who they are: mutual TLS, digest, SASL DIGEST-MD5 (not Rust)
    #[arg(long)]
    secure: bool,
    /// Only these clients
    #[arg(long, value_delimiter = ',')]
    only: Vec<Client>,
}

impl Arguments {
    fn manner(&self) -> Manner {
        match (self.tls, self.secure) {
            (true, _) => Manner::Encrypted,
            (_, true) => Manner::Proving,
            _ => Manner::Plain,
        }
    }
}

/// A stock client with checks written against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Client {
    /// github.com/go-zookeeper/zk
    Go,
    /// Apache ZooKeeper's own
    Java,
    /// The shell of Apache ZooKeeper
    Zkcli,
    /// kazoo
    Python,
    /// The crate zookeeper-client
    Rust,
}

/// How many checks of one client went well and how many did not.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Over TLS: those that cannot come out as without, as [`IDENTITY_CHECKS`] are.
    differing: usize,
}

/// Checks of what a client may do who has shown no certificate. Over TLS all clients have shown
/// the same, so that they are one user with the same rights.
const IDENTITY_CHECKS: [&str; 5] = [
    "auth acl",
    "auth given at the start",
    "acl is set and binds others",
    "delete and create are rights of the parent",
    "who am I",
];

/// Runs the checks and prints a line for each.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut server = if arguments.reference {
        PeerServer::reference(arguments.manner())?
    } else {
        PeerServer::tenure(&arguments.server, arguments.manner())?
    };
    let mut summary = Vec::new();
    for client in Client::value_variants() {
        let is_meant = arguments.only.is_empty() || arguments.only.contains(client);
        if arguments.manner() != Manner::Plain && *client == Client::Rust {
            println!("rust: skipped: it is built without its TLS feature");
        } else if is_meant {
            let name = format!("{client:?}").to_lowercase();
            let tally = check(*client, &name, &mut server, arguments.secure)
                .with_context(|| format!("the checks of {name} did not run to their end"))?;
            summary.push((name, tally));
        }
    }
    let usage = server.usage()?;
    println!("\nserver: {}", server.name());
    println!(
        "server used {:.2} s of processor time since its last start, {} MiB resident",
        usage.cpu.as_secs_f64(),
        usage.resident_bytes >> 20
    );
    for (name, tally) in &summary {
        let differing = match tally.differing {
            0 => String::new(),
            count => format!(", {count} differ as all clients show the same certificate"),
        };
        println!("{name}: {} passed, {} failed{differing}", tally.passed, tally.failed);
    }
    server.stop()?;
    ensure!(summary.iter().all(|(_, tally)| tally.failed == 0), "some checks failed");
    Ok(())
}

fn check(
    client: Client,
    name: &str,
    server: &mut PeerServer,
    secure: bool,
) -> anyhow::Result<Tally> {
    let mut command = match (client, secure) {
        (Client::Zkcli, false) => return zkcli::check(server),
        (Client::Zkcli, true) => return zkcli::check_secure(server),
        (Client::Go, _) => clients::go(secure)?,
        (Client::Java, _) => clients::java(secure)?,
        (Client::Python, false) => clients::kazoo("checks.py")?,
        (Client::Python, true) => clients::kazoo("secure.py")?,
        (Client::Rust, _) => clients::rust()?,
    };
    command.arg(server.address().to_string()).envs(server.client_environment());
    if secure {
        let (address, certificates) = server.secure()?;
        // By the name in the server's certificate.
        command.arg(format!("localhost:{}", address.port())).arg(&certificates.0);
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot run {command:?}"))?;
    let in_time = kill_after(LIMIT, &child);
    let tally = follow(name, &mut child, server);
    drop(in_time);
    if tally.is_err() {
        // It may wait for an answer that will not come.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let tally = tally?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(tally)
}

/// Kills the child when the time is over, unless what is returned was dropped before.
fn kill_after(limit: Duration, child: &Child) -> mpsc::Sender<()> {
    let pid = Pid::from_child(child);
    let (sender, dropped) = mpsc::channel();
    thread::spawn(move || {
        if dropped.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            // The process is not yet waited for, so its id is still its own.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    });
    sender
}

/// Reads what a client's checks print, and restarts the server when they ask for it.
fn follow(name: &str, child: &mut Child, server: &mut PeerServer) -> anyhow::Result<Tally> {
    let mut answers = child.stdin.take().context("the checks have no input")?;
    let output = child.stdout.take().context("the checks have no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("restart", _) => {
                server.restart()?;
                writeln!(answers, "restarted")?;
                continue;
            }
            ("ok", _) => tally.passed += 1,
            ("FAIL", why) if server.is_encrypted() && is_of_identity(why) => tally.differing += 1,
            ("FAIL", _) => tally.failed += 1,
            ("done", failed) => {
                let counted = tally.failed + tally.differing;
                ensure!(failed == counted.to_string(), "{failed} failures were counted");
                return Ok(tally);
            }
            _ => bail!("an unexpected line: {line}"),
        }
        println!("{name}: {line}");
    }
    bail!("the output ends early")
}

fn is_of_identity(failure: &str) -> bool {
    IDENTITY_CHECKS.iter().any(|check| failure.split(':').next() == Some(check))
}

/// Runs a command of preparation; what it prints is shown only if it fails.
fn prepare(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
