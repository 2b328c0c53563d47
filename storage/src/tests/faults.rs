//! A full or failing disk: named, survivable, and never at the cost of what was synced.

use super::*;
use crate::snapshots::{self, SnapshotMeta, SnapshotWriter};
use crate::{Faults, WriteError, recover};

#[test]
fn a_full_disk_refuses_and_recovers_when_space_is_back() {
    let disk = Arc::new(FaultyDisk::new(3));
    let (mut log, _) = open(&disk, 0).unwrap();
    let mut index = 0;
    disk.set_faults(Faults { capacity_bytes: 20_000, ..Faults::default() });
    let refused = loop {
        match log.append(None, &[entry(index + 1, 1, 900)]) {
            Ok(()) => index += 1,
            Err(error) => break error,
        }
        log.sync().unwrap();
    };
    assert!(matches!(refused, WriteError::Full { .. }), "{refused}");
    assert!(!refused.is_fatal() && index > 10);
    assert!(refused.to_string().contains("no space left"), "{refused}");
    for _ in 0..3 {
        assert!(log.append(None, &[entry(index + 1, 1, 900)]).is_err(), "still full");
        log.sync().unwrap();
    }
    disk.set_faults(Faults::default());
    log.append(None, &[entry(index + 1, 1, 900)]).unwrap();
    log.sync().unwrap();
    disk.lose_power();
    let (_, found) = open(&disk, 0).unwrap();
    let expected: Vec<_> = (1..=index + 1).map(|index| entry(index, 1, 900)).collect();
    assert_eq!(found.entries, expected);
}

#[test]
fn a_refused_batch_never_comes_back_behind_its_successor() {
    let disk = Arc::new(FaultyDisk::new(4));
    let (mut log, _) = open(&disk, 0).unwrap();
    log.append(None, &[entry(1, 1, 3700)]).unwrap();
    log.sync().unwrap();
    // The batch is larger than the file, and the disk ends within its last record.
    drop(log);
    let big = LogOptions { segment_bytes: 16 << 10, ..options(0) };
    let (mut log, _) = Log::open(as_disk(&disk), dir(), big).unwrap();
    disk.set_faults(Faults { capacity_bytes: 4700, ..Faults::default() });
    let refused = [entry(2, 1, 100), entry(3, 1, 100), entry(4, 1, 900)];
    assert!(matches!(log.append(None, &refused), Err(WriteError::Full { .. })));
    disk.set_faults(Faults::default());
    // The same record first: what the refused batch left would continue it.
    log.append(None, &refused[..1]).unwrap();
    log.sync().unwrap();
    disk.kill();
    let (_, found) = open(&disk, 0).unwrap();
    assert_eq!(found.entries, [entry(1, 1, 3700), entry(2, 1, 100)]);
}

#[test]
fn a_failed_sync_is_the_last_word() {
    let disk = Arc::new(FaultyDisk::new(5));
    let (mut log, _) = open(&disk, 0).unwrap();
    log.append(None, &[entry(1, 1, 50)]).unwrap();
    log.sync().unwrap();
    log.append(None, &[entry(2, 1, 50)]).unwrap();
    disk.set_faults(Faults { fail_sync_one_in: 1, ..Faults::default() });
    let first = log.sync().unwrap_err();
    assert!(first.is_fatal());
    disk.set_faults(Faults::default());
    assert_eq!(log.sync().unwrap_err(), first);
    assert_eq!(log.append(None, &[entry(3, 1, 50)]).unwrap_err(), first);
    assert_eq!(log.cut_before(2).unwrap_err(), first);
    assert_eq!(log.prepare_next().unwrap_err(), first);
    drop(log);

    // The system still shows bytes that never reached the disk: opening must write them again.
    let (mut log, found) = open(&disk, 0).unwrap();
    assert_eq!(found.entries.len(), 2);
    log.append(None, &[entry(3, 1, 50)]).unwrap();
    log.sync().unwrap();
    disk.lose_power();
    assert_eq!(open(&disk, 0).unwrap().1.entries.len(), 3);
}

