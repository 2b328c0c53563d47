//! What a run has shown, as a table: one line for each kind of strike.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::check::{Rule, Violation};
use super::history::{Deed, Fate, History, Operation, Outcome, Role};
use super::strike::Kind;

/// Violations that are printed; all of them count.
pub(crate) const MOST_SHOWN: usize = 20;

/// From a strike until everything was whole again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) kind: Kind,
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
}

#[derive(Default)]
struct Row {
    strikes: usize,
    acknowledged: usize,
    /// The longest time within each window in which nobody's write was acknowledged.
    gaps_us: Vec<u64>,
    /// The longest such time of any single client that goes to whichever server serves.
    waits_us: Vec<u64>,
    broken: Vec<Rule>,
}

impl Row {
    fn add(&mut self, other: &Row) {
        self.strikes += other.strikes;
        self.acknowledged += other.acknowledged;
        self.gaps_us.extend(&other.gaps_us);
        self.waits_us.extend(&other.waits_us);
        self.broken.extend(&other.broken);
    }
}

/// The table as Markdown, with a line on the rest of the history below it.
pub(crate) fn table(history: &History, windows: &[Window], violations: &[Violation]) -> String {
    let mut acknowledged: Vec<&Operation> =
        history.operations.iter().filter(|operation| is_acknowledged(operation)).collect();
    acknowledged.sort_by_key(|operation| operation.completed_us);
    let pinned = history.fates.iter().filter(|fate| fate.role == Role::StaysAtOne);
    let pinned: BTreeSet<u32> = pinned.map(|fate| fate.session).collect();
    let mut rows: BTreeMap<Kind, Row> = BTreeMap::new();
    let mut total = Row::default();
    for (n, window) in windows.iter().enumerate() {
        let mut this = measure(window, &acknowledged, &pinned);
        // What shows between two strikes is the doing of the first.
        let from_us = if n == 0 { 0 } else { window.from_us };
        let until_us = windows.get(n + 1).map_or(u64::MAX, |next| next.from_us);
        let shows = |violation: &&Violation| (from_us..until_us).contains(&violation.at_us);
        this.broken = violations.iter().filter(shows).map(|violation| violation.rule).collect();
        rows.entry(window.kind).or_default().add(&this);
        total.add(&this);
    }
    let mut text = String::from(
        "| strike | times | writes acknowledged | nobody's writes: median | p99 | worst \
         | one client's worst wait | sessions lost | expired early | other violations |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for (kind, row) in &rows {
        line(&mut text, kind.name(), row);
    }
    line(&mut text, "all", &total);
    text + &summary(history)
}

fn is_acknowledged(operation: &Operation) -> bool {
    matches!(operation.deed, Deed::Write { outcome: Outcome::Done { .. }, .. })
}

fn measure(window: &Window, acknowledged: &[&Operation], pinned: &BTreeSet<u32>) -> Row {
    let from = acknowledged.partition_point(|write| write.completed_us < window.from_us);
    let to = acknowledged.partition_point(|write| write.completed_us <= window.to_us);
    let within = &acknowledged[from..to];
    let gap_us = longest_gap_us(window, within.iter().map(|write| write.completed_us));
    // Those that write all the time, not those that did so once.
    let writers: BTreeSet<u32> = within.iter().map(|write| write.session).collect();
    let waits = writers.difference(pinned).map(|writer| {
        let own = within.iter().filter(|write| write.session == *writer);
        longest_gap_us(window, own.map(|write| write.completed_us))
    });
    Row {
        strikes: 1,
        acknowledged: within.len(),
        gaps_us: vec![gap_us],
        waits_us: vec![waits.max().unwrap_or(gap_us)],
        broken: Vec::new(),
    }
}

fn longest_gap_us(window: &Window, instants_us: impl Iterator<Item = u64>) -> u64 {
    let (mut longest_us, mut last_us) = (0, window.from_us);
    for at_us in instants_us.chain([window.to_us]) {
        longest_us = longest_us.max(at_us - last_us);
        last_us = at_us;
    }
    longest_us
}

fn line(text: &mut String, name: &str, row: &Row) {
    let ms = |us: Option<u64>| us.map_or_else(String::new, |us| format!("{} ms", us / 1_000));
    let count = |rule: Rule| row.broken.iter().filter(|broken| **broken == rule).count();
    let (lost, early) = (count(Rule::SessionLost), count(Rule::ExpiredEarly));
    let mut gaps_us = row.gaps_us.clone();
    gaps_us.sort_unstable();
    let at = |percent: usize| {
        let rank = (gaps_us.len() * percent).div_ceil(100).max(1);
        gaps_us.get(rank - 1).copied()
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "| {name} | {} | {} | {} | {} | {} | {} | {lost} | {early} | {} |",
        row.strikes,
        row.acknowledged,
        ms(at(50)),
        ms(at(99)),
        ms(at(100)),
        ms(row.waits_us.iter().copied().max()),
        row.broken.len() - lost - early,
    );
}

fn summary(history: &History) -> String {
    let count = |is: fn(&Deed) -> bool| {
        history.operations.iter().filter(|operation| is(&operation.deed)).count()
    };
    let acknowledged =
        count(|deed| matches!(deed, Deed::Write { outcome: Outcome::Done { .. }, .. }));
    let unknown = count(|deed| matches!(deed, Deed::Write { outcome: Outcome::Unknown, .. }));
    let reads = count(|deed| matches!(deed, Deed::Read { .. }));
    let silent = |fate: &&Fate| matches!(fate.role, Role::FallsSilent { .. });
    let stays = history.fates.len() - history.fates.iter().filter(silent).count();
    let mut late_ms: Vec<u64> = Vec::new();
    for fate in &history.fates {
        if let (Role::FallsSilent { heard_us }, Some(gone_us)) = (fate.role, fate.gone_us) {
            late_ms.push(gone_us.saturating_sub(heard_us + fate.timeout_us) / 1_000);
        }
    }
    late_ms.sort_unstable();
    let median = late_ms.get(late_ms.len() / 2).copied().unwrap_or(0);
    format!(
        "\n{acknowledged} writes acknowledged, {unknown} of unknown outcome, {reads} reads, \
         {stays} sessions that were to live, {} that fell silent: seen to end {median} ms after \
         their timeout (median; earliest {} ms)\n",
        late_ms.len(),
        late_ms.first().copied().unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_measured_from_the_strike_to_its_end() {
        let write = |session, completed_us| Operation {
            session,
            register: 0,
            invoked_us: 0,
            completed_us,
            deed: Deed::Write {
                value: completed_us,
                expected: None,
                outcome: Outcome::Done { version: 0, mzxid: 0 },
            },
        };
        let writes = [write(1, 5), write(1, 12), write(2, 40), write(1, 95), write(2, 120)];
        let writes: Vec<_> = writes.iter().collect();
        let window = Window { kind: Kind::KillLeader, from_us: 10, to_us: 100 };
        let row = measure(&window, &writes, &BTreeSet::new());
        assert_eq!((row.acknowledged, row.gaps_us, row.waits_us), (3, vec![55], vec![83]));
        let row = measure(&window, &writes, &BTreeSet::from([1]));
        assert_eq!((row.gaps_us, row.waits_us), (vec![55], vec![60]));
    }
}
