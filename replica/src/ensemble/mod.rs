//! A replica among others: what followers ask of the leader, and what the leader answers.
//!
//! Whoever holds a client's connection answers it, when it applies the entry. A follower forwards
//! writes, reports who was heard, and asks before it resumes a session or answers a sync. When it
//! loses the leader it closes its clients' connections, so that they move in time; the sessions
//! live on.

mod beginnings;
mod elections;
mod message;
mod read_only;
mod reconfig;
mod sync;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tenure_wire::{ConnectRequest, SessionId};

pub(crate) use beginnings::{Asker, Beginnings, Wish};
pub(crate) use elections::Elections;
pub(crate) use message::PeerMessage;
pub(crate) use read_only::ReadOnly;
pub(crate) use reconfig::{Reconfigurer, cluster_in};
use sync::Syncs;

use crate::entry::{LoggedEntry, Operation, Policy};
use crate::input::{ConnId, Now};
use crate::limits;
use crate::output::{CloseWhy, ElectionCause, Event, Output, Outputs};
use crate::planted::PlantedBug;
use crate::replica::Replica;
use crate::requests::close;
use crate::session::attach::{Manner, Pending};

/// What a follower waits for from its leader, or the leader from its followers: it vouches for a
/// session only once a quorum has confirmed that it still led when the client was heard.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// Term and leader that the rest refers to.
    led_by: (u64, u64),
    /// Sessions heard since the last batch of touches was sent.
    touched: Vec<SessionId>,
    touched_since_us: u64,
    /// The last batch sent, and the last one the leader has confirmed. At the leader: the last
    /// round of asking a quorum whether it leads, and the last one confirmed.
    batch: i64,
    confirmed: i64,
    /// Somebody waits for a batch or round that has not begun.
    wants_round: bool,
    /// Leader: answers to other members that wait for a round to be confirmed.
    answers: VecDeque<(i64, u64, Vec<u8>)>,
    /// Leader: wishes for sessions that may not have begun yet.
    beginnings: Beginnings,
    /// Pings that wait for a batch to be confirmed: whose, and when they came. They wait apart from
    /// other requests: reads behind a ping must not see writes behind themselves.
    pinging: VecDeque<(i64, ConnId, u64)>,
    /// Connections that want to resume a session, with its password.
    resuming: BTreeMap<ConnId, (SessionId, [u8; 16])>,
    syncs: Syncs,
}

impl Following {
    /// Client syncs that are not answered yet.
    pub(crate) fn pending_syncs(&self) -> usize {
        self.syncs.under_way()
    }
}

/// Which member each session was last used through: leader only, not replicated (reference 2.5).
#[derive(Debug)]
pub(crate) struct Owners(HashMap<SessionId, u64, FixedState>);

impl Owners {
    pub(crate) fn new() -> Self {
        Owners(HashMap::with_hasher(FixedState::with_seed(0)))
    }

    pub(crate) fn remove(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// Whether this member may use the session: the first one after an election may.
    fn may_use(&mut self, session: SessionId, member: u64) -> bool {
        *self.0.entry(session).or_insert(member) == member
    }

    /// Whether another member than this one uses the session.
    fn is_elsewhere(&self, session: SessionId, member: u64) -> bool {
        self.0.get(&session).is_some_and(|owner| *owner != member)
    }

    /// Sessions that were used since the election.
    fn len(&self) -> usize {
        self.0.len()
    }

    /// The member that uses the session, if that is known.
    pub(crate) fn get(&self, session: SessionId) -> Option<u64> {
        self.0.get(&session).copied()
    }

    /// Makes this member the owner; says who was it before.
    pub(crate) fn set(&mut self, session: SessionId, member: u64) -> Option<u64> {
        self.0.insert(session, member)
    }
}

impl Replica {
    pub(crate) fn is_alone(&self) -> bool {
        self.consensus.voters().len() + self.consensus.observers().len() == 1
    }

    fn tell(&self, to: u64, message: &PeerMessage<'_>, out: &mut Outputs) {
        out.items.push(Output::Peer { to, message: message.encode(self.epoch()) });
    }

    /// The epoch that this member's clients, and all that it has asked of others, belong to. It
    /// follows that of consensus once the clients of the one before have been sent away.
    fn epoch(&self) -> u64 {
        self.following.led_by.0
    }

