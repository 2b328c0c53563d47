//! One picture of an ensemble, from what its members said at two moments.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sample::{Member, Sample};
use crate::table::table;

/// Rows of each list at most, so that the picture fits a screen.
const ROWS: usize = 5;
/// Kinds of requests that are shown by name.
const KINDS: usize = 8;

/// The picture as lines.
pub(super) fn frame(earlier: &Sample, now: &Sample) -> String {
    let seconds = (now.at - earlier.at).as_secs_f64().max(0.001);
    [
        headline(now),
        members(now),
        requests(earlier, now, seconds),
        latencies(earlier, now),
        sessions(now),
        busiest(earlier, now, seconds),
        hot_paths(now),
        events(now),
    ]
    .concat()
}

fn headline(now: &Sample) -> String {
    let answering = now.answering().count();
    let leader = now.leader().and_then(|answers| answers.status["leader"].as_u64());
    let led = match leader {
        Some(leader) => format!("server {leader} leads"),
        None if now.leader().is_some_and(|a| a.status["state"] == "standalone") => {
            "a server of its own".to_owned()
        }
        None => "nobody leads".to_owned(),
    };
    let ready = now.answering().filter(|answers| answers.status["ready"] == true).count();
    format!("tenure top: {led}; {answering} of {} answer, {ready} ready\n\n", now.members.len())
}

fn members(now: &Sample) -> String {
    let followers = now.leader().map(|answers| &answers.status["followers"]);
    let behind = |id: &Value| {
        let all = followers.and_then(Value::as_array).into_iter().flatten();
        let one = all.clone().find(|follower| follower["server"] == *id && !id.is_null())?;
        let entries = one["entries_behind"].as_u64()?;
        let in_sync = if one["in_sync"] == true { "" } else { ", not in sync" };
        Some(format!("{entries}{in_sync}"))
    };
    let row = |member: &Member| {
        let status = match &member.answers {
            Ok(answers) => &answers.status,
            Err(error) => {
                let mut row = vec!["-".to_owned(); 9];
                (row[1], row[2]) = (member.url.clone(), error.clone());
                return row;
            }
        };
        let text = |key: &str| match &status[key] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let state = match status["ready"] == true {
            true => text("state"),
            false => format!("{} (not ready)", text("state")),
        };
        let uptime = duration(status["uptime_ms"].as_u64().unwrap_or(0));
        vec![
            text("server"),
            member.url.clone(),
            state,
            text("zxid"),
            behind(&status["server"]).unwrap_or_else(|| "-".to_owned()),
            text("connections"),
            text("outstanding_requests"),
            uptime,
            text("version"),
        ]
    };
    let titles = [
        "SERVER",
        "ADMIN",
        "STATE",
        "ZXID",
        "BEHIND",
        "CONNECTIONS",
        "OUTSTANDING",
        "UP",
        "VERSION",
    ];
    let rows: Vec<Vec<String>> = now.members.iter().map(row).collect();
    format!("{}\n", table(&titles, &rows))
}

fn requests(earlier: &Sample, now: &Sample, seconds: f64) -> String {
    let grown = now.metrics().since(&earlier.metrics());
    let kinds = grown.by_label("tenure_requests_total");
    let all = kinds.iter().fold(0.0, |all, (_, count)| all + count);
    let shown = kinds.iter().filter(|(_, count)| *count > 0.0).take(KINDS);
    let shown: Vec<String> =
        shown.map(|(kind, count)| format!("{kind} {}", rate(count / seconds))).collect();
    format!("Requests/s   {} in all  {}\n", rate(all / seconds), shown.join("  "))
}

fn latencies(earlier: &Sample, now: &Sample) -> String {
    let grown = now.metrics().since(&earlier.metrics());
    let both = |histogram: &str| {
        let at = |share| grown.quantile_ms(histogram, share);
        match at(0.5).zip(at(0.99)) {
            Some((p50, p99)) => format!("p50 {p50:.2} p99 {p99:.2}"),
            None => "none".to_owned(),
        }
    };
    format!(
        "Latency, ms  reads {}  writes {}  log syncs {}\n\n",
        both("tenure_read_latency_seconds"),
        both("tenure_write_latency_seconds"),
        both("tenure_log_sync_seconds")
    )
}

