//! Tests of ratios, bounds and how they are shown.

use super::*;
use crate::bench::subject::Subject::{Tenure, ZooKeeper};

fn criterion(against: &'static [Term], bound: Bound) -> Criterion<Scene> {
    Criterion {
        scene: Scene::Watches,
        load: "load",
        what: "unit",
        value: (Tenure, "x/y"),
        against,
        bound,
    }
}

fn results(values: &[(Subject, f64)]) -> Results {
    let mut results = Results::new(values.len());
    for (subject, value) in values {
        results.add(*subject, "x/y", *value);
    }
    results
}

#[test]
fn a_ratio_is_of_medians_and_shows_both_sides() {
    let measured = results(&[(Tenure, 5000.0), (ZooKeeper, 1000.0)]);
    let verdict = criterion(&[(ZooKeeper, "x/y")], Bound::AtLeast(4.0)).judge(&measured);
    assert_eq!((verdict.measured.as_str(), verdict.met), ("5×", Some(true)));
    assert_eq!(verdict.figures, "5,000 against 1,000");
    assert_eq!(verdict.wanted, "≥ 4×");
    let verdict = criterion(&[(ZooKeeper, "x/y")], Bound::AtLeast(5.1)).judge(&measured);
    assert_eq!(verdict.word(), "**not met**");
}

#[test]
fn several_terms_are_added_before_dividing() {
    let measured = results(&[(Tenure, 300.0), (ZooKeeper, 100.0)]);
    let against = &[(ZooKeeper, "x/y"), (ZooKeeper, "x/y")];
    let verdict = criterion(against, Bound::AtMost(1.5)).judge(&measured);
    assert_eq!(verdict.met, Some(true));
    assert_eq!(verdict.figures, "300 against 100 + 100");
}

#[test]
fn one_round_above_a_never_counts() {
    let measured = results(&[(Tenure, 0.0), (Tenure, 1.0), (Tenure, 0.0)]);
    assert_eq!(criterion(&[], Bound::NeverAbove(0.0)).judge(&measured).met, Some(false));
    assert_eq!(criterion(&[], Bound::AtMost(0.0)).judge(&measured).met, Some(true));
}

#[test]
fn what_was_not_measured_is_said_and_not_judged() {
    let verdict = criterion(&[(ZooKeeper, "x/y")], Bound::AtMost(1.0));
    let verdict = verdict.judge(&results(&[(Tenure, 1.0)]));
    assert_eq!((verdict.met, verdict.word()), (None, "not measured"));
}

#[test]
fn numbers_keep_three_digits_and_group_thousands() {
    for (value, text) in [
        (1_234_567.8, "1,234,568"),
        (-1000.0, "-1,000"),
        (123_456.0, "123,456"),
        (999.4, "999"),
        (12.34, "12.3"),
        (4.0, "4"),
        (0.333, "0.33"),
        (0.0, "0"),
    ] {
        assert_eq!(number(value), text, "{value}");
    }
}

#[test]
fn every_wanted_key_belongs_to_a_load_of_its_scene() {
    for criterion in CRITERIA {
        let terms = criterion.against.iter().chain([&criterion.value]);
        for (_, key) in terms {
            assert!(key.split_once('/').is_some(), "{key}");
        }
        assert!(!criterion.load.is_empty() && !criterion.what.is_empty());
    }
}
