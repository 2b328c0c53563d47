//! Members that join, leave, and change their role.

use tenure_replica::{ConnId, Input};
use tenure_wire::{ErrorCode, Request};

use crate::lab::{Ensemble, create, get};

const IN_PROGRESS: i32 = ErrorCode::ReconfigInProgress as i32;
const NO_QUORUM: i32 = ErrorCode::NewConfigNoQuorum as i32;
const BAD_VERSION: i32 = ErrorCode::BadVersion as i32;

fn joining(lines: &str) -> Request<'_> {
    let joining = Some(lines.into());
    Request::Reconfig { joining, leaving: None, new_members: None, config_id: -1 }
}

fn leaving(ids: &str) -> Request<'_> {
    let leaving = Some(ids.into());
    Request::Reconfig { joining: None, leaving, new_members: None, config_id: -1 }
}

fn line(id: usize) -> String {
    format!("server.{id}=127.0.0.{id}:2888:3888:participant")
}

/// What `/zookeeper/config` holds at a member.
fn config_at(ensemble: &Ensemble, member: usize) -> String {
    ensemble.members[member].state().config_text()
}

/// The numbers of the members that it lists.
fn members_at(ensemble: &Ensemble, member: usize) -> Vec<usize> {
    let config = config_at(ensemble, member);
    let ids = config.lines().filter_map(|line| line.strip_prefix("server.")?.split('=').next());
    ids.map(|id| id.parse().unwrap()).collect()
}

fn client(ensemble: &mut Ensemble, member: usize) -> ConnId {
    ensemble.open(member, 30_000).0
}

/// Asks for a change and gives it some time. Returns (xid, error) of the replies.
fn change(
    ensemble: &mut Ensemble,
    member: usize,
    conn: ConnId,
    request: &Request<'_>,
) -> Vec<(i32, i32)> {
    let mut answers = ensemble.ask(member, conn, request);
    ensemble.run(500);
    answers.extend(ensemble.take_answers(member, conn));
    answers
}

/// Whether a write through whoever leads gets done.
fn is_writable(ensemble: &mut Ensemble, path: &str) -> bool {
    let leader = ensemble.leader();
    let conn = client(ensemble, leader);
    ensemble.ask(leader, conn, &create(path, 0)) == [(9, 0)]
}

#[test]
fn the_first_leader_writes_down_who_the_members_are() {
    let ensemble = Ensemble::reconfigurable();
    for member in 0..3 {
        let config = config_at(&ensemble, member);
        assert!(config.starts_with(&format!("{}\n", line(1))), "{config}");
        assert!(config.lines().last().unwrap().starts_with("version=1"), "{config}");
    }
}

/// An ensemble with more writes than its members remember, so that whoever joins starts from a
/// snapshot; its leader, and a client of that.
fn with_writes() -> (Ensemble, usize, ConnId) {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let conn = client(&mut ensemble, leader);
    for i in 0..100 {
        let path = format!("/before-{i}");
        assert_eq!(ensemble.ask(leader, conn, &create(&path, 0)), [(9, 0)]);
    }
    (ensemble, leader, conn)
}

#[test]
fn a_member_joins_catches_up_and_counts() {
    let (mut ensemble, leader, conn) = with_writes();
    ensemble.add_member();
    ensemble.run(1_000);
    let line = line(4);
    ensemble.ask(leader, conn, &joining(&line));
    ensemble.run(2_000);
    for member in 0..4 {
        assert_eq!(members_at(&ensemble, member), [1, 2, 3, 4], "{}", config_at(&ensemble, member));
    }
    // Three of four are needed now, and the new one is one of them.
    ensemble.kill((leader + 1) % 3);
    assert!(is_writable(&mut ensemble, "/three-of-four"));
    let at_new = client(&mut ensemble, 3);
    assert_eq!(ensemble.ask(3, at_new, &get("/before-99")), [(9, 0)]);
    ensemble.kill(3);
    ensemble.run(3_000);
    assert!(!ensemble.members[leader].is_serving(), "two of four decide nothing");
    // All of this is durable.
    for member in [3, (leader + 1) % 3] {
        ensemble.restart(member);
    }
    ensemble.run(3_000);
    assert!(is_writable(&mut ensemble, "/again"));
    let everybody: Vec<_> = (0..4).map(|member| members_at(&ensemble, member)).collect();
    assert_eq!(everybody, vec![vec![1, 2, 3, 4]; 4]);
}

