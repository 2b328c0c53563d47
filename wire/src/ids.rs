//! The three numbers of the protocol that must never be mixed up.

use std::fmt;

/// Order of a committed change: epoch in the high half, counter within it in the low half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub i64);

impl Zxid {
    /// The zxid of the `counter`-th change of `epoch`.
    pub const fn new(epoch: u32, counter: u32) -> Self {
        Self(((epoch as i64) << 32) | counter as i64)
    }

    /// The leadership period that ordered the change.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Position of the change within its epoch.
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A session's 64-bit name; 0 asks for a new session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The number a client gives a request, echoed in the reply; some negative ones are reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub i32);

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zxid_splits_into_epoch_and_counter() {
        let zxid = Zxid::new(0x8000_0001, 0xffff_fffe);
        assert_eq!((zxid.epoch(), zxid.counter()), (0x8000_0001, 0xffff_fffe));
        assert_eq!(Zxid::new(1, 2), Zxid(0x1_0000_0002));
    }

    #[test]
    fn ids_print_as_unsigned_hex() {
        assert_eq!(Zxid(0x1_0000_0002).to_string(), "0x100000002");
        assert_eq!(SessionId(-2).to_string(), "0xfffffffffffffffe");
        assert_eq!(SessionId(0).to_string(), "0x0");
        assert_eq!(Xid(-2).to_string(), "-2");
    }
}
