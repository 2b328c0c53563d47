//! The server that a test talks to, its sessions, and what every test needs to wait for.

use std::future::Future;
use std::time::Duration;

use tempfile::TempDir;
use tenure_client::{ErrorCode, Session};
use tenure_server::ServerHandle;
use tenure_server::config::ServerConfig;

use crate::proxy::Proxy;

/// The session timeout asked for; a server of one's own grants it.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(600);

/// What never takes that long unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server in this process, or the one that `TENURE_TEST_HOSTS` names.
pub(crate) struct World {
    hosts: String,
    /// A path that no other test uses.
    pub(crate) root: String,
    own: Option<(ServerHandle, TempDir)>,
}

impl World {
    pub(crate) fn start() -> Self {
        let mut id = [0; 8];
        getrandom::getrandom(&mut id).unwrap();
        let root = format!("/recipes-{:016x}", u64::from_ne_bytes(id));
        if let Ok(hosts) = std::env::var("TENURE_TEST_HOSTS") {
            return Self { hosts, root, own: None };
        }
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "dataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
             maxClientCnxns=0\ntickTime=50\nmaxSessionTimeout=60000\nforceSync=no\n",
            folder.path().display()
        );
        let (config, _) = ServerConfig::from_text(&text, "test.cfg").unwrap();
        let handle = tenure_server::start(&config).unwrap();
        let hosts = handle.client_addr().to_string();
        Self { hosts, root, own: Some((handle, folder)) }
    }

    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// A path below the test's own.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    pub(crate) async fn session(&self) -> Session {
        establish(&self.hosts).await
    }

    pub(crate) async fn sessions(&self, count: usize) -> Vec<Session> {
        let mut sessions = Vec::new();
        for _ in 0..count {
            sessions.push(self.session().await);
        }
        sessions
    }

    /// A session whose link can be cut.
    pub(crate) async fn proxied(&self) -> (Session, Proxy) {
        let proxy = Proxy::start(&self.hosts).await;
        (establish(proxy.hosts()).await, proxy)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((handle, _)) = self.own.take() {
            handle.stopper().stop();
        }
    }
}

async fn establish(hosts: &str) -> Session {
    Session::builder(hosts).timeout(TIMEOUT).establish().await.unwrap()
}

/// The outcome of what must happen sooner or later.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes far too long")
}

/// Waits until the children of `path` satisfy `condition`; no znode counts as one without any.
pub(crate) async fn children_until(
    session: &Session,
    path: &str,
    condition: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    soon(async {
        loop {
            session.sync(path).await.unwrap();
            match session.children(path).watch().await {
                Ok((children, watch)) => {
                    if condition(&children.names) {
                        return children.names;
                    }
                    watch.await.unwrap();
                }
                Err(error) if error.is(ErrorCode::NoNode) => {
                    if condition(&[]) {
                        return Vec::new();
                    }
                    let (stat, watch) = session.exists(path).watch().await.unwrap();
                    if stat.is_none() {
                        watch.await.unwrap();
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}

pub(crate) async fn children_count(session: &Session, path: &str, count: usize) {
    children_until(session, path, |names| names.len() == count).await;
}
