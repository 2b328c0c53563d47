//! Three replicas on virtual time: sessions and writes through any of them.
#![allow(clippy::unwrap_used, reason = "a failed expectation here is a failed test")]

mod accounts;
mod cluster_id;
mod elections;
mod fresh_reads;
mod lab;
mod local_sessions;
mod lost_disk;
mod pressure;
mod read_only;
mod reconfig;
mod removed;
mod snapshots;

use std::net::{IpAddr, Ipv4Addr};

use lab::{Ensemble, create, get};
use tenure_replica::{Ack, CloseWhy, ConnId, EndReason, Input};
use tenure_wire::{
    ConnectRequest, ConnectResponse, EndedBy, ErrorCode, PING_XID, Request, SessionId,
    TENURE_PASSWORD, TENURE_PROTOCOL,
};

#[test]
fn every_member_serves_and_all_end_up_equal() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    for member in 0..3 {
        let (conn, _) = ensemble.open(member, 10_000);
        let path = format!("/by-{member}");
        assert_eq!(ensemble.ask(member, conn, &create(&path, 0)), [(9, 0)]);
        assert_eq!(ensemble.ask(member, conn, &get(&path)), [(9, 0)]);
        assert_eq!(ensemble.ask(member, conn, &Request::Sync { path: "/".into() }), [(9, 0)]);
        assert_eq!(ensemble.ask(member, conn, &Request::Ping), [(-2, 0)]);
    }
    let digest = ensemble.members[leader].state().tree.digest();
    assert!(ensemble.members.iter().all(|member| member.state().tree.digest() == digest));
    assert!(ensemble.closed.is_empty());
}

#[test]
fn pings_are_answered_out_of_turn_and_everything_else_in_its_turn() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    for member in [leader, (leader + 1) % 3] {
        let (conn, _) = ensemble.open(member, 10_000);
        let path = format!("/by-{member}");
        let (create, get) = (create(&path, 0), get(&path));
        let sync = Request::Sync { path: "/".into() };
        // The second ping waits for longer than the write behind it; the first read comes before
        // that write, and must not see it.
        let requests = [&Request::Ping, &Request::Ping, &sync, &get, &create, &Request::Ping, &get];
        let replies = ensemble.ask_all(member, conn, &requests);
        let (pings, others): (Vec<_>, Vec<_>) =
            replies.into_iter().partition(|(xid, _)| *xid == PING_XID.0);
        assert_eq!(pings, [(-2, 0); 3]);
        let no_node = ErrorCode::NoNode.code();
        assert_eq!(others, [(11, 0), (12, no_node), (13, 0), (15, 0)], "{member}");
    }
}

#[test]
fn a_session_moves_between_members_and_its_old_connection_is_closed() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
    let (old, opened) = ensemble.open(first, 10_000);
    assert_eq!(ensemble.ask(first, old, &create("/e", 1)), [(9, 0)]);
    for member in [second, leader] {
        let (session, password) = (opened.session, Some(&opened.password[..]));
        let request =
            ConnectRequest { session, password, timeout_ms: 10_000, ..Default::default() };
        let (conn, resumed) = ensemble.connect(member, request.clone());
        assert_eq!(resumed.session, opened.session);
        assert_eq!(ensemble.ask(member, conn, &get("/e")), [(9, 0)]);
        let wrong = ConnectRequest { password: Some(&[0; 16]), ..request };
        assert_eq!(ensemble.connect(member, wrong).1.session.0, 0);
        assert_eq!(ensemble.ask(member, conn, &Request::Ping), [(-2, 0)]);
    }
    assert!(ensemble.closed.contains(&(first, old, CloseWhy::Moved)));
}

