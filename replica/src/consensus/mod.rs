//! The consensus library behind four verbs: propose, step, tick, persisted.
//!
//! A standalone server is an ensemble of one: its single voter elects itself and commits what its
//! own disk has made durable. Nothing outside this folder knows the library's types.

mod acks;
mod campaign;
mod catch_up;
mod change;
mod followers;
mod members;
#[cfg(feature = "planted-bugs")]
mod planted;
mod store;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{
    ConfState, Entry, EntryType, HardState as RaftHardState, Message, MessageType, Snapshot,
};
use raft::{RawNode, ReadState, StateRole};

use crate::limits;
use crate::output::{HardState, LogEntry, Persist};
pub use acks::Ack;
use acks::AckWatch;
pub(crate) use catch_up::Answer;
use catch_up::Standing;
pub use followers::Follower;
pub(crate) use members::Members;
use store::{Store, Tail};

/// Ticks without a leader before an election.
const ELECTION_TICKS: usize = 25;

/// More ticks than ever pass.
const NEVER: usize = usize::MAX - 1;

/// Ticks between the leader's signs of life.
const HEARTBEAT_TICKS: usize = 3;

/// What the log held at start-up.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) hard_state: HardState,
    /// Index and term of the snapshot's last entry, (0, 0) without one.
    pub(crate) snapshot: (u64, u64),
    pub(crate) members: Members,
    pub(crate) entries: Vec<LogEntry>,
    /// An operator says that nothing was lost: what is missing was never there.
    pub(crate) is_complete: bool,
}

/// An entry that a quorum has made durable.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) data: Bytes,
    /// Its data is for consensus: a change of the members.
    pub(crate) changes_members: bool,
}

/// What consensus wants done after some verbs.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    pub(crate) persist: Vec<Persist>,
    pub(crate) committed: Vec<Committed>,
    /// Messages for the other members; those that promise something only after it is durable.
    pub(crate) messages: Vec<Outgoing>,
    /// Set if this replica has just become leader, to its term.
    pub(crate) elected: Option<u64>,
    /// Members too far behind to be sent entries.
    pub(crate) left_behind: BTreeSet<u64>,
    /// The log goes on behind the snapshot that was handed in.
    pub(crate) restarted: bool,
    /// Whether this member is catching up from now on.
    pub(crate) catching_up: Option<bool>,
}

/// Bytes left free at the start of an outgoing message, for whoever marks it as one of consensus.
pub(crate) const HEAD_BYTES: usize = 4;

/// A message for another member.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Consensus could not take a proposal, because this replica does not lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica does not lead")]
pub(crate) struct NotLeading;

pub(crate) struct Consensus {
    raw: RawNode<Store>,
    seed: u64,
    /// Ticket of the last batch handed out to be made durable.
    handed_out: u64,
    /// Ticket of the last batch known to be durable.
    durable: u64,
    /// Messages that promise what a batch holds, by its ticket.
    held: VecDeque<(u64, Outgoing)>,
    /// Applied entries kept for members that lag.
    tail_entries: u64,
    /// Index of the last entry that changed the members; 0 if a snapshot holds it.
    members_since: u64,
    /// Where the snapshots end that members are being sent.
    sending: BTreeMap<u64, u64>,
    /// What was durable at the last tick, and for how many ticks nothing has become durable
    /// although something waits.
    last_durable: u64,
    ticks_standing_still: usize,
    /// The newest round confirmed, until it is asked for.
    confirmed: Option<i64>,
    /// Whether this member has what it may have confirmed once, and what the disk says of that.
    standing: Standing,
    stored_catching_up: bool,
    announced_catching_up: bool,
    ticks_catching_up: usize,
    /// Elections since there was a leader, and as what this member stood last.
    campaigns: usize,
    stood_as: (StateRole, u64),
    is_complete: bool,
    acks: AckWatch,
}

