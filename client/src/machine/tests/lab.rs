//! A machine, its clock, and the server's end of its link.

use std::time::Duration;

use tenure_wire::{
    ConnectRequest, ConnectResponse, ErrorCode, EventType, OpCode, PING_XID, Reader, ReplyHeader,
    Request, RequestHeader, Response, SessionId, WatcherEvent, Xid, Zxid, frame,
};

use crate::machine::{
    Action, Auth, Event, Failure, Host, Intent, LinkId, Machine, Reply, Settings, Submission,
    WatchKind, encode,
};
use crate::moment::Moment;
use crate::status::{LinkFault, Liveness, LostReason, State};

pub(super) const TIMEOUT_MS: u64 = 3000;
pub(super) const PASSWORD: [u8; 16] = [9; 16];
pub(super) const SESSION: SessionId = SessionId(0x77);

/// What the machine sent, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) xid: Xid,
    pub(super) op: OpCode,
    pub(super) body: Vec<u8>,
}

pub(super) struct Lab {
    pub(super) machine: Machine<u32, u32>,
    /// Milliseconds since the start.
    pub(super) ms: u64,
    pub(super) link: Option<LinkId>,
    pub(super) changes: Vec<(State, Liveness)>,
    pub(super) finished: Vec<(u32, Result<Reply, Failure>)>,
    pub(super) notified: Vec<(u32, Event, bool)>,
    pub(super) ended: Vec<(u32, LostReason)>,
    pub(super) opened: Vec<(LinkId, Host)>,
    /// Servers to be asked whether they can write.
    pub(super) asked: Vec<Host>,
    pub(super) zxid: i64,
}

