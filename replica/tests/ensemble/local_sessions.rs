//! Sessions that live on the member they began at, and become global for an ephemeral.

use std::net::{IpAddr, Ipv4Addr};

use tenure_replica::{CloseWhy, ConnId, EndReason, Event, Input, Outputs};
use tenure_wire::{
    ConnectRequest, ConnectResponse, Create, ErrorCode, OpCode, Request, RequestHeader, SessionId,
    Xid, Zxid,
};

use crate::lab::{Ensemble, create, get};

const REFUSED: i32 = ErrorCode::EphemeralOnLocalSession as i32;

fn resuming(held: &ConnectResponse) -> ConnectRequest<'_> {
    let password = Some(&held.password[..]);
    ConnectRequest { session: held.session, password, timeout_ms: 4_000, ..Default::default() }
}

fn last_index(ensemble: &Ensemble) -> u64 {
    let leader = ensemble.leader();
    ensemble.disks[leader].log.last().map_or(0, |entry| entry.index)
}

fn locals(ensemble: &Ensemble, member: usize) -> usize {
    ensemble.members[member].local_session_count()
}

fn globals(ensemble: &Ensemble, member: usize) -> usize {
    ensemble.members[member].state().sessions.len()
}

fn exists(ensemble: &Ensemble, member: usize, path: &str) -> bool {
    ensemble.members[member].state().tree.find(path).is_some()
}

fn of_kind(op: OpCode, path: &str, flags: i32) -> Request<'_> {
    match create(path, flags) {
        Request::Create(create) => {
            let ttl_ms = (op == OpCode::CreateTtl).then_some(9_000);
            Request::Create(Create { op, ttl_ms, ..create })
        }
        other => panic!("{other:?}"),
    }
}

/// A member of each role.
fn roles(ensemble: &Ensemble) -> [usize; 2] {
    let leader = ensemble.leader();
    [leader, (leader + 1) % 3]
}

#[test]
fn it_is_off_unless_switched_on() {
    let mut ensemble = Ensemble::new();
    let (_, held) = ensemble.open(0, 4_000);
    assert_eq!((locals(&ensemble, 0), globals(&ensemble, 1)), (0, 1));
    assert_eq!(ensemble.connect(1, resuming(&held)).1.session, held.session);
}

#[test]
fn nothing_is_logged_of_its_beginning_and_its_end() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let index = last_index(&ensemble);
    for member in roles(&ensemble) {
        let (conn, held) = ensemble.open(member, 4_000);
        assert_eq!(held.session.0 as u64 >> 56, member as u64 + 1);
        assert_eq!((held.timeout_ms, locals(&ensemble, member)), (4_000, 1));
        assert_eq!(ensemble.ask(member, conn, &get("/")), [(9, 0)]);
        assert_eq!(ensemble.ask(member, conn, &Request::Ping), [(-2, 0)]);
        assert_eq!(ensemble.ask(member, conn, &Request::CloseSession), [(9, 0)]);
        assert!(ensemble.closed.contains(&(member, conn, CloseWhy::SessionClosed)));
        assert_eq!(ensemble.connect(member, resuming(&held)).1.session, SessionId(0));
        assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (0, 0));
    }
    assert_eq!(last_index(&ensemble), index);
}

#[test]
fn it_writes_like_any_other_and_is_answered_in_order() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    for (n, member) in roles(&ensemble).into_iter().enumerate() {
        let (conn, _) = ensemble.open(member, 4_000);
        let [made, container, timed, ephemeral] =
            ["", "/c", "/t", "/e"].map(|name| format!("/{n}{name}"));
        let requests = [
            &create(&made, 0),
            &get(&made),
            &Request::SetData { path: (&*made).into(), data: None, version: 0 },
            &of_kind(OpCode::CreateContainer, &container, 4),
            &of_kind(OpCode::CreateTtl, &timed, 5),
            &Request::Multi(vec![create(&ephemeral, 0)]),
            &Request::Sync { path: "/".into() },
            &Request::CloseSession,
            &get(&made),
        ];
        let answers: Vec<_> = (9..17).map(|xid| (xid, 0)).collect();
        assert_eq!(ensemble.ask_all(member, conn, &requests), answers);
        assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (0, 0));
        (0..3).for_each(|member| assert!(exists(&ensemble, member, &ephemeral)));
    }
}

