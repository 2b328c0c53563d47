//! How long followers take to confirm what their leader proposes. Of each follower one entry is
//! watched at a time, so that it costs next to nothing under load.

use raft::ProgressState;

use super::Consensus;

/// A follower confirmed an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The follower.
    pub member: u64,
    /// From the turn in which the leader proposed the entry to the one in which it heard of this.
    pub took_us: u64,
}

/// The entries that are watched.
#[derive(Debug, Default)]
pub(super) struct AckWatch {
    /// The end of the log when this was last looked at.
    seen: u64,
    /// At most one for each voter.
    awaited: Vec<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    member: u64,
    index: u64,
    proposed_us: u64,
}

impl Consensus {
    /// Leader: adds what was confirmed since the last call to `acks`, and watches the newest entry
    /// for those of whom none is watched. Call it in the turn in which entries were proposed.
    pub(crate) fn note_acks(&mut self, now_us: u64, acks: &mut Vec<Ack>) {
        if !self.is_leader() {
            self.acks = AckWatch::default();
            return;
        }
        let (own, last) = (self.raw.raft.id, self.last_index());
        let Consensus { raw, acks: AckWatch { seen, awaited }, .. } = self;
        let has_grown = std::mem::replace(seen, last) < last;
        // Who lags too far for it to be sent entries does not answer to them either.
        let matched = |member| {
            let progress = raw.raft.prs().get(member)?;
            (progress.state == ProgressState::Replicate).then_some(progress.matched)
        };
        awaited.retain(|&Awaited { member, index, proposed_us }| match matched(member) {
            Some(matched) if matched >= index => {
                acks.push(Ack { member, took_us: now_us.saturating_sub(proposed_us) });
                false
            }
            Some(_) => true,
            None => false,
        });
        if !has_grown {
            return;
        }
        let voters = raw.store().conf_state().get_voters();
        for &member in voters.iter().filter(|voter| **voter != own) {
            let is_watched = awaited.iter().any(|awaited| awaited.member == member);
            if !is_watched && matched(member).is_some_and(|matched| matched < last) {
                awaited.push(Awaited { member, index: last, proposed_us: now_us });
            }
        }
    }
}
