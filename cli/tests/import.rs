//! `tenure import`, `verify` and `export` on folders that ZooKeeper 3.9.5 has written, and on such
//! folders damaged. `cargo xtask import-check --keep cli/tests/zookeeper` writes them anew.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::hosted::{Hosted, SUPER_USER, arg, config, members, super_session, tenure};
use tempfile::TempDir;
use tenure_client::{Acl, Session, SessionToken, Stat};

/// Folders with plain snapshots and with compressed ones.
const KINDS: [&str; 3] = ["plain", "gz", "snappy"];

fn golden(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zookeeper").join(kind)
}

/// A copy of a folder that may be damaged.
fn copy(kind: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().join("version-2");
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(golden(kind).join("version-2")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    copy
}

/// Imports into a new folder below `place`: exit code, what was printed, and where to.
fn import(from: &Path, place: &Path, more: &[&str]) -> (i32, String, PathBuf) {
    let to = place.join("imported");
    let words = [&["import", "--from", arg(from), "--to", arg(&to)], more].concat();
    let (code, printed, complaint) = tenure(&words);
    (code, printed + &complaint, to)
}

fn known(kind: &str) -> (SessionToken, Vec<String>, i64) {
    let text = fs::read_to_string(golden(kind).join("known.json")).unwrap();
    let known: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let token = text(&known["token"]).parse().unwrap();
    let ephemerals = known["ephemerals"].as_array().unwrap().iter().map(text).collect();
    let zxid = text(&known["last_zxid"]);
    (token, ephemerals, i64::from_str_radix(zxid.trim_start_matches("0x"), 16).unwrap())
}

/// Every znode as the server shows it to a super user, one a line, as in `znodes.txt`.
async fn served(hosts: &str) -> String {
    let session = super_session(hosts).establish().await.unwrap();
    let mut paths = vec!["/".to_owned()];
    let mut text = String::new();
    while let Some(path) = paths.pop() {
        let node = session.get(&path).await.unwrap();
        let acl = session.acl(&path).await.unwrap().acl;
        let mut children = session.children(&path).await.unwrap().names;
        children.sort_unstable_by(|one, other| other.cmp(one));
        let prefix = path.trim_end_matches('/');
        paths.extend(children.into_iter().map(|name| format!("{prefix}/{name}")));
        let quoted = format!("\"{}\"", node.data.escape_ascii());
        let data = if node.is_null { "null".to_owned() } else { quoted };
        text += &format!("{path} {data} {} {}\n", stat(&node.stat), list(&acl));
    }
    session.close().await.unwrap();
    text
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

/// What ZooKeeper served, line by line, apart from the znode that each ensemble has for itself.
fn assert_same(found: &str, kind: &str) {
    let expected = fs::read_to_string(golden(kind).join("znodes.txt")).unwrap();
    assert_eq!(found.lines().count(), expected.lines().count());
    for (found, expected) in found.lines().zip(expected.lines()) {
        if !expected.starts_with("/zookeeper/config ") {
            assert_eq!(found, expected);
        }
    }
}

#[tokio::test]
async fn what_zookeeper_served_is_served_and_its_session_goes_on() {
    for kind in KINDS {
        let place = tempfile::tempdir().unwrap();
        let (code, printed, to) = import(&golden(kind), place.path(), &[]);
        assert_eq!(code, 0, "{printed}");
        assert!(!printed.contains("LOST"), "{printed}");
        let server = Hosted::on(&to);
        assert_same(&served(&server.hosts()).await, kind);

        let (token, ephemerals, last_zxid) = known(kind);
        let session = Session::resume(&server.hosts(), token.clone()).await.unwrap();
        assert_eq!(session.id(), token.id());
        assert_eq!(session.timeout(), token.timeout());
        assert_eq!(session.ephemerals("/").await.unwrap(), ephemerals);
        let created = session.create("/app/s-", "").sequential().await.unwrap();
        assert_eq!(created.path, "/app/s-0000000013", "counting goes on");
        let stat = session.exists(&created.path).await.unwrap().unwrap();
        assert!(stat.czxid.0 > last_zxid);
        let usage = session.get("/zookeeper/quota/app/zookeeper_stats").await.unwrap();
        assert_eq!(usage.data, "count=17,bytes=27", "one more is counted");
        session.close().await.unwrap();
        let other = server.session().await;
        assert_eq!(other.exists("/app/members/one").await.unwrap(), None, "it went with its owner");
        assert!(other.id() > token.id(), "no id is given twice");
        other.close().await.unwrap();
    }
}

#[test]
fn kinds_of_znodes_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let (_, _, to) = import(&golden("plain"), place.path(), &[]);
    let (code, shown, _) = tenure(&["inspect", "snapshot", arg(&to)]);
    assert_eq!(code, 0);
    let line = |path: &str| shown.lines().find(|line| line.contains(path)).unwrap().to_owned();
    assert!(line("znode /app/tasks:").ends_with(", container"), "{shown}");
    assert!(line("znode /app/lease:").ends_with(", TTL 3600000 ms"), "{shown}");
    assert!(line("znode /app/members/one:").contains(", ephemeral of 0x"), "{shown}");
    assert!(line("session 0x").contains("timeout 40000 ms, 2 ephemerals"), "{shown}");
}

#[tokio::test]
async fn three_members_start_from_one_imported_folder() {
    let place = tempfile::tempdir().unwrap();
    let folders: Vec<PathBuf> = (1..=3)
        .map(|id| {
            let (code, printed, to) =
                import(&golden("plain"), &place.path().join(id.to_string()), &[]);
            assert_eq!(code, 0, "{printed}");
            to
        })
        .collect();
    let servers = members(&folders);
    let (token, ephemerals, last_zxid) = known("plain");
    for server in &servers {
        assert_same(&served(&server.hosts()).await, "plain");
        let session = Session::resume(&server.hosts(), token.clone()).await.unwrap();
        assert_eq!(session.ephemerals("/").await.unwrap(), ephemerals);
        session.leave();
    }
    let session = servers[0].session().await;
    session.create("/new", "").await.unwrap();
    let members = session.get("/zookeeper/config").await.unwrap();
    assert!(String::from_utf8_lossy(&members.data).contains("server.3="), "{members:?}");
    for server in &servers {
        let session = server.session().await;
        session.sync("/new").await.unwrap();
        assert!(session.exists("/new").await.unwrap().unwrap().czxid.0 > last_zxid);
        session.close().await.unwrap();
    }
}

#[test]
fn a_damaged_snapshot_is_passed_over_and_nothing_is_lost() {
    let (source, place) = (copy("plain"), tempfile::tempdir().unwrap());
    let newest = source.path().join("version-2/snapshot.5f");
    let whole = fs::read(&newest).unwrap();
    for damaged in [&whole[..whole.len() / 2], &[&whole[..900], b"x", &whole[901..]].concat(), b""]
    {
        fs::write(&newest, damaged).unwrap();
        let folder = place.path().join(damaged.len().to_string());
        let (code, printed, to) = import(source.path(), &folder, &[]);
        assert_eq!(code, 0, "{printed}");
        assert!(printed.contains("note: snapshot.5f: passed over"), "{printed}");
        assert!(printed.contains("read snapshot.4b"), "{printed}");
        let whole = arg(&golden("plain")).to_owned();
        let (code, said, _) = tenure(&["verify", &whole, arg(&to)]);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn a_damaged_log_is_told_by_file_and_offset_and_nothing_is_written() {
    let (source, place) = (copy("plain"), tempfile::tempdir().unwrap());
    let log = source.path().join("version-2/log.61");
    let mut bytes = fs::read(&log).unwrap();
    let hit = bytes.windows(6).position(|bytes| bytes == b"/many/").unwrap();
    bytes[hit] ^= 1;
    fs::write(&log, bytes).unwrap();
    let (code, printed, to) = import(source.path(), place.path(), &[]);
    assert_eq!(code, 3, "{printed}");
    assert!(printed.contains("LOST: log.61, offset "), "{printed}");
    assert!(printed.contains("does not match its checksum"), "{printed}");
    assert!(printed.contains("1 changes before this one are missing: zxid 0x6"), "{printed}");
    assert!(printed.contains("--allow-damage"), "{printed}");
    assert!(!to.exists(), "nothing was written");

    let (code, lines, to) = import(source.path(), place.path(), &["--allow-damage", "--json"]);
    assert_eq!(code, 0, "{lines}");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let loss = lines.iter().find(|line| line["found"] == "loss").unwrap();
    assert_eq!((&loss["file"], loss["offset"].is_u64()), (&Value::from("log.61"), true));
    assert!(lines.last().unwrap()["losses"].as_u64().unwrap() > 0);
    let (code, said, _) = tenure(&["verify", arg(&to), arg(&to)]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_torn_end_was_acknowledged_to_nobody_and_is_told() {
    let (source, place) = (copy("plain"), tempfile::tempdir().unwrap());
    let log = source.path().join("version-2/log.61");
    let bytes = fs::read(&log).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    // The last record loses its end, as when the power goes.
    fs::write(&log, [&bytes[..end - 5], &[0; 500][..]].concat()).unwrap();
    let (code, printed, _) = import(source.path(), place.path(), &[]);
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("note: log.61, offset "), "{printed}");
    assert!(printed.contains("acknowledged to nobody"), "{printed}");
}

#[test]
fn a_log_that_is_missing_is_noticed() {
    let (source, place) = (copy("plain"), tempfile::tempdir().unwrap());
    fs::remove_file(source.path().join("version-2/snapshot.5f")).unwrap();
    fs::remove_file(source.path().join("version-2/log.4d")).unwrap();
    let (code, printed, _) = import(source.path(), place.path(), &[]);
    assert_eq!(code, 3, "{printed}");
    let expected =
        "LOST: log.61, offset 16: 20 changes before this one are missing: zxid 0x4d to 0x60";
    assert!(printed.contains(expected), "{printed}");

    // Without any snapshot, what the logs begin with is missing.
    fs::remove_file(source.path().join("version-2/snapshot.4b")).unwrap();
    let (code, printed, _) = import(source.path(), place.path(), &[]);
    assert_eq!(code, 3, "{printed}");
    assert!(
        printed.contains("56 changes before this one are missing: zxid 0x1 to 0x38"),
        "{printed}"
    );
    assert!(printed.contains("its parent is missing"), "{printed}");
}

#[test]
fn a_snapshot_newer_than_the_logs_cannot_be_passed_over() {
    let (source, place) = (copy("gz"), tempfile::tempdir().unwrap());
    let snapshot = source.path().join("version-2/snapshot.61.gz");
    let bytes = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, &bytes[..bytes.len() - 9]).unwrap();
    fs::remove_file(source.path().join("version-2/log.63")).unwrap();
    let (code, printed, _) = import(source.path(), place.path(), &[]);
    assert_eq!(code, 3, "{printed}");
    assert!(printed.contains("note: snapshot.61.gz: passed over"), "{printed}");
    assert!(printed.contains("LOST: "), "{printed}");
}

#[test]
fn other_folders_and_full_targets_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let (code, printed, _) = import(place.path(), place.path(), &[]);
    assert_eq!(code, 3);
    assert!(printed.contains("holds no files of ZooKeeper"), "{printed}");
    let (code, printed, _) = import(&place.path().join("none"), place.path(), &[]);
    assert_eq!(code, 3, "{printed}");
    let foreign = place.path().join("version-2");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("log.1"), "these are no changes").unwrap();
    fs::write(foreign.join("snapshot.0"), "and this is no snapshot").unwrap();
    let (code, printed, _) = import(place.path(), place.path(), &[]);
    assert_eq!(code, 3);
    assert!(printed.contains("does not start with the header of a ZooKeeper log"), "{printed}");

    let (code, _, to) = import(&golden("plain"), place.path(), &[]);
    assert_eq!(code, 0);
    let before = fs::read_dir(to.join("tenure/snapshots")).unwrap().count();
    let (code, printed, _) = import(&golden("plain"), place.path(), &[]);
    assert_eq!(code, 3);
    assert!(printed.contains("holds data already"), "{printed}");
    assert_eq!(fs::read_dir(to.join("tenure/snapshots")).unwrap().count(), before);
    let server = Hosted::on(&to);
    let (code, printed, _) = import(&golden("plain"), place.path(), &[]);
    assert_eq!(code, 3);
    assert!(printed.contains("in use by another process"), "{printed}");
    drop(server);
}

#[test]
fn what_is_exported_for_zookeeper_is_what_was_imported_from_it() {
    for kind in KINDS {
        let place = tempfile::tempdir().unwrap();
        let (_, _, to) = import(&golden(kind), place.path(), &[]);
        let back = place.path().join("back");
        let (code, printed, complaint) =
            tenure(&["export", "--from", arg(&to), "--to", arg(&back)]);
        assert_eq!(code, 0, "{complaint}");
        assert!(printed.contains("64 znodes and 1 sessions"), "{printed}");
        assert!(!printed.contains("established by Tenure"), "{printed}");
        let (code, said, _) = tenure(&["verify", arg(&golden(kind)), arg(&back)]);
        assert_eq!(code, 0, "{said}");
        let (code, _, complaint) = tenure(&["export", "--from", arg(&to), "--to", arg(&back)]);
        assert!(code == 3 && complaint.contains("holds data already"), "{complaint}");
    }
}

#[tokio::test]
async fn verify_tells_every_difference_by_path() {
    let place = tempfile::tempdir().unwrap();
    let (_, _, to) = import(&golden("plain"), place.path(), &[]);
    let server = Hosted::on(&to);
    let hosts = server.hosts();
    let source = golden("plain");
    let verify = |more: &[&str]| tenure(&[&["verify", arg(&source), &hosts], more].concat());
    let (code, said, _) = verify(&["--auth", SUPER_USER]);
    assert_eq!((code, said.trim()), (0, "64 znodes compared: no differences"));
    let (code, said, _) = verify(&[]);
    assert_eq!(code, 1);
    assert!(said.contains("/app/secret: not compared, for it may not be read"), "{said}");

    let session = server.session().await;
    session.set("/app", "other").await.unwrap();
    session.create("/only-here", "").await.unwrap();
    session.set_acl("/app/tasks", &[Acl::OPEN, Acl::OPEN]).await.unwrap();
    session.delete("/many/1").await.unwrap();
    let (code, said, _) = verify(&["--auth", SUPER_USER]);
    assert_eq!(code, 1);
    for expected in [
        "/app: data: 5 bytes \"third\" / 5 bytes \"other\"",
        "/app: version: 2 / 3",
        "/: child: none / only-here",
        "/app/tasks: aversion: 0 / 1",
        "/many: child: 1 / none",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    let (code, said, _) = verify(&["--auth", SUPER_USER, "--json", "--ignore", "/app"]);
    assert_eq!(code, 1);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["path"] != "/app"), "{said}");
    assert_eq!(lines.last().unwrap()["found"], "done");
    session.close().await.unwrap();

    drop(server);
    let (code, _, complaint) = verify(&["--wait", "300"]);
    assert!(code == 3, "{complaint}");
    let (code, _, complaint) = tenure(&["verify", "nothing", arg(&to)]);
    assert!(code == 3 && complaint.contains("is no HOST:PORT"), "{complaint}");
    // A server has written behind the snapshot.
    let (code, _, complaint) = tenure(&["verify", arg(&to), arg(&source)]);
    assert!(code == 3 && complaint.contains("the log goes on behind"), "{complaint}");
}

#[test]
fn the_log_may_lie_elsewhere_on_both_sides() {
    let (source, place) = (copy("plain"), tempfile::tempdir().unwrap());
    let logs = place.path().join("logs/version-2");
    fs::create_dir_all(&logs).unwrap();
    for log in ["log.39", "log.4d", "log.61"] {
        fs::rename(source.path().join("version-2").join(log), logs.join(log)).unwrap();
    }
    let (code, printed, _) = import(source.path(), &place.path().join("a"), &[]);
    assert_eq!(code, 0, "a snapshot alone is a state, if an older one: {printed}");
    let (log_dir, to_log) = (place.path().join("logs"), place.path().join("to-log"));
    let more = ["--log-dir", arg(&log_dir), "--to-log-dir", arg(&to_log)];
    let (code, printed, to) = import(source.path(), &place.path().join("b"), &more);
    assert_eq!(code, 0, "{printed}");
    assert!(to_log.join("tenure/log").is_dir() && !to.join("tenure/log").exists());
    let mut config = config(&to);
    config.data_log_dir = to_log;
    tenure_server::start(&config).unwrap().stop().unwrap();
}