    /// Without a leader nobody is told: whoever waits for an answer is about to be sent away.
    fn tell_leader(&self, message: &PeerMessage<'_>, out: &mut Outputs) {
        let leader = self.consensus.leader();
        if leader != 0 {
            self.tell(leader, message, out);
        }
    }

    /// Having lost its disk, it asks the other voters for their terms.
    pub(crate) fn ask_for_terms(&self, out: &mut Outputs) {
        for member in self.consensus.to_ask() {
            let incarnation = self.config.incarnation;
            self.tell(member, &PeerMessage::AskTerm { incarnation }, out);
        }
    }

    /// Notices a change of leadership. Clients of the old one are sent away (reference 2.9).
    pub(crate) fn follow_leadership(&mut self, now: Now, out: &mut Outputs) {
        let led_by = (self.consensus.term(), self.consensus.leader());
        if led_by == self.following.led_by {
            return;
        }
        // Numbers go on: an answer that is late must not pass for one to a later question.
        let (batch, syncs) = (self.following.batch, self.following.syncs.forget());
        if self.following.led_by.1 == self.config.id && led_by.1 == 0 {
            self.elections.note_end_of_lead();
            for member in self.consensus.voters().iter().filter(|id| **id != self.config.id) {
                self.tell(*member, &PeerMessage::Resigned, out);
            }
        }
        self.following =
            Following { led_by, batch, confirmed: batch, syncs, ..Following::default() };
        if self.serving {
            self.elections.leaderless(now);
        }
        if led_by.1 != 0 {
            self.elections.led(now);
        }
        self.serving = false;
        self.resuming.clear();
        self.owners = Owners::new();
        self.reconfigurer = Reconfigurer::default();
        let why = match self.read_only.led(led_by.1, now) {
            true => {
                self.forget_read_only();
                CloseWhy::ReadOnlyEnded
            }
            // Another vain election is nothing to those who are served without a leader.
            false if self.read_only.is_open() => return,
            false => CloseWhy::NotServing,
        };
        let conns = self.attachments.conns();
        if why == CloseWhy::ReadOnlyEnded {
            out.items.push(Output::Event(Event::ReadOnlyEnded { clients: conns.len() }));
        }
        for conn in conns {
            self.let_go(conn, Some(why), out);
            close(conn, why, out);
        }
    }

    /// Serves as soon as everything up to the present leader's first entry is applied.
    pub(crate) fn serve_when_caught_up(&mut self, now: Now, out: &mut Outputs) {
        let (_, term) = self.state.applied;
        let caught_up = term == self.consensus.term() && self.to_apply.is_empty();
        if !self.serving && caught_up && self.consensus.leader() != 0 {
            self.serving = true;
            self.locals.renew(term, now.mono_us);
            self.election_over(now, out);
        }
    }

    /// Hands collected proposals to consensus, or to the leader.
    pub(crate) fn propose_collected(&mut self, out: &mut Outputs) {
        let batch = std::mem::take(&mut self.proposals);
        if self.epoch() != self.consensus.term() {
            // Of clients that are about to be sent away: their sessions may have moved on.
            return;
        }
        if self.consensus.is_leader() {
            // It cannot fail: only leaders get here. If it did, clients would be sent away soon.
            _ = self.consensus.propose(batch);
        } else {
            let entries = batch.iter().map(|entry| &entry[..]).collect();
            self.tell_leader(&PeerMessage::Forward(entries), out);
        }
    }

    /// A client of this session was heard on this connection. False if the session is not to be
    /// served here any more.
    pub(crate) fn heard(&mut self, session: SessionId, now: Now) -> Heard {
        // One that becomes global is told of to the leader, which may know it before this server.
        let is_known_here = self.locals.expiry.touch(session, now.mono_us);
        if is_known_here && (self.is_local(session) || self.consensus.is_leader()) {
            return Heard::Yes;
        }
        if self.read_only.is_open() {
            return Heard::Ended;
        }
        if !self.consensus.is_leader() {
            let touched = &mut self.following.touched;
            if touched.is_empty() {
                self.following.touched_since_us = now.mono_us;
            }
            if touched.last() != Some(&session) {
                touched.push(session);
            }
            return Heard::Yes;
        }
        if !self.is_alone() && !self.owners.may_use(session, self.config.id) {
            return Heard::Moved;
        }
        if self.expiry.touch(session, now.mono_us) { Heard::Yes } else { Heard::Ended }
    }

