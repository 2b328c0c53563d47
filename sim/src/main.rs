//! Replays one history: `cargo xtask sim --seed N`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

/// Replays the history of one seed, one line per event: milliseconds, who, what, and more.
#[derive(Parser)]
struct Arguments {
    /// The seed of the history
    #[arg(long)]
    seed: u64,
}

fn main() -> io::Result<ExitCode> {
    let Arguments { seed } = Arguments::parse();
    let history = tenure_sim::run(seed, None, true);
    let mut out = io::stdout().lock();
    for line in &history.lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "\n{}", history.counts)?;
    writeln!(out, "seed {seed}: {} events, hash {:016x}", history.events, history.hash)?;
    match &history.violation {
        None => {
            writeln!(out, "no rule was broken")?;
            Ok(ExitCode::SUCCESS)
        }
        Some(violation) => {
            writeln!(out, "{violation}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
