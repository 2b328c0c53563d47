//! The `tenure` binary.

mod bench;

use clap::Parser;

#[derive(Parser)]
#[command(name = "tenure", version, about = "A coordination service for ZooKeeper clients")]
enum Command {
    /// Load for any ZooKeeper-speaking server, and what came of it
    Bench(bench::Args),
}

fn main() -> anyhow::Result<()> {
    let Command::Bench(args) = Command::parse();
    bench::run(&args)
}
