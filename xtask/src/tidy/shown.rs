//! Pages that say which test shows a claim must name tests that exist.

use super::{File, Finding};

/// Checks the commands in every page against the tests of the repository.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in page.text.lines().enumerate() {
            // What stands between backticks is every second part.
            for command in line.split('`').skip(1).step_by(2) {
                if let Some(missing) = missing_test(command, files) {
                    let message = format!("`{command}`: there is no test `{missing}`");
                    findings.push(page.finding(index + 1, message));
                }
            }
        }
    }
    findings
}

/// The test that a command names and nobody has written. `… name` goes on from the command before.
fn missing_test<'a>(command: &'a str, files: &[File]) -> Option<&'a str> {
    let words = command.strip_prefix("cargo test -p ").or_else(|| command.strip_prefix("… "))?;
    let mut words = words.split(' ').peekable();
    if command.starts_with("cargo") {
        words.next();
    }
    while let Some(word) = words.next() {
        let found = match word {
            "--test" => {
                let name = words.next()?;
                let end = format!("/tests/{name}.rs");
                files.iter().any(|file| file.path.ends_with(&end)).then_some(()).ok_or(name)
            }
            option if option.starts_with('-') => Ok(()),
            filter => has_test(filter, files).then_some(()).ok_or(filter),
        };
        if let Err(missing) = found {
            return Some(missing);
        }
    }
    None
}

/// Whether a function's name, or the path of a module, holds the filter.
fn has_test(filter: &str, files: &[File]) -> bool {
    let name = filter.rsplit("::").next().unwrap_or(filter);
    files.iter().filter(|file| file.is_rust()).any(|file| {
        let is_named = |rest: &str| rest.split(['(', '<']).next().is_some_and(|f| f.contains(name));
        file.path.contains(&format!("/{name}")) || file.text.split("fn ").skip(1).any(is_named)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_must_name_tests_that_exist() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let page = "`cargo test -p a --test sessions s01`, `… s02`, `… --test nowhere`, `… s99`,\n\
                    `cargo test -p a --lib expiry`, `… it_lasts`, `… it_ends`, `cargo build`";
        let files = [
            file("docs/page.md", page),
            file("a/tests/sessions.rs", "fn s01_one() {}\nfn s02_two() {}"),
            file("a/src/expiry.rs", "async fn it_lasts<T>() {}"),
        ];
        let found: Vec<_> = check(&files).into_iter().map(|f| (f.line, f.message)).collect();
        let expected = [
            (1, "`… --test nowhere`: there is no test `nowhere`".to_owned()),
            (1, "`… s99`: there is no test `s99`".to_owned()),
            (2, "`… it_ends`: there is no test `it_ends`".to_owned()),
        ];
        assert_eq!(found, expected);
    }
}
