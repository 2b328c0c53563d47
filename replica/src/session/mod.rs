//! Sessions: who is still there.
//!
//! Where does a session expire? In `expiry` (leader only) it is found silent for too long; the
//! close that follows is a log entry, applied by `apply::close_session` on every replica.

pub(crate) mod attach;
pub(crate) mod auth;
pub(crate) mod ended;
pub(crate) mod expiry;
pub(crate) mod local;
pub(crate) mod sasl;
pub(crate) mod table;
