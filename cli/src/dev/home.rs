//! The folder in which the servers of `tenure dev` keep what outlives a run.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tenure_server::config::{EnsembleSettings, Member};

use super::MOST_SERVERS;

/// The folder, which is this process's alone while this lives.
pub(super) struct Home {
    dir: PathBuf,
    _lock: File,
}

/// The members of the last run, as `tenure serve --ensemble` takes them. It also marks the folder
/// as one that may be emptied.
const ENSEMBLE: &str = "ensemble";

impl Home {
    /// Takes the folder into use, and makes it if need be.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let failed = || format!("the data folder {}", dir.display());
        fs::create_dir_all(dir).with_context(failed)?;
        let lock = File::open(dir).with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_path_buf(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("{} is in use by another tenure dev; see --data-dir", dir.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(failed),
        }
    }

    /// Deletes what earlier runs left, and nothing else.
    pub(super) fn empty(&self) -> Result<()> {
        let failed = || format!("{} cannot be emptied", self.dir.display());
        if !self.dir.join(ENSEMBLE).exists() {
            return Ok(());
        }
        for id in 1..=MOST_SERVERS {
            unless_absent(fs::remove_dir_all(self.data_dir(id))).with_context(failed)?;
            unless_absent(fs::remove_file(self.log(id))).with_context(failed)?;
        }
        // Last: without it the folder would never be emptied.
        fs::remove_file(self.dir.join(ENSEMBLE)).with_context(failed)
    }

    /// The members of the last run; none if there was none.
    pub(super) fn members(&self) -> Result<Vec<Member>> {
        let path = self.dir.join(ENSEMBLE);
        let list = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.with_context(|| path.display().to_string())?,
        };
        let mut settings = EnsembleSettings::default();
        let read = settings.set_members(1, list.trim());
        read.with_context(|| format!("{} (--fresh starts anew)", path.display()))?;
        Ok(settings.members)
    }

    /// Remembers the members for the next run.
    pub(super) fn remember(&self, list: &str) -> Result<()> {
        let path = self.dir.join(ENSEMBLE);
        let unfinished = self.dir.join("ensemble.new");
        let written = fs::write(&unfinished, format!("{list}\n"));
        let renamed = written.and_then(|()| fs::rename(&unfinished, &path));
        renamed.with_context(|| format!("{} cannot be written", path.display()))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a server keeps its data.
    pub(super) fn data_dir(&self, id: u64) -> PathBuf {
        self.dir.join(format!("server-{id}"))
    }

    /// What a server says.
    pub(super) fn log(&self, id: u64) -> PathBuf {
        self.dir.join(format!("server-{id}.log"))
    }
}

fn unless_absent(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::*;

    #[test]
    fn a_folder_has_one_user_and_loses_only_what_is_ours() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("dev");
        let home = Home::open(&dir).unwrap();
        let error = Home::open(&dir).err().unwrap().to_string();
        assert!(error.contains("in use"), "{error}");
        assert_eq!(home.members().unwrap(), []);

        fs::create_dir(home.data_dir(1)).unwrap();
        fs::write(home.data_dir(1).join("precious"), "").unwrap();
        home.empty().unwrap();
        assert!(home.data_dir(1).exists(), "nothing says that this folder is ours");

        home.remember("1=127.0.0.1:2888,2=127.0.0.1:2889").unwrap();
        let ports: Vec<u16> =
            home.members().unwrap().iter().map(|m| m.addresses[0].quorum_port).collect();
        assert_eq!(ports, [2888, 2889]);
        fs::write(dir.join("mine"), "").unwrap();
        home.empty().unwrap();
        assert!(!home.data_dir(1).exists() && dir.join("mine").exists());
        assert_eq!(home.members().unwrap(), []);

        fs::write(dir.join("ensemble"), "1=nowhere").unwrap();
        let error = format!("{:#}", home.members().unwrap_err());
        assert!(error.contains("1=nowhere") && error.contains("--fresh"), "{error}");
    }
}
