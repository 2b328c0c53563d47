//! `localSessionsEnabled` in an ensemble of processes, with our own client.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use serde_json::Value;
use support::dev::{Dev, Row};
use tenure_client::Session;

/// Whether a member's session is its own, if the member knows it.
fn is_local(row: &Row, session: &str) -> Option<bool> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let output =
        command.args(["session", "list", "--json", "--admin", &row.admin]).output().unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let known = listed.as_array().unwrap().iter().find(|known| known["session_id"] == session)?;
    known["local"].as_bool()
}

/// Local and global sessions by a member's metrics.
fn counts(row: &Row) -> (u64, u64) {
    let mut stream = TcpStream::connect(&row.address).unwrap();
    stream.write_all(b"mntr").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} is not in:\n{text}")).trim().parse().unwrap()
    };
    (value("zk_local_sessions\t"), value("zk_global_sessions\t"))
}

#[tokio::test]
async fn a_session_is_its_members_own_until_it_has_an_ephemeral() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["localSessionsEnabled=true", "localSessionsUpgradingEnabled=true"];
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let mut dev = Dev::start(folder.path(), &arguments);
    let rows = dev.table(3);
    let home = rows.iter().find(|row| row.role == "follower").unwrap();
    let other = rows.iter().find(|row| row.role == "leader").unwrap();

    let session = Session::establish(&home.address).await.unwrap();
    let id = session.id().to_string();
    session.create("/kept", "1").await.unwrap();
    session.create("/in", "").container().await.unwrap();
    assert_eq!(session.get("/kept").await.unwrap().data, &b"1"[..]);
    assert_eq!((is_local(home, &id), is_local(other, &id)), (Some(true), None));
    assert_eq!((counts(home), counts(other)), ((1, 0), (0, 0)));
    session.close().await.unwrap();
    assert_eq!(counts(home), (0, 0));

    let hosts = format!("{},{}", home.address, other.address);
    let session = Session::establish(&hosts).await.unwrap();
    let id = session.id().to_string();
    session.create("/mine", "").ephemeral().await.unwrap();
    let reader = Session::establish(&other.address).await.unwrap();
    reader.sync("/").await.unwrap();
    // Either member may be the one that serves it; the other hears of it a moment later.
    let near = Session::establish(&home.address).await.unwrap();
    near.sync("/").await.unwrap();
    near.close().await.unwrap();
    assert_eq!((is_local(home, &id), is_local(other, &id)), (Some(false), Some(false)));
    // With its member gone, it goes on at another one, and so does what it owns.
    dev.enter(&format!("kill {}", home.id));
    dev.expect(&["was killed"]);
    assert_eq!(session.get("/kept").await.unwrap().data, &b"1"[..]);
    assert_eq!(session.id().to_string(), id);
    assert!(reader.exists("/mine").await.unwrap().is_some());
    session.close().await.unwrap();
    reader.sync("/").await.unwrap();
    assert!(reader.exists("/mine").await.unwrap().is_none());
    reader.close().await.unwrap();
}
