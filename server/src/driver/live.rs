//! What the running server tells operators about itself.

use std::net::SocketAddr;
use std::time::Instant;

use tenure_replica::{ConnId, Ended, LocalSession, NoAdministrator, NodeKind, Session};
use tenure_wire::SessionId;

use super::Driver;
use super::orders::EndReply;
use crate::admin::report::{
    AttachedSession, ConfigReport, ConnectionReport, DigestReport, ServerReport, SessionRange,
    SessionReport, SnapshotReport, WatchReport, WatchTotals,
};
use crate::admin::{
    Credentials, DenialReport, ElectionReport, EndAs, EventPage, Live, OperateError, PathReport,
    Reply, SavedSnapshot, ServerEvent, TenantReports,
};
use crate::audit::Audit;
use crate::connection::{Connection, Phase};
use crate::hot_paths::HotPathReport;
use crate::metrics::{
    FollowerReading, LeaderReadings, ProcessInfo, Readings, ServerState, Snapshot,
};

impl Live for Driver {
    fn now_wall_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    fn config(&self) -> &ConfigReport {
        &self.config
    }

    fn server(&self) -> ServerReport {
        ServerReport::new(self.readings(), &self.metrics)
    }

    fn metrics(&self) -> Snapshot {
        self.metrics.snapshot(&self.readings(), &ProcessInfo::read())
    }

    fn connections(&self) -> Vec<ConnectionReport> {
        self.connections.iter().map(|connection| self.connection_report(connection)).collect()
    }

    fn sessions(&self, range: SessionRange) -> Vec<SessionReport> {
        let after = range.after.map(|id| id.0 as u64);
        let is_after = |known: &Known<'_>| after.is_none_or(|after| known.id().0 as u64 > after);
        let global = self.replica.state().sessions.iter().map(Known::Global);
        let local = self.replica.local_sessions().into_iter().map(Known::Local);
        let mut wanted: Vec<Known<'_>> = global.chain(local).filter(is_after).collect();
        wanted.sort_unstable_by_key(|known| known.id().0 as u64);
        wanted.truncate(range.limit);
        wanted.into_iter().map(|known| self.session_report(known, range.paths)).collect()
    }

    fn session(&self, id: SessionId) -> Option<SessionReport> {
        let global = self.replica.state().sessions.get(id).map(Known::Global);
        let known = global.or_else(|| self.replica.local_session(id).map(Known::Local))?;
        Some(self.session_report(known, true))
    }

    fn ended_sessions(&self) -> Vec<Ended> {
        self.replica.state().ended.iter().rev().cloned().collect()
    }

    fn path(&self, path: &str) -> PathReport {
        let state = self.replica.state();
        let lost = state.ended.iter().map(|ended| u64::from(ended.ephemerals)).sum();
        let lost_paths = state.ended.iter().map(|ended| ended.paths.len() as u64).sum();
        let nothing = PathReport { lost, lost_paths, ..PathReport::default() };
        if let Some(node) = state.tree.find(path).and_then(|id| state.tree.node(id)) {
            let owner = match node.kind() {
                NodeKind::Ephemeral(owner) => self.session(owner),
                _ => None,
            };
            return PathReport { exists: true, owner, ..nothing };
        }
        // What ended sessions took with them is known for longer, but not of every ephemeral.
        let gone = self.replica.gone_ephemeral(path);
        let went_with = |ended: &&Ended| ended.paths.iter().any(|lost| lost == path);
        let ended = state.ended.iter().rev().find(went_with);
        match (gone, ended) {
            (Some(gone), found) if found.is_none_or(|found| found.zxid <= gone.zxid) => {
                let ended = state.ended.get(gone.owner);
                let has_own_story = gone.deleted_by.is_some() || ended.is_none();
                PathReport {
                    owner: self.session(gone.owner),
                    deleted: has_own_story.then(|| gone.clone()),
                    ended: ended.cloned(),
                    ..nothing
                }
            }
            (_, ended) => PathReport { ended: ended.cloned(), ..nothing },
        }
    }

    fn session_events(&mut self, after: u64, until: Option<Instant>, reply: Reply<EventPage>) {
        self.session_events.ask(after, until, reply);
    }

    fn server_events(&self, after: u64) -> Vec<ServerEvent> {
        self.server_events.after(after)
    }

    fn denials(&self) -> Vec<DenialReport> {
        self.denials.list()
    }

    fn hot_paths(&self) -> HotPathReport {
        self.hot_paths.report()
    }

    fn elections(&self) -> Vec<ElectionReport> {
        self.elections.list()
    }

    fn tenants(&self) -> TenantReports {
        let mut reports = self.limits_reached.clone();
        for connection in self.connections.iter().filter(|c| c.phase != Phase::Closing) {
            for id in connection.tenants().into_iter().flatten() {
                let Some(tenant) = self.tenants.get(id) else { continue };
                let report = reports.entry(tenant.name.to_string()).or_default();
                report.connections += 1;
                report.outstanding += self.replica.outstanding(connection.id) as u64;
                report.unsent_bytes += connection.unsent() as u64;
                report.watches += self.replica.watched_by(connection.id) as u64;
            }
        }
        reports
    }

