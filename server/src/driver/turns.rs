//! Whose turn it is: connections that wait, in a line per tenant, and the tenants in turn.
//!
//! Tenants that had nothing to do go first for one share of time. Whoever still has work after that
//! takes turns with all the others that do. So whoever asks for little waits for one share of
//! another tenant's time at most, however much that one asks for.

use std::collections::VecDeque;

use tenure_replica::ConnId;

use crate::tenants::TenantId;

/// Connections that wait, by tenant.
#[derive(Default)]
pub(super) struct Turns {
    lines: Vec<Line>,
    fresh: VecDeque<TenantId>,
    others: VecDeque<TenantId>,
    waiting: usize,
}

#[derive(Default)]
struct Line {
    conns: VecDeque<ConnId>,
    place: Place,
}

/// In which order a tenant stands. One that had its share stays in the second one until it comes
/// up there with nothing to do: else it would be fresh again at once.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Nowhere,
    Fresh,
    Others,
}

impl Turns {
    /// Connections that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Puts a connection at the end of its tenant's line.
    pub(super) fn push(&mut self, tenant: TenantId, conn: ConnId) {
        let slot = tenant.slot();
        if slot >= self.lines.len() {
            self.lines.resize_with(slot + 1, Line::default);
        }
        let line = &mut self.lines[slot];
        line.conns.push_back(conn);
        self.waiting += 1;
        if line.place == Place::Nowhere {
            line.place = Place::Fresh;
            self.fresh.push_back(tenant);
        }
    }

    /// The tenant whose share of time begins, and whether it had nothing to do before.
    pub(super) fn next_tenant(&mut self) -> Option<(TenantId, bool)> {
        loop {
            let fresh = self.fresh.pop_front();
            let is_fresh = fresh.is_some();
            let tenant = fresh.or_else(|| self.others.pop_front())?;
            let line = &mut self.lines[tenant.slot()];
            if line.conns.is_empty() {
                line.place = Place::Nowhere;
                continue;
            }
            line.place = Place::Others;
            self.others.push_back(tenant);
            return Some((tenant, is_fresh));
        }
    }

    /// The first connection in a tenant's line.
    pub(super) fn pop(&mut self, tenant: TenantId) -> Option<ConnId> {
        let conn = self.lines.get_mut(tenant.slot())?.conns.pop_front()?;
        self.waiting -= 1;
        Some(conn)
    }

    /// Every connection that waits, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = ConnId> {
        self.lines.iter().flat_map(|line| line.conns.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISY: TenantId = TenantId::new(0);
    const QUIET: TenantId = TenantId::new(3);

    /// Takes one connection per share of time.
    fn next(turns: &mut Turns) -> Option<u64> {
        let (tenant, _) = turns.next_tenant()?;
        turns.pop(tenant).map(|conn| conn.0)
    }

    #[test]
    fn who_had_nothing_to_do_goes_before_who_always_has() {
        let mut turns = Turns::default();
        (1..=5).for_each(|conn| turns.push(NOISY, ConnId(conn)));
        assert_eq!(next(&mut turns), Some(1));
        turns.push(QUIET, ConnId(100));
        assert_eq!(next(&mut turns), Some(100));
        assert_eq!((next(&mut turns), turns.len()), (Some(2), 3));
    }

    #[test]
    fn who_always_has_something_takes_turns() {
        let mut turns = Turns::default();
        (1..=3).for_each(|conn| turns.push(NOISY, ConnId(conn)));
        (101..=103).for_each(|conn| turns.push(QUIET, ConnId(conn)));
        let order: Vec<_> = std::iter::from_fn(|| next(&mut turns)).collect();
        assert_eq!(order, [1, 101, 2, 102, 3, 103]);
        assert!(turns.is_empty());
    }

    #[test]
    fn who_comes_back_at_once_is_not_fresh_again() {
        let mut turns = Turns::default();
        turns.push(NOISY, ConnId(1));
        turns.push(QUIET, ConnId(101));
        assert_eq!((next(&mut turns), next(&mut turns)), (Some(1), Some(101)));
        turns.push(NOISY, ConnId(2));
        turns.push(QUIET, ConnId(102));
        turns.push(TenantId::new(5), ConnId(200));
        assert_eq!(next(&mut turns), Some(200));
        assert_eq!((next(&mut turns), next(&mut turns)), (Some(2), Some(102)));
    }
}