#[test]
fn whoever_joins_needs_a_snapshot_that_counts_it() {
    let (mut ensemble, leader, conn) = with_writes();
    // The log continues this one, so it is what others would get.
    ensemble.step(leader, Input::TakeSnapshot);
    ensemble.run(100);
    assert!(ensemble.disks[leader].snapshot.is_some());
    ensemble.add_member();
    ensemble.run(1_000);
    ensemble.ask(leader, conn, &joining(&line(4)));
    ensemble.run(3_000);
    assert_eq!(members_at(&ensemble, 3), [1, 2, 3, 4]);
    let at_new = client(&mut ensemble, 3);
    assert_eq!(ensemble.ask(3, at_new, &get("/before-99")), [(9, 0)]);
}

#[test]
fn a_member_leaves_and_is_not_needed_any_more() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let gone = (leader + 1) % 3;
    let conn = client(&mut ensemble, leader);
    let gone_id = (gone + 1).to_string();
    assert_eq!(change(&mut ensemble, leader, conn, &leaving(&gone_id)), [(9, 0)]);
    assert!(!members_at(&ensemble, leader).contains(&(gone + 1)));
    ensemble.kill(gone);
    assert!(is_writable(&mut ensemble, "/two-of-two"));
}

#[test]
fn what_a_client_sends_behind_a_reconfig_is_done_behind_it() {
    for via_leader in [true, false] {
        let mut ensemble = Ensemble::reconfigurable();
        let leader = ensemble.leader();
        let member = if via_leader { leader } else { (leader + 1) % 3 };
        let conn = client(&mut ensemble, member);
        let gone = ((leader + 2) % 3 + 1).to_string();
        let (reconfig, write) = (leaving(&gone), create("/behind", 0));
        let read = get("/behind");
        let mut answers =
            ensemble.ask_all(member, conn, &[&create("/before", 0), &reconfig, &write, &read]);
        ensemble.run(500);
        answers.extend(ensemble.take_answers(member, conn));
        assert_eq!(answers, [(9, 0), (10, 0), (11, 0), (12, 0)], "via the leader: {via_leader}");
        assert_eq!(ensemble.ask(member, conn, &get("/behind")), [(9, 0)]);
    }
}

#[test]
fn a_leader_that_is_removed_hands_over_first() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let conn = client(&mut ensemble, (leader + 1) % 3);
    let leader_id = (leader + 1).to_string();
    ensemble.ask((leader + 1) % 3, conn, &leaving(&leader_id));
    ensemble.run(3_000);
    let next = ensemble.leader();
    assert_ne!(next, leader);
    assert!(!members_at(&ensemble, next).contains(&(leader + 1)), "{}", config_at(&ensemble, next));
    ensemble.kill(leader);
    assert!(is_writable(&mut ensemble, "/without"));
}

#[test]
fn members_without_a_quorum_are_refused_in_time_and_nothing_changes() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let conn = client(&mut ensemble, leader);
    let before = config_at(&ensemble, leader);
    let absent = [line(4), line(5), line(6), line(7)].join(",");
    assert_eq!(ensemble.ask(leader, conn, &joining(&absent)), [], "it waits for them");
    // Meanwhile writes go on, and a second change has to wait.
    assert!(is_writable(&mut ensemble, "/meanwhile"));
    let other = client(&mut ensemble, leader);
    let line_4 = line(4);
    assert_eq!(ensemble.ask(leader, other, &joining(&line_4)), [(9, IN_PROGRESS)]);
    for _ in 0..11 {
        ensemble.run(1_000);
        // So that the session lives.
        ensemble.ask(leader, conn, &Request::Ping);
    }
    assert_eq!(config_at(&ensemble, leader), before);
    assert_eq!(
        change(&mut ensemble, leader, other, &joining(&line_4)),
        [(9, 0)],
        "three of four are there"
    );
    let stale = Request::Reconfig {
        joining: None,
        leaving: Some("4".into()),
        new_members: None,
        config_id: 7,
    };
    assert_eq!(ensemble.ask(leader, other, &stale), [(9, BAD_VERSION)]);
    let back = leaving("4");
    assert_eq!(change(&mut ensemble, leader, other, &back), [(9, 0)]);
    assert_eq!(members_at(&ensemble, leader), [1, 2, 3]);
}

