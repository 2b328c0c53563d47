//! How fast histories are simulated: `cargo bench -p tenure-sim`.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use rustix::time::{ClockId, clock_gettime};
use tenure_sim::{Kind, Wishes, run};

/// Simulated seconds of quiet worlds, and busy worlds, per second of one processor.
fn main() {
    let (seconds, took) = measure(Kind::Quiet, 30);
    println!("quiet worlds of three servers: {:>8.0} simulated seconds per second", seconds / took);
    let (seconds, took) = measure(Kind::Busy, 1_000);
    println!("busy worlds:                   {:>8.0} simulated seconds per second", seconds / took);
    println!("busy worlds:                   {:>8.0} whole histories per second", 1_000.0 / took);
}

/// Simulated seconds, and how long they took.
fn measure(kind: Kind, histories: u64) -> (f64, f64) {
    let wishes = Wishes { kind, ..Wishes::default() };
    let began = cpu_seconds();
    let seconds: f64 = (1..=histories).map(|seed| run(seed, &wishes).seconds).sum();
    (seconds, cpu_seconds() - began)
}

/// What this process has used, whatever else the machine does.
fn cpu_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}
