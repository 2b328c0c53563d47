//! A server in the test's own process on a data folder that is there already, and the `tenure`
//! command beside it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use tenure_client::{Session, SessionBuilder};
use tenure_server::config::{Listen, ServerConfig};
use tenure_server::{ServerHandle, start};

/// Who may read everything.
pub const SUPER_USER: &str = "digest:super:admin";

/// Starts an ensemble on these folders, a member each, and returns when all of them serve.
pub fn members(folders: &[PathBuf]) -> Vec<Hosted> {
    // Held until all are known, so that no port is given twice.
    let free: Vec<_> =
        folders.iter().map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    let ports = free.iter().map(|port| port.local_addr().unwrap().port());
    let list: Vec<_> =
        ports.enumerate().map(|(n, port)| format!("{}=127.0.0.1:{port}", n + 1)).collect();
    drop(free);
    // Each starts only when it serves, so none of them can be awaited before the next.
    let starting: Vec<_> = folders
        .iter()
        .enumerate()
        .map(|(n, folder)| {
            let (folder, list) = (folder.clone(), list.join(","));
            let configure = move |config: &mut ServerConfig| {
                config.ensemble.set_members(n as u64 + 1, &list).unwrap();
            };
            thread::spawn(move || Hosted::with(&folder, configure))
        })
        .collect();
    starting.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// A server that stops when this is dropped.
pub struct Hosted {
    handle: Option<ServerHandle>,
}

impl Hosted {
    /// Starts on this folder.
    pub fn on(data: &Path) -> Self {
        Self::with(data, |_| {})
    }

    /// Starts on this folder with other settings.
    pub fn with(data: &Path, configure: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = config(data);
        configure(&mut config);
        Self { handle: Some(start(&config).expect("the folder can be served")) }
    }

    fn handle(&self) -> &ServerHandle {
        self.handle.as_ref().expect("it runs until it is dropped")
    }

    /// Where clients connect.
    pub fn hosts(&self) -> String {
        self.handle().client_addr().to_string()
    }

    /// Its admin HTTP.
    pub fn admin(&self) -> String {
        format!("http://{}", self.handle().admin_addr().expect("admin HTTP is on"))
    }

    /// A session that may read everything.
    pub async fn session(&self) -> Session {
        super_session(&self.hosts()).establish().await.expect("the server takes sessions")
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop().expect("it stops");
        }
    }
}

/// A session that may read everything.
pub fn super_session(hosts: &str) -> SessionBuilder {
    let (scheme, shown) = SUPER_USER.split_once(':').expect("it names a scheme");
    Session::builder(hosts).auth(scheme, shown)
}

/// Free ports, and nothing that vanishes while a test runs.
pub fn config(data: &Path) -> ServerConfig {
    let mut config = ServerConfig {
        client: Some(Listen::on("127.0.0.1", 0)),
        data_dir: data.to_path_buf(),
        data_log_dir: data.to_path_buf(),
        ..ServerConfig::default()
    };
    config.admin.listen = Listen::on("127.0.0.1", 0);
    config.admin.snapshot_interval_ms = 0;
    config.auth.super_digest = Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=".into());
    config.tree.container_check_interval_ms = 3_600_000;
    config
}

/// Runs `tenure`: its exit code, and what it printed.
pub fn tenure<S: AsRef<std::ffi::OsStr>>(words: &[S]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tenure")).args(words).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}
