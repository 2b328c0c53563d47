//! Small folders that ZooKeeper wrote, with what it served from them: for tests where there is no
//! Java.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tenure_client::{Acl, Session, Stat};

use super::seed::{SUPER_USER, Seeded};
use super::{COMPRESSIONS, Place, block_on, fresh, seeded};
use crate::repository;

/// Zeros that stay behind the last record of a log, of those that are allocated ahead.
const ZEROS_KEPT: usize = 64;

/// Writes one for each way of compressing snapshots.
pub(super) fn write(keep: &Path) -> anyhow::Result<()> {
    for compression in COMPRESSIONS {
        let name = if compression.is_empty() { "plain" } else { compression };
        let folder = fresh(&repository().join("target/import-check").join(name))?;
        let source = Place::new(&folder, "source")?;
        let Seeded { token, ephemerals, last_zxid } = seeded(&source, compression)?;
        let to = fresh(&keep.join(name))?;
        // Two snapshots in one of the folders, so that one of them may be damaged.
        let snapshots = if compression.is_empty() { 2 } else { 1 };
        copy(&source.data.join("version-2"), &to.join("version-2"), snapshots)?;
        let known = serde_json::json!({"token": token.to_string(), "ephemerals": ephemerals,
            "last_zxid": last_zxid.to_string()});
        fs::write(to.join("known.json"), format!("{known:#}\n"))?;
        let server = source.zookeeper(compression)?;
        fs::write(to.join("znodes.txt"), block_on(served(&source.address.to_string()))?)?;
        server.stop()?;
        println!("wrote {}", to.display());
    }
    Ok(())
}

/// Copies the newest snapshots and the logs that go on from the oldest of them.
fn copy(from: &Path, to: &Path, snapshots: usize) -> anyhow::Result<()> {
    fs::create_dir(to)?;
    let zxid = |path: &Path, prefix: &str| {
        let name = path.file_name()?.to_str()?.strip_prefix(prefix)?;
        i64::from_str_radix(name.split('.').next()?, 16).ok()
    };
    let named = |prefix: &str| -> anyhow::Result<Vec<(i64, PathBuf)>> {
        let paths = fs::read_dir(from)?.flatten().map(|entry| entry.path());
        let mut found: Vec<_> =
            paths.filter_map(|path| Some((zxid(&path, prefix)?, path))).collect();
        found.sort();
        Ok(found)
    };
    let all = named("snapshot.")?;
    let kept = &all[all.len().saturating_sub(snapshots)..];
    let oldest = kept.first().context("there is no snapshot")?.0;
    let logs = named("log.")?;
    let first = logs.iter().rposition(|(zxid, _)| *zxid <= oldest).unwrap_or(0);
    for (_, path) in kept.iter().chain(&logs[first..]) {
        let mut bytes = fs::read(path)?;
        if path.starts_with(from) && zxid(path, "log.").is_some() {
            let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(written + ZEROS_KEPT);
        }
        fs::write(to.join(path.file_name().context("it has a name")?), bytes)?;
    }
    Ok(())
}

/// Every znode as the server shows it to a super user, one a line.
async fn served(hosts: &str) -> anyhow::Result<String> {
    let (scheme, shown) = SUPER_USER.split_once(':').context("it names a scheme")?;
    let session = Session::builder(hosts).auth(scheme, shown).establish().await?;
    let mut paths = vec!["/".to_owned()];
    let mut text = String::new();
    while let Some(path) = paths.pop() {
        let node = session.get(&path).await?;
        let acl = session.acl(&path).await?.acl;
        let mut children = session.children(&path).await?.names;
        children.sort_unstable_by(|one, other| other.cmp(one));
        let prefix = path.trim_end_matches('/');
        paths.extend(children.into_iter().map(|name| format!("{prefix}/{name}")));
        let data = if node.is_null { "null".to_owned() } else { quoted(&node.data) };
        writeln!(text, "{path} {data} {} {}", stat(&node.stat), list(&acl))?;
    }
    session.close().await?;
    Ok(text)
}

fn quoted(data: &[u8]) -> String {
    format!("\"{}\"", data.escape_ascii())
}

fn stat(stat: &Stat) -> String {
    let Stat { czxid, mzxid, ctime, mtime, version, cversion, aversion, .. } = stat;
    let Stat { ephemeral_owner, data_length, num_children, pzxid, .. } = stat;
    format!(
        "{czxid} {mzxid} {pzxid} {ctime} {mtime} {version} {cversion} {aversion} \
         {ephemeral_owner:#x} {data_length} {num_children}"
    )
}

fn list(acls: &[Acl<'_>]) -> String {
    let entries = acls.iter().map(|acl| format!("{}:{}:{}", acl.scheme, acl.id, acl.perms.0));
    entries.collect::<Vec<_>>().join(",")
}
