//! Replays one history: `cargo xtask sim --seed N`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tenure_sim::{Kind, Wishes};

/// Replays the history of one seed, one line per event: milliseconds, who, what, and more.
#[derive(Parser)]
struct Arguments {
    /// The seed of the history
    #[arg(long)]
    seed: u64,
    /// In a world as they were at first: for seeds found in one
    #[arg(long)]
    first: bool,
    /// In a world where nothing goes wrong
    #[arg(long, conflicts_with = "first")]
    quiet: bool,
}

fn main() -> io::Result<ExitCode> {
    let Arguments { seed, first, quiet } = Arguments::parse();
    let kind = match (first, quiet) {
        (true, _) => Kind::First,
        (_, true) => Kind::Quiet,
        _ => Kind::Busy,
    };
    let history = tenure_sim::run(seed, &Wishes { kind, keeps_lines: true, ..Wishes::default() });
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
