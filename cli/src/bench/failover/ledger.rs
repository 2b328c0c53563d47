//! What a writer knows of its znode, and whether an acknowledged write is gone.
//!
//! The writer sets a counter, one write at a time, and is the only one to do so. Every write that
//! happens adds one to the znode's version. After a lost connection one write more may have
//! happened than was acknowledged, never one less.

/// The acknowledged history of one znode.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// The counter that was acknowledged or seen last.
    counter: u64,
    /// The version with that counter.
    version: i32,
    /// Acknowledged writes that are gone.
    pub(crate) lost: u64,
}

impl Ledger {
    /// A write was acknowledged with this version.
    pub(crate) fn acknowledged(&mut self, counter: u64, version: i32) {
        self.expect(self.version + 1, version);
        (self.counter, self.version) = (counter, version);
    }

    /// A read found this.
    pub(crate) fn seen(&mut self, counter: u64, version: i32) {
        // A counter beyond the acknowledged one is that of an unknown write, which has a version
        // of its own. An older counter with a newer version is an unknown write that came late.
        let newer = counter > self.counter || counter < self.counter && version > self.version;
        if counter < self.counter && version == self.version {
            self.lost += 1;
        }
        self.expect(self.version + i32::from(newer), version);
        (self.counter, self.version) = (counter, version);
    }

    fn expect(&mut self, least: i32, version: i32) {
        self.lost += u64::try_from(least - version).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    /// A writer whose third write was acknowledged.
    fn after_three() -> Ledger {
        let mut ledger = Ledger::default();
        (1..=3).for_each(|n| ledger.acknowledged(n, n as i32));
        assert_eq!(ledger.lost, 0);
        ledger
    }

    #[test]
    fn an_unknown_write_may_have_happened_or_not() {
        for (counter, version) in [(3, 3), (4, 4)] {
            let mut ledger = after_three();
            ledger.seen(counter, version);
            ledger.acknowledged(5, version + 1);
            assert_eq!(ledger.lost, 0, "{counter}");
        }
        let mut ledger = after_three();
        ledger.seen(3, 3);
        // The fourth came late, but before the fifth.
        ledger.acknowledged(5, 5);
        assert_eq!(ledger.lost, 0);
        let mut ledger = after_three();
        ledger.acknowledged(5, 4);
        ledger.seen(4, 5);
        assert_eq!(ledger.lost, 0, "the fourth came after the fifth");
    }

    #[test]
    fn a_write_that_is_gone_is_noticed_by_its_version() {
        let mut ledger = after_three();
        ledger.acknowledged(4, 3);
        assert_eq!(ledger.lost, 1);
        let mut ledger = after_three();
        ledger.seen(1, 1);
        assert_eq!(ledger.lost, 2);
        let mut ledger = after_three();
        ledger.seen(4, 3);
        assert_eq!(ledger.lost, 1, "an unknown write took the place of the third");
        let mut ledger = after_three();
        ledger.seen(2, 3);
        assert_eq!(ledger.lost, 1, "one took the place of another");
    }
}
