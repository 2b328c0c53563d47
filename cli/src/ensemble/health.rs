//! Whether an ensemble is well, judged by what its members say.

use tenure_client::Tls;

use super::ask::{Member, Members};
use super::http::{self, Election};
use crate::four_letter::{Role, Serving, Srvr};

/// The members and what follows from their answers.
pub(super) struct Health {
    pub(super) members: Vec<Member>,
    /// Which of them leads.
    pub(super) leader: Option<usize>,
    /// How many members vote, as far as is known.
    pub(super) voters: usize,
    /// How many of these serve.
    pub(super) serving: usize,
    /// There may be members that were not asked, or could not be.
    pub(super) is_incomplete: bool,
    /// How the leader came to lead, if anybody tells.
    pub(super) election: Option<Election>,
}

/// What all answers together mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every member serves.
    Healthy,
    /// A leader and a quorum serve, but not every member.
    Degraded,
    /// Writes are not possible, as far as can be seen.
    NoQuorum,
}

/// How far a member is behind the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lag {
    /// So many changes, at about the same moment.
    Changes(u64),
    /// Its last change is of an earlier epoch. How many followed, nobody can tell from outside.
    Epoch,
}

impl Health {
    pub(super) fn of(Members { members, voters }: Members) -> Self {
        let leads = |n: &usize| role(&members[*n]) == Some(Role::Leader);
        // One that was replaced may not know it yet; the newest is the leader.
        let leader = (0..members.len()).filter(leads).max_by_key(|n| zxid(&members[*n]));
        // Who is not listed may vote, unless it says that it does not.
        let may_vote = |member: &&Member| match member.votes {
            Some(votes) => votes,
            None => role(member) != Some(Role::Observer),
        };
        let serves = |member: &&Member| {
            let role = role(member);
            matches!(role, Some(Role::Leader | Role::Follower | Role::Standalone))
        };
        let voting: Vec<&Member> = members.iter().filter(may_vote).collect();
        let serving = voting.iter().copied().filter(serves).count();
        let is_alone = members.len() == 1 && role(&members[0]) == Some(Role::Standalone);
        let were_asked = voting.iter().filter(|member| member.address.is_some()).count();
        Self {
            leader,
            serving,
            is_incomplete: voters.map_or(!is_alone, |voters| were_asked < voters),
            voters: voters.unwrap_or(voting.len()),
            members,
            election: None,
        }
    }

    /// Asks admin HTTP how the present leader came to lead.
    pub(super) fn last_election(&self, admin: Option<&str>, tls: Option<&Tls>) -> Option<Election> {
        let leader = &self.members[self.leader?];
        let serving = self.members.iter().filter(|member| serves(member));
        let servers: Vec<String> = serving.filter_map(|member| member.address.clone()).collect();
        // An epoch without a change so far does not show in the zxid.
        let urls = http::urls(admin, &servers);
        http::last_election(&urls, tls, leader.id, epoch(zxid(leader)?))
    }

    /// How many voting members make a quorum.
    pub(super) fn needed(&self) -> usize {
        self.voters / 2 + 1
    }

    /// Whether there is a leader, and a quorum that serves. A server of its own is both.
    pub(super) fn has_quorum(&self) -> bool {
        let is_led = self.leader.is_some() || self.is_alone();
        is_led && self.serving >= self.needed()
    }

    pub(super) fn verdict(&self) -> Verdict {
        let all_serve = self.members.iter().all(serves);
        match self.has_quorum() {
            false => Verdict::NoQuorum,
            true if all_serve && self.serving == self.voters => Verdict::Healthy,
            true => Verdict::Degraded,
        }
    }

    /// Whether this is one server that is no member of an ensemble.
    pub(super) fn is_alone(&self) -> bool {
        self.members.len() == 1 && role(&self.members[0]) == Some(Role::Standalone)
    }

    /// How far a member is behind. Nothing if it does not serve, nobody leads, or the leader's
    /// epoch has seen no change yet by which followers could be told apart.
    pub(super) fn lag(&self, member: &Member) -> Option<Lag> {
        let newest = zxid(&self.members[self.leader?])?;
        let own = zxid(member)?;
        // One that was asked a moment later may be ahead.
        let behind = u64::try_from(newest.saturating_sub(own)).unwrap_or(0);
        let is_epoch_new = newest & 0xffff_ffff == 0;
        match epoch(newest) == epoch(own) || behind == 0 {
            true => Some(Lag::Changes(behind)),
            false if is_epoch_new => None,
            false => Some(Lag::Epoch),
        }
    }
}

/// What a member tells of itself while it serves.
pub(super) fn report(member: &Member) -> Option<&Serving> {
    match &member.answer {
        Ok(Srvr::Serving(serving)) => Some(serving),
        _ => None,
    }
}

