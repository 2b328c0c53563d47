//! A replica with a disk that is durable at once, and clients that are just connection ids.
#![allow(clippy::unwrap_used, reason = "a failed expectation here is a failed test")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use tenure_replica::{
    CloseWhy, Config, ConnId, Event, HardState, Input, LogEntry, Now, Output, Outputs, Persist,
    Replica, Restored, Restorer, SnapshotMeta,
};
use tenure_wire::{
    ConnectRequest, ConnectResponse, OpCode, Reader, ReplyHeader, Request, RequestHeader, Response,
    SessionId, WatcherEvent, Xid, Zxid, frame,
};

/// What a client received, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Got {
    /// Bytes of a whole frame.
    Frame(Vec<u8>),
    /// The connection was closed.
    Closed(CloseWhy),
}

/// One replica and all that surrounds it.
pub(crate) struct World {
    pub(crate) replica: Replica,
    pub(crate) now: Now,
    pub(crate) got: BTreeMap<ConnId, Vec<Got>>,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) events: Vec<Event>,
    pub(crate) snapshots: Vec<(SnapshotMeta, Vec<Vec<u8>>)>,
    config: Config,
    snapshot: Option<(SnapshotMeta, Vec<Vec<u8>>)>,
    hard_state: HardState,
    next_conn: u64,
}

