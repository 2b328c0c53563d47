//! Which files a ZooKeeper folder holds, and the tree that they make together: the newest usable
//! snapshot, then every change that the logs have after it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tenure_zkdata::{Compression, Snapshot, Tree, decode_snapshot, unpack};
use thiserror::Error;

use super::findings::Findings;
use super::replay::{Replay, describe};

/// Why nothing at all can be read.
#[derive(Debug, Error)]
pub(crate) enum FolderError {
    #[error("{} failed for {}: {source}", op, path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} holds no files of ZooKeeper: neither snapshot.* nor log.*, nor a folder version-2 with \
         some",
        .0.display()
    )]
    NoData(PathBuf),
}

/// What a folder came to.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) tree: Tree,
    /// The last change.
    pub(crate) zxid: i64,
    /// The highest epoch that a member of the ensemble has agreed to.
    pub(crate) epoch: u32,
    pub(crate) findings: Findings,
    /// The snapshot that was used, if there was one.
    pub(crate) snapshot: Option<String>,
    /// Changes that were taken from the logs.
    pub(crate) replayed: u64,
}

/// A file and the zxid in its name.
struct Named {
    zxid: i64,
    name: String,
    path: PathBuf,
}

/// Reads the folder of a server, and that of its logs if they are kept apart.
pub(crate) fn read(data_dir: &Path, log_dir: &Path) -> Result<Contents, FolderError> {
    let (data_dir, log_dir) = (files_of(data_dir), files_of(log_dir));
    let mut snapshots = list(&data_dir, "snapshot.")?;
    let logs = list(&log_dir, "log.")?;
    if snapshots.is_empty() && logs.is_empty() {
        return Err(FolderError::NoData(data_dir));
    }
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.zxid));
    let mut findings = Findings::default();
    let newest = snapshots.first().map_or(0, |newest| newest.zxid);
    let found = newest_usable(&snapshots, &mut findings)?;
    let (mut replay, snapshot) = match found {
        Some((named, snapshot)) => {
            let without_acl = snapshot.without_acl.iter();
            findings.list(
                true,
                without_acl.map(|path| {
                    let path = shown(path);
                    format!("{path}: its ACL is not in {}; nobody is let in now", named.name)
                }),
            );
            (Replay::new(snapshot, named.zxid), Some(named.name.clone()))
        }
        None => (Replay::from_nothing(), None),
    };
    replay.logs(needed(&logs, replay.zxid()), &mut findings)?;
    if replay.zxid() < newest {
        let what = format!(
            "changes up to {} were made, as the names of snapshots tell, but the usable ones and \
             the logs end at {}",
            describe(newest),
            describe(replay.zxid())
        );
        findings.loss(None, what);
    }
    let replayed = replay.replayed();
    let (tree, zxid) = replay.finish(&mut findings);
    let epoch = ["currentEpoch", "acceptedEpoch"].map(|name| epoch_in(&data_dir.join(name)));
    let epoch = epoch.into_iter().max().unwrap_or(0);
    Ok(Contents { tree, zxid, epoch, findings, snapshot, replayed })
}

/// The bytes of a file.
pub(super) fn bytes_of(path: &Path) -> Result<Vec<u8>, FolderError> {
    let failed = |source| FolderError::Io { op: "reading", path: path.to_path_buf(), source };
    fs::read(path).map_err(failed)
}

/// As znodes are shown: the root has a name.
pub(super) fn shown(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// Where the files lie: below the configured folder, or in the one that was named.
fn files_of(dir: &Path) -> PathBuf {
    let below = dir.join("version-2");
    if below.is_dir() { below } else { dir.to_path_buf() }
}

fn list(dir: &Path, prefix: &str) -> Result<Vec<Named>, FolderError> {
    let failed = |source| FolderError::Io { op: "listing", path: dir.to_path_buf(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let hex = rest.strip_suffix(Compression::of_name(&name).suffix()).unwrap_or(rest);
        // Others' files, such as unfinished ones, have other names.
        let Ok(zxid) = i64::from_str_radix(hex, 16) else { continue };
        found.push(Named { zxid, name, path });
    }
    found.sort_by_key(|named| named.zxid);
    Ok(found)
}

/// The newest snapshot that is whole.
fn newest_usable<'a>(
    snapshots: &'a [Named],
    findings: &mut Findings,
) -> Result<Option<(&'a Named, Snapshot)>, FolderError> {
    for named in snapshots {
        let bytes = bytes_of(&named.path)?;
        let unpacked = unpack(&bytes, Compression::of_name(&named.name));
        let unpacked = unpacked.map_err(|error| error.to_string());
        let decoded =
            unpacked.and_then(|bytes| decode_snapshot(&bytes).map_err(|error| error.to_string()));
        match decoded {
            Ok(snapshot) => return Ok(Some((named, snapshot))),
            Err(error) => {
                let what = format!("passed over, for it is damaged or unfinished: {error}");
                findings.note(Some((&named.name, None)), what);
            }
        }
    }
    Ok(None)
}

/// The logs that may have changes after this one, oldest first.
fn needed(logs: &[Named], after: i64) -> Vec<(&str, &Path)> {
    let begins = logs.iter().rposition(|log| log.zxid <= after).unwrap_or(0);
    logs[begins..].iter().map(|log| (log.name.as_str(), log.path.as_path())).collect()
}

/// The number in a file of an epoch; 0 if there is no such file, as on a server by itself.
fn epoch_in(path: &Path) -> u32 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}