impl Lab {
    /// One server, and the default settings but for what `edit` changes.
    pub(super) fn with(edit: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            hosts: vec![Host { name: "one".to_owned(), port: 1 }],
            timeout: Duration::from_millis(TIMEOUT_MS),
            read_only: false,
            auths: Vec::new(),
            resume: None,
            establish_limit: None,
            max_reply_bytes: 10_000,
            seed: 1,
        };
        edit(&mut settings);
        let mut lab = Self {
            machine: Machine::new(settings),
            ms: 0,
            link: None,
            changes: Vec::new(),
            finished: Vec::new(),
            notified: Vec::new(),
            ended: Vec::new(),
            opened: Vec::new(),
            asked: Vec::new(),
            zxid: 10,
        };
        lab.machine.start(lab.now());
        lab.act();
        lab
    }

    /// A session that was just established.
    pub(super) fn established() -> Self {
        let mut lab = Self::with(|_| {});
        lab.establish();
        lab
    }

    pub(super) fn now(&self) -> Moment {
        at(self.ms)
    }

    pub(super) fn act(&mut self) {
        while let Some(action) = self.machine.next_action() {
            match action {
                Action::Open(link, host) => {
                    assert_eq!(self.link, None, "one link at a time");
                    self.link = Some(link);
                    self.opened.push((link, host));
                }
                Action::Close(link) => assert_eq!(self.link.take(), Some(link)),
                Action::Finish(request, outcome) => self.finished.push((request, outcome)),
                Action::Notify(watcher, event, last) => self.notified.push((watcher, event, last)),
                Action::EndWatch(watcher, reason) => self.ended.push((watcher, reason)),
                Action::Change(state, liveness) => self.changes.push((state, liveness)),
                Action::AskWriter(host) => self.asked.push(host),
            }
        }
    }

    /// Lets the link come about and answers the handshake.
    pub(super) fn establish(&mut self) {
        let connect = self.connect();
        let session = if connect.session == SessionId(0) { SESSION } else { connect.session };
        self.confirm(session, TIMEOUT_MS as i32);
        assert!(self.machine.state().is_connected());
    }

    /// Lets the link come about and returns the handshake.
    pub(super) fn connect(&mut self) -> ConnectRequest<'static> {
        self.machine.connected(self.link.expect("a link is wanted"), self.now());
        self.act();
        let bytes = self.transmit();
        let payload = frame::split(&bytes, 1000).unwrap().unwrap();
        let request = ConnectRequest::decode(&bytes[payload]).unwrap();
        ConnectRequest { password: None, ..request }
    }

    pub(super) fn confirm(&mut self, session: SessionId, timeout_ms: i32) {
        let response = ConnectResponse {
            timeout_ms,
            session,
            password: PASSWORD,
            read_only: Some(false),
            ..ConnectResponse::default()
        };
        self.shake(response);
    }

    pub(super) fn shake(&mut self, response: ConnectResponse) {
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        response.encode(&mut bytes);
        frame::end(&mut bytes, start);
        self.receive(&bytes);
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.machine.received(self.link.expect("there is a link"), bytes, self.now());
        self.act();
    }

    pub(super) fn transmit(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.machine.transmit(self.now(), &mut bytes, 1 << 20);
        self.act();
        bytes
    }

    /// The requests that the machine sends now.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let bytes = self.transmit();
        let (mut rest, mut sent) = (&bytes[..], Vec::new());
        while let Some(payload) = frame::split(rest, 1 << 20).unwrap() {
            let end = payload.end;
            let mut reader = Reader::new(&rest[payload]);
            let header = RequestHeader::decode(&mut reader).unwrap();
            let op = OpCode::from_i32(header.op).unwrap();
            sent.push(Sent { xid: header.xid, op, body: reader.rest().to_vec() });
            rest = &rest[end..];
        }
        assert!(rest.is_empty());
        sent
    }

    pub(super) fn sent_ops(&mut self) -> Vec<OpCode> {
        self.sent().into_iter().map(|sent| sent.op).collect()
    }

    /// The bytes of a reply, which is that of a change if the operation is one.
    pub(super) fn reply_bytes(&mut self, xid: Xid, err: i32, body: Response<'_>) -> Vec<u8> {
        self.zxid += 1;
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        ReplyHeader { xid, zxid: Zxid(self.zxid), err }.encode(&mut bytes);
        if err == 0 {
            body.encode(&mut bytes);
        }
        frame::end(&mut bytes, start);
        bytes
    }

    pub(super) fn reply(&mut self, xid: Xid, body: Response<'_>) {
        let bytes = self.reply_bytes(xid, 0, body);
        self.receive(&bytes);
    }

    pub(super) fn refuse(&mut self, xid: Xid, code: ErrorCode) {
        let bytes = self.reply_bytes(xid, code.code(), Response::Empty);
        self.receive(&bytes);
    }

    pub(super) fn notify(&mut self, kind: EventType, path: &str) {
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        let xid = tenure_wire::NOTIFICATION_XID;
        ReplyHeader { xid, zxid: Zxid(self.zxid), err: 0 }.encode(&mut bytes);
        WatcherEvent { kind, state: 3, path: path.into() }.encode(&mut bytes);
        frame::end(&mut bytes, start);
        self.receive(&bytes);
    }

    /// Lets time pass, calling the machine whenever it wants to be.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.ms + ms;
        loop {
            let due = self.machine.next_deadline().map(ceil_ms).filter(|due| *due <= until);
            let Some(due) = due else { break };
            self.ms = self.ms.max(due);
            self.machine.timeout_at(self.now());
            self.act();
            // Whoever waits for a ping to be sent would be called for ever.
            let due = self.machine.next_deadline();
            if self.machine.has_to_transmit(self.now()) && due.is_some_and(|due| due <= self.now())
            {
                return;
            }
        }
        self.ms = until;
    }

    /// Lets time pass with a server that answers every ping `delay_ms` later.
    pub(super) fn pass_with_pings(&mut self, ms: u64, delay_ms: u64) {
        let until = self.ms + ms;
        while self.ms < until {
            self.pass(until - self.ms);
            for sent in self.sent() {
                assert_eq!(sent.op, OpCode::Ping);
                self.ms += delay_ms;
                self.reply(PING_XID, Response::Empty);
            }
        }
    }

    pub(super) fn lose_link(&mut self) {
        let link = self.link.expect("there is a link");
        self.machine.disconnected(link, LinkFault::HungUp, self.now());
        self.act();
    }

    /// Lets time pass until another server is tried.
    pub(super) fn reopen(&mut self) {
        while self.link.is_none() {
            let due = self.machine.next_deadline().expect("it is not over");
            self.ms = self.ms.max(ceil_ms(due));
            self.machine.timeout_at(self.now());
            self.act();
        }
    }

    pub(super) fn submit(&mut self, request: &Request<'_>, number: u32) {
        self.submit_watching(request, number, None);
    }

    pub(super) fn submit_watching(
        &mut self,
        request: &Request<'_>,
        number: u32,
        watch: Option<(WatchKind, &str)>,
    ) {
        let watch = watch.map(|(kind, path)| {
            let (path, id, watcher) = (path.into(), u64::from(number), number);
            Intent { kind, path, id, watcher, is_dropped: false }
        });
        let (op, frame, completion) = (request.op(), encode(request), Some(number));
        self.machine.submit(Submission { op, frame, completion, watch, deadline: None });
        self.act();
    }

    pub(super) fn add_auth(&mut self, number: u32) {
        let (scheme, credentials) = ("digest".to_owned(), b"u:p".to_vec());
        self.machine.add_auth(Auth { scheme, credentials }, number);
        self.act();
    }

    pub(super) fn lost_reason(&self) -> &LostReason {
        match self.machine.liveness() {
            Liveness::Lost(reason) => reason,
            other => panic!("not lost but {other}"),
        }
    }

    pub(super) fn states(&self) -> Vec<State> {
        self.changes.iter().map(|(state, _)| *state).collect()
    }
}

pub(super) fn at(ms: u64) -> Moment {
    Moment::from_nanos(1_000_000_000 + ms * 1_000_000)
}

fn ceil_ms(moment: Moment) -> u64 {
    (moment.as_nanos().saturating_sub(1_000_000_000)).div_ceil(1_000_000)
}

pub(super) fn get(path: &str) -> Request<'_> {
    Request::GetData { path: path.into(), watch: false }
}

pub(super) fn set(path: &str) -> Request<'_> {
    Request::SetData { path: path.into(), data: Some(b"x"), version: -1 }
}