impl std::fmt::Debug for Consensus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consensus").field("term", &self.raw.raft.term).finish_non_exhaustive()
    }
}

impl Consensus {
    /// Continues from what the log held. `seed` decides election timeouts.
    pub(crate) fn new(id: u64, seed: u64, tail_entries: u64, durable: Durable) -> Self {
        let (index, snapshot_term) = durable.snapshot;
        let last = durable.entries.last().map_or(index, |entry| entry.index);
        let HardState { mut term, mut vote, catching_up, .. } = durable.hard_state;
        let lacks_something = catching_up && !durable.is_complete;
        if term < snapshot_term {
            // A snapshot was received, and the log had no time to hear of its term.
            (term, vote) = (snapshot_term, 0);
        }
        let hard_state = RaftHardState {
            term,
            vote,
            // The commit index may have been stored just before the entries it covers were torn
            // off with the end of the log; such entries were acknowledged to nobody.
            commit: durable.hard_state.commit.clamp(index, last),
        };
        let conf_state = ConfState::from(durable.members);
        let entries = durable.entries.into_iter().map(from_log).collect();
        let store = Store::new(hard_state, conf_state, durable.snapshot, entries);
        let config = raft::Config {
            id,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            max_election_tick: NEVER + 1,
            applied: index,
            max_size_per_msg: limits::MESSAGE_BYTES,
            max_inflight_msgs: limits::MESSAGES_IN_FLIGHT,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            ..raft::Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, store, &logger)
            .expect("the configuration is constant and the stored state was clamped to the log");
        let mut consensus = Consensus {
            raw,
            seed,
            handed_out: 0,
            durable: 0,
            held: VecDeque::new(),
            tail_entries,
            members_since: 0,
            sending: BTreeMap::new(),
            last_durable: 0,
            ticks_standing_still: 0,
            confirmed: None,
            standing: Standing::Full,
            stored_catching_up: catching_up,
            announced_catching_up: false,
            ticks_catching_up: 0,
            campaigns: 0,
            stood_as: (StateRole::Follower, 0),
            is_complete: durable.is_complete,
            acks: AckWatch::default(),
        };
        if lacks_something {
            consensus.begin_catching_up();
        }
        consensus.stand_soon();
        consensus
    }

    /// Whether this replica may propose.
    pub(crate) fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// The leader, as far as this replica knows; 0 without one.
    pub(crate) fn leader(&self) -> u64 {
        self.raw.raft.leader_id
    }

    /// Index of the last entry proposed or received.
    pub(crate) fn last_index(&self) -> u64 {
        self.raw.raft.raft_log.last_index()
    }

    /// The current term.
    pub(crate) fn term(&self) -> u64 {
        self.raw.raft.term
    }

    /// Who belongs to the ensemble.
    pub(crate) fn members(&self) -> Members {
        Members::from(self.raw.store().conf_state())
    }

    /// The voting members.
    pub(crate) fn voters(&self) -> &[u64] {
        self.raw.store().conf_state().get_voters()
    }

    /// Members that do not vote.
    pub(crate) fn observers(&self) -> &[u64] {
        self.raw.store().conf_state().get_learners()
    }

    /// Proposes entries as one batch.
    pub(crate) fn propose(&mut self, batch: Vec<Bytes>) -> Result<(), NotLeading> {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.raw.raft.id;
        let entries: Vec<Entry> =
            batch.into_iter().map(|data| Entry { data, ..Entry::default() }).collect();
        message.set_entries(entries);
        let proposed = self.raw.raft.step(message).map_err(|_| NotLeading);
        self.settle_timeout();
        proposed
    }

    /// One tick has passed.
    pub(crate) fn tick(&mut self) {
        self.raw.tick();
        self.tick_bystander();
        let stands_still = self.durable < self.handed_out && self.durable == self.last_durable;
        self.ticks_standing_still = if stands_still { self.ticks_standing_still + 1 } else { 0 };
        self.last_durable = self.durable;
        self.settle_timeout();
    }

