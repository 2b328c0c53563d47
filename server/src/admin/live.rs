//! The one thing the driver must provide: a view of the live server, from which four-letter words
//! and admin queries are answered.

use std::time::Instant;

use tenure_replica::{Ended, NoAdministrator};
use tenure_wire::SessionId;

use super::authorise::Credentials;
use super::denials::DenialReport;
use super::elections::ElectionReport;
use super::events::EventPage;
use super::operate::{EndAs, OperateError, SavedSnapshot};
use super::query::Reply;
use super::report::{
    ConfigReport, ConnectionReport, DigestReport, ServerReport, SessionRange, SessionReport,
    SnapshotReport, WatchReport, WatchTotals,
};
use super::server_events::ServerEvent;
use super::tenants::TenantReports;
use super::why::PathReport;
use crate::hot_paths::HotPathReport;
use crate::metrics::Snapshot;

/// A view of the live server, and the few things that operators may change. The driver has one over
/// its state; tests have one over made-up values.
pub trait Live {
    /// Wall clock, milliseconds since the Unix epoch.
    fn now_wall_ms(&self) -> i64;
    /// What the configuration says, as far as it was applied.
    fn config(&self) -> &ConfigReport;
    /// The server as a whole. Asked before everything else, so it should be cheap.
    fn server(&self) -> ServerReport;
    /// All metrics.
    fn metrics(&self) -> Snapshot;
    /// Every open connection.
    fn connections(&self) -> Vec<ConnectionReport>;
    /// Live sessions, by ascending unsigned id.
    fn sessions(&self, range: SessionRange) -> Vec<SessionReport>;
    /// One live session with its paths.
    fn session(&self, id: SessionId) -> Option<SessionReport>;
    /// Sessions that ended and are still remembered, the latest first.
    fn ended_sessions(&self) -> Vec<Ended>;
    /// What is known of the ephemeral znode at a path.
    fn path(&self, path: &str) -> PathReport;
    /// Answers with what happened to sessions after a number, or waits for the next until then.
    fn session_events(&mut self, after: u64, until: Option<Instant>, reply: Reply<EventPage>);
    /// What happened to the server after a number, the oldest first.
    fn server_events(&self, after: u64) -> Vec<ServerEvent>;
    /// Who was refused what lately, the latest first.
    fn denials(&self) -> Vec<DenialReport>;
    /// Which znodes clients ask for most.
    fn hot_paths(&self) -> HotPathReport;
    /// Changes of the leader that this server remembers, the latest first.
    fn elections(&self) -> Vec<ElectionReport>;
    /// Who shares the server, by name.
    fn tenants(&self) -> TenantReports;
    /// Every watch of every session.
    fn watches(&self) -> Vec<WatchReport>;
    /// How many watches there are.
    fn watch_totals(&self) -> WatchTotals;
    /// Digests of the tree at recent changes, oldest first; empty if none are kept.
    fn digests(&self) -> Vec<DigestReport>;
    /// The newest snapshot on disk.
    fn last_snapshot(&self) -> Option<SnapshotReport>;
    /// The trace mask, after it was set if a new one is given. It starts as
    /// [`DEFAULT_TRACE_MASK`](super::words::DEFAULT_TRACE_MASK).
    fn trace_mask(&mut self, set: Option<i64>) -> i64;
    /// Forgets what was counted about the server.
    fn reset_server(&mut self);
    /// Forgets what was counted about every connection.
    fn reset_connections(&mut self);
    /// Saves a snapshot of everything changed before, and answers once it is durable.
    fn take_snapshot(&mut self, reply: Reply<Result<SavedSnapshot, OperateError>>);
    /// Ends a session and answers once that is applied.
    fn end_session(&mut self, id: SessionId, how: EndAs, reply: Reply<Result<Ended, OperateError>>);
    /// Who somebody is that may administer the server, as `scheme:user`.
    fn administrator(&mut self, credentials: &Credentials) -> Result<String, NoAdministrator>;
}
