//! The data folder of every released format must still open: `golden/v1` holds today's.

use super::*;
use crate::snapshots::{SnapshotMeta, SnapshotReader, SnapshotWriter};
use crate::{RealDisk, recover};

const SNAPSHOTS: &str = "/snapshots";

/// The folder's content, always the same: salts come from the double's seed.
fn build() -> Arc<FaultyDisk> {
    let disk = Arc::new(FaultyDisk::new(2026));
    let (mut log, _) = open(&disk, 0).unwrap();
    for index in 1..=20 {
        let hard_state = HardState { term: 3, vote: 1, commit: index - 1, catching_up: false };
        log.append(Some(hard_state), &[entry(index, 3, 200)]).unwrap();
        log.sync().unwrap();
    }
    log.prepare_next().unwrap();
    let meta = SnapshotMeta { index: 15, term: 3, zxid: 0x3_0000_000c, extra: vec![9, 8, 7] };
    let mut writer = SnapshotWriter::create(as_disk(&disk), Path::new(SNAPSHOTS), &meta).unwrap();
    writer.chunk(&[b'z'; 2000]).unwrap();
    writer.chunk(b"too short to compress").unwrap();
    writer.finish().unwrap();
    disk
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

/// Set `TENURE_GOLDEN=write` once, when a new format gets its folder.
#[test]
fn todays_format_is_the_golden_one() {
    let disk = build();
    for dir in [DIR, SNAPSHOTS] {
        let folder = golden().join(dir.trim_start_matches('/'));
        for name in disk.list(Path::new(dir)).unwrap() {
            if name.ends_with(".free") {
                continue;
            }
            let bytes = disk.contents(&Path::new(dir).join(&name)).unwrap();
            if std::env::var("TENURE_GOLDEN").is_ok_and(|value| value == "write") {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join(&name), &bytes).unwrap();
            }
            let kept = std::fs::read(folder.join(&name)).unwrap();
            // Compressed bytes may change with the compressor; the log's may not.
            assert!(kept == bytes || dir == SNAPSHOTS, "the format of {name} changed");
        }
    }
}

#[test]
fn the_golden_folder_opens() {
    let scratch = tempfile::tempdir().unwrap();
    for dir in ["log", "snapshots"] {
        std::fs::create_dir(scratch.path().join(dir)).unwrap();
        for file in std::fs::read_dir(golden().join(dir)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), scratch.path().join(dir).join(file.file_name())).unwrap();
        }
    }
    let disk = RealDisk::shared();
    let (snapshots, log) = (scratch.path().join("snapshots"), scratch.path().join("log"));
    let found = recover(&disk, &snapshots, &log, &options(0)).unwrap();
    let snapshot = found.snapshot.unwrap();
    assert_eq!((snapshot.meta.index, snapshot.meta.zxid), (15, 0x3_0000_000c));
    assert_eq!(snapshot.meta.extra, [9, 8, 7]);
    assert_eq!(
        found.hard_state,
        Some(HardState { term: 3, vote: 1, commit: 19, catching_up: false })
    );
    let expected: Vec<_> = (16..=20).map(|index| entry(index, 3, 200)).collect();
    assert_eq!(found.entries, expected);
    let mut reader = SnapshotReader::open(&disk, &snapshot.path).unwrap();
    assert_eq!(reader.next_chunk().unwrap().unwrap(), [b'z'; 2000]);
    assert_eq!(reader.next_chunk().unwrap().unwrap(), b"too short to compress");
    assert_eq!(reader.next_chunk().unwrap(), None);
}
