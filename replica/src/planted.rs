//! Mistakes that can be planted in a replica, to see that the tests which should find them do.
//!
//! They exist under the feature `planted-bugs` alone, which nothing but the simulator asks for;
//! without it every function below is a constant when it is compiled.

use tenure_wire::SessionId;

use crate::replica::Replica;
use crate::session::ended::EndReason;
use crate::state::State;
use crate::tree::node::{Node, NodeId};

/// A mistake that a server could make.
#[cfg_attr(
    not(feature = "planted-bugs"),
    expect(dead_code, unreachable_pub, reason = "not planted")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// A leader takes for granted that it still leads, and asks no quorum.
    ConfirmsAlone,
    /// A voter does not remember for whom it has voted.
    ForgetsVotes,
    /// Whoever has led once ends sessions by its own clock for ever.
    ExpiresWithoutLeading,
    /// A new leader does not give every session its full timeout.
    ShortensAfterElection,
    /// A leader does not count the touches that other members report.
    LosesTouches,
    /// The number of a sequential znode is that of its parent's children.
    ReusesNumbers,
    /// A session that expired is said to have been closed by an operator.
    MistakesReasons,
    /// One ephemeral znode stays when its session ends.
    KeepsAnEphemeral,
    /// Any password will do to resume a session.
    TakesAnyPassword,
    /// Reads do not wait for the writes of their session.
    ReadsOvertakeWrites,
    /// A follower answers a sync at once, without asking how far the log goes.
    SyncsAlone,
}

#[cfg(feature = "planted-bugs")]
impl Replica {
    /// Plants a mistake, which the state of a received snapshot takes away again.
    pub fn plant(&mut self, bug: PlantedBug) {
        self.state.planted = Some(bug);
    }

    pub(crate) fn has(&self, bug: PlantedBug) -> bool {
        self.state.has(bug)
    }

    /// Leadership is confirmed in a round that has just begun.
    pub(crate) fn confirm_if_planted(&mut self, round: i64) {
        if self.has(PlantedBug::ConfirmsAlone) {
            self.consensus.confirm_unasked(round);
        }
    }

    pub(crate) fn forget_vote_if_planted(&mut self) {
        if self.has(PlantedBug::ForgetsVotes) {
            self.consensus.forget_vote();
        }
    }

    /// What is left of every timeout with a new leader: one so many-th.
    pub(crate) fn share_after_election(&self) -> u32 {
        if self.has(PlantedBug::ShortensAfterElection) { 4 } else { 1 }
    }

    /// Why a session ends that was silent for so long.
    pub(crate) fn reason_of_expiry(&self, silent_ms: u64) -> EndReason {
        match self.has(PlantedBug::MistakesReasons) {
            true => EndReason::ClosedByOperator,
            false => EndReason::Expired { silent_ms },
        }
    }

    /// Another member's client was heard.
    pub(crate) fn touch_from_afar(&mut self, session: SessionId, mono_us: u64) -> bool {
        match self.has(PlantedBug::LosesTouches) {
            true => self.expiry.left_ms(session).is_some(),
            false => self.expiry.touch(session, mono_us),
        }
    }
}

#[cfg(feature = "planted-bugs")]
impl State {
    fn has(&self, bug: PlantedBug) -> bool {
        self.planted == Some(bug)
    }

    /// The number of the next sequential znode below a parent.
    pub(crate) fn next_number(&self, parent: &Node) -> i32 {
        match self.has(PlantedBug::ReusesNumbers) {
            true => parent.children,
            false => parent.created_children,
        }
    }

    pub(crate) fn keep_one_if_planted(&self, ephemerals: &mut Vec<NodeId>) {
        if self.has(PlantedBug::KeepsAnEphemeral) {
            ephemerals.pop();
        }
    }
}

#[cfg(not(feature = "planted-bugs"))]
impl Replica {
    pub(crate) const fn has(&self, _: PlantedBug) -> bool {
        false
    }

    pub(crate) const fn confirm_if_planted(&mut self, _: i64) {}

    pub(crate) const fn forget_vote_if_planted(&mut self) {}

    pub(crate) const fn share_after_election(&self) -> u32 {
        1
    }

    /// Why a session ends that was silent for so long.
    pub(crate) const fn reason_of_expiry(&self, silent_ms: u64) -> EndReason {
        EndReason::Expired { silent_ms }
    }

    /// Another member's client was heard.
    pub(crate) fn touch_from_afar(&mut self, session: SessionId, mono_us: u64) -> bool {
        self.expiry.touch(session, mono_us)
    }
}

#[cfg(not(feature = "planted-bugs"))]
impl State {
    /// The number of the next sequential znode below a parent.
    pub(crate) const fn next_number(&self, parent: &Node) -> i32 {
        parent.created_children
    }

    pub(crate) const fn keep_one_if_planted(&self, _: &mut Vec<NodeId>) {}
}
