//! The repository keeps the house rules, and each rule finds what it is for.

use super::functions::lengths;
use super::layout::{few_long_files, source_lines};
use super::source::code_only;
use super::{File, check, check_file};
use crate::repository;

#[test]
fn the_repository_is_tidy() {
    let findings = check(&repository()).unwrap();
    let list: String = findings.iter().map(|finding| format!("\n{finding}")).collect();
    assert!(findings.is_empty(), "{} findings:{list}", findings.len());
}

/// Line and beginning of the message of every finding.
fn found(path: &str, text: &str) -> Vec<String> {
    let file = File { path: path.into(), text: text.into() };
    let message = |message: &str| message.split(';').next().unwrap_or_default().to_owned();
    check_file(&file).iter().map(|f| format!("{} {}", f.line, message(&f.message))).collect()
}

fn source(path: &str, lines: usize) -> File {
    File { path: path.into(), text: "//! A file.\n".repeat(lines) }
}

#[test]
fn code_stays_and_all_else_goes() {
    let text = "let a = \"{ // \\\" }\"; // {\n/* { /* } */ */ b('{', '\\'', 'x: &'a str)";
    let code = "let a = ___________;     \n                b(___, ____, 'x: &'a str)";
    assert_eq!(code_only(text), code);
    assert_eq!(code_only("f(r#\"a \" {\"#, br\"{\\\", for_r)"), "f(__________, b_____, for_r)");
    assert_eq!(code_only("open(\"never closed {"), "open(_______________");
}

#[test]
fn functions_are_measured_by_their_lines_of_code() {
    let text = "fn a() -> [u8; 2] {\n    // why\n\n    b(\"}\");\n    [1, 2]\n}\n\
                trait T { fn none(&self); }\n\
                impl X {\n  pub fn c(&self, f: fn(u8)) {\n    fn d() {\n    }\n  }\n}\n";
    let names: Vec<_> =
        lengths(&code_only(text)).into_iter().map(|(_, name, length)| (name, length)).collect();
    assert_eq!(names, [("a".into(), 2), ("c".into(), 2), ("d".into(), 0)]);
    let long = |lines| format!("//! A file.\nfn long() {{\n{}}}\n", "    x();\n".repeat(lines));
    assert_eq!(found("a.rs", &long(70)), Vec::<String>::new());
    assert_eq!(found("a.rs", &long(71)), ["2 `long` has 71 lines of code"]);
}

#[test]
fn banned_code_is_found_outside_of_comments_and_strings() {
    let harmless = "//! unsafe\n// todo!()\nlet s = \"unsafe\";\nunsafe_code(my_todo!());\n";
    assert_eq!(found("a.rs", harmless), Vec::<String>::new());
    let text = "//! A file.\nunsafe { x() }\ntodo!()\n#[ignore = \"slow\"]\n";
    assert_eq!(
        found("a.rs", text),
        ["2 `unsafe` is banned", "3 `todo!` is banned", "4 `#[ignore` is banned"]
    );
}

#[test]
fn the_replica_is_pure() {
    let text = "//! A file.\nlet t = Instant::now();\nuse std::net::TcpStream;\nMyHashMap::new()\n";
    assert_eq!(found("server/src/a.rs", text), Vec::<String>::new());
    assert_eq!(found("replica/src/a/tests.rs", text), Vec::<String>::new());
    assert_eq!(
        found("replica/src/a.rs", text),
        ["2 `Instant::now` is banned", "3 `std::net::Tcp` is banned"]
    );
    let manifest = "[dependencies]\nrandom = 1\nrand.workspace = true\n[dependencies.tokio]\n";
    assert_eq!(
        found("replica/Cargo.toml", manifest),
        ["3 the dependency `rand` is banned", "4 the dependency `tokio` is banned"]
    );
    assert_eq!(found("server/Cargo.toml", manifest), Vec::<String>::new());
}

#[test]
fn names_heads_and_widths_are_checked() {
    assert_eq!(found("a/util/b.rs", "//! A file.\n"), ["1 `util` is no name"]);
    assert_eq!(found("a.rs", "// A file.\n"), ["1 the first line is no `//!` sentence"]);
    let wide = |width: usize| format!("//! {}\n", "\u{e9}".repeat(width - 4));
    assert_eq!(found("a.rs", &wide(100)), Vec::<String>::new());
    assert_eq!(found("a.rs", &wide(101)), ["1 101 columns"]);
    assert_eq!(found("a.rs", &format!("//! https://{}\n", "a".repeat(100))), Vec::<String>::new());
}

#[test]
fn files_stay_short_and_tests_do_not_count() {
    assert_eq!(found("a.rs", &source("", 801).text), ["801 801 lines without tests"]);
    assert_eq!(source_lines(&source("a/tests/b.rs", 900)), 0);
    let with_tests = "//! A file.\n#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(source_lines(&File { path: "a.rs".into(), text: with_tests.into() }), 1);
    let mut files: Vec<_> = (0..9).map(|i| source(&format!("{i}.rs"), 400)).collect();
    files.push(source("long.rs", 401));
    assert_eq!(few_long_files(&files), []);
    files.push(source("longer.rs", 500));
    let paths: Vec<_> = few_long_files(&files).into_iter().map(|f| f.path).collect();
    assert_eq!(paths, ["long.rs", "longer.rs"]);
}

#[test]
fn pages_have_one_title_and_name_no_machine() {
    assert_eq!(found("a.md", "text\n```\n# shell\n```\n"), ["1 no `# ` title"]);
    assert_eq!(found("a.md", "# A\n## B\n# C\n"), ["3 a second title"]);
    let place = ["/ho", "me/me"].concat();
    assert_eq!(found("a.md", &format!("# A\n{place}\n")).len(), 1);
    assert_eq!(found("a.md", &format!("# A\nsome{place}\n")).len(), 0);
}
