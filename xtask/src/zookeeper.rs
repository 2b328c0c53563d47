//! `cargo xtask zookeeper`: Apache ZooKeeper itself, for comparisons.
//!
//! Its jars come from Maven Central (needs `java` and `mvn`) and stay in `target/peers`. It runs as
//! its own `zkServer.sh` would run it: default options of the virtual machine, the default heap of
//! 1000 MB, its default logging.

mod fetch;

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::process::ServerProcess;
use crate::repository;

pub(crate) use fetch::{VERSION, jars};

/// What `cargo xtask zookeeper` can do.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Run it in the foreground; fetches it first if needed
    Run(RunArguments),
    /// Start it, say what starting took, and stop it
    StartUp(RunArguments),
    /// Only fetch it
    Fetch,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    /// Its configuration
    zoo_cfg: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// How it differs from `zkServer.sh start`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Leave out its admin server, which takes port 8080
    #[arg(long)]
    pub(crate) no_admin: bool,
    /// Further options of the virtual machine, such as -Dname=value
    #[arg(last = true)]
    pub(crate) jvm: Vec<String>,
}

/// Does the task.
pub(crate) fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Run(arguments) => {
            let mut command = command(&arguments.zoo_cfg, &arguments.options)?;
            // Signals for this process then reach the server.
            Err(command.exec()).context("cannot run java")
        }
        Task::StartUp(arguments) => start_up(&arguments),
        Task::Fetch => jars().map(|folder| println!("{}", folder.display())),
    }
}

fn start_up(arguments: &RunArguments) -> anyhow::Result<()> {
    jars()?;
    let started = Instant::now();
    let server = spawn(&arguments.zoo_cfg, &arguments.options)?;
    let elapsed = started.elapsed();
    let usage = server.usage()?;
    println!(
        "serves {} as process {} after {:.2} s, {:.2} s of processor time, {} MiB resident",
        server.address(),
        server.pid(),
        elapsed.as_secs_f64(),
        usage.cpu.as_secs_f64(),
        usage.resident_bytes >> 20
    );
    let status = server.stop()?;
    println!("stopped: {status}");
    Ok(())
}

/// Starts ZooKeeper with the given configuration and waits until it serves requests. What it
/// prints goes to a file next to the configuration, with `.zookeeper.log` added to its name.
pub(crate) fn spawn(zoo_cfg: &Path, options: &Options) -> anyhow::Result<ServerProcess> {
    let log = PathBuf::from(format!("{}.zookeeper.log", zoo_cfg.display()));
    ServerProcess::start(command(zoo_cfg, options)?, client_address(zoo_cfg)?, &log)
}

/// The address that a configuration file gives to clients.
pub(crate) fn client_address(zoo_cfg: &Path) -> anyhow::Result<SocketAddr> {
    let text = read(zoo_cfg)?;
    let value = |key| entries(&text).filter(|(k, _)| *k == key).last().map(|(_, value)| value);
    let port: u16 = value("clientPort")
        .context("the configuration has no clientPort")?
        .parse()
        .context("clientPort is no port")?;
    let host = value("clientPortAddress").unwrap_or("127.0.0.1");
    let mut addresses =
        (host, port).to_socket_addrs().with_context(|| format!("no host {host}"))?;
    addresses.next().with_context(|| format!("no address for {host}"))
}

/// Java with everything it takes to run ZooKeeper on a configuration.
pub(crate) fn command(zoo_cfg: &Path, options: &Options) -> anyhow::Result<Command> {
    let jars = jars()?;
    let mut command = Command::new("java");
    command.args([
        "-Xmx1000m",
        "-XX:+HeapDumpOnOutOfMemoryError",
        "-Dcom.sun.management.jmxremote",
        "-Dcom.sun.management.jmxremote.local.only=true",
        "-Dzookeeper.jmx.log4j.disable=true",
    ]);
    command.arg(format!("-XX:HeapDumpPath={}", jars.display()));
    command.arg(format!("-Dlogback.configurationFile={}", fetch::logging(&jars).display()));
    if options.no_admin {
        command.arg("-Dzookeeper.admin.enableServer=false");
    }
    for (key, value) in entries(&read(zoo_cfg)?) {
        command.args(early_property(key, value));
    }
    command.args(&options.jvm);
    command.arg("-cp").arg(jars.join("*"));
    command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(zoo_cfg);
    Ok(command)
}

/// Java with quiet logging and an open `-cp`: the class path, the class and its arguments are to
/// be added.
pub(crate) fn client_command() -> Command {
    let logging = repository().join("xtask/peers/java/logback.xml");
    let mut command = Command::new("java");
    command.arg(format!("-Dlogback.configurationFile={}", logging.display()));
    command.arg("-cp");
    command
}

/// ZooKeeper takes any key it does not know as a system property, but some properties are read
/// before the file is; and those that do not start with `zookeeper.` cannot be given in it at all.
fn early_property(key: &str, value: &str) -> Option<String> {
    const EARLY: [&str; 6] = [
        "DigestAuthenticationProvider.",
        "extendedTypesEnabled",
        "emulate353TTLNodes",
        "snapCount",
        "preAllocSize",
        "digest.enabled",
    ];
    const WHOLE: [&str; 4] =
        ["readonlymode.enabled", "jute.maxbuffer", "znode.container.", "java.security."];
    if EARLY.iter().any(|name| key.starts_with(name)) {
        return Some(format!("-Dzookeeper.{key}={value}"));
    }
    let whole = WHOLE.iter().any(|name| key.starts_with(name));
    whole.then(|| format!("-D{key}={value}"))
}

fn read(zoo_cfg: &Path) -> anyhow::Result<String> {
    fs::read_to_string(zoo_cfg).with_context(|| format!("cannot read {}", zoo_cfg.display()))
}

fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_port_of_a_configuration_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zoo.cfg");
        fs::write(&path, "# clientPort=1\nclientPort=2181\ntickTime=2000\nclientPort = 2182\n")
            .unwrap();
        assert_eq!(client_address(&path).unwrap().to_string(), "127.0.0.1:2182");
        fs::write(&path, "clientPort=zero\n").unwrap();
        assert!(client_address(&path).is_err());
    }

    #[test]
    fn some_keys_become_properties() {
        assert_eq!(early_property("snapCount", "5"), Some("-Dzookeeper.snapCount=5".into()));
        assert_eq!(early_property("jute.maxbuffer", "5"), Some("-Djute.maxbuffer=5".into()));
        assert_eq!(early_property("dataDir", "x"), None);
    }
}
