//! A member that has forgotten what it promised: its disk is empty, or holds just the state that
//! the ensemble began with, and the ensemble is not new.
//!
//! The others may count on what it had, and on votes it gave. So it takes no part in anything
//! before every other voter has told it its term: whatever it promised to somebody who was
//! elected, or may still be, happened in one of those or before. From then on it follows leaders of
//! no earlier term. It still neither votes nor stands for election until it has everything that
//! such a leader had committed when it asked: with another member that lags it could make a
//! majority that knows less than was acknowledged. That all of this is still to come is part of its
//! hard state, so that it survives a restart half way.

use std::collections::BTreeMap;

use raft::eraftpb::{Message, MessageType};

use super::{Consensus, ELECTION_TICKS};
use crate::founding::BEGINNING;

/// How far a member is from being a full one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its vote counts.
    Full,
    /// It asks the other voters for their terms, and hears nothing else. What they have answered.
    Asking(BTreeMap<u64, Answer>),
    /// It follows, and lacks what it may have confirmed once. With the log index that it must
    /// reach, once a leader has said it.
    CatchingUp(Option<u64>),
}

/// What another member says to one that has forgotten everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its term.
    pub(crate) term: u64,
    /// Whether the one who asks has a vote, as far as it knows.
    pub(crate) votes: bool,
}

/// Ticks between questions to the leader.
const ASKS_EVERY: usize = 10;

/// Tells the answer from those to rounds of asking for leadership.
pub(super) const QUESTION: &[u8] = b"committed?";

impl Consensus {
    pub(crate) fn is_catching_up(&self) -> bool {
        self.standing != Standing::Full
    }

    /// It begins to catch up, at whatever stage is the first for it.
    pub(super) fn begin_catching_up(&mut self) {
        // The confirmations of one that has no vote never counted.
        let votes = self.voters().contains(&self.raw.raft.id);
        self.standing =
            if votes { Standing::Asking(BTreeMap::new()) } else { Standing::CatchingUp(None) };
    }

    /// The voters that are to be asked for their terms now.
    pub(crate) fn to_ask(&self) -> Vec<u64> {
        let Standing::Asking(answers) = &self.standing else { return Vec::new() };
        let is_missing = |id: &u64| *id != self.raw.raft.id && !answers.contains_key(id);
        self.voters().iter().copied().filter(is_missing).collect()
    }

    /// What this member answers to such a question.
    pub(crate) fn answer(&self, asker: u64) -> Answer {
        let members = self.raw.store().conf_state();
        let votes =
            members.get_voters().contains(&asker) || members.get_voters_outgoing().contains(&asker);
        Answer { term: self.term(), votes }
    }

    /// Another voter has answered.
    pub(crate) fn answered(&mut self, member: u64, answer: Answer) {
        let Standing::Asking(answers) = &mut self.standing else { return };
        answers.insert(member, answer);
        // Who is about to join, and is no voter yet to anybody, has promised nothing.
        let joins = answers.values().all(|answer| !answer.votes);
        let term = answers.values().fold(self.raw.raft.term, |term, answer| term.max(answer.term));
        if joins || self.to_ask().is_empty() {
            self.standing = Standing::CatchingUp(None);
            self.raw.raft.become_follower(term, raft::INVALID_ID);
            self.settle_timeout();
        }
    }

    /// Whether nothing is known here of anything after the history's beginning: that of an empty
    /// folder, or of one made from a state from elsewhere.
    fn has_only_begun(&self) -> bool {
        let last = self.last_index();
        last <= BEGINNING.0 && last == self.raw.store().before()
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
        let is_blank = self.has_only_begun() && !self.is_complete;
        if known > self.last_index() && is_blank && self.standing == Standing::Full {
            self.begin_catching_up();
        }
        match self.standing {
            Standing::Full => false,
            Standing::Asking(_) => true,
            Standing::CatchingUp(_) => matches!(
                kind,
                MessageType::MsgRequestVote
                    | MessageType::MsgRequestPreVote
                    | MessageType::MsgTimeoutNow
            ),
        }
    }

    /// One tick of a member that does not stand for election: it notices all the same when its
    /// leader is silent. One that is catching up asks the leader how far it has to.
    pub(super) fn tick_bystander(&mut self) {
        let follows = matches!(self.standing, Standing::CatchingUp(_));
        let stands = !self.is_catching_up();
        let raft = &mut self.raw.raft;
        if !(stands && raft.promotable()) && raft.election_elapsed >= 2 * ELECTION_TICKS {
            raft.leader_id = raft::INVALID_ID;
        }
        if follows && raft.leader_id != raft::INVALID_ID {
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
