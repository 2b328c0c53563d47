//! Developer tasks: `cargo xtask <task>`.
#![expect(clippy::print_stdout, reason = "what a task finds is printed for the developer")]

mod attack;
mod bench;
mod ci;
mod client;
mod import_check;
mod peers;
mod process;
mod sim;
mod tidy;
mod zookeeper;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

/// Developer tasks of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Strike three servers from outside, under load, and check what their clients saw
    Attack(attack::Arguments),
    /// Measure Tenure and ZooKeeper under the same loads, in turn
    Bench(bench::Arguments),
    /// Run every check that must pass before a change lands
    Ci,
    /// Run the Rust client's tests against Apache ZooKeeper
    Client(client::Arguments),
    /// Take over what Apache ZooKeeper has written, compare, and give it back
    ImportCheck(import_check::Arguments),
    /// Check the house rules that neither the compiler nor clippy knows
    Tidy,
    /// Check a server with stock clients in Go, Java, Python and Rust
    Peers(peers::Arguments),
    /// Replay the simulated history of one seed, one line per event
    Sim(sim::Arguments),
    /// Run Apache ZooKeeper, for comparisons
    #[command(subcommand)]
    Zookeeper(zookeeper::Task),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Attack(arguments) => attack::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Ci => ci::run(),
        Task::Client(arguments) => client::run(&arguments),
        Task::ImportCheck(arguments) => import_check::run(&arguments),
        Task::Tidy => tidy::run(),
        Task::Peers(arguments) => peers::run(&arguments),
        Task::Sim(arguments) => sim::run(&arguments),
        Task::Zookeeper(task) => zookeeper::run(task),
    }
}

/// The folder of the whole repository.
fn repository() -> PathBuf {
    let this_crate = Path::new(env!("CARGO_MANIFEST_DIR"));
    this_crate.parent().expect("the crate lies one folder below the repository").to_path_buf()
}

/// Where programs of others are kept that tasks compare with.
fn peers_folder() -> PathBuf {
    repository().join("target/peers")
}
