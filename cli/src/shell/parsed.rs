//! The words of a command sorted into flags and arguments, by its row of the table.

use super::spec::{Flag, Spec};

/// A command's words, sorted.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) spec: &'static Spec,
    flags: Vec<(&'static str, String)>,
    pub(super) args: Vec<String>,
}

/// Words that do not fit the command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    #[error("{command}: no flag {flag}")]
    UnknownFlag { command: &'static str, flag: String },
    #[error("{command}: {flag} needs a value")]
    NoValue { command: &'static str, flag: String },
    #[error("{command}: -{flag} is given twice")]
    Twice { command: &'static str, flag: &'static str },
    #[error("{command}: too few arguments")]
    TooFew { command: &'static str },
    #[error("{command}: {argument:?} is one argument too many; data with spaces need quotes")]
    TooMany { command: &'static str, argument: String },
}

impl Parsed {
    /// Sorts what follows a command's name. Flags may stand anywhere, several letters behind one
    /// dash, a value behind its flag with or without a space or an equals sign; `--` ends them.
    pub(super) fn of(spec: &'static Spec, words: &[String]) -> Result<Self, ParseError> {
        let mut parsed = Self { spec, flags: Vec::new(), args: Vec::new() };
        let mut words = words.iter();
        let mut flags_end = false;
        while let Some(word) = words.next() {
            if flags_end || !is_flag(word) {
                parsed.args.push(word.clone());
            } else if word == "--" {
                flags_end = true;
            } else {
                parsed.flag(word, &mut words)?;
            }
        }
        let command = spec.name;
        let (least, most) = spec.arity;
        if parsed.args.len() < least {
            return Err(ParseError::TooFew { command });
        }
        match parsed.args.get(most) {
            Some(argument) => Err(ParseError::TooMany { command, argument: argument.clone() }),
            None => Ok(parsed),
        }
    }

    fn flag<'a>(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), ParseError> {
        let command = self.spec.name;
        let unknown = || ParseError::UnknownFlag { command, flag: word.to_owned() };
        let body = word.trim_start_matches('-');
        let (name, attached) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        if let Some(flag) = self.spec.flag(name) {
            return match (flag.value, attached) {
                (None, None) => self.add(flag, String::new()),
                (None, Some(_)) => Err(unknown()),
                (Some(_), Some(value)) => self.add(flag, value.to_owned()),
                (Some(_), None) => match words.next() {
                    Some(value) => self.add(flag, value.clone()),
                    None => Err(ParseError::NoValue { command, flag: format!("-{name}") }),
                },
            };
        }
        // Letters behind one dash, the last one perhaps with its value attached.
        for (at, letter) in body.char_indices() {
            let after = at + letter.len_utf8();
            let flag = self.spec.flag(&body[at..after]).ok_or_else(unknown)?;
            match (flag.value, &body[after..]) {
                (None, _) => self.add(flag, String::new())?,
                (Some(_), "") => return Err(unknown()),
                (Some(_), value) => return self.add(flag, value.to_owned()),
            }
        }
        Ok(())
    }

    fn add(&mut self, flag: &'static Flag, value: String) -> Result<(), ParseError> {
        if self.has(flag.name) && flag.value.is_some() {
            return Err(ParseError::Twice { command: self.spec.name, flag: flag.name });
        }
        self.flags.push((flag.name, value));
        Ok(())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// A flag's value, empty for one that takes none.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// An argument that the table says is there.
    pub(super) fn arg(&self, index: usize) -> String {
        self.args.get(index).cloned().unwrap_or_default()
    }
}

/// Whether a word is meant as a flag: negative numbers and a lone dash are data.
fn is_flag(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::super::{spec, words};
    use super::*;

    fn parse(line: &str) -> Result<Parsed, ParseError> {
        let words = words::split(line).unwrap();
        Parsed::of(spec::find(&words[0]).unwrap(), &words[1..])
    }

    #[test]
    fn flags_stand_anywhere_and_together() {
        for line in ["ls -s -R /a", "ls /a -sR", "ls -R /a -s", "ls -s -R -- /a", "ls --s --R /a"] {
            let parsed = parse(line).unwrap();
            assert!(parsed.has("s") && parsed.has("R") && !parsed.has("w"), "{line}");
            assert_eq!(parsed.args, ["/a"], "{line}");
        }
    }

    #[test]
    fn values_come_after_a_space_an_equals_sign_or_nothing() {
        for line in ["set -v 3 /a x", "set -v=3 /a x", "set /a x -v3", "set -sv3 /a x"] {
            assert_eq!(parse(line).unwrap().value("v"), Some("3"), "{line}");
        }
        let parsed = parse("reconfig -add server.5=h:1:2;3 -remove 3,4").unwrap();
        assert_eq!(parsed.value("add"), Some("server.5=h:1:2;3"));
        assert_eq!(parsed.value("remove"), Some("3,4"));
    }

    #[test]
    fn negative_numbers_and_dashes_are_data() {
        assert_eq!(parse("set /a -5").unwrap().args, ["/a", "-5"]);
        assert_eq!(parse("set /a -").unwrap().args, ["/a", "-"]);
        assert_eq!(parse("set /a -- -x").unwrap().args, ["/a", "-x"]);
        assert_eq!(parse("set -v -1 /a x").unwrap().value("v"), Some("-1"));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, message) in [
            ("ls -z /", "ls: no flag -z"),
            ("ls -sz /", "ls: no flag -sz"),
            ("ls -s=1 /", "ls: no flag -s=1"),
            ("set /a x -v", "set: -v needs a value"),
            ("set -v 1 -v 2 /a x", "set: -v is given twice"),
            ("set /a", "set: too few arguments"),
            ("getAcl /a b", "getAcl: \"b\" is one argument too many; data with spaces need quotes"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), message, "{line}");
        }
    }
}
