//! Every flipped bit is found and named, or hits nothing that was acknowledged.

use super::*;
use crate::inspect::{self, Found};
use crate::record::HEAD_BYTES;
use crate::segment::HEADER_BYTES;
use crate::{Record, recover};

/// A log of several files, all of it synced; `mark` as an idle server leaves it.
fn sample(mark: bool) -> (Arc<FaultyDisk>, Vec<Entry>) {
    let disk = Arc::new(FaultyDisk::new(7));
    let (mut log, _) = open(&disk, 0).unwrap();
    let mut all = Vec::new();
    for batch in 0..6 {
        let first = batch * 3 + 1;
        let entries: Vec<_> = (first..first + 3).map(|index| entry(index, 2, 500)).collect();
        log.append(Some(state(2, first - 1)), &entries).unwrap();
        log.sync().unwrap();
        all.extend(entries);
    }
    while mark && log.prepare_next().unwrap() {}
    assert_eq!(segments(&disk).len(), 3);
    (disk, all)
}

/// Where the records of a file start, and the end of the last one.
fn boundaries(disk: &Arc<FaultyDisk>, path: &Path) -> Vec<usize> {
    let items = inspect::log_records(&as_disk(disk), dir()).unwrap();
    let here = items.filter(|item| item.file == path).map(|item| item.offset as usize);
    here.collect()
}

#[test]
fn a_flip_anywhere_in_a_settled_log_stops_the_start_and_is_named() {
    let (disk, all) = sample(true);
    for path in segments(&disk) {
        let starts = boundaries(&disk, &path);
        let is_last = segments(&disk).last() == Some(&path);
        let (marker, end) = match is_last {
            true => (*starts.last().unwrap(), *starts.last().unwrap() + HEAD_BYTES),
            false => (usize::MAX, ends_at(&disk, &path)),
        };
        for offset in 0..disk.contents(&path).unwrap().len() {
            let mask = 1 << (offset % 8);
            disk.flip(&path, offset, mask);
            let opened = crate::recovery::scan(&as_disk(&disk), dir(), 0);
            if offset >= end || offset >= marker {
                assert_eq!(opened.ok().unwrap().recovered.entries, all, "{offset} holds nothing");
            } else {
                let start = starts.iter().rev().find(|start| **start <= offset);
                let expected = start.map_or(0, |start| *start as u64);
                match opened.err().unwrap_or_else(|| panic!("flip at {offset} of {path:?}")) {
                    OpenError::Damaged { file, offset: at, .. } => {
                        assert_eq!((&file, at), (&path, expected), "flip at {offset}");
                    }
                    other => panic!("flip at {offset}: {other}"),
                }
            }
            disk.flip(&path, offset, mask);
        }
    }
}

/// Where the records of a closed file end.
fn ends_at(disk: &Arc<FaultyDisk>, path: &Path) -> usize {
    let last = *boundaries(disk, path).last().unwrap();
    let bytes = disk.contents(path).unwrap();
    let len = u32::from_le_bytes(bytes[last + 4..last + 8].try_into().unwrap()) as usize;
    last + HEAD_BYTES + len.next_multiple_of(8)
}

#[test]
fn a_flip_after_a_crash_touches_only_the_last_batch() {
    let (disk, all) = sample(false);
    let path = segments(&disk).pop().unwrap();
    let starts = boundaries(&disk, &path);
    let last_batch = starts[starts.len() - 4];
    let mut torn = 0;
    for offset in 0..ends_at(&disk, &path) {
        disk.flip(&path, offset, 0x10);
        match crate::recovery::scan(&as_disk(&disk), dir(), 0) {
            Ok(scan) => {
                assert!(offset >= last_batch, "flip at {offset} was taken for a torn write");
                let found = scan.recovered.entries;
                assert!(found.len() >= all.len() - 3 && all.starts_with(&found));
                torn += 1;
            }
            Err(OpenError::Damaged { file, .. }) => assert_eq!(file, path),
            Err(other) => panic!("flip at {offset}: {other}"),
        }
        disk.flip(&path, offset, 0x10);
    }
    assert!(torn > 0, "a torn last record is dropped");
}

#[test]
fn a_torn_last_record_is_dropped_with_a_note() {
    let (disk, all) = sample(false);
    let path = segments(&disk).pop().unwrap();
    let bytes = disk.contents(&path).unwrap();
    let last = *boundaries(&disk, &path).last().unwrap();
    // The payload is padded with four zeros.
    for cut in last..ends_at(&disk, &path) - 4 {
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        disk.set_contents(&path, &torn);
        let (_, found) = open(&disk, 0).unwrap();
        assert_eq!(found.entries, all[..all.len() - 1]);
        if cut >= last + 24 {
            let place = format!("{}:{last}", path.display());
            assert!(found.notes.iter().any(|note| note.contains(&place)), "{:?}", found.notes);
        }
    }
}