#[test]
fn touches_through_followers_keep_a_session_and_silence_ends_it_everywhere() {
    let mut ensemble = Ensemble::new();
    let follower = (ensemble.leader() + 1) % 3;
    let (conn, opened) = ensemble.open(follower, 4_000);
    assert_eq!(ensemble.ask(follower, conn, &create("/e", 1)), [(9, 0)]);
    for _ in 0..6 {
        ensemble.run(3_000);
        assert_eq!(ensemble.ask(follower, conn, &Request::Ping), [(-2, 0)]);
    }
    ensemble.run(3_900);
    assert!(ensemble.members.iter().all(|member| member.state().tree.find("/e").is_some()));
    ensemble.run(200);
    assert!(ensemble.members.iter().all(|member| member.state().tree.find("/e").is_none()));
    assert!(ensemble.closed.contains(&(follower, conn, CloseWhy::SessionEnded)));
    assert!(ensemble.members.iter().all(|m| m.state().ended.get(opened.session).is_some()));
}

#[test]
fn a_new_leader_gives_every_session_its_full_timeout() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let follower = (leader + 1) % 3;
    let (conn, opened) = ensemble.open(leader, 4_000);
    assert_eq!(ensemble.ask(leader, conn, &create("/e", 1)), [(9, 0)]);
    ensemble.run(3_000);
    ensemble.kill(leader);
    ensemble.run(1_000);
    let new = ensemble.leader();
    assert_ne!(new, leader);
    ensemble.run(2_500);
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let protocol_version = TENURE_PROTOCOL;
    let timeout_ms = 4_000;
    let request =
        ConnectRequest { protocol_version, session, password, timeout_ms, ..Default::default() };
    let (conn, resumed) = ensemble.connect(follower, request);
    assert_eq!(resumed.session, opened.session);
    assert_eq!(ensemble.ask(follower, conn, &create("/after", 0)), [(9, 0)]);
}

#[test]
fn a_session_that_a_follower_knows_before_the_leader_is_no_stranger_to_it() {
    for resumes_at_leader in [false, true] {
        let mut ensemble = Ensemble::new();
        let leader = ensemble.leader();
        let (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
        // Both followers have the beginning of the session on disk, the leader has not.
        ensemble.stuck_disk = Some(leader);
        let (conn, opened) = ensemble.open(first, 10_000);
        assert!(ensemble.members[leader].state().sessions.get(opened.session).is_none());
        assert_eq!(ensemble.ask(first, conn, &create("/e", 1)), [(9, 0)]);
        assert_eq!(ensemble.ask(first, conn, &Request::Ping), [(-2, 0)]);
        let (session, password) = (opened.session, Some(&opened.password[..]));
        let request = ConnectRequest { session, password, timeout_ms: 9_000, ..Default::default() };
        let member = if resumes_at_leader { leader } else { second };
        assert!(ensemble.ask_for_session(member, request).is_empty(), "nobody can know yet");
        let conn = ConnId(ensemble.next_conn - 1);
        ensemble.stuck_disk = None;
        ensemble.run(20);
        let frames = ensemble.got.remove(&(member, conn)).unwrap();
        assert_eq!(ConnectResponse::decode(&frames[0]).unwrap().session, session);
        assert_eq!(ensemble.ask(member, conn, &get("/e")), [(9, 0)]);
    }
}

#[test]
fn a_ping_through_a_follower_does_not_vouch_for_a_session_whose_end_is_under_way() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let follower = (leader + 1) % 3;
    let (conn, opened) = ensemble.open(follower, 10_000);
    // The follower learns of the end later than everybody else.
    ensemble.stuck_disk = Some(follower);
    ensemble.step(
        leader,
        Input::CloseSession { session: opened.session, reason: EndReason::ClosedByOperator },
    );
    assert_eq!(ensemble.ask(follower, conn, &Request::Ping), []);
    assert_eq!(ensemble.ask(follower, conn, &Request::Ping), []);
    ensemble.stuck_disk = None;
    ensemble.run(20);
    assert!(ensemble.members[follower].state().sessions.get(opened.session).is_none());
}

