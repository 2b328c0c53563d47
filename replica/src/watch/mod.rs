//! Watches: who wants to know about which path. Local to the server, keyed by connection.
//!
//! `table` holds them, `trigger` turns a change of the tree into notifications.

pub(crate) mod table;
mod trigger;
mod watchers;

#[cfg(test)]
mod tests;

/// One way of watching a path. A connection may hold all four on the same path.
///
/// The protocol speaks of two tables: the data table (`Persistent`, `Data`,
/// `PersistentRecursive`) and the child table (`Child`, `Persistent`). In this order each of them
/// is a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchKind {
    /// Once: the path's children change, or the path is deleted.
    Child,
    /// Until removed: everything about exactly this path.
    Persistent,
    /// Once: the path is created, deleted, or its data changes. Exists watches are these too.
    Data,
    /// Until removed: this path and everything below it, but never its list of children.
    PersistentRecursive,
}

impl WatchKind {
    /// All kinds, in their order.
    pub(crate) const ALL: [WatchKind; 4] =
        [WatchKind::Child, WatchKind::Persistent, WatchKind::Data, WatchKind::PersistentRecursive];

    /// Its place in a set of kinds.
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The kinds of the data table, as a set of bits.
const DATA_TABLE: u32 =
    WatchKind::Persistent.bit() | WatchKind::Data.bit() | WatchKind::PersistentRecursive.bit();
/// The kinds of the child table, as a set of bits.
const CHILD_TABLE: u32 = WatchKind::Child.bit() | WatchKind::Persistent.bit();
