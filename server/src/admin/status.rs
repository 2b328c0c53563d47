//! This member as programs want it, in one answer: who leads, how far everybody is, which version
//! runs, what the clock shows. And which znodes its clients ask for.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::probes::NotReady;
use super::query::{AdminClient, AdminQuery};
use super::sessions::Answered;
use super::version::version;
use crate::hot_paths::HotPath;
use crate::metrics::FollowerReading;

/// The answer to `/status`.
pub(crate) async fn status(client: &AdminClient) -> Answered {
    let server = client.ask(AdminQuery::Server).await?;
    let readings = &server.readings;
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "compatible_with": version(),
        "server": readings.member,
        "state": readings.state.name(),
        "ready": NotReady::of(readings).is_none(),
        "leader": readings.led_by,
        "zxid": readings.zxid.to_string(),
        "wall_ms": readings.wall_ms,
        "uptime_ms": readings.uptime_ms,
        "sessions": readings.global_sessions,
        "connections": readings.alive_connections,
        "outstanding_requests": readings.outstanding_requests,
        "disk_full": readings.disk_full,
        "disk_busy_ms": readings.disk_busy_ms,
        "voters": readings.quorum_size,
        "followers": readings.followers.iter().map(follower).collect::<Vec<Value>>(),
    });
    Some((StatusCode::OK, body))
}

/// The answer to `/hot`: which znodes clients ask for most.
pub(crate) async fn hot_paths(client: &AdminClient) -> Answered {
    let report = client.ask(AdminQuery::HotPaths).await?;
    let path = |hot: &HotPath| json!({"path": hot.path, "count": hot.count});
    let paths: Vec<Value> = report.paths.iter().map(path).collect();
    Some((StatusCode::OK, json!({"sampled": report.sampled, "paths": paths})))
}

fn follower(follower: &FollowerReading) -> Value {
    json!({
        "server": follower.id,
        "votes": follower.votes,
        "in_sync": follower.is_in_sync(),
        "heard_ms_ago": follower.heard_ms_ago,
        "entries_behind": follower.behind,
    })
}
