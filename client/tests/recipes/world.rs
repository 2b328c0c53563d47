//! The server that a test talks to, its sessions, and what every test needs to wait for.

use std::future::Future;
use std::time::Duration;

use tenure_client::{ErrorCode, Session};
use tenure_testing::TestServer;

use crate::proxy::Proxy;

/// The timeout of sessions that may be lost in a test; a server of one's own grants it.
const TIMEOUT: Duration = Duration::from_millis(900);

/// The timeout of sessions that must not be lost, however busy the machine is.
const LONG: Duration = Duration::from_secs(15);

/// What never takes that long unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server in this process, or the one that `TENURE_TEST_HOSTS` names.
pub(crate) struct World {
    hosts: String,
    /// A path that no other test uses.
    pub(crate) root: String,
    own: Option<TestServer>,
    timeout: Duration,
}

impl World {
    /// For a test that loses sessions.
    pub(crate) fn start() -> Self {
        Self::with_timeout(TIMEOUT)
    }

    /// For a test that loses none.
    pub(crate) fn calm() -> Self {
        Self::with_timeout(LONG)
    }

    fn with_timeout(timeout: Duration) -> Self {
        let mut id = [0; 8];
        getrandom::getrandom(&mut id).unwrap();
        let root = format!("/recipes-{:016x}", u64::from_ne_bytes(id));
        if let Ok(hosts) = std::env::var("TENURE_TEST_HOSTS") {
            return Self { hosts, root, own: None, timeout };
        }
        let server = TestServer::start().unwrap();
        Self { hosts: server.hosts(), root, own: Some(server), timeout }
    }

    /// The server, if it is in this process and so can be told to do things. Otherwise says that
    /// a part of the test is left out.
    pub(crate) fn own(&self, purpose: &str) -> Option<&TestServer> {
        if self.own.is_none() {
            eprintln!("left out, because the server is not ours: {purpose}");
        }
        self.own.as_ref()
    }

    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// A path below the test's own.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    pub(crate) async fn session(&self) -> Session {
        self.establish(&self.hosts).await
    }

    pub(crate) async fn sessions(&self, count: usize) -> Vec<Session> {
        let mut sessions = Vec::new();
        for _ in 0..count {
            sessions.push(self.session().await);
        }
        sessions
    }

    async fn establish(&self, hosts: &str) -> Session {
        Session::builder(hosts).timeout(self.timeout).establish().await.unwrap()
    }

    /// A session whose link can be cut.
    pub(crate) async fn proxied(&self) -> (Session, Proxy) {
        let proxy = Proxy::start(&self.hosts).await;
        (self.establish(proxy.hosts()).await, proxy)
    }
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
