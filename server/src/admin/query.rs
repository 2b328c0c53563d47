//! Questions from the admin thread to the I/O thread, each with a place for its answer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure_replica::{Ended, NoAdministrator};
use tenure_wire::SessionId;
use tokio::sync::oneshot;

use super::authorise::Credentials;
use super::denials::DenialReport;
use super::elections::ElectionReport;
use super::events::EventPage;
use super::live::Live;
use super::operate::{EndAs, OperateError, SavedSnapshot};
use super::report::{
    ConfigReport, ConnectionReport, DigestReport, ServerReport, SessionRange, SessionReport,
    SnapshotReport, WatchReport, WatchTotals,
};
use super::server_events::ServerEvent;
use super::tenants::TenantReports;
use super::why::PathReport;
use crate::hot_paths::HotPathReport;
use crate::metrics::Snapshot;

/// One question.
#[derive(Debug)]
pub enum AdminQuery {
    /// The server as a whole.
    Server(Reply<ServerReport>),
    /// What the configuration says.
    Config(Reply<ConfigReport>),
    /// All metrics.
    Metrics(Reply<Snapshot>),
    /// Every open connection.
    Connections(Reply<Vec<ConnectionReport>>),
    /// Live sessions.
    Sessions(SessionRange, Reply<Vec<SessionReport>>),
    /// One live session.
    Session(SessionId, Reply<Option<SessionReport>>),
    /// Sessions that ended.
    EndedSessions(Reply<Vec<Ended>>),
    /// What is known of the ephemeral znode at a path.
    Path(String, Reply<PathReport>),
    /// What happened to sessions after a number, or what happens next until then.
    SessionEvents(u64, Option<Instant>, Reply<EventPage>),
    /// What happened to the server after a number.
    ServerEvents(u64, Reply<Vec<ServerEvent>>),
    /// Who was refused what, the latest first.
    Denials(Reply<Vec<DenialReport>>),
    /// Which znodes clients ask for most.
    HotPaths(Reply<HotPathReport>),
    /// Changes of the leader, the latest first.
    Elections(Reply<Vec<ElectionReport>>),
    /// Who shares the server.
    Tenants(Reply<TenantReports>),
    /// Every watch.
    Watches(Reply<Vec<WatchReport>>),
    /// How many watches there are.
    WatchTotals(Reply<WatchTotals>),
    /// Digests of the tree.
    Digests(Reply<Vec<DigestReport>>),
    /// The newest snapshot.
    LastSnapshot(Reply<Option<SnapshotReport>>),
    /// The trace mask, set first if a new one is given.
    TraceMask(Option<i64>, Reply<i64>),
    /// Forget what was counted about the server.
    ResetServer(Reply<()>),
    /// Forget what was counted about connections.
    ResetConnections(Reply<()>),
    /// Save a snapshot; answered once it is durable.
    TakeSnapshot(Reply<Result<SavedSnapshot, OperateError>>),
    /// End a session; answered once its end is applied, with what is remembered of it.
    EndSession(SessionId, EndAs, Reply<Result<Ended, OperateError>>),
    /// Whether somebody may administer the server, and who that is.
    Authorise(Credentials, Reply<Result<String, NoAdministrator>>),
}

/// Where an answer goes.
pub struct Reply<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Reply<T> {
    /// Has `deliver` called with the answer, on the I/O thread, so it must not wait; or dropped
    /// uncalled if there will be no answer.
    pub(crate) fn new(deliver: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(deliver))
    }

    /// Hands the answer over.
    pub(crate) fn send(self, answer: T) {
        (self.0)(answer);
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

impl AdminQuery {
    /// Answers from the live server. Called on the I/O thread.
    pub fn answer(self, live: &mut impl Live) {
        match self {
            Self::Server(reply) => reply.send(live.server()),
            Self::Config(reply) => reply.send(live.config().clone()),
            Self::Metrics(reply) => reply.send(live.metrics()),
            Self::Connections(reply) => reply.send(live.connections()),
            Self::Sessions(range, reply) => reply.send(live.sessions(range)),
            Self::Session(id, reply) => reply.send(live.session(id)),
            Self::EndedSessions(reply) => reply.send(live.ended_sessions()),
            Self::Path(path, reply) => reply.send(live.path(&path)),
            Self::SessionEvents(after, until, reply) => live.session_events(after, until, reply),
            Self::ServerEvents(after, reply) => reply.send(live.server_events(after)),
            Self::Denials(reply) => reply.send(live.denials()),
            Self::HotPaths(reply) => reply.send(live.hot_paths()),
            Self::Elections(reply) => reply.send(live.elections()),
            Self::Tenants(reply) => reply.send(live.tenants()),
            Self::Watches(reply) => reply.send(live.watches()),
            Self::WatchTotals(reply) => reply.send(live.watch_totals()),
            Self::Digests(reply) => reply.send(live.digests()),
            Self::LastSnapshot(reply) => reply.send(live.last_snapshot()),
            Self::TraceMask(set, reply) => reply.send(live.trace_mask(set)),
            Self::ResetServer(reply) => {
                live.reset_server();
                reply.send(());
            }
            Self::ResetConnections(reply) => {
                live.reset_connections();
                reply.send(());
            }
            Self::TakeSnapshot(reply) => live.take_snapshot(reply),
            Self::EndSession(id, how, reply) => live.end_session(id, how, reply),
            Self::Authorise(credentials, reply) => reply.send(live.administrator(&credentials)),
        }
    }
}

/// The admin thread's way to the I/O thread.
#[derive(Clone)]
pub struct AdminClient {
    post: Arc<dyn Fn(AdminQuery) + Send + Sync>,
}

impl AdminClient {
    /// A client whose questions go through `post`, which queues one for the I/O thread and wakes
    /// it. A question that is dropped counts as "the server is stopping".
    pub fn new(post: impl Fn(AdminQuery) + Send + Sync + 'static) -> Self {
        Self { post: Arc::new(post) }
    }

    /// Asks and waits; `None` if the server is stopping or does not answer in time.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<T>) -> AdminQuery,
    ) -> Option<T> {
        self.ask_within(ANSWER_TIMEOUT, question).await
    }

    /// The same for a question whose answer may take this long.
    pub(crate) async fn ask_within<T: Send + 'static>(
        &self,
        time: Duration,
        question: impl FnOnce(Reply<T>) -> AdminQuery,
    ) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        // Whoever asked may have given up; then nobody misses the answer.
        (self.post)(question(Reply::new(move |answer| drop(sender.send(answer)))));
        tokio::time::timeout(time, answer).await.ok()?.ok()
    }
}

/// The I/O thread answers between two batches of work; longer than this and something is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