fn sessions(now: &Sample) -> String {
    let Some(leader) = now.leader() else { return String::new() };
    let count = leader.status["sessions"].as_u64().unwrap_or(0);
    let near = match &leader.sessions {
        Ok(sessions) => format!("{} nearly expired", near_expiry(sessions)),
        Err(error) => error.clone(),
    };
    let mut text = format!("Sessions     {count} live, {near}\n");
    let ended = leader.ended["ended_sessions"].as_array().into_iter().flatten().take(ROWS);
    for session in ended {
        let part = |key: &str| session[key].as_str().unwrap_or("-");
        let lost = session["ephemerals_lost"].as_u64().unwrap_or(0);
        text.push_str(&format!(
            "  ended {}  {}  {}; {lost} ephemerals\n",
            part("ended_at"),
            part("session_id"),
            part("reason")
        ));
    }
    text.push('\n');
    text
}

/// Sessions of which more than three quarters of the timeout have passed in silence. Clients speak
/// up after a third.
fn near_expiry(sessions: &Value) -> usize {
    let all = sessions["sessions"].as_array().into_iter().flatten();
    let is_near = |session: &&Value| {
        let (left, timeout) = (session["expires_in_ms"].as_u64(), session["timeout_ms"].as_u64());
        left.zip(timeout).is_some_and(|(left, timeout)| left * 4 < timeout)
    };
    all.filter(is_near).count()
}

/// Who asks most.
fn busiest(earlier: &Sample, now: &Sample, seconds: f64) -> String {
    let before = |session: &i64| {
        earlier.answering().find_map(|answers| Some(answers.packets.get(session)?.0))
    };
    let all = now.answering().flat_map(|answers| &answers.packets);
    let mut busy: Vec<(u64, i64, &str)> = all
        .filter_map(|(session, (packets, from))| {
            let grown = packets.saturating_sub(before(session)?);
            (grown > 0).then_some((grown, *session, from.as_str()))
        })
        .collect();
    busy.sort_by(|a, b| b.cmp(a));
    let mut text = match busy.is_empty() {
        true => String::from("Busiest      nobody asks anything\n"),
        false => String::from("Busiest      packets/s by session\n"),
    };
    for (packets, session, from) in busy.into_iter().take(ROWS) {
        let rate = rate(packets as f64 / seconds);
        text.push_str(&format!("  {rate:>8}  {session:#x}  {from}\n"));
    }
    text.push('\n');
    text
}

/// What is asked for most.
fn hot_paths(now: &Sample) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for answers in now.answering() {
        for hot in answers.hot["paths"].as_array().into_iter().flatten() {
            let (path, count) = (hot["path"].as_str(), hot["count"].as_u64());
            *counts.entry(path.unwrap_or("-")).or_default() += count.unwrap_or(0);
        }
    }
    let sampled: u64 = now.answering().filter_map(|a| a.hot["sampled"].as_u64()).sum();
    let mut hot: Vec<(u64, &str)> = counts.into_iter().map(|(path, n)| (n, path)).collect();
    hot.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let mut text = match hot.is_empty() {
        true => String::from("Hot paths    none yet\n"),
        false => String::from("Hot paths    share of the latest requests\n"),
    };
    for (count, path) in hot.into_iter().take(ROWS) {
        let share = count as f64 * 100.0 / sampled.max(1) as f64;
        text.push_str(&format!("  {share:>6.1} %  {path}\n"));
    }
    text.push('\n');
    text
}

/// What happened lately, at any of them.
fn events(now: &Sample) -> String {
    let mut lines: Vec<String> = Vec::new();
    for answers in now.answering() {
        let server = answers.status["server"].as_u64();
        let server = server.map(|id| format!("server {id}: ")).unwrap_or_default();
        for event in answers.events["events"].as_array().into_iter().flatten() {
            let part = |key: &str| event[key].as_str().unwrap_or("-");
            lines.push(format!("  {}  {server}{}\n", part("at"), part("message")));
        }
    }
    // They begin with the time.
    lines.sort_unstable();
    let latest = lines.into_iter().rev().take(ROWS);
    ["Events\n".to_owned()].into_iter().chain(latest).collect()
}

fn rate(per_second: f64) -> String {
    match per_second < 10.0 {
        true => format!("{per_second:.1}"),
        false => format!("{per_second:.0}"),
    }
}

fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}
