//! A member without a leader that goes on answering reads.

use tenure_replica::{CloseWhy, ConnId, Input};
use tenure_wire::{
    ConnectRequest, ConnectResponse, Create, ErrorCode, EventType, OpCode, Reader, ReplyHeader,
    Request, RequestHeader, SessionId, SetWatches, WatcherEvent, Xid, Zxid,
};

use crate::lab::{Ensemble, create, get};

const NOT_READ_ONLY: i32 = ErrorCode::NotReadOnly as i32;

fn agreeing() -> ConnectRequest<'static> {
    let (timeout_ms, read_only) = (4_000, Some(true));
    ConnectRequest { timeout_ms, read_only, ..Default::default() }
}

fn resuming<'a>(held: &'a ConnectResponse) -> ConnectRequest<'a> {
    ConnectRequest { session: held.session, password: Some(&held.password), ..agreeing() }
}

/// An ensemble in which one member is left, and was alone for so long.
fn one_left(ms: u64) -> (Ensemble, usize) {
    let mut ensemble = Ensemble::read_only();
    let left = (ensemble.leader() + 1) % 3;
    let (conn, _) = ensemble.open(left, 10_000);
    assert_eq!(ensemble.ask(left, conn, &create("/a", 0)), [(9, 0)]);
    ensemble.run(200);
    (0..3).filter(|member| *member != left).for_each(|member| ensemble.kill(member));
    ensemble.run(ms);
    (ensemble, left)
}

fn is_turned_away(ensemble: &mut Ensemble, member: usize, request: ConnectRequest<'_>) -> bool {
    let frames = ensemble.ask_for_session(member, request);
    let conn = ConnId(ensemble.next_conn - 1);
    let not_serving = (member, conn, CloseWhy::NotServing);
    frames.is_empty() && ensemble.closed.contains(&not_serving)
}

#[test]
fn only_who_agrees_is_let_in_and_only_after_a_while() {
    let (mut ensemble, left) = one_left(1_500);
    assert!(is_turned_away(&mut ensemble, left, agreeing()));
    assert!(!ensemble.members[left].is_read_only());
    ensemble.run(1_000);
    assert!(ensemble.members[left].is_read_only());
    assert!(!ensemble.members[left].is_serving());
    let (conn, opened) = ensemble.connect(left, agreeing());
    assert_eq!((opened.read_only, opened.timeout_ms), (Some(true), 4_000));
    assert_eq!(ensemble.ask(left, conn, &get("/a")), [(9, 0)]);
    for read_only in [None, Some(false)] {
        let request = ConnectRequest { read_only, ..agreeing() };
        assert!(is_turned_away(&mut ensemble, left, request));
    }
    let ahead = ConnectRequest { last_zxid_seen: Zxid(i64::MAX), ..agreeing() };
    assert!(ensemble.ask_for_session(left, ahead).is_empty());
}

#[test]
fn it_is_off_unless_switched_on() {
    let mut ensemble = Ensemble::new();
    let left = ensemble.leader();
    (0..3).filter(|member| *member != left).for_each(|member| ensemble.kill(member));
    ensemble.run(10_000);
    assert!(!ensemble.members[left].is_read_only());
    assert!(is_turned_away(&mut ensemble, left, agreeing()));
}

#[test]
fn a_leader_that_lost_its_followers_serves_read_only_too() {
    let mut ensemble = Ensemble::read_only();
    let left = ensemble.leader();
    (0..3).filter(|member| *member != left).for_each(|member| ensemble.kill(member));
    ensemble.run(3_500);
    assert!(!ensemble.members[left].is_leader());
    assert_eq!(ensemble.connect(left, agreeing()).1.read_only, Some(true));
}

