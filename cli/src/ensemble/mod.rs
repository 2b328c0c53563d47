//! `tenure ensemble`: what the members of an ensemble are doing, Tenure's or ZooKeeper's.

mod ask;
mod health;
mod hosts;
mod show;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use health::Health;

/// What is to be known of an ensemble.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Show every member, who leads, and whether a quorum of them can be reached
    Status(StatusArgs),
}

/// Whom to ask, and how to show it.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
struct StatusArgs {
    /// Servers to ask; the other members are learnt from them, if they tell
    #[arg(short, long, value_name = "HOST:PORT,...", default_value = "localhost:2181")]
    server: String,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Servers are asked by four-letter words: srvr, which is always open, and mntr (sessions) and conf
(number, other members), if their 4lw.commands.whitelist has them. Without conf the other members
are looked up in /zookeeper/config, for which a session is opened for a moment.

Exit codes:
  0  a leader and a quorum of the members can be reached
  1  they cannot
  2  wrong usage";

const BAD_USAGE: u8 = 2;

pub(crate) fn run(args: &Args) -> ExitCode {
    let What::Status(args) = &args.what;
    let given = match hosts::parse(&args.server) {
        Ok(given) => given,
        Err(error) => {
            eprintln!("tenure ensemble: {error}");
            return ExitCode::from(BAD_USAGE);
        }
    };
    let health = Health::of(ask::members(&given));
    let text = match args.json {
        true => format!("{}\n", show::json(&health)),
        false => show::text(&health),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read the output has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("tenure ensemble: writing: {error}");
            ExitCode::FAILURE
        }
        _ if health.is_healthy() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