#[test]
fn it_is_resumed_where_it_lives_and_nowhere_else() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let index = last_index(&ensemble);
    for member in roles(&ensemble) {
        let (first, held) = ensemble.open(member, 4_000);
        for other in (0..3).filter(|other| *other != member) {
            assert_eq!(ensemble.connect(other, resuming(&held)).1.session, SessionId(0));
        }
        let wrong = ConnectRequest { password: Some(&[9; 16]), ..resuming(&held) };
        assert_eq!(ensemble.connect(member, wrong).1.session, SessionId(0));
        let longer = ConnectRequest { timeout_ms: 30_000, ..resuming(&held) };
        let (second, resumed) = ensemble.connect(member, longer);
        assert_eq!((resumed.session, resumed.timeout_ms), (held.session, 30_000));
        assert_eq!(resumed.password, held.password);
        assert!(ensemble.closed.contains(&(member, first, CloseWhy::Superseded)));
        assert_eq!(ensemble.ask(member, second, &get("/")), [(9, 0)]);
        ensemble.step(member, Input::Disconnected { conn: second });
        assert_eq!(ensemble.connect(member, resuming(&held)).1.session, held.session);
        assert_eq!(locals(&ensemble, member), 1);
    }
    assert_eq!(last_index(&ensemble), index);
}

#[test]
fn a_resumed_one_waits_for_its_earlier_writes() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let member = roles(&ensemble)[1];
    let (conn, held) = ensemble.open(member, 4_000);
    let mut payload = Vec::new();
    RequestHeader { xid: Xid(9), op: OpCode::Create.code() }.encode(&mut payload);
    create("/late", 0).encode(&mut payload);
    // It is on its way to the leader when the client comes back.
    ensemble.step(member, Input::Frame { conn, payload: &payload });
    let (conn, resumed) = ensemble.connect(member, resuming(&held));
    assert_eq!(resumed.session, held.session);
    assert_eq!(ensemble.ask(member, conn, &get("/late")), [(9, 0)]);
}

#[test]
fn an_ephemeral_makes_it_global_first() {
    let upgrading = |n: usize| match n {
        0 => create("/e0", 1),
        1 => of_kind(OpCode::Create2, "/e1", 3),
        _ => Request::Multi(vec![create("/p2", 0), create("/e2", 1)]),
    };
    for n in 0..3 {
        let mut ensemble = Ensemble::with_local_sessions(true);
        for member in roles(&ensemble) {
            let (conn, held) = ensemble.open(member, 4_000);
            let other = Request::SetData { path: "/".into(), data: None, version: -1 };
            assert_eq!(ensemble.ask(member, conn, &other), [(9, 0)]);
            let before = (last_index(&ensemble), ensemble.members[member].last_zxid());
            let requests = [&upgrading(n), &get("/"), &Request::Ping];
            let answers = ensemble.ask_all(member, conn, &requests);
            assert!(answers.contains(&(10, 0)) && answers.contains(&(-2, 0)), "{answers:?}");
            let after = (last_index(&ensemble), ensemble.members[member].last_zxid());
            assert_eq!(after, (before.0 + 2, Zxid(before.1.0 + 2)), "one entry, then the other");
            assert_eq!(locals(&ensemble, member), 0);
            let known = ensemble.members[member].state().sessions.get(held.session).unwrap();
            assert_eq!((known.ephemeral_count(), known.timeout_ms), (1, 4_000));
            ensemble.run(50);
            // Its id and its password hold everywhere.
            let other = (member + 1) % 3;
            let (conn, resumed) = ensemble.connect(other, resuming(&held));
            assert_eq!((resumed.session, resumed.password), (held.session, held.password));
            assert_eq!(ensemble.ask(other, conn, &create("/p", 1)), [(9, 0)]);
            assert_eq!(ensemble.ask(other, conn, &Request::CloseSession), [(9, 0)]);
            ensemble.run(50);
            for member in 0..3 {
                let name = format!("/e{n}");
                assert!(!exists(&ensemble, member, &name) && !exists(&ensemble, member, "/p"));
                assert_eq!(globals(&ensemble, member), 0);
            }
            let (conn, _) = ensemble.open(member, 4_000);
            let parent = Request::Delete { path: "/p2".into(), version: -1 };
            ensemble.ask_all(member, conn, &[&parent, &Request::CloseSession]);
        }
    }
}

