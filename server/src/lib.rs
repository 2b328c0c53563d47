//! Sockets, disks, timers and admin endpoints around a replica.

pub mod config;
pub mod metrics;
