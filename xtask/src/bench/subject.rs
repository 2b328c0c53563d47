//! The three servers that are measured, and the generator that drives them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde_json::Value;

use crate::process::ServerProcess;
use crate::zookeeper;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// This repository's server
    Tenure,
    /// Apache ZooKeeper, the yardstick
    #[value(name = "zookeeper")]
    ZooKeeper,
    /// Sockets and framing alone: what is possible
    Echo,
}

/// Where programs and scratch folders are.
pub(crate) struct Bench {
    /// The release build of the `tenure` binary: server under test and generator.
    pub(crate) tenure: PathBuf,
    /// Data folders and logs go below it.
    pub(crate) folder: PathBuf,
    /// Small numbers and short times.
    pub(crate) quick: bool,
}

impl Subject {
    pub(crate) const ALL: &'static [Self] = &[Self::Tenure, Self::ZooKeeper, Self::Echo];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tenure => "Tenure",
            Self::ZooKeeper => "ZooKeeper",
            Self::Echo => "echo",
        }
    }

    /// Where it listens.
    pub(crate) fn address(self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Tenure => 22_181,
            Self::ZooKeeper => 22_182,
            Self::Echo => 22_183,
        }
    }
}

impl AsRef<str> for Subject {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl Bench {
    /// Starts a server on an empty data folder.
    pub(crate) fn start_fresh(&self, subject: Subject) -> anyhow::Result<ServerProcess> {
        let data = self.data_folder(subject);
        if data.exists() {
            fs::remove_dir_all(&data)
                .with_context(|| format!("cannot empty {}", data.display()))?;
        }
        fs::create_dir_all(&data)?;
        self.start(subject)
    }

    /// Starts a server on what its data folder holds.
    pub(crate) fn start(&self, subject: Subject) -> anyhow::Result<ServerProcess> {
        let zoo_cfg = self.folder.join(format!("{}.cfg", subject.name()));
        fs::write(&zoo_cfg, configuration(&self.data_folder(subject), subject.port()))?;
        let address = subject.address();
        let log = self.folder.join(format!("{}.log", subject.name()));
        match subject {
            Subject::ZooKeeper => {
                let options = zookeeper::Options { no_admin: true, ..Default::default() };
                zookeeper::spawn(&zoo_cfg, &options)
            }
            Subject::Tenure => {
                let mut command = Command::new(&self.tenure);
                command.arg("serve").arg(&zoo_cfg);
                ServerProcess::start(command, address, &log)
            }
            Subject::Echo => {
                let mut command = Command::new(&self.tenure);
                command.args(["bench", "echo-server", "--listen"]).arg(address.to_string());
                ServerProcess::start(command, address, &log)
            }
        }
    }

    /// Where a server keeps its data.
    pub(crate) fn data_folder(&self, subject: Subject) -> PathBuf {
        self.folder.join(format!("{}-data", subject.name()))
    }

    /// Runs `tenure bench` with these arguments against the server and returns its report.
    pub(crate) fn drive(&self, server: &ServerProcess, arguments: &str) -> anyhow::Result<Value> {
        let address = server.address().to_string();
        let pid = server.pid().to_string();
        self.run(&format!("{arguments} --server {address} --server-pid {pid}"))
    }

    /// Runs `tenure bench` with these arguments and returns its report.
    pub(crate) fn run(&self, arguments: &str) -> anyhow::Result<Value> {
        let output = Command::new(&self.tenure)
            .args(["bench", "--json"])
            .args(arguments.split_ascii_whitespace())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {}", self.tenure.display()))?;
        ensure!(output.status.success(), "tenure bench {arguments}: {}", output.status);
        serde_json::from_slice(&output.stdout).context("the report is not one JSON object")
    }
}

/// The same file for both servers: upstream's sample, and the admin server off, since two servers
/// of one machine cannot share its port.
fn configuration(data: &Path, port: u16) -> String {
    format!(
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={port}\n\
         admin.enableServer=false\n",
        data.display()
    )
}
