//! What the protocol tests share: a server process, a raw client, records and error codes.
//!
//! Everything is synchronous and waits for what it expects; nothing sleeps where an answer can be
//! awaited. The records are put together field by field, apart from the product's own codec, so
//! that a mistake in that codec cannot hide itself here.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::print_stdout,
    reason = "each test file is a crate of its own, uses its own part of this and prints its seed"
)]

pub mod client;
pub mod dev;
pub mod ensemble;
pub mod hosted;
pub mod ops;
pub mod random;
pub mod record;
pub mod sasl;
pub mod script;
pub mod server;

pub use client::{Client, Event, Frame, Handshake, Reply, Socket};
pub use ops::{Acl, Op, Stat};
pub use random::Random;
pub use server::{Server, foreign, tenure_only};

/// The protocol's error codes, as they stand in a reply header.
pub mod code {
    pub const RUNTIME_INCONSISTENCY: i32 = -2;
    pub const MARSHALLING: i32 = -5;
    pub const UNIMPLEMENTED: i32 = -6;
    pub const BAD_ARGUMENTS: i32 = -8;
    pub const NO_NODE: i32 = -101;
    pub const NO_AUTH: i32 = -102;
    pub const BAD_VERSION: i32 = -103;
    pub const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
    pub const NODE_EXISTS: i32 = -110;
    pub const NOT_EMPTY: i32 = -111;
    pub const SESSION_EXPIRED: i32 = -112;
    pub const INVALID_ACL: i32 = -114;
    pub const AUTH_FAILED: i32 = -115;
    pub const NOT_READ_ONLY: i32 = -119;
    pub const NO_WATCHER: i32 = -121;
    pub const RECONFIG_DISABLED: i32 = -123;
    pub const AUTH_REQUIRED: i32 = -124;
    pub const QUOTA_EXCEEDED: i32 = -125;
}
