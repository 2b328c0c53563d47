//! `tenure import`: a data folder for Tenure from one that ZooKeeper 3.4 to 3.9 has written.
//!
//! Nothing of the source is changed. Whatever is damaged there is told by name, and unless the
//! operator accepts that, nothing is written.

mod findings;
mod folder;
mod replay;
mod state;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use tenure_replica::State;
use tenure_server::{FoundError, found_data_folder};
use tenure_wire::Zxid;

use crate::BAD_FOLDER;
use findings::Finding;
use folder::Contents;
pub(crate) use folder::FolderError;
use state::Counts;

/// From where, and to where.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// ZooKeeper's dataDir: of a server that is stopped, or a copy
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Its dataLogDir, if that is another folder
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// The data folder to make: the dataDir of `tenure serve`
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The dataLogDir of `tenure serve`, if that is another folder
    #[arg(long, value_name = "DIR")]
    to_log_dir: Option<PathBuf>,
    /// Make it even if something of the source is lost
    #[arg(long)]
    allow_damage: bool,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed while writing
  2  wrong usage
  3  the source holds no data or is damaged, or the target is not empty; nothing was written";

/// Runs the command.
pub(crate) fn run(args: &Args) -> ExitCode {
    match import(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tenure import: {error}");
            match error {
                ImportError::Found(FoundError::Write(_)) => ExitCode::FAILURE,
                _ => ExitCode::from(BAD_FOLDER),
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Found(#[from] FoundError),
}

/// The state that a folder of ZooKeeper's holds, and how many things of it are lost.
pub(crate) fn read_state(folder: &Path) -> Result<(State, usize), FolderError> {
    let mut contents = folder::read(folder, folder)?;
    let Contents { tree, zxid, epoch, findings, .. } = &mut contents;
    let (state, _) = state::make(tree, *zxid, *epoch, findings);
    Ok((state, contents.findings.losses()))
}

fn import(args: &Args) -> Result<ExitCode, ImportError> {
    let mut contents = folder::read(&args.from, args.log_dir.as_ref().unwrap_or(&args.from))?;
    let Contents { tree, zxid, epoch, findings, .. } = &mut contents;
    let (mut state, counts) = state::make(tree, *zxid, *epoch, findings);
    for finding in &contents.findings.0 {
        show(args, finding);
    }
    let losses = contents.findings.losses();
    if losses > 0 && !args.allow_damage {
        eprintln!(
            "tenure import: nothing was written, for {losses} things are lost (see above); \
             --allow-damage goes on without them"
        );
        return Ok(ExitCode::from(BAD_FOLDER));
    }
    let log_dir = args.to_log_dir.as_ref().unwrap_or(&args.to);
    let made = found_data_folder(&args.to, log_dir, &mut state)?;
    report(args, &contents, &counts, &made);
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "what was found is what the command is run for")]
fn show(args: &Args, finding: &Finding) {
    match args.json {
        true => println!("{}", finding.json()),
        false => println!("{finding}"),
    }
}

#[expect(clippy::print_stdout, reason = "what was done is what the command is run for")]
fn report(args: &Args, contents: &Contents, counts: &Counts, made: &Path) {
    let Counts { znodes, sessions, ephemerals, containers, ttls } = counts;
    let (zxid, replayed) = (Zxid(contents.zxid).to_string(), contents.replayed);
    let made = made.display().to_string();
    if args.json {
        let done = json!({
            "found": "done", "snapshot": contents.snapshot, "replayed": replayed, "zxid": zxid,
            "znodes": znodes, "sessions": sessions, "ephemerals": ephemerals,
            "containers": containers, "ttls": ttls, "losses": contents.findings.losses(),
            "made": made,
        });
        println!("{done}");
        return;
    }
    let snapshot = contents.snapshot.as_deref().unwrap_or("no snapshot");
    println!("read {snapshot} and {replayed} changes of the logs, up to zxid {zxid}");
    println!(
        "took over {znodes} znodes ({ephemerals} ephemeral, {containers} containers, {ttls} with \
         a TTL) and {sessions} sessions"
    );
    println!("wrote {made}");
    println!("start it: tenure serve --data-dir {}", args.to.display());
}
