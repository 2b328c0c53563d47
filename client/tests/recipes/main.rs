//! The recipes against a real server: one in this process, or with `TENURE_TEST_HOSTS=host:port`
//! another one. Faults are made by proxies between clients and server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod barrier;
mod cache;
mod election;
mod faults;
mod group;
mod lock;
mod proxy;
mod queue;
mod rw_lock;
mod semaphore;
mod value;
mod world;
