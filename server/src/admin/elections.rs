//! Elections as this server saw them: why, how long nobody led, what became of the sessions.

use std::collections::VecDeque;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tenure_replica::ElectionCause;
use tenure_wire::Zxid;

use super::clock::Moment;
use super::query::{AdminClient, AdminQuery};
use super::sessions::Answered;
use crate::limits;

/// One change of the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionReport {
    /// When this server served under the leader, by its wall clock, in milliseconds since the Unix
    /// epoch.
    pub wall_ms: i64,
    /// The epoch that began with it.
    pub epoch: u64,
    /// The leader's number.
    pub leader: u64,
    /// Why this server had none before.
    pub cause: ElectionCause,
    /// How long this server did not serve for lack of one.
    pub leaderless_ms: u64,
    /// Live sessions.
    pub sessions: usize,
    /// Only at the leader, and only once it is known: sessions used since, and sessions that
    /// expired without having been heard since.
    pub settled: Option<(usize, usize)>,
}

/// The latest elections.
#[derive(Debug, Default)]
pub(crate) struct Elections(VecDeque<ElectionReport>);

impl Elections {
    pub(crate) fn push(&mut self, election: ElectionReport) {
        if self.0.len() == limits::ELECTIONS {
            self.0.pop_front();
        }
        self.0.push_back(election);
    }

    pub(crate) fn settled(&mut self, epoch: u64, returned: usize, lost: usize) {
        if let Some(election) = self.0.iter_mut().find(|election| election.epoch == epoch) {
            election.settled = Some((returned, lost));
        }
    }

    /// The latest first.
    pub(crate) fn list(&self) -> Vec<ElectionReport> {
        self.0.iter().rev().cloned().collect()
    }
}

/// The answer to `/elections`.
pub(crate) async fn elections(client: &AdminClient) -> Answered {
    let elections = client.ask(AdminQuery::Elections).await?;
    let shown: Vec<Value> = elections.iter().map(show).collect();
    Some((StatusCode::OK, json!({"elections": shown})))
}

fn show(election: &ElectionReport) -> Value {
    json!({
        "at": Moment::of(election.wall_ms).iso(),
        "epoch": election.epoch,
        "first_zxid": Zxid((election.epoch as i64) << 32).to_string(),
        "leader": election.leader,
        "cause": election.cause.name(),
        "leaderless_ms": election.leaderless_ms,
        "sessions": election.sessions,
        "sessions_returned": election.settled.map(|(returned, _)| returned),
        "sessions_lost": election.settled.map(|(_, lost)| lost),
    })
}
