//! Three servers on one machine, each a process of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Client, Handshake, Op, Socket};

/// Long enough for an election on a very busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Three servers, and room for a fourth.
pub struct Ensemble {
    pub folder: tempfile::TempDir,
    pub ports: Vec<u16>,
    running: Vec<Option<Child>>,
}

impl Ensemble {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts with further lines in every server's configuration.
    pub fn start_with(lines: &str) -> Self {
        let mut ensemble = Self::prepare(lines);
        (0..3).for_each(|n| ensemble.spawn(n));
        ensemble
    }

    /// Writes the configurations of servers that do not run yet.
    pub fn prepare(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Held until all are known, so that no port is given twice.
        let free: Vec<_> =
            (0..12).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        let ports: Vec<u16> = free.iter().map(|port| port.local_addr().unwrap().port()).collect();
        drop(free);
        for (n, client) in ports[..3].iter().enumerate() {
            let data = folder.path().join(format!("data{n}"));
            fs::create_dir(&data).unwrap();
            fs::write(data.join("myid"), (n + 1).to_string()).unwrap();
            let mut text = format!(
                "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={client}\n\
                 clientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
                 4lw.commands.whitelist=*\n{lines}",
                data.display()
            );
            for m in 0..3 {
                let (quorum, election) = (ports[3 + m], ports[6 + m]);
                text += &format!("server.{}=127.0.0.1:{quorum}:{election}\n", m + 1);
            }
            fs::write(folder.path().join(format!("{n}.cfg")), text).unwrap();
        }
        Ensemble { folder, ports, running: vec![None, None, None, None] }
    }

    /// Moves the member lines of a server's configuration to a file of their own.
    pub fn move_members(&self, n: usize) {
        let (path, members) = (self.folder.path().join(format!("{n}.cfg")), self.members_file(n));
        let text = fs::read_to_string(&path).unwrap();
        let (lines, others): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with("server."));
        let named = format!("{}\ndynamicConfigFile={}\n", others.join("\n"), members.display());
        fs::write(path, named).unwrap();
        fs::write(members, lines.join("\n")).unwrap();
    }

    pub fn members_file(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("{n}.members"))
    }

    /// The line of a server that joins later, the fourth.
    pub fn fourth_line(&self) -> String {
        format!(
            "server.4=127.0.0.1:{}:{}:participant;127.0.0.1:{}",
            self.ports[9], self.ports[10], self.ports[11]
        )
    }

    /// Starts a fourth server, which knows the others and itself.
    pub fn spawn_fourth(&mut self) {
        let data = self.folder.path().join("data3");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("myid"), "4").unwrap();
        let third = fs::read_to_string(self.folder.path().join("2.cfg")).unwrap();
        let own = ["dataDir=", "clientPort", "dynamicConfigFile="];
        let others = third.lines().filter(|line| !own.iter().any(|own| line.starts_with(own)));
        let others = others.collect::<Vec<_>>().join("\n");
        let text = format!("dataDir={}\n{others}\n{}\n", data.display(), self.fourth_line());
        fs::write(self.folder.path().join("3.cfg"), text).unwrap();
        self.spawn(3);
    }

    pub fn spawn(&mut self, n: usize) {
        let log: PathBuf = self.folder.path().join(format!("{n}.log"));
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tenure"))
            .arg("serve")
            .arg(self.folder.path().join(format!("{n}.cfg")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.running[n] = Some(child.unwrap());
    }

    /// Has a server look for the others where they are not.
    pub fn isolate(&self, n: usize) {
        let path = self.folder.path().join(format!("{n}.cfg"));
        let mut text = fs::read_to_string(&path).unwrap();
        for port in &self.ports[3..9] {
            text = text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.7:{port}"));
        }
        fs::write(path, text).unwrap();
    }

    pub fn kill(&mut self, n: usize) {
        let mut child = self.running[n].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Leaves a server that is down with nothing but its number.
    pub fn wipe(&self, n: usize) {
        let data = self.folder.path().join(format!("data{n}"));
        for entry in fs::read_dir(&data).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else if !path.ends_with("myid") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    pub fn word(&self, n: usize, word: &str) -> String {
        use std::io::{Read, Write};
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(self.address(n)) {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            _ = stream.write_all(word.as_bytes());
            _ = stream.read_to_string(&mut answer);
        }
        answer
    }

    pub fn address(&self, n: usize) -> SocketAddr {
        let port = if n == 3 { self.ports[11] } else { self.ports[n] };
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// What a command of the shell prints, once it succeeds.
    pub fn shell(&self, n: usize, command: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let server = self.address(n).to_string();
            let ran = Command::new(env!("CARGO_BIN_EXE_tenure"))
                .args(["shell", "-s", &server])
                .args(command)
                .output()
                .unwrap();
            if ran.status.success() {
                return String::from_utf8(ran.stdout).unwrap();
            }
            let error = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert!(Instant::now() < deadline, "{command:?}: {error}\n{}", self.logs());
        }
    }

    pub fn leader(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let up = (0..4).filter(|n| self.running[*n].is_some());
            let leads = |n: &usize| self.word(*n, "srvr").contains("Mode: leader");
            if let Some(leader) = up.into_iter().find(leads) {
                return leader;
            }
            assert!(Instant::now() < deadline, "nobody leads:\n{}", self.logs());
        }
    }

    /// Waits until something has come to be.
    pub fn wait_for(&self, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "it does not come to be:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Connects as soon as the server lets it: right after an election it turns clients away.
    pub fn connect(&self, n: usize, handshake: &Handshake) -> Client {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(stream) = TcpStream::connect(self.address(n)) {
                let mut socket = Socket::new(stream);
                if let Ok(session) = socket.try_handshake(handshake) {
                    return Client::over(socket, session);
                }
            }
            assert!(Instant::now() < deadline, "server {n} lets nobody in:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A new session at a server that has all that the leader had. One that gets a snapshot
    /// meanwhile sends its clients away.
    pub fn connect_in_sync(&self, n: usize) -> Client {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut client = self.connect(n, &Handshake::new(30_000));
            let xid = client.send(&Op::sync("/"));
            if client.try_reply().is_ok_and(|reply| (reply.xid, reply.err) == (xid, 0)) {
                return client;
            }
            assert!(Instant::now() < deadline, "server {n} does not catch up:\n{}", self.logs());
        }
    }

    pub fn logs(&self) -> String {
        let log = |n: usize| fs::read_to_string(self.folder.path().join(format!("{n}.log")));
        (0..4).map(|n| log(n).unwrap_or_default()).collect()
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}
