//! The dashboard and the alert rules in `deploy/monitoring`: whatever they ask for, a running
//! server has.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;
use support::dev::{Dev, PATIENCE};
use tenure_client::Session;

/// What Prometheus has of every target by itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/monitoring");

/// Names of metrics in an expression: what is neither a function, a label, a keyword nor a text.
fn names(expression: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 12] = [
        "and",
        "or",
        "unless",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "offset",
        "inf",
    ];
    const LABEL_LISTS: [&str; 4] = ["by", "without", "on", "ignoring"];
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '{' => rest.find('}').unwrap() + 1,
            '[' => rest.find(']').unwrap() + 1,
            '0'..='9' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len())
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let end = end.unwrap_or(rest.len());
                let (word, after) = (&rest[..end], rest[end..].trim_start());
                let is_function = after.starts_with('(');
                let is_group = is_function || after.starts_with("by ") || after.starts_with("by(");
                if LABEL_LISTS.contains(&word) {
                    rest.find(')').unwrap() + 1
                } else {
                    if !is_group && !KEYWORDS.contains(&word) {
                        found.insert(word.to_owned());
                    }
                    end
                }
            }
            other => other.len_utf8(),
        };
        rest = &rest[end..];
    }
    found
}

/// Every expression of a dashboard.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == "expr" => found.push(text.to_owned()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn names_are_told_from_what_stands_around_them() {
    for (expression, wanted) in [
        ("up{job=\"a b\"} == 0", &["up"][..]),
        ("sum by (job) (x_y{job=~\"$job\"}) * 2 <= max by (job) (z)", &["x_y", "z"]),
        (
            "histogram_quantile(0.99, sum by (le, instance) (rate(a_bucket[5m]))) > 0.1",
            &["a_bucket"],
        ),
        ("a - 1 - on (instance) b > 1e5 and c", &["a", "b", "c"]),
    ] {
        let found: Vec<String> = names(expression).into_iter().collect();
        assert_eq!(found, wanted, "{expression}");
    }
}

#[tokio::test]
async fn every_metric_of_the_dashboard_and_the_alerts_exists() {
    let mut asked = Vec::new();
    let text = fs::read_to_string(format!("{FOLDER}/grafana-dashboard.json")).unwrap();
    expressions(&serde_json::from_str(&text).unwrap(), &mut asked);
    let of_dashboard = asked.len();
    let text = fs::read_to_string(format!("{FOLDER}/alerts.yml")).unwrap();
    let rules = text.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    asked.extend(rules.map(str::to_owned));
    // Both files are read, and read whole.
    assert!(of_dashboard > 40 && asked.len() - of_dashboard > 15, "{of_dashboard}: {asked:#?}");
    assert_eq!(text.matches("alert:").count(), asked.len() - of_dashboard);

    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let rows = dev.table(3);
    let leader = rows.iter().find(|row| row.role == "leader").unwrap();
    let session = Session::establish(&leader.address).await.unwrap();
    session.create("/measured", "").await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let metrics = loop {
        let metrics = metrics(leader.admin.trim_start_matches("http://"));
        if metrics.contains("\nsynced_followers 2\n") {
            break metrics;
        }
        assert!(Instant::now() < deadline, "{metrics}");
    };
    let series = metrics.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<&str> = series.filter_map(|line| line.split([' ', '{']).next()).collect();
    let wanted: BTreeSet<String> = asked.iter().flat_map(|expression| names(expression)).collect();
    let is_missing =
        |name: &&String| !known.contains(name.as_str()) && !OF_PROMETHEUS.contains(&name.as_str());
    let missing: Vec<&String> = wanted.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "no server has {missing:?}");
    assert!(wanted.len() > 40, "{wanted:?}");
}

fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
