//! Files that ZooKeeper 3.9.5 has written: read, replayed with its own digests as the judge, cut
//! short and altered.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use tenure_zkdata::{
    Compression, LogItem, LogScanner, SnapshotWriter, Tree, decode_snapshot, is_digest_known,
    unpack,
};

fn folder(kind: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/zookeeper");
    tests.join(kind).join("version-2")
}

/// The names in a folder that start so, by the zxids that they end with.
fn names(kind: &str, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(folder(kind)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

fn bytes(kind: &str, name: &str) -> Vec<u8> {
    fs::read(folder(kind).join(name)).unwrap()
}

fn snapshot(kind: &str, name: &str) -> Tree {
    let packed = bytes(kind, name);
    let unpacked = unpack(&packed, Compression::of_name(name)).unwrap();
    decode_snapshot(&unpacked).unwrap().tree
}

fn zxid_of(name: &str) -> i64 {
    i64::from_str_radix(name.split('.').nth(1).unwrap(), 16).unwrap()
}

#[test]
fn after_every_change_the_tree_comes_to_the_digest_in_the_log() {
    for kind in ["plain", "gz", "snappy"] {
        let name = names(kind, "snapshot.").remove(0);
        let mut tree = snapshot(kind, &name);
        let (base, mut compared, mut misfits) = (zxid_of(&name), 0, Vec::new());
        for log in names(kind, "log.") {
            let bytes = bytes(kind, &log);
            for item in LogScanner::new(&bytes).unwrap() {
                let LogItem::Record(record) = item else { panic!("{item:?}") };
                if record.header.zxid <= base {
                    continue;
                }
                misfits.clear();
                tree.apply(&record.header, record.txn, &mut misfits);
                let Some(digest) = record.digest.filter(|digest| is_digest_known(*digest)) else {
                    continue;
                };
                // What a snapshot holds of later changes goes for the changes in between.
                if compared > 0 || tree.digest() == digest.value {
                    assert_eq!(tree.digest(), digest.value, "{kind} {:#x}", record.header.zxid);
                    compared += 1;
                }
            }
        }
        assert!(compared > 10, "{kind}: {compared} digests");
    }
}

#[test]
fn what_is_written_again_is_the_same_file_but_for_the_order() {
    let name = "snapshot.5f";
    let tree = snapshot("plain", name);
    let sessions: Vec<_> = tree.sessions.iter().map(|(id, s)| (*id, s.timeout_ms)).collect();
    let mut acls: Vec<_> = tree.znodes.values().map(|znode| znode.acl.to_vec()).collect();
    acls.sort();
    acls.dedup();
    let mut writer = SnapshotWriter::new(Vec::new(), &sessions, &acls).unwrap();
    for (path, znode) in &tree.znodes {
        let acl = acls.iter().position(|acl| *acl == *znode.acl).unwrap();
        writer.znode(path, znode.data.as_deref(), acl, &znode.stat).unwrap();
    }
    let again = decode_snapshot(&writer.finish(0x5f).unwrap()).unwrap();
    assert_eq!(again.tree.znodes, tree.znodes);
    assert_eq!(again.tree.sessions, tree.sessions);
    assert_eq!(again.digest.unwrap().1.value, tree.digest());
}

#[test]
fn files_that_end_anywhere_are_refused_or_told() {
    for kind in ["plain", "gz", "snappy"] {
        let name = names(kind, "snapshot.").pop().unwrap();
        let whole = bytes(kind, &name);
        let compression = Compression::of_name(&name);
        // Two older forms of the file end where a part of it does.
        let mut accepted = 0;
        for end in 0..whole.len() {
            let read = unpack(&whole[..end], compression);
            accepted += u32::from(read.is_ok_and(|bytes| decode_snapshot(&bytes).is_ok()));
        }
        assert!(accepted <= 2, "{kind}: {accepted}");
        for log in names(kind, "log.") {
            let whole = bytes(kind, &log);
            let records = LogScanner::new(&whole).unwrap().count();
            for end in 4..whole.len() {
                let Ok(scanner) = LogScanner::new(&whole[..end]) else { continue };
                assert!(scanner.count() <= records + 1, "{kind} {log} {end}");
            }
        }
    }
}

#[test]
fn altered_files_are_refused_or_told() {
    for kind in ["plain", "gz", "snappy"] {
        let name = names(kind, "snapshot.").pop().unwrap();
        let whole = bytes(kind, &name);
        let compression = Compression::of_name(&name);
        let original = snapshot(kind, &name);
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1 << (at % 8);
            let Ok(unpacked) = unpack(&altered, compression) else { continue };
            // Bytes of a compressed file may mean nothing, such as a time in its header.
            if let Ok(read) = decode_snapshot(&unpacked) {
                assert_eq!(read.tree.znodes, original.znodes, "{kind} byte {at}");
            }
        }
        for log in names(kind, "log.") {
            let whole = bytes(kind, &log);
            let intact: Vec<_> = LogScanner::new(&whole).unwrap().collect();
            for at in (16..whole.len()).step_by(3) {
                let mut altered = whole.clone();
                altered[at] ^= 1 << (at % 8);
                let found: Vec<_> = LogScanner::new(&altered).unwrap().collect();
                assert_ne!(found, intact, "{kind} {log} byte {at}");
                let records = |items: &[LogItem]| {
                    items.iter().filter(|item| matches!(item, LogItem::Record(_))).count()
                };
                assert!(records(&found) + 1 >= records(&intact), "{kind} {log} byte {at}");
            }
        }
    }
}
