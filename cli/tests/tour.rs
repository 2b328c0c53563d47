//! `tenure tour` through its binary, without a terminal: it shows every state, tells the truth in
//! its exit code, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than any tour takes; about five seconds are usual.
const LIMIT: Duration = Duration::from_secs(60);

/// A tour under way, and the only place where it may leave something.
struct Tour {
    child: Child,
    /// Nothing if nobody reads it.
    out: Option<BufReader<ChildStdout>>,
    scratch: TempDir,
    since: Instant,
}

impl Tour {
    fn start() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tenure"))
            .arg("tour")
            .env("TMPDIR", scratch.path())
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out, scratch, since: Instant::now() }
    }

    /// Reads until a line with this text.
    fn reads(&mut self, text: &str) {
        let (mut line, out) = (String::new(), self.out.as_mut().unwrap());
        while !line.contains(text) {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "the tour ended before {text:?}");
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it still has to say, on both channels, and how it ended, leaving nothing behind.
    fn ends(mut self) -> (ExitStatus, String, String) {
        let pid = Pid::from_child(&self.child);
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || {
            let (mut out, mut err) = (String::new(), String::new());
            if let Some(mut reader) = self.out {
                reader.read_to_string(&mut out).unwrap();
            }
            self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            let left: Vec<_> = fs::read_dir(self.scratch.path()).unwrap().collect();
            sender.send((self.child.wait().unwrap(), out, err, left)).unwrap();
        });
        let limit = LIMIT.saturating_sub(self.since.elapsed());
        let Ok((status, out, err, left)) = ended.recv_timeout(limit) else {
            let _ = kill_process(pid, Signal::KILL);
            panic!("the tour takes longer than {LIMIT:?}");
        };
        assert!(left.is_empty(), "left behind: {left:?}\n{out}{err}");
        (status, out, err)
    }
}

#[test]
fn every_step_happens_as_told_and_every_state_shows() {
    let (status, out, err) = Tour::start().ends();
    assert_eq!((status.code(), err.as_str()), (Some(0), ""), "{out}");
    let mut rest = out.as_str();
    for expected in [
        "1. A session is established",
        "NOT_CONNECTED",
        "CONNECTING",
        "CONNECTED ",
        "sees /workers/alice",
        "/lock/ticket-0000000000 is the first: holds the lock",
        "alice's connection is cut",
        "CONNECTING",
        "at risk: no link to a server",
        "certain to live for another",
        "CONNECTED ",
        "again; /workers/alice was never gone",
        "crashes",
        "still sees /workers/alice",
        "/lock/ticket-0000000000 is gone",
        "after her timeout",
        "/lock/ticket-0000000001 is the first now: holds the lock",
        "expired: nothing heard from its client for 2",
        "is told: expired",
        "bob's packets vanish",
        "at risk: the server is silent",
        "CLOSED         lost: no server vouched for it",
        "/lock/ticket-0000000002 is the first now: holds the lock",
        "bob had stopped believing",
        "mallory  AUTH_FAILED",
        "carol    CLOSED         lost: closed",
        "closed by its client",
        "The server and its data are gone.",
    ] {
        let Some(at) = rest.find(expected) else {
            panic!("{expected:?} should come next:\n{rest}\nof:\n{out}");
        };
        rest = &rest[at + expected.len()..];
    }
    assert!(!out.contains('\x1b') && !out.contains("[Enter]"), "this is for terminals:\n{out}");
}

#[test]
fn a_signal_ends_the_tour_and_leaves_nothing() {
    for (signal, line) in [
        (Signal::INT, "with its data in"),
        (Signal::INT, "crashes"),
        (Signal::TERM, "bob's packets vanish"),
    ] {
        let mut tour = Tour::start();
        tour.reads(line);
        tour.signal(signal);
        let (status, _, err) = tour.ends();
        assert_eq!(status.code(), Some(130), "{err}");
        assert!(err.contains("stopped; the server and its data are gone"), "{err}");
    }
}

#[test]
fn what_does_not_happen_as_told_fails_the_tour_and_leaves_nothing() {
    let mut tour = Tour::start();
    tour.reads("has session");
    // For longer than the sessions can bear it. Time itself is what is waited for here.
    tour.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(2_500));
    tour.signal(Signal::CONT);
    let (status, out, err) = tour.ends();
    assert_eq!(status.code(), Some(1), "{out}{err}");
    assert!(err.starts_with("tenure tour: ") && err.contains("did not run for"), "{out}{err}");
}

#[test]
fn an_audience_that_leaves_ends_the_tour() {
    let mut tour = Tour::start();
    tour.reads("with its data in");
    tour.out = None;
    let (status, _, err) = tour.ends();
    assert_eq!((status.code(), err.as_str()), (Some(1), ""));
}
