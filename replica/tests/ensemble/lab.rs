//! Three replicas, their links, disks and clients.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use tenure_replica::{
    Ack, AuditRecord, Bounds, CloseWhy, Config, ConnId, Denial, Event, HardState, Input, LogEntry,
    Membership, Now, Output, Outputs, Persist, Replica, Restored, Restorer, SnapshotMeta, State,
};
use tenure_wire::{
    Acl, ConnectRequest, ConnectResponse, Create, Member, OpCode, Reader, ReplyHeader, Request,
    RequestHeader, Xid, frame,
};

/// Three members, links that keep order, disks that are durable at once.
pub(crate) struct Ensemble {
    pub(crate) members: Vec<Replica>,
    pub(crate) down: Vec<bool>,
    /// Hears no member and is heard by none, and its clock stands; its clients reach it.
    pub(crate) cut_off: Option<usize>,
    /// What the first of them says, the second does not hear.
    pub(crate) unheard: Option<(usize, usize)>,
    /// Is heard by everybody and hears no member.
    pub(crate) deaf: Option<usize>,
    pub(crate) now: Now,
    /// Its disk writes nothing for the time being.
    pub(crate) stuck_disk: Option<usize>,
    pub(crate) links: VecDeque<(u64, u64, Vec<u8>)>,
    pub(crate) persisted: VecDeque<(usize, u64)>,
    pub(crate) disks: Vec<Disk>,
    /// What each member was started with.
    configs: Vec<Config>,
    /// Whom each member has links with; everybody if nobody is named.
    pub(crate) linked: Vec<Membership>,
    /// The ensemble's id as each member has it told its links.
    pub(crate) told_cluster: Vec<u64>,
    /// Snapshots sent from one member to another.
    pub(crate) transfers: Vec<(usize, usize)>,
    pub(crate) got: BTreeMap<(usize, ConnId), Vec<Vec<u8>>>,
    pub(crate) closed: Vec<(usize, ConnId, CloseWhy)>,
    pub(crate) events: Vec<(usize, Event)>,
    pub(crate) audited: Vec<(usize, AuditRecord)>,
    pub(crate) denied: Vec<(usize, Denial)>,
    /// What each leader was confirmed.
    pub(crate) acks: Vec<(usize, Ack)>,
    pub(crate) next_conn: u64,
}

/// What a member finds again after a restart.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) snapshot: Option<Snapshot>,
    writing: Option<Snapshot>,
}

pub(crate) type Snapshot = (SnapshotMeta, Vec<Vec<u8>>);

impl Disk {
    fn write(&mut self, persist: Persist) {
        self.hard_state = persist.hard_state.unwrap_or(self.hard_state);
        if let Some(first) = persist.entries.first() {
            self.log.retain(|entry| entry.index < first.index);
            self.log.extend(persist.entries);
        }
    }

    fn restored(&self) -> Restored {
        let snapshot = self.snapshot.as_ref();
        let after = snapshot.map_or(0, |(meta, _)| meta.index);
        let entries = self.log.iter().filter(|entry| entry.index > after).cloned().collect();
        let snapshot = snapshot.map(|(meta, chunks)| (meta.clone(), restore(chunks)));
        let hard_state = self.hard_state;
        Restored { snapshot, hard_state, entries, is_complete: false }
    }
}

pub(crate) fn restore(chunks: &[Vec<u8>]) -> State {
    let mut restorer = Restorer::new(7);
    chunks.iter().for_each(|chunk| restorer.chunk(chunk).unwrap());
    restorer.finish().unwrap()
}

impl Ensemble {
    pub(crate) fn new() -> Self {
        Self::with_tail(200_000)
    }

    /// With members that keep so many applied entries for each other.
    pub(crate) fn with_tail(tail_entries: u64) -> Self {
        Self::of((1..=3).map(|id| config(id, tail_entries)).collect())
    }

    /// Three voters and an observer.
    pub(crate) fn with_observer() -> Self {
        let member = |id| Config { observers: vec![4], ..config(id, 200_000) };
        Self::of((1..=4).map(member).collect())
    }

    /// Three members that can be reconfigured by anybody.
    pub(crate) fn reconfigurable() -> Self {
        Self::of((1..=3).map(|id| reconfigurable(id, &lines(1..=3))).collect())
    }

