//! What was found while reading a ZooKeeper folder that is not as it should be, each by name.

use std::fmt;

use serde_json::{Value, json};

/// How many of one kind are listed; of the others the number is told.
pub(crate) const LISTED: usize = 1000;

/// Something an operator has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Something was lost, or may have been.
    pub(crate) is_loss: bool,
    /// The file, and where in it, if it is about one.
    pub(crate) place: Option<(String, Option<usize>)>,
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn json(&self) -> Value {
        let (file, offset) = match &self.place {
            Some((file, offset)) => (Some(file), *offset),
            None => (None, None),
        };
        let found = if self.is_loss { "loss" } else { "note" };
        json!({"found": found, "file": file, "offset": offset, "what": self.what})
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_loss { "LOST: " } else { "note: " })?;
        match &self.place {
            Some((file, Some(offset))) => write!(f, "{file}, offset {offset}: {}", self.what),
            Some((file, None)) => write!(f, "{file}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// All that was found, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// Nothing was lost by it.
    pub(crate) fn note(&mut self, place: Option<(&str, Option<usize>)>, what: String) {
        self.add(false, place, what);
    }

    /// Something was lost.
    pub(crate) fn loss(&mut self, place: Option<(&str, Option<usize>)>, what: String) {
        self.add(true, place, what);
    }

    pub(crate) fn add(
        &mut self,
        is_loss: bool,
        place: Option<(&str, Option<usize>)>,
        what: String,
    ) {
        let place = place.map(|(file, offset)| (file.to_owned(), offset));
        self.0.push(Finding { is_loss, place, what });
    }

    /// One finding for each of many alike, and one for how many more there are.
    pub(crate) fn list(&mut self, is_loss: bool, all: impl ExactSizeIterator<Item = String>) {
        let more = all.len().saturating_sub(LISTED);
        all.take(LISTED).for_each(|what| self.add(is_loss, None, what));
        if more > 0 {
            self.add(is_loss, None, format!("and {more} more like these"));
        }
    }

    pub(crate) fn losses(&self) -> usize {
        self.0.iter().filter(|finding| finding.is_loss).count()
    }
}
