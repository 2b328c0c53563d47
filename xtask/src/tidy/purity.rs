//! What code may not do: unsafe blocks, unfinished places, and in the replica anything that makes
//! two runs of the same inputs differ.

use super::{File, Finding};

/// Code that no file may hold, and why.
const BANNED: [(&str, &str); 4] = [
    ("unsafe", "the whole workspace is safe code"),
    ("todo!", "what lands is finished"),
    ("unimplemented!", "what lands is finished"),
    ("#[ignore", "a test that does not run proves nothing"),
];

/// The replica, and a client's session: pure functions of their inputs, so that a simulated run
/// can be repeated.
const PURE: [&str; 2] = ["replica/src/", "client/src/machine/"];

/// Code that what is pure may not hold.
const IMPURE: [(&str, &str); 13] = [
    ("Moment::now", "time is an input"),
    ("Instant::now", "time is an input"),
    ("SystemTime::now", "time is an input"),
    ("thread_rng", "chance is an input"),
    ("getrandom", "chance is an input"),
    ("HashMap::new", "the order of a randomly seeded map differs from run to run"),
    ("HashSet::new", "the order of a randomly seeded set differs from run to run"),
    ("RandomState", "the order of a randomly seeded map differs from run to run"),
    ("tokio::", "the caller does the waiting"),
    ("std::net::Tcp", "the caller does the input and output"),
    ("std::net::Udp", "the caller does the input and output"),
    ("std::fs", "the caller does the input and output"),
    ("std::thread", "one step is one function call"),
];

/// Dependencies that the replica may not name.
const IMPURE_CRATES: [(&str, &str); 3] = [
    ("tokio", "the replica runs without a runtime"),
    ("rand", "chance is an input of the replica"),
    ("getrandom", "chance is an input of the replica"),
];

/// Checks a Rust file. `code` is its text without comments and literals.
pub(super) fn check_code(file: &File, code: &str) -> Vec<Finding> {
    // Their tests may measure.
    let is_pure = PURE.iter().any(|folder| file.path.starts_with(folder)) && !file.is_test();
    let impure = IMPURE.iter().filter(|_| is_pure);
    let mut findings = Vec::new();
    for (banned, why) in BANNED.iter().chain(impure) {
        for (index, line) in code.lines().enumerate() {
            if holds(line, banned) {
                findings.push(file.finding(index + 1, format!("`{banned}` is banned; {why}")));
            }
        }
    }
    findings
}

/// Checks the replica's manifest.
pub(super) fn check_manifest(file: &File) -> Vec<Finding> {
    if file.path != "replica/Cargo.toml" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let key = line.trim().trim_start_matches("[dependencies.");
        let name: String =
            key.chars().take_while(|c| c.is_alphanumeric() || "_-".contains(*c)).collect();
        for (banned, why) in IMPURE_CRATES.iter().filter(|(banned, _)| *banned == name) {
            let message = format!("the dependency `{banned}` is banned; {why}");
            findings.push(file.finding(index + 1, message));
        }
    }
    findings
}

/// Whether a line holds the code as whole words.
fn holds(line: &str, code: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(code).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + code.len()..].chars().next();
        let joined = |neighbour: Option<char>, own: Option<char>| {
            neighbour.is_some_and(is_word) && own.is_some_and(is_word)
        };
        // Names that go on after `std::net::Tcp` are meant as well.
        let prefix = code.starts_with("std::net") || code.starts_with('#');
        !joined(before, code.chars().next()) && (prefix || !joined(after, code.chars().next_back()))
    })
}
