//! `tenure ensemble`: what the members of an ensemble are doing, Tenure's or ZooKeeper's.

mod ask;
mod health;
mod hosts;
mod http;
mod show;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use health::Health;

use crate::tls_flags::TlsFlags;
use serde_json::Value;
use tenure_client::Tls;

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
    /// Admin HTTP of members; without it, port 8080 of each member's host is tried
    #[arg(long, value_name = "URL,...", env = "TENURE_ADMIN")]
    admin: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tls: TlsFlags,
}

const AFTER_HELP: &str = "\
Servers are asked by four-letter words: srvr, which is always open, and mntr (sessions) and conf
(number, other members), if their 4lw.commands.whitelist has them. Without conf the other members
are looked up in /zookeeper/config, for which a session is opened for a moment. Admin HTTP is asked
for the last election, and for the members if nobody leads.

The last line begins with the verdict:
  healthy     every member serves
  degraded    a leader and a quorum serve, but not every member
  no quorum   as far as can be seen from here, nothing can be written

Exit codes:
  0  a leader and a quorum of the members can be reached
  1  they cannot
  2  wrong usage";

const BAD_USAGE: u8 = 2;

/// What `tenure ensemble status --json` prints, and where admin HTTP of the members is looked for.
pub(crate) fn status(
    servers: &str,
    admin: Option<&str>,
    tls: Option<&Tls>,
) -> Result<(Value, Vec<String>), String> {
    let health = Health::of(ask::members(&hosts::parse(servers)?, admin, tls));
    let addresses = health.members.iter().filter_map(|member| member.address.clone());
    let urls = http::urls(admin, &addresses.collect::<Vec<_>>());
    Ok((show::json(&health), urls))
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let What::Status(args) = &args.what;
    let given = match hosts::parse(&args.server) {
        Ok(given) => given,
        Err(error) => {
            eprintln!("tenure ensemble: {error}");
            return ExitCode::from(BAD_USAGE);
        }
    };
    let tls = match args.tls.told_by("ensemble") {
        Ok(tls) => tls,
        Err(code) => return code,
    };
    let mut health = Health::of(ask::members(&given, args.admin.as_deref(), tls.as_ref()));
    health.election = health.last_election(args.admin.as_deref(), tls.as_ref());
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
        _ if health.has_quorum() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
