//! What is done to the ensemble: each blow, and how it is healed. All of them leave a quorum, but
//! for moments: a leader may be killed where two servers decide.

use std::fmt;
use std::time::Duration;

use anyhow::ensure;
use clap::ValueEnum;
use rustix::process::Signal;

use super::ensemble::{Ensemble, MEMBERS};
use super::members::{Change, Operator};
use super::random::Random;

/// How long a reconfig may be under way when the leader is killed.
const LONGEST_UNDER_WAY: Duration = Duration::from_millis(20);

/// One blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub(crate) kind: Kind,
    /// How long it lasts.
    pub(crate) hold: Duration,
    /// Whether what a broken network holds back is lost in the end, instead of late.
    pub(crate) is_lost: bool,
    /// Which one of two followers is meant.
    pub(crate) which: u64,
    /// How long after a reconfig was sent the leader ends that is at it.
    pub(crate) after: Duration,
}

/// Kinds of blows, which are told apart in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// The leader's process ends at once
    KillLeader,
    /// A follower's process ends at once
    KillFollower,
    /// The leader's process stands still
    PauseLeader,
    /// A follower's process stands still
    PauseFollower,
    /// The leader reaches nobody and nobody reaches it
    IsolateLeader,
    /// The leader reaches nobody
    MuteLeader,
    /// Nobody reaches the leader
    DeafLeader,
    /// A follower reaches nobody and nobody reaches it
    IsolateFollower,
    /// A follower reaches nobody
    MuteFollower,
    /// Nobody reaches a follower
    DeafFollower,
    /// The leader and one follower cannot reach each other; the other one reaches both
    Bridge,
    /// Every server is asked to end and started again, one after the other
    RollingRestart,
    /// All connections of clients end at once
    CutClients,
    /// Clients of one server are no longer answered, and do not hear that it is so
    SilenceClients,
    /// A follower loses its disk
    WipeFollower,
    /// A follower is removed from the members, and later added again
    ReconfigFollower,
    /// The leader is removed from the members, and later added again
    ReconfigLeader,
    /// The leader's process ends while a member is being removed or added
    ReconfigCrash,
    /// There is no room left on the leader's disk
    FillLeader,
    /// There is no room left on a follower's disk
    FillFollower,
}

impl Kind {
    pub(crate) const KILLS: &'static [Self] = &[Self::KillLeader];
    pub(crate) const PAUSES: &'static [Self] =
        &[Self::PauseLeader, Self::PauseFollower, Self::PauseLeader];
    pub(crate) const PARTITIONS: &'static [Self] = &[
        Self::IsolateLeader,
        Self::MuteLeader,
        Self::DeafLeader,
        Self::Bridge,
        Self::IsolateFollower,
        Self::MuteFollower,
        Self::DeafFollower,
    ];
    pub(crate) const ROLLING: &'static [Self] = &[Self::RollingRestart];
    pub(crate) const OTHERS: &'static [Self] =
        &[Self::KillFollower, Self::CutClients, Self::SilenceClients, Self::WipeFollower];
    pub(crate) const RECONFIGS: &'static [Self] =
        &[Self::ReconfigFollower, Self::ReconfigLeader, Self::ReconfigCrash];
    pub(crate) const FULL_DISKS: &'static [Self] = &[Self::FillLeader, Self::FillFollower];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KillLeader => "leader killed",
            Self::KillFollower => "follower killed",
            Self::PauseLeader => "leader paused",
            Self::PauseFollower => "follower paused",
            Self::IsolateLeader => "leader cut off",
            Self::MuteLeader => "leader cannot send",
            Self::DeafLeader => "leader cannot receive",
            Self::IsolateFollower => "follower cut off",
            Self::MuteFollower => "follower cannot send",
            Self::DeafFollower => "follower cannot receive",
            Self::Bridge => "leader and one follower apart",
            Self::RollingRestart => "rolling restart",
            Self::CutClients => "all clients' links cut",
            Self::SilenceClients => "clients of one server unheard",
            Self::WipeFollower => "follower's disk lost",
            Self::ReconfigFollower => "follower removed and added",
            Self::ReconfigLeader => "leader removed and added",
            Self::ReconfigCrash => "leader killed amid a reconfig",
            Self::FillLeader => "leader's disk full",
            Self::FillFollower => "follower's disk full",
        }
    }

    /// Whether it needs disks that are small enough.
    pub(crate) fn fills_disk(self) -> bool {
        Self::FULL_DISKS.contains(&self)
    }

    /// Whether it needs members that can change.
    pub(crate) fn changes_members(self) -> bool {
        Self::RECONFIGS.contains(&self)
    }

    /// The shortest and the longest time it lasts. The longest are longer than a session's timeout.
    fn holds_ms(self) -> (u64, u64) {
        match self {
            Self::KillLeader | Self::KillFollower | Self::WipeFollower => (0, 2_500),
            // Of two that are left, or are to be left, one is no quorum.
            Self::RollingRestart | Self::ReconfigCrash => (0, 500),
            Self::CutClients => (0, 0),
            _ => (300, 4_500),
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} ms", self.kind.name(), self.hold.as_millis())
    }
}

/// So many blows of these kinds in turn.
pub(crate) fn plan(kinds: &[Kind], count: usize, random: &mut Random) -> Vec<Strike> {
    let strike = |kind: Kind| {
        let (least, most) = kind.holds_ms();
        // One of eight lasts longer than any session can bear in silence.
        let longer = if most > 4_000 && random.below(8) == 0 { 4_000 } else { 0 };
        let hold = random.between(Duration::from_millis(least), Duration::from_millis(most));
        let hold = hold + Duration::from_millis(longer);
        let (is_lost, which) = (random.below(2) == 0, random.below(2));
        // Most of them take a few milliseconds.
        let longest = random.between(Duration::ZERO, LONGEST_UNDER_WAY);
        let after = random.between(Duration::ZERO, longest);
        Strike { kind, hold, is_lost, which, after }
    };
    kinds.iter().copied().cycle().take(count).map(strike).collect()
}

