//! A member whose disk was lost must not help to forget what it had confirmed.

use tenure_replica::{ConnId, Founder, Input};
use tenure_wire::Zxid;

use crate::lab::{Disk, Ensemble, create, get};

/// Three members, of which one does not hear the leader and lacks acknowledged writes.
struct Scene {
    ensemble: Ensemble,
    leader: usize,
    lagging: usize,
    /// It has confirmed the writes, and is down; its disk is lost.
    wiped: usize,
}

fn scene(writes: usize) -> Scene {
    scene_of(Ensemble::with_tail(20), writes, Disk::default)
}

/// What is found instead of the lost disk is what `left` says.
fn scene_of(mut ensemble: Ensemble, writes: usize, left: impl Fn() -> Disk) -> Scene {
    let leader = ensemble.leader();
    let (lagging, wiped) = ((leader + 1) % 3, (leader + 2) % 3);
    let (conn, _) = ensemble.open(leader, 10_000);
    ensemble.unheard = Some((leader, lagging));
    for i in 0..writes {
        assert_eq!(ensemble.ask(leader, conn, &create(&format!("/known-{i}"), 0)), [(9, 0)]);
    }
    ensemble.kill(wiped);
    ensemble.disks[wiped] = left();
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
    ensemble.unheard = None;
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

/// The disk of a member that was made from a backup.
fn founded() -> Disk {
    let mut state = Founder::new(0).finish(Zxid::new(5, 77), 0);
    let mut chunks = Vec::new();
    let written: Result<(), std::convert::Infallible> = state.write_chunks(|chunk| {
        chunks.push(chunk.to_vec());
        Ok(())
    });
    written.expect("nothing can fail");
    let mut disk = Disk::default();
    disk.snapshot = Some((state.snapshot_meta(), chunks));
    disk
}

#[test]
fn a_backup_in_place_of_what_it_had_is_not_enough_either() {
    let mut ensemble = Ensemble::with_tail(20);
    for member in 0..3 {
        ensemble.kill(member);
        ensemble.disks[member] = founded();
    }
    (0..3).for_each(|member| ensemble.restart(member));
    ensemble.run(2_000);
    assert_eq!(serving(&ensemble), [0, 1, 2], "a new ensemble has nothing to catch up with");
    let id = ensemble.members[0].cluster_id();
    assert!(id != 0 && ensemble.members.iter().all(|member| member.cluster_id() == id));
    let Scene { mut ensemble, leader, lagging, wiped } = scene_of(ensemble, 3, founded);
    ensemble.kill(leader);
    ensemble.unheard = None;
    ensemble.restart(wiped);
    assert_eq!(ensemble.members[wiped].cluster_id(), id, "it began as the others did");
    ensemble.run(5_000);
    assert_eq!(serving(&ensemble), [] as [usize; 0], "neither of them knows the writes");
    ensemble.restart(leader);
    ensemble.run(5_000);
    assert_eq!(serving(&ensemble), [0, 1, 2]);
    let conn = client(&mut ensemble, lagging);
    assert_eq!(ensemble.ask(lagging, conn, &get("/known-2")), [(9, 0)]);
}

#[test]
fn half_of_what_it_had_is_not_enough_even_after_a_restart() {
    let Scene { mut ensemble, leader, lagging, wiped } = scene(3);
    ensemble.restart(wiped);
    for _ in 0..100 {
        if ensemble.disks[wiped].log.is_empty() {
            ensemble.run(0);
        }
    }
    ensemble.kill(leader);
    ensemble.kill(wiped);
    // It crashes when no more than the first entries are stored.
    ensemble.disks[wiped].log.truncate(2);
    assert_eq!(ensemble.disks[wiped].log.len(), 2);
    ensemble.unheard = None;
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
    ensemble.unheard = None;
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
    ensemble.unheard = None;
    ensemble.restart_as_complete(wiped);
    ensemble.run(5_000);
    let conn = client(&mut ensemble, lagging);
    assert_eq!(
        ensemble.ask(lagging, conn, &get("/known-2")),
        [(9, -101)],
        "they are lost for good"
    );
}

#[test]
fn it_follows_no_leader_that_was_replaced_with_its_own_vote() {
    let mut ensemble = Ensemble::new();
    let stale = ensemble.leader();
    let at_stale = client(&mut ensemble, stale);
    assert_eq!(ensemble.ask(stale, at_stale, &create("/old", 0)), [(9, 0)]);
    // It is paused, and the two others elect one of them.
    ensemble.cut_off = Some(stale);
    let others: Vec<_> = (0..3).filter(|other| *other != stale).collect();
    for other in &others {
        ensemble.step(*other, Input::PeerDown { member: stale as u64 + 1 });
    }
    ensemble.run(2_000);
    let next = others.iter().copied().find(|other| ensemble.members[*other].is_leader()).unwrap();
    let wiped = others.iter().copied().find(|other| *other != next).unwrap();
    let conn = client(&mut ensemble, next);
    assert_eq!(ensemble.ask(next, conn, &create("/new", 0)), [(9, 0)]);
    // Both go down, one with its disk, before the paused one goes on as if nothing had happened.
    ensemble.kill(wiped);
    ensemble.disks[wiped] = Disk::default();
    ensemble.kill(next);
    ensemble.cut_off = None;
    assert!(ensemble.members[stale].is_leader());
    ensemble.restart(wiped);
    assert_eq!(ensemble.ask(stale, at_stale, &create("/lost", 0)), []);
    ensemble.run(3_000);
    assert_eq!(serving(&ensemble), [] as [usize; 0]);
    ensemble.restart(next);
    ensemble.run(3_000);
    assert_eq!(serving(&ensemble), [0, 1, 2]);
    let conn = client(&mut ensemble, wiped);
    let answers = ensemble.ask_all(wiped, conn, &[&get("/new"), &get("/lost")]);
    assert_eq!(answers, [(9, 0), (10, -101)]);
}
