//! The messages of the consensus library as plain structs, see shims/README.md.

mod confchange;
mod confstate;
pub mod eraftpb;
#[cfg(test)]
mod tests;
mod wire;

pub use confchange::{
    ConfChangeI, new_conf_change_single, parse_conf_change, stringify_conf_change,
};
pub use confstate::conf_state_eq;

/// Every message and enumeration under one import.
pub mod prelude {
    pub use crate::eraftpb::{
        ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2,
        ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
    };
}
