//! What is wanted of Tenure, and whether the measured medians show it.

use std::fmt;

use super::results::Results;
use super::scene::Scene;
use super::subject::Subject;
use super::wanted::CRITERIA;

/// A median: whose, and of what.
pub(crate) type Term = (Subject, &'static str);

/// One thing wanted, in a scene of whatever kind.
pub(crate) struct Criterion<S> {
    pub(crate) scene: S,
    /// The load it is about.
    pub(crate) load: &'static str,
    /// The quantity and its unit.
    pub(crate) what: &'static str,
    pub(crate) value: Term,
    /// What `value` is divided by: the sum of these, or 1 if there are none.
    pub(crate) against: &'static [Term],
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// At most this in every single round, not only at the median.
    NeverAbove(f64),
}

/// A criterion beside what was measured.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) load: String,
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) measured: String,
    pub(crate) figures: String,
    /// `None` if something was not measured.
    pub(crate) met: Option<bool>,
}

/// The verdicts on one scene.
pub(crate) fn judge(scene: Scene, results: &Results) -> Vec<Verdict> {
    let of_scene = CRITERIA.iter().filter(|criterion| criterion.scene == scene);
    of_scene.map(|criterion| criterion.judge(results)).collect()
}

impl<S> Criterion<S> {
    pub(crate) fn judge(&self, results: &Results) -> Verdict {
        let look_up = |term: &Term| match self.bound {
            Bound::NeverAbove(_) => results.largest(term.0, term.1),
            _ => results.median(term.0, term.1),
        };
        let value = look_up(&self.value);
        let against: Option<Vec<f64>> = self.against.iter().map(look_up).collect();
        let blank = Verdict {
            load: self.load.to_owned(),
            what: self.what.to_owned(),
            wanted: self.wanted(),
            measured: "not measured".to_owned(),
            figures: String::new(),
            met: None,
        };
        let (Some(value), Some(against)) = (value, against) else { return blank };
        let own = number(value);
        if against.is_empty() {
            let met = self.bound.holds(value);
            return Verdict { measured: own, met: Some(met), ..blank };
        }
        let base: f64 = against.iter().sum();
        let ratio = value / base;
        let others: Vec<String> = against.iter().map(|value| number(*value)).collect();
        Verdict {
            measured: format!("{}×", number(ratio)),
            figures: format!("{own} against {}", others.join(" + ")),
            met: Some(self.bound.holds(ratio)),
            ..blank
        }
    }

    fn wanted(&self) -> String {
        self.bound.shown(if self.against.is_empty() { "" } else { "×" })
    }
}

impl Bound {
    /// As in a table, with this behind the number.
    pub(crate) fn shown(self, unit: &str) -> String {
        match self {
            Self::AtLeast(limit) => format!("≥ {}{unit}", number(limit)),
            Self::AtMost(limit) | Self::NeverAbove(limit) => format!("≤ {}{unit}", number(limit)),
        }
    }

    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) | Self::NeverAbove(limit) => value <= limit,
        }
    }
}

impl Verdict {
    /// One word for the last column.
    pub(crate) fn word(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "not measured",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word().trim_matches('*');
        write!(
            f,
            "{word:12} {}, {}: {} (wanted {})",
            self.load, self.what, self.measured, self.wanted
        )?;
        if self.figures.is_empty() { Ok(()) } else { write!(f, ", {}", self.figures) }
    }
}

/// Three significant digits, and no decimals beyond a hundred.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        let digits = format!("{value:.0}");
        let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |rest| ("-", rest));
        let groups: Vec<&str> = {
            let head = digits.len() % 3;
            let (first, rest) = digits.split_at(head);
            let rest = (0..rest.len() / 3).map(|i| &rest[3 * i..3 * i + 3]);
            std::iter::once(first).filter(|first| !first.is_empty()).chain(rest).collect()
        };
        return format!("{sign}{}", groups.join(","));
    }
    let decimals = match size {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

#[cfg(test)]
mod tests;
