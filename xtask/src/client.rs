//! `cargo xtask client`: the Rust client's own tests, unchanged, against Apache ZooKeeper.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;

use crate::{peers_folder, repository, zookeeper};

/// What to run.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only tests whose names hold this
    filter: Option<String>,
}

/// The files of tests that take a server from `TENURE_TEST_HOSTS`.
const SUITES: [&str; 2] = ["suite", "recipes"];

/// Starts ZooKeeper with a short tick, so that sessions may be short, and runs the tests with it.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = peers_folder().join("client");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    // The kernel gives a port that is free now and, in practice, a moment later.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let zoo_cfg = folder.join("zoo.cfg");
    let config = format!(
        "tickTime=200\nminSessionTimeout=100\nmaxSessionTimeout=60000\ndataDir={}\n\
         clientPort={}\nclientPortAddress={}\nadmin.enableServer=false\n\
         extendedTypesEnabled=true\nznode.container.checkIntervalMs=200\n\
         maxClientCnxns=0\n4lw.commands.whitelist=*\n",
        folder.join("data").display(),
        address.port(),
        address.ip()
    );
    fs::write(&zoo_cfg, config)?;
    let server = zookeeper::spawn(&zoo_cfg, &zookeeper::Options::default())?;
    let mut tests = Command::new(env!("CARGO"));
    tests.args(["test", "--locked", "--package", "tenure-client", "--no-fail-fast"]);
    tests.args(SUITES.iter().flat_map(|suite| ["--test", suite]));
    tests.args(&arguments.filter);
    tests.env("TENURE_TEST_HOSTS", address.to_string()).current_dir(repository());
    let status = tests.status().context("cannot run cargo")?;
    server.stop()?;
    ensure!(status.success(), "tests failed against Apache ZooKeeper {}", zookeeper::VERSION);
    Ok(())
}
