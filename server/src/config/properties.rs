//! The Java properties syntax that `zoo.cfg` is written in: lines to keys and values.

use std::iter::Peekable;
use std::str::Chars;

/// One `key=value` of a file, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Property {
    /// Line the key stands on, from 1.
    pub(crate) line: u32,
    /// The key, unescaped, without surrounding blanks.
    pub(crate) key: String,
    /// The value, unescaped, without surrounding blanks.
    pub(crate) value: String,
}

/// An escape that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadEscape {
    /// Line of the property that holds it, from 1.
    pub(crate) line: u32,
    /// The escape as written.
    pub(crate) escape: String,
}

/// Reads a whole file: comments (`#`, `!`) and blank lines fall away, a line that ends in an odd
/// number of backslashes continues on the next.
pub(crate) fn parse(text: &str) -> Result<Vec<Property>, BadEscape> {
    let mut properties = Vec::new();
    let mut lines = natural_lines(text);
    while let Some((line, first)) = lines.next() {
        let first = first.trim_start_matches(BLANKS);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = String::from(first);
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(BLANKS)),
                None => break,
            }
        }
        let (key, value) = split(&logical).map_err(|escape| BadEscape { line, escape })?;
        properties.push(Property { line, key, value });
    }
    Ok(properties)
}

/// Lines ended by LF, CR or CRLF, numbered from 1.
fn natural_lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut rest = Some(text);
    let mut number = 0;
    std::iter::from_fn(move || {
        let text = rest?;
        number += 1;
        match text.find(['\n', '\r']) {
            Some(at) => {
                let after = if text[at..].starts_with("\r\n") { at + 2 } else { at + 1 };
                rest = Some(&text[after..]);
                Some((number, &text[..at]))
            }
            None => {
                rest = None;
                Some((number, text))
            }
        }
    })
}

fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|&b| b == b'\\').count() % 2 == 1
}

/// Splits at the first unescaped `=`, `:` or blank; blanks around the separator belong to nobody.
fn split(line: &str) -> Result<(String, String), String> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(&c) = chars.peek() {
        if c == '=' || c == ':' || BLANKS.contains(&c) {
            break;
        }
        chars.next();
        push_unescaped(c, &mut chars, &mut key)?;
    }
    skip_blanks(&mut chars);
    if chars.next_if(|&c| c == '=' || c == ':').is_some() {
        skip_blanks(&mut chars);
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        push_unescaped(c, &mut chars, &mut value)?;
    }
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| BLANKS.contains(c)).is_some() {}
}

fn push_unescaped(
    c: char,
    rest: &mut Peekable<Chars<'_>>,
    into: &mut String,
) -> Result<(), String> {
    if c != '\\' {
        into.push(c);
        return Ok(());
    }
    match rest.next() {
        Some('t') => into.push('\t'),
        Some('n') => into.push('\n'),
        Some('r') => into.push('\r'),
        Some('f') => into.push('\u{c}'),
        Some('u') => into.push(unicode(rest)?),
        // Any other escaped character stands for itself, which is how `\:` and `\\` work.
        Some(other) => into.push(other),
        None => {}
    }
    Ok(())
}

/// The character after `\u`: four hex digits, or two such escapes that form a surrogate pair.
fn unicode(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let (first, mut written) = hex4(rest)?;
    if let Some(c) = char::from_u32(first) {
        return Ok(c);
    }
    if (0xd800..0xdc00).contains(&first)
        && rest.next_if_eq(&'\\').is_some()
        && rest.next_if_eq(&'u').is_some()
    {
        let (second, second_written) = hex4(rest)?;
        written.push_str(&second_written);
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return char::from_u32(code).ok_or(written);
        }
    }
    Err(written)
}

fn hex4(rest: &mut Peekable<Chars<'_>>) -> Result<(u32, String), String> {
    let mut written = String::from("\\u");
    let mut code = 0;
    for _ in 0..4 {
        match rest.next_if(char::is_ascii_hexdigit) {
            Some(c) => {
                written.push(c);
                code = code * 16 + c.to_digit(16).expect("the digit was just checked");
            }
            None => return Err(written),
        }
    }
    Ok((code, written))
}

/// What the format counts as white space.
const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(u32, String, String)> {
        parse(text).unwrap().into_iter().map(|p| (p.line, p.key, p.value)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?}: {all:?}");
        let (_, key, value) = all.remove(0);
        (key, value)
    }

    #[test]
    fn separators_and_blanks() {
        for text in ["a=b", "a:b", "a b", "a = b", " a : b ", "\ta\tb", "a  =  b\t", "a\u{c}=b"] {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a"), ("a".into(), "".into()));
        assert_eq!(one("a="), ("a".into(), "".into()));
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("server.1=h:2888:3888"), ("server.1".into(), "h:2888:3888".into()));
    }

    #[test]
    fn comments_and_line_ends() {
        let text = "# one\r\n! two \\\n  # three\r\n\n  a=1\rb=2 # kept\n\\#c=3";
        assert_eq!(
            pairs(text),
            [
                (5, "a".into(), "1".into()),
                (6, "b".into(), "2 # kept".into()),
                (7, "#c".into(), "3".into())
            ]
        );
    }

    #[test]
    fn continuation() {
        let text = "a = one,\\\n    two,\\\r\n\tthree\nb=x\\\\\nc=y\\";
        assert_eq!(
            pairs(text),
            [
                (1, "a".into(), "one,two,three".into()),
                (4, "b".into(), "x\\".into()),
                (5, "c".into(), "y".into())
            ]
        );
    }

    #[test]
    fn escapes() {
        assert_eq!(one("a\\ b\\=c = \\u0041\\t\\q"), ("a b=c".into(), "A\tq".into()));
        assert_eq!(one("k=\\ud83d\\ude00"), ("k".into(), "\u{1f600}".into()));
        for bad in
            ["k=\\u12", "k=\\uzzzz", "k=\\ud83d", "k=\\ud83dx", "k=\\ude00", "k=\\ud83d\\u0041"]
        {
            assert_eq!(parse(&format!("\n{bad}")).unwrap_err().line, 2, "{bad}");
        }
    }
}