#[test]
fn what_needs_a_leader_is_refused_and_everything_else_is_answered() {
    let (mut ensemble, left) = one_left(2_500);
    let index = ensemble.disks[left].log.last().unwrap().index;
    let (conn, opened) = ensemble.connect(left, agreeing());
    let root = || "/".into();
    let ttl = Create { op: OpCode::CreateTtl, flags: 5, ttl_ms: Some(9), ..plain("/t") };
    let refused = [
        create("/b", 0),
        create("/e", 1),
        Request::Create(Create { op: OpCode::Create2, ..plain("/b") }),
        Request::Create(Create { op: OpCode::CreateContainer, flags: 4, ..plain("/c") }),
        Request::Create(ttl),
        Request::Delete { path: "/a".into(), version: -1 },
        Request::SetData { path: "/a".into(), data: None, version: -1 },
        Request::SetAcl { path: "/a".into(), acl: Vec::new(), version: -1 },
        Request::Multi(vec![Request::Check { path: "/a".into(), version: 0 }]),
        Request::Check { path: "/a".into(), version: 0 },
        Request::Sync { path: root() },
    ];
    for request in &refused {
        assert_eq!(ensemble.ask(left, conn, request), [(9, NOT_READ_ONLY)], "{request:?}");
    }
    let answered = [
        get("/a"),
        Request::Exists { path: "/a".into(), watch: true },
        Request::GetChildren2 { path: root(), watch: true },
        Request::MultiRead(vec![get("/a")]),
        Request::AddWatch { path: root(), mode: 1 },
        Request::WhoAmI,
    ];
    for request in &answered {
        assert_eq!(ensemble.ask(left, conn, request), [(9, 0)], "{request:?}");
    }
    assert_eq!(ensemble.ask(left, conn, &Request::Ping), [(-2, 0)]);
    assert_eq!(ensemble.ask(left, conn, &get("/none")), [(9, ErrorCode::NoNode as i32)]);
    // Answers come in the order of requests, with no leader to wait for.
    let requests = [&get("/a"), &create("/b", 0), &get("/a"), &Request::Ping];
    let replies = ensemble.ask_all(left, conn, &requests);
    assert_eq!(replies, [(9, 0), (10, NOT_READ_ONLY), (11, 0), (-2, 0)]);
    assert_eq!(ensemble.ask(left, conn, &Request::CloseSession), [(9, 0)]);
    assert!(ensemble.closed.contains(&(left, conn, CloseWhy::SessionClosed)));
    assert_eq!(ensemble.connect(left, resuming(&opened)).1.session, SessionId(0));
    assert_eq!(ensemble.disks[left].log.last().unwrap().index, index, "nothing is logged");
}

fn plain(path: &str) -> Create<'_> {
    match create(path, 0) {
        Request::Create(create) => create,
        other => panic!("{other:?}"),
    }
}

#[test]
fn watches_set_again_tell_what_was_missed() {
    let (mut ensemble, left) = one_left(2_500);
    let (conn, _) = ensemble.connect(left, agreeing());
    let watches = Request::SetWatches(SetWatches {
        op: OpCode::SetWatches,
        relative_zxid: Zxid(0),
        data: Vec::new(),
        exist: vec!["/a".into()],
        child: Vec::new(),
        persistent: Vec::new(),
        persistent_recursive: Vec::new(),
    });
    let mut payload = Vec::new();
    RequestHeader { xid: Xid(-8), op: OpCode::SetWatches.code() }.encode(&mut payload);
    watches.encode(&mut payload);
    ensemble.step(left, Input::Frame { conn, payload: &payload });
    let frames = ensemble.got.remove(&(left, conn)).unwrap();
    let mut reader = Reader::new(&frames[0]);
    assert_eq!(ReplyHeader::decode(&mut reader).unwrap().xid.0, -1);
    let missed = WatcherEvent::decode(&mut reader).unwrap();
    assert_eq!((missed.kind, &*missed.path), (EventType::NodeCreated, "/a"));
}

