//! Sessions over HTTP: which live, which ended, who ended them and why.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tenure_replica::{EndReason, Ended};
use tenure_wire::SessionId;

use super::clock::Moment;
use super::query::{AdminClient, AdminQuery};
use super::report::{SessionRange, SessionReport};

/// Sessions on one page at most; a page is copied on the I/O thread.
const MAX_PAGE: usize = 1000;

/// Status and JSON; `None` if the I/O thread does not answer.
pub(crate) type Answered = Option<(StatusCode, Value)>;

/// A page of live sessions by ascending id, beginning after the id `after`.
pub(crate) async fn live(
    after: Option<&str>,
    limit: Option<&str>,
    client: &AdminClient,
) -> Answered {
    let after = match after.map(parse_id) {
        Some(None) => return bad_request("after", "a session id, such as 0x10000f3a5b20000"),
        Some(id) => id,
        None => None,
    };
    let limit = match limit.map(str::parse::<usize>) {
        None => MAX_PAGE,
        Some(Ok(limit @ 1..)) => limit.min(MAX_PAGE),
        Some(_) => return bad_request("limit", "a whole number, at least 1"),
    };
    // One more than shown tells whether there is another page.
    let range = SessionRange { after, limit: limit + 1, paths: false };
    let mut sessions = client.ask(|reply| AdminQuery::Sessions(range, reply)).await?;
    let more = sessions.len() > limit;
    sessions.truncate(limit);
    let next = sessions.last().filter(|_| more).map(|last| last.id.to_string());
    let shown: Vec<Value> = sessions.iter().map(show_live).collect();
    Some((StatusCode::OK, json!({"sessions": shown, "next_after": next})))
}

/// One session, alive or ended.
pub(crate) async fn one(id: &str, client: &AdminClient) -> Answered {
    let Some(id) = parse_id(id) else {
        return bad_request("the last part of the path", "a session id, hexadecimal after 0x");
    };
    if let Some(session) = client.ask(|reply| AdminQuery::Session(id, reply)).await? {
        let mut shown = show_live(&session);
        shown["ephemeral_paths"] = json!(session.ephemerals);
        return Some((StatusCode::OK, shown));
    }
    let ended = client.ask(AdminQuery::EndedSessions).await?;
    Some(match ended.iter().find(|ended| ended.session == id) {
        Some(session) => (StatusCode::OK, show_ended(session)),
        None => {
            let message = format!("no session {id} lives, and none is remembered to have ended");
            (StatusCode::NOT_FOUND, json!({"error": message}))
        }
    })
}

/// Sessions that ended, the latest first.
pub(crate) async fn ended(client: &AdminClient) -> Answered {
    let ended = client.ask(AdminQuery::EndedSessions).await?;
    let shown: Vec<Value> = ended.iter().map(show_ended).collect();
    Some((StatusCode::OK, json!({"ended_sessions": shown})))
}

fn show_live(session: &SessionReport) -> Value {
    json!({
        "session_id": session.id.to_string(),
        "state": "live",
        "timeout_ms": session.timeout_ms,
        "silent_ms": session.silent_ms,
        "expires_in_ms": session.expires_in_ms,
        "client": session.peer.map(|peer| peer.to_string()),
        "ephemerals": session.ephemeral_count,
    })
}

fn show_ended(ended: &Ended) -> Value {
    let (by, silent_ms) = match ended.reason {
        EndReason::ClosedByClient => ("client", None),
        EndReason::Expired { silent_ms } => ("server", Some(silent_ms)),
        EndReason::ClosedByOperator => ("operator", None),
    };
    json!({
        "session_id": ended.session.to_string(),
        "state": "ended",
        "opened_at": Moment::of(ended.opened_ms).iso(),
        "ended_at": Moment::of(ended.ended_ms).iso(),
        "ended_by": by,
        "reason": ended.reason.to_string(),
        "silent_ms": silent_ms,
        "timeout_ms": ended.timeout_ms,
        "zxid": ended.zxid.to_string(),
        "ephemerals_lost": ended.ephemerals,
        "ephemeral_paths": ended.paths,
    })
}

fn bad_request(what: &str, expected: &str) -> Answered {
    Some((StatusCode::BAD_REQUEST, json!({"error": format!("{what}: expected {expected}")})))
}

/// Hexadecimal after `0x`, as logs and four-letter words show ids, or the signed decimal of JSON.
fn parse_id(text: &str) -> Option<SessionId> {
    let id = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()? as i64,
        None => text.parse().ok()?,
    };
    Some(SessionId(id))
}
