//! Garbage and half-garbage: a million and more records and files that must not bring recovery
//! down.

use super::*;
use crate::inspect;
use crate::record::{self, HEAD_BYTES, Link, Place};
use crate::segment::{HEADER_BYTES, Header};
use crate::snapshots::{self, SnapshotMeta, SnapshotWriter};

/// Changes some bytes the way disks, bugs and people do.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let len = bytes.len() as u64;
        if len == 0 {
            return;
        }
        let at = random.below(len) as usize;
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let to = (at + random.below(64) as usize).min(bytes.len());
                bytes[at..to].fill([0, 0xff][random.below(2) as usize]);
            }
            4 => {
                let from = random.below(len) as usize;
                let count = (random.below(200) as usize).min(bytes.len() - at.max(from));
                bytes.copy_within(from..from + count, at);
            }
            5 => {
                // Lengths and counts: the fields that make readers allocate.
                let at = at & !3;
                let value = [u32::MAX, 1 << 31, 1 << 27, 0, 1][random.below(5) as usize];
                for (to, byte) in bytes[at..].iter_mut().zip(value.to_le_bytes()) {
                    *to = byte;
                }
            }
            _ => bytes.extend((0..random.below(80)).map(|_| random.next() as u8)),
        }
    }
}

#[test]
fn record_heads_and_bodies_survive_a_million_mutations() {
    let mut random = Random::new(11);
    let place = Place { salt: 99, offset: HEADER_BYTES };
    let link = Link { durable: 64, prev: 5 };
    let mut accepted = 0;
    for _ in 0..1_000_000 {
        let mut bytes = Vec::new();
        let original = entry(random.next(), random.next(), random.below(40) as usize);
        record::encode_entry(&mut bytes, place, link, &original);
        let untouched = bytes.clone();
        mutate(&mut random, &mut bytes);
        let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { continue };
        let Some(head) = record::decode_head(head, place) else { continue };
        let body = &bytes[HEAD_BYTES..];
        let body = &body[..body.len().min(head.body_bytes() as usize)];
        if let Some(record) = record::decode_body(&head, body) {
            assert_eq!(record, crate::Record::Entry(original));
            assert!(bytes.starts_with(&untouched), "what is accepted is what was written");
            accepted += 1;
        }
    }
    assert!(accepted > 0, "some mutations only append");
}

#[test]
fn segment_headers_survive_300_000_mutations() {
    let mut random = Random::new(12);
    for _ in 0..300_000 {
        let header = Header {
            salt: random.next(),
            sequence: random.next(),
            first_index: random.next(),
            previous_end: random.next(),
            recycled: random.below(2) == 0,
        };
        let (original, checksum) = header.encode();
        let mut bytes = original.to_vec();
        mutate(&mut random, &mut bytes);
        if let Ok(decoded) = Header::decode(&bytes) {
            assert_eq!(decoded, (header, checksum));
        }
    }
}

#[test]
fn damaged_logs_open_or_are_refused() {
    let disk = Arc::new(FaultyDisk::new(13));
    let (mut log, _) = open(&disk, 0).unwrap();
    let all: Vec<_> = (1..=60).map(|index| entry(index, 1, 100)).collect();
    for batch in all.chunks(2) {
        log.append(Some(state(1, batch[0].index - 1)), batch).unwrap();
        log.sync().unwrap();
    }
    let files: Vec<_> = segments(&disk)
        .into_iter()
        .map(|path| (path.clone(), disk.contents(&path).unwrap()))
        .collect();
    let mut random = Random::new(14);
    let mut refused = 0;
    for case in 0..15_000 {
        let (path, original) = &files[random.below(files.len() as u64) as usize];
        let mut bytes = original.clone();
        mutate(&mut random, &mut bytes);
        disk.set_contents(path, &bytes);
        match crate::recovery::scan(&as_disk(&disk), dir(), 0) {
            Ok(scan) => {
                let found = scan.recovered.entries;
                assert!(all.starts_with(&found), "case {case}");
                // Cutting the last file short cannot be told from a write that never happened.
                let cut_short = path == &files[files.len() - 1].0;
                assert!(cut_short || found.len() == all.len(), "case {case}");
            }
            Err(_) => refused += 1,
        }
        for item in inspect::log_records(&as_disk(&disk), dir()).unwrap() {
            drop(item);
        }
        disk.set_contents(path, original);
    }
    assert!(refused > 1000, "most damage is seen: {refused}");
}

#[test]
fn damaged_snapshots_are_refused() {
    let snap_dir = Path::new("/snapshots");
    let disk = Arc::new(FaultyDisk::new(15));
    let meta = SnapshotMeta { index: 3, term: 1, zxid: 5, extra: vec![1, 2, 3] };
    let mut writer = SnapshotWriter::create(as_disk(&disk), snap_dir, &meta).unwrap();
    let mut random = Random::new(16);
    for chunk in 0..8_u64 {
        let noise: Vec<u8> = (0..chunk * 9).map(|_| random.next() as u8).collect();
        writer.chunk(&noise).unwrap();
        writer.chunk(&vec![chunk as u8; 300]).unwrap();
    }
    let path = writer.finish().unwrap();
    let original = disk.contents(&path).unwrap();
    for case in 0..150_000 {
        let mut bytes = original.clone();
        mutate(&mut random, &mut bytes);
        disk.set_contents(&path, &bytes);
        let valid = snapshots::validate(&as_disk(&disk), &path).is_ok();
        assert_eq!(valid, bytes == original, "case {case}");
    }
}

#[test]
fn pure_noise_is_refused() {
    let disk = Arc::new(FaultyDisk::new(17));
    let mut random = Random::new(18);
    let log_file = dir().join("00000001-0000000000000001.log");
    let snapshot = dir().join("0000000000000001-0000000000000001.snap");
    for _ in 0..20_000 {
        let noise: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
        disk.set_contents(&log_file, &noise);
        disk.set_contents(&snapshot, &noise);
        assert!(crate::recovery::scan(&as_disk(&disk), dir(), 0).is_err());
        assert!(snapshots::validate(&as_disk(&disk), &snapshot).is_err());
    }
}
