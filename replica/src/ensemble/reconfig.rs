//! The leader brings the ensemble to the members that it shall have: those in `/zookeeper/config`,
//! or those that a reconfig asks for.
//!
//! Who joins observes first. Once a majority of the voters wanted has what the others have,
//! consensus goes over to them; if that takes too long the change is given up. Every step is an
//! entry of the log, so whoever leads next goes on from there.

use tenure_wire::MemberRole;

use crate::entry::{LoggedEntry, Operation};
use crate::input::Now;
use crate::limits;
use crate::membership::{Membership, version};
use crate::output::LogEntry;
use crate::replica::Replica;

/// What this leader has done for the members.
#[derive(Debug, Default)]
pub(crate) struct Reconfigurer {
    /// Nothing more until this log index is applied: a step is under way.
    waits_for: u64,
    /// The reconfig that it works on, by its log index, and when it began to.
    working_on: Option<(u64, u64)>,
}

/// The ensemble's id in a log whose entries may not all be committed: a member that starts has to
/// know to whom it belongs before it hears anybody. The last entry of all says nothing yet: an
/// election may have replaced it.
pub(crate) fn cluster_in(entries: &[LogEntry]) -> u64 {
    let followed = &entries[..entries.len().saturating_sub(1)];
    let mut ids = followed.iter().filter_map(|entry| {
        match LoggedEntry::decode(&entry.data).ok()?.operation {
            Operation::NameCluster { id } => Some(id),
            _ => None,
        }
    });
    ids.next().unwrap_or(0)
}

impl Replica {
    /// Who belongs to the ensemble, or is to: whom to have links with. Nobody for a server by
    /// itself.
    pub(crate) fn linked_members(&self) -> Membership {
        let stored = if self.config.members_are_fixed {
            Membership::default()
        } else {
            self.state.members()
        };
        let members = if stored.is_empty() { self.config.members.clone() } else { stored };
        match &self.state.reconfiguring {
            Some(reconfiguring) => members.with(&reconfiguring.target),
            None => members,
        }
    }

    /// Zxid of the change that made the members what they are here; 0 if they cannot change.
    pub(crate) fn members_version(&self) -> u64 {
        let can_change = !self.config.members_are_fixed;
        if can_change { version(&self.state.config_text()) as u64 } else { 0 }
    }

    /// Leader: takes the next step, if one is due.
    pub(crate) fn go_on_reconfiguring(&mut self, now: Now) {
        let (applied, _) = self.state.applied;
        let is_ready = self.serving && self.consensus.is_leader() && self.to_apply.is_empty();
        if !is_ready || applied < self.reconfigurer.waits_for {
            return;
        }
        let is_alone = self.config.members.is_empty();
        let stored = self.state.members();
        if !is_alone && self.must_write_members(&stored) {
            let members = self.config.members.clone();
            self.propose_step(Operation::SetMembers { members }, now);
        } else if self.state.cluster == 0 {
            // 0 stands for none. A server by itself has a name too: as a member of an ensemble
            // some day, it must not pass for one without a history.
            let id = self.config.incarnation.max(1);
            self.propose_step(Operation::NameCluster { id }, now);
        } else if !is_alone
            && !self.config.members_are_fixed
            && !self.consensus.is_changing_members()
        {
            self.next_step(&stored, now);
        }
    }

    fn must_write_members(&self, stored: &Membership) -> bool {
        let roles = |members: &Membership| {
            (members.with_role(MemberRole::Participant), members.with_role(MemberRole::Observer))
        };
        let differ = roles(stored) != roles(&self.config.members);
        stored.is_empty() || self.config.members_are_fixed && differ
    }

    fn next_step(&mut self, stored: &Membership, now: Now) {
        let asked = self.state.reconfiguring.as_deref();
        let asked = asked.map(|asked| (asked.since, asked.target.clone()));
        let (since, target) = match &asked {
            Some((since, target)) => (*since, target),
            None => (0, stored),
        };
        let voters = target.with_role(MemberRole::Participant);
        let observers = target.with_role(MemberRole::Observer);
        let (present_voters, mut present_observers) =
            (self.consensus.voters().to_vec(), self.consensus.observers().to_vec());
        let is_new = |id: &u64| !present_voters.contains(id) && !present_observers.contains(id);
        let joining: Vec<u64> = voters.iter().chain(&observers).copied().filter(is_new).collect();
        if !joining.is_empty() {
            present_observers.extend(joining);
            return self.propose_members(&present_voters, &present_observers);
        }
        let same = |one: &[u64], other: &[u64]| {
            one.len() == other.len() && one.iter().all(|id| other.contains(id))
        };
        if same(&voters, &present_voters) && same(&observers, &present_observers) {
            if asked.is_some() {
                self.propose_step(Operation::EndReconfig { is_made: true }, now);
            }
            return;
        }
        let in_sync: Vec<u64> =
            voters.iter().copied().filter(|id| self.consensus.is_in_sync(*id, since)).collect();
        if in_sync.len() * 2 <= voters.len() {
            return self.give_up_in_time(since, now);
        }
        if voters.contains(&self.config.id) {
            return self.propose_members(&voters, &observers);
        }
        // Who leads must stay: another one goes on with this.
        match in_sync.iter().find(|id| present_voters.contains(id)) {
            Some(next) => self.consensus.hand_over_to(*next),
            // Nobody who votes stays. Only a voter can take over, so all of them vote for a while.
            None => {
                let all = present_voters.iter().chain(&voters).copied().collect::<Vec<_>>();
                let rest = observers.iter().chain(&present_observers).copied();
                let mut rest: Vec<_> = rest.filter(|id| !all.contains(id)).collect();
                rest.sort_unstable();
                rest.dedup();
                self.propose_members(&all, &rest);
            }
        }
    }

    fn give_up_in_time(&mut self, since: u64, now: Now) {
        let (_, began_us) = *self.reconfigurer.working_on.get_or_insert((since, now.mono_us));
        if self.reconfigurer.working_on != Some((since, began_us)) {
            self.reconfigurer.working_on = Some((since, now.mono_us));
        } else if now.mono_us - began_us >= limits::RECONFIG_PATIENCE_US
            && self.state.reconfiguring.is_some()
        {
            self.propose_step(Operation::EndReconfig { is_made: false }, now);
        }
    }

    fn propose_members(&mut self, voters: &[u64], observers: &[u64]) {
        if self.consensus.propose_members(voters, observers) {
            self.reconfigurer.waits_for = self.consensus.last_index();
        }
    }

    fn propose_step(&mut self, operation: Operation<'_>, now: Now) {
        self.propose(operation, now);
        self.reconfigurer.waits_for = self.last_proposed();
    }
}
