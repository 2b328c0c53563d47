//! The audit log as a file: whole lines, set aside by size, losses counted.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tenure_replica::{AuditRecord, Who};
use tenure_wire::{ErrorCode, SessionId, Zxid};

use super::*;

fn settings(max_file_bytes: u64, max_files: u32) -> AuditSettings {
    AuditSettings { enabled: true, file: None, max_file_bytes, max_files }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n') || text.is_empty());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn line(number: u64) -> AuditLine {
    AuditLine::of_server("test", 0).with("number", number)
}

#[test]
fn a_record_has_the_reference_servers_names() {
    let who = |scheme: &str, user: &str| Who { scheme: scheme.into(), user: user.into() };
    let record = AuditRecord {
        operation: "setAcl",
        session: SessionId(0x1_0000),
        who: vec![who("ip", "10.0.0.1"), who("digest", "bob"), who("sasl", "a\"b")],
        path: Some("/a".into()),
        znode_type: None,
        acl: Some("world:anyone:r".into()),
        error: Some(ErrorCode::NoAuth),
        zxid: Zxid(5),
    };
    let mut text = Vec::new();
    AuditLine::of_client(record, 1_795_447_663_000).write(&mut text);
    let line: Value = serde_json::from_slice(&text).unwrap();
    let expected = serde_json::json!({
        "time": "2026-11-23T15:27:43.000Z",
        "session": "0x10000",
        "user": "bob,a\"b,10.0.0.1",
        "ip": "10.0.0.1",
        "operation": "setAcl",
        "znode": "/a",
        "acl": "world:anyone:r",
        "result": "failure",
        "error": "NoAuth",
        "zxid": "0x5",
        "identities": ["ip:10.0.0.1", "digest:bob", "sasl:a\"b"],
    });
    assert_eq!(line, expected);
    assert_eq!(text.last(), Some(&b'\n'));
}

#[test]
fn files_are_set_aside_by_size_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("audit.log");
    let mut file = AuditFile::open(path.clone(), 200, 3).unwrap();
    let mut text = Vec::new();
    for number in 0..12 {
        text.clear();
        line(number).write(&mut text);
        file.append(&text).unwrap();
    }
    let per_file = 200 / text.len();
    assert!(per_file >= 1);
    let mut found = Vec::new();
    for name in ["audit.log.2", "audit.log.1", "audit.log"] {
        let lines = lines(&path.with_file_name(name));
        assert!(lines.len() <= per_file, "{name}");
        found.extend(lines.iter().map(|line| line["number"].as_u64().unwrap()));
    }
    // A run without gaps up to the last one.
    assert_eq!(found.last(), Some(&11));
    assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{found:?}");
    assert!(!path.with_file_name("audit.log.3").exists());
}

#[test]
fn half_a_line_of_an_earlier_life_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    fs::write(&path, "{\"operation\":\"serv").unwrap();
    let (audit, thread) = Audit::start(path.clone(), &settings(1 << 20, 2)).unwrap();
    audit.record(line(1));
    drop(audit);
    thread.finish();
    let text = fs::read_to_string(&path).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((text.lines().count(), &last["number"]), (2, &1.into()));
}

#[test]
fn a_disk_that_is_full_loses_records_and_says_how_many() {
    // A device that takes nothing, like a full disk.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (audit, thread) = Audit::start(path.clone(), &settings(1 << 20, 2)).unwrap();
    for number in 0..5 {
        audit.record(line(number));
    }
    let shared = Arc::clone(&audit.shared);
    drop(audit);
    thread.finish();
    assert_eq!(shared.lost.load(Ordering::Relaxed), 5);
    assert_eq!(shared.queued_bytes.load(Ordering::Relaxed), 0);

    // There is room again.
    fs::remove_file(&path).unwrap();
    let file = AuditFile::open(path.clone(), 1 << 20, 2).unwrap();
    let mut writer = Writer { file, shared, noise: LogLimit::default() };
    let mut text = Vec::new();
    line(5).write(&mut text);
    writer.write(&text, 1);
    let lines = lines(&path);
    assert_eq!(
        (&lines[0]["operation"], &lines[0]["count"]),
        (&"auditRecordsLost".into(), &5.into())
    );
    assert_eq!((lines.len(), &lines[1]["number"]), (2, &5.into()));
}

#[test]
fn nobody_waits_for_a_queue_that_is_full() {
    let (queue, lines) = mpsc::sync_channel(2);
    let audit = Audit { queue, shared: Arc::default() };
    for number in 0..5 {
        audit.record(line(number));
    }
    assert_eq!(audit.lost(), 3);
    assert_eq!(lines.try_iter().count(), 2);
    let huge = AuditRecord {
        operation: "setAcl",
        session: SessionId(1),
        who: Vec::new(),
        path: None,
        znode_type: None,
        acl: Some("x".repeat(limits::AUDIT_QUEUE_BYTES)),
        error: None,
        zxid: Zxid(1),
    };
    audit.record(AuditLine::of_client(huge, 0));
    assert_eq!((audit.lost(), lines.try_iter().count()), (4, 0));
}
