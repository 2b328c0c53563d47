//! Rust text without what is not code: comments become spaces, the content of literals becomes a
//! neutral letter. Every character stays one character and every line stays a line.

/// What stands for a character inside a literal: a line of a long string still counts as code,
/// and nothing in it looks like code.
const FILLER: char = '_';

/// Blanks comments and the content of string and character literals.
pub(super) fn code_only(text: &str) -> String {
    let mut scanner = Scanner { rest: text, out: String::with_capacity(text.len()) };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.out
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end, ' ');
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment_length(self.rest), ' ');
        } else if let Some(length) = raw_string_length(self.rest, self.out.chars().next_back()) {
            self.blank(length, FILLER);
        } else if self.rest.starts_with('"') {
            self.blank(quoted_length(self.rest, '"'), FILLER);
        } else if self.rest.starts_with('\'') && is_character(self.rest) {
            self.blank(quoted_length(self.rest, '\''), FILLER);
        } else {
            self.copy();
        }
    }

    fn copy(&mut self) {
        let mut characters = self.rest.chars();
        self.out.extend(characters.next());
        self.rest = characters.as_str();
    }

    fn blank(&mut self, length: usize, filler: char) {
        let (blanked, rest) = self.rest.split_at(length);
        self.out.extend(blanked.chars().map(|c| if c == '\n' { c } else { filler }));
        self.rest = rest;
    }
}

/// Length in bytes of a comment that may hold further ones.
fn block_comment_length(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += next.len_utf8();
        }
    }
    text.len()
}

/// Length in bytes of the raw string that starts here, if one does.
fn raw_string_length(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        let prefix = matches!(before, Some('b' | 'c'));
        if !prefix {
            return None;
        }
    }
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let content = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = content.find(&close).map_or(content.len(), |at| at + close.len());
    Some(text.len() - content.len() + end)
}

/// Length in bytes of a literal with escapes, up to and with the closing quote.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + character.len_utf8();
        }
    }
    text.len()
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_character(text: &str) -> bool {
    let mut characters = text.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}
