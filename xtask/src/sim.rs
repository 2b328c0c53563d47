//! `cargo xtask sim`: the simulator in a process of its own, so that the other tasks need not be
//! built with it.

use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;

use crate::repository;

/// Which history to replay.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The seed that a test has named
    #[arg(long)]
    seed: u64,
    /// In a world as they were at first: for seeds found in one
    #[arg(long)]
    first: bool,
    /// In a world where nothing goes wrong
    #[arg(long, conflicts_with = "first")]
    quiet: bool,
}

/// Replays a history with this terminal; an error if it breaks a rule.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let seed = arguments.seed.to_string();
    let kind = match (arguments.first, arguments.quiet) {
        (true, _) => Some("--first"),
        (_, true) => Some("--quiet"),
        _ => None,
    };
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--package", "tenure-sim", "--", "--seed", &seed])
        .args(kind)
        .current_dir(repository())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the history of seed {seed} broke a rule, or could not be run");
    Ok(())
}
