//! Servers: a real replica each, with connections to clients and links to each other.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::net::{IpAddr, Ipv4Addr};

use tenure_replica::{Config, ConnId, Input, Membership, Output, Outputs, Replica, Restored};
use tenure_wire::{
    AUTH_XID, ConnectRequest, ConnectResponse, DEFAULT_MAX_FRAME, NOTIFICATION_XID, OpCode,
    PING_XID, Reader, ReplyHeader, RequestHeader, SessionId, Xid, frame,
};

use crate::clock::{Clock, MS, Nanos};
use crate::disk::{Disk, Job};
use crate::network::{Piece, Way};
use crate::plan::Plan;
use crate::snapshots::Snapshot;
use crate::trace::{Who, digest};
use crate::wishes::{Bug, HostBug};
use crate::world::{Event, Rule, World};

/// A server.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) index: usize,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    /// The process; none while it is down.
    pub(crate) replica: Option<Replica>,
    /// Counts processes.
    pub(crate) life: u64,
    /// While it is down nothing answers for it, not even its operating system.
    pub(crate) is_silent: bool,
    pub(crate) refuses_until: Nanos,
    pub(crate) paused_until: Nanos,
    /// What came during a pause.
    inbox: VecDeque<Event>,
    /// When the replica will be called next, and when it wanted to be.
    wake_at: Nanos,
    due_at: Nanos,
    /// The last epoch that it led.
    pub(crate) led_epoch: u64,
    pub(crate) disk: Disk,
    /// Members that are being sent its snapshot.
    pub(crate) sending_to: Vec<usize>,
    conns: BTreeMap<ConnId, usize>,
    next_conn: u64,
    /// The log index at which the replica was last compared with others.
    pub(crate) checked_index: u64,
}

/// How a member stands in the configuration.
pub(crate) fn member_line(index: usize) -> tenure_wire::Member {
    let id = index as u64 + 1;
    let line = format!("s{index}:2888:3888");
    tenure_wire::Member::parse(id, &line).expect("this is the form of such lines")
}

impl Member {
    pub(crate) fn new(index: usize, clock: Clock, plan: &Plan, hash_seed: u64) -> Self {
        let (count, voters) = (plan.member_clocks.len() as u64, plan.voters as u64);
        let observer = tenure_wire::MemberRole::Observer;
        let lines = (0..count as usize).map(|index| match member_line(index) {
            line if line.id > voters => tenure_wire::Member { role: observer, ..line },
            line => line,
        });
        let members = Membership::new(lines.filter(|_| plan.reconfigures));
        let (least, most) = plan.bounds_ms[index];
        let usual = Config::default();
        let usual = (usual.snapshot_entries, usual.log_tail_entries);
        let (snapshot_entries, log_tail_entries) = plan.snapshots.unwrap_or(usual);
        let config = Config {
            id: index as u64 + 1,
            voters: (1..=voters).collect(),
            observers: (voters + 1..=count).collect(),
            hash_seed,
            min_session_timeout_ms: least,
            max_session_timeout_ms: most,
            members,
            members_are_fixed: !plan.reconfigures,
            reconfig_enabled: plan.reconfigures,
            skip_acl: plan.reconfigures,
            snapshot_entries,
            log_tail_entries,
            local_sessions: plan.local_sessions,
            local_upgrading: plan.local_sessions,
            ..Config::default()
        };
        Member {
            index,
            clock,
            config,
            replica: None,
            life: 0,
            is_silent: false,
            refuses_until: 0,
            paused_until: 0,
            inbox: VecDeque::new(),
            wake_at: 0,
            due_at: 0,
            led_epoch: 0,
            disk: Disk::default(),
            sending_to: Vec::new(),
            conns: BTreeMap::new(),
            next_conn: 1,
            checked_index: 0,
        }
    }

    pub(crate) fn is_paused(&self, now: Nanos) -> bool {
        now < self.paused_until
    }
}

