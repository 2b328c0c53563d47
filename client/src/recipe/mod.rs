//! Recipes: what people come to a coordination service for, built on a [`Session`](crate::Session).
//!
//! | recipe | type | what is held |
//! | --- | --- | --- |
//! | lock | [`Lock`] | [`Guard`] |
//! | read-write lock | [`ReadWriteLock`] | [`Guard`] |
//! | semaphore | [`Semaphore`] | [`Guard`] |
//! | leader election | [`Election`], [`Observer`] | [`Guard`] |
//! | group membership | [`Group`] | [`Guard`] |
//! | service discovery | [`Service`], [`Discovery`] | [`Guard`] |
//! | queue | [`Queue`] | [`LockedItem`] |
//! | barrier | [`Barrier`] | |
//! | double barrier | [`DoubleBarrier`] | [`Inside`] |
//! | counter, atomic value | [`Counter`], [`AtomicValue`] | |
//! | cache of a znode, of a subtree | [`NodeCache`], [`TreeCache`] | |
//!
//! # What is held
//! A [`Guard`] is lost at the deadline that this client knows for itself, before anybody else can
//! have what it held, carries a [`FencingToken`], and writes to the service under the condition
//! that it holds. Dropping it releases it.
//!
//! # Fairness
//! Whoever waits has a place in a line, in the order of arrival, and watches the one place that it
//! waits for. A release wakes one contender, however many wait. Contenders of this library get
//! along with each other; those of other libraries use other names, and must not share a path.
//!
//! # Giving up
//! Every future here may be dropped at any time, so a time limit is whatever the application's own
//! runtime offers, such as `tokio::time::timeout(limit, lock.acquire())`. A znode whose creation
//! was under way when its future was dropped is found and deleted by the client's own thread, for
//! as long as the session lives.
//!
//! # Ghosts
//! A creation whose answer was lost with the link is found again by the random part of its name.
//! A [resumed](crate::Session::resume) session takes over the place that the same holder had in
//! the line. A place of an earlier session of the same holder is reported, and waited for: only
//! the ensemble can say that the session is over, and a holder that only seems dead may still hold.

mod barrier;
mod cache;
mod claim;
mod discovery;
mod election;
mod fencing;
mod group;
mod guard;
mod line;
mod lock;
mod own;
mod queue;
mod rw_lock;
mod semaphore;
mod value;

pub use barrier::{Barrier, DoubleBarrier, Inside};
pub use cache::{CacheChange, CacheView, NodeCache, TreeCache};
pub(crate) use claim::Claims;
pub use discovery::{Discovery, Instance, Service};
pub use election::{Election, Leader, Observer};
pub use fencing::{Fenced, FencingGate, FencingToken, FencingTokenError};
pub use group::{Group, Member, MemberChanges};
pub use guard::{Guard, Loss, WriteError};
pub use line::Contender;
pub use lock::Lock;
pub use queue::{LockedItem, Queue};
pub use rw_lock::ReadWriteLock;
pub use semaphore::Semaphore;
pub use value::{AtomicValue, Counter, CounterError, Version};
