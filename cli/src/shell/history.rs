//! The commands of this run of the shell, by number, as `history` and `redo` know them.

/// Lines with their numbers, counted from zero.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: Vec<String>,
    /// Number of the first line that is kept.
    first: usize,
}

/// Lines kept for `redo`; more than anybody goes back, and a script may run for ever.
const KEPT: usize = 10_000;
/// Lines that `history` shows; as in zkCli.
const SHOWN: usize = 11;

impl History {
    /// Number of the next line, which the prompt shows.
    pub(super) fn next_number(&self) -> usize {
        self.first + self.lines.len()
    }

    pub(super) fn push(&mut self, line: &str) {
        if self.lines.len() == 2 * KEPT {
            self.lines.drain(..KEPT);
            self.first += KEPT;
        }
        self.lines.push(line.to_owned());
    }

    /// The line of a number.
    pub(super) fn get(&self, number: usize) -> Option<&str> {
        self.lines.get(number.checked_sub(self.first)?).map(String::as_str)
    }

    /// The newest line becomes this one: `redo` is remembered as what it did.
    pub(super) fn replace_last(&mut self, line: &str) {
        if let Some(last) = self.lines.last_mut() {
            line.clone_into(last);
        }
    }

    /// The newest lines with their numbers.
    pub(super) fn newest(&self) -> impl Iterator<Item = (usize, &str)> {
        let skipped = self.lines.len().saturating_sub(SHOWN);
        self.lines.iter().enumerate().skip(skipped).map(|(i, line)| (self.first + i, line.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_eleven_are_shown_with_their_numbers() {
        let mut history = History::default();
        for i in 0..15 {
            history.push(&format!("get /{i}"));
        }
        assert_eq!(history.newest().count(), SHOWN);
        assert_eq!(history.newest().next(), Some((4, "get /4")));
        assert_eq!(history.next_number(), 15);
        assert_eq!((history.get(3), history.get(15)), (Some("get /3"), None));
        history.replace_last("ls /");
        assert_eq!(history.get(14), Some("ls /"));
    }

    #[test]
    fn old_lines_go_and_numbers_stay() {
        let mut history = History::default();
        for i in 0..3 * KEPT {
            history.push(&i.to_string());
        }
        assert_eq!(history.next_number(), 3 * KEPT);
        assert_eq!(history.get(0), None);
        let last = 3 * KEPT - 1;
        assert_eq!(history.get(last), Some(last.to_string().as_str()));
        assert!(history.lines.len() <= 2 * KEPT);
    }
}