#[test]
fn one_that_became_global_expires_with_its_ephemerals_by_the_leader() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let member = roles(&ensemble)[1];
    let (conn, held) = ensemble.open(member, 4_000);
    assert_eq!(ensemble.ask(member, conn, &create("/e", 1)), [(9, 0)]);
    for _ in 0..4 {
        ensemble.run(2_000);
        assert_eq!(ensemble.ask(member, conn, &Request::Ping), [(-2, 0)]);
    }
    ensemble.step(member, Input::Disconnected { conn });
    ensemble.run(3_900);
    assert!(exists(&ensemble, member, "/e"));
    ensemble.run(400);
    assert!(!exists(&ensemble, member, "/e"));
    assert_eq!(ensemble.connect(member, resuming(&held)).1.session, SessionId(0));
}

#[test]
fn a_close_behind_an_ephemeral_ends_the_global_session() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    for member in roles(&ensemble) {
        let (conn, _) = ensemble.open(member, 4_000);
        let requests = [&create("/e", 1), &Request::CloseSession];
        assert_eq!(ensemble.ask_all(member, conn, &requests), [(9, 0), (10, 0)]);
        assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (0, 0));
        assert!(!exists(&ensemble, member, "/e"));
    }
}

#[test]
fn without_upgrading_an_ephemeral_is_refused_in_its_turn() {
    let mut ensemble = Ensemble::with_local_sessions(false);
    for member in roles(&ensemble) {
        let (conn, _) = ensemble.open(member, 4_000);
        let index = last_index(&ensemble);
        let refused = [
            &create("/e", 1),
            &of_kind(OpCode::Create2, "/none/e", 3),
            &Request::Multi(vec![create("/p", 0), create("/e", 1)]),
        ];
        let expected = [(9, REFUSED), (10, REFUSED), (11, REFUSED)];
        assert_eq!(ensemble.ask_all(member, conn, &refused), expected);
        assert_eq!(last_index(&ensemble), index);
        let (made, gone) = (create("/a", 0), Request::Delete { path: "/a".into(), version: 0 });
        let answers = ensemble.ask_all(member, conn, &[&made, &create("/e", 1), &gone]);
        assert_eq!(answers, [(9, 0), (10, REFUSED), (11, 0)]);
        assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (1, 0));
        assert_eq!(ensemble.ask(member, conn, &Request::CloseSession), [(9, 0)]);
    }
}

#[test]
fn it_expires_by_the_clock_of_its_member_and_never_early() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    for member in roles(&ensemble) {
        let (conn, held) = ensemble.open(member, 4_000);
        for _ in 0..4 {
            ensemble.run(3_500);
            assert_eq!(ensemble.ask(member, conn, &Request::Ping), [(-2, 0)]);
        }
        ensemble.step(member, Input::Disconnected { conn });
        ensemble.run(3_900);
        assert_eq!(locals(&ensemble, member), 1);
        ensemble.run(200);
        assert_eq!(locals(&ensemble, member), 0);
        let is_end = |(at, event): &(usize, Event)| {
            let expired = EndReason::Expired { silent_ms: 4_000 };
            *at == member
                && matches!(event, Event::SessionEnded { session, reason, .. }
                    if *session == held.session && *reason == expired)
        };
        assert!(ensemble.events.iter().any(is_end), "{:?}", ensemble.events);
        let (conn, _) = ensemble.open(member, 4_000);
        ensemble.run(4_100);
        assert!(ensemble.closed.contains(&(member, conn, CloseWhy::SessionEnded)));
    }
}

#[test]
fn an_operator_ends_it_at_once() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let (conn, held) = ensemble.open(0, 4_000);
    let (session, reason) = (held.session, EndReason::ClosedByOperator);
    ensemble.step(0, Input::CloseSession { session, reason });
    assert!(ensemble.closed.contains(&(0, conn, CloseWhy::SessionEnded)));
    assert_eq!(locals(&ensemble, 0), 0);
}

