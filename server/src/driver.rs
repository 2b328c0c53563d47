//! The I/O thread: one loop that owns every client socket and the replica behind them.
//!
//! A turn of the loop gathers (poll, accept, read, mail of the other threads), steps the replica
//! with what it gathered, and performs what the replica asks for (log batches to the disk thread,
//! replies to the sockets). It decides nothing about sessions or data.
//!
//! Nothing is handed to another thread on the way from a request to its reply, except what must be
//! durable: on few cores the hand-over costs more than the request.

mod accounts;
mod admission;
mod delivery;
mod happenings;
mod intake;
mod left_behind;
mod live;
mod orders;
mod reload;
mod snapshots;
mod turns;
mod watch;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use admission::Reached;
use intake::Allowance;
use left_behind::LeftBehind;
use mio::{Events, Poll, Token};
use orders::AwaitedEnds;
use snapshots::AwaitedSnapshots;
use tenure_replica::{ConnId, Input, Now, Outputs, Replica};
use turns::Turns;

use crate::RunError;
use crate::admin::ServerEventKind;
use crate::admin::report::{ConfigReport, SnapshotReport};
use crate::admin::words;
use crate::admin::{Denials, Elections, ServerEvents, SessionEvents, TenantReports};
use crate::audit::Audit;
use crate::clock::Clock;
use crate::config::{LimitSettings, StormSettings, WordList};
use crate::connections::Connections;
use crate::hot_paths::HotPaths;
use crate::limits;
use crate::listener::{Accepted, Listener};
use crate::log_limit::LogLimit;
use crate::mail::Mail;
use crate::members_file::MembersFile;
use crate::memory::MemoryGuard;
use crate::metrics::{Limited, Metrics};
use crate::peers::Peers;
use crate::persister::Persister;
use crate::snapshotter::Snapshotter;
use crate::storm::Storm;
use crate::tenants::{TenantName, Tenants};
use watch::LoopWatch;

/// The bell of [`crate::mail::Mailbox`].
pub(crate) const WAKE: Token = Token(0);
/// The plain listener, the secure one, or both.
const FIRST_LISTENER: usize = 1;
const FIRST_CONNECTION: usize = 3;
/// Numbers that members can have, and 0.
const MEMBERS: usize = 256;

/// What the loop takes from the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Longest frame a client may send.
    pub(crate) max_frame_bytes: usize,
    /// Requests under way in all from which on busy connections are left unread.
    pub(crate) max_outstanding: usize,
    /// How long a connection may take to send its handshake.
    pub(crate) sessionless_timeout: Duration,
    /// A sync of the log that takes longer is told of.
    pub(crate) slow_sync_us: u64,
    /// How long a request may be left unread without being refused.
    pub(crate) throttled_op_wait: Option<Duration>,
    /// Requests of more bytes are large ones, if any are.
    pub(crate) large_request: Option<usize>,
    /// Bytes of large requests that may wait for an answer at once.
    pub(crate) max_large_requests: usize,
    /// How much tenants may use.
    pub(crate) limits: LimitSettings,
    /// What a storm of connections may take.
    pub(crate) storm: StormSettings,
    /// New sessions are this server's own.
    pub(crate) local_sessions: bool,
}

impl Rules {
    /// Whether anything may have to be left unread because of a tenant's limit.
    fn limits_requests(&self) -> bool {
        let LimitSettings { outstanding, unsent_kib, requests_per_second, .. } = self.limits;
        outstanding.is_set() || unsent_kib.is_set() || requests_per_second.is_set()
    }
}