    fn watches(&self) -> Vec<WatchReport> {
        let by_connection = self.replica.watches_by_connection();
        let mut watches: Vec<WatchReport> = by_connection
            .into_iter()
            .filter_map(|(conn, paths)| {
                let session = self.replica.attachment(conn)?.session;
                Some(WatchReport { session, paths: paths.into_iter().map(str::to_owned).collect() })
            })
            .collect();
        watches.sort_unstable_by_key(|watch| watch.session.0 as u64);
        watches
    }

    fn watch_totals(&self) -> WatchTotals {
        let counts = self.replica.watch_counts();
        WatchTotals {
            connections: counts.conns as u64,
            paths: counts.paths as u64,
            watches: (counts.data + counts.child) as u64,
        }
    }

    fn digests(&self) -> Vec<DigestReport> {
        let state = self.replica.state();
        let (zxid, digest) = (self.replica.last_zxid(), state.tree.digest());
        vec![DigestReport { zxid, digest, version: DIGEST_VERSION }]
    }

    fn last_snapshot(&self) -> Option<SnapshotReport> {
        self.last_snapshot
    }

    fn trace_mask(&mut self, set: Option<i64>) -> i64 {
        if let Some(mask) = set {
            self.trace_mask = mask;
        }
        self.trace_mask
    }

    fn reset_server(&mut self) {
        self.metrics.reset();
    }

    fn reset_connections(&mut self) {
        self.connections.iter_mut().for_each(|connection| connection.stats.reset());
    }

    fn take_snapshot(&mut self, reply: Reply<Result<SavedSnapshot, OperateError>>) {
        self.save_snapshot(reply);
    }

    fn end_session(&mut self, id: SessionId, how: EndAs, reply: EndReply) {
        self.propose_end(id, how, reply);
    }

    fn administrator(&mut self, credentials: &Credentials) -> Result<String, NoAdministrator> {
        let Credentials { peer, scheme, auth } = credentials;
        let judged = self.replica.administrator(*peer, scheme, auth);
        if let Err(why) = judged
            && let Some(times) = self.noise.allow()
        {
            tracing::warn!(%peer, scheme, %why, times, "an operator was not let in");
        }
        judged
    }
}

/// A live session: everybody's, or this server's own.
#[derive(Clone, Copy)]
enum Known<'a> {
    Global(&'a Session),
    Local(&'a LocalSession),
}

impl Known<'_> {
    fn id(self) -> SessionId {
        match self {
            Known::Global(session) => session.id,
            Known::Local(session) => session.id,
        }
    }
}

/// How digests are computed; they compare only with those of servers that say the same.
const DIGEST_VERSION: u32 = 1;

impl Driver {
    fn readings(&self) -> Readings {
        let state = self.replica.state();
        let counts = self.replica.watch_counts();
        let alive = self.connections.len() as u64;
        let plain = self.connections.iter().filter(|c| !c.is_secure());
        let (local, remote): (Vec<_>, Vec<_>) = plain.partition(|c| c.peer.ip().is_loopback());
        Readings {
            state: match &self.peers {
                None => ServerState::Standalone,
                Some(_) if self.replica.is_read_only() => ServerState::ReadOnly,
                Some(_) if self.replica.is_leader() => ServerState::Leader,
                Some(_) if self.replica.is_observer() => ServerState::Observer,
                Some(_) => ServerState::Follower,
            },
            serving: self.replica.is_serving() || self.replica.is_read_only(),
            cluster: self.replica.cluster_id(),
            uptime_ms: self.clock.now().mono_us / 1000,
            zxid: self.replica.last_zxid(),
            // The reference server counts the root twice, as "" and "/", and checks compare.
            znode_count: state.tree.len() as u64 + 1,
            watch_count: (counts.data + counts.child) as u64,
            ephemerals_count: state.tree.ephemerals() as u64,
            approximate_data_bytes: state.tree.data_bytes(),
            global_sessions: state.sessions.len() as u64,
            local_sessions: self.replica.local_session_count() as u64,
            alive_connections: alive,
            plain_remote_connections: remote.len() as u64,
            plain_local_connections: local.len() as u64,
            tls_handshakes: self.connections.iter().filter(|c| c.is_handshaking()).count() as u64,
            audit_records_lost: self.audit.as_ref().map_or(0, Audit::lost),
            tenants: self.tenants.len() as u64,
            unread: self.paused.len() as u64,
            memory_used: self.memory.used(),
            memory_limit: self.memory.limit().unwrap_or(0),
            refuses_growth: self.memory.refuses(),
            outstanding_requests: self.replica.total_outstanding() as u64,
            stopping: self.stop_by.is_some(),
            disk_full: self.disk_is_full,
            disk_busy_ms: self.persister.busy_for().as_millis() as u64,
            wall_ms: self.clock.now().wall_ms,
            ..self.ensemble_readings()
        }
    }

