//! Syncs and linearizable reads: never older than what was acknowledged before they came.

use tenure_replica::{ConnId, Input};
use tenure_wire::Request;

use crate::lab::{Ensemble, create, get};

const SYNC: Request<'_> = Request::Sync { path: std::borrow::Cow::Borrowed("/") };

fn wish<'a>(auth: &'a [u8]) -> Request<'a> {
    Request::Auth { scheme: "tenure".into(), auth: Some(auth) }
}

fn client(ensemble: &mut Ensemble, member: usize) -> ConnId {
    ensemble.open(member, 30_000).0
}

/// Cuts a member off, whose clock stands from now on, and has the others write.
fn write_without(ensemble: &mut Ensemble, cut_off: usize) {
    ensemble.cut_off = Some(cut_off);
    let others: Vec<_> = (0..3).filter(|other| *other != cut_off).collect();
    for other in &others {
        ensemble.step(*other, Input::PeerDown { member: cut_off as u64 + 1 });
    }
    let serves = |ensemble: &Ensemble, member: usize| ensemble.members[member].is_serving();
    while !others.iter().all(|other| serves(ensemble, *other)) {
        ensemble.run(5);
    }
    let conn = client(ensemble, others[0]);
    assert_eq!(ensemble.ask(others[0], conn, &create("/new", 0)), [(9, 0)]);
    assert!(serves(ensemble, cut_off), "it has not noticed");
}

#[test]
fn a_member_that_is_cut_off_answers_plain_reads_and_nothing_that_must_be_fresh() {
    for cut_off_leads in [true, false] {
        let mut ensemble = Ensemble::new();
        let leader = ensemble.leader();
        let cut_off = if cut_off_leads { leader } else { (leader + 1) % 3 };
        let plain = client(&mut ensemble, cut_off);
        let fresh = client(&mut ensemble, cut_off);
        assert_eq!(ensemble.ask(cut_off, fresh, &wish(b"linearizable-reads")), [(9, 0)]);
        assert_eq!(ensemble.ask(cut_off, fresh, &get("/new")), [(9, -101)]);
        write_without(&mut ensemble, cut_off);
        assert_eq!(ensemble.ask(cut_off, plain, &get("/new")), [(9, -101)], "old, and fast");
        assert_eq!(ensemble.ask(cut_off, fresh, &get("/new")), []);
        assert_eq!(ensemble.ask(cut_off, plain, &SYNC), []);
        // Its links broke, of which it hears only now.
        ensemble.cut_off = None;
        for other in (0..3).filter(|other| *other != cut_off) {
            ensemble.step(cut_off, Input::PeerDown { member: other as u64 + 1 });
        }
        ensemble.run(1_000);
        assert_eq!(ensemble.take_answers(cut_off, fresh), [], "the client was sent away");
        let fresh = client(&mut ensemble, cut_off);
        let requests = [&wish(b"linearizable-reads"), &get("/new")];
        let answers = ensemble.ask_all(cut_off, fresh, &requests);
        assert_eq!(answers, [(9, 0), (10, 0)], "led: {cut_off_leads}");
    }
}

#[test]
fn fresh_reads_keep_their_place_between_writes() {
    let mut ensemble = Ensemble::new();
    for member in 0..3 {
        let conn = client(&mut ensemble, member);
        ensemble.ask(member, conn, &wish(b"linearizable-reads"));
        let path = format!("/by-{member}");
        let (write, read) = (create(&path, 0), get(&path));
        let answers = ensemble.ask_all(member, conn, &[&read, &write, &read, &SYNC, &read]);
        assert_eq!(answers, [(9, -101), (10, 0), (11, 0), (12, 0), (13, 0)]);
        let answers = ensemble.ask_all(member, conn, &[&wish(b"local-reads"), &read]);
        assert_eq!(answers, [(9, 0), (10, 0)]);
    }
}

#[test]
fn a_wish_that_nobody_knows_is_refused() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let conn = client(&mut ensemble, leader);
    assert_eq!(ensemble.ask(leader, conn, &wish(b"faster")), [(9, -115)]);
}
