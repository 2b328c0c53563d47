//! A member that is too far behind goes on from another one's snapshot.
//!
//! The snapshot travels beside the messages of the ensemble, and is durable here before the replica
//! hears of it. Consensus then decides whether the log goes on behind it: a state that is
//! reached by the log already is not needed.

use crate::config::Config;
use crate::consensus::Members;
use crate::input::Now;
use crate::output::{CloseWhy, Output, Outputs, SnapshotMeta};
use crate::replica::{Replica, SinceSnapshot};
use crate::requests::close;
use crate::state::State;

/// What another member has sent.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) meta: SnapshotMeta,
    pub(crate) state: Box<State>,
}

impl Config {
    /// The members of an ensemble that has stored nothing.
    pub(crate) fn first_members(&self) -> Members {
        Members::new(&self.voters, &self.observers)
    }

    /// The members that count after a snapshot.
    pub(crate) fn members(&self, meta: &SnapshotMeta) -> Members {
        let stored = if self.members_are_fixed { None } else { Members::decode(&meta.members) };
        stored.unwrap_or_else(|| self.first_members())
    }
}

impl Replica {
    /// Lets consensus judge a received snapshot, once there is a leader that it can be counted
    /// with. Returns whether that was done. One that comes too late is judged as well: the leader
    /// would not have sent it, had it heard how far this member is, and the answer says so.
    pub(crate) fn offer_received(&mut self) -> bool {
        let Some(Received { meta, .. }) = &self.received else { return false };
        if self.consensus.leader() == 0 {
            return false;
        }
        if !self.consensus.is_leader() {
            let members = self.config.members(meta);
            self.consensus.offer_snapshot(meta.index, meta.term, members);
        }
        true
    }

    /// Consensus has taken the snapshot: its state is this replica's from now on.
    pub(crate) fn install_received(&mut self, now: Now, out: &mut Outputs) {
        let Some(Received { meta, state }) = self.received.take() else { return };
        // They have not seen what happened meanwhile; coming back they are told of it.
        self.serving = false;
        for conn in self.attachments.conns() {
            self.let_go(conn, Some(CloseWhy::NotServing), out);
            close(conn, CloseWhy::NotServing, out);
        }
        self.to_apply.clear();
        self.closing = None;
        if self.capture.take().is_some() {
            out.items.push(Output::SnapshotAbandon);
        }
        self.since_snapshot = SinceSnapshot::default();
        self.state = *state;
        self.links_changed = true;
        out.items.push(Output::LogRestart { after: meta.index });
        self.serve_when_caught_up(now, out);
    }
}
