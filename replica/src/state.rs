//! The replicated state: what a log, applied from its start, makes on every replica alike.

use tenure_wire::{SessionId, Zxid};

use crate::apply::reconfig::Reconfiguring;
use crate::session::ended::EndedSessions;
use crate::session::table::SessionTable;
use crate::tree::Tree;
use crate::tree::quota::QuotaTree;

/// Tree, sessions, and how far the log was applied.
#[derive(Debug)]
pub struct State {
    /// Every znode.
    pub tree: Tree,
    /// Every live session.
    pub sessions: SessionTable,
    /// Why the latest sessions ended.
    pub ended: EndedSessions,
    /// Limits and use of subtrees that have a quota.
    pub(crate) quotas: QuotaTree,
    /// The last change made.
    pub(crate) zxid: Zxid,
    /// The change being made now: its notifications carry it.
    pub(crate) applying: Zxid,
    /// Difference between the epoch of zxids and raft's term: grows when a counter runs out, and
    /// starts above zero for an imported history.
    pub(crate) epochs_ahead: u32,
    /// The last session id handed out, without its top byte.
    pub(crate) last_session: u64,
    /// Index and term of the last entry applied.
    pub(crate) applied: (u64, u64),
    /// A change of the members that was asked for and not made yet.
    pub(crate) reconfiguring: Option<Box<Reconfiguring>>,
    /// The ensemble's id, which its first leader gave it; 0 before.
    pub(crate) cluster: u64,
    #[cfg(feature = "planted-bugs")]
    pub(crate) planted: Option<crate::planted::PlantedBug>,
}

/// The low 56 bits of a session id; the top byte is the server that opened it (reference 2.1).
const SESSION_BITS: u64 = (1 << 56) - 1;

impl State {
    /// The state before the first entry.
    pub(crate) fn new(hash_seed: u64) -> Self {
        State {
            tree: Tree::new(hash_seed),
            sessions: SessionTable::new(),
            ended: EndedSessions::default(),
            quotas: QuotaTree::new(),
            zxid: Zxid(0),
            applying: Zxid(0),
            epochs_ahead: 0,
            last_session: 0,
            applied: (0, 0),
            reconfiguring: None,
            cluster: 0,
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }

    /// The zxid of the next change, in a log term.
    pub(crate) fn next_zxid(&mut self, term: u64) -> Zxid {
        let epoch = (term as u32).saturating_add(self.epochs_ahead);
        if epoch > self.zxid.epoch() {
            return Zxid::new(epoch, 1);
        }
        let counter = self.zxid.counter();
        if counter < u32::MAX {
            return Zxid::new(self.zxid.epoch(), counter + 1);
        }
        // The counter ran out within one term: go on in the next epoch, without an election.
        self.epochs_ahead += 1;
        Zxid::new(self.zxid.epoch() + 1, 1)
    }

    /// A session of this id is there: later ones get higher numbers.
    pub(crate) fn note_session_id(&mut self, id: SessionId) {
        self.last_session = self.last_session.max(id.0 as u64 & SESSION_BITS);
    }

    /// The number in the id of the last session, or if there was none, of one that began now.
    pub(crate) fn session_number(&self, time_ms: i64) -> u64 {
        match self.last_session {
            0 => ((time_ms as u64) << 16) & SESSION_BITS,
            last => last,
        }
    }

    /// A session id never used before. Starts from the clock, so that ids look like everybody
    /// else's, but comes from replicated state, so that none is used twice (trap 54).
    pub(crate) fn next_session(&mut self, server: u8, time_ms: i64) -> SessionId {
        self.last_session = (self.session_number(time_ms) + 1) & SESSION_BITS;
        SessionId((u64::from(server) << 56 | self.last_session) as i64)
    }
}