    /// Three members that serve reads after two seconds without a leader.
    pub(crate) fn read_only() -> Self {
        let member = |id| Config { read_only_after_ms: Some(2_000), ..config(id, 200_000) };
        Self::of((1..=3).map(member).collect())
    }

    /// Three members with bounds on what they keep together.
    pub(crate) fn bounded(bounds: Bounds) -> Self {
        Self::of((1..=3).map(|id| Config { bounds, ..config(id, 200_000) }).collect())
    }

    /// Three members whose sessions are their own, until they are to have ephemerals.
    pub(crate) fn with_local_sessions(local_upgrading: bool) -> Self {
        let rule = |config| Config {
            local_sessions: true,
            local_upgrading,
            extended_types: true,
            read_only_after_ms: Some(10_000),
            ..config
        };
        Self::of((1..=3).map(|id| rule(config(id, 200_000))).collect())
    }

    /// One server by itself with sessions of its own.
    pub(crate) fn alone_with_local_sessions() -> Self {
        let (local_sessions, local_upgrading, voters) = (true, true, vec![1]);
        Self::of(vec![Config { voters, local_sessions, local_upgrading, ..config(1, 200_000) }])
    }

    fn of(configs: Vec<Config>) -> Self {
        let now = Now { mono_us: 1_000_000, wall_ms: 1_700_000_000_000 };
        let member = |config: &Config| Replica::new(config.clone(), Restored::default(), now);
        let mut ensemble = Ensemble {
            members: configs.iter().map(member).collect(),
            disks: configs.iter().map(|_| Disk::default()).collect(),
            linked: configs.iter().map(|_| Membership::default()).collect(),
            told_cluster: vec![0; configs.len()],
            down: vec![false; configs.len()],
            configs,
            transfers: Vec::new(),
            cut_off: None,
            unheard: None,
            deaf: None,
            stuck_disk: None,
            now,
            links: VecDeque::new(),
            persisted: VecDeque::new(),
            got: BTreeMap::new(),
            closed: Vec::new(),
            events: Vec::new(),
            audited: Vec::new(),
            denied: Vec::new(),
            acks: Vec::new(),
            next_conn: 1,
        };
        ensemble.run(3_000);
        ensemble
    }

    pub(crate) fn step(&mut self, member: usize, input: Input<'_>) {
        let mut out = Outputs::default();
        self.members[member].step(input, self.now, &mut out);
        self.members[member].flush(self.now, &mut out);
        self.perform(member, out);
    }

    pub(crate) fn perform(&mut self, member: usize, out: Outputs) {
        self.audited.extend(out.audited.into_iter().map(|record| (member, record)));
        self.denied.extend(out.denied.into_iter().map(|denial| (member, denial)));
        self.acks.extend(out.acks.into_iter().map(|ack| (member, ack)));
        for item in out.items {
            match item {
                Output::Send { conn, range } => {
                    let mut bytes = &out.bytes[range];
                    while let Some(payload) = frame::split(bytes, 1 << 20).unwrap() {
                        let frames = self.got.entry((member, conn)).or_default();
                        frames.push(bytes[payload.clone()].to_vec());
                        bytes = &bytes[payload.end..];
                    }
                }
                Output::Close { conn, why } => self.closed.push((member, conn, why)),
                Output::Persist(persist) => {
                    self.persisted.push_back((member, persist.ticket));
                    self.disks[member].write(persist);
                }
                Output::SnapshotBegin(meta) => {
                    self.disks[member].writing = Some((meta, Vec::new()))
                }
                Output::SnapshotChunk(chunk) => {
                    self.disks[member].writing.as_mut().unwrap().1.push(chunk);
                }
                Output::SnapshotEnd => self.saved(member),
                Output::SnapshotSend { to, reaching } => {
                    self.send_snapshot(member, to as usize - 1, reaching);
                }
                Output::LogRestart { after } => {
                    let disk = &mut self.disks[member];
                    let (meta, _) = disk.snapshot.as_ref().unwrap();
                    assert_eq!(meta.index, after, "the snapshot is durable before the log is cut");
                    disk.log.retain(|entry| entry.index > after);
                }
                Output::Event(event) => self.events.push((member, event)),
                Output::Links { members, cluster, .. } => {
                    self.linked[member] = members;
                    self.told_cluster[member] = cluster;
                }
                Output::Peer { to, message } => {
                    self.links.push_back((member as u64 + 1, to, message));
                }
                _ => {}
            }
        }
    }

