//! Quotas: how much a subtree may hold, and how much it does (reference 3.6).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::tree::path;

/// The limits that refuse writes. Soft limits are the client tools' affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most znodes.
    pub(crate) count: Option<i64>,
    /// The most bytes of data.
    pub(crate) bytes: Option<i64>,
}

impl Limits {
    /// Reads the data of a limits znode, `count=N,bytes=N=;byteHardLimit=N;countHardLimit=N`.
    /// What cannot be read limits nothing: it is a client's text, and was stored already.
    pub(crate) fn parse(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data);
        let mut limits = Limits::default();
        for pair in text.split([',', ';']) {
            // An old parser's terminator may follow the value: `bytes=5=`.
            let mut parts = pair.split('=');
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
            let limit = match key {
                "countHardLimit" => &mut limits.count,
                "byteHardLimit" => &mut limits.bytes,
                _ => continue,
            };
            *limit = value.parse().ok().filter(|limit| *limit >= 0);
        }
        limits
    }
}

/// What a subtree holds, its top included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Znodes.
    pub(crate) count: i64,
    /// Bytes of their data.
    pub(crate) bytes: i64,
}

/// The data of a stats znode.
impl fmt::Display for Usage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "count={},bytes={}", self.count, self.bytes)
    }
}

/// The subtrees with a quota. Of nested ones the deepest alone counts and limits.
///
/// A copy shares everything until one of the two changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuotaTree {
    limited: Arc<BTreeMap<Box<str>, (Limits, Usage)>>,
}

impl QuotaTree {
    /// No quotas.
    pub(crate) fn new() -> Self {
        QuotaTree::default()
    }

    /// True if there is no quota anywhere, which is the common case and costs nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.limited.is_empty()
    }

    /// Limits a subtree that holds this much, or changes its limits.
    pub(crate) fn insert(&mut self, limited: &str, limits: Limits, usage: Usage) {
        Arc::make_mut(&mut self.limited).insert(limited.into(), (limits, usage));
    }

    /// What every limited subtree holds.
    pub(crate) fn usages(&self) -> Vec<(Box<str>, Usage)> {
        self.limited.iter().map(|(limited, (_, usage))| (limited.clone(), *usage)).collect()
    }

    /// Ends the quota of a subtree.
    pub(crate) fn remove(&mut self, limited: &str) {
        Arc::make_mut(&mut self.limited).remove(limited);
    }

    /// Whether a hard limit forbids changing a znode by this much. A change that adds nothing to
    /// what is limited is allowed; one that changes it must end within the limit.
    pub(crate) fn exceeds_hard(&self, path: &str, count: i64, bytes: i64) -> bool {
        let Some((_, (limits, usage))) = self.find(path) else { return false };
        let over = |limit: Option<i64>, used: i64, change: i64| {
            change != 0 && limit.is_some_and(|limit| used.saturating_add(change) > limit)
        };
        over(limits.count, usage.count, count) || over(limits.bytes, usage.bytes, bytes)
    }

    /// Counts a change of a znode, and says which quota it falls under and what that one's
    /// subtree holds now.
    pub(crate) fn count(&mut self, path: &str, count: i64, bytes: i64) -> Option<(&str, Usage)> {
        let limited: Box<str> = self.find(path)?.0.into();
        let all = Arc::make_mut(&mut self.limited);
        let (_, usage) = all.get_mut(&limited)?;
        usage.count += count;
        usage.bytes += bytes;
        let usage = *usage;
        let (limited, _) = all.get_key_value(&limited)?;
        Some((limited, usage))
    }

    /// The deepest quota that a path falls under.
    fn find(&self, path: &str) -> Option<(&str, &(Limits, Usage))> {
        if self.is_empty() {
            return None;
        }
        let mut paths = std::iter::once(path).chain(path::ancestors(path));
        let (limited, quota) = paths.find_map(|path| self.limited.get_key_value(path))?;
        Some((limited, quota))
    }
}

#[cfg(test)]
mod tests;