impl World {
    /// Starts a server's process on what its disk holds.
    pub(crate) fn start_server(&mut self, member: usize) {
        let incarnation = self.random.next();
        let hash_seed = self.random.next();
        let server = &mut self.members[member];
        server.life += 1;
        server.is_silent = false;
        server.conns.clear();
        server.sending_to.clear();
        server.disk.unfinished = None;
        server.config.incarnation = incarnation;
        server.config.hash_seed = hash_seed;
        let Disk { hard_state, log, snapshot, .. } = &server.disk;
        let snapshot =
            snapshot.as_ref().map(|found| (found.meta.clone(), found.restore(hash_seed)));
        let after = snapshot.as_ref().map_or(0, |(meta, _)| meta.index);
        // Some may have come from a leader that had to give them up, before the snapshot came.
        let term = snapshot.as_ref().map_or(0, |(meta, _)| meta.term);
        let entries: Vec<_> = log.iter().filter(|entry| entry.index > after).cloned().collect();
        let entries =
            if entries.first().is_some_and(|e| e.term < term) { Vec::new() } else { entries };
        let restored = Restored { snapshot, hard_state: *hard_state, entries, is_complete: false };
        let now = server.clock.now(self.now);
        server.replica = Some(Replica::new(server.config.clone(), restored, now));
        (server.wake_at, server.due_at) = (Nanos::MAX, Nanos::MAX);
        server.checked_index = 0;
        self.turn(member);
    }

    pub(crate) fn restart(&mut self, member: usize) {
        if self.members[member].replica.is_none() {
            self.trace.note(self.now, Who::Server(member), "restart", 0, String::new);
            self.start_server(member);
        }
    }

    /// The process is gone, and with it what the disk had not written.
    pub(crate) fn crash(&mut self, member: usize, is_silent: bool) {
        let survives = self.random.below(3) as usize;
        let server = &mut self.members[member];
        server.replica = None;
        server.is_silent = is_silent;
        server.paused_until = 0;
        server.inbox.clear();
        server.disk.lose(survives);
        let tears = self.plan.disks_fail && self.extra.per_mille(500);
        if tears && server.disk.tear(&mut self.extra) {
            self.counts.add("writes torn");
        }
        server.disk.pending.clear();
        server.disk.free_at = self.now;
        let links: Vec<usize> = mem::take(&mut server.conns).into_values().collect();
        for other in (0..self.members.len()).filter(|other| *other != member) {
            self.peer_links[other][member].epoch += 1;
            self.peer_links[member][other].epoch += 1;
            if !is_silent {
                let (life, at) = (self.members[other].life, self.now + MS);
                self.schedule(at, Event::PeerDown { member: other, life, other: member });
            }
        }
        if !is_silent {
            for link in links {
                self.send(link, Way::ToClient, Piece::End);
            }
        }
    }

    /// Whether what arrives must wait. If so, it is kept.
    pub(crate) fn must_wait(&mut self, member: usize, event: impl FnOnce() -> Event) -> bool {
        let server = &mut self.members[member];
        let waits = server.is_paused(self.now);
        if waits {
            server.inbox.push_back(event());
        }
        waits
    }

    /// Everything that came during a pause is read before the clock is looked at.
    pub(crate) fn wake_server(&mut self, member: usize) {
        let server = &mut self.members[member];
        if server.is_paused(self.now) || server.replica.is_none() {
            return;
        }
        for event in mem::take(&mut server.inbox) {
            match event {
                Event::Stored { member, life, ticket } => self.stored(member, life, ticket),
                Event::PeerMessage { from, to, epoch, message } => {
                    self.peer_message(from, to, epoch, message);
                }
                Event::PeerDown { member, life, other } => self.peer_down(member, life, other),
                Event::Arrives { link, piece, .. } => self.at_server(link, piece),
                other => unreachable!("{other:?} is nothing that a server waits for"),
            }
        }
        self.step(member, Input::Tick);
        self.turn(member);
    }

    pub(crate) fn tick(&mut self, member: usize) {
        let server = &self.members[member];
        if server.wake_at != self.now || server.replica.is_none() || server.is_paused(self.now) {
            return;
        }
        self.counts.add("ticks");
        self.step(member, Input::Tick);
        self.turn(member);
    }

    pub(crate) fn peer_message(&mut self, from: usize, to: usize, epoch: u64, message: Vec<u8>) {
        if self.members[to].replica.is_none() || self.peer_links[from][to].epoch != epoch {
            return;
        }
        if self.members[to].is_paused(self.now) {
            self.members[to].inbox.push_back(Event::PeerMessage { from, to, epoch, message });
            return;
        }
        self.step(to, Input::Peer { from: from as u64 + 1, message: &message });
        self.turn(to);
    }

    pub(crate) fn peer_down(&mut self, member: usize, life: u64, other: usize) {
        if self.members[member].life != life || self.members[member].replica.is_none() {
            return;
        }
        if !self.must_wait(member, || Event::PeerDown { member, life, other }) {
            self.trace.note(self.now, Who::Server(member), "peer down", other as u64, || {
                format!("server {}", other + 1)
            });
            self.step(member, Input::PeerDown { member: other as u64 + 1 });
            self.turn(member);
        }
    }