#[test]
fn a_member_that_grants_a_session_which_has_moved_on_meanwhile_does_not_keep_it() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let follower = (leader + 1) % 3;
    let (_, opened) = ensemble.open(leader, 10_000);
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let request = ConnectRequest { session, password, timeout_ms: 10_000, ..Default::default() };
    // The leader lets the follower have the session, and gets it back before the follower knows.
    let (peer, entropy) = (IpAddr::V4(Ipv4Addr::LOCALHOST), [7; 16]);
    let conn = ConnId(1_000);
    ensemble.step(
        follower,
        Input::Connect { conn, peer, certificate: None, request: request.clone(), entropy },
    );
    let (from, to, question) = ensemble.links.pop_front().expect("the follower asks the leader");
    assert_eq!((from, to), (follower as u64 + 1, leader as u64 + 1));
    ensemble.step(leader, Input::Peer { from, message: &question });
    let (own, granted) = ensemble.connect(leader, request);
    assert_eq!(granted.session, session);
    // So both were told that the session is theirs. Only one of them still is believed.
    assert!(ensemble.got.remove(&(follower, conn)).is_some());
    assert_eq!(ensemble.ask(follower, conn, &Request::Ping), []);
    assert!(ensemble.closed.contains(&(follower, conn, CloseWhy::Moved)));
    assert_eq!(ensemble.ask(leader, own, &Request::Ping), [(-2, 0)]);
}

#[test]
fn a_leader_that_was_replaced_without_knowing_it_vouches_for_no_session() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (conn, opened) = ensemble.open(leader, 4_000);
    assert_eq!(ensemble.ask(leader, conn, &Request::Ping), [(-2, 0)]);
    // The others notice that their links broke and elect a new leader at once.
    ensemble.cut_off = Some(leader);
    for other in (0..3).filter(|other| *other != leader) {
        ensemble.step(other, Input::PeerDown { member: leader as u64 + 1 });
    }
    while (0..3).all(|other| other == leader || !ensemble.members[other].is_leader()) {
        ensemble.run(5);
    }
    assert!(ensemble.members[leader].is_leader(), "it has not noticed yet");
    assert_eq!(ensemble.ask(leader, conn, &Request::Ping), []);
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let request = ConnectRequest { session, password, timeout_ms: 4_000, ..Default::default() };
    let unknown = ConnectRequest { session: SessionId(77), ..request.clone() };
    for request in [request, unknown] {
        assert!(ensemble.ask_for_session(leader, request).is_empty());
    }
    // Once it is back it follows; its clients find their session with the new leader.
    ensemble.cut_off = None;
    ensemble.run(1_000);
    assert_ne!(ensemble.leader(), leader);
    let request = ConnectRequest { session, password, timeout_ms: 4_000, ..Default::default() };
    assert_eq!(ensemble.connect(ensemble.leader(), request).1.session, session);
}

#[test]
fn without_a_quorum_clients_are_sent_away() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (conn, _) = ensemble.open(leader, 4_000);
    ensemble.kill((leader + 1) % 3);
    ensemble.run(2_000);
    assert_eq!(ensemble.ask(leader, conn, &Request::Ping), [(-2, 0)]);
    ensemble.kill((leader + 2) % 3);
    ensemble.run(3_000);
    assert!(ensemble.closed.contains(&(leader, conn, CloseWhy::NotServing)));
    assert!(!ensemble.members[leader].is_serving());
}

