//! A session's life on virtual time: established, kept alive, resumed, ended, explained.
#![allow(clippy::unwrap_used, reason = "a failed expectation here is a failed test")]

mod harness;

use harness::{Got, World};
use tenure_replica::{CloseWhy, Config, EndReason, Event, Input};
use tenure_wire::{
    Account, Acl, ConnectRequest, ConnectResponse, Create, EndedBy, OpCode, Request, SessionId,
    TENURE_PASSWORD, TENURE_PROTOCOL, Zxid,
};

const BY_OPERATOR: EndReason = EndReason::ClosedByOperator;

fn create(path: &str, flags: i32) -> Request<'_> {
    let acl = vec![Acl::OPEN];
    let (op, data, ttl_ms) = (OpCode::Create, Some(&b"data"[..]), None);
    Request::Create(Create { op, path: path.into(), data, acl, flags, ttl_ms })
}

fn get(path: &str) -> Request<'_> {
    Request::GetData { path: path.into(), watch: false }
}

#[test]
fn a_silent_session_expires_after_its_timeout_and_not_before() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(4_000);
    assert_eq!(opened.timeout_ms, 4_000);
    assert_eq!(world.ask(conn, 1, &create("/e", 1)), ["1 /e"]);
    world.step(Input::Disconnected { conn });
    world.wait(3_990);
    let (reader, _) = world.open(40_000);
    assert_eq!(world.ask(reader, 1, &get("/e")), ["1 data Some(\"data\")"]);
    world.wait(20);
    assert_eq!(world.ask(reader, 2, &get("/e")), ["2 error -101"]);
    let ended = world.replica.state().ended.get(opened.session).unwrap();
    assert!(matches!(ended.reason, EndReason::Expired { silent_ms: 4_000..=4_010 }));
    assert_eq!(ended.paths, ["/e"]);
    let (_, got) = world.resume(opened.session, &opened.password);
    let [Got::Frame(frame), Got::Closed(CloseWhy::SessionRefused)] = &got[..] else {
        panic!("expected zeros and a close, got {got:?}")
    };
    assert_eq!(ConnectResponse::decode(frame).unwrap(), ConnectResponse::refused(None));
}

/// What Tenure's own client sends for a new session, and to resume one.
fn ours(timeout_ms: i32) -> ConnectRequest<'static> {
    let (password, read_only) = (Some(&TENURE_PASSWORD[..]), Some(false));
    ConnectRequest { timeout_ms, password, read_only, ..Default::default() }
}

fn resume_ours<'a>(opened: &'a ConnectResponse, timeout_ms: i32) -> ConnectRequest<'a> {
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let protocol_version = TENURE_PROTOCOL;
    ConnectRequest { protocol_version, session, password, ..ours(timeout_ms) }
}

fn answer(got: &[Got]) -> ConnectResponse {
    let Some(Got::Frame(frame)) = got.first() else { panic!("no connect response but {got:?}") };
    ConnectResponse::decode(frame).unwrap()
}

#[test]
fn our_own_client_is_told_how_its_session_ended() {
    let mut world = World::new(Config::default());
    let (conn, got) = world.connect(ours(4_000));
    let opened = answer(&got);
    assert_eq!(opened.protocol_version, TENURE_PROTOCOL);
    let (second, got) = world.connect(resume_ours(&opened, 4_000));
    let resumed = answer(&got);
    assert_eq!((resumed.protocol_version, resumed.session), (TENURE_PROTOCOL, opened.session));
    assert_eq!(world.take(conn), [Got::Closed(CloseWhy::Superseded)]);
    // Nothing about a live session to whoever does not know its password.
    let wrong = ConnectRequest { password: Some(&[0; 16]), ..resume_ours(&opened, 4_000) };
    let (_, got) = world.connect(wrong.clone());
    assert_eq!(answer(&got), ConnectResponse::refused(Some(false)));

    world.step(Input::Disconnected { conn: second });
    world.wait(4_010);
    let (_, got) = world.connect(resume_ours(&opened, 4_000));
    let account = Account {
        by: EndedBy::Expiry,
        ended_at_ms: world.now.wall_ms - 10,
        silent_ms: Some(4_000),
        explanation: Some("expired: nothing heard from its client for 4000 ms".to_owned()),
    };
    let refused =
        ConnectResponse { account: Some(account), ..ConnectResponse::refused(Some(false)) };
    assert_eq!(answer(&got), refused);
    assert_eq!(got[1..], [Got::Closed(CloseWhy::SessionRefused)]);
    // Stock clients hear what they always did, and of what is not remembered there is no account.
    let stock = ConnectRequest { protocol_version: 0, ..resume_ours(&opened, 4_000) };
    let (_, got) = world.connect(stock);
    let mut zeros = Vec::new();
    ConnectResponse::refused(Some(false)).encode(&mut zeros);
    assert_eq!(got[0], Got::Frame(zeros));
    let unknown = ConnectRequest { session: SessionId(42), ..resume_ours(&opened, 4_000) };
    let (_, got) = world.connect(unknown);
    assert_eq!(answer(&got), ConnectResponse::refused(Some(false)));
}

