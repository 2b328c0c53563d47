//! `tenure export`: a data folder that ZooKeeper 3.9 starts from.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tenure_replica::{Node, NodeKind, State};
use tenure_wire::{Acl, derived_password};
use tenure_zkdata::{Kind, SnapshotWriter, StoredStat};
use thiserror::Error;

use crate::BAD_FOLDER;
use crate::backup::file::{self, BackupError};
use crate::folder::{self, FolderStateError};

/// From what, and to where.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// A backup, or a data folder that no server uses
    #[arg(long, value_name = "FILE or DIR")]
    from: PathBuf,
    /// The folder to make: ZooKeeper's dataDir
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed while writing
  2  wrong usage
  3  the source cannot be used, or the target is not empty; nothing was written";

#[derive(Debug, Error)]
enum ExportError {
    #[error(transparent)]
    Folder(#[from] FolderStateError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("{} holds data already; nothing was changed", .0.display())]
    NotEmpty(PathBuf),
    #[error("writing {} failed: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What was written, for people.
struct Exported {
    path: PathBuf,
    znodes: usize,
    sessions: usize,
    /// Sessions whose clients hold a password that ZooKeeper would not give them.
    strangers: usize,
    ttls: usize,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match export(args) {
        Ok(exported) => {
            report(&exported);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tenure export: {error}");
            match error {
                ExportError::Write { .. } => ExitCode::FAILURE,
                _ => ExitCode::from(BAD_FOLDER),
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "what was done is what the command is run for")]
fn report(exported: &Exported) {
    let Exported { path, znodes, sessions, strangers, ttls } = exported;
    println!("wrote {}: {znodes} znodes and {sessions} sessions", path.display());
    if *strangers > 0 {
        println!(
            "note: {strangers} sessions were established by Tenure, whose passwords ZooKeeper does \
             not know: their clients need new ones, and their ephemerals go with their timeouts"
        );
    }
    if *ttls > 0 {
        println!("note: {ttls} znodes have a TTL: start ZooKeeper with extendedTypesEnabled=true");
    }
}

fn export(args: &Args) -> Result<Exported, ExportError> {
    let state = match args.from.is_dir() {
        true => folder::read_state(&args.from)?,
        false => file::read(&args.from)?.1,
    };
    let dir = args.to.join("version-2");
    let is_used = fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        return Err(ExportError::NotEmpty(dir));
    }
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ExportError::Write { path, source }
    };
    fs::create_dir_all(&dir).map_err(failed(&dir))?;
    // A server that starts does not take an unfinished one for a snapshot.
    let unfinished = dir.join("unfinished");
    write(&state, &unfinished).map_err(failed(&unfinished))?;
    let path = dir.join(format!("snapshot.{:x}", state.zxid().0));
    fs::rename(&unfinished, &path).map_err(failed(&path))?;
    let epoch = state.zxid().epoch();
    for name in ["currentEpoch", "acceptedEpoch"].iter().filter(|_| epoch > 0) {
        let path = dir.join(name);
        fs::write(&path, epoch.to_string()).map_err(failed(&path))?;
    }
    File::open(&dir).and_then(|dir| dir.sync_all()).map_err(failed(&dir))?;
    let is_stranger = |id| state.password_of(id) != Some(derived_password(id));
    let kinds = state.tree.iter().map(|(_, node)| node.kind());
    Ok(Exported {
        path,
        znodes: state.tree.len(),
        sessions: state.sessions.len(),
        strangers: state.sessions.iter().filter(|session| is_stranger(session.id)).count(),
        ttls: kinds.filter(|kind| matches!(kind, NodeKind::Ttl(_))).count(),
    })
}

/// Each ensemble's own members stand there.
const CONFIG: &str = "/zookeeper/config";

fn write(state: &State, path: &Path) -> io::Result<()> {
    let sessions: Vec<(i64, i32)> = state
        .sessions
        .iter()
        .map(|session| (session.id.0, i32::try_from(session.timeout_ms).unwrap_or(i32::MAX)))
        .collect();
    let mut numbers: BTreeMap<Vec<Acl<'_>>, usize> = BTreeMap::new();
    let mut nodes = BTreeMap::new();
    for (id, node) in state.tree.iter() {
        let next = numbers.len();
        let number = *numbers.entry(state.tree.acl(node)).or_insert(next);
        // By path, so that a parent stands before its children.
        nodes.insert(state.tree.path(id), (node, number));
    }
    let mut acls = vec![Vec::new(); numbers.len()];
    for (acl, number) in numbers {
        acls[number] = acl;
    }
    let out = BufWriter::new(File::create(path)?);
    let mut writer = SnapshotWriter::new(out, &sessions, &acls)?;
    for (path, (node, acl)) in &nodes {
        let stored = if path == "/" { "" } else { path };
        let stat = if path == CONFIG { StoredStat::default() } else { stat_of(node) };
        let data = if path == CONFIG { Some(&b""[..]) } else { node.data() };
        writer.znode(stored, data, *acl, &stat)?;
    }
    writer.finish(state.zxid().0)?.into_inner()?.sync_all()
}

fn stat_of(node: &Node) -> StoredStat {
    let stat = node.stat();
    let kind = match node.kind() {
        NodeKind::Persistent => Kind::Persistent,
        NodeKind::Ephemeral(session) => Kind::Ephemeral(session.0),
        NodeKind::Container => Kind::Container,
        NodeKind::Ttl(ttl_ms) => Kind::Ttl(ttl_ms),
    };
    StoredStat {
        czxid: stat.czxid.0,
        mzxid: stat.mzxid.0,
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        cversion: node.created_children(),
        aversion: stat.aversion,
        owner: kind.owner(),
        pzxid: stat.pzxid.0,
    }
}
