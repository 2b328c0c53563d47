//! An async client of the ZooKeeper protocol that tells an application the truth about its session,
//! early enough to act on it. It works with Tenure and with Apache ZooKeeper.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tenure_client::Session;
//!
//! let session = Session::establish("127.0.0.1:2181").await?;
//! session.create("/workers", "").await?;
//! session.create("/workers/me", "10.0.0.7").ephemeral().await?;
//!
//! // Work for as long as the session is certain to live, and not one instant longer.
//! let outcome = session.run_while_valid(work()).await;
//! # async fn work() {}
//! # Ok(())
//! # }
//! ```
//!
//! A thread of the client's own serves all sessions of the process, so the futures run on any
//! executor, and a busy executor does not cost a session its life.
#![warn(missing_docs)]

pub mod machine;
pub mod recipe;

mod background;
mod builder;
mod error;
mod io;
mod moment;
mod op;
mod path;
mod random;
mod reply;
mod session;
mod shared;
mod status;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod token;

pub use builder::{
    DEFAULT_ESTABLISH_TIMEOUT, DEFAULT_MAX_OUTSTANDING, DEFAULT_MAX_REPLY_BYTES, DEFAULT_TIMEOUT,
    EstablishError, SessionBuilder,
};
pub use error::Error;
pub use machine::{DEFAULT_PORT, EventKind, HostsError, Interruption, WatchKind};
pub use moment::Moment;
pub use op::*;
pub use reply::Reply;
pub use session::{Changes, Session};
pub use status::{Account, Change, EndCause, LinkFault, Liveness, LostReason, Risk, State};
pub use tenure_wire::{Acl, CreateMode, ErrorCode, OpCode, Perms, SessionId, Stat, Xid, Zxid};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
pub use token::{SessionToken, TokenError};