#[test]
fn an_election_costs_it_its_connection_and_no_more() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let [leader, member] = roles(&ensemble);
    let third = 3 - leader - member;
    let (conn, held) = ensemble.open(member, 4_000);
    ensemble.kill(third);
    ensemble.kill(leader);
    // Nobody could be heard meanwhile, so that does not count as silence.
    ensemble.run(9_000);
    assert!(ensemble.closed.contains(&(member, conn, CloseWhy::NotServing)));
    assert!(ensemble.ask_for_session(member, resuming(&held)).is_empty());
    ensemble.restart(third);
    ensemble.run(3_000);
    let (conn, resumed) = ensemble.connect(member, resuming(&held));
    assert_eq!(resumed.session, held.session);
    assert_eq!(ensemble.ask(member, conn, &create("/e", 1)), [(9, 0)]);
    assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (0, 1));
}

#[test]
fn a_member_without_a_leader_serves_it_read_only_if_its_client_agrees() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let [leader, member] = roles(&ensemble);
    let third = 3 - leader - member;
    let (_, held) = ensemble.open(member, 4_000);
    ensemble.kill(third);
    ensemble.kill(leader);
    ensemble.run(12_500);
    assert!(ensemble.members[member].is_read_only());
    let agreeing = ConnectRequest { read_only: Some(true), ..resuming(&held) };
    let (conn, resumed) = ensemble.connect(member, agreeing);
    assert_eq!((resumed.session, resumed.read_only), (held.session, Some(true)));
    let not_read_only = ErrorCode::NotReadOnly as i32;
    assert_eq!(ensemble.ask(member, conn, &create("/e", 1)), [(9, not_read_only)]);
    ensemble.restart(third);
    ensemble.run(1_500);
    assert!(ensemble.closed.contains(&(member, conn, CloseWhy::ReadOnlyEnded)));
    let (conn, resumed) = ensemble.connect(member, resuming(&held));
    assert_eq!(resumed.session, held.session);
    assert_eq!(ensemble.ask(member, conn, &create("/e", 1)), [(9, 0)]);
}

#[test]
fn an_upgrade_that_is_lost_with_the_leader_is_made_again() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let [leader, member] = roles(&ensemble);
    let (conn, held) = ensemble.open(member, 4_000);
    ensemble.cut_off = Some(leader);
    let before = ensemble.members[member].local_session_count();
    assert_eq!(ensemble.ask(member, conn, &create("/e", 1)), []);
    // On its way it is neither resumed nor ended here.
    assert!(ensemble.ask_for_session(member, resuming(&held)).is_empty());
    assert_eq!(locals(&ensemble, member), before);
    ensemble.kill(leader);
    ensemble.cut_off = None;
    ensemble.run(3_000);
    let (conn, resumed) = ensemble.connect(member, resuming(&held));
    assert_eq!(resumed.session, held.session);
    assert_eq!(ensemble.ask(member, conn, &create("/e", 1)), [(9, 0)]);
    assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (0, 1));
}

#[test]
fn a_restart_forgets_it_and_gives_no_id_twice() {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let member = roles(&ensemble)[1];
    let (conn, upgraded) = ensemble.open(member, 30_000);
    assert_eq!(ensemble.ask(member, conn, &create("/e", 1)), [(9, 0)]);
    let (_, forgotten) = ensemble.open(member, 30_000);
    ensemble.kill(member);
    ensemble.restart(member);
    ensemble.run(1_000);
    assert_eq!(ensemble.connect(member, resuming(&forgotten)).1.session, SessionId(0));
    // This one draws the same at every start, so its ids begin anew.
    let (_, opened) = ensemble.open(member, 30_000);
    assert_ne!(opened.session, upgraded.session);
    assert_eq!(ensemble.connect(member, resuming(&upgraded)).1.session, upgraded.session);
}

