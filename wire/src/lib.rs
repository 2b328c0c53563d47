//! The ZooKeeper client protocol: bytes to values and back, in both directions, without any I/O.
//!
//! A connection starts with one [`ConnectRequest`] frame and its [`ConnectResponse`]. After that
//! every frame from the client is a [`RequestHeader`] and a [`Request`] body, and every frame from
//! the server a [`ReplyHeader`] followed, if its error is 0, by a [`Response`] body or, for xid
//! [`NOTIFICATION_XID`], a [`WatcherEvent`]. [`frame`] puts the length prefixes around them.
//!
//! Decoders borrow from the frame, never panic, and allocate in proportion to it at most.
#![warn(missing_docs)]

pub mod frame;

mod acl;
mod create;
mod error;
mod event;
mod handshake;
mod header;
mod ids;
mod jute;
mod multi;
mod op;
mod password;
mod request;
mod response;
mod stat;
mod watches;

pub use acl::{Acl, Perms, decode_acls, encode_acls};
pub use create::Create;
pub use error::ErrorCode;
pub use event::{EventType, SYNC_CONNECTED, WatcherEvent};
pub use frame::{DEFAULT_MAX_FRAME, FrameError};
pub use handshake::{ConnectRequest, ConnectResponse, PASSWORD_LEN};
pub use header::{
    AUTH_XID, NOTIFICATION_XID, PING_XID, ReplyHeader, RequestHeader, SET_WATCHES_XID,
};
pub use ids::{SessionId, Xid, Zxid};
pub use jute::{DecodeError, Put, Reader};
pub use multi::{MultiHeader, MultiResult, decode_multi_results, encode_multi_results};
pub use op::{CreateMode, OpCode};
pub use password::derived_password;
pub use request::Request;
pub use response::{Identity, Response};
pub use stat::Stat;
pub use watches::SetWatches;
