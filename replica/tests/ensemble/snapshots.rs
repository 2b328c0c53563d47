//! Members that were away for longer than the others remember.

use tenure_replica::{CloseWhy, ConnId};
use tenure_wire::ConnectRequest;

use crate::lab::{Disk, Ensemble, create, get};

/// Applied entries that members keep for each other here.
const TAIL: u64 = 20;

/// A member that is no leader is away while so much is written that only a snapshot brings it back.
/// Returns it, and a client of the leader that did the writing.
fn left_behind() -> (Ensemble, usize, ConnId) {
    let mut ensemble = Ensemble::with_tail(TAIL);
    let leader = ensemble.leader();
    let away = (leader + 1) % 3;
    let (conn, _) = ensemble.open(leader, 10_000);
    assert_eq!(ensemble.ask(leader, conn, &create("/before", 0)), [(9, 0)]);
    ensemble.kill(away);
    write_beyond_tail(&mut ensemble, leader, conn, "/away");
    (ensemble, away, conn)
}

fn write_beyond_tail(ensemble: &mut Ensemble, leader: usize, conn: ConnId, prefix: &str) {
    for i in 0..3 * TAIL {
        let path = format!("{prefix}-{i}");
        assert_eq!(ensemble.ask(leader, conn, &create(&path, 0)), [(9, 0)]);
    }
}

fn all_equal(ensemble: &Ensemble) -> bool {
    let digest = ensemble.members[0].state().tree.digest();
    ensemble.members.iter().all(|member| member.state().tree.digest() == digest)
}

#[test]
fn a_member_that_was_away_for_long_gets_a_snapshot_and_serves_again() {
    let (mut ensemble, away, conn) = left_behind();
    let leader = ensemble.leader();
    ensemble.restart(away);
    ensemble.run(2_000);
    assert_eq!(ensemble.transfers, [(leader, away)], "once is enough");
    assert!(all_equal(&ensemble));
    // It takes part: without the third member its vote is needed for every write.
    ensemble.kill((leader + 2) % 3);
    assert_eq!(ensemble.ask(leader, conn, &create("/together", 0)), [(9, 0)]);
    let (at_away, _) = ensemble.open(away, 10_000);
    assert_eq!(ensemble.ask(away, at_away, &get("/together")), [(9, 0)]);
}

#[test]
fn a_member_without_a_disk_comes_back_from_a_snapshot_and_can_lead() {
    let (mut ensemble, away, _) = left_behind();
    let leader = ensemble.leader();
    ensemble.disks[away] = Disk::default();
    ensemble.restart(away);
    ensemble.run(2_000);
    assert!(all_equal(&ensemble));
    ensemble.kill(leader);
    ensemble.run(3_000);
    // What it got as a snapshot, it passes on as one.
    let next = ensemble.leader();
    let (conn, _) = ensemble.open(next, 10_000);
    write_beyond_tail(&mut ensemble, next, conn, "/later");
    ensemble.restart(leader);
    ensemble.run(2_000);
    assert!(all_equal(&ensemble));
}

#[test]
fn a_restart_right_after_a_snapshot_came_goes_on_from_it() {
    let (mut ensemble, away, conn) = left_behind();
    let leader = ensemble.leader();
    ensemble.restart(away);
    ensemble.run(2_000);
    // As if the log had heard nothing of the snapshot yet, not even of its term.
    ensemble.kill(away);
    ensemble.disks[away].log.clear();
    ensemble.disks[away].hard_state = Default::default();
    ensemble.restart(away);
    ensemble.run(2_000);
    assert_eq!(ensemble.transfers.len(), 1, "what it has need not be sent again");
    assert_eq!(ensemble.ask(leader, conn, &create("/after", 0)), [(9, 0)]);
    ensemble.run(100);
    assert!(all_equal(&ensemble));
}

#[test]
fn clients_of_a_member_that_goes_on_from_a_snapshot_are_sent_away_and_keep_their_sessions() {
    let mut ensemble = Ensemble::with_tail(TAIL);
    let leader = ensemble.leader();
    let away = (leader + 1) % 3;
    let (conn, opened) = ensemble.open(away, 10_000);
    assert_eq!(ensemble.ask(away, conn, &create("/e", 1)), [(9, 0)]);
    let (writer, _) = ensemble.open(leader, 10_000);
    ensemble.cut_off = Some(away);
    write_beyond_tail(&mut ensemble, leader, writer, "/unseen");
    ensemble.cut_off = None;
    ensemble.run(1_000);
    assert!(all_equal(&ensemble));
    assert!(ensemble.closed.contains(&(away, conn, CloseWhy::NotServing)));
    let (session, password) = (opened.session, Some(&opened.password[..]));
    let request = ConnectRequest { session, password, timeout_ms: 10_000, ..Default::default() };
    let (again, resumed) = ensemble.connect(away, request);
    assert_eq!(resumed.session, session);
    assert_eq!(ensemble.ask(away, again, &get("/unseen-0")), [(9, 0)]);
    assert_eq!(ensemble.ask(away, again, &get("/e")), [(9, 0)]);
}

#[test]
fn members_that_lag_by_less_than_the_tail_need_no_snapshot() {
    let mut ensemble = Ensemble::with_tail(1_000);
    let leader = ensemble.leader();
    let away = (leader + 1) % 3;
    let (conn, _) = ensemble.open(leader, 10_000);
    ensemble.kill(away);
    write_beyond_tail(&mut ensemble, leader, conn, "/away");
    ensemble.restart(away);
    ensemble.run(1_000);
    assert_eq!(ensemble.transfers, []);
    assert!(all_equal(&ensemble));
}

#[test]
fn a_leader_makes_a_snapshot_for_those_without_whom_it_cannot_begin() {
    let (mut ensemble, away, _) = left_behind();
    let leader = ensemble.leader();
    let other = (leader + 2) % 3;
    // One is far behind, and another one has lost its disk.
    ensemble.kill(other);
    ensemble.disks[other] = Disk::default();
    ensemble.run(2_000);
    assert!(!ensemble.members[leader].is_leader());
    ensemble.restart(away);
    ensemble.restart(other);
    ensemble.run(5_000);
    assert!((0..3).all(|member| ensemble.members[member].is_serving()));
    assert!(all_equal(&ensemble));
}