#[test]
fn a_server_by_itself_has_them_too() {
    let mut ensemble = Ensemble::alone_with_local_sessions();
    let index = last_index(&ensemble);
    let (conn, held) = ensemble.open(0, 4_000);
    let frames = [&get("/"), &Request::Ping];
    assert_eq!(ensemble.ask_all(0, conn, &frames), [(9, 0), (-2, 0)]);
    ensemble.step(0, Input::Disconnected { conn });
    let (conn, resumed) = ensemble.connect(0, resuming(&held));
    assert_eq!((resumed.session, last_index(&ensemble)), (held.session, index));
    assert_eq!(ensemble.ask(0, conn, &create("/e", 1)), [(9, 0)]);
    assert_eq!((locals(&ensemble, 0), globals(&ensemble, 0)), (0, 1));
    ensemble.run(4_100);
    assert!(ensemble.closed.contains(&(0, conn, CloseWhy::SessionEnded)));
    let (conn, _) = ensemble.open(0, 4_000);
    assert_eq!(ensemble.ask(0, conn, &Request::CloseSession), [(9, 0)]);
    assert_eq!((locals(&ensemble, 0), globals(&ensemble, 0)), (0, 0));
}

/// A session at a follower whose way into the log was lost with its link, in one and the same term.
fn lost_with_the_link() -> (Ensemble, usize, ConnectResponse) {
    let mut ensemble = Ensemble::with_local_sessions(true);
    let [leader, member] = roles(&ensemble);
    let (conn, held) = ensemble.open(member, 4_000);
    let term = ensemble.disks[member].hard_state.term;
    let mut payload = Vec::new();
    RequestHeader { xid: Xid(9), op: OpCode::Create.code() }.encode(&mut payload);
    create("/e", 1).encode(&mut payload);
    ensemble.step(member, Input::Frame { conn, payload: &payload });
    ensemble.links.clear();
    ensemble.step(member, Input::PeerDown { member: leader as u64 + 1 });
    ensemble.run(1_000);
    assert!(ensemble.closed.contains(&(member, conn, CloseWhy::NotServing)));
    assert!(ensemble.members[member].is_serving());
    assert_eq!(ensemble.disks[member].hard_state.term, term);
    assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (1, 0));
    (ensemble, member, held)
}

#[test]
fn an_upgrade_that_is_lost_with_a_link_is_made_again() {
    let (mut ensemble, member, held) = lost_with_the_link();
    let (conn, resumed) = ensemble.connect(member, resuming(&held));
    assert_eq!(resumed.session, held.session);
    assert_eq!(ensemble.ask(member, conn, &create("/e", 1)), [(9, 0)]);
    assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (0, 1));
}

#[test]
fn nothing_is_left_of_an_upgrade_that_was_lost_and_whose_client_is_gone() {
    let (mut ensemble, member, held) = lost_with_the_link();
    ensemble.run(5_000);
    assert_eq!((locals(&ensemble, member), globals(&ensemble, member)), (0, 0));
    assert_eq!(ensemble.connect(member, resuming(&held)).1.session, SessionId(0));
}

#[test]
fn what_a_connection_asked_for_goes_to_the_leader_before_the_next_one_does() {
    let mut ensemble = Ensemble::new();
    let [_, member] = roles(&ensemble);
    let (conn, held) = ensemble.open(member, 4_000);
    let mut payload = Vec::new();
    RequestHeader { xid: Xid(9), op: OpCode::Create.code() }.encode(&mut payload);
    create("/late", 0).encode(&mut payload);
    // Both come in one turn.
    let (mut out, now) = (Outputs::default(), ensemble.now);
    let replica = &mut ensemble.members[member];
    replica.step(Input::Frame { conn, payload: &payload }, now, &mut out);
    let (conn, peer) = (ConnId(1_000), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let connect = Input::Connect {
        conn,
        peer,
        certificate: None,
        request: resuming(&held),
        entropy: [7; 16],
    };
    replica.step(connect, now, &mut out);
    replica.flush(now, &mut out);
    ensemble.perform(member, out);
    let (forward, revalidate) = (2, 5);
    let kinds: Vec<u8> = ensemble.links.iter().map(|(_, _, message)| message[3]).collect();
    assert_eq!(kinds, [forward, revalidate]);
    ensemble.run(20);
    assert_eq!(ensemble.ask(member, conn, &get("/late")).last(), Some(&(9, 0)));
}
