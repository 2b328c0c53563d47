//! A made-up live server for tests: two clients, three ephemerals, three watches, as they were when
//! the golden outputs were captured from the reference server.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use tenure_replica::{ElectionCause, EndReason, Ended, Gone, NoAdministrator, WatchKind};
use tenure_wire::{OpCode, SessionId, Xid, Zxid};

use super::authorise::Credentials;
use super::denials::DenialReport;
use super::elections::ElectionReport;
use super::events::{EventPage, SessionEvents};
use super::live::Live;
use super::operate::{EndAs, OperateError, SavedSnapshot};
use super::query::Reply;
use super::report::*;
use super::server_events::{ServerEvent, ServerEventKind};
use super::tenants::{TenantReport, TenantReports};
use super::why::PathReport;
use crate::hot_paths::{HotPath, HotPathReport};
use crate::metrics::{ConnectionStats, Done, Metrics, ProcessInfo, Readings, Snapshot};

pub(crate) const FIRST: SessionId = SessionId(0x0100_001f_6012_0000);
pub(crate) const SECOND: SessionId = SessionId(0x0100_001f_6012_0001);
pub(crate) const ENDED: SessionId = SessionId(0x0100_001f_6012_0002);

pub(crate) struct FakeServer {
    pub(crate) readings: Readings,
    pub(crate) counted: Metrics,
    pub(crate) config: ConfigReport,
    pub(crate) connections: Vec<ConnectionReport>,
    pub(crate) mask: i64,
    pub(crate) events: SessionEvents,
    pub(crate) snapshot: Option<SavedSnapshot>,
    /// Whether it is answered only when the server is asked how it is for the next time.
    pub(crate) is_late: bool,
    pub(crate) waiting: Mutex<Vec<Reply<Result<SavedSnapshot, OperateError>>>>,
}

impl FakeServer {
    pub(crate) fn new() -> Self {
        let readings = Readings {
            serving: true,
            zxid: Zxid(6),
            znode_count: 9,
            alive_connections: 3,
            global_sessions: 2,
            uptime_ms: 38_713,
            ..Readings::default()
        };
        let config = ConfigReport {
            client_port: Some(22_181),
            secure_client_port: None,
            data_dir: PathBuf::from("/var/lib/zookeeper/version-2"),
            data_log_dir: PathBuf::from("/var/lib/zookeeper/version-2"),
            tick_ms: 2000,
            max_per_address: 60,
            min_session_timeout_ms: 4000,
            max_session_timeout_ms: 40_000,
            listen_backlog: None,
            server_id: 0,
            ensemble: None,
            initial_text: "clientPort=22181\n".into(),
        };
        let mut counted = Metrics::default();
        counted.request_done(crate::metrics::RequestKind::Write, 23_400);
        counted.request_done(crate::metrics::RequestKind::Read, 600);
        let connections = vec![
            connection(35_816, Some((SECOND, 10_000)), Some((OpCode::GetData, Xid(3)))),
            connection(35_802, Some((FIRST, 30_000)), Some((OpCode::Ping, Xid(-2)))),
            connection(35_856, None, None),
        ];
        Self {
            readings,
            counted,
            config,
            connections,
            mask: 306,
            events: SessionEvents::default(),
            snapshot: None,
            is_late: false,
            waiting: Mutex::default(),
        }
    }
}

fn connection(
    port: u16,
    session: Option<(SessionId, u32)>,
    last: Option<(OpCode, Xid)>,
) -> ConnectionReport {
    let mut stats = ConnectionStats::default();
    stats.received = 1;
    if let Some((op, xid)) = last {
        (stats.received, stats.sent) = (7, 7);
        let (zxid, at_mono_ms, latency_us) = (Zxid(6), 2_094_437, 1_250);
        for (op, xid) in [(OpCode::Create, Xid(2)), (op, xid)] {
            stats.request_done(Done { op, xid, zxid, at_mono_ms, latency_us });
        }
    }
    ConnectionReport {
        peer: ([127, 0, 0, 1], port).into(),
        secure: false,
        reading: session.is_some(),
        writing: false,
        outstanding: 0,
        established_wall_ms: 1_795_447_700_599,
        expires_in_ms: session.map_or(10_000, |(_, timeout_ms)| timeout_ms.into()),
        session: session.map(|(id, timeout_ms)| AttachedSession { id, timeout_ms }),
        stats,
    }
}