#[test]
fn an_account_waits_until_the_end_is_applied() {
    let mut world = World::new(Config::default());
    let (conn, got) = world.connect(ours(10_000));
    let opened = answer(&got);
    // More ephemerals than one slice of a close deletes.
    for i in 0..2_500 {
        world.send(conn, i, &create(&format!("/e{i}"), 1));
    }
    world.settle();
    world.take(conn);
    world.step(Input::CloseSession { session: opened.session, reason: BY_OPERATOR });
    let (_, got) = world.connect(resume_ours(&opened, 10_000));
    assert_eq!(answer(&got).account.map(|account| account.by), Some(EndedBy::Operator));
    assert_eq!(world.replica.state().tree.ephemerals(), 0);
    // The same for a close that stands before the resume among the client's own writes.
    let (conn, got) = world.connect(ours(10_000));
    let opened = answer(&got);
    world.send(conn, 1, &create("/last", 1));
    world.send(conn, 2, &Request::CloseSession);
    let (_, got) = world.connect(resume_ours(&opened, 10_000));
    assert_eq!(answer(&got).account.map(|account| account.by), Some(EndedBy::Client));
}

#[test]
fn a_resume_with_a_shorter_timeout_keeps_the_promise_of_before_until_a_packet_comes() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(20_000);
    world.wait(1_000);
    let shorter = |world: &mut World| {
        let (session, password) = (opened.session, Some(&opened.password[..]));
        let (protocol_version, timeout_ms) = (TENURE_PROTOCOL, 4_000);
        let rest = ConnectRequest::default();
        world.connect(ConnectRequest { protocol_version, session, password, timeout_ms, ..rest }).0
    };
    let second = shorter(&mut world);
    assert_eq!(world.take(conn), [Got::Closed(CloseWhy::Superseded)]);
    // Nothing more is heard, not even a ping: the promise of 20 seconds stands.
    world.wait(18_980);
    assert!(world.replica.state().sessions.get(opened.session).is_some());
    let third = shorter(&mut world);
    assert_eq!(world.take(second), [Got::Closed(CloseWhy::Superseded)]);
    // A packet shows that the client knows of the shorter timeout.
    assert_eq!(world.ask(third, 1, &Request::Ping), ["-2 ok"]);
    world.wait(3_990);
    assert!(world.replica.state().sessions.get(opened.session).is_some());
    world.wait(20);
    assert!(world.replica.state().sessions.get(opened.session).is_none());
}

#[test]
fn a_pause_of_the_server_expires_nobody() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(4_000);
    world.now.mono_us += 3_600_000_000;
    world.step(Input::Tick);
    world.settle();
    assert!(world.replica.state().sessions.get(opened.session).is_some());
    assert_eq!(world.ask(conn, 1, &Request::Ping), ["-2 ok"]);
}

#[test]
fn pings_keep_a_session_alive_without_touching_the_log() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(4_000);
    // The server gives itself an id.
    world.wait(1_000);
    let entries = world.log.len();
    for _ in 0..40 {
        world.wait(1_000);
        assert_eq!(world.ask(conn, -2, &Request::Ping), ["-2 ok"]);
    }
    assert_eq!(world.log.len(), entries);
    assert!(world.replica.state().sessions.get(opened.session).is_some());
}

