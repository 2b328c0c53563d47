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
}

/// Replays a history with this terminal; an error if it breaks a rule.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let seed = arguments.seed.to_string();
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--package", "tenure-sim", "--", "--seed", &seed])
        .current_dir(repository())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the history of seed {seed} broke a rule, or could not be run");
    Ok(())
}