/// The loop and everything it owns.
pub(crate) struct Driver {
    poll: Poll,
    /// Gone once the server is stopping.
    listeners: Vec<Listener>,
    connections: Connections,
    /// Who shares the server.
    tenants: Tenants,
    /// Some limit may have to leave connections unread.
    limits_requests: bool,
    storm: Storm,
    memory: MemoryGuard,
    replica: Replica,
    persister: Persister,
    /// Links to the other members, if there are any.
    peers: Option<Peers>,
    members_file: Option<MembersFile>,
    left_behind: LeftBehind,
    snapshotter: Snapshotter,
    mail: Receiver<Mail>,
    /// Mail that came during a pause.
    late_mail: VecDeque<Mail>,
    /// Who waits for sessions to end.
    ends_awaited: AwaitedEnds,
    snapshots_awaited: AwaitedSnapshots,
    session_events: SessionEvents,
    elections: Elections,
    server_events: ServerEvents,
    watch: LoopWatch,
    hot_paths: HotPaths,
    /// When each member was last heard, by its number, in microseconds of the monotonic clock.
    heard_us: [Option<u64>; MEMBERS],
    /// The last entry whose application was counted.
    counted_to: u64,
    /// When this leadership began.
    leading_since_us: u64,
    denials: Denials,
    audit: Option<Audit>,
    /// The client whose connection is being dropped.
    leaving: Option<(ConnId, SocketAddr)>,
    clock: Clock,
    rules: Rules,
    out: Outputs,
    /// The one read buffer.
    scratch: Vec<u8>,
    /// Output buffers waiting for their next use.
    spare: Vec<Vec<u8>>,
    /// The time at which the bytes being processed were read.
    now: Now,
    /// Connections to read.
    to_read: Turns,
    /// Connections with unsent bytes that were not tried yet.
    dirty: Turns,
    /// When the tenant being served has had its share of time, if there are several.
    share_ends: Option<Instant>,
    /// What is being taken in has waited too long and is refused.
    refuses: bool,
    /// What the connection being served may have.
    allowance: Allowance,
    /// Connections left unread because of a bound.
    paused: VecDeque<ConnId>,
    /// How many of these are still to be looked at, since something happened that may change it.
    to_resume: usize,
    /// When somebody may make requests again who made all that the limits allow.
    rates_open_at: Option<Instant>,
    /// Connections that wait for a new session.
    openings: usize,
    /// When all watches were last counted.
    watches_counted: Instant,
    /// The limit that the connection being served has reached.
    reached: Option<Reached>,
    limit_noise: [LogLimit; Limited::COUNT],
    /// Who reached which limit since the start.
    limits_reached: TenantReports,
    /// Connections that the replica had closed and must be told are gone.
    let_go: Vec<ConnId>,
    /// Connections without a handshake, by deadline.
    opening: VecDeque<(Instant, ConnId)>,
    /// Closed connections, by the time they are dropped at the latest.
    closing: VecDeque<(Instant, ConnId)>,
    /// Unsent bytes of all connections.
    unsent_total: usize,
    /// No time passes for sessions while the disk is full.
    disk_is_full: bool,
    /// Told, once, that the replica has begun to serve.
    on_serving: Option<SyncSender<()>>,
    /// Set while stopping: when waiting for requests under way ends.
    stop_by: Option<Instant>,
    /// It led when that began.
    hands_over: bool,
    noise: LogLimit,
    metrics: Metrics,
    words: Arc<WordList>,
    config: ConfigReport,
    /// What the configuration said at the start, and when it was last read.
    texts: (String, String),
    last_snapshot: Option<SnapshotReport>,
    trace_mask: i64,
}

/// What a driver is put together from.
pub(crate) struct Parts {
    pub(crate) poll: Poll,
    /// One for plain clients, one for those that speak TLS, or both.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) replica: Replica,
    pub(crate) persister: Persister,
    pub(crate) peers: Option<Peers>,
    /// Where the members are written down, if they can change.
    pub(crate) members_file: Option<MembersFile>,
    pub(crate) snapshotter: Snapshotter,
    pub(crate) mail: Receiver<Mail>,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) words: WordList,
    pub(crate) config: ConfigReport,
    /// The configuration's text.
    pub(crate) text: String,
    pub(crate) metrics: Metrics,
    pub(crate) last_snapshot: Option<SnapshotReport>,
    /// Where changes are recorded, if they are.
    pub(crate) audit: Option<Audit>,
    /// Told, once, that the replica has begun to serve.
    pub(crate) on_serving: SyncSender<()>,
}