#[test]
fn its_sessions_expire_live_on_and_are_resumed_there() {
    let (mut ensemble, left) = one_left(2_500);
    let (first, held) = ensemble.connect(left, agreeing());
    let (_, other) = ensemble.connect(left, agreeing());
    assert_ne!(held.session, other.session);
    assert_eq!(held.session.0 as u64 >> 56, 0, "no member of an ensemble gives such an id");
    for _ in 0..4 {
        ensemble.run(1_500);
        assert_eq!(ensemble.ask(left, first, &Request::Ping), [(-2, 0)]);
    }
    let wrong = ConnectRequest { password: Some(&[0; 16]), ..resuming(&held) };
    assert_eq!(ensemble.connect(left, wrong).1.session, SessionId(0));
    // The other one was silent for longer than its timeout.
    assert_eq!(ensemble.connect(left, resuming(&other)).1.session, SessionId(0));
    assert_eq!(ensemble.members[left].local_session_count(), 1);
    let (second, resumed) = ensemble.connect(left, resuming(&held));
    assert_eq!((resumed.session, resumed.read_only), (held.session, Some(true)));
    assert!(ensemble.closed.contains(&(left, first, CloseWhy::Superseded)));
    ensemble.step(left, Input::Disconnected { conn: second });
    ensemble.run(3_500);
    let (third, resumed) = ensemble.connect(left, resuming(&held));
    assert_eq!(resumed.session, held.session);
    ensemble.run(3_900);
    assert!(!ensemble.closed.contains(&(left, third, CloseWhy::SessionEnded)));
    ensemble.run(300);
    assert!(ensemble.closed.contains(&(left, third, CloseWhy::SessionEnded)));
    assert_eq!(ensemble.members[left].local_session_count(), 0);
}

#[test]
fn a_session_of_the_ensemble_waits_for_a_leader_and_one_that_has_ended_is_told_so() {
    let mut ensemble = Ensemble::read_only();
    let left = (ensemble.leader() + 1) % 3;
    let (conn, held) = ensemble.open(left, 30_000);
    assert_eq!(ensemble.ask(left, conn, &create("/e", 1)), [(9, 0)]);
    let (conn, ended) = ensemble.open(left, 30_000);
    assert_eq!(ensemble.ask(left, conn, &Request::CloseSession), [(9, 0)]);
    let others: Vec<_> = (0..3).filter(|member| *member != left).collect();
    others.iter().for_each(|member| ensemble.kill(*member));
    ensemble.run(2_500);
    assert!(ensemble.members[left].is_read_only());
    assert!(is_turned_away(&mut ensemble, left, resuming(&held)));
    assert_eq!(ensemble.connect(left, resuming(&ended)).1.session, SessionId(0));
    let stranger = ConnectRequest { session: SessionId(0x0300_0000_0000_0001), ..resuming(&held) };
    assert!(is_turned_away(&mut ensemble, left, stranger), "it may be a session of the others");
    others.iter().for_each(|member| ensemble.restart(*member));
    ensemble.run(1_000);
    assert_eq!(ensemble.connect(left, resuming(&held)).1.session, held.session);
}

#[test]
fn with_a_leader_its_clients_are_sent_away_and_it_serves_again() {
    let (mut ensemble, left) = one_left(2_500);
    let (conn, held) = ensemble.connect(left, agreeing());
    let back = (left + 1) % 3;
    ensemble.restart(back);
    ensemble.run(1_000);
    assert!(ensemble.closed.contains(&(left, conn, CloseWhy::ReadOnlyEnded)));
    assert!(!ensemble.members[left].is_read_only());
    assert!(ensemble.members[left].is_serving());
    for member in [left, back] {
        let refused = ensemble.connect(member, resuming(&held)).1;
        assert_eq!((refused.session, refused.timeout_ms), (SessionId(0), 0));
    }
    let (conn, opened) = ensemble.connect(left, agreeing());
    assert_eq!(opened.read_only, Some(false));
    assert_eq!(ensemble.ask(left, conn, &create("/b", 0)), [(9, 0)]);
    // Its old sessions stay unknown when it is read-only once more.
    ensemble.kill(back);
    ensemble.run(3_500);
    assert_eq!(ensemble.connect(left, resuming(&held)).1.session, SessionId(0));
    assert_ne!(ensemble.connect(left, agreeing()).1.session, held.session);
}

#[test]
fn vain_elections_do_not_disturb_its_clients() {
    let (mut ensemble, left) = one_left(2_500);
    let (conn, _) = ensemble.connect(left, agreeing());
    // It would vote, but cannot store that it did: so terms pass and nobody is elected.
    let voter = (left + 1) % 3;
    ensemble.stuck_disk = Some(voter);
    ensemble.restart(voter);
    let term = ensemble.disks[left].hard_state.term;
    for _ in 0..10 {
        ensemble.run(2_000);
        assert_eq!(ensemble.ask(left, conn, &Request::Ping), [(-2, 0)]);
    }
    assert!(ensemble.disks[left].hard_state.term > term);
    assert!(ensemble.members[left].is_read_only());
}
