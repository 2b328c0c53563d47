//! The operations: each is a builder whose `.await` runs it and whose `.send()` hands it in at
//! once, so that many may be under way.

mod create;
mod ensemble;
mod read;
mod read_many;
mod transaction;
mod tree;
mod watch;
mod write;

pub use create::{Create, Created};
pub use ensemble::{ReconfigSpec, Reconfigure};
pub use read::{
    AclList, Children, Exists, ExistsAndWatch, Get, GetAndWatch, ListAndWatch, ListChildren, Node,
};
pub use read_many::{ReadMany, ReadOutcome};
pub use transaction::{Outcome, Transaction, TransactionError};
pub use watch::{OneTimeWatch, Watch, WatchEvent, WatchMode};
pub use write::{Delete, Set, SetAcl};

/// An identity of a link, as [`who_am_i`](crate::Session::who_am_i) lists them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Authentication scheme.
    pub scheme: String,
    /// Name of the user within it.
    pub user: String,
}

/// Lets a builder be awaited.
macro_rules! awaitable {
    ($builder:ident => $output:ty) => {
        impl<'a> std::future::IntoFuture for $builder<'a> {
            type Output = Result<$output, crate::Error>;
            type IntoFuture = crate::Reply<$output>;

            fn into_future(self) -> Self::IntoFuture {
                self.send()
            }
        }
    };
}
use awaitable;

/// Implements the setting of a request's own time limit.
macro_rules! limited {
    ($builder:ident) => {
        impl $builder<'_> {
            /// How long this request may take, instead of what the session's builder says.
            pub fn timeout(mut self, limit: std::time::Duration) -> Self {
                self.draft.timeout = Some(limit);
                self
            }
        }
    };
}
use limited;
