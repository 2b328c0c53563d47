//! The members that run: quorum, lag, versions, clocks, and what happened to them lately.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tenure_client::Tls;

use super::finding::{Finding, Findings};
use crate::ensemble;
use crate::session::admin::Admin;

const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Clocks further apart than this make times in stats and logs hard to compare.
const APART_MS: i64 = 1_000;
/// Changes that a follower of a busy leader may lack at any moment.
const FAR_BEHIND: u64 = 100_000;
/// Events that are looked at, the latest.
const EVENTS: usize = 5;

pub(super) fn look(servers: &str, admin: Option<&str>, tls: Option<&Tls>) -> Vec<Finding> {
    let mut found = Findings::about("members");
    let (health, urls) = match ensemble::status(servers, admin, tls) {
        Ok(status) => status,
        Err(error) => {
            found.problem(error, "name servers as HOST:PORT,HOST:PORT");
            return found.into_list();
        }
    };
    let answers = ask(&urls, tls);
    quorum(&health, &answers, &mut found);
    if answers.is_empty() {
        found.note(format!(
            "no admin HTTP of Tenure at {}: versions, clocks and events are not known; see --admin",
            urls.join(", ")
        ));
    }
    versions(&answers, &mut found);
    clocks(&answers, &mut found);
    for answer in &answers {
        readiness(answer, &mut found);
        events(answer, &mut found);
    }
    found.into_list()
}

fn quorum(health: &Value, answers: &[Answer], found: &mut Findings) {
    let verdict = health["verdict"].as_str().unwrap_or("unknown");
    let all = health["members"].as_array().into_iter().flatten();
    // A member that is ready has heard of a quorum, whoever could be asked from here.
    let is_ready = answers.iter().any(|answer| answer.status["ready"] == true);
    let nowhere = all.clone().filter(|member| member["address"].is_null()).count();
    if nowhere > 0 {
        found.warning(
            format!("nobody tells where clients of {nowhere} members connect"),
            "write it behind their server.N lines, as ;2181, or name them with -s",
        );
    }
    let (serving, voters) = (&health["voters_serving"], &health["voters"]);
    let shown = format!("{verdict}: {serving} of {voters} voters serve");
    match verdict {
        "healthy" => found.good(shown),
        "no quorum" if is_ready && nowhere > 0 => found.good("a quorum serves, as its members say"),
        "degraded" => found.warning(shown, "bring back whoever is missing, before another goes"),
        _ => found.problem(shown, "start members until a majority runs; see their logs"),
    }
    for member in all {
        let Some(name) = member["address"].as_str() else { continue };
        if member["serves"] != true {
            let state = member["state"].as_str().unwrap_or("unknown");
            found.warning(format!("{name}: {state}"), "see its log, and the network to it");
        }
        let lag = member["lag_changes"].as_u64().filter(|lag| *lag > FAR_BEHIND);
        if let Some(lag) = lag {
            found.warning(
                format!("{name} is {lag} changes behind its leader"),
                "see its disk and the network to it",
            );
        }
    }
}

/// What one member's admin HTTP says.
struct Answer {
    url: String,
    status: Value,
    events: Value,
    /// By how much its wall clock is ahead of this machine's.
    ahead_ms: i64,
}

fn ask(urls: &[String], tls: Option<&Tls>) -> Vec<Answer> {
    thread::scope(|scope| {
        let asking: Vec<_> =
            urls.iter().map(|url| scope.spawn(move || ask_one(url, tls))).collect();
        let joined = asking.into_iter().map(|thread| thread.join());
        joined.filter_map(|answer| answer.expect("asking does not panic")).collect()
    })
}

fn ask_one(url: &str, tls: Option<&Tls>) -> Option<Answer> {
    let admin = Admin::with_timeout(url, tls, ANSWER_LIMIT).ok()?;
    let (asked, asked_ms) = (Instant::now(), wall_ms());
    let status = admin.get("/status").ok()?;
    // It looked at its clock somewhere between the question and the answer.
    let half_way_ms = asked_ms + i64::try_from(asked.elapsed().as_millis() / 2).unwrap_or(0);
    let ahead_ms = status["wall_ms"].as_i64()? - half_way_ms;
    let events = admin.get("/events").unwrap_or_default();
    Some(Answer { url: url.to_owned(), status, events, ahead_ms })
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn versions(answers: &[Answer], found: &mut Findings) {
    let versions: BTreeSet<&str> =
        answers.iter().filter_map(|answer| answer.status["version"].as_str()).collect();
    let shown = versions.iter().copied().collect::<Vec<_>>().join(", ");
    match versions.len() {
        0 => {}
        1 => found.good(format!("version {shown} runs everywhere that was asked")),
        _ => found.warning(
            format!("several versions run: {shown}"),
            "finish the upgrade: two releases in a row may be mixed while it lasts",
        ),
    }
}

fn clocks(answers: &[Answer], found: &mut Findings) {
    for answer in answers {
        let ahead_ms = answer.ahead_ms;
        if ahead_ms.abs() >= APART_MS {
            found.warning(
                format!("{}: its clock is {ahead_ms} ms ahead of this machine's", answer.url),
                "have both follow a time server (chronyc tracking, timedatectl)",
            );
        }
    }
    let is_close = |answer: &Answer| answer.ahead_ms.abs() < APART_MS;
    if !answers.is_empty() && answers.iter().all(is_close) {
        found.good("clocks agree to within a second");
    }
}

fn readiness(answer: &Answer, found: &mut Findings) {
    let Answer { url, status, .. } = answer;
    if status["disk_full"] == true {
        found.problem(format!("{url}: the disk is full, writes wait"), "make room there");
    }
    if status["ready"] != true {
        found.warning(format!("{url}: not ready"), format!("see {url}/readyz for the reason"));
    }
    for follower in status["followers"].as_array().into_iter().flatten() {
        if follower["in_sync"] != true {
            let (id, behind) = (&follower["server"], &follower["entries_behind"]);
            found.warning(
                format!("server {id} is not in sync with its leader, {behind} entries behind"),
                "see whether it runs, its disk, and the network to it",
            );
        }
    }
}

/// What went wrong lately.
fn events(answer: &Answer, found: &mut Findings) {
    const TROUBLE: [&str; 7] = [
        "slow_sync",
        "disk_stalled",
        "disk_full",
        "clock_step",
        "pause",
        "expiry_storm",
        "throttling",
    ];
    let events = answer.events["events"].as_array().into_iter().flatten().rev();
    let troubles =
        events.filter(|event| event["kind"].as_str().is_some_and(|kind| TROUBLE.contains(&kind)));
    for event in troubles.take(EVENTS) {
        let (at, message) = (event["at"].as_str(), event["message"].as_str());
        found.warning(
            format!("{}: {}: {}", answer.url, at.unwrap_or("?"), message.unwrap_or("?")),
            "look at that machine at that time",
        );
    }
}
