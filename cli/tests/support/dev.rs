//! A running `tenure dev`: what it prints is awaited, what it is to do is typed.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Longer than an election on a very busy machine takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `tenure dev`. Its servers end with it.
pub struct Dev {
    child: Child,
    /// Its standard input; taken away, it has ended.
    pub input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Everything printed so far, for whoever reads the failure.
    printed: Vec<String>,
}

/// A row of the table of servers.
#[derive(Debug)]
pub struct Row {
    pub id: u64,
    pub role: String,
    pub address: String,
    /// Where its admin HTTP is.
    pub admin: String,
    pub pid: Option<i32>,
}

/// The command on free ports, with its default data folder in `folder`.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(["dev", "--port", "0"]).args(arguments).current_dir(folder);
    command
}

impl Dev {
    /// Starts it with piped input and output.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let lines = lines(child.stdout.take().unwrap());
        Self { child, input, lines, printed: Vec::new() }
    }

    /// Starts it with one server and a terminal for its input, whose keyboard is returned.
    pub fn on_terminal(folder: &Path) -> (Self, File) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let mut command = command(folder, &["--servers", "1"]);
        let mut child = command.stdin(slave).stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        (Self { child, input: None, lines, printed: Vec::new() }, File::from(master))
    }

    /// Types a line.
    pub fn enter(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that holds all of these.
    pub fn expect(&mut self, parts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("{parts:?} is not printed, but:\n{}", self.printed.join("\n"));
            };
            self.printed.push(line.clone());
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }

    /// The next table of so many servers.
    pub fn table(&mut self, count: usize) -> Vec<Row> {
        self.expect(&["SERVER", "ROLE", "PROCESS", "LOG"]);
        let row = |line: String| {
            let mut words = line.split_whitespace().map(str::to_owned);
            let id = words.next().unwrap().parse().unwrap();
            let words: Vec<String> = words.collect();
            // A role may have two words; four columns stand behind it.
            let (role, rest) = words.split_at(words.len() - 4);
            let pid = rest[2].parse().ok();
            let (address, admin) = (rest[0].clone(), rest[1].clone());
            Row { id, role: role.join(" "), address, admin, pid }
        };
        (0..count).map(|_| row(self.expect(&["server-"]))).collect()
    }

    /// Sends it, not a server, a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, once everything is over.
    pub fn end(mut self) -> i32 {
        // With the process goes the other end of the pipe.
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.printed.push(line);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            thread::yield_now();
        }
        panic!("it runs on:\n{}", self.printed.join("\n"));
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
