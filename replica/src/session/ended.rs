//! Why a session ended: replicated, bounded, readable.

use std::collections::VecDeque;
use std::fmt;

use tenure_wire::{Account, EndedBy, SessionId, Zxid};

use crate::limits;

/// Who ended a session, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client sent closeSession.
    ClosedByClient,
    /// Nothing was heard from the client for its timeout.
    Expired {
        /// How long it had been silent when the leader gave it up.
        silent_ms: u64,
    },
    /// An operator closed it.
    ClosedByOperator,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndReason::ClosedByClient => write!(f, "closed by its client"),
            EndReason::Expired { silent_ms } => {
                write!(f, "expired: nothing heard from its client for {silent_ms} ms")
            }
            EndReason::ClosedByOperator => write!(f, "closed by an operator"),
        }
    }
}

/// A session that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub session: SessionId,
    /// Who ended it, and why.
    pub reason: EndReason,
    /// The longest timeout ever negotiated for it.
    pub timeout_ms: u32,
    /// Leader's wall clock when it was established.
    pub opened_ms: i64,
    /// Leader's wall clock when its end was proposed.
    pub ended_ms: i64,
    /// The change that ended it and deleted its ephemerals.
    pub zxid: Zxid,
    /// How many ephemerals went with it.
    pub ephemerals: u32,
    /// The first few of their paths.
    pub paths: Vec<String>,
}

impl Ended {
    /// What the client is told that asks for the session.
    pub(crate) fn account(&self) -> Account {
        let (by, silent_ms) = match self.reason {
            EndReason::ClosedByClient => (EndedBy::Client, None),
            EndReason::Expired { silent_ms } => (EndedBy::Expiry, i64::try_from(silent_ms).ok()),
            EndReason::ClosedByOperator => (EndedBy::Operator, None),
        };
        let explanation = Some(self.reason.to_string());
        Account { by, ended_at_ms: self.ended_ms, silent_ms, explanation }
    }
}

/// The sessions that ended last, oldest first.
#[derive(Clone, Debug, Default)]
pub struct EndedSessions {
    ended: VecDeque<Ended>,
}

impl EndedSessions {
    pub(crate) fn push(&mut self, ended: Ended) {
        if self.ended.len() == limits::ENDED_SESSIONS {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
    }

    /// From the one that ended longest ago to the latest.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Ended> {
        self.ended.iter()
    }

    /// How this session ended, if it is still remembered.
    pub fn get(&self, session: SessionId) -> Option<&Ended> {
        self.ended.iter().rev().find(|ended| ended.session == session)
    }
}
