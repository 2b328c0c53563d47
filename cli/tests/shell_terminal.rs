//! `tenure shell` on a terminal: prompt, editing, completion, history, and events that come while a
//! line is being typed.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use support::{Server, code};

const SETTINGS: &str = "tickTime=500";
/// Longer than anything a test waits for takes.
const PATIENCE: Duration = Duration::from_secs(30);
const TAB: &str = "\t";
const UP: &str = "\x1b[A";
const CTRL_D: &str = "\x04";
const CTRL_U: &str = "\x15";

/// A shell on a terminal of its own.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not yet expected, without escape sequences.
    shown: String,
    raw: Vec<u8>,
}

impl Terminal {
    /// Starts a shell; `home` is where it keeps its history.
    fn start(server: &Server, home: &Path, options: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tenure"))
            .args(["shell", "-server", &server.address().to_string()])
            .args(options)
            .env("TERM", "xterm")
            .env("XDG_STATE_HOME", home)
            .env_remove("NO_COLOR")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let mut screen_end = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of the shell is an error here.
            while let Ok(read @ 1..) = screen_end.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard, screen, shown: String::new(), raw: Vec::new() }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown, after what was expected before.
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => {
                    self.raw.extend(bytes);
                    self.take_plain();
                }
                Err(_) => panic!("{text:?} is not shown, but:\n{}", self.shown),
            }
        }
    }

    /// Moves what is complete from the raw bytes to the text.
    fn take_plain(&mut self) {
        let text = String::from_utf8_lossy(&self.raw).into_owned();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('\x1b') {
            self.shown.push_str(&rest[..at]);
            rest = &rest[at..];
            // A sequence ends with a letter.
            match rest[1..].find(|c: char| c.is_ascii_alphabetic()) {
                Some(end) => rest = &rest[end + 2..],
                None => break,
            }
        }
        if !rest.starts_with('\x1b') {
            self.shown.push_str(rest);
            rest = "";
        }
        self.raw = rest.as_bytes().to_vec();
    }

    /// The exit code, once it has ended and its terminal is closed.
    fn end(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => {
                    self.raw.extend(bytes);
                    self.take_plain();
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.shown),
            }
        }
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn prompt(server: &Server, state: &str, number: usize) -> String {
    format!("[tenure: {}({state}) {number}] ", server.address())
}

fn set_data(server: &Server, path: &str, data: &str) {
    let server = server.address().to_string();
    let words = ["shell", "-server", &server, "set", path, data];
    let status = Command::new(env!("CARGO_BIN_EXE_tenure")).args(words).status().unwrap();
    assert!(status.success());
}

#[test]
fn commands_flags_and_paths_are_completed() {
    let server = Server::with(SETTINGS);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&server, home.path(), &[]);
    terminal.expect("Connecting to ");
    terminal.expect("Connected to ");
    terminal.expect(&prompt(&server, "CONNECTED", 0));
    terminal.press("cre\t/application hello\r");
    terminal.expect("Created /application");
    terminal.expect(&prompt(&server, "CONNECTED", 1));
    terminal.press("create '/application/in it' x\r");
    terminal.expect("Created /application/in it");
    terminal.expect(&prompt(&server, "CONNECTED", 2));
    terminal.press("get /app");
    terminal.press(TAB);
    terminal.press("\r");
    terminal.expect("hello");
    terminal.expect(&prompt(&server, "CONNECTED", 3));
    terminal.press("get /app\t\t\t\"\r");
    terminal.expect("get \"/application/in it");
    terminal.expect("x\r\n");
    terminal.expect(&prompt(&server, "CONNECTED", 4));
    terminal.press("get -\t\t");
    terminal.expect("-x  show the data as a hex dump");
    terminal.press(CTRL_U);
    terminal.press("quit\r");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn an_event_is_shown_above_the_line_that_is_typed() {
    let server = Server::with(SETTINGS);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&server, home.path(), &[]);
    terminal.press("create /a x\rget -w /a\r");
    terminal.expect(&prompt(&server, "CONNECTED", 2));
    terminal.press("get -s");
    terminal.expect("get -s");
    set_data(&server, "/a", "new");
    terminal.expect("WATCHER::");
    terminal.expect("type:NodeDataChanged path:/a zxid: ");
    // The line is there again, and goes on.
    terminal.expect(&(prompt(&server, "CONNECTED", 2) + "get -s"));
    terminal.press(" /a\r");
    terminal.expect("new");
    terminal.expect("dataVersion = 1");
    terminal.press("printwatches off\rget -w /a\r");
    terminal.expect(&prompt(&server, "CONNECTED", 5));
    set_data(&server, "/a", "unseen");
    terminal.press("version\r");
    terminal.expect("Tenure CLI version");
    assert!(!terminal.shown.contains("WATCHER"), "{}", terminal.shown);
}

