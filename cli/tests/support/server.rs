//! A server process of a test's own: started, killed, paused and restarted on one data folder.
//!
//! It is the `tenure` binary, or, with `TENURE_TEST_SERVER_CMD`, any command that takes a zoo.cfg.
//! Proving the tests on another implementation of the protocol keeps them honest.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::{Client, Handshake, Socket};

/// A server process and its data folder. Both go when this is dropped or the test process ends.
pub struct Server {
    folder: PathBuf,
    port: u16,
    running: Option<Running>,
}

/// The process, and a shell that ends it if the test process dies without doing so.
struct Running {
    server: Child,
    guard: Child,
}

impl Server {
    /// Starts a server with the settings most tests want.
    pub fn start() -> Self {
        Self::with("tickTime=2000")
    }

    /// Starts a server; `settings` are further zoo.cfg lines, and must hold `tickTime`.
    pub fn with(settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tenure-test-").tempdir().unwrap().keep();
        let mut server = Self { folder, port: 0, running: None };
        for _ in 0..20 {
            server.port = free_port();
            server.configure(settings);
            match server.launch() {
                Ok(()) => return server,
                Err(log) if log.to_lowercase().contains("address already in use") => {}
                Err(log) => panic!("the server did not start:\n{log}"),
            }
        }
        panic!("no free port found")
    }

    /// Rewrites zoo.cfg; takes effect at the next start.
    pub fn configure(&self, settings: &str) {
        let text = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n\
             4lw.commands.whitelist=*\nadmin.enableServer=false\n{settings}\n",
            self.data_dir().display(),
            self.port
        );
        fs::write(self.folder.join("zoo.cfg"), text).unwrap();
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The folder the server keeps its state in.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the process has written to its standard error so far, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A new session with the timeout most tests want.
    pub fn connect(&self) -> Client {
        self.establish(&Handshake::new(30_000))
    }

    /// Sends this handshake and expects it to be accepted.
    pub fn establish(&self, handshake: &Handshake) -> Client {
        Client::establish(self.socket(), handshake)
    }

    /// A socket without a handshake.
    pub fn socket(&self) -> Socket {
        Socket::new(TcpStream::connect(self.address()).expect("the server accepts connections"))
    }

    /// Sends a four-letter word and returns the whole answer.
    pub fn word(&self, word: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        let mut running = self.running.take().expect("the server runs");
        running.server.kill().unwrap();
        running.reap();
    }

    /// SIGTERM, and the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.running.take().expect("the server runs").reap()
    }

    /// SIGSTOP: the process no longer runs, its sockets stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: ends a pause.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again on the same data folder and port.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "stop or kill it first");
        if let Err(log) = self.launch() {
            panic!("the server did not start again:\n{log}");
        }
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        match &mut self.running {
            Some(running) => running.server.try_wait().unwrap().is_none(),
            None => false,
        }
    }

    fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("the server runs");
        let pid = Pid::from_child(&running.server);
        kill_process(pid, signal).unwrap();
    }

    /// Starts the process and does not wait: it may be killed while it still recovers.
    pub fn spawn(&mut self) {
        assert!(self.running.is_none(), "stop or kill it first");
        fs::create_dir_all(self.data_dir()).unwrap();
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let server = server_command()
            .arg(self.folder.join("zoo.cfg"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the server command runs");
        let guard = guard(&server, &self.folder);
        self.running = Some(Running { server, guard });
    }

    /// Starts the process and waits until it serves; the error is its log.
    fn launch(&mut self) -> Result<(), String> {
        self.spawn();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !serves(self.address()) {
            if !self.is_running() {
                self.running.take().expect("it was started").reap();
                return Err(self.log());
            }
            assert!(Instant::now() < deadline, "the server does not serve:\n{}", self.log());
            // A process that has not bound its port yet offers nothing to wait on.
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log());
        }
        if let Some(mut running) = self.running.take() {
            let _ = running.server.kill();
            running.reap();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Running {
    /// Waits for the process to end. The guard goes first, while it still names our process.
    fn reap(mut self) -> Option<i32> {
        self.guard.kill().unwrap();
        self.guard.wait().unwrap();
        self.server.wait().unwrap().code()
    }
}

/// Whether the tests run against something else than Tenure.
pub fn foreign() -> bool {
    std::env::var_os("TENURE_TEST_SERVER_CMD").is_some()
}

/// Says whether to skip a test in which Tenure differs from ZooKeeper on purpose.
///
/// # Examples
/// `if tenure_only("the password is checked before the rightful connection is closed") { return; }`
pub fn tenure_only(why: &str) -> bool {
    if foreign() {
        let thread = std::thread::current();
        // Written past the test harness's capture, so that a skip is never silent.
        let line = format!("SKIPPED {}: Tenure only: {why}\n", thread.name().unwrap_or("?"));
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    foreign()
}

fn server_command() -> Command {
    match std::env::var_os("TENURE_TEST_SERVER_CMD") {
        Some(command) => Command::new(command),
        None => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
            command.arg("serve");
            command
        }
    }
}

/// A shell that waits for the end of this test process, then ends the server and its folder.
fn guard(server: &Child, folder: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "read -r _; kill -9 \"$1\"; rm -rf \"$2\"", "guard"])
        .arg(server.id().to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs")
}

/// Asks for a session nobody has: a server that refuses it serves, and it costs no zxid.
fn serves(address: SocketAddr) -> bool {
    let Ok(stream) = TcpStream::connect(address) else { return false };
    let mut socket = Socket::new(stream);
    let stranger = Handshake { session_id: 1, ..Handshake::new(30_000) };
    match socket.try_handshake(&stranger) {
        Ok(answer) => answer.session_id == 0,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(_) => false,
    }
}

/// A port nobody listens on, below the range the system hands to outgoing connections, so that a
/// server finds it free again after a restart.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = (std::process::id() as u16).wrapping_mul(97);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + spread.wrapping_add(step) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
