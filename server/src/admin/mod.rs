//! What operators see: four-letter words on the client port, commands and metrics over HTTP.
//!
//! Both are answered from one [`Live`] view of the server: words on the I/O thread itself, HTTP on
//! a thread of its own that sends [`AdminQuery`]s.

mod bounded;
mod clock;
mod commands;
mod elections;
mod environment;
mod events;
#[cfg(test)]
mod fake;
mod http;
mod live;
mod operate;
mod query;
pub mod report;
mod sessions;
mod snapshot;
mod version;
mod why;
pub mod words;

pub use clock::iso;
pub use elections::ElectionReport;
pub(crate) use elections::Elections;
pub(crate) use events::SessionEvents;
pub use events::{EventPage, SessionEvent, SessionEventKind};
pub use http::AdminServer;
pub use live::Live;
pub(crate) use operate::END_TIMEOUT;
pub use operate::{EndAs, OperateError, SavedSnapshot};
pub use query::{AdminClient, AdminQuery, Reply};
pub use version::version;
pub use why::PathReport;