impl Live for FakeServer {
    fn now_wall_ms(&self) -> i64 {
        1_795_447_700_599
    }

    fn config(&self) -> &ConfigReport {
        &self.config
    }

    fn server(&self) -> ServerReport {
        for reply in self.waiting.lock().unwrap().drain(..) {
            reply.send(self.snapshot.clone().ok_or(OperateError::SnapshotFailed));
        }
        ServerReport::new(self.readings.clone(), &self.counted)
    }

    fn metrics(&self) -> Snapshot {
        self.counted.snapshot(&self.readings, &ProcessInfo::read())
    }

    fn connections(&self) -> Vec<ConnectionReport> {
        self.connections.clone()
    }

    fn sessions(&self, range: SessionRange) -> Vec<SessionReport> {
        let report = |id, timeout_ms: u32, port: u16, paths: &[&str]| SessionReport {
            id,
            is_local: false,
            timeout_ms,
            opened_wall_ms: 1_795_447_600_000,
            silent_ms: Some(12),
            expires_in_ms: Some(timeout_ms.into()),
            deadline_wall_ms: Some(self.now_wall_ms() + i64::from(timeout_ms)),
            served_by: Some(1),
            watches: vec![(WatchKind::Child, "/a".into()), (WatchKind::Data, "/a".into())],
            peer: Some(([127, 0, 0, 1], port).into()),
            ephemeral_count: paths.len() as u64,
            ephemerals: if range.paths {
                paths.iter().map(|&p| p.into()).collect()
            } else {
                vec![]
            },
        };
        let all = [
            report(FIRST, 30_000, 35_802, &["/a/e2", "/a/e1"]),
            report(SECOND, 10_000, 35_816, &["/b"]),
        ];
        let after = |s: &SessionReport| range.after.is_none_or(|id| s.id.0 as u64 > id.0 as u64);
        all.into_iter().filter(after).take(range.limit).collect()
    }

    fn session(&self, id: SessionId) -> Option<SessionReport> {
        self.sessions(SessionRange::ALL).into_iter().find(|session| session.id == id)
    }

    fn ended_sessions(&self) -> Vec<Ended> {
        vec![Ended {
            session: ENDED,
            reason: EndReason::Expired { silent_ms: 4003 },
            timeout_ms: 4000,
            opened_ms: 1_795_447_600_000,
            ended_ms: 1_795_447_700_125,
            zxid: Zxid(5),
            ephemerals: 1,
            paths: vec!["/lost".into()],
        }]
    }

    fn path(&self, path: &str) -> PathReport {
        let gone = |deleted_by| Gone {
            path: path.to_owned(),
            owner: FIRST,
            deleted_by: Some(deleted_by),
            zxid: Zxid(0x82),
            gone_ms: 1_795_447_663_000,
        };
        let ended = self.ended_sessions().into_iter().next();
        let nothing = PathReport { lost: 9, lost_paths: 9, ..PathReport::default() };
        match path {
            "/a/e1" => PathReport { exists: true, owner: self.session(FIRST), ..nothing },
            "/a" => PathReport { exists: true, ..nothing },
            "/gone" => {
                PathReport { owner: self.session(FIRST), deleted: Some(gone(SECOND)), ..nothing }
            }
            "/let go" => PathReport { deleted: Some(gone(FIRST)), ..nothing },
            "/lost" => PathReport { ended, ..nothing },
            "/cut" => PathReport { lost: 12, ..nothing },
            _ => nothing,
        }
    }

    fn denials(&self) -> Vec<DenialReport> {
        Vec::new()
    }

