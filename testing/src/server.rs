//! A server with a scratch folder and a port of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenure_server::config::{Listen, ServerConfig};
use tenure_server::{Ended, OperateError, RunError, ServerHandle, StartError, start};
use tenure_wire::SessionId;
use thiserror::Error;

/// Why there is no server.
#[derive(Debug, Error)]
pub enum TestServerError {
    /// There is no place for its data.
    #[error("the server's scratch folder: {0}")]
    Folder(#[from] io::Error),
    /// It does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It ended in failure.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// How a server is started.
pub struct TestServerBuilder {
    config: ServerConfig,
    tls: Option<(String, String)>,
}

impl TestServerBuilder {
    /// The bounds of session timeouts. Default: from 100 ms to 60 s.
    pub fn session_timeouts(mut self, min: Duration, max: Duration) -> Self {
        self.config.sessions.min_timeout_ms = millis(min);
        self.config.sessions.max_timeout_ms = millis(max);
        self
    }

    /// Whether admin HTTP is served, on a free port. Default: no.
    pub fn admin(mut self, enabled: bool) -> Self {
        self.config.admin.enabled = enabled;
        self
    }

    /// Has the port take TLS as well as plain connections: with this private key and certificate,
    /// for clients that one of these authorities vouches for; all of them PEM. Default: no.
    pub fn tls(mut self, key_store: &str, authorities: &str) -> Self {
        self.config.connections.port_unification = true;
        self.tls = Some((key_store.to_owned(), authorities.to_owned()));
        self
    }

    /// Changes whatever else the server's configuration holds.
    pub fn configure(mut self, edit: impl FnOnce(&mut ServerConfig)) -> Self {
        edit(&mut self.config);
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// If it cannot have a folder, or its configuration makes no server.
    pub fn start(self) -> Result<TestServer, TestServerError> {
        let folder = tempfile::Builder::new().prefix("tenure-testing-").tempdir()?;
        let mut config = self.config;
        config.data_dir = folder.path().to_path_buf();
        config.data_log_dir = folder.path().to_path_buf();
        if let Some((key_store, authorities)) = self.tls {
            for (key, name, text) in [
                ("ssl.keyStore.location", "key-store.pem", key_store),
                ("ssl.trustStore.location", "trust-store.pem", authorities),
            ] {
                let path = folder.path().join(name);
                std::fs::write(&path, text)?;
                config.tls.push((key.to_owned(), path.display().to_string()));
            }
        }
        let handle = start(&config)?;
        let (addr, admin_addr) = (handle.client_addr(), handle.admin_addr());
        // A restarted server must be found where it was.
        config.client = Some(Listen::on("127.0.0.1", addr.port()));
        if let Some(admin) = admin_addr {
            config.admin.listen = Listen::on("127.0.0.1", admin.port());
        }
        let running = Mutex::new(Some(handle));
        Ok(TestServer { running, config, addr, admin_addr, folder })
    }
}

/// A whole server inside this process. Dropping it stops it and deletes its data.
pub struct TestServer {
    running: Mutex<Option<ServerHandle>>,
    config: ServerConfig,
    addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    folder: TempDir,
}

/// How long a port may take to become free again.
const REBIND_LIMIT: Duration = Duration::from_secs(10);

impl TestServer {
    /// Starts a server with the settings that most tests want.
    ///
    /// # Errors
    /// As [`TestServerBuilder::start`].
    pub fn start() -> Result<Self, TestServerError> {
        Self::builder().start()
    }

    /// A server with settings of its own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tenure_testing::TestServer;
    ///
    /// let server = TestServer::builder()
    ///     .session_timeouts(Duration::from_millis(300), Duration::from_secs(5))
    ///     .admin(true)
    ///     .start()?;
    /// assert!(server.admin_addr().is_some());
    /// # Ok::<(), tenure_testing::TestServerError>(())
    /// ```
    pub fn builder() -> TestServerBuilder {
        let mut config =
            ServerConfig { client: Some(Listen::on("127.0.0.1", 0)), ..ServerConfig::default() };
        config.sessions.min_timeout_ms = 100;
        config.sessions.max_timeout_ms = 60_000;
        config.admin.enabled = false;
        config.admin.listen = Listen::on("127.0.0.1", 0);
        TestServerBuilder { config, tls: None }
    }

    /// Where clients connect; the same after a restart.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same as a connect string.
    pub fn hosts(&self) -> String {
        self.addr.to_string()
    }

    /// Where admin HTTP is served, if it is.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Where the server keeps its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Has a session expire now, as if its client had not been heard for its timeout. It has, and
    /// its ephemerals are gone, when this returns.
    ///
    /// ```
    /// # use tenure_testing::{OperateError, TestServer};
    /// # use tenure_testing::TestServerError;
    /// use tenure_wire::SessionId;
    ///
    /// let server = TestServer::start()?;
    /// let unknown = SessionId(42);
    /// assert_eq!(server.expire_session(unknown), Err(OperateError::UnknownSession(unknown)));
    /// # Ok::<(), TestServerError>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such session, or the server is paused or stopped.
    pub fn expire_session(&self, session: SessionId) -> Result<Ended, OperateError> {
        self.with(|server| server.expire_session(session))
    }

    /// Closes a session as an operator does.
    ///
    /// # Errors
    /// As for [`expire_session`](Self::expire_session).
    pub fn close_session(&self, session: SessionId) -> Result<Ended, OperateError> {
        self.with(|server| server.close_session(session))
    }

    /// Cuts a session's connection. The session lives on.
    ///
    /// # Errors
    /// As for [`expire_session`](Self::expire_session), and if it has no connection.
    pub fn drop_connection(&self, session: SessionId) -> Result<(), OperateError> {
        self.with(|server| server.drop_connection(session))
    }

    /// Has the server stand still until [`resume`](Self::resume): it keeps its sockets, but neither
    /// reads nor answers. The time of a pause counts for no session: nobody expires by it.
    ///
    /// # Errors
    /// If the server is stopped.
    pub fn pause(&self) -> Result<(), OperateError> {
        self.with(ServerHandle::pause)
    }

    /// Ends a pause.
    pub fn resume(&self) {
        if let Some(server) = &*self.running() {
            server.resume();
        }
    }

    /// Stops the server, gracefully. Its sessions and data are kept for a restart.
    ///
    /// # Errors
    /// If it ended in failure.
    pub fn stop(&self) -> Result<(), TestServerError> {
        match self.running().take() {
            Some(server) => Ok(server.stop()?),
            None => Ok(()),
        }
    }

    /// Stops the server if it runs, and starts it again on the same port and data.
    ///
    /// ```
    /// let server = tenure_testing::TestServer::start()?;
    /// let before = server.addr();
    /// server.restart()?;
    /// assert_eq!(server.addr(), before);
    /// # Ok::<(), tenure_testing::TestServerError>(())
    /// ```
    ///
    /// # Errors
    /// If it ended in failure, or does not start, for instance because another process took its
    /// port meanwhile.
    pub fn restart(&self) -> Result<(), TestServerError> {
        self.stop()?;
        let since = Instant::now();
        let handle = loop {
            match start(&self.config) {
                Ok(handle) => break handle,
                // Connections of before may hold the port for a moment.
                Err(StartError::Listen { .. }) if since.elapsed() < REBIND_LIMIT => {
                    std::thread::yield_now();
                }
                Err(error) => return Err(error.into()),
            }
        };
        *self.running() = Some(handle);
        Ok(())
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&ServerHandle) -> Result<T, OperateError>,
    ) -> Result<T, OperateError> {
        match &*self.running() {
            Some(server) => act(server),
            None => Err(OperateError::Stopped),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<ServerHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(server) = self.running().take() {
            // A test that is over has no use for the server's last words.
            let _ = server.stop();
        }
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
