//! What goes wrong, and when.

use tenure_client::LinkFault;
use tenure_replica::{EndReason, Input};

use crate::clock::{MS, Nanos};
use crate::network::Outage;
use crate::trace::Who;
use crate::world::{Event, World};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Between a client and one server, or all of them.
    CutClient {
        client: usize,
        member: Option<usize>,
        ways: Ways,
        loses: bool,
        lasts: Nanos,
    },
    /// Both ends of a client's link are told that it broke.
    ResetLink {
        client: usize,
    },
    PauseClient {
        client: usize,
        lasts: Nanos,
    },
    PauseServer {
        member: usize,
        lasts: Nanos,
    },
    Crash {
        member: usize,
        is_silent: bool,
        lasts: Nanos,
    },
    /// Between a server and another one, or all of them.
    CutServer {
        member: usize,
        other: Option<usize>,
        ways: Ways,
        loses: bool,
        lasts: Nanos,
    },
    /// All links of a server to others break at once, and stay so for a while.
    BreakServer {
        member: usize,
        lasts: Nanos,
    },
    RefuseConnects {
        member: usize,
        lasts: Nanos,
    },
    SlowNetwork {
        lasts: Nanos,
    },
    /// As before a graceful stop, the leader gives way to another member.
    HandOver,
    /// An operator ends a client's session.
    EndSession {
        client: usize,
    },
    /// Wall clocks jump; nothing may depend on them.
    JumpWallClock {
        member: usize,
        by_ms: i64,
    },
}

/// Which directions are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ways {
    Both,
    There,
    Back,
}

impl World {
    /// Chooses the next fault, up to the time when all is well.
    pub(crate) fn choose_fault(&mut self) {
        if self.is_healed() {
            return;
        }
        let every = self.plan.fault_every;
        let next = self.now + self.random.between(every / 3, every * 5 / 3);
        self.schedule(next, Event::NextFault);
        let fault = self.some_fault();
        self.inflict(fault);
    }

    fn some_fault(&mut self) -> Fault {
        let client = self.random.below(self.clients.len() as u64) as usize;
        let mut member = self.random.below(self.members.len() as u64) as usize;
        if let Some(leader) = self.leader()
            && self.random.per_mille(400)
        {
            member = leader;
        }
        let other = self.random.below(self.members.len() as u64) as usize;
        let whole = self.random.per_mille(400);
        let ways = self.random.pick(&[Ways::Both, Ways::Both, Ways::There, Ways::Back]);
        let loses = self.random.per_mille(500);
        let longest = 2 * self.plan.longest;
        let shortest = longest / 40;
        // Short ones more often than long ones.
        let limit = self.random.between(shortest, longest);
        let lasts = self.random.between(shortest, limit);
        match self.random.below(100) {
            0..20 => {
                let member = (!whole).then_some(member);
                Fault::CutClient { client, member, ways, loses, lasts }
            }
            20..32 => Fault::ResetLink { client },
            32..44 => Fault::PauseClient { client, lasts },
            44..55 => Fault::PauseServer { member, lasts },
            55..67 => Fault::Crash { member, is_silent: loses, lasts },
            67..79 => {
                let other = (!whole && other != member).then_some(other);
                Fault::CutServer { member, other, ways, loses, lasts }
            }
            79..86 => Fault::BreakServer { member, lasts },
            86..91 => Fault::RefuseConnects { member, lasts },
            91..95 => Fault::SlowNetwork { lasts: lasts / 2 },
            95..97 => Fault::EndSession { client },
            97 => Fault::HandOver,
            _ => {
                let by_ms = self.random.between(0, 200_000) as i64 - 100_000;
                Fault::JumpWallClock { member, by_ms }
            }
        }
    }

