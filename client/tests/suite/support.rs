//! A server, the network before it, a corner of its tree for one test, and patience.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tenure_client::{Change, Changes, Liveness, Session, SessionBuilder};
use tenure_server::config::WordList;
use tenure_testing::{Proxy, TestServer};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The timeout of sessions that are to be lost: short, but many times what a busy machine may
/// hold a thread up for.
pub(crate) const SHORT: Duration = Duration::from_millis(900);

/// The timeout of sessions that are not to be lost.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// One test's surroundings.
pub(crate) struct Scene {
    /// The network between the sessions of [`Scene::builder`] and the server.
    pub(crate) network: Proxy,
    /// Where the server itself is.
    pub(crate) server: SocketAddr,
    /// The path that is this test's own; no other's name begins with it.
    pub(crate) root: String,
    own: Option<TestServer>,
}

impl Scene {
    /// A server, and a fresh corner of its tree.
    pub(crate) async fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (server, own) = match std::env::var("TENURE_TEST_HOSTS") {
            Ok(hosts) => (hosts.to_socket_addrs().unwrap().next().unwrap(), None),
            Err(_) => {
                let own = start();
                (own.addr(), Some(own))
            }
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = format!("/suite-{}-{count}-", std::process::id());
        let outer = Session::builder(&server.to_string()).timeout(LONG).establish().await.unwrap();
        let root = outer.create(&root, "").sequential().await.unwrap().path;
        outer.close().await.unwrap();
        Self { network: Proxy::start(server).unwrap(), server, root, own }
    }

    /// The test's own server, for what nobody can do to a given one.
    pub(crate) fn own(&self, wanted: &str) -> Option<&TestServer> {
        if self.own.is_none() {
            eprintln!("skipped: {wanted} is not possible with a given server");
        }
        self.own.as_ref()
    }

    /// Sessions in the test's corner that go through the network.
    pub(crate) fn builder(&self) -> SessionBuilder {
        let hosts = format!("{}{}", self.network.hosts(), self.root);
        Session::builder(&hosts).timeout(LONG)
    }

    /// Sessions in the test's corner that nothing happens to.
    pub(crate) fn direct(&self) -> SessionBuilder {
        Session::builder(&format!("{}{}", self.server, self.root)).timeout(LONG)
    }

    /// A session in the test's corner that nothing happens to.
    pub(crate) async fn session(&self) -> Session {
        within(self.direct().establish()).await.unwrap()
    }

    /// The server's answer to a four-letter word.
    pub(crate) fn word(&self, word: &str) -> String {
        let mut stream = TcpStream::connect(self.server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// How many sessions watch a path of the test's corner, one-time watches and others, says the
    /// server. ZooKeeper lists a session that watches both data and children twice.
    pub(crate) fn is_watched(&self, path: &str) -> bool {
        let full = format!("{}{path}", self.root);
        self.word("wchp").lines().any(|line| line.trim_end() == full)
    }
}

fn start() -> TestServer {
    let builder = TestServer::builder().configure(|config| {
        config.tick_ms = 200;
        config.tree.extended_types = true;
        config.tree.container_check_interval_ms = 200;
        config.connections.max_per_address = 0;
        config.four_letter_words = WordList::All;
    });
    builder.start().unwrap()
}

/// The outcome of a future that must not take for ever.
pub(crate) async fn within<F: IntoFuture>(future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("no outcome within {} s", PATIENCE.as_secs()),
    }
}

/// Whether a future is ready now, without waiting.
pub(crate) async fn at_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// Waits for something that only looking again and again tells.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The first change that fits; those before it are skipped.
pub(crate) async fn change(changes: &mut Changes, fits: impl Fn(&Change) -> bool) -> Change {
    loop {
        let change = within(changes.next()).await.expect("such a change comes");
        if fits(&change) {
            return change;
        }
    }
}

/// The session is served again after it was at risk.
pub(crate) async fn back(changes: &mut Changes) {
    change(changes, |change| matches!(change.liveness, Liveness::AtRisk { .. })).await;
    change(changes, |change| change.liveness == Liveness::Live).await;
}
