//! The state machine: one input and the time in, things to do out.

use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;

use crate::apply::{Changes, Closing};
use crate::config::Config;
use crate::consensus::{Committed, Consensus, Durable, Follower, Outgoing};
use crate::ensemble::{
    Elections, Following, Owners, PeerMessage, ReadOnly, Reconfigurer, cluster_in,
};
use crate::entry::{LoggedEntry, Operation, Origin, Policy};
use crate::gone::{Gone, GoneEphemerals};
use crate::input::{ConnId, Input, Now};
use crate::limits;
use crate::output::{CloseWhy, Event, HardState, LogEntry, Output, Outputs, SnapshotMeta};
use crate::planted::PlantedBug;
use crate::requests::Resuming;
use crate::session::attach::{Attachment, Attachments, Caller};
use crate::session::ended::EndReason;
use crate::session::expiry::Expiry;
use crate::session::local::{LocalSession, LocalSessions};
use crate::snapshot::{Capture, Received};
use crate::state::State;
use crate::watch::WatchKind;
use crate::watch::table::{WatchCounts, WatchTable};
use tenure_wire::{SessionId, Zxid};

/// What a replica continues from.
#[derive(Debug, Default)]
pub struct Restored {
    /// The newest valid snapshot, or none at the very first start.
    pub snapshot: Option<(SnapshotMeta, State)>,
    /// The last consensus state in the log.
    pub hard_state: HardState,
    /// The log's entries behind the snapshot.
    pub entries: Vec<LogEntry>,
    /// An operator says that nothing is missing. Otherwise a member with an empty disk, in an
    /// ensemble that is not new, first gets all that it may have confirmed before.
    pub is_complete: bool,
}

/// One replica.
#[derive(Debug)]
pub struct Replica {
    pub(crate) config: Config,
    // Replicated.
    pub(crate) state: State,
    pub(crate) consensus: Consensus,
    // Leader only.
    pub(crate) expiry: Expiry,
    pub(crate) next_reap_us: u64,
    pub(crate) owners: Owners,
    pub(crate) elections: Elections,
    pub(crate) reconfigurer: Reconfigurer,
    // Local to this server.
    pub(crate) following: Following,
    pub(crate) attachments: Attachments,
    pub(crate) resuming: VecDeque<Resuming>,
    pub(crate) locals: LocalSessions,
    pub(crate) read_only: ReadOnly,
    pub(crate) watches: WatchTable,
    pub(crate) gone: GoneEphemerals,
    /// Encoded entries to be proposed as one batch by `flush`.
    pub(crate) proposals: Vec<Bytes>,
    /// Committed entries not applied yet, behind a session's end that takes several slices.
    pub(crate) to_apply: VecDeque<Committed>,
    pub(crate) closing: Option<Box<Closing>>,
    pub(crate) changes: Changes,
    pub(crate) capture: Option<Capture>,
    /// A snapshot of another member, until consensus has judged it.
    pub(crate) received: Option<Received>,
    pub(crate) since_snapshot: SinceSnapshot,
    /// Whom to have links with may have changed.
    pub(crate) links_changed: bool,
    /// The ensemble's id as the log had it at the start, maybe not committed; 0 if it did not.
    pub(crate) cluster_in_log: u64,
    next_tick_us: u64,
    pub(crate) serving: bool,
    /// What is proposed here is stamped so that it is refused if it needs more memory.
    pub(crate) refuses_growth: bool,
}

/// How much was applied since the last snapshot began.
#[derive(Debug, Default)]
pub(crate) struct SinceSnapshot {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// A snapshot was asked for, or failed and is due again.
    pub(crate) wanted: bool,
}

