//! `tenure ensemble status` as operators and their scripts use it.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::net::TcpListener;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use support::dev::{Dev, PATIENCE, Row};
use tenure_client::Session;
use tenure_server::config::WordList;
use tenure_testing::TestServer;

/// Runs the command: its exit code, and what it prints.
fn status(hosts: &str, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let output = command.args(["ensemble", "status", "-s", hosts]).args(more).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap() + &error)
}

/// The line about the member with this address.
fn line<'a>(text: &'a str, row: &Row) -> &'a str {
    let found = text.lines().find(|line| line.contains(&row.address));
    found.unwrap_or_else(|| panic!("{} is not in:\n{text}", row.address))
}

fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

fn hosts(rows: &[Row]) -> String {
    let addresses: Vec<&str> = rows.iter().map(|row| row.address.as_str()).collect();
    addresses.join(",")
}

#[tokio::test]
async fn one_member_tells_of_all_and_a_quorum_decides_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let rows = dev.table(3);
    let leader = rows.iter().find(|row| row.role == "leader").unwrap();
    let followers: Vec<&Row> = rows.iter().filter(|row| row.role == "follower").collect();
    let session = Session::establish(&leader.address).await.unwrap();
    session.create("/changed", "").await.unwrap();
    for follower in &followers {
        // What the leader has applied, so have they.
        let reader = Session::establish(&follower.address).await.unwrap();
        reader.sync("/").await.unwrap();
        reader.close().await.unwrap();
    }
    let (code, text) = status(&followers[0].address, &[]);
    assert_eq!(code, 0, "{text}");
    assert_holds(&text, &[&format!("\nhealthy: 3 of 3, server {} leads\n", leader.id)]);
    for row in &rows {
        let line = line(&text, row);
        assert!(line.starts_with(&row.id.to_string()) && line.ends_with("serves"), "{text}");
        assert_holds(line, &[&row.role]);
    }
    let (code, text) = status(&followers[0].address, &["--json"]);
    let health: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, health["has_quorum"].as_bool()), (0, Some(true)), "{text}");
    assert_eq!(health["verdict"].as_str(), Some("healthy"), "{text}");
    assert_eq!(health["leader"]["id"].as_u64(), Some(leader.id), "{text}");
    let own = &health["members"][leader.id as usize - 1];
    assert_eq!(own["address"].as_str(), Some(&*leader.address), "{text}");
    assert_eq!((own["lag_changes"].as_u64(), own["sessions"].as_u64()), (Some(0), Some(1)));
    assert!(own["epoch"].as_u64() >= Some(1), "{text}");
    session.close().await.unwrap();
    let admins: Vec<&str> = rows.iter().map(|row| row.admin.as_str()).collect();
    let admins = ["--admin", &admins.join(",")];
    let (_, text) = status(&followers[0].address, &admins);
    assert_holds(&text, &[&format!("Last election: server {} since 20", leader.id)]);
    assert_holds(&text, &["(started)", " ms without a leader; 0 sessions, "]);

    dev.enter(&format!("kill {}", followers[1].id));
    dev.expect(&["was killed"]);
    let (code, text) = status(&leader.address, &[]);
    assert_eq!(code, 0, "{text}");
    let gone = format!("server {} unreachable", followers[1].id);
    assert_holds(&text, &["\ndegraded: 2 of 3, ", &gone]);
    assert_holds(line(&text, followers[1]), &["unreachable", "refused"]);

    dev.enter("kill leader");
    dev.expect(&["was killed (SIGKILL); it led"]);
    // The last one hears of no end: it waits for as long as a leader may be silent.
    let deadline = Instant::now() + PATIENCE;
    let lonely = loop {
        let (code, text) = status(&hosts(&rows), &[]);
        assert_eq!(code, 1, "{text}");
        let line = line(&text, followers[0]).to_owned();
        if !line.ends_with("serves") || Instant::now() > deadline {
            break line;
        }
    };
    assert_holds(&lonely, &["runs, but serves nobody"]);
    let alone = format!("server {} has no leader", followers[0].id);
    // It does not tell its clients of the others, but its admin HTTP does.
    let (code, text) = status(&followers[0].address, &admins);
    assert_eq!(code, 1, "{text}");
    assert_holds(&text, &["\nno quorum: 0 of 3, 2 needed, nobody leads, ", &alone, &gone]);
    assert_holds(line(&text, leader), &["unreachable", "refused"]);
    let (code, text) = status(&hosts(&rows), &["--json"]);
    let health: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, health["has_quorum"].as_bool()), (1, Some(false)), "{text}");
    assert_eq!(health["verdict"].as_str(), Some("no quorum"), "{text}");
    assert!(health["leader"].is_null() && health["voters_serving"] == 0, "{text}");
}