#[test]
fn leftovers_of_a_torn_write_are_wiped() {
    let disk = Arc::new(FaultyDisk::new(10));
    let (mut log, _) = open(&disk, 0).unwrap();
    let records = [entry(1, 1, 600), entry(2, 1, 600), entry(3, 1, 100)];
    log.append(None, &records).unwrap();
    disk.kill();
    // The first sectors of the batch were lost; the head of its last record was not.
    let path = segments(&disk).pop().unwrap();
    let third = boundaries(&disk, &path)[2];
    let mut bytes = disk.contents(&path).unwrap();
    bytes[HEADER_BYTES as usize..1024].fill(0);
    disk.set_contents(&path, &bytes);
    let (mut log, found) = open(&disk, 0).unwrap();
    assert_eq!(found.entries, []);
    // A record that ends in the leftover's sector would make the leftover look like proof.
    let room = third - HEADER_BYTES as usize - HEAD_BYTES - 8;
    log.append(None, &[entry(1, 2, room)]).unwrap();
    log.sync().unwrap();
    disk.lose_power();
    assert_eq!(open(&disk, 0).unwrap().1.entries, [entry(1, 2, room)]);
}

#[test]
fn a_record_that_does_not_continue_the_chain_is_not_read() {
    let file_with = |entries: &[Entry]| {
        let disk = Arc::new(FaultyDisk::new(20));
        let (mut log, _) = open(&disk, 0).unwrap();
        log.append(None, entries).unwrap();
        log.sync().unwrap();
        let path = segments(&disk).pop().unwrap();
        let bytes = disk.contents(&path).unwrap();
        (disk, path, bytes)
    };
    // A refused batch left its second record; the batch in its place was written over the first.
    let (_, _, refused) = file_with(&[entry(1, 1, 600), entry(2, 1, 600)]);
    let (disk, path, mut bytes) = file_with(&[entry(1, 2, 600)]);
    let end = ends_at(&disk, &path);
    bytes[end..].copy_from_slice(&refused[end..]);
    disk.set_contents(&path, &bytes);
    assert_eq!(open(&disk, 0).unwrap().1.entries, [entry(1, 2, 600)]);
}

#[test]
fn a_flip_beside_an_intact_record_in_the_same_sector_is_damage() {
    let disk = Arc::new(FaultyDisk::new(21));
    let (mut log, _) = open(&disk, 0).unwrap();
    let records: Vec<_> = (1..=3).map(|index| entry(index, 1, 40)).collect();
    log.append(None, &records).unwrap();
    log.sync().unwrap();
    let path = segments(&disk).pop().unwrap();
    let starts = boundaries(&disk, &path);
    for start in &starts[..2] {
        disk.flip(&path, start + 50, 2);
        let error = open(&disk, 0).err().unwrap();
        let at = *start as u64;
        assert!(matches!(error, OpenError::Damaged { offset, .. } if offset == at), "{error}");
        disk.flip(&path, start + 50, 2);
    }
    disk.flip(&path, starts[2] + 50, 2);
    assert_eq!(open(&disk, 0).unwrap().1.entries, records[..2]);
}

/// A log whose only record ends at `end`, all of it synced.
fn log_ending_at(end: usize) -> (Arc<FaultyDisk>, Log) {
    let disk = Arc::new(FaultyDisk::new(22));
    let (mut log, _) = open(&disk, 0).unwrap();
    let bytes = end - HEADER_BYTES as usize - HEAD_BYTES;
    log.append(None, &[entry(1, 1, bytes)]).unwrap();
    log.sync().unwrap();
    (disk, log)
}

#[test]
fn the_head_of_a_torn_record_is_wiped_before_a_payload_can_complete_it() {
    // The hard state's head fills the first sector, its payload begins the second.
    let (disk, mut log) = log_ending_at(512 - HEAD_BYTES);
    let path = segments(&disk).pop().unwrap();
    let torn_out = |log: &mut Log, term| {
        log.append(Some(state(term, 1)), &[entry(2, term, 40), entry(3, term, 40)]).unwrap();
        disk.contents(&path).unwrap()
    };
    let mut bytes = torn_out(&mut log, 1);
    bytes[512..1024].fill(0);
    disk.set_contents(&path, &bytes);
    let (mut log, found) = open(&disk, 0).unwrap();
    assert_eq!((found.entries.len(), found.hard_state), (1, None));
    // The next power loss keeps the second sector of what replaces it, and not the first.
    let first_sector = disk.contents(&path).unwrap()[..512].to_vec();
    let mut bytes = torn_out(&mut log, 2);
    bytes[..512].copy_from_slice(&first_sector);
    disk.set_contents(&path, &bytes);
    let (_, found) = open(&disk, 0).unwrap();
    assert_eq!((found.entries.len(), found.hard_state), (1, None));
}

