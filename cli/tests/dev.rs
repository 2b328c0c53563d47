//! `tenure dev` as its user meets it: servers that are killed, paused and come back, and none that
//! stays behind.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use support::dev::{Dev, PATIENCE, Row, command};

/// Runs one that ends by itself: its exit code and what it says about that.
fn refused(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(folder, arguments).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Runs one command of the shell: its exit code and what it prints.
fn shell(hosts: &str, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let output = command.args(["shell", "-s", hosts]).args(words).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn kill(row: &Row) {
    let pid = Pid::from_raw(row.pid.unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

fn position(rows: &[Row], role: &str) -> usize {
    rows.iter().position(|row| row.role == role).unwrap_or_else(|| panic!("no {role}: {rows:?}"))
}

/// Waits until nobody listens where the servers did. The end of a connection alone would prove
/// nothing: one without a session is closed after a while.
fn expect_gone(rows: &[Row]) {
    let deadline = Instant::now() + PATIENCE;
    for row in rows {
        while TcpStream::connect(&row.address).is_ok() {
            assert!(Instant::now() < deadline, "it lives on: {row:?}");
            thread::yield_now();
        }
    }
}

#[test]
fn a_leader_that_is_killed_from_outside_is_replaced_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let connect = dev.expect(&["Connect to:"]);
    let hosts = connect.split_whitespace().last().unwrap().to_owned();
    let rows = dev.table(3);
    let leader = position(&rows, "leader");
    assert_eq!(rows.iter().filter(|row| row.role == "follower").count(), 2, "{rows:?}");
    let addresses: Vec<&str> = rows.iter().map(|row| row.address.as_str()).collect();
    assert_eq!(addresses.join(","), hosts);
    assert_eq!(shell(&hosts, &["create", "/kept", "data"]).0, Some(0));

    kill(&rows[leader]);
    let name = format!("server {}", rows[leader].id);
    dev.expect(&[&name, "was killed (SIGKILL); it led; it is started again in 1 s"]);
    let line = dev.expect(&["leads now", &format!("{name} did before"), "ms without a leader"]);
    assert!(!line.contains(&format!("{name} leads")), "{line}");
    dev.expect(&[&name, "is started again"]);
    dev.expect(&[&name, "is back as follower"]);
    dev.enter("status");
    let after = dev.table(3);
    assert!(after[leader].pid.is_some() && after[leader].pid != rows[leader].pid, "{after:?}");
    assert_eq!(after[leader].address, rows[leader].address);
    assert_eq!(shell(&after[leader].address, &["get", "/kept"]), (Some(0), "data\n".to_owned()));

    dev.enter("quit");
    dev.expect(&["All servers have stopped"]);
    expect_gone(&after);
    assert_eq!(dev.end(), 0);
    let log = std::fs::read_to_string(folder.path().join("tenure-dev/server-1.log")).unwrap();
    assert!(log.contains("stopped"), "it did not stop by itself:\n{log}");
}

#[test]
fn servers_are_killed_paused_and_started_by_typed_commands_and_the_end_of_input_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let rows = dev.table(3);
    let leader = rows[position(&rows, "leader")].id;
    let other = rows[position(&rows, "follower")].id;
    dev.enter("reboot 1");
    dev.expect(&["reboot 1", "is no command", "resume N"]);
    dev.enter("kill 9");
    dev.expect(&["there is no server 9; there are 1, 2, 3"]);

    dev.enter(&format!("kill {other}"));
    dev.expect(&[&format!("server {other} was killed"), &format!("start {other} brings it back")]);
    dev.enter("pause leader");
    dev.expect(&[&format!("server {leader} was paused (SIGSTOP); it led")]);
    // It is not replaced: the last one is no quorum.
    dev.expect(&["nobody leads: 1 of 3 servers run, 2 are needed"]);
    dev.enter("status");
    let table = dev.table(3);
    let role = |id: u64| table[id as usize - 1].role.as_str();
    assert_eq!((role(other), role(leader)), ("down", "paused"), "{table:?}");

    dev.enter(&format!("start {other}"));
    dev.expect(&[&format!("server {other} is started again")]);
    dev.expect(&["leads now", &format!("server {leader} did before")]);
    dev.enter(&format!("resume {leader}"));
    dev.expect(&[&format!("server {leader} was resumed (SIGCONT)")]);
    dev.expect(&[&format!("server {leader} is back as follower")]);
    dev.enter(&format!("start {leader}"));
    dev.expect(&[&format!("server {leader} runs already")]);

    // The end of the input is followed by what happens after it.
    drop(dev.input.take());
    kill(&rows[leader as usize - 1]);
    dev.expect(&[&format!("server {leader} was killed"), "it is started again"]);
    dev.expect(&[&format!("server {leader} is back as")]);
    dev.signal(Signal::TERM);
    assert_eq!(dev.end(), 0);
}

#[test]
fn no_server_outlives_it_not_even_a_paused_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let rows = dev.table(3);
    dev.enter("pause 2");
    dev.expect(&["server 2 was paused"]);
    dev.signal(Signal::KILL);
    expect_gone(&rows);
}

#[test]
fn one_server_stands_alone_and_ends_with_the_terminals_input() {
    let folder = tempfile::tempdir().unwrap();
    let (mut dev, mut keyboard) = Dev::on_terminal(folder.path());
    let rows = dev.table(1);
    assert_eq!(rows[0].role, "standalone");
    assert_eq!(shell(&rows[0].address, &["create", "/kept"]).0, Some(0));
    // Ctrl-D.
    keyboard.write_all(b"\x04").unwrap();
    dev.expect(&["All servers have stopped"]);
    assert_eq!(dev.end(), 0);

    // What was kept is there again, until somebody wants to start empty.
    let (code, said) = refused(folder.path(), &["--servers", "3"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("holds the data of 1 servers, not of 3; --fresh"), "{said}");
    let mut dev = Dev::start(folder.path(), &["--servers", "1", "--no-restart"]);
    let rows = dev.table(1);
    assert_eq!(shell(&rows[0].address, &["ls", "/"]).1, "[kept, zookeeper]\n");
    let (code, said) = refused(folder.path(), &["--servers", "1"]);
    assert!(code == Some(1) && said.contains("in use by another tenure dev"), "{said}");
    kill(&rows[0]);
    dev.expect(&["server 1 was killed", "start 1 brings it back"]);
    dev.enter("start 1");
    dev.expect(&["server 1 serves again"]);
    dev.enter("quit");
    assert_eq!(dev.end(), 0);
    let mut dev = Dev::start(folder.path(), &["--servers", "1", "--fresh"]);
    let rows = dev.table(1);
    assert_eq!(shell(&rows[0].address, &["ls", "/"]).1, "[zookeeper]\n");
}

#[test]
fn what_cannot_work_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(["dev", "--port", &port]).current_dir(folder.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&port) && said.contains("in use") && said.contains("--port"), "{said}");
    let (code, said) = refused(folder.path(), &["--servers", "4"]);
    assert!(code == Some(2) && said.contains("1, 3, 5, 7"), "{said}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &["--servers", "1", "--set", "tickTime=soon"]);
    dev.expect(&["server 1 ended with exit code 2", "tickTime", "soon", "start 1 brings it back"]);
    dev.enter("quit");
    assert_eq!(dev.end(), 0);
}