    /// What only a member of an ensemble has.
    fn ensemble_readings(&self) -> Readings {
        if self.peers.is_none() {
            return Readings::default();
        }
        let now_us = self.clock.now().mono_us;
        let heard_ms_ago = |id: u64| {
            let heard_us = self.heard_us.get(id as usize).copied().flatten()?;
            Some(now_us.saturating_sub(heard_us) / 1000)
        };
        let followers = self.replica.followers().into_iter().map(|follower| FollowerReading {
            id: follower.id,
            votes: follower.votes,
            follows: follower.follows,
            behind: follower.behind,
            heard_ms_ago: heard_ms_ago(follower.id),
        });
        let followers: Vec<FollowerReading> = followers.collect();
        let leader = self.replica.is_leader().then(|| self.leader_readings(&followers));
        Readings {
            member: Some(self.config.server_id),
            led_by: self.replica.leader(),
            catching_up: self.replica.is_catching_up(),
            quorum_size: Some(self.replica.voter_count() as u64),
            leader,
            followers,
            ..Readings::default()
        }
    }

    fn leader_readings(&self, followers: &[FollowerReading]) -> LeaderReadings {
        let count = |wanted: fn(&FollowerReading) -> bool| {
            followers.iter().filter(|follower| wanted(follower)).count() as u64
        };
        let bytes = &self.metrics.proposal_sizes;
        LeaderReadings {
            learners: count(FollowerReading::is_connected),
            synced_followers: count(|f| f.votes && f.is_in_sync()),
            synced_non_voting_followers: 0,
            synced_observers: count(|f| !f.votes && f.is_in_sync()),
            pending_syncs: self.replica.pending_syncs() as u64,
            uptime_ms: self.clock.now().mono_us.saturating_sub(self.leading_since_us) / 1000,
            last_proposal_bytes: bytes.last(),
            min_proposal_bytes: bytes.min(),
            max_proposal_bytes: bytes.max(),
        }
    }

    fn connection_report(&self, connection: &Connection) -> ConnectionReport {
        let attachment = self.replica.attachment(connection.id);
        let session = attachment.filter(|a| a.established);
        let expires_in_ms = session
            .and_then(|a| self.replica.expires_in_ms(a.session))
            .unwrap_or(self.rules.sessionless_timeout.as_millis() as u64);
        ConnectionReport {
            peer: connection.peer,
            secure: connection.is_secure(),
            reading: !connection.is_paused && connection.phase != Phase::Closing,
            writing: connection.unsent() > 0,
            outstanding: self.replica.outstanding(connection.id) as u64,
            established_wall_ms: connection.established_wall_ms,
            expires_in_ms,
            session: session.map(|a| AttachedSession { id: a.session, timeout_ms: a.timeout_ms }),
            stats: connection.stats,
        }
    }

    fn session_report(&self, known: Known<'_>, paths: bool) -> SessionReport {
        let (id, timeout_ms, opened_wall_ms, owned) = match known {
            Known::Global(s) => (s.id, s.timeout_ms, s.opened_ms, s.ephemerals()),
            Known::Local(s) => (s.id, s.timeout_ms, s.opened_ms, &[][..]),
        };
        let conn = self.replica.connection_of(id);
        let attachment = conn.and_then(|conn| self.replica.attachment(conn));
        let timeout_ms = attachment.map_or(timeout_ms, |a| a.timeout_ms);
        let expires_in_ms = self.replica.expires_in_ms(id);
        let tree = &self.replica.state().tree;
        let mut ephemerals: Vec<String> = match paths {
            true => owned.iter().map(|id| tree.path(*id)).collect(),
            false => Vec::new(),
        };
        ephemerals.sort_unstable();
        let watches = conn.filter(|_| paths).map(|conn| self.replica.watches_of(conn));
        let watches = watches.unwrap_or_default();
        SessionReport {
            id,
            is_local: matches!(known, Known::Local(_)),
            timeout_ms,
            opened_wall_ms,
            silent_ms: self.replica.silent_ms(id),
            expires_in_ms,
            deadline_wall_ms: expires_in_ms.map(|ms| self.clock.now().wall_ms + ms as i64),
            served_by: self.replica.served_by(id),
            peer: conn.and_then(|conn| self.peer_of(conn)),
            watches: watches.into_iter().map(|(kind, path)| (kind, path.to_owned())).collect(),
            ephemeral_count: owned.len() as u64,
            ephemerals,
        }
    }

    pub(super) fn peer_of(&self, conn: ConnId) -> Option<SocketAddr> {
        self.connections.get(conn).map(|connection| connection.peer)
    }
}