    /// Delivers everything under way, then lets time pass, 5 ms at a time.
    pub(crate) fn run(&mut self, ms: u64) {
        for _ in 0..=ms / 5 {
            loop {
                let ripe = self.persisted.iter().position(|(at, _)| self.stuck_disk != Some(*at));
                if let Some((member, ticket)) = ripe.and_then(|at| self.persisted.remove(at)) {
                    if !self.down[member] {
                        self.step(member, Input::Persisted { ticket });
                    }
                } else if let Some((from, to, message)) = self.links.pop_front() {
                    let lost = |member: u64| {
                        let member = member as usize - 1;
                        self.down.get(member).is_none_or(|down| *down)
                            || self.cut_off == Some(member)
                    };
                    let know = |one: u64, other: u64| {
                        let mut linked = self.linked[one as usize - 1].iter().peekable();
                        linked.peek().is_none() || linked.any(|member| member.id == other)
                    };
                    let ends = (from as usize - 1, to as usize - 1);
                    let is_heard = self.deaf != Some(ends.1) && self.unheard != Some(ends);
                    if is_heard && !lost(to) && !lost(from) && know(from, to) && know(to, from) {
                        self.step(to as usize - 1, Input::Peer { from, message: &message });
                    }
                } else {
                    break;
                }
            }
            for member in 0..self.members.len() {
                while !self.down[member] && self.members[member].has_work(true) {
                    self.step(member, Input::Work { snapshot_room: true });
                }
            }
            self.now.mono_us += 5_000;
            self.now.wall_ms += 5;
            for member in 0..self.members.len() {
                if !self.down[member] && self.cut_off != Some(member) {
                    self.step(member, Input::Tick);
                }
            }
        }
    }

    fn saved(&mut self, member: usize) {
        let disk = &mut self.disks[member];
        let whole = disk.writing.take().unwrap();
        let index = whole.0.index;
        disk.log.retain(|entry| entry.index > index);
        disk.snapshot = Some(whole);
        self.members[member].step(
            Input::SnapshotSaved { index },
            self.now,
            &mut Outputs::default(),
        );
    }

    /// What a server does: sends its newest snapshot, or makes one.
    fn send_snapshot(&mut self, from: usize, to: usize, reaching: u64) {
        let newest = self.disks[from].snapshot.clone();
        match newest.filter(|(meta, _)| meta.index >= reaching) {
            None => self.step(from, Input::TakeSnapshot),
            Some((meta, chunks)) if !self.down[to] => {
                self.transfers.push((from, to));
                let member = to as u64 + 1;
                self.step(from, Input::SnapshotSending { to: member, index: meta.index });
                let state = Box::new(restore(&chunks));
                self.disks[to].snapshot = Some((meta.clone(), chunks));
                self.step(to, Input::SnapshotReceived { meta, state });
            }
            Some(_) => self.step(from, Input::SnapshotNotSent { to: to as u64 + 1 }),
        }
    }

    /// Starts a member that is down on what its disk holds.
    pub(crate) fn restart(&mut self, member: usize) {
        let restored = self.disks[member].restored();
        self.start(member, restored);
    }

    /// The same after an operator has said that the disk holds all there ever was.
    pub(crate) fn restart_as_complete(&mut self, member: usize) {
        let restored = Restored { is_complete: true, ..self.disks[member].restored() };
        self.start(member, restored);
    }

    fn start(&mut self, member: usize, restored: Restored) {
        self.members[member] = Replica::new(self.configs[member].clone(), restored, self.now);
        self.down[member] = false;
    }

    /// Starts one more member, whose own configuration lists all.
    pub(crate) fn add_member(&mut self) {
        let id = self.members.len() as u64 + 1;
        let config = reconfigurable(id, &lines(1..=id));
        self.members.push(Replica::new(config.clone(), Restored::default(), self.now));
        self.configs.push(config);
        self.disks.push(Disk::default());
        self.linked.push(Membership::default());
        self.told_cluster.push(0);
        self.down.push(false);
    }

    pub(crate) fn leader(&self) -> usize {
        let leads = |member: &usize| !self.down[*member] && self.members[*member].is_leader();
        (0..self.members.len()).find(leads).expect("a quorum is up, so somebody leads")
    }

