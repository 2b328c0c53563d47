//! Operation codes, and the modes of a create.

use std::fmt;

/// Declares the codes once, so that number, variant and upstream's name cannot drift apart.
macro_rules! opcodes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal,)*) => {
        /// What a request asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum OpCode {
            $($(#[$doc])* $variant = $code,)*
        }

        impl OpCode {
            /// Every operation code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The operation of this code, if there is one.
            pub const fn from_i32(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The protocol's name for the operation, such as `getData`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

opcodes! {
    /// The mark of a watch notification; never a request.
    Notification = 0 "notification",
    /// Create a znode, answer its path.
    Create = 1 "create",
    /// Delete a znode.
    Delete = 2 "delete",
    /// Answer a znode's stat, or that there is none.
    Exists = 3 "exists",
    /// Answer a znode's data and stat.
    GetData = 4 "getData",
    /// Replace a znode's data.
    SetData = 5 "setData",
    /// Answer a znode's access control list and stat.
    GetAcl = 6 "getACL",
    /// Replace a znode's access control list.
    SetAcl = 7 "setACL",
    /// Answer the names of a znode's children.
    GetChildren = 8 "getChildren",
    /// Catch up with the leader.
    Sync = 9 "sync",
    /// Keep the session alive.
    Ping = 11 "ping",
    /// Answer the names of a znode's children and its stat.
    GetChildren2 = 12 "getChildren2",
    /// Compare a znode's version; only inside a multi.
    Check = 13 "check",
    /// Apply several writes, all or none.
    Multi = 14 "multi",
    /// Create a znode, answer its path and stat.
    Create2 = 15 "create2",
    /// Change the ensemble's members.
    Reconfig = 16 "reconfig",
    /// Ask whether a watch is set.
    CheckWatches = 17 "checkWatches",
    /// Remove watches.
    RemoveWatches = 18 "removeWatches",
    /// Create a container znode.
    CreateContainer = 19 "createContainer",
    /// Delete an empty container znode.
    DeleteContainer = 20 "deleteContainer",
    /// Create a znode with a time to live.
    CreateTtl = 21 "createTTL",
    /// Run several reads.
    MultiRead = 22 "multiRead",
    /// Add an identity to the connection.
    Auth = 100 "auth",
    /// Set one-time watches again after a reconnect.
    SetWatches = 101 "setWatches",
    /// One round of a SASL exchange.
    Sasl = 102 "sasl",
    /// Answer the paths of the session's ephemerals.
    GetEphemerals = 103 "getEphemerals",
    /// Answer how many descendants a znode has.
    GetAllChildrenNumber = 104 "getAllChildrenNumber",
    /// Set watches of all kinds again after a reconnect.
    SetWatches2 = 105 "setWatches2",
    /// Set a persistent watch.
    AddWatch = 106 "addWatch",
    /// Answer the connection's identities.
    WhoAmI = 107 "whoAmI",
    /// Open a session; internal, never accepted from a client.
    CreateSession = -10 "createSession",
    /// Close the session.
    CloseSession = -11 "closeSession",
    /// The mark of an error in a multi's results; never a request.
    Error = -1 "error",
}

impl OpCode {
    /// The number on the wire.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// Whether a client may send a request frame of this operation. `Check` exists only inside a
    /// multi, and the others refused here are no requests at all.
    pub const fn is_client_request(self) -> bool {
        !matches!(self, Self::Notification | Self::Check | Self::CreateSession | Self::Error)
    }
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What kind of znode a create makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent = 0,
    /// Goes with the session that made it.
    Ephemeral = 1,
    /// Persistent, with a counter appended to its name.
    PersistentSequential = 2,
    /// Ephemeral, with a counter appended to its name.
    EphemeralSequential = 3,
    /// Goes some time after its last child went.
    Container = 4,
    /// Goes when it has no children and was not written for its time to live.
    PersistentTtl = 5,
    /// `PersistentTtl`, with a counter appended to its name.
    PersistentSequentialTtl = 6,
}

impl CreateMode {
    /// The mode of these create flags, if they name one.
    pub const fn from_flags(flags: i32) -> Option<Self> {
        Some(match flags {
            0 => Self::Persistent,
            1 => Self::Ephemeral,
            2 => Self::PersistentSequential,
            3 => Self::EphemeralSequential,
            4 => Self::Container,
            5 => Self::PersistentTtl,
            6 => Self::PersistentSequentialTtl,
            _ => return None,
        })
    }

    /// The flags on the wire.
    pub const fn flags(self) -> i32 {
        self as i32
    }

    /// Whether a counter is appended to the name.
    pub const fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential | Self::EphemeralSequential | Self::PersistentSequentialTtl
        )
    }

    /// Whether the znode goes with its session.
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether the znode has a time to live.
    pub const fn is_ttl(self) -> bool {
        matches!(self, Self::PersistentTtl | Self::PersistentSequentialTtl)
    }

    /// Whether the znode is a container.
    pub const fn is_container(self) -> bool {
        matches!(self, Self::Container)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_operations_map_both_ways() {
        for &op in OpCode::ALL {
            assert_eq!(OpCode::from_i32(op.code()), Some(op), "{op}");
        }
        let known = (-200..200).filter(|&code| OpCode::from_i32(code).is_some()).count();
        assert_eq!(known, OpCode::ALL.len());
        assert_eq!(OpCode::from_i32(10), None);
        assert_eq!(OpCode::CreateTtl.to_string(), "createTTL");
    }

    #[test]
    fn modes_and_flags_map_both_ways() {
        for flags in 0..7 {
            assert_eq!(CreateMode::from_flags(flags).map(CreateMode::flags), Some(flags));
        }
        assert_eq!(CreateMode::from_flags(7), None);
        assert_eq!(CreateMode::from_flags(-1), None);
    }
}