impl Driver {
    /// Puts the loop together; [`Driver::run`] starts it.
    pub(crate) fn new(mut parts: Parts) -> io::Result<Driver> {
        assert!(parts.listeners.len() <= FIRST_CONNECTION - FIRST_LISTENER);
        for (i, listener) in parts.listeners.iter_mut().enumerate() {
            listener.register(parts.poll.registry(), Token(FIRST_LISTENER + i))?;
        }
        let counted_to = parts.replica.applied();
        let now = parts.clock.instant();
        Ok(Driver {
            poll: parts.poll,
            listeners: parts.listeners,
            connections: Connections::default(),
            tenants: Tenants::default(),
            limits_requests: parts.rules.limits_requests(),
            storm: Storm::new(parts.rules.storm, now),
            memory: MemoryGuard::new(parts.rules.limits.memory, now),
            replica: parts.replica,
            persister: parts.persister,
            peers: parts.peers,
            members_file: parts.members_file,
            left_behind: LeftBehind::default(),
            snapshotter: parts.snapshotter,
            mail: parts.mail,
            late_mail: VecDeque::new(),
            ends_awaited: AwaitedEnds::default(),
            snapshots_awaited: AwaitedSnapshots::default(),
            session_events: SessionEvents::default(),
            elections: Elections::default(),
            server_events: ServerEvents::default(),
            watch: LoopWatch::default(),
            hot_paths: HotPaths::new(),
            heard_us: [None; MEMBERS],
            counted_to,
            leading_since_us: 0,
            denials: Denials::default(),
            audit: parts.audit,
            leaving: None,
            clock: parts.clock,
            rules: parts.rules,
            out: Outputs::default(),
            scratch: vec![0; limits::READ_CHUNK_BYTES],
            spare: Vec::new(),
            now: parts.clock.now(),
            to_read: Turns::default(),
            dirty: Turns::default(),
            share_ends: None,
            refuses: false,
            allowance: Allowance::Free,
            paused: VecDeque::new(),
            to_resume: 0,
            rates_open_at: None,
            openings: 0,
            watches_counted: now,
            reached: None,
            limit_noise: Default::default(),
            limits_reached: TenantReports::new(),
            let_go: Vec::new(),
            opening: VecDeque::new(),
            closing: VecDeque::new(),
            unsent_total: 0,
            disk_is_full: false,
            on_serving: Some(parts.on_serving),
            stop_by: None,
            hands_over: false,
            noise: LogLimit::default(),
            metrics: parts.metrics,
            words: Arc::new(parts.words),
            config: parts.config,
            texts: (parts.text.clone(), parts.text),
            last_snapshot: parts.last_snapshot,
            trace_mask: words::DEFAULT_TRACE_MASK,
        })
    }

    /// Serves until told to stop, or until the disk fails.
    pub(crate) fn run(mut self) -> Result<(), RunError> {
        let ended = self.turns();
        // Also after a failure: what is queued for the disk must not be cut short by our exit.
        let written = self.persister.finish();
        ended.and(written)
    }