#[test]
fn members_that_tell_only_what_is_open_by_default_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &["--set", "4lw.commands.whitelist=srvr"]);
    let rows = dev.table(3);
    let follower = rows.iter().find(|row| row.role == "follower").unwrap();
    let (code, text) = status(&hosts(&rows), &[]);
    assert_eq!(code, 0, "{text}");
    assert_holds(&text, &["\nhealthy: 3 of 3, "]);
    // One that stands still is waited for, but not for long.
    dev.enter(&format!("pause {}", follower.id));
    dev.expect(&["was paused"]);
    let (code, text) = status(&hosts(&rows), &[]);
    assert_eq!(code, 0, "{text}");
    assert_holds(line(&text, follower), &["unreachable: no answer within 2s"]);
    assert_holds(&text, &["\ndegraded: 2 of 3, ", &format!("server {} unr", follower.id)]);
}

#[test]
fn a_member_that_is_read_only_is_told_from_one_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &["--set", "readonlymode.enabled=true"]);
    let rows = dev.table(3);
    let follower = rows.iter().find(|row| row.role == "follower").unwrap();
    let others = rows.iter().filter(|row| row.id != follower.id);
    for other in others.clone() {
        dev.enter(&format!("kill {}", other.id));
        dev.expect(&["was killed"]);
    }
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        let (code, text) = status(&follower.address, &[]);
        assert!(code == 1 || text.contains(" leads"), "{text}");
        if line(&text, follower).contains("read-only") || Instant::now() > deadline {
            break text;
        }
    };
    assert_holds(line(&text, follower), &["read-only", "serves reads only", "no leader"]);
    let own = format!("server {} is read-only", follower.id);
    assert_holds(&text, &["\nno quorum: 0 of 3, 2 needed, nobody leads, ", &own]);
    // It knows the others, though none of them can be asked.
    others.for_each(|other| assert_holds(line(&text, other), &["unreachable"]));
}

#[tokio::test]
async fn members_are_learnt_from_the_configuration_that_clients_see() {
    let builder = TestServer::builder().configure(|config| {
        config.auth.super_digest = Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=".to_owned());
        config.four_letter_words = WordList::All;
    });
    let server = builder.start().unwrap();
    let here = server.hosts();
    let session = Session::builder(&here).auth("digest", "super:admin").establish().await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let lines = format!("server.1=127.0.0.1:1:2;{here}\nserver.2=127.0.0.1:3:4;{gone}\n");
    session.set("/zookeeper/config", &lines).await.unwrap();
    for _ in 0..2 {
        let (code, text) = status(&here, &["--json"]);
        let health: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, health["voters"].as_u64()), (1, Some(2)), "{text}");
        let members = health["members"].as_array().unwrap();
        let known = |n: usize| (members[n]["id"].as_u64(), members[n]["address"].as_str());
        assert_eq!(known(0), (Some(1), Some(&*here)), "{text}");
        assert_eq!(known(1), (Some(2), Some(&*gone)), "{text}");
        // The session that read the configuration does not stay.
        assert_eq!(members[0]["sessions"].as_u64(), Some(1), "{text}");
    }
    session.close().await.unwrap();
}

#[test]
fn a_server_of_its_own_is_healthy_and_nobody_is_not() {
    let server = TestServer::start().unwrap();
    let (code, text) = status(&server.hosts(), &[]);
    assert_eq!(code, 0, "{text}");
    assert_holds(&text, &["standalone", "\nhealthy: a server of its own, which serves\n"]);
    server.stop().unwrap();
    let (code, text) = status(&server.hosts(), &[]);
    assert_eq!(code, 1, "{text}");
    assert_holds(&text, &["unreachable", "\nno quorum: 0 of 1, 1 needed, none of these leads, "]);
    let (code, text) = status("somewhere:port", &[]);
    assert_eq!(code, 2, "{text}");
    assert_holds(&text, &["somewhere:port", "HOST:PORT"]);
}
