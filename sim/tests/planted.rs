//! Every mistake planted in servers must break a rule that it should break.
#![expect(clippy::print_stdout, reason = "the seed that finds a mistake is shown if asked for")]

use std::panic;

use tenure_sim::{Bug, HostBug, ReplicaBug, Rule, Wishes, run};

/// Some mistakes need a rare order of events.
const MOST_SEEDS: u64 = 3000;

/// Looks for the first history that breaks one of the rules.
fn found(bug: Bug, rules: &[Rule]) {
    let wishes = Wishes { bug: Some(bug), ..Wishes::default() };
    let mut others = Vec::new();
    for seed in 1..=MOST_SEEDS {
        match panic::catch_unwind(|| run(seed, &wishes)) {
            Ok(history) => match history.violation {
                Some(violation) if rules.contains(&violation.rule) => {
                    println!("{bug:?}: seed {seed}: {violation}");
                    return;
                }
                Some(violation) => others.push(violation.to_string()),
                None => {}
            },
            // A replica that finds itself in an impossible state stops, and rightly so.
            Err(_) => others.push("a panic".to_owned()),
        }
    }
    panic!("{bug:?} broke none of {rules:?} in {MOST_SEEDS} histories, only {others:?}");
}

fn found_in_replica(bug: ReplicaBug, rules: &[Rule]) {
    found(Bug::Replica(bug), rules);
}

#[test]
fn a_batch_said_to_be_durable_too_early_is_found() {
    found(Bug::Host(HostBug::SkipsSync), &[Rule::WritesAsReported, Rule::ServersAgree]);
}

#[test]
fn a_notification_behind_the_reply_that_reveals_its_change_is_found() {
    found(Bug::Host(HostBug::NotifiesLate), &[Rule::NoEventLost]);
}

#[test]
fn a_vote_that_is_forgotten_is_found() {
    found_in_replica(ReplicaBug::ForgetsVotes, &[Rule::OneLeaderPerEpoch]);
}

#[test]
fn leadership_that_nobody_has_confirmed_is_found() {
    let rules = [Rule::NoBelieverAfterExpiry, Rule::OneBelieverOfLock, Rule::NeverExpiredEarly];
    found_in_replica(ReplicaBug::ConfirmsAlone, &rules);
}

#[test]
fn a_server_that_ends_sessions_without_leading_is_found() {
    let rules = [Rule::NoBelieverAfterExpiry, Rule::NeverExpiredEarly];
    found_in_replica(ReplicaBug::ExpiresWithoutLeading, &rules);
}

#[test]
fn a_new_leader_without_patience_is_found() {
    let rules = [Rule::NoBelieverAfterExpiry, Rule::NeverExpiredEarly];
    found_in_replica(ReplicaBug::ShortensAfterElection, &rules);
}

#[test]
fn touches_that_get_lost_are_found() {
    let rules = [Rule::NoBelieverAfterExpiry, Rule::NeverExpiredEarly];
    found_in_replica(ReplicaBug::LosesTouches, &rules);
}

#[test]
fn a_number_given_twice_is_found() {
    found_in_replica(ReplicaBug::ReusesNumbers, &[Rule::NumbersGivenOnce]);
}

#[test]
fn a_wrong_reason_is_found() {
    found_in_replica(ReplicaBug::MistakesReasons, &[Rule::RightReason]);
}

#[test]
fn an_ephemeral_that_stays_is_found() {
    found_in_replica(ReplicaBug::KeepsAnEphemeral, &[Rule::EphemeralsLikeSessions]);
}

#[test]
fn a_session_given_to_a_stranger_is_found() {
    found_in_replica(ReplicaBug::TakesAnyPassword, &[Rule::NeverAdopted]);
}

#[test]
fn reads_that_overtake_writes_are_found() {
    found_in_replica(ReplicaBug::ReadsOvertakeWrites, &[Rule::SessionsInOrder]);
}

#[test]
fn a_sync_that_asks_nobody_is_found() {
    found_in_replica(ReplicaBug::SyncsAlone, &[Rule::Linearizable]);
}
