//! `tenure session` through its binary, against a server in the test's own process.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tenure_client::{EndCause, LostReason, Session};
use tenure_testing::TestServer;

fn with_admin() -> TestServer {
    TestServer::builder().admin(true).start().unwrap()
}

fn command(server: &TestServer, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let admin = format!("http://{}", server.admin_addr().unwrap());
    command.arg("session").args(words).args(["--admin", &admin]);
    command
}

/// Runs one command: its exit code, and what it printed.
fn run(server: &TestServer, words: &[&str]) -> (i32, String, String) {
    texts(command(server, words).output().unwrap())
}

fn texts(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn sessions_are_listed_shown_and_killed() {
    let server = with_admin();
    assert_eq!(run(&server, &["list"]), (0, "no live sessions\n".into(), String::new()));
    let session = Session::establish(&server.hosts()).await.unwrap();
    session.create("/mine", "").ephemeral().await.unwrap();
    let id = session.id().to_string();

    let (code, text, _) = run(&server, &["list"]);
    assert!(code == 0 && text.starts_with("SESSION ") && text.contains(&id), "{text}");
    let (code, text, _) = run(&server, &["list", "--json"]);
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, listed[0]["session_id"].as_str()), (0, Some(&*id)));
    let (code, text, _) = run(&server, &["show", &id]);
    assert!(code == 0 && text.contains("/mine") && text.contains("state:"), "{text}");

    let (code, text, _) = run(&server, &["kill", &id]);
    assert!(code == 0 && text.contains("operator"), "{text}");
    let LostReason::ClosedElsewhere { account } = session.lost().await else { panic!() };
    assert_eq!(account.cause, EndCause::ClosedByOperator);
    let (code, text, _) = run(&server, &["list", "--ended"]);
    assert!(code == 0 && text.contains(&id) && text.contains("closed by an operator"), "{text}");
    let (code, text, _) = run(&server, &["show", &id]);
    assert!(code == 0 && text.contains("ended by:"), "{text}");
    let (code, _, error) = run(&server, &["kill", &id]);
    assert!(code == 3 && error.contains(&id), "{error}");
}

#[tokio::test]
async fn a_znode_that_vanished_is_explained() {
    let server = with_admin();
    let session = Session::establish(&server.hosts()).await.unwrap();
    session.create("/a b", "").ephemeral().await.unwrap();
    let id = session.id().to_string();
    let (code, text, _) = run(&server, &["why", "/a b"]);
    assert!(code == 0 && text.contains("/a b exists") && text.contains(&id), "{text}");
    server.expire_session(session.id()).unwrap();
    let (code, text, _) = run(&server, &["why", "/a b"]);
    assert!(code == 0 && text.contains(&id) && text.contains("expired"), "{text}");
    let (code, text, _) = run(&server, &["why", "/never", "--json"]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, answer["exists"].as_bool()), (3, Some(false)));
}

#[tokio::test]
async fn sessions_are_followed_as_they_come_and_go() {
    let server = with_admin();
    let watch = ["watch", "--all", "--count", "3"];
    let mut child = command(&server, &watch).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let session = Session::establish(&server.hosts()).await.unwrap();
    let id = session.id().to_string();
    let mut expect = |what: &str| {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(what) && line.contains(&id), "{what}: {line}");
    };
    expect("established");
    server.drop_connection(session.id()).unwrap();
    expect("link lost");
    expect("resumed");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_cannot_be_answered_has_an_exit_code_and_a_reason() {
    let server = with_admin();
    let (code, _, error) = run(&server, &["show", "0x99"]);
    assert!(code == 3 && error.contains("0x99"), "{error}");
    for wrong in [&["show", "x"][..], &["why", "no-slash"], &["list", "--nonsense"], &[]] {
        assert_eq!(run(&server, wrong).0, 2, "{wrong:?}");
    }
    let admin = server.admin_addr().unwrap();
    server.stop().unwrap();
    let (code, _, error) = run(&server, &["list"]);
    assert!(code == 1 && error.contains(&admin.to_string()), "{error}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let (code, _, error) =
        texts(command.args(["session", "list", "--admin", "ftp://x"]).output().unwrap());
    assert!(code == 1 && error.contains("expected http://HOST:PORT"), "{error}");
}