impl Replica {
    /// Continues from what storage held. A sole voter stands for election at once.
    pub fn new(config: Config, restored: Restored, now: Now) -> Self {
        let (snapshot, members, state) = match restored.snapshot {
            Some((meta, state)) => ((meta.index, meta.term), config.members(&meta), state),
            None => ((0, 0), config.first_members(), State::new(config.hash_seed)),
        };
        let alone = members.is_only(config.id);
        let Restored { hard_state, entries, is_complete, .. } = restored;
        let cluster_in_log = match config.members.is_empty() || state.cluster != 0 {
            true => 0,
            false => cluster_in(&entries),
        };
        let durable = Durable { hard_state, snapshot, members, entries, is_complete };
        let tail = config.log_tail_entries;
        let mut consensus = Consensus::new(config.id, config.hash_seed, tail, durable);
        if alone {
            consensus.campaign();
        }
        Replica {
            consensus,
            state,
            expiry: Expiry::new(),
            owners: Owners::new(),
            elections: Elections::new(now),
            reconfigurer: Reconfigurer::default(),
            links_changed: true,
            following: Following::default(),
            next_reap_us: now.mono_us + config.reap_interval_ms * 1000,
            attachments: Attachments::new(),
            resuming: VecDeque::new(),
            locals: LocalSessions::new(),
            read_only: ReadOnly::new(now),
            watches: WatchTable::new(config.hash_seed),
            gone: GoneEphemerals::default(),
            proposals: Vec::new(),
            to_apply: VecDeque::new(),
            closing: None,
            changes: Changes::default(),
            capture: None,
            received: None,
            since_snapshot: SinceSnapshot::default(),
            cluster_in_log,
            next_tick_us: now.mono_us,
            serving: false,
            refuses_growth: false,
            config,
        }
    }

    /// Takes one input. Writes it leads to are proposed by the next `flush`.
    pub fn step(&mut self, input: Input<'_>, now: Now, out: &mut Outputs) {
        match input {
            Input::Connect { conn, peer, certificate, request, entropy } => {
                let caller = Caller { peer, certificate };
                self.connect(conn, caller, &request, entropy, now, out);
            }
            Input::Frame { conn, payload } => self.frame(conn, payload, now, out),
            Input::Refuse { conn, payload, error } => {
                self.refuse_request(conn, payload, error, now, out);
            }
            Input::RefuseGrowth(refuses) => self.refuses_growth = refuses,
            Input::WatchBound { conn, paths } => {
                if let Some(attachment) = self.attachments.get_mut(conn) {
                    attachment.max_watches = paths;
                }
            }
            Input::Unread { conn } => {
                let attachment = self.attachments.get(conn).filter(|a| a.established);
                if let Some(session) = attachment.map(|attachment| attachment.session) {
                    // Should it be served elsewhere by now, its next request will show that.
                    self.heard(session, now);
                }
            }
            Input::Disconnected { conn } => self.let_go(conn, None, out),
            Input::Persisted { ticket } => self.consensus.persisted(ticket),
            Input::Tick => self.tick(now, out),
            Input::HandOver => self.consensus.hand_over(),
            Input::Work { snapshot_room } => self.work(snapshot_room, now, out),
            Input::TakeSnapshot => self.since_snapshot.wanted = true,
            Input::SnapshotSaved { .. } => {}
            Input::SnapshotFailed => self.snapshot_failed(),
            Input::SnapshotSending { to, index } => self.consensus.sending(to, index),
            Input::SnapshotNotSent { to } => self.consensus.gave_up_sending(to),
            Input::SnapshotReceived { meta, state } => {
                self.received = Some(Received { meta, state });
            }
            Input::Peer { from, message } => self.peer(from, message, now, out),
            Input::PeerDown { member } => self.peer_down(member),
            Input::CloseSession { session, reason } => match self.is_local(session) {
                true => self.end_local(session, reason, CloseWhy::SessionEnded, out),
                false => self.propose_close(session, reason, now),
            },
        }
    }

