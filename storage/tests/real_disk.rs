//! The log, the snapshots and the locks on the machine's own file system.

use std::sync::Arc;

use tenure_storage::snapshots::{self, SnapshotMeta, SnapshotReader, SnapshotWriter};
use tenure_storage::{
    DataFolder, Entry, HardState, LockError, Log, LogOptions, OpenError, RealDisk, recover,
};

fn entry(index: u64, term: u64, data: &str) -> Entry {
    Entry { index, term, kind: 0, data: data.as_bytes().to_vec().into() }
}

fn small() -> LogOptions {
    LogOptions { segment_bytes: 4 << 10, ..LogOptions::default() }
}

#[test]
fn what_was_appended_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::shared();
    let state = HardState { term: 1, vote: 1, commit: 0, catching_up: true };
    let (mut log, found) = Log::open(Arc::clone(&disk), dir.path(), small()).unwrap();
    assert!(found.entries.is_empty() && found.hard_state.is_none() && found.notes.is_empty());
    for index in 1..=200 {
        let state = HardState { commit: index - 1, ..state };
        log.append(Some(state), &[entry(index, 1, &format!("operation {index}"))]).unwrap();
        log.sync().unwrap();
        while index % 50 == 0 && log.prepare_next().unwrap() {}
    }
    drop(log);
    let (log, found) = Log::open(disk, dir.path(), small()).unwrap();
    assert_eq!(found.hard_state, Some(HardState { commit: 199, ..state }));
    assert_eq!(found.notes, Vec::<String>::new());
    assert_eq!(log.last_index(), 200);
    let expected: Vec<Entry> =
        (1..=200).map(|index| entry(index, 1, &format!("operation {index}"))).collect();
    assert_eq!(found.entries, expected);
}

#[test]
fn a_later_record_replaces_the_tail() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::shared();
    let (mut log, _) = Log::open(Arc::clone(&disk), dir.path(), small()).unwrap();
    log.append(None, &[entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")]).unwrap();
    log.append(None, &[entry(2, 2, "B")]).unwrap();
    log.sync().unwrap();
    let (_, found) = Log::open(disk, dir.path(), small()).unwrap();
    assert_eq!(found.entries, [entry(1, 1, "a"), entry(2, 2, "B")]);
}

#[test]
fn a_snapshot_and_the_log_after_it_are_recovered_together() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::shared();
    let (log_dir, snap_dir) = (dir.path().join("log"), dir.path().join("snapshots"));
    let mut log = recover(&disk, &snap_dir, &log_dir, &small()).unwrap().log;
    let entries: Vec<Entry> = (1..=100).map(|index| entry(index, 1, &"x".repeat(300))).collect();
    for entry in &entries {
        log.append(None, std::slice::from_ref(entry)).unwrap();
    }
    log.sync().unwrap();
    let meta = SnapshotMeta { index: 60, term: 1, zxid: 0x1_0000_0001, extra: vec![7] };
    let mut writer = SnapshotWriter::create(Arc::clone(&disk), &snap_dir, &meta).unwrap();
    let chunks = [vec![1; 100_000], b"short".to_vec(), Vec::new()];
    chunks.iter().for_each(|chunk| writer.chunk(chunk).unwrap());
    let path = writer.finish().unwrap();
    let files = disk.list(&log_dir).unwrap().len();
    log.cut_before(61).unwrap();
    assert!(disk.list(&log_dir).unwrap().len() < files, "whole files before the snapshot go");
    drop(log);

    let found = recover(&disk, &snap_dir, &log_dir, &small()).unwrap();
    assert_eq!(found.snapshot.as_ref().map(|found| &found.meta), Some(&meta));
    assert_eq!(found.entries, entries[60..]);
    let mut reader = SnapshotReader::open(&disk, &path).unwrap();
    for chunk in chunks {
        assert_eq!(reader.next_chunk().unwrap(), Some(chunk));
    }
    assert_eq!(reader.next_chunk().unwrap(), None);

    // Without the snapshot the log does not reach back far enough.
    std::fs::remove_file(&path).unwrap();
    let error = recover(&disk, &snap_dir, &log_dir, &small()).err().unwrap();
    assert!(matches!(error, OpenError::Gap { snapshot_index: 0, .. }), "{error}");
}

#[test]
fn a_snapshot_without_any_log_is_refused_unless_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::shared();
    let (log_dir, snap_dir) = (dir.path().join("log"), dir.path().join("snapshots"));
    let meta = SnapshotMeta { index: 9, ..SnapshotMeta::default() };
    SnapshotWriter::create(Arc::clone(&disk), &snap_dir, &meta).unwrap().finish().unwrap();
    let error = recover(&disk, &snap_dir, &log_dir, &small()).err().unwrap();
    assert!(matches!(error, OpenError::LogMissing { snapshot_index: 9, .. }), "{error}");
    let options = LogOptions { accept_missing_log: true, ..small() };
    let found = recover(&disk, &snap_dir, &log_dir, &options).unwrap();
    assert_eq!(found.log.last_index(), 9);
}

#[test]
fn the_newest_snapshots_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::shared();
    for index in 1..=5 {
        let meta = SnapshotMeta { index, ..SnapshotMeta::default() };
        let writer = SnapshotWriter::create(Arc::clone(&disk), dir.path(), &meta).unwrap();
        writer.finish().unwrap();
    }
    let unfinished = SnapshotMeta { index: 6, ..SnapshotMeta::default() };
    drop(SnapshotWriter::create(Arc::clone(&disk), dir.path(), &unfinished).unwrap());
    assert_eq!(snapshots::remove_leftovers(&disk, dir.path()).unwrap().len(), 1);
    assert_eq!(snapshots::purge(&disk, dir.path(), 3).unwrap().len(), 2);
    let left = snapshots::list(&disk, dir.path()).unwrap();
    assert_eq!(left.len(), 3);
    let (path, meta) = snapshots::newest_valid(&disk, dir.path()).unwrap().unwrap();
    assert_eq!((path, meta.index), (left[0].clone(), 5));
}

#[test]
fn a_data_folder_serves_one_process_and_one_format() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("version-2")).unwrap();
    let folder = DataFolder::open(dir.path(), dir.path()).unwrap();
    assert_eq!(folder.notes().len(), 1, "the ZooKeeper folder beside ours is mentioned");
    match DataFolder::open(dir.path(), dir.path()).unwrap_err() {
        LockError::InUse { pid, .. } => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other}"),
    }
    drop(folder);
    let other_log = tempfile::tempdir().unwrap();
    drop(DataFolder::open(dir.path(), other_log.path()).unwrap());

    let version = dir.path().join("tenure/VERSION");
    std::fs::write(&version, "tenure 2\n").unwrap();
    let error = DataFolder::open(dir.path(), dir.path()).unwrap_err();
    assert!(matches!(&error, LockError::Version { found, .. } if found == "tenure 2"), "{error}");
    std::fs::remove_file(&version).unwrap();
    std::fs::create_dir_all(dir.path().join("tenure/snapshots/x")).unwrap();
    let error = DataFolder::open(dir.path(), dir.path()).unwrap_err();
    assert!(matches!(error, LockError::NoVersion { .. }), "{error}");
}
