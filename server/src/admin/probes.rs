//! Whether this server is well, and whether clients should be sent to it: the answers to probes.
//!
//! *Health* is about this process alone: a supervisor restarts what fails it, so nothing fails it
//! that a restart does not mend. *Readiness* is about service: it needs a quorum and a disk.

use axum::http::StatusCode;
use serde_json::json;

use super::query::{AdminClient, AdminQuery};
use super::sessions::Answered;
use crate::limits;
use crate::metrics::Readings;

/// Why a server serves nobody, or reads alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// It was told to stop.
    Stopping,
    /// It lost its data and does not count before it has caught up with a leader.
    DataLost,
    /// It has a leader and applies what was written while it was away.
    CatchingUp,
    /// For lack of a leader it serves reads, which may be old.
    ReadOnly,
    /// It has no leader: there is no quorum, or it cannot reach it.
    NoLeader,
    /// It is a server of its own that has not begun to serve.
    Starting,
    /// The disk of the log is full: writes wait.
    DiskFull,
}

impl NotReady {
    /// What keeps the server from serving reads and writes, if anything does.
    pub(crate) fn of(readings: &Readings) -> Option<Self> {
        let is_led = readings.led_by.is_some();
        match readings {
            Readings { stopping: true, .. } => Some(Self::Stopping),
            Readings { catching_up: true, .. } => Some(Self::DataLost),
            _ if readings.state.is_read_only() => Some(Self::ReadOnly),
            Readings { serving: false, quorum_size: None, .. } => Some(Self::Starting),
            Readings { serving: false, .. } if is_led => Some(Self::CatchingUp),
            Readings { serving: false, .. } => Some(Self::NoLeader),
            Readings { disk_full: true, .. } => Some(Self::DiskFull),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::DataLost => "data_lost",
            Self::CatchingUp => "catching_up",
            Self::ReadOnly => "read_only",
            Self::NoLeader => "no_leader",
            Self::Starting => "starting",
            Self::DiskFull => "disk_full",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Stopping => "the server was told to stop",
            Self::DataLost => {
                "the server lost its data and has no vote before it has caught up with a leader"
            }
            Self::CatchingUp => "the server catches up with its leader",
            Self::ReadOnly => "the server has no leader and serves reads only, which may be old",
            Self::NoLeader => "the server has no leader: no quorum of the members is in reach",
            Self::Starting => "the server starts",
            Self::DiskFull => "the disk of the log is full: writes wait until there is room",
        }
    }
}

/// The answer to `/healthz`: the I/O loop turns, and the disk thread is not stuck.
pub(crate) async fn health(client: &AdminClient) -> Answered {
    let Some(server) = client.ask_within(limits::HEALTH_ANSWER, AdminQuery::Server).await else {
        let waited_ms = limits::HEALTH_ANSWER.as_millis();
        let message = format!("the I/O loop has not turned for {waited_ms} ms");
        return Some(unwell("io_loop_stuck", &message));
    };
    let busy_ms = server.readings.disk_busy_ms;
    if u128::from(busy_ms) >= limits::DISK_STUCK.as_millis() {
        let message = format!("the disk has not finished one write or sync for {busy_ms} ms");
        return Some(unwell("disk_stuck", &message));
    }
    Some((StatusCode::OK, json!({"healthy": true})))
}

fn unwell(reason: &str, message: &str) -> (StatusCode, serde_json::Value) {
    let body = json!({"healthy": false, "reason": reason, "error": message});
    (StatusCode::SERVICE_UNAVAILABLE, body)
}

/// The answer to `/readyz`: whether reads and writes are served. A balancer sends nobody to what
/// fails this, and who restarts one member after another waits for it.
pub(crate) async fn ready(client: &AdminClient) -> Answered {
    let readings = client.ask(AdminQuery::Server).await?.readings;
    let why_not = NotReady::of(&readings);
    let status = match why_not {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut answer = json!({"ready": why_not.is_none(), "state": readings.state.name()});
    if readings.cluster != 0 {
        answer["cluster"] = format!("{:016x}", readings.cluster).into();
    }
    if let Some(why_not) = why_not {
        answer["reason"] = why_not.name().into();
        answer["error"] = why_not.sentence().into();
    }
    Some((status, answer))
}
