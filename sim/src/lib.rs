//! Clients, servers, network and disks in one thread on virtual time.
//!
//! A history is all that happens in one such world, and its seed decides every bit of it. Clients
//! are real session machines and servers are real replicas; bytes travel between them over links
//! that delay, break and go deaf, on clocks that run apart, among processes that stop and crash.
//! Checkers watch from outside, where true time is known, and end a history at the first rule that
//! is broken. Nothing here reads a clock or waits.

mod application;
mod checks;
mod client;
mod clock;
mod counts;
mod disk;
mod faults;
mod network;
mod plan;
mod random;
mod server;
mod snapshots;
mod strangers;
mod trace;
mod wishes;
mod world;

pub use counts::Counts;
pub use tenure_client::machine::PlantedBug as ClientBug;
pub use tenure_replica::PlantedBug as ReplicaBug;
pub use wishes::{Bug, HostBug, Kind, Wishes};
pub use world::{Rule, Violation};

use world::World;

/// What came of a history.
#[derive(Clone, Debug)]
pub struct History {
    /// Stands for everything that happened: two equal histories have equal ones.
    pub hash: u64,
    /// Events noted.
    pub events: u64,
    /// How long it was, by true time.
    pub seconds: f64,
    /// How much went wrong.
    pub counts: Counts,
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// One line per event, if asked for.
    pub lines: Vec<String>,
}

/// Runs the history of a seed.
pub fn run(seed: u64, wishes: &Wishes) -> History {
    let mut world = World::new(seed, wishes);
    world.run();
    let World { now, trace, counts, violation, .. } = world;
    let (hash, events, seconds) = (trace.hash(), trace.events, now as f64 / 1e9);
    History { hash, events, seconds, counts, violation, lines: trace.into_lines() }
}
