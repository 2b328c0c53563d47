//! The ZooKeeper client protocol: bytes to values and back, in both directions, without any I/O.
//!
//! A connection starts with one [`ConnectRequest`] frame and its [`ConnectResponse`]. After that
//! every frame from the client is a [`RequestHeader`] and a [`Request`] body, and every frame from
//! the server a [`ReplyHeader`] followed, if its error is 0, by a [`Response`] body or, for xid
//! [`NOTIFICATION_XID`], a [`WatcherEvent`]. [`frame`] puts the length prefixes around them.
//!
//! ```
//! use tenure_wire::{OpCode, Reader, Request, RequestHeader, Xid, frame};
//!
//! // A client asks for the data of `/a`.
//! let request = Request::GetData { path: "/a".into(), watch: false };
//! let mut stream = Vec::new();
//! let start = frame::begin(&mut stream);
//! RequestHeader { xid: Xid(1), op: request.op().code() }.encode(&mut stream);
//! request.encode(&mut stream);
//! frame::end(&mut stream, start);
//!
//! // The server finds the frame in what it has read, and takes it apart.
//! let payload = frame::split(&stream, frame::DEFAULT_MAX_FRAME)?.expect("the frame is whole");
//! let mut reader = Reader::new(&stream[payload]);
//! let header = RequestHeader::decode(&mut reader)?;
//! let op = OpCode::from_i32(header.op).expect("the operation is known");
//! assert_eq!(Request::decode(op, reader.rest())?, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Decoders borrow from the frame, never panic, and allocate in proportion to it at most.
#![warn(missing_docs)]

pub mod frame;

mod acl;
mod address;
mod create;
mod error;
mod event;
mod handshake;
mod header;
mod ids;
mod jute;
mod member;
mod multi;
mod op;
mod password;
mod request;
mod response;
mod stat;
mod watches;

pub use acl::{Acl, Perms, decode_acls, encode_acls};
pub use address::{Listen, listen_host};
pub use create::Create;
pub use error::ErrorCode;
pub use event::{EventType, SYNC_CONNECTED, WatcherEvent};
pub use frame::{DEFAULT_MAX_FRAME, FrameError};
pub use handshake::{
    Account, ConnectRequest, ConnectResponse, EndedBy, PASSWORD_LEN, TENURE_PASSWORD,
    TENURE_PROTOCOL,
};
pub use header::{
    AUTH_XID, NOTIFICATION_XID, PING_XID, ReplyHeader, RequestHeader, SET_WATCHES_XID,
};
pub use ids::{SessionId, Xid, Zxid};
pub use jute::{DecodeError, Put, Reader};
pub use member::{Member, MemberAddress, MemberRole};
pub use multi::{MultiHeader, MultiResult, decode_multi_results, encode_multi_results};
pub use op::{CreateMode, OpCode};
pub use password::derived_password;
pub use request::Request;
pub use response::{Identity, Response};
pub use stat::Stat;
pub use watches::SetWatches;
