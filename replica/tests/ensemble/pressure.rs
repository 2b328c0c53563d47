//! Bounds, and what is refused for lack of memory: judged alike by all members.

use tenure_replica::{Bounds, CloseWhy, ConnId, Input};
use tenure_wire::{ConnectRequest, ErrorCode, Request};

use crate::lab::{Ensemble, create, get};

const NO_ROOM: i32 = ErrorCode::QuotaExceeded as i32;
const EPHEMERAL: i32 = 1;

fn set<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::SetData { path: path.into(), data: Some(data), version: -1 }
}

fn delete(path: &str) -> Request<'_> {
    Request::Delete { path: path.into(), version: -1 }
}

fn assert_equal(ensemble: &mut Ensemble) {
    ensemble.run(500);
    let digests = ensemble.members.iter().map(|member| member.state().tree.digest());
    let digests: Vec<u64> = digests.collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_leader_short_of_memory_refuses_growth_for_everybodys_clients() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let clients: Vec<ConnId> = (0..3).map(|member| ensemble.open(member, 10_000).0).collect();
    assert_eq!(ensemble.ask(leader, clients[leader], &create("/a", 0)), [(9, 0)]);
    assert_eq!(ensemble.ask(leader, clients[leader], &set("/a", b"1234")), [(9, 0)]);
    ensemble.step(leader, Input::RefuseGrowth(true));
    for (member, client) in clients.iter().enumerate() {
        let mut ask = |request: &Request<'_>| ensemble.ask(member, *client, request)[0].1;
        assert_eq!(ask(&create("/b", EPHEMERAL)), NO_ROOM);
        assert_eq!(ask(&set("/a", b"12345")), NO_ROOM);
        assert_eq!((ask(&set("/a", b"4321")), ask(&get("/a"))), (0, 0));
    }
    assert_eq!(ensemble.ask(0, clients[0], &delete("/a")), [(9, 0)]);
    // Sessions are begun and ended all the same.
    let other = (leader + 1) % 3;
    let (conn, _) = ensemble.open(other, 10_000);
    assert_eq!(ensemble.ask(other, conn, &Request::CloseSession), [(9, 0)]);
    assert_equal(&mut ensemble);
    ensemble.step(leader, Input::RefuseGrowth(false));
    assert_eq!(ensemble.ask(other, clients[other], &create("/b", 0)), [(9, 0)]);
    assert_equal(&mut ensemble);
}

#[test]
fn a_follower_short_of_memory_speaks_for_its_own_clients() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let short = (leader + 1) % 3;
    let (own, others) = (ensemble.open(short, 10_000).0, ensemble.open(leader, 10_000).0);
    ensemble.step(short, Input::RefuseGrowth(true));
    assert_eq!(ensemble.ask(short, own, &create("/own", 0)), [(9, NO_ROOM)]);
    assert_eq!(ensemble.ask(leader, others, &create("/others", 0)), [(9, 0)]);
    assert_equal(&mut ensemble);
}

#[test]
fn the_leaders_bounds_count_and_outlive_a_restart() {
    let bounds = Bounds { sessions: 4, znodes: 0, session_ephemerals: 2 };
    let mut ensemble = Ensemble::bounded(bounds);
    let leader = ensemble.leader();
    let clients: Vec<ConnId> = (0..3).map(|member| ensemble.open(member, 60_000).0).collect();
    for (member, client) in clients.iter().enumerate() {
        let mut ask = |path: &str| ensemble.ask(member, *client, &create(path, EPHEMERAL))[0].1;
        let paths = [0, 1, 2].map(|i| format!("/{member}-{i}"));
        assert_eq!([ask(&paths[0]), ask(&paths[1]), ask(&paths[2])], [0, 0, NO_ROOM]);
    }
    let follower = (leader + 1) % 3;
    ensemble.open(follower, 60_000);
    for member in [leader, follower] {
        let request = ConnectRequest { timeout_ms: 60_000, ..Default::default() };
        assert!(ensemble.ask_for_session(member, request).is_empty());
        let conn = ConnId(ensemble.next_conn - 1);
        assert!(ensemble.closed.contains(&(member, conn, CloseWhy::TooManySessions)));
    }
    assert_equal(&mut ensemble);
    // Replayed from its log, a member comes to the same.
    ensemble.kill(follower);
    ensemble.restart(follower);
    ensemble.run(2_000);
    assert_eq!(ensemble.members[follower].state().sessions.len(), 4);
    assert_equal(&mut ensemble);
}

#[test]
fn a_thousand_writes_at_once_are_applied_in_slices_and_in_order() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (conn, _) = ensemble.open(leader, 10_000);
    let paths: Vec<String> = (0..1000).map(|i| format!("/n{i}")).collect();
    let requests: Vec<Request<'_>> = paths.iter().map(|path| create(path, 0)).collect();
    let requests: Vec<&Request<'_>> = requests.iter().collect();
    let replies = ensemble.ask_all(leader, conn, &requests);
    assert_eq!(replies.len(), 1000);
    assert!(replies.iter().all(|(_, err)| *err == 0));
    assert!(replies.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_equal(&mut ensemble);
}
