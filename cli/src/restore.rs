//! `tenure restore`: a data folder out of a backup.

use std::path::PathBuf;
use std::process::ExitCode;

use tenure_server::{FoundError, found_data_folder};
use thiserror::Error;

use crate::BAD_FOLDER;
use crate::backup::file::{self, BackupError, Manifest};

/// From what, and to where.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The data folder to make: the dataDir of `tenure serve`
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    to: Option<PathBuf>,
    /// The dataLogDir of `tenure serve`, if that is another folder
    #[arg(long, value_name = "DIR")]
    to_log_dir: Option<PathBuf>,
    /// Refuse a backup of any other ensemble than the one with this id
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
    /// Only check the backup, and say what it holds
    #[arg(long)]
    check: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed while writing
  2  wrong usage
  3  the backup cannot be used, or the target is not empty; nothing was written";

#[derive(Debug, Error)]
enum RestoreError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Found(#[from] FoundError),
    #[error("{} is a backup of cluster {found}, not of {expected}", file.display())]
    OtherCluster { file: PathBuf, found: String, expected: String },
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match restore(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenure restore: {error}");
            match error {
                RestoreError::Found(FoundError::Write(_)) => ExitCode::FAILURE,
                _ => ExitCode::from(BAD_FOLDER),
            }
        }
    }
}

fn restore(args: &Args) -> Result<(), RestoreError> {
    let (manifest, mut state) = file::read(&args.from)?;
    if let Some(expected) = args.cluster.as_ref().filter(|id| **id != manifest.cluster) {
        let (file, found) = (args.from.clone(), manifest.cluster);
        let expected = expected.clone();
        return Err(RestoreError::OtherCluster { file, found, expected });
    }
    let Some(to) = args.to.as_ref().filter(|_| !args.check) else {
        tell(&manifest);
        return Ok(());
    };
    state.begin_history(0);
    let made = found_data_folder(to, args.to_log_dir.as_ref().unwrap_or(to), &mut state)?;
    tell(&manifest);
    tell_made(&made, to);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a backup holds is what the command is run for")]
fn tell(manifest: &Manifest) {
    let Manifest { server, server_version, taken_wall_ms, .. } = manifest;
    let taken = tenure_server::admin::iso(*taken_wall_ms);
    println!("taken from {server} ({server_version}) at {taken}");
    println!("holds {}", manifest.contents());
}

#[expect(clippy::print_stdout, reason = "what was done is what the command is run for")]
fn tell_made(made: &std::path::Path, to: &std::path::Path) {
    println!("wrote {}", made.display());
    println!("start it: tenure serve --data-dir {}", to.display());
}