    /// Something arrives from a client.
    pub(crate) fn at_server(&mut self, link: usize, piece: Piece) {
        let (member, life) = (self.links[link].member, self.links[link].life);
        let server = &self.members[member];
        if server.replica.is_none() {
            return;
        }
        if server.life != life {
            // The operating system knows no such connection.
            if matches!(piece, Piece::Bytes(_)) {
                self.send(link, Way::ToClient, Piece::End);
            }
            return;
        }
        if server.is_paused(self.now) {
            let event = Event::Arrives { link, way: Way::ToServer, piece };
            self.members[member].inbox.push_back(event);
            return;
        }
        if self.links[link].server.is_closed {
            return;
        }
        match piece {
            Piece::Bytes(bytes) => self.take_in(link, &bytes),
            Piece::End => {
                self.links[link].server.is_closed = true;
                if let Some(conn) = self.links[link].server.conn {
                    self.members[member].conns.remove(&conn);
                    self.step(member, Input::Disconnected { conn });
                }
            }
        }
        self.turn(member);
    }

    /// Hands the frames among the bytes to the replica.
    fn take_in(&mut self, link: usize, bytes: &[u8]) {
        let mut whole = mem::take(&mut self.links[link].server.partial);
        whole.extend_from_slice(bytes);
        let mut taken = 0;
        while !self.links[link].server.is_closed {
            let rest = &whole[taken..];
            let split = frame::split(rest, DEFAULT_MAX_FRAME);
            let Some(payload) = split.expect("clients send frames") else { break };
            taken += payload.end;
            self.take_frame(link, &rest[payload]);
        }
        self.links[link].server.partial = whole.split_off(taken);
    }

    fn take_frame(&mut self, link: usize, payload: &[u8]) {
        let (member, now) = (self.links[link].member, self.now);
        let number = digest(payload);
        if let Some(conn) = self.links[link].server.conn {
            let header = RequestHeader::decode(&mut Reader::new(payload));
            let header = header.expect("clients send whole headers");
            let op = OpCode::from_i32(header.op);
            self.trace.note(now, Who::Server(member), "request", number, || {
                let op = op.map_or("?".to_owned(), |op| op.to_string());
                format!("{op} xid {} on connection {}", header.xid, conn.0)
            });
            let end = &mut self.links[link].server;
            match op {
                Some(OpCode::Ping) => end.pings.push_back(now),
                Some(op) if is_write(op) => end.writes.push_back((header.xid, now)),
                _ => {}
            }
            end.asks_close |= op == Some(OpCode::CloseSession);
            if !matches!(op, Some(OpCode::Ping | OpCode::Auth)) {
                end.asked.push_back(header.xid);
            }
            if let Some((session, _)) = end.granted {
                if end.asks_close {
                    self.ledger.sessions.asked_by_client.insert(session);
                }
                self.ledger.sessions.heard(session, link);
                if op != Some(OpCode::Auth) {
                    self.ledger.sessions.touched(now, session);
                }
            }
            return self.step(member, Input::Frame { conn, payload });
        }
        let request = ConnectRequest::decode(payload).expect("clients send whole handshakes");
        let conn = ConnId(self.members[member].next_conn);
        self.members[member].next_conn += 1;
        self.members[member].conns.insert(conn, link);
        let end = &mut self.links[link].server;
        end.conn = Some(conn);
        end.connected_at = Some(now);
        let client = self.links[link].client;
        self.trace.note(now, Who::Server(member), "handshake", number, || {
            let (session, timeout) = (request.session, request.timeout_ms);
            format!("client {client} wants {session} for {timeout} ms, connection {}", conn.0)
        });
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut entropy = [0; 16];
        entropy[..8].copy_from_slice(&self.random.next().to_le_bytes());
        entropy[8..].copy_from_slice(&self.random.next().to_le_bytes());
        self.step(member, Input::Connect { conn, peer, certificate: None, request, entropy });
    }

    pub(crate) fn step(&mut self, member: usize, input: Input<'_>) {
        let server = &mut self.members[member];
        let now = server.clock.now(self.now);
        let Some(replica) = &mut server.replica else { return };
        let mut out = Outputs::default();
        replica.step(input, now, &mut out);
        self.perform(member, out);
    }

