//! An ensemble's health as text and as JSON.

use serde_json::{Value, json};

use super::ask::Member;
use super::health::{Health, Lag, epoch, report};
use crate::four_letter::Srvr;
use crate::table::table;

/// A table of the members, and what follows from it.
pub(super) fn text(health: &Health) -> String {
    let row = |member: &Member| {
        let serving = report(member);
        let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        vec![
            or_none(member.id.map(|id| id.to_string())),
            member.address.clone(),
            or_none(serving.map(|serving| serving.role.name().to_owned())),
            or_none(serving.map(|serving| format!("{:#x}", serving.zxid))),
            or_none(health.lag(member).map(|lag| match lag {
                Lag::Changes(0) => "none".to_owned(),
                Lag::Changes(1) => "1 change".to_owned(),
                Lag::Changes(changes) => format!("{changes} changes"),
                Lag::Epoch => format!("in epoch {}", epoch(serving.map_or(0, |s| s.zxid))),
            })),
            or_none(member.sessions.map(|sessions| sessions.to_string())),
            or_none(serving.map(|serving| serving.connections.to_string())),
            state(member),
        ]
    };
    let titles = ["ID", "ADDRESS", "ROLE", "ZXID", "LAG", "SESSIONS", "CONNECTIONS", "STATE"];
    let rows: Vec<Vec<String>> = health.members.iter().map(row).collect();
    format!("{}\n{}", table(&titles, &rows), verdict(health))
}

/// What a member's answer, or its silence, means.
fn state(member: &Member) -> String {
    match &member.answer {
        Ok(Srvr::Serving(_)) => "serves".to_owned(),
        Ok(Srvr::NotServing) => "runs, but serves nobody: it has no leader".to_owned(),
        Ok(Srvr::Unanswered) => "connects, but does not answer srvr".to_owned(),
        Err(error) => format!("unreachable: {error}"),
    }
}

fn verdict(health: &Health) -> String {
    if health.is_alone() {
        return "A server of its own, which serves.\n".to_owned();
    }
    let leads = match health.leader.map(|n| &health.members[n]) {
        None if health.is_incomplete => "None of these leads".to_owned(),
        None => "Nobody leads".to_owned(),
        Some(Member { id: Some(id), .. }) => format!("Member {id} leads"),
        Some(member) => format!("{} leads", member.address),
    };
    let (serving, voters, needed) = (health.serving, health.voters, health.needed());
    let incomplete = match health.is_incomplete {
        true => {
            "There may be more members than were asked, for no server tells where clients find \
             them all: name them with -s.\n"
        }
        false => "",
    };
    let members = if voters == 1 { "voting member" } else { "voting members" };
    format!("{leads}; {serving} of {voters} {members} serve, {needed} are needed.\n{incomplete}")
}

/// The same for programs.
pub(super) fn json(health: &Health) -> Value {
    let member = |member: &Member| {
        let serving = report(member);
        json!({
            "id": member.id,
            "address": member.address,
            "votes": member.votes,
            "serves": serving.is_some(),
            "state": state(member),
            "role": serving.map(|serving| serving.role.name()),
            "epoch": serving.map(|serving| epoch(serving.zxid)),
            "zxid": serving.map(|serving| format!("{:#x}", serving.zxid)),
            "lag_changes": match health.lag(member) {
                Some(Lag::Changes(changes)) => Some(changes),
                Some(Lag::Epoch) | None => None,
            },
            "sessions": member.sessions,
            "connections": serving.map(|serving| serving.connections),
        })
    };
    let leader = health.leader.map(|n| &health.members[n]);
    json!({
        "healthy": health.is_healthy(),
        "leader": leader.map(|leader| json!({"id": leader.id, "address": leader.address})),
        "voters": health.voters,
        "voters_serving": health.serving,
        "quorum": health.needed(),
        "members_complete": !health.is_incomplete,
        "members": health.members.iter().map(member).collect::<Vec<Value>>(),
    })
}