    /// Asks the leader whether a session may be resumed here.
    pub(crate) fn ask_to_resume(
        &mut self,
        conn: ConnId,
        request: &ConnectRequest<'_>,
        timeout_ms: u32,
        out: &mut Outputs,
    ) {
        let password = request.password.and_then(|password| <[u8; 16]>::try_from(password).ok());
        let Some(password) = password else {
            self.detach(conn);
            return self.refuse(conn, request.session, Manner::of(request), out);
        };
        // What earlier connections asked for goes first.
        if !self.proposals.is_empty() {
            self.propose_collected(out);
        }
        let session = request.session;
        // What was heard on an earlier connection must not count for the new one, and what is still
        // to be heard there neither: the client left it before it came here.
        self.following.touched.retain(|touched| *touched != session);
        let known = self.state.sessions.get(session);
        if known.is_some_and(|known| known.has_password(Some(&password[..])))
            && let Some(old) = self.attachments.conn_of(session)
        {
            self.detach(old);
            close(old, CloseWhy::Superseded, out);
        }
        self.following.resuming.insert(conn, (session, password));
        let password = &password;
        let is_tenure = Manner::of(request).is_tenure;
        let question = PeerMessage::Revalidate { conn, session, timeout_ms, is_tenure, password };
        self.tell_leader(&question, out);
    }

    /// Sends what was collected for the leader in this turn: one batch of touches at a time. The
    /// leader itself begins a round of asking whether it leads: one at a time as well.
    pub(crate) fn report_touches(&mut self, now: Now, out: &mut Outputs) {
        let following = &mut self.following;
        if following.batch != following.confirmed {
            return;
        }
        if self.consensus.is_leader() {
            if following.wants_round && self.serving {
                following.wants_round = false;
                following.batch += 1;
                self.consensus.confirm_leadership(following.batch);
                self.confirm_if_planted(self.following.batch);
                // A quorum of one has answered already.
                self.leadership_confirmed(now, out);
            }
            return;
        }
        let due_us = following.touched_since_us + limits::TOUCH_DELAY_US;
        if following.touched.is_empty() || !following.wants_round && now.mono_us < due_us {
            return;
        }
        following.wants_round = false;
        following.batch += 1;
        let mut sessions = std::mem::take(&mut following.touched);
        sessions.sort_unstable();
        sessions.dedup();
        let batch = following.batch;
        self.tell_leader(&PeerMessage::Touches { batch, sessions }, out);
    }

    /// A ping is answered once the leader has counted it and is known to have led then: so its
    /// reply vouches that the session lives.
    pub(crate) fn await_touch(&mut self, conn: ConnId, now: Now) {
        let batch = self.await_round();
        self.following.pinging.push_back((batch, conn, now.mono_us));
    }

    /// The batch, or at the leader the round, that begins next: what happens now is before it.
    fn await_round(&mut self) -> i64 {
        self.following.wants_round = true;
        self.following.batch + 1
    }

    /// What must be confirmed before a client hears of its session: at the leader the round that
    /// begins next; a follower has asked the leader before.
    pub(crate) fn round_to_grant(&mut self) -> i64 {
        let asks = self.consensus.is_leader() && !self.is_alone();
        if asks { self.await_round() } else { 0 }
    }

    /// Leader: answers another member once it is known that this one led when it judged.
    fn answer_when_confirmed(&mut self, to: u64, message: &PeerMessage<'_>) {
        let answer = (self.await_round(), to, message.encode(self.epoch()));
        self.following.answers.push_back(answer);
    }

    /// A quorum may have confirmed that this replica led when a round began.
    pub(crate) fn leadership_confirmed(&mut self, now: Now, out: &mut Outputs) {
        let Some(round) = self.consensus.take_confirmed() else { return };
        if !self.consensus.is_leader() || round > self.following.batch {
            return;
        }
        self.batch_confirmed(round, now, out);
        let confirmed = self.following.confirmed;
        while let Some((_, to, message)) =
            self.following.answers.pop_front_if(|answer| answer.0 <= confirmed)
        {
            out.items.push(Output::Peer { to, message });
        }
        self.finish_syncs(now, out);
        self.resume_waiting(now, out);
    }

    pub(crate) fn is_confirmed(&self, batch: i64) -> bool {
        batch <= self.following.confirmed
    }

