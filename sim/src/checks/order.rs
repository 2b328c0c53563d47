//! Whether writes and synced reads take effect between asking and answer, all in one order.
//!
//! Changes are numbered, so this needs no search: an answer may reveal nothing older than what
//! anybody had been told before it was asked for, and one version of a register is one state.

use std::collections::BTreeMap;

use tenure_client::Zxid;

use crate::clock::Nanos;
use crate::world::{Rule, World};

/// Znodes whose every state is told apart by its version.
pub(crate) const REGISTERS: usize = 2;

pub(crate) fn register_path(register: usize) -> &'static str {
    ["/r0", "/r1"][register]
}

/// What a register holds, as a number; 0 before it was first set.
pub(crate) fn value_of(data: Option<&[u8]>) -> u64 {
    data.map_or(0, |data| data.try_into().map_or(u64::MAX, u64::from_be_bytes))
}

/// What an answer claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A change of its own, made after it was asked for.
    Write,
    /// A state no older than when it was asked for.
    Fresh,
    /// Some state that once was.
    Any,
}

/// All that anybody has learnt of the one order.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Answers that revealed newer changes than all before: when they came, and which.
    answers: Vec<(Nanos, Zxid)>,
    /// By version: what a register held, and the change that made it so.
    registers: [BTreeMap<i32, (u64, Zxid)>; REGISTERS],
}

impl Order {
    /// The newest change that anybody had been told of before an instant.
    fn known_before(&self, at: Nanos) -> Zxid {
        let later = self.answers.partition_point(|(answered_at, _)| *answered_at < at);
        later.checked_sub(1).map_or(Zxid(0), |last| self.answers[last].1)
    }

    fn answered(&mut self, now: Nanos, zxid: Zxid) {
        if self.answers.last().is_none_or(|(_, newest)| *newest < zxid) {
            self.answers.push((now, zxid));
        }
    }

    /// A register was seen at some version: always the same at the same one, and changes grow with
    /// versions.
    pub(crate) fn register(
        &mut self,
        register: usize,
        version: i32,
        value: u64,
        zxid: Zxid,
    ) -> Result<(), String> {
        let path = register_path(register);
        let known = &mut self.registers[register];
        let first = *known.entry(version).or_insert((value, zxid));
        if first != (value, zxid) {
            return Err(format!(
                "version {version} of {path} was {first:?} (value, change), then {:?}",
                (value, zxid)
            ));
        }
        let before = known.range(..version).next_back();
        let after = known.range(version + 1..).next();
        if before.is_some_and(|(_, (_, before))| *before >= zxid)
            || after.is_some_and(|(_, (_, after))| *after <= zxid)
        {
            return Err(format!("version {version} of {path} was made by {zxid}, out of order"));
        }
        Ok(())
    }

    /// The newest version of a register that anybody has seen.
    pub(super) fn newest_version(&self, register: usize) -> Option<i32> {
        self.registers[register].last_key_value().map(|(version, _)| *version)
    }
}

impl World {
    /// A client was answered. `asked_at` is when it asked, or when it asked for the sync before.
    pub(crate) fn check_order(&mut self, client: usize, claim: Claim, asked_at: Nanos, zxid: Zxid) {
        let known = self.ledger.order.known_before(asked_at);
        let is_stale = match claim {
            Claim::Write => zxid <= known,
            Claim::Fresh => {
                self.counts.add("synced reads");
                zxid < known
            }
            Claim::Any => false,
        };
        if is_stale {
            let ago = (self.now - asked_at) / 1000;
            self.violated(Rule::Linearizable, || {
                format!(
                    "client {client} was answered with {zxid}, though {known} was known to \
                     somebody before it asked, {ago} us ago ({claim:?})"
                )
            });
        }
        self.ledger.order.answered(self.now, zxid);
    }
}
