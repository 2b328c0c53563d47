//! Functions fit on a screen.

use super::{File, Finding};

/// Longest body of a function, in lines that hold code.
const MAX_LINES: usize = 70;

/// Finds functions that are too long. `code` is the file's text without comments and literals.
pub(super) fn check(file: &File, code: &str) -> Vec<Finding> {
    let long = lengths(code).into_iter().filter(|(_, _, length)| *length > MAX_LINES);
    long.map(|(line, name, length)| {
        let message = format!(
            "`{name}` has {length} lines of code; more than {MAX_LINES} cannot be seen at once"
        );
        file.finding(line, message)
    })
    .collect()
}

/// Line, name and length of every function with a body.
pub(super) fn lengths(code: &str) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = code[at..].find("fn ") {
        let start = at + offset;
        at = start + "fn ".len();
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name: String =
            code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // A function type has no name, a declaration no body.
        if let Some(body) = body(&code[at..]).filter(|_| !name.is_empty()) {
            let line = code[..start].matches('\n').count() + 1;
            let length = body.lines().filter(|line| !line.trim().is_empty()).count();
            found.push((line, name, length));
        }
    }
    found
}

/// The text between the braces of the function whose signature starts here.
fn body(signature: &str) -> Option<&str> {
    let mut nesting = 0usize;
    for (at, character) in signature.char_indices() {
        match character {
            '(' | '[' => nesting += 1,
            ')' | ']' => nesting = nesting.checked_sub(1)?,
            ';' if nesting == 0 => return None,
            '{' if nesting == 0 => return braced(&signature[at..]),
            _ => {}
        }
    }
    None
}

fn braced(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&text[1..at]);
        }
    }
    None
}
