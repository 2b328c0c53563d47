//! Rules for every text file: no traces of the machine it was written on, one title in Markdown.

use super::{File, Finding};

/// Beginnings of paths that exist on one machine only, in two parts lest they be found here.
const MACHINE_PATHS: [(&str, &str); 7] = [
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/wo", "rk/main"),
    ("/wo", "rk/shared"),
    ("/wo", "rk/."),
    ("/tmp/", "wt"),
    ("/tmp/", "target-"),
];

/// Checks any text file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = machine_paths(file);
    if file.path.ends_with(".md") {
        findings.extend(titles(file));
    }
    findings
}

fn machine_paths(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (first, second) in MACHINE_PATHS {
        let path = format!("{first}{second}");
        for (index, line) in file.text.lines().enumerate() {
            let absolute = |(at, _)| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || "._-~$}".contains(c))
            };
            if line.match_indices(&path).any(absolute) {
                let message = format!("`{path}` is a place on one machine; nobody else has it");
                findings.push(file.finding(index + 1, message));
            }
        }
    }
    findings
}

fn titles(file: &File) -> Vec<Finding> {
    let mut fenced = false;
    let mut titles = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with("# ") {
            titles.push(index + 1);
        }
    }
    match titles.as_slice() {
        [] => vec![file.finding(1, "no `# ` title; a page says first what it is about")],
        [_] => Vec::new(),
        [_, more @ ..] => more
            .iter()
            .map(|line| file.finding(*line, "a second title; a page is about one thing"))
            .collect(),
    }
}
