//! What admin HTTP adds to what servers tell on their client ports: the members as the
//! configuration file has them, even if nobody leads, and the last election.

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tenure_client::Tls;

use super::hosts::{self, Listed};
use crate::session::admin::Admin;

/// How long admin HTTP may take to answer. Often there is none, so this is not long.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Where admin HTTP is unless somebody says otherwise.
const DEFAULT_PORT: u16 = 8080;

/// A change of the leader, as the member saw it that tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Election {
    /// When that member served under the leader.
    pub(super) at: String,
    /// The epoch that began with it.
    pub(super) epoch: i64,
    /// The leader's number.
    pub(super) leader: u64,
    /// Why there was none before.
    pub(super) cause: String,
    /// How long that member did not serve for lack of one.
    pub(super) leaderless_ms: u64,
    /// Live sessions at that moment.
    pub(super) sessions: u64,
    /// Sessions that expired without having been heard since. Only the leader knows, after a while.
    pub(super) sessions_lost: Option<u64>,
}

/// The admin HTTP of servers: where it is said to be, or on the usual port of their hosts.
pub(super) fn urls(given: Option<&str>, servers: &[String]) -> Vec<String> {
    let mut urls: Vec<String> = match given {
        Some(given) => given.split(',').map(|url| url.trim().to_owned()).collect(),
        None => {
            let host = |address: &String| {
                let host = address.rsplit_once(':').map_or(&**address, |(host, _)| host);
                format!("http://{host}:{DEFAULT_PORT}")
            };
            servers.iter().map(host).collect()
        }
    };
    urls.sort_unstable();
    urls.dedup();
    urls
}

/// The members in the configuration file of one of these.
pub(super) fn configured(urls: &[String], tls: Option<&Tls>) -> Option<Vec<Listed>> {
    let answers = ask_all(urls, tls, "/commands/initial_configuration");
    let listed = |answer: &Value| {
        hosts::listed(answer["initial_configuration"].as_str()?, None, tls.is_some())
    };
    answers.iter().find_map(listed)
}

/// The last election that any of these tells of, in this epoch or later: another ensemble's admin
/// HTTP may be where this one's was looked for.
pub(super) fn last_election(
    urls: &[String],
    tls: Option<&Tls>,
    leader: Option<u64>,
    epoch: i64,
) -> Option<Election> {
    let answers = ask_all(urls, tls, "/elections");
    let elections = answers.into_iter().filter_map(|mut answer| {
        let last = answer["elections"].get_mut(0)?.take();
        serde_json::from_value::<Election>(last).ok()
    });
    let is_ours = |election: &Election| {
        let leads = leader.is_none_or(|leader| leader == election.leader);
        leads && election.epoch >= epoch
    };
    // The leader's own account says most.
    elections.filter(is_ours).max_by_key(|told| (told.epoch, told.sessions_lost.is_some()))
}

/// The answers of those that answer.
fn ask_all(urls: &[String], tls: Option<&Tls>, path: &str) -> Vec<Value> {
    let ask = |url: &str| Admin::with_timeout(url, tls, ANSWER_LIMIT).ok()?.get(path).ok();
    thread::scope(|scope| {
        let asking: Vec<_> = urls.iter().map(|url| scope.spawn(move || ask(url))).collect();
        let joined = asking.into_iter().map(|thread| thread.join());
        joined.filter_map(|answer| answer.expect("asking does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_is_looked_for_where_it_is_said_to_be_or_where_it_usually_is() {
        let servers = ["a:2181", "[::1]:2182", "a:2183"].map(str::to_owned);
        assert_eq!(urls(None, &servers), ["http://[::1]:8080", "http://a:8080"]);
        assert_eq!(urls(Some("http://b:1, c:2"), &servers), ["c:2", "http://b:1"]);
    }
}
