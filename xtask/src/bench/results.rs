//! What was measured, round by round, and its medians.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::machine;

/// The values of one scene.
pub(crate) struct Results {
    values: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    /// When, on what, with which versions.
    pub(crate) about: Value,
}

impl Results {
    pub(crate) fn new(rounds: usize) -> Self {
        let mut about = machine::describe();
        about["rounds"] = json!(rounds);
        Self { values: BTreeMap::new(), about }
    }

    pub(crate) fn add(&mut self, subject: impl AsRef<str>, key: &str, value: f64) {
        let by_subject = self.values.entry(key.to_owned()).or_default();
        by_subject.entry(subject.as_ref().to_owned()).or_default().push(value);
    }

    /// The median over the rounds.
    pub(crate) fn median(&self, subject: impl AsRef<str>, key: &str) -> Option<f64> {
        median(self.values.get(key)?.get(subject.as_ref())?)
    }

    /// The largest value of any round.
    pub(crate) fn largest(&self, subject: impl AsRef<str>, key: &str) -> Option<f64> {
        self.values.get(key)?.get(subject.as_ref())?.iter().copied().reduce(f64::max)
    }

    /// All keys, in alphabetical order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let text = json!({"about": self.about, "values": self.values});
        fs::write(path, format!("{text:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads what [`Results::save`] wrote; `None` if it was never written.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let saved: Value = serde_json::from_str(&fs::read_to_string(path)?)
            .with_context(|| format!("{} is not JSON", path.display()))?;
        let mut results = Self { values: BTreeMap::new(), about: saved["about"].clone() };
        for (key, by_subject) in saved["values"].as_object().context("no values")? {
            for (subject, rounds) in by_subject.as_object().into_iter().flatten() {
                for value in rounds.as_array().into_iter().flatten().filter_map(Value::as_f64) {
                    results.add(subject, key, value);
                }
            }
        }
        Ok(Some(results))
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::subject::Subject;

    #[test]
    fn a_median_ignores_one_bad_round() {
        assert_eq!(median(&[3.0, 900.0, 2.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn results_come_back_as_they_were_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scene.json");
        assert!(Results::load(&path).unwrap().is_none());
        let mut results = Results::new(2);
        results.add(Subject::Tenure, "a/b", 1.5);
        results.add(Subject::Tenure, "a/b", 2.5);
        results.add(Subject::Echo, "a/b", 9.0);
        results.save(&path).unwrap();
        let loaded = Results::load(&path).unwrap().unwrap();
        assert_eq!(loaded.median(Subject::Tenure, "a/b"), Some(2.0));
        assert_eq!(loaded.median(Subject::ZooKeeper, "a/b"), None);
        assert_eq!(loaded.keys().collect::<Vec<_>>(), ["a/b"]);
        assert_eq!(loaded.about["rounds"], 2);
    }
}
