//! `cargo xtask bench clients`: Tenure's client beside others, with many sessions, and when locks
//! change hands or links break.
//!
//! The server does not sync here, so that the clients are what is measured. Clients alternate; each
//! part gets a fresh server in every round.

mod page;
mod wanted;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::results::Results;
use super::scene::{Measured, flatten};
use super::{build, target_folder};
use crate::peers::clients::{bench, kazoo};
use crate::process::ServerProcess;
use crate::repository;

/// How much to measure of the client.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rounds; medians are over these
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One short round with small numbers, to see that everything runs; the page stays as it is
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Part>,
    /// Take target/release/tenure as it is
    #[arg(long)]
    no_build: bool,
}

/// What is measured together, on one server that starts fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Reads and writes of one session, many at a time, through several clients
    Pipelined,
    /// Many sessions in one process
    Sessions,
    /// A lock that is released, and one whose holder crashes
    HandOver,
    /// A link with many watches that breaks
    Reconnect,
}

/// Who drives the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Tenure,
    /// The crate zookeeper-client.
    RustCrate,
    Kazoo,
    /// `tenure bench`: what the server and the sockets allow.
    Generator,
}

impl Client {
    const ALL: [Self; 4] = [Self::Tenure, Self::RustCrate, Self::Kazoo, Self::Generator];
}

impl AsRef<str> for Client {
    fn as_ref(&self) -> &str {
        match self {
            Self::Tenure => "tenure-client",
            Self::RustCrate => "zookeeper-client 0.11.2",
            Self::Kazoo => "kazoo 2.11.0",
            Self::Generator => "tenure bench",
        }
    }
}

/// Unanswered requests of the pipelined loads.
const DEPTHS: [usize; 3] = [16, 64, 256];
const LOADS: [&str; 2] = ["read", "write"];

/// The programs that are run.
struct Programs {
    tenure: PathBuf,
    scenes: PathBuf,
    quick: bool,
}

/// Measures, prints the verdicts, and keeps the results.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !arguments.no_build {
        build()?;
    }
    let tenure = target_folder().join("release/tenure");
    let programs = Programs { tenure, scenes: bench()?, quick: arguments.quick };
    let folder = target_folder().join("bench/clients");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    let parts = if arguments.only.is_empty() { Part::value_variants() } else { &arguments.only };
    for part in parts {
        let mut results = Results::new(rounds);
        for round in 1..=rounds {
            eprintln!("{}, round {round} of {rounds}", part.name());
            let server = start(&programs.tenure, &folder)?;
            part.measure(&programs, server.address(), &mut results).with_context(|| part.name())?;
            server.stop()?;
        }
        print!("{}", page::medians(&results));
        for verdict in wanted::judge(*part, &results) {
            println!("{verdict}");
        }
        if !arguments.quick {
            results.save(&folder.join(format!("{}.json", part.name())))?;
            page::update(&repository().join("docs/benchmarks.md"), &folder)?;
        }
    }
    Ok(())
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Pipelined => "pipelined",
            Self::Sessions => "sessions",
            Self::HandOver => "hand-over",
            Self::Reconnect => "reconnect",
        }
    }

    /// One round.
    fn measure(
        self,
        programs: &Programs,
        server: SocketAddr,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        if self == Self::Pipelined {
            for load in LOADS {
                for depth in DEPTHS {
                    pipelined(programs, server, load, depth, results)?;
                }
            }
            return Ok(());
        }
        for (name, scene) in self.scenes(programs.quick) {
            let mut command = Command::new(&programs.scenes);
            command.arg(server.to_string()).args(scene.split(' '));
            let mut measured = Measured::new();
            flatten(name, &report(command)?, &mut measured)?;
            for (key, value) in measured {
                results.add(Client::Tenure, &key, value);
            }
        }
        Ok(())
    }

    /// Scenes of the program `client-bench`, by name, as its arguments.
    fn scenes(self, quick: bool) -> Vec<(&'static str, &'static str)> {
        let pick = |full, short| if quick { short } else { full };
        match self {
            Self::Pipelined => Vec::new(),
            Self::Sessions => vec![
                ("10,000 sessions", pick("sessions 10000 3", "sessions 500 1")),
                ("1,000 sessions", pick("sessions 1000 3", "sessions 50 1")),
            ],
            Self::HandOver => vec![
                ("release, 1 ms", pick("hand-over 200 1", "hand-over 20 1")),
                ("release, loopback", pick("hand-over 200 0", "hand-over 20 0")),
                ("crash", pick("crash 5", "crash 1")),
            ],
            Self::Reconnect => {
                vec![("reconnect", pick("reconnect 100000", "reconnect 5000"))]
            }
        }
    }
}

/// One load through every client in turn.
fn pipelined(
    programs: &Programs,
    server: SocketAddr,
    load: &str,
    depth: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let (server, depth) = (server.to_string(), depth.to_string());
    let seconds = if programs.quick { "0.5" } else { "3" };
    for client in Client::ALL {
        let command = match client {
            Client::Tenure | Client::RustCrate => {
                let name = if client == Client::Tenure { "tenure" } else { "zookeeper-client" };
                let mut command = Command::new(&programs.scenes);
                command.args([&server, "pipelined", name, load, &depth, seconds]);
                command
            }
            Client::Kazoo => {
                let mut command = kazoo("pipelined.py")?;
                command.args([&server, load, &depth, seconds]);
                command
            }
            Client::Generator => {
                let mut command = Command::new(&programs.tenure);
                command.args(["bench", "--json", load, "--server", &server, "--connections", "1"]);
                command.args(["--pipeline", &depth, "--size", "100", "--keys", "1"]);
                command.args(["--warmup", "300ms", "--duration", &format!("{seconds}s")]);
                command
            }
        };
        let mut measured = Measured::new();
        flatten(&format!("{load}, {depth} at a time"), &report(command)?, &mut measured)?;
        let compared = |key: &str| FIGURES.iter().any(|figure| key.ends_with(figure));
        for (key, value) in measured.into_iter().filter(|(key, _)| compared(key)) {
            results.add(client, &key, value);
        }
    }
    Ok(())
}

/// What all clients are compared by.
const FIGURES: [&str; 2] = ["/operations_per_second", "/client_cpu_us_per_operation"];

/// Runs a program that prints one JSON object, and returns that.
fn report(mut command: Command) -> anyhow::Result<Value> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} did not print one JSON object"))
}

/// Starts a server on an empty data folder that acknowledges writes before they are synced.
fn start(tenure: &Path, folder: &Path) -> anyhow::Result<ServerProcess> {
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot empty {}", data.display()))?;
    }
    fs::create_dir_all(&data)?;
    let zoo_cfg = folder.join("zoo.cfg");
    let config = format!(
        "tickTime=2000\ndataDir={}\nclientPort={}\nforceSync=no\nmaxClientCnxns=0\n\
         admin.enableServer=false\n",
        data.display(),
        ADDRESS.1
    );
    fs::write(&zoo_cfg, config)?;
    let mut command = Command::new(tenure);
    command.arg("serve").arg(&zoo_cfg);
    ServerProcess::start(command, SocketAddr::from(ADDRESS), &folder.join("server.log"))
}

const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 22_184);
