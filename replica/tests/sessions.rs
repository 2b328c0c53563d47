//! A session's life on virtual time: established, kept alive, resumed, ended, explained.
#![allow(clippy::unwrap_used, reason = "a failed expectation here is a failed test")]

mod harness;

use harness::{Got, World};
use tenure_replica::{CloseWhy, Config, EndReason, Event, Input};
use tenure_wire::{Acl, ConnectRequest, ConnectResponse, Create, OpCode, Request, SessionId, Zxid};

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
    assert!(world.events.contains(&Event::SessionEnded { session, reason, ephemerals: 1 }));
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