    /// Takes a message of another member.
    pub(crate) fn peer(&mut self, from: u64, bytes: &[u8], now: Now, out: &mut Outputs) {
        let Ok((epoch, message)) = PeerMessage::decode(bytes) else { return };
        // What was asked in an earlier epoch is void, even of a leader that is the same again: it
        // has forgotten since which sessions had moved away from the one who asks.
        if epoch.is_some_and(|epoch| epoch != self.epoch()) {
            return;
        }
        match message {
            PeerMessage::Consensus(bytes) => {
                if self.consensus.receive(bytes) {
                    self.elections.note(ElectionCause::HandedOver);
                }
                self.forget_vote_if_planted();
                self.leadership_confirmed(now, out);
            }
            PeerMessage::Forward(entries) => self.forwarded(from, &entries, now, out),
            PeerMessage::Touches { batch, sessions } => {
                if self.consensus.is_leader() {
                    for session in sessions {
                        // A session that was resumed elsewhere meanwhile is heard of there; one
                        // that ends, or has ended, is not. No ping of either may be answered.
                        let is_here = !self.owners.is_elsewhere(session, from);
                        let lives = is_here && self.touch_from_afar(session, now.mono_us);
                        if !(lives || is_here && self.may_begin(session)) {
                            self.tell(from, &PeerMessage::Moved { session }, out);
                        }
                    }
                    self.answer_when_confirmed(from, &PeerMessage::Touched { batch });
                }
            }
            PeerMessage::Touched { batch } => self.touches_confirmed(from, batch, now, out),
            PeerMessage::Revalidate { conn, session, timeout_ms, is_tenure, password } => {
                if self.consensus.is_leader() {
                    let manner = Manner { has_read_only: false, is_tenure };
                    let password = password.try_into().ok();
                    let wish = Wish { conn, session, timeout_ms, manner, password };
                    if !self.waits_for_its_beginning(Asker::Member(from), wish) {
                        self.judge_for(from, wish, now, out);
                    }
                }
            }
            PeerMessage::Revalidated { conn, valid, behind } => {
                self.revalidated(conn, valid, behind, now, out);
            }
            PeerMessage::Moved { session } => self.moved(session, out),
            PeerMessage::Sync { request } => {
                if self.consensus.is_leader() {
                    let index = self.last_proposed();
                    self.answer_when_confirmed(from, &PeerMessage::Synced { request, index });
                }
            }
            PeerMessage::Synced { request, index } => {
                self.synced(request, index);
                self.finish_syncs(now, out);
            }
            PeerMessage::Resigned if from == self.consensus.leader() => {
                self.elections.note(ElectionCause::LeaderResigned);
                self.consensus.suspect_leader();
            }
            PeerMessage::Resigned => {}
            PeerMessage::AskTerm { incarnation } => {
                let answer = self.consensus.answer(from);
                self.tell(from, &PeerMessage::Term { incarnation, answer }, out);
            }
            PeerMessage::Term { incarnation, answer } => {
                if incarnation == self.config.incarnation {
                    self.consensus.answered(from, answer);
                }
            }
        }
    }

    /// Proposes what a follower's clients want, stamped with the leader's clock and rules.
    fn forwarded(&mut self, from: u64, entries: &[&[u8]], now: Now, out: &mut Outputs) {
        if !self.consensus.is_leader() {
            return;
        }
        for bytes in entries {
            let Ok(entry) = LoggedEntry::decode(bytes) else { continue };
            match &entry.operation {
                // Who has the session alone knows whether it lives.
                Operation::Request { is_local: true, .. } => {}
                Operation::Request { session, .. } => {
                    if !self.owners.may_use(*session, from) {
                        self.tell(from, &PeerMessage::Moved { session: *session }, out);
                        continue;
                    }
                    let lives = self.expiry.touch(*session, now.mono_us);
                    if !lives && self.state.sessions.get(*session).is_some() {
                        // Its end is under way: dropped without an answer, like upstream. One that
                        // is not in the table has still to begin, or gets to know that it ended.
                        continue;
                    }
                }
                Operation::CloseSession { session, .. } => self.expiry.remove(*session),
                Operation::OpenSession { .. }
                | Operation::UpgradeSession { .. }
                | Operation::Prolong { .. }
                | Operation::Reap { .. } => {}
                // Only leaders decide these.
                Operation::SetMembers { .. }
                | Operation::EndReconfig { .. }
                | Operation::NameCluster { .. } => continue,
            }
            // A member that is short of memory itself speaks for its own clients.
            let refuse_growth = self.refuses_growth || entry.policy.refuse_growth;
            let policy = Policy { refuse_growth, ..self.policy() };
            let stamped = LoggedEntry { time_ms: now.wall_ms, policy, ..entry };
            let mut bytes = Vec::with_capacity(bytes.len());
            stamped.encode(&mut bytes);
            self.proposals.push(Bytes::from(bytes));
        }
    }

