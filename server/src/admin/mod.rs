//! What operators see: four-letter words on the client port, commands and metrics over HTTP.
//!
//! Both are answered from one [`Live`] view of the server: words on the I/O thread itself, HTTP on
//! a thread of its own that sends [`AdminQuery`]s.

mod authorise;
mod bounded;
mod clock;
mod commands;
mod denials;
mod elections;
mod ensemble_commands;
mod environment;
mod events;
#[cfg(test)]
mod fake;
mod http;
mod live;
mod operate;
mod probes;
mod query;
pub mod report;
mod server_events;
mod sessions;
mod snapshot;
mod status;
mod tenants;
mod version;
mod why;
mod wire;
pub mod words;

pub use authorise::Credentials;
pub use clock::iso;
pub(crate) use clock::{Moment, wall_ms};
pub use denials::DenialReport;
pub(crate) use denials::Denials;
pub use elections::ElectionReport;
pub(crate) use elections::Elections;
pub(crate) use events::SessionEvents;
pub use events::{EventPage, SessionEvent, SessionEventKind};
pub use http::AdminServer;
pub use live::Live;
pub(crate) use operate::END_TIMEOUT;
pub use operate::{EndAs, OperateError, SavedSnapshot};
pub(crate) use probes::NotReady;
pub use query::{AdminClient, AdminQuery, Reply};
pub(crate) use server_events::ServerEvents;
pub use server_events::{ServerEvent, ServerEventKind, StormCause};
pub use tenants::{TenantReport, TenantReports};
pub use version::version;
pub use why::PathReport;
pub(crate) use wire::AdminTls;
