//! The id by which members of one ensemble know each other.

use tenure_replica::{Input, Replica};
use tenure_wire::Request;

use crate::lab::{Ensemble, create};

fn ids(ensemble: &Ensemble) -> Vec<u64> {
    ensemble.members.iter().map(Replica::cluster_id).collect()
}

#[test]
fn the_first_leader_gives_an_id_that_all_know_and_later_ones_keep() {
    let mut ensemble = Ensemble::reconfigurable();
    let first = ensemble.leader();
    // Each member would give another one.
    let id = first as u64 + 1;
    assert_eq!(ids(&ensemble), [id; 3]);
    assert!(ensemble.told_cluster.iter().all(|told| *told == id));
    let (conn, _) = ensemble.open(first, 30_000);
    assert_eq!(ensemble.ask(first, conn, &create("/a", 0)), [(9, 0)]);
    ensemble.kill(first);
    ensemble.run(2_000);
    assert_ne!(ensemble.leader(), first);
    ensemble.restart(first);
    ensemble.step(first, Input::Tick);
    assert_eq!(ensemble.members[first].cluster_id(), id, "its log says so, without any leader");
    ensemble.run(2_000);
    assert_eq!(ids(&ensemble), [id; 3]);
}

#[test]
fn the_id_takes_no_zxid() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let before = ensemble.members[leader].last_zxid();
    let config = ensemble.members[leader].state().config_text();
    assert!(config.ends_with(&format!("version={:x}", before.0)), "{config}: {before:?}");
    let (conn, _) = ensemble.open(leader, 30_000);
    assert_eq!(ensemble.members[leader].last_zxid().0, before.0 + 1);
    assert_eq!(ensemble.ask(leader, conn, &create("/a", 0)), [(9, 0)]);
}

#[test]
fn whoever_joins_learns_the_id_from_a_snapshot() {
    let mut ensemble = Ensemble::reconfigurable();
    let leader = ensemble.leader();
    let id = ensemble.members[leader].cluster_id();
    let (conn, _) = ensemble.open(leader, 30_000);
    // More than the others remember.
    for i in 0..100 {
        assert_eq!(ensemble.ask(leader, conn, &create(&format!("/{i}"), 0)), [(9, 0)]);
    }
    ensemble.add_member();
    assert_eq!(ensemble.members[3].cluster_id(), 0, "it does not know yet");
    let line = "server.4=127.0.0.4:2888:3888:participant";
    let joining = Some(line.into());
    let join = Request::Reconfig { joining, leaving: None, new_members: None, config_id: -1 };
    ensemble.ask(leader, conn, &join);
    ensemble.run(2_000);
    assert!(!ensemble.transfers.is_empty(), "it was sent a snapshot");
    assert_eq!(ids(&ensemble), [id; 4]);
}
