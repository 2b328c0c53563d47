//! Seeded histories: none may break a rule, and every planted mistake must break one.
//!
//! `TENURE_HISTORIES` says how many there are, `TENURE_FIRST_SEED` where they begin.
#![expect(clippy::print_stdout, reason = "what a run has seen is shown if it is asked for")]

use std::collections::BTreeSet;
use std::panic;

use tenure_sim::{Bug, ClientBug, Counts, Kind, Rule, Wishes, run};

fn from_environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text:?}")),
        Err(_) => default,
    }
}

#[test]
fn no_history_breaks_a_rule() {
    let histories = from_environment("TENURE_HISTORIES", 300);
    let first = from_environment("TENURE_FIRST_SEED", 1);
    let (mut counts, mut events, mut broken) = (Counts::default(), 0, Vec::new());
    for seed in first..first + histories {
        match panic::catch_unwind(|| run(seed, &Wishes::default())) {
            Ok(history) => {
                counts.merge(&history.counts);
                events += history.events;
                broken.extend(history.violation.map(|violation| (seed, violation.to_string())));
            }
            Err(_) => broken.push((seed, "a panic, see above".to_owned())),
        }
    }
    println!("{histories} histories from seed {first} on, {events} events\n{counts}");
    let list: Vec<String> =
        broken.iter().take(40).map(|(s, text)| format!("seed {s}: {text}")).collect();
    assert!(
        broken.is_empty(),
        "{} of {histories} histories broke a rule; replay one with `cargo xtask sim --seed N`:\n{}",
        broken.len(),
        list.join("\n")
    );
    for (what, per_hundred) in BUSY {
        // A few histories prove nothing about how often.
        let least = if histories < 100 { 0 } else { histories * per_hundred / 100 };
        assert!(counts.of(what) >= least, "only {} times {what}, not {least}", counts.of(what));
    }
}

/// How often, in a hundred histories, each thing must happen at least: about a third of what does.
const BUSY: [(&str, u64); 38] = [
    ("at risk", 600),
    ("clients crashed", 25),
    ("connects into a void", 150),
    ("connects refused", 300),
    ("elections won", 80),
    ("fault: client cut off", 120),
    ("fault: client paused", 70),
    ("fault: disk lost", 1),
    ("fault: disk stalled", 80),
    ("fault: leader hands over", 3),
    ("fault: link reset", 70),
    ("fault: links of server broken", 40),
    ("fault: server crashed", 60),
    ("fault: server cut off", 70),
    ("fault: server paused", 60),
    ("fault: session ended by operator", 8),
    ("fault: sync failed", 20),
    ("links half open", 20),
    ("locks held", 170),
    ("lost: auth failed", 12),
    ("lost: closed", 25),
    ("lost: closed elsewhere", 2),
    ("lost: deadline passed", 60),
    ("lost: expired", 3),
    ("lost: left", 25),
    ("lost: paused", 10),
    ("packets delivered after an outage", 80),
    ("reconnects", 100),
    ("numbers given", 400),
    ("registers set", 600),
    ("sessions expired", 140),
    ("sessions of one server", 75),
    ("snapshots received", 2),
    ("snapshots taken", 190),
    ("strangers", 150),
    ("synced reads", 300),
    ("tokens resumed", 35),
    ("writes torn", 3),
];

/// Seeds until a planted mistake breaks one of the rules that it must break.
fn found(bug: ClientBug, rules: &[Rule]) -> u64 {
    let wishes = Wishes { bug: Some(Bug::Client(bug)), ..Wishes::default() };
    for seed in 1..=MOST_SEEDS {
        if let Some(violation) = run(seed, &wishes).violation
            && rules.contains(&violation.rule)
        {
            println!("{bug:?}: seed {seed}: {violation}");
            return seed;
        }
    }
    panic!("{bug:?} broke none of {rules:?} in {MOST_SEEDS} histories");
}

const MOST_SEEDS: u64 = 3000;

#[test]
fn a_deadline_counted_from_the_arrival_of_replies_is_found() {
    found(ClientBug::CountsFromArrival, &[Rule::NoBelieverAfterExpiry, Rule::OneBelieverOfLock]);
}

#[test]
fn reads_that_vouch_are_found() {
    found(ClientBug::ReadsVouch, &[Rule::NoBelieverAfterExpiry, Rule::OneBelieverOfLock]);
}

#[test]
fn a_deadline_without_a_margin_is_found() {
    found(ClientBug::NoMargin, &[Rule::NoBelieverAfterExpiry, Rule::OneBelieverOfLock]);
}

#[test]
fn an_end_published_behind_the_ends_of_its_requests_is_found() {
    found(ClientBug::LostComesLast, &[Rule::RequestsEndOnce]);
}

#[test]
fn watches_that_are_not_set_again_are_found() {
    found(ClientBug::ForgetsWatches, &[Rule::NoEventLost]);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let mut hashes = BTreeSet::new();
    for seed in 1..=10 {
        let lines = Wishes { keeps_lines: true, ..Wishes::default() };
        let (one, other) = (run(seed, &Wishes::default()), run(seed, &lines));
        assert_eq!((one.hash, one.events), (other.hash, other.events), "seed {seed}");
        assert_eq!(other.lines.len() as u64, other.events);
        hashes.insert(one.hash);
    }
    assert_eq!(hashes.len(), 10, "different seeds give different ones");
}

/// Histories that once broke a rule, each rare enough to come up in tens of thousands.
const FOUND: [(u64, &str); 8] = [
    (68_077, "a leader elected meanwhile did not learn of a timeout that a resume had prolonged"),
    (212_952, "a paused member woke up and forwarded a write from before its session had moved"),
    (219_271, "a live session was given up because its credentials were not confirmed in time"),
    (276_447, "the same of one that was at risk"),
    (717_686, "writes sent behind a reconfig were done before it, and their answers got lost"),
    (816_058, "a round that other voters made complete was never noticed, and pings hung"),
    (
        13_012_024,
        "a member forgot that two changes of the voters were committed, and led the old ones",
    ),
    (11_012_040, "late requests of a connection that its client had left cut a deadline short"),
];

#[test]
fn histories_that_once_broke_a_rule_do_so_no_more() {
    let first = Wishes { kind: Kind::First, ..Wishes::default() };
    for (seed, what) in FOUND {
        let violation = run(seed, &first).violation.map(|violation| violation.to_string());
        assert_eq!(violation, None, "seed {seed}: {what}");
    }
}
