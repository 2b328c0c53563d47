//! A member whose disk was lost must not help to forget what it had confirmed.

use tenure_replica::ConnId;

use crate::lab::{Disk, Ensemble, create, get};

/// Three members, of which one is cut off and lacks acknowledged writes.
struct Scene {
    ensemble: Ensemble,
    leader: usize,
    lagging: usize,
    /// It has confirmed the writes, and is down; its disk is lost.
    wiped: usize,
}

fn scene(writes: usize) -> Scene {
    let mut ensemble = Ensemble::with_tail(20);
    let leader = ensemble.leader();
    let (lagging, wiped) = ((leader + 1) % 3, (leader + 2) % 3);
    let (conn, _) = ensemble.open(leader, 10_000);
    ensemble.cut_off = Some(lagging);
    for i in 0..writes {
        assert_eq!(ensemble.ask(leader, conn, &create(&format!("/known-{i}"), 0)), [(9, 0)]);
    }
    ensemble.kill(wiped);
    ensemble.disks[wiped] = Disk::default();
    Scene { ensemble, leader, lagging, wiped }
}

fn serving(ensemble: &Ensemble) -> Vec<usize> {
    let serves = |member: &usize| !ensemble.down[*member] && ensemble.members[*member].is_serving();
    (0..3).filter(serves).collect()
}

fn client(ensemble: &mut Ensemble, member: usize) -> ConnId {
    ensemble.open(member, 10_000).0
}

#[test]
fn it_does_not_elect_a_member_that_lacks_acknowledged_writes() {
    let Scene { mut ensemble, leader, lagging, wiped } = scene(3);
    ensemble.kill(leader);
    ensemble.cut_off = None;
    ensemble.restart(wiped);
    ensemble.run(5_000);
    assert_eq!(serving(&ensemble), [] as [usize; 0], "neither of them knows the writes");
    ensemble.restart(leader);
    ensemble.run(5_000);
    assert_eq!(serving(&ensemble), [0, 1, 2]);
    // Whole again, it counts like any other.
    ensemble.kill(leader);
    ensemble.run(3_000);
    for member in [lagging, wiped] {
        let conn = client(&mut ensemble, member);
        assert_eq!(ensemble.ask(member, conn, &get("/known-2")), [(9, 0)]);
    }
}

#[test]
fn half_of_what_it_had_is_not_enough_even_after_a_restart() {
    let Scene { mut ensemble, leader, lagging, wiped } = scene(3);
    ensemble.restart(wiped);
    while ensemble.disks[wiped].log.is_empty() {
        ensemble.run(0);
    }
    ensemble.kill(leader);
    ensemble.kill(wiped);
    // It crashes when no more than the first entries are stored.
    ensemble.disks[wiped].log.truncate(2);
    assert_eq!(ensemble.disks[wiped].log.len(), 2);
    ensemble.cut_off = None;
    ensemble.restart(wiped);
    ensemble.run(5_000);
    assert_eq!(serving(&ensemble), [] as [usize; 0]);
    ensemble.restart(leader);
    ensemble.run(5_000);
    assert_eq!(serving(&ensemble), [0, 1, 2]);
    let conn = client(&mut ensemble, lagging);
    assert_eq!(ensemble.ask(lagging, conn, &get("/known-2")), [(9, 0)]);
}

#[test]
fn it_catches_up_from_a_snapshot_while_nothing_is_written() {
    let Scene { mut ensemble, leader, lagging, wiped } = scene(60);
    ensemble.cut_off = None;
    ensemble.run(2_000);
    ensemble.restart(wiped);
    ensemble.run(3_000);
    ensemble.kill(leader);
    ensemble.kill(lagging);
    ensemble.restart(lagging);
    ensemble.run(3_000);
    assert_eq!(serving(&ensemble).len(), 2, "its vote counts");
    assert!(!ensemble.disks[wiped].hard_state.catching_up, "also after a restart");
}

#[test]
fn an_operator_can_say_that_nothing_is_missing() {
    let Scene { mut ensemble, leader, wiped, lagging } = scene(3);
    ensemble.kill(leader);
    ensemble.cut_off = None;
    ensemble.restart_as_complete(wiped);
    ensemble.run(5_000);
    let conn = client(&mut ensemble, lagging);
    assert_eq!(
        ensemble.ask(lagging, conn, &get("/known-2")),
        [(9, -101)],
        "they are lost for good"
    );
}
