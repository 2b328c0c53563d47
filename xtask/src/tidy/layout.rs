//! How Rust files look from outside: their names, first lines, widths and lengths.

use super::{File, Finding};

/// Widest line, in characters.
const MAX_COLUMNS: usize = 100;
/// Longest source file, in lines, tests apart.
const MAX_LINES: usize = 800;
/// Length in lines that nine of ten source files keep, tests apart.
const USUAL_LINES: usize = 400;

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 8] =
    ["util", "utils", "common", "helper", "helpers", "manager", "impl", "misc"];

/// Checks one Rust file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.text.starts_with("//!") {
        findings.push(file.finding(
            1,
            "the first line is no `//!` sentence; a reader learns there what the file is for",
        ));
    }
    let names = file.path.trim_end_matches(".rs").split('/');
    for name in names.filter(|name| EMPTY_NAMES.contains(name)) {
        findings.push(file.finding(
            1,
            format!("`{name}` is no name; a file is called after the one thing it holds"),
        ));
    }
    for (index, line) in file.text.lines().enumerate() {
        let columns = line.chars().count();
        // A link cannot be broken.
        if columns > MAX_COLUMNS && !line.contains("://") {
            findings.push(file.finding(
                index + 1,
                format!("{columns} columns; two files of {MAX_COLUMNS} fit side by side"),
            ));
        }
    }
    let lines = source_lines(file);
    if lines > MAX_LINES {
        findings.push(file.finding(
            MAX_LINES + 1,
            format!("{lines} lines without tests; beyond {MAX_LINES} a file holds several things"),
        ));
    }
    findings
}

/// Nine of ten source files must be short; if not, the longest ones are named.
pub(super) fn few_long_files(files: &[File]) -> Vec<Finding> {
    let sources: Vec<_> = files.iter().filter(|file| file.is_rust() && !file.is_test()).collect();
    let mut long: Vec<_> = sources
        .iter()
        .map(|file| (source_lines(file), *file))
        .filter(|(lines, _)| *lines > USUAL_LINES)
        .collect();
    if long.len() * 10 <= sources.len() {
        return Vec::new();
    }
    long.sort_by_key(|(lines, _)| *lines);
    let finding = |(lines, file): &(usize, &File)| {
        let message = format!(
            "{lines} lines without tests; {} of {} source files are longer than {USUAL_LINES}, \
             a tenth may be",
            long.len(),
            sources.len()
        );
        file.finding(1, message)
    };
    long.iter().map(finding).collect()
}

/// Lines before the file's own tests; none in a file of tests.
pub(super) fn source_lines(file: &File) -> usize {
    if file.is_test() {
        return 0;
    }
    let lines: Vec<_> = file.text.lines().collect();
    let starts_tests = |pair: &[&str]| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    };
    lines.windows(2).position(starts_tests).unwrap_or(lines.len())
}