    /// Proposes what the inputs since the last call collected, as one batch, and applies what has
    /// been committed. Call it after each batch of inputs.
    pub fn flush(&mut self, now: Now, out: &mut Outputs) {
        if !self.proposals.is_empty() && !self.consensus.is_handing_over() {
            self.propose_collected(out);
        }
        self.report_touches(now, out);
        let is_offered = self.offer_received();
        let mut ready = self.consensus.ready();
        if ready.restarted {
            self.install_received(now, out);
        } else if is_offered {
            self.received = None;
        }
        self.consensus.note_acks(now.mono_us, &mut out.acks);
        self.follow_leadership(now, out);
        if let Some(epoch) = ready.elected {
            self.lead(now);
            out.items.push(Output::Event(Event::Leading { epoch }));
        }
        if let Some(begins) = ready.catching_up {
            out.items.push(Output::Event(Event::CatchingUp { begins }));
        }
        out.items.extend(ready.persist.into_iter().map(Output::Persist));
        for Outgoing { to, bytes } in ready.messages {
            let message = PeerMessage::consensus(bytes);
            out.items.push(Output::Peer { to, message });
        }
        let reaching = self.consensus.needs_snapshot_of();
        for to in mem::take(&mut ready.left_behind) {
            out.items.push(Output::SnapshotSend { to, reaching });
        }
        self.to_apply.extend(ready.committed);
        self.apply_committed(now, out);
        if self.state.reconfiguring.is_some() {
            self.go_on_reconfiguring(now);
        }
        if mem::take(&mut self.links_changed) {
            let (cluster, version) = (self.cluster_id(), self.members_version());
            out.items.push(Output::Links { members: self.linked_members(), cluster, version });
        }
        self.begin_snapshot_if_due(out);
    }

    /// A new leader gives every session its full timeout (reference 2.9).
    fn lead(&mut self, now: Now) {
        self.expiry = Expiry::new();
        self.expiry.advance(now.mono_us);
        let share = self.share_after_election();
        for session in self.state.sessions.iter() {
            self.expiry.add(session.id, session.timeout_ms / share);
        }
    }

    fn tick(&mut self, now: Now, out: &mut Outputs) {
        if now.mono_us >= self.next_tick_us {
            self.consensus.tick();
            self.ask_for_terms(out);
            if self.consensus.should_give_way() {
                self.consensus.hand_over();
                out.items.push(Output::Event(Event::DiskStalled));
            }
            // After a pause one tick is enough: missed ones are not made up for.
            self.next_tick_us = (self.next_tick_us + self.tick_us()).max(now.mono_us);
            self.go_on_reconfiguring(now);
            self.open_read_only_if_due(now, out);
        }
        self.expire_locals(now, out);
        if !self.consensus.is_leader() && !self.has(PlantedBug::ExpiresWithoutLeading) {
            return;
        }
        self.expiry.advance(now.mono_us);
        let mut expired = Vec::new();
        self.expiry.pop_expired(now.mono_us, &mut expired);
        self.settle_election(now, out);
        for (session, silent_ms) in expired {
            self.elections.session_expired(self.owners.get(session).is_some());
            self.propose_close(session, self.reason_of_expiry(silent_ms), now);
        }
        if now.mono_us >= self.next_reap_us {
            self.reap(now);
        }
    }

    /// Alone there is nobody to hear from; then ticks only keep the expiry clock going.
    fn tick_us(&self) -> u64 {
        if self.is_alone() { limits::TICK_ALONE_US } else { limits::TICK_US }
    }

    fn reap(&mut self, now: Now) {
        let interval_ms = self.config.reap_interval_ms.max(1);
        self.next_reap_us = now.mono_us + interval_ms * 1000;
        let limit = u64::from(self.config.reap_per_minute) * interval_ms / 60_000;
        let unused_ms = self.config.reap_unused_ms;
        for path in self.state.reapable(now.wall_ms, unused_ms, limit.max(1) as usize) {
            self.propose(Operation::Reap { path: path.into() }, now);
        }
    }