    /// Ends a server's turn: what its inputs led to is proposed, and its next tick is set.
    pub(crate) fn turn(&mut self, member: usize) {
        loop {
            let server = &mut self.members[member];
            let now = server.clock.now(self.now);
            let Some(replica) = &mut server.replica else { return };
            if let Some(Bug::Replica(bug)) = self.bug {
                // Again and again: what a snapshot brings has no mistakes.
                replica.plant(bug);
            }
            let mut out = Outputs::default();
            replica.flush(now, &mut out);
            let has_work = replica.has_work(true);
            self.perform(member, out);
            if !has_work {
                break;
            }
            self.step(member, Input::Work { snapshot_room: true });
        }
        self.check_replica(member);
        let server = &self.members[member];
        let Some(replica) = &server.replica else { return };
        let due = server.clock.when(replica.next_deadline_us() * 1000);
        // Too often, but what a seed stands for depends on how often chance is asked. Where most of
        // what happens are ticks, it would cost too much.
        let awaited = if self.plan.is_quiet { server.due_at } else { server.wake_at };
        if server.wake_at <= self.now || due < awaited {
            // No operating system wakes a process on the nanosecond.
            let at = due.max(self.now + 1) + self.random.below(200_000);
            self.members[member].wake_at = at;
            self.members[member].due_at = due;
            self.schedule(at, Event::Tick(member));
        }
    }

    fn perform(&mut self, member: usize, out: Outputs) {
        for item in out.items {
            match item {
                Output::Send { conn, range } => self.deliver(member, conn, &out.bytes[range]),
                Output::Close { conn, why } => self.hang_up(member, conn, &format!("{why:?}")),
                Output::Persist(persist) => self.persist(member, persist),
                Output::Peer { to, message } => self.send_peer(member, to as usize - 1, message),
                Output::Event(event) => self.server_event(member, &event),
                Output::SnapshotBegin(meta) => {
                    let begun = Snapshot { meta, chunks: Vec::new() };
                    self.members[member].disk.unfinished = Some(begun);
                }
                Output::SnapshotChunk(chunk) => {
                    if let Some(unfinished) = &mut self.members[member].disk.unfinished {
                        unfinished.chunks.push(chunk);
                    }
                }
                Output::Links { .. } => {}
                Output::SnapshotEnd => self.store_snapshot(member),
                Output::SnapshotAbandon => self.members[member].disk.unfinished = None,
                Output::SnapshotSend { to, reaching } => {
                    self.send_snapshot(member, to as usize - 1, reaching);
                }
                Output::LogRestart { after } => {
                    self.members[member].disk.pending.push_back(Job::Restart(after));
                }
            }
        }
    }

    fn hang_up(&mut self, member: usize, conn: ConnId, why: &str) {
        let Some(link) = self.members[member].conns.remove(&conn) else { return };
        self.trace.note(self.now, Who::Server(member), "hangs up", conn.0, || {
            format!("connection {}: {why}", conn.0)
        });
        self.links[link].server.is_closed = true;
        self.send(link, Way::ToClient, Piece::End);
    }

    /// Sends frames to a client, and notes what they promise it.
    fn deliver(&mut self, member: usize, conn: ConnId, bytes: &[u8]) {
        let Some(link) = self.members[member].conns.get(&conn).copied() else { return };
        let late = self.bug == Some(Bug::Host(HostBug::NotifiesLate));
        let bytes = if late { notified_late(bytes) } else { bytes.to_vec() };
        let mut rest = &bytes[..];
        while let Ok(Some(payload)) = frame::split(rest, usize::MAX >> 1) {
            self.note_reply(member, link, &rest[payload.clone()]);
            rest = &rest[payload.end..];
        }
        self.send(link, Way::ToClient, Piece::Bytes(bytes));
    }

    fn note_reply(&mut self, member: usize, link: usize, payload: &[u8]) {
        let (number, now) = (digest(payload), self.now);
        let end = &mut self.links[link].server;
        let conn = end.conn.map_or(0, |conn| conn.0);
        if !end.is_answered {
            end.is_answered = true;
            let response = ConnectResponse::decode(payload).expect("servers send whole handshakes");
            let (session, timeout_ms) = (response.session, response.timeout_ms);
            self.trace.note(now, Who::Server(member), "answers", number, || {
                format!("connection {conn}: {session} for {timeout_ms} ms")
            });
            if session != SessionId(0) {
                let timeout = timeout_ms as u64 * MS;
                end.granted = Some((session, timeout));
                let heard_at = end.connected_at.unwrap_or(now);
                if end.asks_close {
                    self.ledger.sessions.asked_by_client.insert(session);
                }
                self.grant(link, session, heard_at, timeout);
            }
            return;
        }
        let header = ReplyHeader::decode(&mut Reader::new(payload)).expect("whole headers");
        self.trace.note(now, Who::Server(member), "replies", number, || {
            let ReplyHeader { xid, zxid, err } = header;
            format!("connection {conn}: xid {xid} err {err} zxid {zxid}")
        });
        self.check_turn(link, header.xid);
        let end = &mut self.links[link].server;
        let heard_at = match header.xid {
            PING_XID => end.pings.pop_front(),
            xid => end.writes.pop_front_if(|write| write.0 == xid).map(|write| write.1),
        };
        if let (Some(heard_at), Some((session, timeout)), 0) = (heard_at, end.granted, header.err) {
            self.ledger.sessions.vouched(session, link, heard_at, timeout);
        }
    }

