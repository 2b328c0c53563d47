//! The rules of znodes that are set and read.
//!
//! A znode's versions put its writes in one order. So no order has to be searched for: a history
//! is linearizable if, with each read behind the write whose version it saw, no operation ended
//! before one began that stands further in front.

use std::collections::{BTreeMap, HashMap};

use super::{Rule, Violation};
use crate::attack::history::{Deed, Operation, Outcome, Seen, Source};

/// All violations of these operations.
pub(super) fn violations(operations: &[Operation]) -> Vec<Violation> {
    let mut of_register: BTreeMap<u32, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        of_register.entry(operation.register).or_default().push(operation);
    }
    let mut found = Vec::new();
    let mut registers = BTreeMap::new();
    for (register, operations) in of_register {
        let versions = Versions::new(&operations, &mut found);
        versions.check_zxids(&mut found);
        versions.check_order(&operations, &mut found);
        versions.check_conditions(&operations, &mut found);
        check_last_reads(&operations, &mut found);
        registers.insert(register, versions);
    }
    check_sessions(operations, &registers, &mut found);
    found
}

fn violation(rule: Rule, operations: &[&Operation]) -> Violation {
    let at_us = operations.iter().map(|operation| operation.completed_us).max().unwrap_or(0);
    Violation { rule, at_us, lines: operations.iter().map(ToString::to_string).collect() }
}

/// What is known of a version of a znode.
struct Version<'a> {
    write: &'a Operation,
    /// The operation that told of it: the write itself, or a read.
    witness: &'a Operation,
    mzxid: i64,
}

/// The versions of one znode.
struct Versions<'a> {
    known: BTreeMap<i32, Version<'a>>,
    /// Writes of unknown outcome that nobody has seen.
    unseen: Vec<&'a Operation>,
}

