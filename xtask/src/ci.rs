//! `cargo xtask ci`: the same script that the build machines run.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::repository;

/// Runs `.ci/run` with this terminal.
pub(crate) fn run() -> anyhow::Result<()> {
    let script = repository().join(".ci/run");
    let status = Command::new(&script)
        .current_dir(repository())
        .status()
        .with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(status.success(), "{} failed", script.display());
    Ok(())
}
