//! The messages themselves: what they hold and the accessors that the consensus library calls.
//!
//! Single numbers, byte strings and lists are public fields; nested messages can be reached through
//! accessors only, as their storage differs between this crate and the published one.

#[macro_use]
mod define;
mod enums;
mod membership;
mod replication;

pub use enums::{ConfChangeTransition, ConfChangeType, EntryType, MessageType};
pub use membership::{ConfChange, ConfChangeSingle, ConfChangeV2, ConfState};
pub use replication::{Entry, HardState, Message, Snapshot, SnapshotMetadata};