#[test]
fn the_prompt_follows_the_session() {
    let mut server = Server::with(SETTINGS);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&server, home.path(), &["-timeout", "4000"]);
    terminal.press("create -e /mine x\r");
    terminal.expect(&prompt(&server, "CONNECTED", 1));
    server.kill();
    terminal.expect("state:Disconnected");
    terminal.expect("the session lives for another ");
    terminal.expect("(CONNECTING) 1]");
    server.restart();
    terminal.expect("state:SyncConnected");
    terminal.expect("(CONNECTED) 1]");
    terminal.press("getEphemerals\r");
    terminal.expect("[/mine]");
    terminal.expect(&prompt(&server, "CONNECTED", 2));
    server.kill();
    terminal.expect("state:Expired");
    terminal.expect("'connect' makes a new one");
    terminal.expect("(CLOSED) 2]");
    terminal.press("ls /\r");
    terminal.expect("Not connected: the session is lost");
    server.restart();
    terminal.press("connect\r");
    terminal.expect("Connected to ");
    terminal.expect(&prompt(&server, "CONNECTED", 4));
    terminal.press("close\r");
    terminal.expect(&prompt(&server, "CLOSED", 5));
    terminal.press(CTRL_D);
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_server_that_does_not_answer_hangs_neither_completion_nor_a_command() {
    let server = Server::with(SETTINGS);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&server, home.path(), &[]);
    terminal.press("create /a x\r");
    terminal.expect(&prompt(&server, "CONNECTED", 1));
    server.pause();
    terminal.press("get /");
    terminal.press(TAB);
    terminal.press("a");
    terminal.expect("get /a");
    terminal.press("\r");
    terminal.expect("\r\n");
    // This terminal is nobody's controlling one, so the key alone would not interrupt.
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    terminal.expect(&prompt(&server, "CONNECTED", 2));
    server.resume();
    terminal.press("get /a\r");
    terminal.expect("x\r\n");
    terminal.expect(&prompt(&server, "CONNECTED", 3));
    terminal.press(CTRL_D);
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_shell_that_is_told_to_end_closes_its_session() {
    for signal in [Signal::TERM, Signal::HUP] {
        let server = Server::with(SETTINGS);
        let home = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::start(&server, home.path(), &[]);
        terminal.press("create -e /mine x\r");
        terminal.expect("Created /mine");
        terminal.expect(&prompt(&server, "CONNECTED", 1));
        // It reads the line by now.
        terminal.press("ls");
        terminal.expect("ls");
        kill_process(Pid::from_child(&terminal.child), signal).unwrap();
        assert_eq!(terminal.end(), 130);
        assert_eq!(server.connect().delete("/mine"), Err(code::NO_NODE));
    }
}

#[test]
fn lines_are_remembered_from_run_to_run_but_no_credentials() {
    let server = Server::with(SETTINGS);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&server, home.path(), &[]);
    terminal.press("addauth digest me:secret\rcreate /a remembered\r hidden\r");
    terminal.expect(&prompt(&server, "CONNECTED", 3));
    terminal.press(CTRL_D);
    assert_eq!(terminal.end(), 0);
    let kept = fs::read_to_string(home.path().join("tenure/shell_history")).unwrap();
    assert!(kept.contains("create /a remembered\n"), "{kept}");
    assert!(!kept.contains("secret") && !kept.contains("hidden"), "{kept}");

    let mut terminal = Terminal::start(&server, home.path(), &["--no-color"]);
    terminal.expect(&prompt(&server, "CONNECTED", 0));
    terminal.press(UP);
    terminal.expect("create /a remembered");
    terminal.press("\r");
    terminal.expect("Node already exists: /a");
    terminal.expect(&prompt(&server, "CONNECTED", 1));
    terminal.press(CTRL_D);
    assert_eq!(terminal.end(), 0);

    // A home that cannot be written costs the history alone.
    let mut terminal = Terminal::start(&server, Path::new("/proc"), &[]);
    terminal.press("get /a\r");
    terminal.expect("remembered\r\n");
    terminal.expect(&prompt(&server, "CONNECTED", 1));
    terminal.press(CTRL_D);
    assert_eq!(terminal.end(), 0);
}
