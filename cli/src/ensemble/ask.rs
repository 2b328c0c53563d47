//! Finds the members of an ensemble and asks each of them.

use std::thread;
use std::time::Duration;

use tenure_client::{Session, Tls};

use super::hosts::{self, Listed};
use super::http;
use crate::four_letter::{self, Srvr, value_of};

/// How long a server may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long the session that reads the configuration may take to begin, and the reading too.
const SESSION_LIMIT: Duration = Duration::from_secs(2);

/// A member and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its number, if anybody told.
    pub(super) id: Option<u64>,
    /// Where clients connect, if anybody told.
    pub(super) address: Option<String>,
    /// Whether the configuration gives it a vote, if it is known.
    pub(super) votes: Option<bool>,
    /// What it says of itself, or why it says nothing.
    pub(super) answer: Result<Srvr, String>,
    /// Live sessions of the whole ensemble as this member knows them, if it tells.
    pub(super) sessions: Option<u64>,
}

/// The members of an ensemble, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Members {
    pub(super) members: Vec<Member>,
    /// How many members vote, by the ensemble's own configuration, if anybody tells.
    pub(super) voters: Option<usize>,
}

/// One server's answers to all questions.
struct Answers {
    address: String,
    srvr: Result<Srvr, String>,
    sessions: Option<u64>,
    id: Option<u64>,
    listed: Option<Vec<Listed>>,
}

/// Asks these servers, learns of the other members from them, and asks those too. `admin` is where
/// their admin HTTP is, if it is not where it usually is. With TLS, others are asked at their ports
/// for it.
pub(super) fn members(given: &[String], admin: Option<&str>, tls: Option<&Tls>) -> Members {
    let mut answers = ask_all(given, tls);
    let told = answers.iter_mut().find_map(|answers| answers.listed.take());
    let told = told.or_else(|| {
        let serving = answers.iter().find(|a| matches!(a.srvr, Ok(Srvr::Serving(_))))?;
        listed_for_clients(&serving.address, tls)
    });
    let runs = answers.iter().any(|answers| answers.srvr.is_ok());
    let configured = || http::configured(&http::urls(admin, given), tls);
    let listed = told.or_else(|| configured().filter(|_| runs));
    let Some(listed) = listed else {
        let members = answers.into_iter().map(|answers| answers.member(None)).collect();
        return Members { members, voters: None };
    };
    let (others, nowhere): (Vec<&Listed>, Vec<&Listed>) = listed
        .iter()
        .filter(|listed| !answers.iter().any(|answers| answers.is_of(listed)))
        .partition(|listed| listed.address.is_some());
    let others: Vec<String> = others.iter().filter_map(|listed| listed.address.clone()).collect();
    answers.extend(ask_all(&others, tls));
    let with_line = |answers: Answers| {
        let line = listed.iter().find(|listed| answers.is_of(listed));
        answers.member(line)
    };
    let mut members: Vec<Member> = answers.into_iter().map(with_line).collect();
    members.extend(nowhere.into_iter().map(|listed| Member {
        id: Some(listed.id),
        address: None,
        votes: Some(listed.votes),
        answer: Err("nobody tells where its clients connect".to_owned()),
        sessions: None,
    }));
    members.sort_by_key(|member| member.id.unwrap_or(u64::MAX));
    let voters = listed.iter().filter(|listed| listed.votes).count();
    Members { members, voters: Some(voters) }
}

impl Answers {
    /// Whether these are the answers of a member. Its number decides, if it told it: an address
    /// may be that of a gate before it.
    fn is_of(&self, listed: &Listed) -> bool {
        match (self.id, &listed.address) {
            (Some(id), _) => id == listed.id,
            (None, Some(address)) => hosts::are_same(address, &self.address),
            (None, None) => false,
        }
    }

    fn member(self, listed: Option<&Listed>) -> Member {
        Member {
            id: self.id.or(listed.map(|listed| listed.id)),
            address: Some(self.address),
            votes: listed.map(|listed| listed.votes),
            answer: self.srvr,
            sessions: self.sessions,
        }
    }
}

/// Asks all at the same moment, as nearly as can be.
fn ask_all(addresses: &[String], tls: Option<&Tls>) -> Vec<Answers> {
    thread::scope(|scope| {
        let asking: Vec<_> =
            addresses.iter().map(|address| scope.spawn(move || ask(address, tls))).collect();
        let joined = asking.into_iter().map(|thread| thread.join());
        joined.map(|answers| answers.expect("asking does not panic")).collect()
    })
}

fn ask(address: &str, tls: Option<&Tls>) -> Answers {
    let srvr = Srvr::of(address, tls, ANSWER_LIMIT).map_err(|error| error.to_string());
    // A server that serves nobody answers nothing else, and one that is not there is not tried
    // again.
    let more = |word| match srvr {
        Ok(Srvr::Serving(_)) => {
            four_letter::ask(address, tls, word, ANSWER_LIMIT).unwrap_or_default()
        }
        _ => String::new(),
    };
    let (mntr, conf) = (more("mntr"), more("conf"));
    let sessions = value_of(&mntr, "zk_global_sessions", "\t");
    // A server of its own has no number.
    let id = value_of(&conf, "serverId", "=").and_then(|id| id.parse().ok()).filter(|id| *id != 0);
    Answers {
        address: address.to_owned(),
        sessions: sessions.and_then(|sessions| sessions.parse().ok()),
        id,
        listed: hosts::listed(&conf, hosts::port_of(address), tls.is_some()),
        srvr,
    }
}

/// The members as clients see them, in a znode that everybody may read. Nothing if the server does
/// not tell, or has not within the limit.
fn listed_for_clients(address: &str, tls: Option<&Tls>) -> Option<Vec<Listed>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().ok()?;
    runtime.block_on(async {
        let builder = Session::builder(address).establish_timeout(SESSION_LIMIT);
        // A member without a leader knows the configuration too.
        let builder = builder.request_timeout(SESSION_LIMIT).read_only(true);
        let builder = match tls {
            Some(tls) => builder.tls(tls.clone()),
            None => builder,
        };
        let session = builder.establish().await.ok()?;
        let node = session.config().await;
        // It would expire otherwise.
        let _ = tokio::time::timeout(SESSION_LIMIT, session.close()).await;
        let text = String::from_utf8_lossy(&node.ok()?.data).into_owned();
        hosts::listed(&text, hosts::port_of(address), tls.is_some())
    })
}