/// Whether a member serves reads and writes. One that is read-only answers old reads alone.
pub(super) fn serves(member: &Member) -> bool {
    role(member).is_some_and(|role| role != Role::ReadOnly)
}

/// The high half of a zxid.
pub(super) fn epoch(zxid: i64) -> i64 {
    zxid >> 32
}

fn role(member: &Member) -> Option<Role> {
    report(member).map(|serving| serving.role)
}

fn zxid(member: &Member) -> Option<i64> {
    report(member).map(|serving| serving.zxid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: Role, zxid: i64) -> Member {
        let answer = Ok(Srvr::Serving(Serving { role, zxid, connections: 1 }));
        Member { id: None, address: Some("a:1".to_owned()), votes: None, answer, sessions: None }
    }

    fn gone() -> Member {
        let answer = Err("Connection refused".to_owned());
        Member { answer, ..member(Role::Follower, 0) }
    }

    fn health(members: Vec<Member>, voters: Option<usize>) -> Health {
        Health::of(Members { members, voters })
    }

    #[test]
    fn a_leader_and_a_quorum_are_health() {
        let (leader, follower) = (member(Role::Leader, 9), member(Role::Follower, 9));
        let observer = member(Role::Observer, 9);
        for (members, voters, has_quorum) in [
            (vec![leader.clone(), follower.clone(), gone()], None, true),
            (vec![leader.clone(), gone(), gone()], None, false),
            (vec![follower.clone(), follower.clone(), gone()], None, false),
            // Not all were asked.
            (vec![leader.clone(), follower.clone()], Some(3), true),
            (vec![leader.clone(), follower.clone()], Some(5), false),
            // Observers make no quorum, and need none.
            (vec![leader.clone(), observer.clone(), gone()], None, false),
            (vec![leader.clone(), follower.clone(), observer, gone()], Some(3), true),
            (vec![member(Role::Standalone, 9)], None, true),
            (vec![member(Role::Standalone, 9), member(Role::Standalone, 9)], None, false),
            (vec![gone()], None, false),
        ] {
            let shown = format!("{members:?}");
            assert_eq!(health(members, voters).has_quorum(), has_quorum, "{shown} {voters:?}");
        }
    }

    #[test]
    fn the_verdict_is_degraded_if_anybody_does_not_serve() {
        let (leader, follower) = (member(Role::Leader, 9), member(Role::Follower, 9));
        let lonely = Member { answer: Ok(Srvr::NotServing), ..gone() };
        let read_only = member(Role::ReadOnly, 9);
        for (third, all, verdict) in [
            (follower.clone(), 3, Verdict::Healthy),
            (gone(), 3, Verdict::Degraded),
            (lonely.clone(), 3, Verdict::Degraded),
            (read_only.clone(), 3, Verdict::Degraded),
            (Member { votes: Some(false), ..gone() }, 2, Verdict::Degraded),
            (Member { votes: Some(false), ..member(Role::Observer, 9) }, 2, Verdict::Healthy),
            (follower.clone(), 5, Verdict::Degraded),
        ] {
            let members = vec![leader.clone(), follower.clone(), third];
            let shown = format!("{members:?}");
            assert_eq!(health(members, Some(all)).verdict(), verdict, "{shown}");
        }
        let members = vec![read_only, lonely, gone()];
        assert_eq!(health(members, Some(3)).verdict(), Verdict::NoQuorum);
    }

    #[test]
    fn who_was_not_asked_is_missed_if_there_may_be_somebody() {
        let (leader, follower) = (member(Role::Leader, 9), member(Role::Follower, 9));
        let two = vec![leader, follower];
        assert!(health(two.clone(), None).is_incomplete);
        assert!(health(two.clone(), Some(3)).is_incomplete);
        assert!(!health(two.clone(), Some(2)).is_incomplete);
        let nowhere = Member { address: None, ..gone() };
        assert!(health([two, vec![nowhere]].concat(), Some(3)).is_incomplete);
        assert!(!health(vec![member(Role::Standalone, 9)], None).is_incomplete);
    }

    #[test]
    fn lag_is_counted_within_an_epoch() {
        let now = 0x5_0000_0010;
        let health = health(
            vec![
                member(Role::Leader, 0x4_0000_0099),
                member(Role::Leader, now),
                member(Role::Follower, now - 3),
                member(Role::Follower, now + 1),
                gone(),
            ],
            None,
        );
        assert_eq!(health.leader, Some(1));
        let lags: Vec<_> = health.members.iter().map(|member| health.lag(member)).collect();
        let counted = |n| Some(Lag::Changes(n));
        assert_eq!(lags, [Some(Lag::Epoch), counted(0), counted(3), counted(0), None]);
        let members =
            vec![member(Role::Leader, 0x6_0000_0000), member(Role::Follower, 0x5_0000_0010)];
        let health = super::Health::of(Members { members, voters: None });
        assert_eq!(health.lag(&health.members[1]), None);
    }
}
