//! `tenure inspect`: what a data folder holds, readably, without changing it.
//!
//! A server may be using the folder meanwhile. Damage is shown where it is, and told by exit
//! code 3.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use tenure_replica::{NodeKind, State, describe_entry};
use tenure_server::StartError;
use tenure_storage::inspect::{Found, LogItem, log_records};
use tenure_storage::{Disk, OpenError, RealDisk, Record, snapshots};

use crate::BAD_FOLDER;

/// What to look at.
#[derive(clap::Args)]
#[command(subcommand_precedence_over_arg = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// A data folder: its snapshots and the range of its log
    path: Option<PathBuf>,
    /// One JSON object per line
    #[arg(long, global = true)]
    json: bool,
    /// Descriptions and data in full, however long
    #[arg(long, global = true)]
    full: bool,
}

#[derive(clap::Subcommand)]
enum Part {
    /// Every record of the log
    Log {
        /// A data folder, or the log's own
        path: PathBuf,
    },
    /// A snapshot's sessions and znodes
    Snapshot {
        /// A snapshot file, or a data folder for the newest one
        path: PathBuf,
    },
}

/// Longest description shown unless asked for in full, in characters.
const SHOWN_CHARS: usize = 300;

/// Why nothing, or not everything, could be shown.
#[derive(Debug, thiserror::Error)]
enum InspectError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Snapshot(#[from] StartError),
    #[error("{0}: no snapshot there")]
    NoSnapshot(PathBuf),
    #[error("writing the output failed: {0}")]
    Output(#[from] io::Error),
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> ExitCode {
    let disk = RealDisk::shared();
    let mut report = Report {
        out: BufWriter::new(io::stdout().lock()),
        json: args.json,
        full: args.full,
        damaged: false,
    };
    let outcome = match (&args.part, &args.path) {
        (Some(Part::Log { path }), _) => report.log(&disk, path),
        (Some(Part::Snapshot { path }), _) => report.snapshot(&disk, path),
        (None, Some(path)) => report.folder(&disk, path),
        (None, None) => Ok(()),
    };
    let damaged = report.damaged;
    match outcome.and_then(|()| report.out.flush().map_err(InspectError::from)) {
        Ok(()) if damaged => ExitCode::from(BAD_FOLDER),
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough, as `head` does.
        Err(InspectError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tenure inspect: {error}");
            ExitCode::from(BAD_FOLDER)
        }
    }
}

struct Report<W> {
    out: W,
    json: bool,
    full: bool,
    damaged: bool,
}

impl<W: Write> Report<W> {
    /// One line: the object as JSON, or the text.
    fn line(&mut self, object: Value, text: impl Display) -> Result<(), InspectError> {
        if self.json {
            writeln!(self.out, "{object}")?;
        } else {
            writeln!(self.out, "{text}")?;
        }
        Ok(())
    }

    fn log(&mut self, disk: &Arc<dyn Disk>, path: &Path) -> Result<(), InspectError> {
        for item in log_records(disk, &part_of(path, "log"))? {
            self.log_item(&item)?;
        }
        Ok(())
    }

    fn log_item(&mut self, item: &LogItem) -> Result<(), InspectError> {
        let file = item.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let offset = item.offset;
        let (object, text) = match &item.found {
            Found::Record(Record::Entry(entry)) => {
                let (index, term, kind) = (entry.index, entry.term, entry.kind);
                let bytes = entry.data.len();
                let what = match kind {
                    0 => self.shown(describe_entry(&entry.data)),
                    _ => "a change of members".to_owned(),
                };
                (
                    json!({"found": "entry", "index": index, "term": term, "kind": kind,
                           "bytes": bytes, "what": what}),
                    format!("entry {index} of term {term}, {bytes} bytes: {what}"),
                )
            }
            Found::Record(Record::HardState(state)) => (
                json!({"found": "state", "term": state.term, "vote": state.vote,
                       "commit": state.commit}),
                format!("state: term {}, vote {}, commit {}", state.term, state.vote, state.commit),
            ),
            Found::Record(Record::Synced) => {
                (json!({"found": "synced"}), "everything before was synced".to_owned())
            }
            Found::TornWrite(bytes) => (
                json!({"found": "torn write", "bytes": bytes}),
                format!("an unfinished write of {bytes} bytes, which a start drops"),
            ),
            Found::Damage(error) => {
                self.damaged = true;
                let error = error.to_string();
                (json!({"found": "damage", "error": error}), format!("DAMAGE: {error}"))
            }
        };
        let mut placed = json!({"file": file, "offset": offset});
        if let (Some(placed), Some(object)) = (placed.as_object_mut(), object.as_object()) {
            placed.extend(object.clone());
        }
        self.line(placed, format_args!("{file}:{offset:<8}  {text}"))
    }

    fn snapshot(&mut self, disk: &Arc<dyn Disk>, path: &Path) -> Result<(), InspectError> {
        let file = match path.is_dir() {
            false => path.to_path_buf(),
            true => {
                let dir = part_of(path, "snapshots");
                let newest = snapshots::list(disk, &dir)?.into_iter().next();
                newest.ok_or(InspectError::NoSnapshot(dir))?
            }
        };
        let (meta, state) = tenure_server::read_snapshot(disk, &file)?;
        let (index, term, zxid) = (meta.index, meta.term, meta.zxid.to_string());
        let (sessions, znodes) = (state.sessions.len(), state.tree.len());
        self.line(
            json!({"found": "snapshot", "file": file.display().to_string(), "index": index,
                   "term": term, "zxid": zxid, "sessions": sessions, "znodes": znodes}),
            format_args!(
                "{}: index {index}, term {term}, zxid {zxid}, {sessions} sessions, {znodes} znodes",
                file.display()
            ),
        )?;
        self.sessions(&state)?;
        self.znodes(&state)
    }

    fn sessions(&mut self, state: &State) -> Result<(), InspectError> {
        for session in state.sessions.iter() {
            let (id, timeout_ms) = (session.id.to_string(), session.timeout_ms);
            let ephemerals = session.ephemeral_count();
            self.line(
                json!({"found": "session", "id": id, "timeout_ms": timeout_ms,
                       "opened_wall_ms": session.opened_ms, "ephemerals": ephemerals}),
                format_args!("session {id}: timeout {timeout_ms} ms, {ephemerals} ephemerals"),
            )?;
        }
        for ended in state.ended.iter() {
            let (id, reason) = (ended.session.to_string(), ended.reason.to_string());
            let (zxid, lost) = (ended.zxid.to_string(), ended.ephemerals);
            self.line(
                json!({"found": "ended session", "id": id, "reason": reason, "zxid": zxid,
                       "ended_wall_ms": ended.ended_ms, "ephemerals": lost}),
                format_args!("ended session {id}: {reason}; zxid {zxid}, {lost} ephemerals lost"),
            )?;
        }
        Ok(())
    }

    fn znodes(&mut self, state: &State) -> Result<(), InspectError> {
        for (id, node) in state.tree.iter() {
            let (path, stat) = (state.tree.path(id), node.stat());
            let kind = match node.kind() {
                NodeKind::Persistent => String::new(),
                NodeKind::Ephemeral(session) => format!(", ephemeral of {session}"),
                NodeKind::Container => ", container".to_owned(),
                NodeKind::Ttl(ttl_ms) => format!(", TTL {ttl_ms} ms"),
            };
            self.line(
                json!({"found": "znode", "path": path, "data_bytes": stat.data_length,
                       "version": stat.version, "children": stat.num_children,
                       "czxid": stat.czxid.to_string(), "mzxid": stat.mzxid.to_string(),
                       "kind": kind.trim_start_matches(", ")}),
                format_args!(
                    "znode {path}: {} bytes, version {}, {} children, mzxid {}{kind}",
                    stat.data_length, stat.version, stat.num_children, stat.mzxid
                ),
            )?;
        }
        Ok(())
    }

    fn folder(&mut self, disk: &Arc<dyn Disk>, path: &Path) -> Result<(), InspectError> {
        for found in snapshots::candidates(disk, &part_of(path, "snapshots"))? {
            let file = found.path.display().to_string();
            match found.checked {
                Ok(meta) => {
                    let (index, zxid) = (meta.index, format!("{:#x}", meta.zxid));
                    self.line(
                        json!({"found": "snapshot", "file": file, "index": index, "zxid": zxid}),
                        format_args!("snapshot {file}: index {index}, zxid {zxid}, intact"),
                    )?;
                }
                Err(error) => {
                    self.damaged = true;
                    let error = error.to_string();
                    self.line(
                        json!({"found": "damage", "file": file, "error": error}),
                        format_args!("snapshot {file}: DAMAGE: {error}"),
                    )?;
                }
            }
        }
        self.log_range(disk, &part_of(path, "log"))
    }

    fn log_range(&mut self, disk: &Arc<dyn Disk>, dir: &Path) -> Result<(), InspectError> {
        let (mut first, mut last, mut entries, mut bytes) = (None, 0, 0_u64, 0_u64);
        for item in log_records(disk, dir)? {
            match &item.found {
                Found::Record(Record::Entry(entry)) => {
                    first.get_or_insert(entry.index);
                    last = entry.index;
                    entries += 1;
                    bytes += entry.data.len() as u64;
                }
                Found::Record(_) => {}
                Found::TornWrite(_) | Found::Damage(_) => self.log_item(&item)?,
            }
        }
        let dir = dir.display().to_string();
        self.line(
            json!({"found": "log", "dir": dir, "first_index": first, "last_index": last,
                   "entries": entries, "bytes": bytes}),
            match first {
                Some(first) => {
                    format!("log {dir}: {entries} entries, {first} to {last}, {bytes} bytes")
                }
                None => format!("log {dir}: no entries"),
            },
        )
    }

    /// A description, cut to a readable length unless it was asked for in full.
    fn shown(&self, mut text: String) -> String {
        if !self.full
            && let Some((cut, _)) = text.char_indices().nth(SHOWN_CHARS)
        {
            text.truncate(cut);
            text.push_str(" ...");
        }
        text
    }
}

/// A part of a data folder, whichever of the three levels was named.
fn part_of(path: &Path, part: &str) -> PathBuf {
    let inside = [path.join("tenure").join(part), path.join(part)];
    inside.into_iter().find(|dir| dir.is_dir()).unwrap_or_else(|| path.to_path_buf())
}
