//! What is told of elections, and leaders whose disk stands still.

use tenure_replica::{ElectionCause, Event, Input};

use crate::lab::{Ensemble, create, get};

/// Causes of the changes of the leader, as a member saw them.
fn causes(ensemble: &Ensemble, member: usize) -> Vec<ElectionCause> {
    let of_member = ensemble.events.iter().filter(|(at, _)| *at == member);
    let causes = of_member.filter_map(|(_, event)| match event {
        Event::Led { cause, .. } => Some(*cause),
        _ => None,
    });
    causes.collect()
}

#[test]
fn every_member_tells_why_it_had_no_leader_and_for_how_long() {
    let mut ensemble = Ensemble::new();
    for member in 0..3 {
        assert_eq!(causes(&ensemble, member), [ElectionCause::Started]);
    }
    let leader = ensemble.leader();
    ensemble.events.clear();
    ensemble.kill(leader);
    ensemble.run(2_000);
    let next = ensemble.leader();
    assert_eq!(causes(&ensemble, next), [ElectionCause::LinkBroken]);
    ensemble.restart(leader);
    ensemble.run(1_000);
    ensemble.events.clear();
    ensemble.step(next, Input::HandOver);
    ensemble.run(1_000);
    let last = ensemble.leader();
    // Not only the one that takes over: the one that led, and the one that is asked for its vote.
    for member in 0..3 {
        assert_eq!(causes(&ensemble, member), [ElectionCause::HandedOver], "server {member}");
    }
    let took = ensemble.events.iter().find_map(|(at, event)| match event {
        Event::Led { leaderless_ms, .. } if *at == last => Some(*leaderless_ms),
        _ => None,
    });
    assert!(took.unwrap() < 50, "{took:?}");
}

#[test]
fn a_follower_tells_how_long_it_took_to_get_what_its_leader_has() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let slow = (leader + 1) % 3;
    ensemble.stuck_disk = Some(slow);
    // So it lags, and the other one takes over.
    ensemble.open(leader, 10_000);
    ensemble.events.clear();
    ensemble.step(leader, Input::HandOver);
    ensemble.run(700);
    ensemble.stuck_disk = None;
    ensemble.run(300);
    let sync_us = |member| {
        ensemble.events.iter().find_map(|(at, event)| match event {
            Event::Led { sync_us, .. } if *at == member => Some(*sync_us),
            _ => None,
        })
    };
    assert_eq!(sync_us(ensemble.leader()), Some(None), "a leader follows nobody");
    let quick = sync_us(leader).flatten().expect("it follows");
    assert!(quick < 50_000, "{quick}");
    let took = sync_us(slow).flatten().expect("it follows");
    assert!((600_000..800_000).contains(&took), "{took}");
}

#[test]
fn sessions_that_do_not_come_back_after_an_election_are_counted() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (_, opened) = ensemble.open(leader, 4_000);
    ensemble.open(leader, 4_000);
    ensemble.kill(leader);
    ensemble.events.clear();
    ensemble.run(2_000);
    let next = ensemble.leader();
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let again =
        tenure_wire::ConnectRequest { session, password, timeout_ms: 30_000, ..Default::default() };
    ensemble.connect(next, again);
    ensemble.run(6_000);
    let settled = ensemble.events.iter().find_map(|(at, event)| match event {
        Event::ElectionSettled { returned, lost, .. } => Some((*at, *returned, *lost)),
        _ => None,
    });
    assert_eq!(settled, Some((next, 1, 1)));
}

#[test]
fn a_leader_that_hears_nobody_says_so_when_it_gives_up() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    ensemble.events.clear();
    ensemble.deaf = Some(leader);
    // It gives up after half a second to one; the others need no further silence.
    ensemble.run(1_250);
    let next = (0..3).find(|member| *member != leader && ensemble.members[*member].is_leader());
    assert_eq!(causes(&ensemble, next.unwrap()), [ElectionCause::LeaderResigned]);
    assert_eq!(causes(&ensemble, leader), []);
    ensemble.deaf = None;
    ensemble.run(1_000);
    assert_eq!(causes(&ensemble, leader), [ElectionCause::QuorumLost]);
}

#[test]
fn a_leader_whose_disk_stands_still_is_replaced() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let follower = (leader + 1) % 3;
    let (conn, _) = ensemble.open(leader, 10_000);
    ensemble.stuck_disk = Some(leader);
    assert_eq!(ensemble.ask(leader, conn, &create("/before", 0)), [], "it applies nothing");
    ensemble.run(3_000);
    let next = ensemble.leader();
    assert_ne!(next, leader);
    assert!(ensemble.events.contains(&(leader, Event::DiskStalled)));
    let (conn, _) = ensemble.open(follower, 10_000);
    assert_eq!(ensemble.ask(follower, conn, &create("/after", 0)), [(9, 0)]);
    // Once its disk moves again it follows like any other.
    ensemble.stuck_disk = None;
    ensemble.run(1_000);
    let (conn, _) = ensemble.open(leader, 10_000);
    assert_eq!(ensemble.ask(leader, conn, &get("/after")), [(9, 0)]);
}

#[test]
fn an_observer_notices_a_leader_that_is_silent() {
    let mut ensemble = Ensemble::with_observer();
    let leader = ensemble.leader();
    let observer = 3;
    assert!(ensemble.members[observer].is_serving());
    // Their machines lose power, so that no link breaks.
    ensemble.down = vec![true, true, true, false];
    ensemble.run(3_000);
    assert!(!ensemble.members[observer].is_serving(), "server {} leads no more", leader + 1);
}
