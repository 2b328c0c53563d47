//! One replica of the service as a pure state machine.
//!
//! `Replica::step` takes one input and the time and appends what it wants done. There is no clock,
//! socket, thread, operating-system randomness or hash-iteration order inside.

mod administer;
mod apply;
mod arena;
mod audit;
mod committed;
mod config;
mod consensus;
mod denials;
mod ensemble;
mod entry;
mod founding;
#[cfg(test)]
mod fuzz;
mod gone;
mod input;
mod limits;
mod local_sessions;
mod membership;
mod output;
mod planted;
mod read;
mod replica;
mod reply;
mod requests;
mod session;
mod snapshot;
mod state;
mod tree;
mod watch;

pub use administer::NoAdministrator;
pub use apply::describe as describe_entry;
pub use audit::AuditRecord;
pub use config::{AuthConfig, Bounds, Config, DigestAlgorithm};
pub use consensus::{Ack, Follower};
pub use denials::{Denial, DenialWhy, Who};
pub use founding::{FoundNode, Founder, FoundingError};
pub use gone::Gone;
pub use input::{ConnId, Input, Now};
pub use membership::Membership;
pub use output::{
    Answered, CloseWhy, ElectionCause, Event, HardState, LogEntry, Output, Outputs, Persist,
    SnapshotMeta,
};
#[cfg(feature = "planted-bugs")]
pub use planted::PlantedBug;
pub use replica::{Replica, Restored};
pub use session::attach::Attachment;
pub use session::ended::{EndReason, Ended, EndedSessions};
pub use session::local::LocalSession;
pub use session::table::{Session, SessionTable};
pub use snapshot::{RestoreError, Restorer};
pub use state::State;
pub use tree::Tree;
pub use tree::node::{Node, NodeId, NodeKind};
pub use watch::WatchKind;
pub use watch::table::WatchCounts;