#[allow(dead_code, reason = "each test file uses its own part of the harness")]
impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self::restored(config, Restored::default(), Vec::new())
    }

    fn restored(config: Config, restored: Restored, log: Vec<LogEntry>) -> Self {
        let now = Now { mono_us: 5_000_000, wall_ms: 1_700_000_000_000 };
        let hard_state = restored.hard_state;
        let replica = Replica::new(config.clone(), restored, now);
        let mut world = World {
            replica,
            now,
            got: BTreeMap::new(),
            log,
            events: Vec::new(),
            snapshots: Vec::new(),
            config,
            snapshot: None,
            hard_state,
            next_conn: 1,
        };
        world.settle();
        assert!(world.replica.is_serving(), "a sole voter serves once its first entry is durable");
        world
    }

    /// A new process on the same disk.
    pub(crate) fn restart(self) -> Self {
        let hard_state = self.hard_state;
        let snapshot = self.snapshots.last().map(|(meta, chunks)| {
            let mut restorer = Restorer::new(self.config.hash_seed + 1);
            for chunk in chunks {
                restorer.chunk(chunk).unwrap();
            }
            (meta.clone(), restorer.finish().unwrap())
        });
        let after = snapshot.as_ref().map_or(0, |(meta, _)| meta.index);
        let entries = self.log.iter().filter(|entry| entry.index > after).cloned().collect();
        let config = Config {
            incarnation: self.config.incarnation + 1,
            hash_seed: self.config.hash_seed + 1,
            ..self.config
        };
        let mut world = Self::restored(
            config,
            Restored { snapshot, hard_state, entries, is_complete: false },
            self.log,
        );
        world.next_conn = self.next_conn;
        world
    }

    pub(crate) fn step(&mut self, input: Input<'_>) {
        let mut out = Outputs::default();
        self.replica.step(input, self.now, &mut out);
        self.perform(out);
    }

    /// Lets everything under way finish.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut out = Outputs::default();
            self.replica.flush(self.now, &mut out);
            let quiet = out.items.is_empty();
            self.perform(out);
            if self.replica.has_work(true) {
                self.step(Input::Work { snapshot_room: true });
            } else if quiet {
                return;
            }
        }
    }

    fn perform(&mut self, out: Outputs) {
        for item in out.items {
            match item {
                Output::Send { conn, range } => {
                    let mut bytes = &out.bytes[range];
                    while !bytes.is_empty() {
                        let payload = frame::split(bytes, 1 << 30).unwrap().unwrap();
                        let frame = bytes[payload.clone()].to_vec();
                        self.got.entry(conn).or_default().push(Got::Frame(frame));
                        bytes = &bytes[payload.end..];
                    }
                }
                Output::Close { conn, why } => {
                    self.got.entry(conn).or_default().push(Got::Closed(why));
                }
                Output::Persist(persist) => self.persist(persist),
                Output::SnapshotBegin(meta) => self.snapshot = Some((meta, Vec::new())),
                Output::SnapshotChunk(chunk) => self.snapshot.as_mut().unwrap().1.push(chunk),
                Output::SnapshotEnd => {
                    let snapshot = self.snapshot.take().unwrap();
                    let index = snapshot.0.index;
                    self.snapshots.push(snapshot);
                    self.step(Input::SnapshotSaved { index });
                }
                Output::SnapshotAbandon | Output::LogRestart { .. } => {
                    panic!("a sole voter receives no snapshots")
                }
                Output::Links { members, .. } => assert!(members.is_empty(), "nobody to talk to"),
                Output::SnapshotSend { to, .. } | Output::Peer { to, .. } => {
                    panic!("a sole voter has nobody like {to} to talk to")
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn persist(&mut self, persist: Persist) {
        if let Some(first) = persist.entries.first() {
            self.log.retain(|entry| entry.index < first.index);
            self.log.extend(persist.entries.iter().cloned());
        }
        let ticket = persist.ticket;
        self.hard_state = persist.hard_state.unwrap_or(self.hard_state);
        self.step(Input::Persisted { ticket });
    }

    /// Time passes in steps of 10 ms, ticking all along.
    pub(crate) fn wait(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.now.mono_us += 10_000;
            self.now.wall_ms += 10;
            self.step(Input::Tick);
            self.settle();
        }
    }

    pub(crate) fn connect(&mut self, request: ConnectRequest<'_>) -> (ConnId, Vec<Got>) {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let entropy = [conn.0 as u8 + 100; 16];
        self.step(Input::Connect { conn, peer, certificate: None, request, entropy });
        self.settle();
        (conn, self.take(conn))
    }

    /// Establishes a session of this timeout.
    pub(crate) fn open(&mut self, timeout_ms: i32) -> (ConnId, ConnectResponse) {
        let request = ConnectRequest { timeout_ms, read_only: Some(false), ..Default::default() };
        let (conn, got) = self.connect(request);
        let [Got::Frame(frame)] = &got[..] else { panic!("no connect response but {got:?}") };
        (conn, ConnectResponse::decode(frame).unwrap())
    }

    pub(crate) fn resume(&mut self, session: SessionId, password: &[u8]) -> (ConnId, Vec<Got>) {
        let password = Some(password);
        let timeout_ms = 10_000;
        self.connect(ConnectRequest { session, password, timeout_ms, ..Default::default() })
    }

    pub(crate) fn send(&mut self, conn: ConnId, xid: i32, request: &Request<'_>) {
        let mut payload = Vec::new();
        RequestHeader { xid: Xid(xid), op: request.op().code() }.encode(&mut payload);
        request.encode(&mut payload);
        self.step(Input::Frame { conn, payload: &payload });
    }

    pub(crate) fn take(&mut self, conn: ConnId) -> Vec<Got> {
        self.got.remove(&conn).unwrap_or_default()
    }

    /// Sends one request and returns everything received after it, in words.
    pub(crate) fn ask(&mut self, conn: ConnId, xid: i32, request: &Request<'_>) -> Vec<String> {
        self.send(conn, xid, request);
        self.settle();
        let op = request.op();
        self.take(conn).iter().map(|got| words(op, got)).collect()
    }

    pub(crate) fn last_zxid(&self) -> Zxid {
        self.replica.last_zxid()
    }
}

/// What was received, readable: `xid err body`, or `watch KIND PATH`, or `closed WHY`.
pub(crate) fn words(op: OpCode, got: &Got) -> String {
    let frame = match got {
        Got::Closed(why) => return format!("closed {why:?}"),
        Got::Frame(frame) => frame,
    };
    let mut reader = Reader::new(frame);
    let header = ReplyHeader::decode(&mut reader).unwrap();
    if header.xid == Xid(-1) {
        let event = WatcherEvent::decode(&mut reader).unwrap();
        return format!("watch {:?} {}", event.kind, event.path);
    }
    if header.err != 0 {
        assert_eq!(reader.remaining(), 0, "an error reply has no body");
        return format!("{} error {}", header.xid.0, header.err);
    }
    match Response::decode(op, reader.rest()).unwrap() {
        Response::Empty => format!("{} ok", header.xid.0),
        Response::Path(path) => format!("{} {path}", header.xid.0),
        Response::PathStat { path, .. } => format!("{} {path} with stat", header.xid.0),
        Response::Stat(stat) => format!("{} version {}", header.xid.0, stat.version),
        Response::Data { data, .. } => {
            let data = data.map(|data| String::from_utf8_lossy(data).into_owned());
            format!("{} data {data:?}", header.xid.0)
        }
        Response::Children(children) => format!("{} {children:?}", header.xid.0),
        other => format!("{} {other:?}", header.xid.0),
    }
}
