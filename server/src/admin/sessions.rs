//! Sessions over HTTP: which live, which ended, who ended them and why.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tenure_replica::{EndReason, Ended, WatchKind};
use tenure_wire::SessionId;

use super::clock::Moment;
use super::events::SessionEvent;
use super::operate::{END_TIMEOUT, EndAs, OperateError};
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
    let Some(id) = parse_id(id) else { return bad_id() };
    if let Some(session) = client.ask(|reply| AdminQuery::Session(id, reply)).await? {
        return Some((StatusCode::OK, show_one(&session)));
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

/// Ends a session, and waits until that is applied.
pub(crate) async fn close(id: &str, client: &AdminClient) -> Answered {
    let Some(id) = parse_id(id) else { return bad_id() };
    let question = |reply| AdminQuery::EndSession(id, EndAs::ClosedByOperator, reply);
    let ended = match client.ask_within(END_TIMEOUT, question).await {
        Some(ended) => ended,
        None => Err(OperateError::NoAnswer),
    };
    Some(match ended {
        Ok(ended) => {
            let mut shown = show_ended(&ended);
            shown["closed"] = json!(true);
            (StatusCode::OK, shown)
        }
        Err(error @ OperateError::UnknownSession(_)) => {
            let ended = client.ask(AdminQuery::EndedSessions).await?;
            let before = ended.iter().find(|ended| ended.session == id);
            let before = before.map(|ended| {
                format!("; it ended at {}: {}", Moment::of(ended.ended_ms).iso(), ended.reason)
            });
            let message = format!("{error}{}", before.unwrap_or_default());
            (StatusCode::NOT_FOUND, json!({"error": message}))
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, json!({"error": error.to_string()})),
    })
}

/// What happened to sessions after a number. If that is nothing, the answer may be held back.
pub(crate) async fn events(
    after: Option<&str>,
    wait_ms: Option<&str>,
    longest: Duration,
    client: &AdminClient,
) -> Answered {
    let Ok(after) = after.unwrap_or("0").parse::<u64>() else {
        return bad_request("after", "the number of an event, as in next_after; 0 for the first");
    };
    let Ok(wait_ms) = wait_ms.unwrap_or("0").parse::<u64>() else {
        return bad_request("wait_ms", "a whole number of milliseconds");
    };
    // First without waiting: a server that does not answer at all must be told from one where
    // nothing happens.
    let question = |reply| AdminQuery::SessionEvents(after, None, reply);
    let mut page = client.ask(question).await?;
    let wait = Duration::from_millis(wait_ms).min(longest);
    if page.events.is_empty() && !wait.is_zero() {
        let (after, until) = (page.next_after, Instant::now() + wait);
        let question = |reply| AdminQuery::SessionEvents(after, Some(until), reply);
        page = client.ask_within(wait, question).await.unwrap_or(page);
    }
    let events: Vec<Value> = page.events.iter().map(show_event).collect();
    let body = json!({"events": events, "missed": page.missed, "next_after": page.next_after});
    Some((StatusCode::OK, body))
}

fn show_event(event: &SessionEvent) -> Value {
    json!({
        "seq": event.seq,
        "at": Moment::of(event.wall_ms).iso(),
        "kind": event.kind.name(),
        "session_id": event.session.to_string(),
        "client": event.client.map(|client| client.to_string()),
        "timeout_ms": event.timeout_ms,
        "reason": event.reason,
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
        "local": session.is_local,
        "timeout_ms": session.timeout_ms,
        "silent_ms": session.silent_ms,
        "expires_in_ms": session.expires_in_ms,
        "client": session.peer.map(|peer| peer.to_string()),
        "ephemerals": session.ephemeral_count,
    })
}

/// All that is known of a live session.
pub(crate) fn show_one(session: &SessionReport) -> Value {
    let watched = |wanted: WatchKind| -> Vec<&str> {
        let of_kind = session.watches.iter().filter(|(kind, _)| *kind == wanted);
        of_kind.map(|(_, path)| path.as_str()).collect()
    };
    let iso = |wall_ms| Moment::of(wall_ms).iso();
    let last_heard_ms = session.deadline_wall_ms.zip(session.expires_in_ms).zip(session.silent_ms);
    let last_heard_ms = last_heard_ms
        .map(|((deadline, left), silent)| deadline.saturating_sub((left + silent) as i64));
    let more = json!({
        "opened_at": iso(session.opened_wall_ms),
        "opened_by_server": match session.is_local {
            true => session.served_by,
            false => Some((session.id.0 as u64) >> 56),
        },
        "server": session.served_by,
        "last_heard_at": last_heard_ms.map(iso),
        "deadline_at": session.deadline_wall_ms.map(iso),
        "ephemeral_paths": session.ephemerals,
        "watches": session.watches.len(),
        "watched": {
            "data": watched(WatchKind::Data),
            "children": watched(WatchKind::Child),
            "persistent": watched(WatchKind::Persistent),
            "persistent_recursive": watched(WatchKind::PersistentRecursive),
        },
    });
    let mut shown = show_live(session);
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    shown
}

pub(crate) fn show_ended(ended: &Ended) -> Value {
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

fn bad_id() -> Answered {
    bad_request("the part of the path behind /sessions", "a session id, hexadecimal after 0x")
}

pub(crate) fn bad_request(what: &str, expected: &str) -> Answered {
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