    fn elections(&self) -> Vec<ElectionReport> {
        let (wall_ms, cause) = (1_700_000_000_000, ElectionCause::LinkBroken);
        let (epoch, leader, leaderless_ms, sessions) = (5, 2, 184, 200);
        let settled = Some((199, 1));
        let first =
            ElectionReport { wall_ms, epoch, leader, cause, leaderless_ms, sessions, settled };
        vec![ElectionReport { epoch: 6, settled: None, ..first.clone() }, first]
    }

    fn server_events(&self, after: u64) -> Vec<ServerEvent> {
        let kind = ServerEventKind::ClockStep { by_ms: -60_000 };
        let event = ServerEvent { seq: 3, wall_ms: 1_700_000_000_000, kind };
        Some(event).filter(|event| event.seq > after).into_iter().collect()
    }

    fn hot_paths(&self) -> HotPathReport {
        let paths = vec![HotPath { path: "/a".into(), count: 3 }];
        HotPathReport { sampled: 4, paths }
    }

    fn tenants(&self) -> TenantReports {
        let limits_reached = BTreeMap::from([("watches", 3)]);
        let report =
            TenantReport { connections: 2, watches: 7, limits_reached, ..Default::default() };
        BTreeMap::from([("sasl:bob".to_owned(), report)])
    }

    fn session_events(&mut self, after: u64, until: Option<Instant>, reply: Reply<EventPage>) {
        self.events.ask(after, until, reply);
    }

    fn watches(&self) -> Vec<WatchReport> {
        vec![
            WatchReport { session: FIRST, paths: vec!["/a".into()] },
            WatchReport { session: SECOND, paths: vec!["/a".into(), "/nope".into()] },
        ]
    }

    fn watch_totals(&self) -> WatchTotals {
        WatchTotals { connections: 2, paths: 2, watches: 3 }
    }

    fn digests(&self) -> Vec<DigestReport> {
        vec![DigestReport { zxid: Zxid(0x80), digest: 287_554_431_359, version: 2 }]
    }

    fn last_snapshot(&self) -> Option<SnapshotReport> {
        Some(SnapshotReport { zxid: Zxid(0x1f), written_wall_ms: 1_795_447_662_999 })
    }

    fn take_snapshot(&mut self, reply: Reply<Result<SavedSnapshot, OperateError>>) {
        match self.is_late {
            true => self.waiting.lock().unwrap().push(reply),
            false => reply.send(self.snapshot.clone().ok_or(OperateError::SnapshotFailed)),
        }
    }

    fn trace_mask(&mut self, set: Option<i64>) -> i64 {
        self.mask = set.unwrap_or(self.mask);
        self.mask
    }

    fn reset_server(&mut self) {
        self.counted.reset();
    }

    fn reset_connections(&mut self) {
        self.connections.iter_mut().for_each(|connection| connection.stats.reset());
    }

    fn end_session(
        &mut self,
        id: SessionId,
        how: EndAs,
        reply: Reply<Result<Ended, OperateError>>,
    ) {
        assert_eq!(how, EndAs::ClosedByOperator);
        reply.send(match self.session(id) {
            None => Err(OperateError::UnknownSession(id)),
            Some(live) => Ok(Ended {
                session: id,
                reason: EndReason::ClosedByOperator,
                timeout_ms: live.timeout_ms,
                opened_ms: 1_795_447_600_000,
                ended_ms: 1_795_447_663_000,
                zxid: Zxid(0x81),
                ephemerals: live.ephemeral_count as u32,
                paths: live.ephemerals,
            }),
        });
    }

    fn administrator(&mut self, credentials: &Credentials) -> Result<String, NoAdministrator> {
        match (&*credentials.scheme, &*credentials.auth) {
            ("digest", b"super:secret") => Ok("digest:super".into()),
            ("digest", _) => Err(NoAdministrator::NotPermitted),
            _ => Err(NoAdministrator::Unknown),
        }
    }
}