#[test]
fn a_follower_tells_our_own_client_how_its_session_ended() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    let (password, read_only, timeout_ms) = (Some(&TENURE_PASSWORD[..]), Some(false), 10_000);
    let new = ConnectRequest { password, read_only, timeout_ms, ..Default::default() };
    let (_, opened) = ensemble.connect(followers[0], new.clone());
    assert_eq!(opened.protocol_version, TENURE_PROTOCOL);
    let again = ConnectRequest {
        protocol_version: TENURE_PROTOCOL,
        session: opened.session,
        password: Some(&opened.password),
        ..new
    };
    let (_, resumed) = ensemble.connect(followers[1], again.clone());
    assert_eq!((resumed.protocol_version, resumed.session), (TENURE_PROTOCOL, opened.session));
    let wrong = ConnectRequest { password: Some(&[0; 16]), ..again.clone() };
    assert_eq!(ensemble.connect(followers[0], wrong).1, ConnectResponse::refused(Some(false)));
    // The leader has decided the end, and no follower has heard of it yet.
    let (session, reason) = (opened.session, EndReason::Expired { silent_ms: 10_000 });
    ensemble.step(leader, Input::CloseSession { session, reason });
    for member in followers.into_iter().chain([leader]) {
        let (_, refused) = ensemble.connect(member, again.clone());
        let account = refused.account.clone().map(|account| (account.by, account.silent_ms));
        assert_eq!(account, Some((EndedBy::Expiry, Some(10_000))), "{member}");
        assert_eq!(
            ConnectResponse { account: None, ..refused },
            ConnectResponse::refused(Some(false))
        );
    }
}

#[test]
fn a_new_leader_keeps_the_longer_timeout_that_a_resume_was_granted() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let follower = (leader + 1) % 3;
    let (_, opened) = ensemble.open(follower, 4_000);
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let protocol_version = TENURE_PROTOCOL;
    for (member, timeout_ms) in [(leader, 8_000), (follower, 12_000), (leader, 5_000)] {
        let request = ConnectRequest {
            protocol_version,
            session,
            password,
            timeout_ms,
            ..Default::default()
        };
        assert_eq!(ensemble.connect(member, request).1.timeout_ms, timeout_ms);
    }
    ensemble.kill(leader);
    ensemble.run(11_000);
    let new = ensemble.leader();
    assert!(ensemble.members[new].state().sessions.get(session).is_some());
    ensemble.run(3_000);
    assert!(ensemble.members[new].state().sessions.get(session).is_none());
}

#[test]
fn a_shorter_timeout_keeps_the_promise_of_before_across_members() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
    let (old, opened) = ensemble.open(first, 20_000);
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let protocol_version = TENURE_PROTOCOL;
    let timeout_ms = 4_000;
    let request =
        ConnectRequest { protocol_version, session, password, timeout_ms, ..Default::default() };
    let (new, resumed) = ensemble.connect(second, request);
    assert_eq!((resumed.session, resumed.timeout_ms), (session, 4_000));
    assert!(ensemble.closed.contains(&(first, old, CloseWhy::Moved)));
    ensemble.run(15_000);
    assert!(ensemble.members[leader].state().sessions.get(session).is_some());
    assert_eq!(ensemble.ask(second, new, &Request::Ping), [(-2, 0)]);
    ensemble.run(4_100);
    assert!(ensemble.members[leader].state().sessions.get(session).is_none());
}

#[test]
fn an_operator_may_ask_any_member() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (one, other) = ((leader + 1) % 3, (leader + 2) % 3);
    for (used, asked) in [(one, other), (one, leader), (leader, one), (other, other)] {
        let (conn, opened) = ensemble.open(used, 10_000);
        let session = opened.session;
        assert_eq!(ensemble.ask(used, conn, &create("/owned", 1)), [(9, 0)]);
        for (member, replica) in ensemble.members.iter().enumerate() {
            // Only the leader knows the deadline, and where a session is used elsewhere.
            assert_eq!(replica.expires_in_ms(session).is_some(), member == leader);
            assert_eq!(replica.silent_ms(session).is_some(), member == leader);
            let knows = member == leader || member == used;
            assert_eq!(replica.served_by(session), knows.then_some(used as u64 + 1));
        }
        let reason = EndReason::ClosedByOperator;
        ensemble.step(asked, Input::CloseSession { session, reason });
        ensemble.run(20);
        for replica in &ensemble.members {
            assert_eq!(replica.state().ended.get(session).map(|ended| ended.reason), Some(reason));
            assert_eq!(replica.gone_ephemeral("/owned").map(|gone| gone.owner), Some(session));
        }
        assert!(ensemble.closed.contains(&(used, conn, CloseWhy::SessionEnded)));
    }
}