    /// Ends a session through the log. Until that is applied it counts as gone already: it can
    /// neither be touched nor resumed (trap 6).
    pub(crate) fn propose_close(&mut self, session: SessionId, reason: EndReason, now: Now) {
        self.expiry.remove(session);
        self.propose(Operation::CloseSession { session, reason, origin: None }, now);
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            skip_acl: self.config.skip_acl,
            enforce_quota: self.config.enforce_quota,
            extended_types: self.config.extended_types,
            sasl: !self.config.auth.sasl_users.is_empty(),
            x509: self.config.auth.x509_enabled,
            refuse_growth: self.refuses_growth,
            bounds: self.config.bounds,
        }
    }

    pub(crate) fn propose(&mut self, operation: Operation<'_>, now: Now) {
        let policy = self.policy();
        let size = match &operation {
            Operation::Request { identities, body, .. } => 64 + identities.len() + body.len(),
            _ => 64,
        };
        let mut entry = Vec::with_capacity(size);
        LoggedEntry { time_ms: now.wall_ms, policy, operation }.encode(&mut entry);
        self.proposals.push(entry.into());
    }

    pub(crate) fn origin(&self, conn: ConnId) -> Origin {
        Origin { incarnation: self.config.incarnation, conn }
    }

    /// When `Input::Tick` is wanted next, on the clock of `Now::mono_us`.
    pub fn next_deadline_us(&self) -> u64 {
        if !self.consensus.is_leader() {
            // What a leader waits for may be long past: whoever does not lead never looks at it.
            return self.next_tick_us;
        }
        let reap = self.next_reap_us.min(self.next_tick_us);
        let expiry = self.expiry.next_deadline_us().into_iter();
        expiry.chain(self.local_deadline_us()).fold(reap, u64::min)
    }

    /// Whether `Input::Work` would do something, given room for a snapshot chunk or not.
    pub fn has_work(&self, snapshot_room: bool) -> bool {
        self.closing.is_some()
            || !self.to_apply.is_empty()
            || self.watches.has_leaving()
            || snapshot_room && self.capture.is_some()
    }

    /// Whether entries wait to be applied that are committed: work of which others may have their
    /// turn in between.
    pub fn is_applying(&self) -> bool {
        self.closing.is_none() && !self.to_apply.is_empty()
    }

    /// Whether clients are served: this replica leads and has applied all that earlier leaders
    /// committed.
    pub fn is_serving(&self) -> bool {
        self.serving
    }

    /// Whether reads are served to clients that agree to old answers, for lack of a leader.
    pub fn is_read_only(&self) -> bool {
        self.read_only.is_open()
    }

    /// Number of live sessions that only this replica knows.
    pub fn local_session_count(&self) -> usize {
        self.locals.len()
    }

    /// The live sessions that only this replica knows, by ascending id.
    pub fn local_sessions(&self) -> Vec<&LocalSession> {
        self.locals.list()
    }

    /// A live session that only this replica knows.
    pub fn local_session(&self, session: SessionId) -> Option<&LocalSession> {
        self.locals.get(session)
    }

    /// Whether this replica leads the ensemble.
    pub fn is_leader(&self) -> bool {
        self.consensus.is_leader()
    }

    /// Whether this replica leads, and another one is taking over.
    pub fn is_handing_over(&self) -> bool {
        self.consensus.is_handing_over()
    }

    /// Whether this replica lost its disk and has not caught up yet, so that it has no vote.
    pub fn is_catching_up(&self) -> bool {
        self.consensus.is_catching_up()
    }

    /// Whether this replica applies without a vote.
    pub fn is_observer(&self) -> bool {
        self.consensus.observers().contains(&self.config.id)
    }

    /// The leader as far as this replica knows, if there is one.
    pub fn leader(&self) -> Option<u64> {
        Some(self.consensus.leader()).filter(|leader| *leader != 0)
    }

    /// How many members vote.
    pub fn voter_count(&self) -> usize {
        self.consensus.voters().len()
    }

    /// The other members, as the leader knows them; none if this replica does not lead.
    pub fn followers(&self) -> Vec<Follower> {
        match self.consensus.is_leader() {
            true => self.consensus.followers(),
            false => Vec::new(),
        }
    }

    /// Client syncs that are not answered yet.
    pub fn pending_syncs(&self) -> usize {
        self.following.pending_syncs()
    }

    /// Has sessions be established and resumed within other bounds of their timeouts, from now on.
    pub fn set_session_timeouts(&mut self, min_ms: u32, max_ms: u32) {
        self.config.min_session_timeout_ms = min_ms;
        self.config.max_session_timeout_ms = max_ms;
    }

    /// The ensemble's id, random and the same at every member; 0 for a server by itself, and before
    /// the first leader's entry has come here.
    pub fn cluster_id(&self) -> u64 {
        if self.state.cluster == 0 { self.cluster_in_log } else { self.state.cluster }
    }

    /// Requests of a connection that wait for an answer.
    pub fn outstanding(&self, conn: ConnId) -> usize {
        self.attachments.get(conn).map_or(0, |attachment| attachment.pending.len())
    }

    /// Requests of all connections that wait for an answer.
    pub fn total_outstanding(&self) -> usize {
        self.attachments.outstanding
    }

    /// Log index of the last entry applied.
    pub fn applied(&self) -> u64 {
        self.state.applied.0
    }

    /// Zxid of the last change applied.
    pub fn last_zxid(&self) -> Zxid {
        self.state.zxid
    }

    /// Tree and sessions, to look at.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A connection and its session, to look at.
    pub fn attachment(&self, conn: ConnId) -> Option<&Attachment> {
        self.attachments.get(conn)
    }

    /// The connection that serves a session on this server, if one does.
    pub fn connection_of(&self, session: SessionId) -> Option<ConnId> {
        self.attachments.conn_of(session)
    }

    /// How much this server's connections watch.
    pub fn watch_counts(&self) -> WatchCounts {
        self.watches.counts()
    }

    /// What one connection watches, by kind and path.
    pub fn watches_of(&self, conn: ConnId) -> Vec<(WatchKind, &str)> {
        self.watches.of_conn(conn)
    }

    /// How many paths one connection watches.
    pub fn watched_by(&self, conn: ConnId) -> usize {
        self.watches.paths_of(conn)
    }

    /// How the last ephemeral znode at a path vanished, as far as this server remembers since its
    /// start.
    pub fn gone_ephemeral(&self, path: &str) -> Option<&Gone> {
        self.gone.latest(path)
    }

    /// The member through which a session is used, if this one knows.
    pub fn served_by(&self, session: SessionId) -> Option<u64> {
        let is_local = self.locals.get(session).is_some();
        if is_local || self.attachments.conn_of(session).is_some() || self.is_alone() {
            return Some(self.config.id);
        }
        self.owners.get(session).filter(|_| self.consensus.is_leader())
    }

    /// What each connection watches, in order.
    pub fn watches_by_connection(&self) -> Vec<(ConnId, Vec<&str>)> {
        self.watches.by_conn()
    }

    /// Who watches each path, in order.
    pub fn watches_by_path(&self) -> Vec<(&str, Vec<ConnId>)> {
        self.watches.by_path()
    }

    /// How long a live session's client was not heard, in milliseconds. Only the leader knows.
    pub fn silent_ms(&self, session: SessionId) -> Option<u64> {
        let silent_ms = self.expiry.silent_ms(session).filter(|_| self.consensus.is_leader());
        silent_ms.or_else(|| self.locals.expiry.silent_ms(session))
    }

    /// How long until a live session expires unless its client is heard, in milliseconds. Only the
    /// leader knows, and every replica of sessions of its own.
    pub fn expires_in_ms(&self, session: SessionId) -> Option<u64> {
        let left_ms = self.expiry.left_ms(session).filter(|_| self.consensus.is_leader());
        left_ms.or_else(|| self.locals.expiry.left_ms(session))
    }
}
