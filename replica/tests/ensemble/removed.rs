//! A member that was removed from the ensemble and runs on: it harms nobody, serves nobody, and is
//! a member again as soon as the ensemble says so.

use tenure_replica::{CloseWhy, ConnId, Event};
use tenure_wire::Request;

use crate::lab::{Ensemble, create, get};

fn reconfigure(
    ensemble: &mut Ensemble,
    at: usize,
    conn: ConnId,
    (joining, leaving): (Option<&str>, Option<&str>),
) {
    let (joining, leaving) = (joining.map(Into::into), leaving.map(Into::into));
    let request = Request::Reconfig { joining, leaving, new_members: None, config_id: -1 };
    let mut answers = ensemble.ask(at, conn, &request);
    ensemble.run(500);
    answers.extend(ensemble.take_answers(at, conn));
    assert_eq!(answers, [(9, 0)]);
}

fn elections(ensemble: &Ensemble) -> usize {
    let led = |event: &&(usize, Event)| matches!(event.1, Event::Leading { .. });
    ensemble.events.iter().filter(led).count()
}

/// Members that are left go on as if the removed one were not there, and it comes back.
fn leaves_and_comes_back(restarts: bool) {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let removed = (leader + 1) % 3;
    let (conn, _) = ensemble.open(leader, 40_000);
    let (there, _) = ensemble.open(removed, 40_000);
    let id = removed + 1;
    reconfigure(&mut ensemble, leader, conn, (None, Some(&id.to_string())));
    let before = elections(&ensemble);
    ensemble.run(2_000);
    let sent_away = (removed, there, CloseWhy::NotServing);
    assert!(ensemble.closed.contains(&sent_away), "{:?}", ensemble.closed);
    assert!(!ensemble.members[removed].is_serving());
    if restarts {
        ensemble.kill(removed);
        ensemble.restart(removed);
    }
    for i in 0..15 {
        ensemble.run(2_000);
        assert!(!ensemble.members[removed].is_serving(), "it may not serve alone");
        let path = format!("/without-{i}");
        assert_eq!(ensemble.ask(leader, conn, &create(&path, 0)), [(9, 0)]);
    }
    assert_eq!(elections(&ensemble), before, "it disturbs nobody");
    assert!(ensemble.closed.iter().all(|(member, ..)| *member == removed));
    let line = format!("server.{id}=127.0.0.{id}:2888:3888:participant");
    reconfigure(&mut ensemble, leader, conn, (Some(&line), None));
    ensemble.run(2_000);
    assert_eq!(elections(&ensemble), before, "nor does it when it comes back");
    let (again, _) = ensemble.open(removed, 40_000);
    assert_eq!(ensemble.ask(removed, again, &get("/without-14")), [(9, 0)]);
    // It counts: with it the third one is not needed.
    ensemble.kill((leader + 2) % 3);
    assert_eq!(ensemble.ask(removed, again, &create("/with-it", 0)), [(9, 0)]);
}

#[test]
fn a_removed_member_disturbs_nobody_and_comes_back_when_it_is_added_again() {
    leaves_and_comes_back(false);
}

#[test]
fn a_removed_member_that_was_restarted_does_so_too() {
    leaves_and_comes_back(true);
}