    fn touches_confirmed(&mut self, from: u64, batch: i64, now: Now, out: &mut Outputs) {
        if from != self.consensus.leader() || batch > self.following.batch {
            return;
        }
        self.batch_confirmed(batch, now, out);
    }

    /// Answers the pings that waited for a batch of touches, or for a round.
    fn batch_confirmed(&mut self, batch: i64, now: Now, out: &mut Outputs) {
        self.following.confirmed = self.following.confirmed.max(batch);
        let confirmed = self.following.confirmed;
        while let Some((_, conn, received_us)) =
            self.following.pinging.pop_front_if(|ping| ping.0 <= confirmed)
        {
            if self.attachments.get(conn).is_some() {
                self.pong(conn, received_us, now, out);
            }
        }
    }

    /// Leader: whether the session lives and the password is right; if so, it is served by that
    /// member from now on, and by nobody else.
    fn revalidate(&mut self, member: u64, wish: Wish, now: Now, out: &mut Outputs) -> bool {
        let Wish { session, timeout_ms, password, .. } = wish;
        let known = self.state.sessions.get(session);
        let right =
            known.zip(password).is_some_and(|(k, password)| k.has_password(Some(&password)));
        let right = right || known.is_some() && self.has(PlantedBug::TakesAnyPassword);
        if !right || !self.expiry.resume(session, timeout_ms, now.mono_us) {
            return false;
        }
        self.prolong(session, timeout_ms, now);
        self.take_over(session, member, out);
        true
    }

    /// Leader: a session is used through this member from now on; the one before is told.
    pub(crate) fn take_over(&mut self, session: SessionId, member: u64, out: &mut Outputs) {
        if self.is_alone() {
            return;
        }
        let before = self.owners.set(session, member).filter(|before| *before != member);
        match before {
            Some(before) if before == self.config.id => self.moved(session, out),
            Some(before) => self.tell(before, &PeerMessage::Moved { session }, out),
            None => {}
        }
    }

    /// `behind` is the log index to wait for: what the session's earlier connections asked for, or
    /// its end, may not have come here yet.
    fn revalidated(&mut self, conn: ConnId, valid: bool, behind: u64, now: Now, out: &mut Outputs) {
        let Some((session, password)) = self.following.resuming.remove(&conn) else { return };
        let Some(manner) = self.attachments.get(conn).map(|attachment| attachment.manner) else {
            return;
        };
        if valid || self.is_local_still(session, &password) {
            self.resume(conn, (session, password), behind, now, out);
        } else if manner.is_tenure {
            self.refuse_behind(conn, session, behind, now, out);
        } else {
            self.detach(conn);
            self.refuse(conn, session, manner, out);
        }
    }

    /// The session is served elsewhere: its connection here is closed, with no error (trap 8).
    fn moved(&mut self, session: SessionId, out: &mut Outputs) {
        let Some(conn) = self.attachments.conn_of(session) else { return };
        // What ends here by its client's own wish is waited for: the answer comes first (trap 10).
        if self.attachments.get(conn).is_some_and(|attachment| attachment.finished) {
            return;
        }
        self.let_go(conn, Some(CloseWhy::Moved), out);
        close(conn, CloseWhy::Moved, out);
    }

    /// The link to a member broke. If it was the leader, what was asked of it is lost, so this
    /// server's clients are sent away, and an election need not wait for silence.
    pub(crate) fn peer_down(&mut self, member: u64) {
        self.consensus.unreachable(member);
        if member == self.consensus.leader() {
            self.elections.note(ElectionCause::LinkBroken);
            self.consensus.suspect_leader();
        }
    }
}

/// What became of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It counts, or is on its way to the leader.
    Yes,
    /// The session's end is under way: requests are dropped without an answer (reference 2.6).
    Ended,
    /// The session is used through another member.
    Moved,
}

/// A follower's requests that wait for the leader, at the head of a connection's queue.
impl Replica {
    pub(crate) fn may_answer(&self, pending: &Pending) -> bool {
        match pending {
            Pending::Write { .. } => false,
            Pending::Deferred { .. } | Pending::Refused { .. } => true,
            Pending::Sync { request, .. } => self.is_synced(*request),
        }
    }
}