    fn turns(&mut self) -> Result<(), RunError> {
        let mut events = Events::with_capacity(limits::EVENTS_PER_POLL);
        // A sole voter elects itself without any input.
        self.flush_replica();
        while !self.has_stopped() {
            let polled = self.clock.instant();
            let timeout = self.sleep(polled);
            match self.poll.poll(&mut events, timeout) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(RunError::Poll(e.to_string())),
                Ok(()) => {}
            }
            self.watch_turn(polled, timeout);
            self.note_ready(&events);
            for i in 0..self.listeners.len() {
                self.accept(i, polled);
            }
            self.open_rates(polled);
            self.read_all();
            let stood_still = self.open_mail()?;
            self.resume_paused();
            // Everything that arrived before the poll has been stepped now, unless the poll could
            // not report it all. So `polled`, and not the present, is how far time has come.
            let saw_all = events.iter().count() < limits::EVENTS_PER_POLL;
            if saw_all && !stood_still {
                self.tick(polled);
            }
            self.flush_replica();
            self.look_at_memory(polled);
            self.announce_serving();
            self.drop_overdue(polled);
            self.write_dirty();
        }
        Ok(())
    }

    /// How long the poll may wait for something to happen.
    fn sleep(&self, now: Instant) -> Option<Duration> {
        if !self.to_read.is_empty() || !self.dirty.is_empty() || self.to_resume > 0 {
            return Some(Duration::ZERO);
        }
        if self.replica.has_work(self.snapshotter.has_room()) {
            return Some(Duration::ZERO);
        }
        let session = (!self.disk_is_full).then(|| self.clock.at(self.replica.next_deadline_us()));
        let accepts = self.listeners.iter().filter(|_| self.on_serving.is_none());
        let accept = accepts
            .filter_map(|l| if l.wants_accept(now) { Some(now) } else { l.resumes_at() })
            .min();
        [
            session,
            accept,
            self.opening.front().map(|(at, _)| *at),
            self.closing.front().map(|(at, _)| *at),
            self.stop_by,
            self.watch.storm_ends_at(),
            self.rates_open_at,
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|at| at.saturating_duration_since(now))
    }

    fn note_ready(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                WAKE => {}
                Token(token) if token < FIRST_CONNECTION => {
                    if let Some(listener) = self.listeners.get_mut(token - FIRST_LISTENER) {
                        listener.ready();
                    }
                }
                Token(token) => self.note_connection(token - FIRST_CONNECTION, event),
            }
        }
    }

    fn note_connection(&mut self, slot: usize, event: &mio::event::Event) {
        let Some(connection) = self.connections.at_slot_mut(slot) else { return };
        connection.note_ready(event);
        if connection.is_readable() && !connection.is_queued && !connection.is_paused {
            connection.is_queued = true;
            self.to_read.push(connection.tenant(), connection.id);
        }
        if connection.wants_write() && connection.is_writable() && !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(connection.tenant(), connection.id);
        }
    }

    fn accept(&mut self, which: usize, now: Instant) {
        // Clients that come while the server still starts wait in the operating system's queue.
        if self.on_serving.is_some() {
            return;
        }
        for _ in 0..limits::ACCEPTS_PER_TURN {
            let Some(listener) = self.listeners.get_mut(which).filter(|l| l.wants_accept(now))
            else {
                return;
            };
            match listener.accept(now) {
                Accepted::Client(incoming) => {
                    let peer = incoming.peer;
                    self.metrics.connection_requests += 1;
                    let wall_ms = self.clock.now().wall_ms;
                    let place = (self.poll.registry(), FIRST_CONNECTION);
                    let address = self.tenants.enter(TenantName::Address(peer.ip()));
                    match self.connections.open(incoming, wall_ms, place, address) {
                        Ok(id) => {
                            let deadline = now + self.rules.sessionless_timeout;
                            self.opening.push_back((deadline, id));
                        }
                        Err(e) => {
                            self.tenants.leave(address);
                            listener.released(peer.ip());
                            tracing::debug!(%peer, error = %e, "connection lost at accept");
                        }
                    }
                }
                Accepted::Refused(peer, refusal) => {
                    self.metrics.connections_rejected += 1;
                    if let Some(times) = self.noise.allow() {
                        tracing::warn!(%peer, %refusal, times, "connection refused");
                    }
                }
                Accepted::Drained => return,
                Accepted::Short { error, is_news } => {
                    if is_news {
                        let open = self.connections.len();
                        tracing::error!(%error, open, "no room for another connection; waiting");
                    }
                    return;
                }
            }
        }
    }

    /// Returns whether the server stood still meanwhile, so that clients' packets may wait unread.
    fn open_mail(&mut self) -> Result<bool, RunError> {
        let mut stood_still = false;
        while let Some(mail) = self.next_mail() {
            let now = self.clock.now();
            match mail {
                Mail::Persisted { ticket, synced } => {
                    if let Some(synced) = synced {
                        self.metrics.batch_synced(synced.entries, synced.took_us, synced.waiting);
                        if synced.took_us >= self.rules.slow_sync_us {
                            self.metrics.slow_syncs += 1;
                            let worst_ms = synced.took_us / 1000;
                            self.tell(ServerEventKind::SlowSync { worst_ms, times: 1 });
                        }
                    }
                    self.replica.step(Input::Persisted { ticket }, now, &mut self.out);
                    self.deliver();
                }
                Mail::DiskFull(is_full) => self.watch_disk(is_full),
                Mail::Fatal(error) => return Err(error),
                Mail::SnapshotRoom => {}
                Mail::SnapshotSaved { index, path, log_from, report, took_us } => {
                    self.metrics.snapshot_us.record(took_us);
                    self.last_snapshot = Some(report);
                    self.snapshots_awaited.saved(&path, report.zxid);
                    self.persister.cut_before(log_from);
                    self.replica.step(Input::SnapshotSaved { index }, now, &mut self.out);
                    self.deliver();
                }
                Mail::SnapshotFailed => {
                    self.metrics.snapshot_errors += 1;
                    self.snapshots_awaited.failed();
                    self.replica.step(Input::SnapshotFailed, now, &mut self.out);
                    self.deliver();
                }
                Mail::Peer { from, message } => {
                    if let Some(heard) = self.heard_us.get_mut(from as usize) {
                        *heard = Some(now.mono_us);
                    }
                    let message = &message;
                    self.replica.step(Input::Peer { from, message }, now, &mut self.out);
                    self.deliver();
                }
                Mail::MemberAhead { version, member } => {
                    if let Some(peers) = &mut self.peers {
                        peers.meet(version, member);
                    }
                }
                Mail::PeerDown { member } => {
                    self.replica.step(Input::PeerDown { member }, now, &mut self.out);
                    self.deliver();
                }
                Mail::SnapshotSending { to, what } => {
                    self.sending_went_on(to, what);
                    self.deliver();
                }
                Mail::SnapshotReceived { meta, state } => {
                    self.replica.step(Input::SnapshotReceived { meta, state }, now, &mut self.out);
                    self.deliver();
                }
                Mail::Query(query) => query.answer(self),
                Mail::DropConnection(session, reply) => self.cut_connection(session, reply),
                Mail::Pause(reply) => {
                    stood_still = true;
                    self.stand_still(reply);
                }
                Mail::Resume => {}
                Mail::Reload(config, reply) => reply.send(self.reload(&config)),
                Mail::Stop => self.begin_stop(),
            }
        }
        Ok(stood_still)
    }

    fn next_mail(&mut self) -> Option<Mail> {
        self.late_mail.pop_front().or_else(|| self.mail.try_recv().ok())
    }

    /// Tells the replica how far time has come, if it waits for that.
    fn tick(&mut self, polled: Instant) {
        let due = self.clock.at(self.replica.next_deadline_us());
        if due > polled || self.disk_is_full {
            return;
        }
        self.report_unread();
        let now = Now { mono_us: self.clock.mono_us(polled), ..self.clock.now() };
        self.replica.step(Input::Tick, now, &mut self.out);
        self.deliver();
    }

    /// Has the replica propose what this turn's inputs collected, and do a slice of its own work.
    fn flush_replica(&mut self) {
        let now = self.clock.now();
        self.replica.flush(now, &mut self.out);
        self.deliver();
        while self.replica.is_applying() && !self.tenants.are_several() {
            self.replica.step(Input::Work { snapshot_room: false }, now, &mut self.out);
            self.deliver();
        }
        let snapshot_room = self.snapshotter.has_room();
        if self.replica.has_work(snapshot_room) {
            self.replica.step(Input::Work { snapshot_room }, now, &mut self.out);
            self.replica.flush(now, &mut self.out);
            self.deliver();
        }
        let applied = self.replica.applied();
        self.metrics.commits += applied.saturating_sub(self.counted_to);
        self.counted_to = applied;
    }

    fn announce_serving(&mut self) {
        // A member of an ensemble answers operators long before there is a quorum.
        if (self.replica.is_serving() || self.peers.is_some())
            && let Some(on_serving) = self.on_serving.take()
        {
            // Whoever started the server may have lost interest.
            let _ = on_serving.try_send(());
        }
    }

    fn begin_stop(&mut self) {
        if self.stop_by.is_none() {
            tracing::info!(connections = self.connections.len(), "stopping");
            self.listeners.clear();
            self.stop_by = Some(self.clock.instant() + limits::STOP_GRACE);
            self.hands_over = self.replica.is_leader();
            self.replica.step(Input::HandOver, self.clock.now(), &mut self.out);
        }
    }

    /// Whether a stop was asked for and nothing is under way any more, or took too long.
    fn has_stopped(&self) -> bool {
        let Some(by) = self.stop_by else { return false };
        let is_idle = self.replica.total_outstanding() == 0 && self.unsent_total == 0;
        // Until another one leads, its election may hang on the vote of this one.
        let is_led = self.replica.leader().is_some() && !self.replica.is_handing_over();
        let has_handed_over = is_led || !self.hands_over;
        is_idle && has_handed_over || self.clock.instant() >= by
    }
}
