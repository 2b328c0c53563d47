//! Disks that are emptied, and small ones that are filled up.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Where servers keep their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disks {
    /// On this machine's own.
    Real,
    /// Each on one in memory, small enough to be filled.
    Small,
}

/// Set for the process that sees the small disks.
const APART: &str = "TENURE_ATTACK_APART";

/// What takes up the room.
const FILLER: &str = "filler";

/// Begins this process anew where the disks that it mounts are its own and go with it, which needs
/// root. `None` if this is there already.
pub(crate) fn apart() -> anyhow::Result<Option<std::process::ExitStatus>> {
    if std::env::var_os(APART).is_some() {
        return Ok(None);
    }
    let status = Command::new("unshare")
        .arg("--mount")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(APART, "1")
        .status()
        .context("cannot run unshare")?;
    Ok(Some(status))
}

/// Has a folder of its own disk in memory.
pub(crate) fn mount_small(folder: &Path) -> anyhow::Result<()> {
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64m", "tenure-attack"])
        .arg(folder)
        .status()
        .context("cannot run mount")?;
    ensure!(status.success(), "cannot mount a disk at {}: {status}", folder.display());
    Ok(())
}

/// Takes all room that is left.
pub(crate) fn fill(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(FILLER);
    let mut filler =
        File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut some = vec![1; 1 << 20];
    while !some.is_empty() {
        match filler.write(&some) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => some.truncate(some.len() / 2),
            Err(error) => return Err(error).context("cannot fill the disk"),
        }
    }
    Ok(())
}

/// Gives back what [`fill`] took.
pub(crate) fn make_room(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(FILLER);
    fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))
}

/// Deletes everything in a folder, which may be a disk's own.
pub(crate) fn empty(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
