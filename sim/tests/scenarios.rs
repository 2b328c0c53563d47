//! Histories that once broke a rule, by what was wrong then.

use tenure_sim::{Kind, Wishes, run};

/// The history of a seed breaks no rule.
fn holds(seed: u64, kind: Kind) {
    let violation = run(seed, &Wishes { kind, ..Wishes::default() }).violation;
    assert_eq!(violation, None, "seed {seed}");
}

/// Its acknowledgements were lost, and the leader sent snapshots for ever that it did not need,
/// and so did not answer.
#[test]
fn a_member_ahead_of_the_snapshot_that_it_is_sent_goes_on() {
    holds(5_996, Kind::Busy);
}

/// An operator ended it while its client waited to resume it. The client was refused before the
/// end was applied, so nobody could say how, and took it for expired.
#[test]
fn a_session_whose_end_is_under_way_is_refused_with_its_reason() {
    holds(3_174, Kind::Busy);
}

/// One follower had lost its disk and the other one was far behind, so that the new leader could
/// not begin without sending one of them a snapshot; and it took none before it had begun.
#[test]
fn a_leader_whose_followers_all_need_a_snapshot_begins() {
    holds(2_100_727, Kind::Busy);
}

/// A member whose disk was lost elected one that had only the first entry of all, and what the
/// lost disk had confirmed with a third member was replaced.
#[test]
fn a_member_without_a_disk_elects_nobody_who_has_only_begun() {
    holds(5_010_594, Kind::Busy);
}

/// An answer that had waited out the client's pause made it say that its session lives, past the
/// end of what the answer vouched for.
#[test]
fn a_client_that_was_paused_does_not_believe_again_for_a_moment() {
    holds(6_018_292, Kind::Busy);
}

/// A paused leader woke up after it was replaced, and went on with a member that had lost its disk
/// and so the vote by which it had helped to replace it.
#[test]
fn a_member_without_a_disk_does_not_keep_a_replaced_leader_going() {
    holds(3_001_876, Kind::Busy);
}
