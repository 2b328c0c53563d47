//! The connections that watch one path, sorted by kind and connection.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::input::ConnId;
use crate::watch::WatchKind;

/// Nearly every path has one watcher, so that one is kept without an allocation.
#[derive(Debug, Default)]
pub(super) enum Watchers {
    #[default]
    None,
    One((WatchKind, ConnId)),
    #[expect(clippy::box_collection, reason = "unboxed it would double every path's 16 bytes")]
    Many(Box<BTreeSet<(WatchKind, ConnId)>>),
}

impl Watchers {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Watchers::None)
    }

    /// Adds a watcher that is not here yet.
    pub(super) fn insert(&mut self, kind: WatchKind, conn: ConnId) {
        match self {
            Watchers::None => *self = Watchers::One((kind, conn)),
            Watchers::One(first) => {
                *self = Watchers::Many(Box::new(BTreeSet::from([*first, (kind, conn)])));
            }
            Watchers::Many(all) => _ = all.insert((kind, conn)),
        }
    }

    /// Removes a watcher, if it is here.
    pub(super) fn remove(&mut self, kind: WatchKind, conn: ConnId) {
        match self {
            Watchers::None => {}
            Watchers::One(only) => {
                if *only == (kind, conn) {
                    *self = Watchers::None;
                }
            }
            Watchers::Many(all) => {
                all.remove(&(kind, conn));
                self.shrink();
            }
        }
    }

    /// The watchers of these kinds, by kind and then by connection.
    pub(super) fn of(
        &self,
        kinds: RangeInclusive<WatchKind>,
    ) -> impl Iterator<Item = (WatchKind, ConnId)> {
        let (first, last) = (*kinds.start(), *kinds.end());
        let (one, many) = match self {
            Watchers::None => (None, None),
            Watchers::One(only) => (Some(*only).filter(|(kind, _)| kinds.contains(kind)), None),
            Watchers::Many(all) => {
                (None, Some(all.range((first, ConnId(0))..=(last, ConnId(u64::MAX)))))
            }
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }

    /// Removes all watchers of one kind, without looking at each if there are no others.
    pub(super) fn clear(&mut self, kind: WatchKind) {
        match self {
            Watchers::None => {}
            Watchers::One((only, _)) => {
                if *only == kind {
                    *self = Watchers::None;
                }
            }
            Watchers::Many(all) => {
                let pure = all.first().is_some_and(|(first, _)| *first == kind)
                    && all.last().is_some_and(|(last, _)| *last == kind);
                if pure {
                    *self = Watchers::None;
                } else {
                    all.retain(|(other, _)| *other != kind);
                    self.shrink();
                }
            }
        }
    }

    fn shrink(&mut self) {
        if let Watchers::Many(all) = self
            && all.len() <= 1
        {
            *self = all.first().map_or(Watchers::None, |only| Watchers::One(*only));
        }
    }
}