    /// Takes a message of another member. One that does not decode, or comes from nobody in the
    /// ensemble, is dropped: consensus bears the loss of any message. Says whether the leader has
    /// this member take over, or another one, which wants a vote.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> bool {
        let mut message = Message::default();
        if message.merge_from_bytes(bytes).is_err() || self.must_not_hear(&message) {
            return false;
        }
        let hands_over = match message.get_msg_type() {
            MessageType::MsgTimeoutNow => true,
            MessageType::MsgRequestVote => {
                message.term > self.term() && message.context == raft::CAMPAIGN_TRANSFER
            }
            _ => false,
        };
        match message.get_msg_type() {
            MessageType::MsgHeartbeat if message.commit > self.last_index() => {
                self.admit_loss(&message);
                message.commit = self.last_index();
            }
            MessageType::MsgAppendResponse if message.reject && self.is_leader() => {
                self.note_loss(&message);
            }
            _ => {}
        }
        _ = self.raw.step(message);
        self.settle_timeout();
        hands_over
    }

    /// The leader counts on entries that this member does not have any more: its disk was lost.
    /// The library takes that for impossible, so the leader is told in so many words.
    fn admit_loss(&mut self, heartbeat: &Message) {
        let mut answer = Message::default();
        answer.set_msg_type(MessageType::MsgAppendResponse);
        answer.to = heartbeat.from;
        answer.index = heartbeat.commit;
        answer.reject = true;
        answer.reject_hint = self.last_index();
        answer.term = heartbeat.term;
        answer.from = self.raw.raft.id;
        self.raw.raft.msgs.push(answer);
    }

    /// A member that rejects what it had once confirmed has lost it. It is sent everything anew.
    fn note_loss(&mut self, rejection: &Message) {
        let term = self.term();
        let Some(progress) = self.raw.raft.mut_prs().get_mut(rejection.from) else { return };
        if rejection.term == term && rejection.reject_hint < progress.matched {
            progress.matched = 0;
            progress.become_probe();
        }
    }

    /// Asks a quorum whether this replica, a leader whose first entry is committed, still leads.
    /// `take_confirmed` says so once enough members have answered.
    pub(crate) fn confirm_leadership(&mut self, round: i64) {
        self.raw.read_index(round.to_be_bytes().to_vec());
    }

    /// The newest round in which a quorum has confirmed, after it was begun, that this replica led.
    pub(crate) fn take_confirmed(&mut self) -> Option<i64> {
        let answers = std::mem::take(&mut self.raw.raft.read_states);
        self.note_answers(answers);
        self.confirmed.take()
    }

    fn note_answers(&mut self, answers: Vec<ReadState>) {
        for ReadState { index, request_ctx } in answers {
            match <[u8; 8]>::try_from(&request_ctx[..]) {
                Ok(round) => self.confirmed = self.confirmed.max(Some(i64::from_be_bytes(round))),
                Err(_) => self.must_reach(index),
            }
        }
    }

    /// A member cannot be reached: what was sent to it last is probably lost.
    pub(crate) fn unreachable(&mut self, member: u64) {
        self.raw.report_unreachable(member);
    }

    /// Whether this replica leads, and its disk has stood still for so long that another one
    /// should: it can commit nothing that it could apply. Says so again as long as that lasts.
    pub(crate) fn should_give_way(&self) -> bool {
        self.is_leader()
            && self.ticks_standing_still > 0
            && self.ticks_standing_still.is_multiple_of(limits::STALLED_DISK_TICKS)
    }

    /// Has the voter that is furthest take over, if this replica leads and there is another one.
    pub(crate) fn hand_over(&mut self) {
        let raft = &self.raw.raft;
        let others = self.voters().iter().filter(|voter| **voter != raft.id);
        let progress = others.filter_map(|voter| Some((*voter, raft.prs().get(*voter)?)));
        let alive = progress.filter(|(_, progress)| progress.recent_active);
        let furthest = alive.max_by_key(|(_, progress)| progress.matched);
        if let Some((voter, _)) = furthest.filter(|_| self.is_leader()) {
            self.raw.transfer_leader(voter);
        }
    }

    /// Whether another voter is taking over. Until it has, or has failed to, nothing can be
    /// proposed.
    pub(crate) fn is_handing_over(&self) -> bool {
        self.is_leader() && self.raw.raft.lead_transferee.is_some()
    }

    /// Everything up to this ticket is durable.
    pub(crate) fn persisted(&mut self, ticket: u64) {
        self.durable = self.durable.max(ticket);
        self.raw.on_persist_ready(ticket);
    }

    /// Everything up to this index is applied: memory for it may go.
    pub(crate) fn applied(&mut self, index: u64) {
        self.raw.advance_apply_to(index);
        let alone = self.voters().len() + self.observers().len() == 1;
        let progress = &self.raw.raft;
        self.sending.retain(|member, end| {
            progress.prs().get(*member).is_some_and(|progress| progress.matched < *end)
        });
        let needed_from = self.sending.values().min().map_or(u64::MAX, |end| end + 1);
        let entries = if alone { 0 } else { self.tail_entries };
        let tail = Tail { entries, bytes: limits::LOG_TAIL_BYTES, needed_from };
        self.raw.mut_store().compact(index, tail);
        if needed_from < u64::MAX {
            // A member that takes too long starts over with a newer snapshot.
            let bytes = limits::LOG_SENDING_BYTES;
            let longest = Tail { entries: u64::MAX, bytes, needed_from: u64::MAX };
            self.raw.mut_store().compact(index, longest);
        }
    }

    /// Index of the last entry that a snapshot must hold: for this log to continue it, and for the
    /// member that gets it to be among its members, without which consensus does not take it.
    pub(crate) fn needs_snapshot_of(&self) -> u64 {
        self.raw.store().before().max(self.members_since)
    }

    /// A member is being sent the snapshot that ends at `end`: what follows is kept for it.
    pub(crate) fn sending(&mut self, member: u64, end: u64) {
        self.sending.insert(member, end);
    }

    /// That came to nothing.
    pub(crate) fn gave_up_sending(&mut self, member: u64) {
        self.sending.remove(&member);
    }

    /// Hands in where a snapshot of another member ends, whose state is at hand. The next `ready`
    /// says if the log goes on there, in place of what it was.
    pub(crate) fn offer_snapshot(&mut self, index: u64, term: u64, members: Members) {
        let mut snapshot = Snapshot::default();
        let meta = snapshot.mut_metadata();
        meta.index = index;
        meta.term = term;
        meta.set_conf_state(ConfState::from(members));
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgSnapshot);
        // As if the leader had sent it, which hears from the answer how far this member has come.
        message.from = self.leader();
        message.to = self.raw.raft.id;
        message.term = self.term();
        message.set_snapshot(snapshot);
        _ = self.raw.step(message);
        self.settle_timeout();
    }

    /// Drains what the verbs before have led to.
    pub(crate) fn ready(&mut self) -> Ready {
        let mut done = Ready::default();
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            self.note_answers(ready.take_read_states());
            if ready.ss().is_some_and(|soft| soft.raft_state == StateRole::Leader) {
                done.elected = Some(self.raw.raft.term);
            }
            let ticket = ready.number();
            let mut restarted_after = None;
            if !ready.snapshot().is_empty() {
                let meta = ready.snapshot().get_metadata();
                let members = meta.get_conf_state().clone();
                self.raw.mut_store().restart(members, (meta.index, meta.term));
                restarted_after = Some(meta.index);
                // Entries handed out before are part of it.
                done.committed.clear();
            }
            let mut hard_state = ready.hs().cloned();
            let entries = ready.take_entries();
            if let Some(hard_state) = &hard_state {
                self.raw.mut_store().set_hard_state(hard_state.clone());
            }
            let catching_up = self.is_catching_up();
            // Who has a change of the members in its log must know after a restart that the one
            // before is committed: else it could be elected by the majority of two changes ago,
            // which need not have anybody in common with that of today.
            let changes_members =
                entries.iter().any(|entry| entry.get_entry_type() != EntryType::EntryNormal);
            if catching_up != self.stored_catching_up || changes_members {
                hard_state = Some(self.raw.raft.hard_state());
            }
            self.raw.mut_store().append(&entries);
            done.messages.extend(ready.take_messages().iter().map(outgoing));
            let promises = ready.take_persisted_messages();
            let must_sync = ready.must_sync();
            done.committed.extend(ready.take_committed_entries().into_iter().map(committed));
            self.raw.advance_append_async(ready);
            if let Some(index) = restarted_after {
                // It was durable before consensus heard of it, and its state is at hand.
                self.raw.on_persist_ready(ticket);
                self.raw.advance_apply_to(index);
                done.restarted = true;
            }
            if must_sync {
                self.handed_out = ticket;
                self.stored_catching_up = catching_up;
                let hard_state = hard_state.as_ref();
                let hard_state = hard_state.map(|state| to_log_state(state, catching_up));
                let entries = entries.into_iter().map(to_log).collect();
                done.persist.push(Persist { ticket, hard_state, entries, must_sync });
            } else if self.durable == self.handed_out {
                // Nothing to store and nothing under way: this batch is as durable as it gets.
                self.raw.on_persist_ready(ticket);
            }
            let waits_for = self.handed_out;
            self.held.extend(promises.iter().map(|message| (waits_for, outgoing(message))));
        }
        while let Some((_, message)) = self.held.pop_front_if(|(ticket, _)| *ticket <= self.durable)
        {
            done.messages.push(message);
        }
        done.left_behind = self.raw.mut_store().take_left_behind();
        self.settle_standing();
        if self.stored_catching_up && !self.is_catching_up() {
            // At once: were it still there after a restart, its vote could be missing.
            self.stored_catching_up = false;
            let hard_state = Some(to_log_state(&self.raw.raft.hard_state(), false));
            let (ticket, entries) = (self.handed_out, Vec::new());
            done.persist.push(Persist { ticket, hard_state, entries, must_sync: true });
        }
        if self.is_catching_up() != self.announced_catching_up {
            self.announced_catching_up = self.is_catching_up();
            done.catching_up = Some(self.announced_catching_up);
        }
        done
    }
}

fn outgoing(message: &Message) -> Outgoing {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + message.compute_size() as usize);
    bytes.extend_from_slice(&[0; HEAD_BYTES]);
    message.write_to_vec(&mut bytes).expect("encoding into memory does not fail");
    Outgoing { to: message.to, bytes }
}

fn committed(entry: Entry) -> Committed {
    let changes_members = entry.get_entry_type() != EntryType::EntryNormal;
    Committed { index: entry.index, term: entry.term, data: entry.data, changes_members }
}

fn to_log_state(state: &RaftHardState, catching_up: bool) -> HardState {
    HardState { term: state.term, vote: state.vote, commit: state.commit, catching_up }
}

fn to_log(entry: Entry) -> LogEntry {
    let kind = entry.get_entry_type() as u8;
    LogEntry { index: entry.index, term: entry.term, kind, data: entry.data }
}

fn from_log(entry: LogEntry) -> Entry {
    let mut raft =
        Entry { index: entry.index, term: entry.term, data: entry.data, ..Entry::default() };
    raft.set_entry_type(match entry.kind {
        1 => EntryType::EntryConfChange,
        2 => EntryType::EntryConfChangeV2,
        _ => EntryType::EntryNormal,
    });
    raft
}
