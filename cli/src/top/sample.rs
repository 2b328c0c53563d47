//! What the members say at one moment.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tenure_client::Tls;

use super::metrics::Metrics;
use crate::session::admin::Admin;

/// How long a member may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// All of them.
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) members: Vec<Member>,
}

/// One member's answers.
pub(super) struct Member {
    pub(super) url: String,
    /// What it says, or why it says nothing.
    pub(super) answers: Result<Answers, String>,
}

pub(super) struct Answers {
    pub(super) status: Value,
    pub(super) metrics: Metrics,
    /// A page of live sessions, or why there is none.
    pub(super) sessions: Result<Value, String>,
    pub(super) ended: Value,
    pub(super) events: Value,
    pub(super) hot: Value,
    /// Packets that came from each connected session, and from where.
    pub(super) packets: BTreeMap<i64, (u64, String)>,
}

impl Sample {
    /// Asks all at the same moment, as nearly as can be.
    pub(super) fn take(urls: &[String], tls: Option<&Tls>) -> Self {
        let members = thread::scope(|scope| {
            let asking: Vec<_> =
                urls.iter().map(|url| scope.spawn(move || ask(url, tls))).collect();
            let joined = asking.into_iter().map(|thread| thread.join());
            let answers = joined.map(|answers| answers.expect("asking does not panic"));
            let named = urls.iter().cloned().zip(answers);
            named.map(|(url, answers)| Member { url, answers }).collect()
        });
        Self { at: Instant::now(), members }
    }

    pub(super) fn answering(&self) -> impl Iterator<Item = &Answers> {
        self.members.iter().filter_map(|member| member.answers.as_ref().ok())
    }

    /// The leader's answers, or those of a server of its own, or else anybody's.
    pub(super) fn leader(&self) -> Option<&Answers> {
        let leads = |answers: &&Answers| {
            matches!(answers.status["state"].as_str(), Some("leader" | "standalone"))
        };
        self.answering().find(leads).or_else(|| self.answering().next())
    }

    /// What all of them counted.
    pub(super) fn metrics(&self) -> Metrics {
        let mut all = Metrics::default();
        self.answering().for_each(|answers| all.add(&answers.metrics));
        all
    }
}

fn ask(url: &str, tls: Option<&Tls>) -> Result<Answers, String> {
    let admin = Admin::with_timeout(url, tls, ANSWER_LIMIT).map_err(|error| error.to_string())?;
    let admin = admin.with_credentials(None);
    let status = admin.get("/status").map_err(|error| error.to_string())?;
    // A member may stop between two questions; what it did not say is missing, no more.
    let get = |path| admin.get(path).unwrap_or_default();
    let metrics = Metrics::parse(&admin.text("/metrics").unwrap_or_default());
    let connections = get("/commands/connections");
    let lists = [&connections["connections"], &connections["secure_connections"]];
    let packets = lists.iter().flat_map(|list| list.as_array().into_iter().flatten());
    let packets = packets.filter_map(|connection| {
        let from = connection["remote_socket_address"].as_str()?.to_owned();
        Some((connection["session_id"].as_i64()?, (connection["packets_received"].as_u64()?, from)))
    });
    let packets = packets.collect();
    let sessions = admin.get("/sessions").map_err(|error| error.to_string());
    let (ended, events, hot) = (get("/sessions/ended"), get("/events"), get("/hot"));
    Ok(Answers { status, metrics, sessions, ended, events, hot, packets })
}