impl<'a> Versions<'a> {
    /// Collects the versions that acknowledgements and reads tell of.
    fn new(operations: &[&'a Operation], found: &mut Vec<Violation>) -> Self {
        let mut known: BTreeMap<i32, Version<'a>> = BTreeMap::new();
        let mut writes: HashMap<u64, (&'a Operation, Option<i32>)> = HashMap::new();
        for operation in operations {
            let Deed::Write { value, outcome, .. } = operation.deed else { continue };
            let mut became = None;
            if let Outcome::Done { version, mzxid } = outcome {
                became = Some(version);
                let this = Version { write: operation, witness: operation, mzxid };
                if let Some(other) = known.insert(version, this) {
                    found.push(violation(Rule::TwoOfOne, &[other.write, operation]));
                }
            }
            writes.insert(value, (operation, became));
        }
        for operation in operations {
            let Deed::Read { seen: Some(seen), .. } = operation.deed else { continue };
            let Seen { version, value, mzxid } = seen;
            let Some((write, became)) = writes.get_mut(&value) else {
                found.push(violation(Rule::WriteFromNowhere, &[operation]));
                continue;
            };
            let is_possible = matches!(
                write.deed,
                Deed::Write { outcome: Outcome::Done { .. } | Outcome::Unknown, .. }
            );
            if !is_possible {
                found.push(violation(Rule::WriteFromNowhere, &[write, operation]));
                continue;
            }
            let this = Version { write, witness: operation, mzxid };
            let other = known.entry(version).or_insert(this);
            let is_first = *became.get_or_insert(version) == version;
            if !is_first || !std::ptr::eq(other.write, *write) || other.mzxid != mzxid {
                found.push(violation(Rule::TwoOfOne, &[other.write, other.witness, operation]));
            }
        }
        let unseen = writes.values().filter(|(write, became)| {
            let is_unknown = |deed| matches!(deed, Deed::Write { outcome: Outcome::Unknown, .. });
            became.is_none() && is_unknown(write.deed)
        });
        let unseen: Vec<_> = unseen.map(|(write, _)| *write).collect();
        let versions = Self { known, unseen };
        versions.check_holes(found);
        versions
    }

    /// Every version must be somebody's write: those that nobody knows are at most as many as the
    /// writes of which nobody knows.
    fn check_holes(&self, found: &mut Vec<Violation>) {
        let Some((last, version)) = self.known.last_key_value() else { return };
        let holes = (*last as usize + 1).saturating_sub(self.known.len());
        if holes > self.unseen.len() {
            found.push(violation(Rule::WriteFromNowhere, &[version.write, version.witness]));
        }
    }

    /// Later versions have later zxids.
    fn check_zxids(&self, found: &mut Vec<Violation>) {
        for (before, after) in self.known.values().zip(self.known.values().skip(1)) {
            if before.mzxid >= after.mzxid {
                let lines = [before.witness, after.witness];
                found.push(violation(Rule::NotLinearizable, &lines));
            }
        }
    }

    /// No operation may have ended before one began that the versions put in front of it.
    fn check_order(&self, operations: &[&'a Operation], found: &mut Vec<Violation>) {
        let mut ranked: Vec<(i64, &Operation)> = Vec::new();
        for (version, known) in &self.known {
            ranked.push((2 * i64::from(*version), known.write));
        }
        for operation in operations {
            if let Deed::Read { seen, .. } = operation.deed {
                let version = seen.map_or(-1, |seen| seen.version);
                ranked.push((2 * i64::from(version) + 1, operation));
            }
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        // The operations that began last, of those in front.
        let (mut last, mut last_write): (Option<&Operation>, Option<&Operation>) = (None, None);
        for group in ranked.chunk_by(|a, b| a.0 == b.0) {
            for (_, operation) in group {
                let in_front = if is_local(operation) { last_write } else { last };
                if let Some(in_front) = in_front
                    && ended_us(operation).is_some_and(|ended_us| ended_us < in_front.invoked_us)
                {
                    let is_last =
                        matches!(in_front.deed, Deed::Read { source: Source::Final(_), .. });
                    let rule = if is_last { Rule::LostWrite } else { Rule::NotLinearizable };
                    found.push(violation(rule, &[operation, in_front]));
                }
            }
            for (_, operation) in group {
                let is_write = matches!(operation.deed, Deed::Write { .. });
                if !is_local(operation) {
                    last = later(last, operation);
                }
                if is_write {
                    last_write = later(last_write, operation);
                }
            }
        }
    }

    /// Conditional writes are done at their version, and refused only at others.
    fn check_conditions(&self, operations: &[&'a Operation], found: &mut Vec<Violation>) {
        for operation in operations {
            let Deed::Write { expected: Some(expected), outcome, .. } = operation.deed else {
                continue;
            };
            match outcome {
                Outcome::Done { version, .. } if version != expected.wrapping_add(1) => {
                    found.push(violation(Rule::WrongCondition, &[operation]));
                }
                Outcome::BadVersion => {
                    if let Some(write) = self.stood_throughout(expected, operation) {
                        found.push(violation(Rule::WrongCondition, &[write, operation]));
                    }
                }
                _ => {}
            }
        }
    }

    /// The write of a version that certainly was the znode's while an operation was under way.
    fn stood_throughout(&self, version: i32, operation: &Operation) -> Option<&'a Operation> {
        let write = self.known.get(&version)?.write;
        let began = ended_us(write)? < operation.invoked_us;
        let could_end = |write: &Operation| write.invoked_us <= operation.completed_us;
        let next = self.known.range(version.checked_add(1)?..).next();
        let ended = next.is_some_and(|(_, next)| could_end(next.write))
            || self.unseen.iter().any(|write| could_end(write));
        (began && !ended).then_some(write)
    }
}

fn is_local(operation: &Operation) -> bool {
    matches!(operation.deed, Deed::Read { source: Source::Local, .. })
}

/// When an operation had certainly happened, if it had at all.
fn ended_us(operation: &Operation) -> Option<u64> {
    let is_unknown = matches!(operation.deed, Deed::Write { outcome: Outcome::Unknown, .. });
    (!is_unknown).then_some(operation.completed_us)
}

fn later<'a>(one: Option<&'a Operation>, other: &'a Operation) -> Option<&'a Operation> {
    one.filter(|one| one.invoked_us >= other.invoked_us).or(Some(other))
}

/// In the end all members hold the same.
fn check_last_reads(operations: &[&Operation], found: &mut Vec<Violation>) {
    let mut first: Option<(&Operation, Option<Seen>)> = None;
    for operation in operations {
        let Deed::Read { source: Source::Final(_), seen } = operation.deed else { continue };
        let (other, others) = *first.get_or_insert((operation, seen));
        if others != seen {
            found.push(violation(Rule::MembersDiffer, &[other, operation]));
        }
    }
}

/// No session sees a state of any znode that is older than one it has seen of any other.
fn check_sessions(
    operations: &[Operation],
    registers: &BTreeMap<u32, Versions<'_>>,
    found: &mut Vec<Violation>,
) {
    let mut newest: HashMap<u32, (i64, &Operation)> = HashMap::new();
    for operation in operations {
        let told = match operation.deed {
            Deed::Write { outcome: Outcome::Done { mzxid, .. }, .. } => Some(mzxid),
            Deed::Write { .. } => None,
            Deed::Read { seen, .. } => {
                let version = seen.map_or(-1, |seen| seen.version);
                let known = registers.get(&operation.register).map(|versions| &versions.known);
                let next = known.and_then(|known| known.range(version + 1..).next());
                if let Some((zxid, before)) = newest.get(&operation.session)
                    && let Some((_, next)) = next
                    && next.mzxid <= *zxid
                {
                    found.push(violation(Rule::WentBack, &[before, operation]));
                }
                seen.map(|seen| seen.mzxid)
            }
        };
        if let Some(zxid) = told {
            let newest = newest.entry(operation.session).or_insert((zxid, operation));
            if newest.0 < zxid {
                *newest = (zxid, operation);
            }
        }
    }
}

#[cfg(test)]
mod tests;