#[test]
fn a_failed_write_ends_the_log_and_short_writes_do_not() {
    let disk = Arc::new(FaultyDisk::new(6));
    let (mut log, _) = open(&disk, 0).unwrap();
    disk.set_faults(Faults { short_write_one_in: 1, ..Faults::default() });
    log.append(None, &[entry(1, 1, 300)]).unwrap();
    log.sync().unwrap();
    disk.set_faults(Faults { fail_write_one_in: 1, ..Faults::default() });
    let error = log.append(None, &[entry(2, 1, 300)]).unwrap_err();
    assert!(error.is_fatal() && error.to_string().contains(".log failed"), "{error}");
    disk.set_faults(Faults::default());
    disk.kill();
    assert_eq!(open(&disk, 0).unwrap().1.entries, [entry(1, 1, 300)]);
}

#[test]
fn a_snapshot_is_there_as_a_whole_or_not_at_all() {
    let snap_dir = Path::new("/snapshots");
    for seed in 0..500 {
        let disk = Arc::new(FaultyDisk::new(seed));
        let mut random = Random::new(seed ^ 0x5a);
        let mut finished = 0;
        for index in 1..=4 {
            let meta = SnapshotMeta { index, ..SnapshotMeta::default() };
            let faults = match random.below(4) {
                0 => Faults { fail_sync_one_in: 3, ..Faults::default() },
                1 => Faults { capacity_bytes: random.below(3000), ..Faults::default() },
                2 => Faults { short_write_one_in: 2, ..Faults::default() },
                _ => Faults::default(),
            };
            disk.set_faults(faults);
            let write = || -> Result<(), WriteError> {
                let mut writer = SnapshotWriter::create(as_disk(&disk), snap_dir, &meta)?;
                for chunk in 0..5_u8 {
                    writer.chunk(&[chunk; 200])?;
                }
                writer.finish().map(|_| ())
            };
            if write().is_ok() {
                finished = index;
            }
            disk.set_faults(Faults::default());
            if random.below(2) == 0 {
                disk.lose_power();
            }
        }
        disk.lose_power();
        let options = LogOptions { accept_missing_log: true, ..options(0) };
        let found = recover(&as_disk(&disk), snap_dir, dir(), &options).unwrap();
        let newest = found.snapshot.map_or(0, |found| found.meta.index);
        assert!(newest >= finished, "seed {seed}: found {newest}, finished {finished}");
        for candidate in snapshots::candidates(&as_disk(&disk), snap_dir).unwrap() {
            assert!(candidate.checked.is_ok(), "seed {seed}: a named snapshot is whole");
        }
    }
}

#[test]
fn a_large_batch_makes_a_large_file() {
    let disk = Arc::new(FaultyDisk::new(8));
    let (mut log, _) = open(&disk, 0).unwrap();
    let entries: Vec<_> = (1..=40).map(|index| entry(index, 1, 1000)).collect();
    log.append(Some(state(1, 0)), &entries[..20]).unwrap();
    log.append(Some(state(1, 20)), &entries[20..]).unwrap();
    log.sync().unwrap();
    assert_eq!(segments(&disk).len(), 2);
    log.cut_before(21).unwrap();
    assert_eq!(segments(&disk).len(), 1, "the large file is not kept for reuse");
    assert!(disk.list(dir()).unwrap().iter().all(|name| !name.ends_with(".free")));
    assert_eq!(open(&disk, 20).unwrap().1.entries, entries[20..]);
}

#[test]
fn files_are_recycled_and_old_bytes_never_parse() {
    let disk = Arc::new(FaultyDisk::new(9));
    let (mut log, _) = open(&disk, 0).unwrap();
    let mut kept = 0;
    for index in 1..=400 {
        log.append(None, &[entry(index, 1, 300)]).unwrap();
        log.sync().unwrap();
        if index % 40 == 0 {
            kept = index - 10;
            log.cut_before(kept + 1).unwrap();
            disk.kill();
            let (reopened, found) = open(&disk, kept).unwrap();
            let expected: Vec<_> = (kept + 1..=index).map(|index| entry(index, 1, 300)).collect();
            assert_eq!(found.entries, expected);
            log = reopened;
        }
    }
    let names = disk.list(dir()).unwrap();
    assert!(names.iter().any(|name| name.ends_with(".free")), "{names:?}");
    assert!(names.len() < 10, "{names:?}");
    assert_eq!(log.last_index(), 400);
    assert!(kept > 0);
}
