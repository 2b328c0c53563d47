//! Snapshots that were written, cut short and altered.

use super::*;
use crate::snapshot_writer::SnapshotWriter;
use crate::stat::Kind;

fn stat(kind: Kind, zxid: i64) -> StoredStat {
    StoredStat { cversion: 3, ..StoredStat::created(kind, zxid, 1000) }
}

/// A small one with everything in it, as 3.9 writes it.
fn written() -> Vec<u8> {
    let acls = [vec![Acl::OPEN], vec![Acl { perms: Perms::READ, ..Acl::OPEN }]];
    let mut writer = SnapshotWriter::new(Vec::new(), &[(7, 4000), (9, 6000)], &acls).unwrap();
    writer.znode("", Some(b""), 0, &StoredStat::default()).unwrap();
    writer.znode("/a", None, 1, &stat(Kind::Persistent, 5)).unwrap();
    writer.znode("/a/e", Some(b"x"), 0, &stat(Kind::Ephemeral(7), 6)).unwrap();
    writer.znode("/zookeeper", Some(b""), 0, &StoredStat::default()).unwrap();
    writer.finish(6).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let snapshot = decode_snapshot(&written()).unwrap();
    assert_eq!((snapshot.last_zxid, snapshot.without_acl.len()), (Some(6), 0));
    let (zxid, digest) = snapshot.digest.unwrap();
    assert_eq!((zxid, digest.version, digest.value), (6, 2, snapshot.tree.digest()));
    let tree = &snapshot.tree;
    assert_eq!(tree.sessions.keys().copied().collect::<Vec<_>>(), [7, 9]);
    assert_eq!(tree.sessions[&9], Session { timeout_ms: 6000, opened_ms: None });
    assert_eq!(tree.znodes["/a"].data, None);
    assert_eq!(tree.znodes["/a"].acl[0].perms, Perms::READ);
    assert_eq!(tree.znodes["/a/e"].stat, stat(Kind::Ephemeral(7), 6));
}

/// Where the parts end that older versions end with.
fn older(whole: &[u8]) -> [usize; 2] {
    let zxid_part = ZXID_BYTES + SEAL_BYTES;
    [whole.len() - zxid_part, whole.len() - zxid_part - DIGEST_BYTES - SEAL_BYTES]
}

#[test]
fn files_of_older_versions_end_earlier_and_all_others_are_cut_short() {
    let whole = written();
    for end in 0..whole.len() {
        let read = decode_snapshot(&whole[..end]);
        match older(&whole).iter().position(|older| *older == end) {
            Some(0) => assert_eq!(read.unwrap().last_zxid, None),
            Some(_) => assert_eq!(read.unwrap().digest, None),
            None => assert!(read.is_err(), "{end} of {}", whole.len()),
        }
    }
    let longer = [&whole[..], &[0; 3]].concat();
    let at = SnapshotError::Unknown { offset: older(&whole)[1] };
    assert_eq!(decode_snapshot(&longer).err(), Some(at));
}

#[test]
fn every_altered_byte_is_noticed() {
    let whole = written();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut altered = whole.clone();
            altered[at] ^= 1 << bit;
            assert!(decode_snapshot(&altered).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn contradictions_are_told_by_path() {
    let snapshot = |paths: &[&str], acl: usize| {
        let mut writer = SnapshotWriter::new(Vec::new(), &[], &[vec![Acl::OPEN]]).unwrap();
        for path in paths {
            writer.znode(path, None, acl, &StoredStat::default()).unwrap();
        }
        decode_snapshot(&writer.finish(0).unwrap())
    };
    let error = snapshot(&["", "/a/b"], 0).unwrap_err().to_string();
    assert!(error.contains("/a/b has no parent"), "{error}");
    let error = snapshot(&["", "/a", "/a"], 0).unwrap_err().to_string();
    assert!(error.contains("/a is there twice"), "{error}");
    assert_eq!(snapshot(&[], 0).err(), Some(SnapshotError::NoRoot));
    assert!(snapshot(&["a"], 0).unwrap_err().to_string().contains("no parent"));
    let lost = snapshot(&["", "/a"], 5).unwrap();
    assert_eq!(lost.without_acl, ["", "/a"]);
    assert_eq!(lost.tree.znodes["/a"].acl[0].perms, Perms(0));
    assert_eq!(decode_snapshot(b"ZKLG").err(), Some(SnapshotError::Header));
    assert_eq!(decode_snapshot(b"ZKSN\0\0\0\x03").err(), Some(SnapshotError::Version(3)));
}