    fn grant(&mut self, link: usize, session: SessionId, heard_at: Nanos, timeout: Nanos) {
        if self.links[link].is_of_stranger() {
            let text = format!("a stranger was granted session {session}");
            return self.violated(Rule::NeverAdopted, || text);
        }
        // Who has given the link up never sees it.
        let client = self.clients[self.links[link].client].process.as_ref();
        if client.is_some_and(|process| process.link.is_some_and(|(own, _)| own == link)) {
            self.ledger.sessions.granted(session, link, heard_at, timeout);
        }
    }

    /// Answers come in the order of requests, those to pings and auth packets apart.
    fn check_turn(&mut self, link: usize, xid: Xid) {
        if matches!(xid, NOTIFICATION_XID | PING_XID | AUTH_XID) {
            return;
        }
        let first = self.links[link].server.asked.pop_front();
        if first != Some(xid) {
            let member = self.links[link].member + 1;
            self.violated(Rule::SessionsInOrder, || {
                format!("server {member} answered request {xid} before {first:?}")
            });
        }
    }

    fn server_event(&mut self, member: usize, event: &tenure_replica::Event) {
        let now = self.now;
        let text = || format!("{event:?}");
        match event {
            tenure_replica::Event::Leading { epoch } => {
                self.trace.note(now, Who::Server(member), "leads", *epoch, text);
                self.members[member].led_epoch = *epoch;
                self.check_leader(member, *epoch);
                self.counts.add("elections won");
            }
            tenure_replica::Event::Led { .. }
            | tenure_replica::Event::ElectionSettled { .. }
            | tenure_replica::Event::DiskStalled => {
                self.trace.note(now, Who::Server(member), "election", 0, text);
            }
            tenure_replica::Event::CatchingUp { begins } => {
                self.trace.note(now, Who::Server(member), "catches up", u64::from(*begins), text);
            }
            tenure_replica::Event::SessionEnded { session, reason, .. } => {
                self.trace.note(now, Who::Server(member), "ended", session.0 as u64, text);
                self.session_ended(member, *session, *reason);
            }
            tenure_replica::Event::SessionOpened { session, conn, .. } => {
                let replica = self.members[member].replica.as_ref();
                if conn.is_some() && replica.is_some_and(|it| it.local_session(*session).is_some())
                {
                    self.counts.add("sessions of one server");
                }
                self.trace.note(now, Who::Server(member), "opened", session.0 as u64, text);
            }
            tenure_replica::Event::SessionResumed { session, .. } => {
                self.trace.note(now, Who::Server(member), "resumed", session.0 as u64, text);
            }
            tenure_replica::Event::SessionDetached { session, .. } => {
                self.trace.note(now, Who::Server(member), "detached", session.0 as u64, text);
            }
            // It is switched off here: its sessions are none of the ensemble.
            tenure_replica::Event::ReadOnlyBegan { .. }
            | tenure_replica::Event::ReadOnlyEnded { .. } => {}
        }
    }
}

fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create | OpCode::Create2 | OpCode::Delete | OpCode::SetData | OpCode::Multi
    )
}

/// The frames, but notifications behind everything else.
fn notified_late(bytes: &[u8]) -> Vec<u8> {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while let Ok(Some(payload)) = frame::split(rest, usize::MAX >> 1) {
        let header = ReplyHeader::decode(&mut Reader::new(&rest[payload.clone()]));
        let is_notification = header.is_ok_and(|header| header.xid == NOTIFICATION_XID);
        let to = if is_notification { &mut last } else { &mut first };
        to.extend_from_slice(&rest[..payload.end]);
        rest = &rest[payload.end..];
    }
    first.append(&mut last);
    first
}