    pub(crate) fn kill(&mut self, member: usize) {
        self.down[member] = true;
        let up = (0..self.members.len()).filter(|other| !self.down[*other]);
        for other in up.collect::<Vec<_>>() {
            self.step(other, Input::PeerDown { member: member as u64 + 1 });
        }
    }

    pub(crate) fn connect(
        &mut self,
        member: usize,
        request: ConnectRequest<'_>,
    ) -> (ConnId, ConnectResponse) {
        let frames = self.ask_for_session(member, request);
        (ConnId(self.next_conn - 1), ConnectResponse::decode(&frames[0]).unwrap())
    }

    /// Sends a handshake on a new connection and returns the frames that answer it.
    pub(crate) fn ask_for_session(
        &mut self,
        member: usize,
        request: ConnectRequest<'_>,
    ) -> Vec<Vec<u8>> {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.step(
            member,
            Input::Connect { conn, peer, certificate: None, request, entropy: [conn.0 as u8; 16] },
        );
        self.run(20);
        self.got.remove(&(member, conn)).unwrap_or_default()
    }

    pub(crate) fn open(&mut self, member: usize, timeout_ms: i32) -> (ConnId, ConnectResponse) {
        self.connect(member, ConnectRequest { timeout_ms, ..ConnectRequest::default() })
    }

    /// Sends a request and returns (xid, error) of the replies.
    pub(crate) fn ask(
        &mut self,
        member: usize,
        conn: ConnId,
        request: &Request<'_>,
    ) -> Vec<(i32, i32)> {
        self.ask_all(member, conn, &[request])
    }

    /// Sends requests without waiting between them and returns (xid, error) of the replies.
    pub(crate) fn ask_all(
        &mut self,
        member: usize,
        conn: ConnId,
        requests: &[&Request<'_>],
    ) -> Vec<(i32, i32)> {
        for (xid, request) in (9..).zip(requests) {
            let mut payload = Vec::new();
            RequestHeader { xid: Xid(xid), op: request.op().code() }.encode(&mut payload);
            request.encode(&mut payload);
            self.step(member, Input::Frame { conn, payload: &payload });
        }
        self.run(20);
        self.take_answers(member, conn)
    }

    /// (xid, error) of the replies that came since the last ones were taken.
    pub(crate) fn take_answers(&mut self, member: usize, conn: ConnId) -> Vec<(i32, i32)> {
        let frames = self.got.remove(&(member, conn)).unwrap_or_default();
        let header = |frame: &Vec<u8>| ReplyHeader::decode(&mut Reader::new(frame)).unwrap();
        frames.iter().map(header).map(|header| (header.xid.0, header.err)).collect()
    }
}

fn config(id: u64, log_tail_entries: u64) -> Config {
    let (voters, incarnation, hash_seed) = (vec![1, 2, 3], id, 40 + id);
    let audit = true;
    Config { id, voters, incarnation, hash_seed, log_tail_entries, audit, ..Config::default() }
}

/// Member lines of these numbers.
pub(crate) fn lines(ids: std::ops::RangeInclusive<u64>) -> String {
    ids.map(|id| format!("server.{id}=127.0.0.{id}:2888:3888:participant\n")).collect()
}

fn reconfigurable(id: u64, lines: &str) -> Config {
    let parse = |line: &str| {
        let (key, value) = line.split_once('=').unwrap();
        Member::parse(key.strip_prefix("server.").unwrap().parse().unwrap(), value).unwrap()
    };
    let members: Vec<Member> = lines.lines().map(parse).collect();
    let voters = members.iter().map(|member| member.id).collect();
    let members = Membership::new(members);
    let (members_are_fixed, reconfig_enabled, skip_acl) = (false, true, true);
    Config { voters, members, members_are_fixed, reconfig_enabled, skip_acl, ..config(id, 50) }
}

pub(crate) fn create(path: &str, flags: i32) -> Request<'_> {
    let (op, acl) = (OpCode::Create, vec![Acl::OPEN]);
    Request::Create(Create { op, path: path.into(), data: None, acl, flags, ttl_ms: None })
}

pub(crate) fn get(path: &str) -> Request<'_> {
    Request::GetData { path: path.into(), watch: false }
}
