//! A line of input taken apart into words, the way zkCli's users quote.
//!
//! A quote counts only where a word begins, so that `set /x {"a":1}` stores what it looks like.
//! Within double quotes `\"` and `\\` are escapes; nothing else is special anywhere.

/// One word and where it stands in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// What it says, without its quotes.
    pub(super) text: String,
    /// Byte offset of its first character, a quote included.
    pub(super) start: usize,
    /// The quote it began with.
    pub(super) quote: Option<char>,
    /// Whether its closing quote is missing.
    pub(super) open: bool,
}

/// Why a line cannot be taken apart. Columns are counted in characters, from one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordsError {
    #[error("column {column}: the {quote} that starts here is never closed")]
    Unclosed { column: usize, quote: char },
    #[error("column {column}: a space is missing after the closing {quote}")]
    TextAfterQuote { column: usize, quote: char },
}

/// The words of a whole line.
pub(super) fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let words = scan(line)?;
    match words.last() {
        Some(Word { open: true, quote: Some(quote), start, .. }) => {
            Err(WordsError::Unclosed { column: column(line, *start), quote: *quote })
        }
        _ => Ok(words.into_iter().map(|word| word.text).collect()),
    }
}

/// The words of a line that may still be being typed: the last one may lack its closing quote.
pub(super) fn scan(line: &str) -> Result<Vec<Word>, WordsError> {
    let mut words = Vec::new();
    let mut rest = line.char_indices().peekable();
    while let Some(&(start, first)) = rest.peek() {
        if first.is_whitespace() {
            rest.next();
            continue;
        }
        let mut word = Word { text: String::new(), start, quote: None, open: false };
        if first == '"' || first == '\'' {
            rest.next();
            word.quote = Some(first);
            word.open = true;
            while let Some((_, c)) = rest.next() {
                let escaped = first == '"' && c == '\\';
                match rest.peek() {
                    Some(&(_, next @ ('"' | '\\'))) if escaped => {
                        word.text.push(next);
                        rest.next();
                    }
                    _ if c == first => {
                        word.open = false;
                        break;
                    }
                    _ => word.text.push(c),
                }
            }
            if let Some(&(at, next)) = rest.peek()
                && !next.is_whitespace()
            {
                let column = column(line, at);
                return Err(WordsError::TextAfterQuote { column, quote: first });
            }
        } else {
            while let Some((_, c)) = rest.next_if(|(_, c)| !c.is_whitespace()) {
                word.text.push(c);
            }
        }
        words.push(word);
    }
    Ok(words)
}

fn column(line: &str, at: usize) -> usize {
    line[..at].chars().count() + 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::*;

    #[test]
    fn quotes_count_only_where_a_word_begins() {
        for (line, words) in [
            ("", &[][..]),
            ("  ls\t/ ", &["ls", "/"]),
            ("set /a \"two words\"", &["set", "/a", "two words"]),
            ("set /a 'it is \"so\"'", &["set", "/a", "it is \"so\""]),
            ("set /a {\"a\":1} it's", &["set", "/a", "{\"a\":1}", "it's"]),
            (r#"set /a "a \"b\" \\ \n""#, &["set", "/a", r#"a "b" \ \n"#]),
            (r"set /a 'a\' a\b", &["set", "/a", r"a\", r"a\b"]),
            ("create /empty \"\" ''", &["create", "/empty", "", ""]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn a_wrong_quote_is_named_with_its_column() {
        let unclosed = |column, quote| Err(WordsError::Unclosed { column, quote });
        assert_eq!(split("set /a \"b c"), unclosed(8, '"'));
        assert_eq!(split("set /ä 'b"), unclosed(8, '\''));
        assert_eq!(split("\""), unclosed(1, '"'));
        assert_eq!(split(r#"get "\"#), unclosed(5, '"'));
        assert_eq!(split("get \"/a\"b"), Err(WordsError::TextAfterQuote { column: 9, quote: '"' }));
    }

    #[test]
    fn what_is_being_typed_has_its_place() {
        let words = scan("get \"/a b").unwrap();
        let expected = Word { text: "/a b".to_owned(), start: 4, quote: Some('"'), open: true };
        assert_eq!(words.last(), Some(&expected));
    }
}