#[test]
fn a_session_is_resumed_after_a_restart_with_its_ephemerals() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(10_000);
    assert_eq!(world.ask(conn, 1, &create("/e", 1)), ["1 /e"]);
    let zxid = world.last_zxid();
    world.step(Input::TakeSnapshot);
    world.settle();
    assert_eq!(world.snapshots.len(), 1);
    assert_eq!(world.ask(conn, 2, &create("/f", 1)), ["2 /f"]);
    let digest = world.replica.state().tree.digest();
    let mut world = world.restart();
    assert_eq!(world.replica.state().tree.digest(), digest);
    assert!(world.last_zxid() > zxid);
    let (conn, got) = world.resume(opened.session, &opened.password);
    assert!(matches!(&got[..], [Got::Frame(_)]), "{got:?}");
    assert_eq!(
        world.ask(conn, 3, &Request::GetEphemerals { prefix: "".into() }),
        ["3 [\"/e\", \"/f\"]"]
    );
    assert_eq!(world.ask(conn, 4, &Request::CloseSession), ["4 ok", "closed SessionClosed"]);
    assert_eq!(world.replica.state().tree.ephemerals(), 0);
}

#[test]
fn the_longer_timeout_that_a_resume_was_granted_outlives_a_restart() {
    let mut world = World::new(Config::default());
    let (_, opened) = world.open(4_000);
    let (_, got) = world.resume(opened.session, &opened.password);
    let [Got::Frame(frame)] = &got[..] else { panic!("{got:?}") };
    assert_eq!(ConnectResponse::decode(frame).unwrap().timeout_ms, 10_000);
    let mut world = world.restart();
    world.wait(9_900);
    assert!(world.replica.state().sessions.get(opened.session).is_some());
    world.wait(200);
    assert!(world.replica.state().sessions.get(opened.session).is_none());
}

#[test]
fn a_wrong_password_is_refused_and_leaves_the_rightful_client_alone() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(10_000);
    let (_, got) = world.resume(opened.session, &[0; 16]);
    assert!(matches!(&got[..], [Got::Frame(_), Got::Closed(CloseWhy::SessionRefused)]));
    assert_eq!(world.ask(conn, 1, &Request::Ping), ["-2 ok"]);
    let (second, got) = world.resume(opened.session, &opened.password);
    assert!(matches!(&got[..], [Got::Frame(_)]));
    assert_eq!(world.take(conn), [Got::Closed(CloseWhy::Superseded)]);
    assert_eq!(world.ask(second, 1, &Request::Ping), ["-2 ok"]);
}

#[test]
fn what_the_old_connection_asked_for_happens_before_the_new_one_is_answered() {
    let mut world = World::new(Config::default());
    let (old, opened) = world.open(10_000);
    world.send(old, 1, &create("/late", 0));
    let (new, got) = world.resume(opened.session, &opened.password);
    assert!(matches!(&got[..], [Got::Frame(_)]), "{got:?}");
    assert_eq!(world.ask(new, 1, &get("/late")), ["1 data Some(\"data\")"]);
    // The same after a connection that was lost instead of superseded.
    world.send(new, 2, &create("/later", 0));
    world.step(Input::Disconnected { conn: new });
    let (new, got) = world.resume(opened.session, &opened.password);
    assert!(matches!(&got[..], [Got::Frame(_)]), "{got:?}");
    assert_eq!(world.ask(new, 1, &get("/later")), ["1 data Some(\"data\")"]);
    world.send(new, 2, &Request::CloseSession);
    let (_, got) = world.resume(opened.session, &opened.password);
    assert!(matches!(&got[..], [Got::Frame(_), Got::Closed(CloseWhy::SessionRefused)]));
}

#[test]
fn a_client_from_the_future_is_turned_away_without_a_word() {
    let mut world = World::new(Config::default());
    let last_zxid_seen = Zxid(i64::MAX);
    let (_, got) = world.connect(ConnectRequest { last_zxid_seen, ..Default::default() });
    assert_eq!(got, [Got::Closed(CloseWhy::ZxidAhead)]);
}

#[test]
fn pipelined_reads_see_the_write_before_them_and_not_the_one_behind() {
    let mut world = World::new(Config::default());
    let (conn, _) = world.open(10_000);
    let set = |data| Request::SetData { path: "/x".into(), data: Some(data), version: -1 };
    world.send(conn, 1, &create("/x", 0));
    world.send(conn, 2, &get("/x"));
    world.send(conn, 3, &set(b"two"));
    world.send(conn, 4, &get("/x"));
    world.send(conn, 5, &set(b"three"));
    world.settle();
    let got: Vec<_> = world
        .take(conn)
        .iter()
        .zip([OpCode::Create, OpCode::GetData, OpCode::SetData, OpCode::GetData, OpCode::SetData])
        .map(|(got, op)| harness::words(op, got))
        .collect();
    assert_eq!(
        got,
        ["1 /x", "2 data Some(\"data\")", "3 version 1", "4 data Some(\"two\")", "5 version 2"]
    );
}