#[test]
fn a_close_through_a_follower_is_answered_before_its_connection_ends() {
    let mut ensemble = Ensemble::new();
    let follower = (ensemble.leader() + 1) % 3;
    let (conn, _) = ensemble.open(follower, 10_000);
    let answers = ensemble.ask(follower, conn, &Request::CloseSession);
    assert!(matches!(answers[..], [(_, 0)]), "{answers:?}");
    assert!(ensemble.closed.iter().any(|(member, gone, _)| (*member, *gone) == (follower, conn)));
}

#[test]
fn a_leader_that_is_about_to_stop_hands_over_at_once() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (conn, opened) = ensemble.open((leader + 1) % 3, 10_000);
    assert_eq!(ensemble.ask((leader + 1) % 3, conn, &create("/e", 1)), [(9, 0)]);
    ensemble.step(leader, Input::HandOver);
    // Long before anybody would have missed it.
    ensemble.run(50);
    let next = ensemble.leader();
    assert_ne!(next, leader);
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let request = ConnectRequest { session, password, timeout_ms: 10_000, ..Default::default() };
    let (again, resumed) = ensemble.connect(next, request);
    assert_eq!(resumed.session, session);
    assert_eq!(ensemble.ask(next, again, &create("/after", 0)), [(9, 0)]);
    assert_eq!(ensemble.ask(next, again, &get("/e")), [(9, 0)]);
}

#[test]
fn a_leader_tells_how_long_each_follower_took_to_confirm() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (slow, quick) = ((leader + 1) % 3, (leader + 2) % 3);
    let (conn, _) = ensemble.open(leader, 30_000);
    ensemble.run(100);
    ensemble.acks.clear();
    ensemble.stuck_disk = Some(slow);
    assert_eq!(ensemble.ask(leader, conn, &create("/a", 0)), [(9, 0)]);
    ensemble.run(300);
    assert_eq!(ensemble.ask(leader, conn, &create("/b", 0)), [(9, 0)]);
    ensemble.stuck_disk = None;
    ensemble.run(50);
    let took_us = |ensemble: &Ensemble, follower: usize| -> Vec<u64> {
        let of_it = |(at, ack): &&(usize, Ack)| *at == leader && ack.member == follower as u64 + 1;
        ensemble.acks.iter().filter(of_it).map(|(_, ack)| ack.took_us).collect()
    };
    let quickly = took_us(&ensemble, quick);
    assert!(quickly.len() == 2 && quickly.iter().all(|took| *took < 50_000), "{quickly:?}");
    // The second entry came while the first was watched.
    let slowly = took_us(&ensemble, slow);
    assert!(matches!(slowly[..], [300_000..400_000]), "{slowly:?}");
    // Who is away answers to nothing, and is given what it missed when it is back.
    ensemble.acks.clear();
    assert_eq!(ensemble.ask(leader, conn, &create("/c", 0)), [(9, 0)]);
    ensemble.kill(slow);
    assert_eq!(ensemble.ask(leader, conn, &create("/d", 0)), [(9, 0)]);
    ensemble.run(1_000);
    ensemble.restart(slow);
    ensemble.run(1_000);
    let slowly = took_us(&ensemble, slow);
    assert!(slowly.iter().all(|took| *took < 500_000), "{slowly:?}");
}

#[test]
fn what_is_asked_during_a_hand_over_that_fails_is_done_after_it() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (conn, _) = ensemble.open(leader, 10_000);
    // Nobody hears that it is to take over.
    ensemble.step(leader, Input::HandOver);
    ensemble.links.clear();
    assert!(ensemble.members[leader].is_handing_over());
    assert_eq!(ensemble.ask(leader, conn, &create("/later", 0)), []);
    ensemble.run(2_000);
    assert_eq!(ensemble.leader(), leader);
    let answered = ensemble.got.remove(&(leader, conn)).unwrap_or_default();
    assert_eq!(answered.len(), 1);
    assert_eq!(ensemble.ask(leader, conn, &get("/later")), [(9, 0)]);
}
