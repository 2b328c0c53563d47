//! An ensemble's health as text and as JSON.

use serde_json::{Value, json};

use super::ask::Member;
use super::health::{Health, Lag, Verdict, epoch, report, serves};
use super::http::Election;
use crate::four_letter::{Role, Serving, Srvr};
use crate::table::table;

/// A table of the members, and what follows from it.
pub(super) fn text(health: &Health) -> String {
    let row = |member: &Member| {
        let serving = report(member);
        let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        vec![
            or_none(member.id.map(|id| id.to_string())),
            or_none(member.address.clone()),
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
    let election = health.election.as_ref().map(election).unwrap_or_default();
    format!("{}\n{election}{}", table(&titles, &rows), verdict(health))
}

/// What a member's answer, or its silence, means.
fn state(member: &Member) -> String {
    match &member.answer {
        Ok(Srvr::Serving(Serving { role: Role::ReadOnly, .. })) => {
            "serves reads only, which may be old: it has no leader".to_owned()
        }
        Ok(Srvr::Serving(_)) => "serves".to_owned(),
        Ok(Srvr::NotServing) => "runs, but serves nobody: it has no leader".to_owned(),
        Ok(Srvr::Unanswered) => "connects, but does not answer srvr".to_owned(),
        Err(error) => format!("unreachable: {error}"),
    }
}

/// What keeps a member from serving, in a few words.
fn trouble(member: &Member) -> &'static str {
    match &member.answer {
        Ok(Srvr::Serving(_)) => "is read-only",
        Ok(Srvr::NotServing) => "has no leader",
        Ok(Srvr::Unanswered) => "does not tell",
        Err(_) => "unreachable",
    }
}

fn name(member: &Member) -> String {
    match (member.id, &member.address) {
        (Some(id), _) => format!("server {id}"),
        (None, Some(address)) => address.clone(),
        (None, None) => "a server".to_owned(),
    }
}

fn election(election: &Election) -> String {
    let Election { at, epoch, leader, cause, leaderless_ms, sessions, sessions_lost } = election;
    let lost = match sessions_lost {
        Some(lost) => format!("{lost} lost"),
        None => "how many were lost is not known".to_owned(),
    };
    let cause = cause.replace('_', " ");
    format!(
        "Last election: server {leader} since {at}, epoch {epoch} ({cause}); {leaderless_ms} ms \
         without a leader; {sessions} sessions, {lost}\n"
    )
}

impl Verdict {
    /// As the last line begins.
    fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::NoQuorum => "no quorum",
        }
    }
}

/// The last line, after a warning if it may be wrong.
fn verdict(health: &Health) -> String {
    if health.is_alone() {
        return "healthy: a server of its own, which serves\n".to_owned();
    }
    let verdict = health.verdict();
    let Health { members, serving, voters, .. } = health;
    let mut parts = vec![format!("{serving} of {voters}")];
    if verdict == Verdict::NoQuorum {
        parts.push(format!("{} needed", health.needed()));
    }
    parts.push(match health.leader.map(|n| &members[n]) {
        Some(leader) => format!("{} leads", name(leader)),
        None if health.is_incomplete => "none of these leads".to_owned(),
        None => "nobody leads".to_owned(),
    });
    let troubled = members.iter().filter(|member| !serves(member));
    parts.extend(troubled.map(|member| format!("{} {}", name(member), trouble(member))));
    let incomplete = match health.is_incomplete {
        true => {
            "There may be more members than were asked, for no server tells where clients find \
             them all: name them with -s.\n"
        }
        false => "",
    };
    format!("{incomplete}{}: {}\n", verdict.name(), parts.join(", "))
}

/// The same for programs.
pub(super) fn json(health: &Health) -> Value {
    let member = |member: &Member| {
        let serving = report(member);
        json!({
            "id": member.id,
            "address": member.address,
            "votes": member.votes,
            "serves": serves(member),
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
        "verdict": health.verdict().name(),
        "has_quorum": health.has_quorum(),
        "leader": leader.map(|leader| json!({"id": leader.id, "address": leader.address})),
        "voters": health.voters,
        "voters_serving": health.serving,
        "quorum": health.needed(),
        "last_election": health.election.as_ref().map(|election| json!({
            "at": election.at,
            "epoch": election.epoch,
            "leader": election.leader,
            "cause": election.cause,
            "leaderless_ms": election.leaderless_ms,
            "sessions": election.sessions,
            "sessions_lost": election.sessions_lost,
        })),
        "members_complete": !health.is_incomplete,
        "members": health.members.iter().map(member).collect::<Vec<Value>>(),
    })
}
