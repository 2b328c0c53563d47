//! House rules that neither the compiler nor clippy knows, checked over every file of the
//! repository by `cargo xtask tidy` and by a test.

mod files;
mod functions;
mod layout;
mod purity;
mod shown;
mod source;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::path::Path;

use anyhow::ensure;

use crate::repository;

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the repository, with forward slashes.
    path: String,
    /// Counted from one.
    line: usize,
    /// What is wrong, and why that is a rule.
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// A text file of the repository.
#[derive(Clone, Debug)]
struct File {
    /// Relative to the repository, with forward slashes.
    path: String,
    text: String,
}

impl File {
    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, message: message.into() }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file holds tests.
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }
}

/// Prints every finding; an error if there is any.
pub(crate) fn run() -> anyhow::Result<()> {
    let findings = check(&repository())?;
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(())
}

fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let files = files::text_files(root)?;
    let mut findings: Vec<_> = files.iter().flat_map(check_file).collect();
    findings.extend(layout::few_long_files(&files));
    findings.extend(shown::check(&files));
    findings.sort();
    Ok(findings)
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = text::check(file);
    findings.extend(purity::check_manifest(file));
    if file.is_rust() {
        let code = source::code_only(&file.text);
        findings.extend(layout::check(file));
        findings.extend(functions::check(file, &code));
        findings.extend(purity::check_code(file, &code));
    }
    findings
}