#[test]
fn nothing_of_a_session_happens_after_its_close() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(10_000);
    world.send(conn, 1, &create("/before", 1));
    world.send(conn, 2, &Request::CloseSession);
    world.send(conn, 3, &create("/after", 1));
    world.settle();
    let (reader, _) = world.open(10_000);
    assert_eq!(world.ask(reader, 1, &get("/before")), ["1 error -101"]);
    assert_eq!(world.ask(reader, 2, &get("/after")), ["2 error -101"]);
    let reason = EndReason::ClosedByClient;
    let session = opened.session;
    let (timeout_ms, ephemerals, conn) = (10_000, 1, Some(conn));
    let ended = Event::SessionEnded { session, reason, timeout_ms, ephemerals, conn };
    assert!(world.events.contains(&ended));
}

#[test]
fn an_operators_close_is_told_apart() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(10_000);
    world.step(Input::CloseSession { session: opened.session, reason: BY_OPERATOR });
    world.settle();
    assert_eq!(world.take(conn), [Got::Closed(CloseWhy::SessionEnded)]);
    let ended = world.replica.state().ended.get(opened.session).unwrap();
    assert_eq!(ended.reason, EndReason::ClosedByOperator);
    world.step(Input::CloseSession { session: SessionId(42), reason: BY_OPERATOR });
    world.settle();
}

#[test]
fn it_is_remembered_how_an_ephemeral_vanished() {
    let mut world = World::new(Config::default());
    let (owner, owned) = world.open(10_000);
    let (other, theirs) = world.open(10_000);
    let delete = |path| Request::Delete { path, version: -1 };
    assert_eq!(world.ask(owner, 1, &create("/kept", 1)), ["1 /kept"]);
    assert_eq!(world.ask(owner, 2, &create("/lost", 1)), ["2 /lost"]);
    assert_eq!(world.ask(owner, 3, &create("/plain", 0)), ["3 /plain"]);
    // What a failed multi seemed to delete is not gone.
    let failing = vec![delete("/kept".into()), delete("/nothing".into())];
    world.ask(other, 1, &Request::Multi(failing));
    assert_eq!(world.replica.gone_ephemeral("/kept"), None);
    assert_eq!(world.ask(other, 2, &delete("/lost".into())), ["2 ok"]);
    assert_eq!(world.ask(other, 3, &delete("/plain".into())), ["3 ok"]);
    let gone = world.replica.gone_ephemeral("/lost").unwrap();
    assert_eq!((gone.owner, gone.deleted_by), (owned.session, Some(theirs.session)));
    assert_eq!(gone.gone_ms, world.now.wall_ms);
    assert_eq!(world.replica.gone_ephemeral("/plain"), None, "it was no ephemeral");
    assert_eq!(world.ask(owner, 4, &Request::CloseSession), ["4 ok", "closed SessionClosed"]);
    let gone = world.replica.gone_ephemeral("/kept").unwrap();
    assert_eq!((gone.owner, gone.deleted_by), (owned.session, None));
    assert_eq!(gone.zxid, world.last_zxid());
}

#[test]
fn a_session_that_loses_its_connection_and_lives_on_is_news() {
    let mut world = World::new(Config::default());
    let (conn, opened) = world.open(10_000);
    let (session, timeout_ms) = (opened.session, 10_000);
    world.step(Input::Disconnected { conn });
    let lost = Event::SessionDetached { session, timeout_ms, conn, why: None };
    assert_eq!(world.events.last(), Some(&lost));
    let (conn, _) = world.resume(session, &opened.password);
    let resumed = Event::SessionResumed { session, timeout_ms, conn };
    assert_eq!(world.events.last(), Some(&resumed));
    // A connection that gives way to another one of the same session was not lost.
    let (second, _) = world.resume(session, &opened.password);
    world.step(Input::Disconnected { conn });
    let resumed = Event::SessionResumed { session, timeout_ms, conn: second };
    assert_eq!(world.events.last(), Some(&resumed));
    // Nor was one whose session was closed.
    world.ask(second, 1, &Request::CloseSession);
    world.step(Input::Disconnected { conn: second });
    assert!(matches!(world.events.last(), Some(Event::SessionEnded { .. })));
}