#[test]
fn the_refusal_says_that_there_is_no_quorum() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let conn = client(&mut ensemble, leader);
    let absent = [line(4), line(5), line(6), line(7)].join(",");
    ensemble.ask(leader, conn, &joining(&absent));
    ensemble.run(11_000);
    let answers = ensemble.ask(leader, conn, &get("/"));
    assert_eq!(answers, [(9, NO_QUORUM), (9, 0)]);
}

#[test]
fn whoever_leads_next_goes_on_with_a_change() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let conn = client(&mut ensemble, leader);
    let (one, two) = (line(4), line(5));
    // It needs three of five, and gets two until the new ones are up.
    ensemble.kill((leader + 1) % 3);
    let both = [one, two].join(",");
    assert_eq!(ensemble.ask(leader, conn, &joining(&both)), []);
    ensemble.restart((leader + 1) % 3);
    ensemble.kill(leader);
    ensemble.run(2_000);
    ensemble.add_member();
    ensemble.add_member();
    ensemble.run(4_000);
    let next = ensemble.leader();
    assert_eq!(members_at(&ensemble, next), [1, 2, 3, 4, 5], "{}", config_at(&ensemble, next));
    ensemble.restart(leader);
    ensemble.run(2_000);
    let everybody: Vec<_> = (0..5).map(|member| members_at(&ensemble, member)).collect();
    assert_eq!(everybody, vec![vec![1, 2, 3, 4, 5]; 5]);
}

#[test]
fn all_members_give_way_to_others_at_once() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let conn = client(&mut ensemble, leader);
    assert_eq!(ensemble.ask(leader, conn, &create("/before", 0)), [(9, 0)]);
    for _ in 0..3 {
        ensemble.add_member();
    }
    let lines = [line(4), line(5), line(6)].join("\n");
    let new_members = Some(lines.as_str().into());
    let replace = Request::Reconfig { joining: None, leaving: None, new_members, config_id: -1 };
    ensemble.ask(leader, conn, &replace);
    ensemble.run(4_000);
    for member in 0..3 {
        ensemble.kill(member);
    }
    ensemble.run(2_000);
    let next = ensemble.leader();
    assert_eq!(members_at(&ensemble, next), [4, 5, 6], "{}", config_at(&ensemble, next));
    let at_new = client(&mut ensemble, next);
    assert_eq!(ensemble.ask(next, at_new, &get("/before")), [(9, 0)]);
    assert!(is_writable(&mut ensemble, "/with-the-others"));
    assert!(!ensemble.members[next].is_observer());
}

#[test]
fn an_observer_is_promoted_and_a_voter_demoted() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let demoted = (leader + 1) % 3;
    let conn = client(&mut ensemble, leader);
    let as_observer = line(demoted + 1).replace("participant", "observer");
    assert_eq!(change(&mut ensemble, leader, conn, &joining(&as_observer)), [(9, 0)]);
    assert!(ensemble.members[demoted].is_observer());
    let there = client(&mut ensemble, demoted);
    assert_eq!(ensemble.ask(demoted, there, &create("/by-observer", 0)), [(9, 0)]);
    // It does not count: the other two are all voters.
    ensemble.kill(demoted);
    assert!(is_writable(&mut ensemble, "/without"));
    ensemble.restart(demoted);
    ensemble.run(500);
    let promoted = line(demoted + 1);
    assert_eq!(change(&mut ensemble, leader, conn, &joining(&promoted)), [(9, 0)]);
    assert!(!ensemble.members[demoted].is_observer());
    ensemble.kill((leader + 2) % 3);
    assert!(is_writable(&mut ensemble, "/with-it-again"));
}
