//! Long random scripts whose every answer and notification was recorded from Apache ZooKeeper.
//!
//! With `TENURE_TEST_SERVER_CMD` and `TENURE_TEST_RECORD=1` the transcripts are recorded anew.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

use support::script::{Names, Script, Step};
use support::{Client, Op, Random, Server, foreign};

const STEPS: usize = 1_200;
const CLIENTS: usize = 3;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

/// Plays the script of this seed; one line for each step.
fn play(seed: u64) -> String {
    let server = Server::with("tickTime=2000\nextendedTypesEnabled=true");
    let mut script = Script { random: Random::new(seed), earlier_zxid: 0 };
    let mut names = Names::default();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (i, client) in clients.iter().enumerate() {
        names.clients.insert(client.id(), i);
    }
    let mut transcript = String::new();
    for step in 0..STEPS {
        let who = script.random.below(CLIENTS as u64) as usize;
        let (text, action) = script.step();
        let client = &mut clients[who];
        let answer = match action {
            Step::Request(op) => {
                let xid = client.send(&op);
                let reply = client.try_reply();
                let reply = reply.unwrap_or_else(|error| panic!("{step} {text}: {error}"));
                assert_eq!(reply.xid, xid);
                names.steps.entry(reply.zxid).or_insert(step);
                if reply.zxid > 0 && step % 7 == 0 {
                    script.earlier_zxid = reply.zxid;
                }
                names.reply(op.code, &reply)
            }
            Step::Authenticate(credentials) => {
                client.authenticate("digest", credentials);
                "ok".into()
            }
            Step::Reattach => {
                *client = server.establish(&client.ticket());
                "ok".into()
            }
            Step::Reopen => {
                let reply = client.call(&Op::close_session());
                client.socket.expect_end();
                names.steps.insert(reply.zxid, step);
                *client = server.connect();
                names.clients.insert(client.id(), who);
                names.steps.insert(client.ping().zxid, step);
                "ok".into()
            }
        };
        write!(transcript, "{step} c{who} {text} -> {answer}").unwrap();
        let ends_ephemerals = text == "reopen";
        for line in notifications(&mut clients, &names, ends_ephemerals) {
            write!(transcript, " | {line}").unwrap();
        }
        transcript.push('\n');
    }
    transcript
}

/// What every client has been notified of by this step.
fn notifications(clients: &mut [Client], names: &Names, sorted: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (i, client) in clients.iter_mut().enumerate() {
        client.ping();
        let mut events: Vec<String> = client
            .events
            .drain(..)
            .map(|event| {
                let zxid = names.zxid(event.zxid);
                format!("c{i} event {} {} {zxid}", event.kind, event.path)
            })
            .collect();
        // A session's ephemerals go in no promised order.
        if sorted {
            events.sort();
        }
        lines.extend(events);
    }
    lines
}

fn check(seed: u64) {
    let path = folder().join(format!("{seed}.txt"));
    let played = play(seed);
    if foreign() && env::var_os("TENURE_TEST_RECORD").is_some() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(path, played).unwrap();
        return;
    }
    let recorded = fs::read_to_string(&path).unwrap();
    for (ours, theirs) in played.lines().zip(recorded.lines()) {
        assert_eq!(ours, theirs, "script {seed} (ours left, the recorded answer right)");
    }
    assert_eq!(played.lines().count(), recorded.lines().count());
}

#[test]
fn script_1_is_answered_as_recorded() {
    check(1);
}

#[test]
fn script_2_is_answered_as_recorded() {
    check(2);
}

#[test]
fn script_3_is_answered_as_recorded() {
    check(3);
}

#[test]
fn script_4_is_answered_as_recorded() {
    check(4);
}