    pub(crate) fn inflict(&mut self, fault: Fault) {
        let number = self.random.next();
        self.trace.note(self.now, Who::World, "FAULT", number, || format!("{fault:?}"));
        let healed_at = self.plan.healed_at;
        let until = |now: Nanos, lasts: Nanos| (now + lasts).min(healed_at);
        match fault {
            Fault::CutClient { client, member, ways, loses, lasts } => {
                let outage = Outage { until: until(self.now, lasts), loses };
                self.cut_client(client, member, ways, outage);
            }
            Fault::ResetLink { client } => self.reset_link(client),
            Fault::PauseClient { client, lasts } => {
                self.counts.add("fault: client paused");
                let until = until(self.now, lasts);
                let host = &mut self.clients[client];
                host.paused_until = host.paused_until.max(until);
                let at = host.paused_until;
                self.schedule(at, Event::WakeClient(client));
            }
            Fault::PauseServer { member, lasts } => {
                self.counts.add("fault: server paused");
                let until = until(self.now, lasts);
                let server = &mut self.members[member];
                server.paused_until = server.paused_until.max(until);
                let at = server.paused_until;
                self.schedule(at, Event::WakeServer(member));
            }
            Fault::Crash { member, is_silent, lasts } => {
                if self.members[member].replica.is_some() {
                    self.counts.add("fault: server crashed");
                    self.crash(member, is_silent);
                    self.schedule(until(self.now, lasts), Event::Restart(member));
                }
            }
            Fault::CutServer { member, other, ways, loses, lasts } => {
                let outage = Outage { until: until(self.now, lasts), loses };
                self.cut_server(member, other, ways, outage);
            }
            Fault::BreakServer { member, lasts } => {
                self.break_server(member, until(self.now, lasts))
            }
            Fault::RefuseConnects { member, lasts } => {
                self.counts.add("fault: connects refused");
                self.members[member].refuses_until = until(self.now, lasts);
            }
            Fault::SlowNetwork { lasts } => {
                self.counts.add("fault: slow network");
                self.slow_until = until(self.now, lasts);
            }
            Fault::HandOver => self.hand_over(),
            Fault::EndSession { client } => self.end_session(client),
            Fault::JumpWallClock { member, by_ms } => {
                self.counts.add("fault: wall clock jumped");
                self.members[member].clock.wall_skew_ms += by_ms;
            }
        }
    }

    fn cut_client(&mut self, client: usize, member: Option<usize>, ways: Ways, outage: Outage) {
        self.counts.add("fault: client cut off");
        for at in 0..self.members.len() {
            if member.is_none_or(|member| member == at) {
                let cut = &mut self.cuts[client][at];
                if ways != Ways::Back {
                    cut.to_server = outage;
                }
                if ways != Ways::There {
                    cut.to_client = outage;
                }
            }
        }
    }

    fn cut_server(&mut self, member: usize, other: Option<usize>, ways: Ways, outage: Outage) {
        self.counts.add("fault: server cut off");
        for at in (0..self.members.len()).filter(|at| *at != member) {
            if other.is_none_or(|other| other == at) {
                if outage.loses {
                    // No stream loses some of its bytes and goes on.
                    self.schedule(outage.until, Event::PeersBreak(member, at));
                }
                if ways != Ways::Back {
                    self.peer_links[member][at].outage = outage;
                }
                if ways != Ways::There {
                    self.peer_links[at][member].outage = outage;
                }
            }
        }
    }

    fn reset_link(&mut self, client: usize) {
        self.counts.add("fault: link reset");
        let Some((link, true)) = self.clients[client].process.as_ref().and_then(|p| p.link) else {
            return;
        };
        let id = self.links[link].id;
        self.at_server(link, crate::network::Piece::End);
        if !self.clients[client].is_paused(self.now) {
            let fault = LinkFault::Broken("reset".to_owned());
            self.call(client, |machine, now| machine.disconnected(id, fault, now));
        }
    }

    fn hand_over(&mut self) {
        if let Some(leader) = self.leader().filter(|it| !self.members[*it].is_paused(self.now)) {
            self.counts.add("fault: leader hands over");
            self.step(leader, Input::HandOver);
            self.turn(leader);
        }
    }

    fn end_session(&mut self, client: usize) {
        let Some((leader, session)) = self.leader().zip(self.clients[client].session()) else {
            return;
        };
        if !self.members[leader].is_paused(self.now) {
            self.counts.add("fault: session ended by operator");
            let reason = EndReason::ClosedByOperator;
            self.ledger.sessions.asked_by_operator.insert(session);
            self.step(leader, Input::CloseSession { session, reason });
            self.turn(leader);
        }
    }

    fn break_server(&mut self, member: usize, until: Nanos) {
        self.counts.add("fault: links of server broken");
        // A broken link is dialled again after some time.
        let until = until.max(self.now + 100 * MS);
        for other in (0..self.members.len()).filter(|other| *other != member) {
            self.break_peer_links(member, other);
            for (from, to) in [(member, other), (other, member)] {
                self.peer_links[from][to].outage = Outage { until, loses: true };
            }
        }
    }

    /// From now on all goes well: what was cut is whole, who was down or paused runs.
    pub(crate) fn heal(&mut self) {
        self.trace.note(self.now, Who::World, "HEALED", 0, String::new);
        self.slow_until = 0;
        for member in 0..self.members.len() {
            self.restart(member);
        }
        for client in 0..self.clients.len() {
            if self.clients[client].process.is_none() {
                self.next_process(client);
            }
        }
    }
}