impl Strike {
    /// Strikes, and waits until all servers serve again.
    pub(crate) fn carry_out(&self, ensemble: &mut Ensemble) -> anyhow::Result<()> {
        let leader = ensemble.settle()?;
        let follower = (leader + 1 + self.which as usize) % MEMBERS;
        let other = (0..MEMBERS).find(|n| *n != leader && *n != follower).unwrap_or(leader);
        match self.kind {
            Kind::KillLeader => self.kill(ensemble, leader, false)?,
            Kind::KillFollower => self.kill(ensemble, follower, false)?,
            Kind::WipeFollower => self.kill(ensemble, follower, true)?,
            Kind::PauseLeader => self.pause(ensemble, leader)?,
            Kind::PauseFollower => self.pause(ensemble, follower)?,
            Kind::IsolateLeader => {
                self.cut(
                    ensemble,
                    &[(leader, follower), (follower, leader), (leader, other), (other, leader)],
                );
            }
            Kind::MuteLeader => self.cut(ensemble, &[(leader, follower), (leader, other)]),
            Kind::DeafLeader => self.cut(ensemble, &[(follower, leader), (other, leader)]),
            Kind::IsolateFollower => {
                self.cut(
                    ensemble,
                    &[(leader, follower), (follower, leader), (follower, other), (other, follower)],
                );
            }
            Kind::MuteFollower => self.cut(ensemble, &[(follower, leader), (follower, other)]),
            Kind::DeafFollower => self.cut(ensemble, &[(leader, follower), (other, follower)]),
            Kind::Bridge => self.cut(ensemble, &[(leader, follower), (follower, leader)]),
            Kind::ReconfigFollower => self.remove(ensemble, follower)?,
            Kind::ReconfigLeader => self.remove(ensemble, leader)?,
            Kind::ReconfigCrash => self.kill_amid_reconfig(ensemble, leader, follower)?,
            Kind::FillLeader => self.fill(ensemble, leader)?,
            Kind::FillFollower => self.fill(ensemble, follower)?,
            Kind::RollingRestart => self.roll(ensemble, leader)?,
            Kind::CutClients => ensemble.network.cut_clients(),
            Kind::SilenceClients => {
                ensemble.network.block_clients(leader);
                std::thread::sleep(self.hold);
                ensemble.network.heal_clients(leader);
            }
        }
        ensemble.settle()?;
        Ok(())
    }

    fn kill(&self, ensemble: &mut Ensemble, n: usize, wipes: bool) -> anyhow::Result<()> {
        ensemble.kill(n)?;
        std::thread::sleep(self.hold);
        if !wipes {
            return ensemble.spawn(n);
        }
        ensemble.wipe(n)?;
        let since = ensemble.log_len(n)?;
        ensemble.spawn(n)?;
        ensemble.await_vote(n, since)
    }

    fn pause(&self, ensemble: &Ensemble, n: usize) -> anyhow::Result<()> {
        ensemble.signal(n, Signal::STOP)?;
        std::thread::sleep(self.hold);
        ensemble.signal(n, Signal::CONT)
    }

    fn remove(&self, ensemble: &mut Ensemble, n: usize) -> anyhow::Result<()> {
        let operator = Operator::establish(ensemble)?;
        operator.make(Change::Remove(n))?;
        ensemble.settle_without(Some(n))?;
        std::thread::sleep(self.hold);
        operator.make(Change::Add(n))?;
        ensemble.settle()?;
        operator.close()
    }

    /// A member is being added, or one is being removed: a follower or the leader itself.
    fn kill_amid_reconfig(
        &self,
        ensemble: &mut Ensemble,
        mut leader: usize,
        follower: usize,
    ) -> anyhow::Result<()> {
        let operator = Operator::establish(ensemble)?;
        let change = if self.is_lost {
            operator.make(Change::Remove(follower))?;
            leader = ensemble.settle_without(Some(follower))?;
            Change::Add(follower)
        } else {
            Change::Remove(if self.which == 0 { follower } else { leader })
        };
        let asked = operator.ask(change);
        std::thread::sleep(self.after);
        ensemble.kill(leader)?;
        std::thread::sleep(self.hold);
        ensemble.spawn(leader)?;
        operator.judge(change, asked)?;
        operator.bring_back()?;
        ensemble.settle()?;
        operator.close()
    }

    fn fill(&self, ensemble: &Ensemble, n: usize) -> anyhow::Result<()> {
        ensemble.fill_disk(n, true)?;
        std::thread::sleep(self.hold);
        ensemble.fill_disk(n, false)
    }

    fn cut(&self, ensemble: &Ensemble, links: &[(usize, usize)]) {
        for (from, to) in links {
            ensemble.network.block(*from, *to);
        }
        std::thread::sleep(self.hold);
        ensemble.network.heal(self.is_lost);
    }

    /// The leader comes last, as an operator would have it, or first.
    fn roll(&self, ensemble: &mut Ensemble, leader: usize) -> anyhow::Result<()> {
        let first = leader + usize::from(self.is_lost);
        for n in (first..first + MEMBERS).map(|n| n % MEMBERS) {
            let status = ensemble.stop(n)?;
            ensure!(status.success(), "server {} ended with {status}", n + 1);
            std::thread::sleep(self.hold);
            ensemble.spawn(n)?;
            ensemble.settle()?;
        }
        Ok(())
    }
}
