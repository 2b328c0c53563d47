//! What an ensemble accounts for: each change once, at the member that was asked for it; each end
//! of a session once, at the leader; each refusal at the member that refused.

use tenure_replica::DenialWhy;
use tenure_wire::{Acl, ErrorCode, Perms, Request};

use crate::lab::{Ensemble, create, get};

fn closed_to_all() -> Vec<Acl<'static>> {
    vec![Acl { perms: Perms::ALL, scheme: "digest".into(), id: "bob:x".into() }]
}

#[test]
fn changes_are_recorded_where_they_were_asked_for_and_ends_at_the_leader() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let mut expected = Vec::new();
    for member in 0..3 {
        let (conn, _) = ensemble.open(member, 60_000);
        let path = format!("/by-{member}");
        assert_eq!(ensemble.ask(member, conn, &create(&path, 0)), [(9, 0)]);
        expected.push((member, "create", Some(path)));
    }
    let follower = (leader + 1) % 3;
    let (conn, opened) = ensemble.open(follower, 4_000);
    assert_eq!(ensemble.ask(follower, conn, &create("/e", 1)), [(9, 0)]);
    ensemble.run(4_500);
    expected.push((follower, "create", Some("/e".to_owned())));
    let gone = "ephemeralZNodeDeletionOnSessionCloseOrExpire";
    expected.push((leader, gone, Some("/e".to_owned())));
    expected.push((leader, "expireSession", None));
    let seen: Vec<_> = ensemble
        .audited
        .iter()
        .map(|(member, record)| (*member, record.operation, record.path.clone()))
        .collect();
    assert_eq!(seen, expected);
    let ends = ensemble.audited.iter().filter(|(_, record)| record.session == opened.session);
    let zxids: Vec<_> = ends.map(|(_, record)| record.zxid).collect();
    // The znode went with the session, in one change.
    assert!(zxids.len() == 3 && zxids[0] < zxids[1] && zxids[1] == zxids[2], "{zxids:?}");
}

#[test]
fn refusals_are_accounted_for_by_the_member_that_was_asked() {
    let mut ensemble = Ensemble::new();
    let leader = ensemble.leader();
    let (conn, _) = ensemble.open(leader, 60_000);
    let Request::Create(mut closed) = create("/closed", 0) else { panic!("a create is one") };
    closed.acl = closed_to_all();
    assert_eq!(ensemble.ask(leader, conn, &Request::Create(closed)), [(9, 0)]);
    let no_auth = ErrorCode::NoAuth.code();
    for member in 0..3 {
        ensemble.denied.clear();
        let (conn, opened) = ensemble.open(member, 60_000);
        let requests = [&create("/closed/x", 0), &get("/closed")];
        assert_eq!(ensemble.ask_all(member, conn, &requests), [(9, no_auth), (10, no_auth)]);
        let needed: Vec<_> = ensemble
            .denied
            .iter()
            .map(|(at, denial)| {
                assert_eq!((*at, denial.session), (member, opened.session));
                let DenialWhy::NoPermission { at, wanted, acl, .. } = &denial.why else {
                    panic!("{denial:?}")
                };
                assert_eq!(acl.as_deref(), Some("digest:bob:x:cdrwa"));
                (denial.operation, at.as_str(), *wanted)
            })
            .collect();
        let expected = [("create", "/closed", Perms::CREATE), ("getData", "/closed", Perms::READ)];
        assert_eq!(needed, expected);
    }
}
