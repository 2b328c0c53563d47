//! Quotas: two znodes below `/zookeeper/quota` that the server looks at, and their text.

use std::fmt;

/// Where the quotas of all paths are kept.
pub(super) const ROOT: &str = "/zookeeper/quota";
/// The znode that holds the limits of a path.
pub(super) const LIMITS: &str = "zookeeper_limits";
/// The znode in which the server counts what is used.
pub(super) const STATS: &str = "zookeeper_stats";

/// Limits of a path, or what it uses: -1 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) count: i64,
    pub(super) bytes: i64,
    pub(super) hard_count: i64,
    pub(super) hard_bytes: i64,
}

impl Quota {
    /// No limit at all.
    pub(super) const NONE: Self = Self { count: -1, bytes: -1, hard_count: -1, hard_bytes: -1 };

    /// Reads the text of either znode. Parts that are missing or make no sense are no limit.
    pub(super) fn parse(text: &str) -> Self {
        let mut quota = Self::NONE;
        for part in text.split([',', ';']) {
            let Some((name, value)) = part.trim_start_matches('=').split_once('=') else {
                continue;
            };
            let value = value.trim().trim_end_matches('=').parse().unwrap_or(-1);
            match name.trim() {
                "count" => quota.count = value,
                "bytes" => quota.bytes = value,
                "countHardLimit" => quota.hard_count = value,
                "byteHardLimit" => quota.hard_bytes = value,
                _ => {}
            }
        }
        quota
    }

    /// Where a limit is set here, it replaces that of `old`.
    pub(super) fn over(self, old: Self) -> Self {
        let over = |new: i64, old: i64| if new == -1 { old } else { new };
        Self {
            count: over(self.count, old.count),
            bytes: over(self.bytes, old.bytes),
            hard_count: over(self.hard_count, old.hard_count),
            hard_bytes: over(self.hard_bytes, old.hard_bytes),
        }
    }
}

impl fmt::Display for Quota {
    /// The text of a limits znode. Older tools stop reading at the odd `=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, bytes, hard_count, hard_bytes } = self;
        write!(f, "count={count},bytes={bytes}=;")?;
        write!(f, "byteHardLimit={hard_bytes};countHardLimit={hard_count}")
    }
}

/// The folder of a path's two znodes.
pub(super) fn folder(path: &str) -> String {
    format!("{ROOT}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_the_reference() {
        let soft = Quota { count: 2, ..Quota::NONE };
        assert_eq!(soft.to_string(), "count=2,bytes=-1=;byteHardLimit=-1;countHardLimit=-1");
        let both = Quota { count: 2, bytes: 200, hard_count: 5, hard_bytes: -1 };
        assert_eq!(both.to_string(), "count=2,bytes=200=;byteHardLimit=-1;countHardLimit=5");
        for quota in [soft, both, Quota::NONE] {
            assert_eq!(Quota::parse(&quota.to_string()), quota);
        }
        assert_eq!(Quota::parse("count=2,bytes=-1"), soft);
        assert_eq!(Quota::parse("count=x,what,=;byteHardLimit="), Quota::NONE);
    }

    #[test]
    fn a_new_limit_leaves_the_others() {
        let old = Quota { count: 2, bytes: 200, ..Quota::NONE };
        let new = Quota { hard_bytes: 9, count: 3, ..Quota::NONE };
        assert_eq!(new.over(old), Quota { count: 3, bytes: 200, hard_count: -1, hard_bytes: 9 });
    }
}
