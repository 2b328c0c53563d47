//! What the client promises, asked of a real server: each test's own Tenure server, or the one that
//! the variable `TENURE_TEST_HOSTS` names.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod chroot;
mod errors;
mod executor;
mod links;
mod operations;
mod paths;
mod pauses;
mod requests;
mod sessions;
mod support;
mod transactions;
mod watches;
