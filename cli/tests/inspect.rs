//! `tenure inspect` shows what a server has stored, and tells damage by its exit code.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::ops::EPHEMERAL;
use support::{Server, foreign};

fn inspect(arguments: &[&str], path: &Path) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let output = command.arg("inspect").args(arguments).arg(path).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_log_and_the_snapshot_are_shown_as_text_and_as_json() {
    if foreign() {
        return;
    }
    let mut server = Server::with("tickTime=2000\nsnapCount=10");
    let mut client = server.connect();
    client.create_mode("/mine", b"abc", EPHEMERAL).unwrap();
    for i in 0..60 {
        client.create(&format!("/n{i}"), &[0; 1000]).unwrap();
    }
    let data = server.data_dir();
    // A server that runs does not mind.
    let (code, text) = inspect(&["log"], &data);
    assert_eq!(code, 0);
    let of_last = text.lines().find(|line| line.contains("\"/n59\"")).unwrap();
    assert!(of_last.contains("entry ") && of_last.len() < 500, "{of_last}");
    assert_eq!(server.stop(), Some(0));

    let (code, text) = inspect(&["snapshot"], &data);
    assert_eq!(code, 0);
    assert!(text.contains("1 sessions"), "{text}");
    assert!(text.contains("znode /mine: 3 bytes, version 0, 0 children"), "{text}");
    assert!(text.contains("ephemeral of 0x"), "{text}");
    for part in ["log", "snapshot"] {
        let (code, lines) = inspect(&["--json", part], &data);
        assert_eq!(code, 0);
        for line in lines.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(object["found"].is_string(), "{line}");
        }
    }
    let (code, text) = inspect(&[], &data);
    assert_eq!(code, 0);
    assert!(text.contains("intact") && text.contains(" entries, "), "{text}");
}

#[test]
fn damage_is_shown_where_it_is_and_told_by_the_exit_code() {
    if foreign() {
        return;
    }
    let mut server = Server::start();
    let mut client = server.connect();
    for i in 0..20 {
        client.create(&format!("/n{i}"), &[7; 200]).unwrap();
    }
    assert_eq!(server.stop(), Some(0));
    let log = server.data_dir().join("tenure/log");
    let mut segments: Vec<_> = fs::read_dir(log).unwrap().map(|e| e.unwrap().path()).collect();
    segments.sort();
    let mut bytes = fs::read(&segments[0]).unwrap();
    let hit = bytes.windows(100).position(|w| w == [7; 100]).unwrap();
    bytes[hit] ^= 1;
    fs::write(&segments[0], bytes).unwrap();
    for arguments in [&["log"][..], &[]] {
        let (code, text) = inspect(arguments, &server.data_dir());
        assert_eq!(code, 3, "{text}");
        assert!(text.contains("DAMAGE") && text.contains("offset"), "{text}");
    }
}