#[test]
fn an_old_record_in_a_sector_that_the_log_never_reached_proves_nothing() {
    let (disk, mut log) = log_ending_at(512);
    let path = segments(&disk).pop().unwrap();
    log.append(None, &[entry(2, 1, 40), entry(3, 1, 40)]).unwrap();
    let mut bytes = disk.contents(&path).unwrap();
    bytes[512..592].fill(0);
    disk.set_contents(&path, &bytes);
    assert_eq!(open(&disk, 0).unwrap().1.entries.len(), 1);
}

#[test]
fn a_missing_or_newer_file_is_named() {
    let (disk, _) = sample(true);
    let files = segments(&disk);
    let middle = disk.contents(&files[1]).unwrap();
    disk.remove(&files[1]).unwrap();
    let error = open(&disk, 0).err().unwrap();
    assert!(matches!(&error, OpenError::Damaged { file, .. } if *file == files[2]), "{error}");
    assert!(error.to_string().contains("segment 2 before it is missing"), "{error}");

    let mut newer = middle.clone();
    newer[8] = 2;
    let checksum = crc32c::crc32c(&newer[..60]);
    newer[60..64].copy_from_slice(&checksum.to_le_bytes());
    disk.set_contents(&files[1], &newer);
    let error = open(&disk, 0).err().unwrap();
    assert!(matches!(error, OpenError::Version { found: 2, .. }), "{error}");

    disk.set_contents(&files[1], &middle);
    disk.remove(&files[0]).unwrap();
    let error = open(&disk, 0).err().unwrap();
    assert!(matches!(error, OpenError::Gap { snapshot_index: 0, .. }), "{error}");
}

#[test]
fn a_log_that_lost_committed_entries_is_damaged() {
    let disk = Arc::new(FaultyDisk::new(1));
    let (mut log, _) = open(&disk, 0).unwrap();
    log.append(Some(state(1, 0)), &[entry(1, 1, 10)]).unwrap();
    log.append(Some(state(1, 5)), &[]).unwrap();
    log.sync().unwrap();
    let error = open(&disk, 0).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("index 5 was committed"), "{error}");
}

#[test]
fn inspection_reads_past_damage_to_the_next_file() {
    let (disk, all) = sample(true);
    let path = segments(&disk)[0].clone();
    disk.flip(&path, HEADER_BYTES as usize + 30, 1);
    let items: Vec<_> = inspect::log_records(&as_disk(&disk), dir()).unwrap().collect();
    assert!(matches!(&items[0].found, Found::Damage(OpenError::Damaged { offset: 64, .. })));
    let entries = items.iter().filter(|item| matches!(item.found, Found::Record(Record::Entry(_))));
    assert_eq!(entries.count(), all.len() - 6);
}

#[test]
fn a_damaged_snapshot_is_passed_over_only_while_the_log_covers_it() {
    use crate::snapshots::{SnapshotMeta, SnapshotWriter};
    let snap_dir = Path::new("/snapshots");
    let (disk, all) = sample(true);
    let mut paths = Vec::new();
    for index in [4, 12] {
        let meta = SnapshotMeta { index, term: 2, ..SnapshotMeta::default() };
        let mut writer = SnapshotWriter::create(as_disk(&disk), snap_dir, &meta).unwrap();
        writer.chunk(&[index as u8; 300]).unwrap();
        paths.push(writer.finish().unwrap());
    }
    let start = || recover(&as_disk(&disk), snap_dir, dir(), &options(0));
    assert_eq!(start().unwrap().entries, all[12..]);
    for offset in 0..disk.contents(&paths[1]).unwrap().len() {
        disk.flip(&paths[1], offset, 4);
        let found = start().unwrap();
        assert_eq!(found.snapshot.unwrap().meta.index, 4, "flip at {offset}");
        assert_eq!(found.entries, all[4..]);
        assert!(found.notes.iter().any(|note| note.contains("passed over")));
        disk.flip(&paths[1], offset, 4);
    }
    start().unwrap().log.cut_before(13).unwrap();
    disk.flip(&paths[1], 70, 4);
    let error = start().err().unwrap();
    assert!(matches!(error, OpenError::Gap { snapshot_index: 4, .. }), "{error}");
}
