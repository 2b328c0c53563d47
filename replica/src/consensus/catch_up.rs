//! A member that has forgotten what it confirmed: its disk is empty, and the ensemble is not new.
//!
//! The others may count on what it had. Until it has everything that a leader had committed when
//! it asked, it must neither vote nor stand for election: with another member that lags it could
//! make a majority that knows less than was acknowledged. That it may not is part of its hard
//! state, so that it survives a restart half way.

use raft::eraftpb::{Message, MessageType};

use super::{Consensus, ELECTION_TICKS};

/// How far a member is from being a full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its vote counts.
    Full,
    /// It lacks what it may have confirmed once. With the log index that it must reach, once a
    /// leader has said it.
    CatchingUp(Option<u64>),
}

/// The entry that the first leader of all begins its term with. It holds nothing that anybody was
/// told of, so whoever has only this one may be as new as one that has nothing.
const FIRST_ENTRY: u64 = 1;

/// Ticks between questions to the leader.
const ASKS_EVERY: usize = 10;

/// Tells the answer from those to rounds of asking for leadership.
pub(super) const QUESTION: &[u8] = b"committed?";

impl Consensus {
    pub(crate) fn is_catching_up(&self) -> bool {
        matches!(self.standing, Standing::CatchingUp(_))
    }

    /// Whether a message must be dropped, because this member may not have a say yet.
    pub(super) fn must_not_hear(&mut self, message: &Message) -> bool {
        let kind = message.get_msg_type();
        let known = match kind {
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => message.index,
            MessageType::MsgAppend => message.index.max(message.commit),
            MessageType::MsgHeartbeat => message.commit,
            _ => 0,
        };
        if known > FIRST_ENTRY && self.last_index() == 0 && !self.is_complete {
            self.standing = Standing::CatchingUp(None);
        }
        let asks_for_a_say = matches!(
            kind,
            MessageType::MsgRequestVote
                | MessageType::MsgRequestPreVote
                | MessageType::MsgTimeoutNow
        );
        asks_for_a_say && self.is_catching_up()
    }

    /// One tick of a member that does not stand for election: it notices all the same when its
    /// leader is silent. One that is catching up asks the leader how far it has to.
    pub(super) fn tick_bystander(&mut self) {
        let is_catching_up = self.is_catching_up();
        let raft = &mut self.raw.raft;
        let stands = raft.promotable() && !is_catching_up;
        if !stands && raft.election_elapsed >= 2 * ELECTION_TICKS {
            raft.leader_id = raft::INVALID_ID;
        }
        if is_catching_up && raft.leader_id != raft::INVALID_ID {
            self.ticks_catching_up += 1;
            if self.ticks_catching_up % ASKS_EVERY == 1 {
                self.raw.read_index(QUESTION.to_vec());
            }
        }
    }

    /// The leader had committed this much when it was asked.
    pub(super) fn must_reach(&mut self, index: u64) {
        if self.standing == Standing::CatchingUp(None) {
            self.standing = Standing::CatchingUp(Some(index));
        }
    }

    /// It may have caught up.
    pub(super) fn settle_standing(&mut self) {
        if let Standing::CatchingUp(Some(index)) = self.standing
            && index <= self.last_index()
        {
            self.standing = Standing::Full;
            self.settle_timeout();
        }
    }
}
