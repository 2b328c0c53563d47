//! `tenure doctor`: looks at everything a server depends on, and says what to do about it.

mod certificates;
mod configuration;
mod disk;
mod finding;
mod folders;
mod limits;
mod members;
mod ports;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use finding::{Finding, Findings, Level};
use tenure_client::Tls;
use tenure_server::config::{ServerConfig, read_text};

use crate::tls_flags::TlsFlags;

/// What to look at, and how to show it.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The server's zoo.cfg; without it, what a server without a file would do
    config: Option<PathBuf>,
    /// Servers to ask; without it, the one of the configuration, if it runs. Without a zoo.cfg
    /// nothing else is looked at
    #[arg(short, long, value_name = "HOST:PORT,...")]
    server: Option<String>,
    /// Admin HTTP of the members; without it, the configuration's port, or else 8080, is tried on
    /// each member's host
    #[arg(long, value_name = "URL,...", env = "TENURE_ADMIN")]
    admin: Option<String>,
    /// Leave the disk's speed alone: measuring it takes a second of its time
    #[arg(long)]
    no_disk_speed: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tls: TlsFlags,
}

const AFTER_HELP: &str = "\
Looks at the configuration (mistakes, keys that mean nothing, dangerous ones), the data folders
(who may write, room, which disk), the disk (how long a sync takes), limits (open files, memory,
CPU), the ports, certificates, and at the members that run: quorum, lag, versions, clocks, what
happened lately.
It changes nothing; a file in the log folder is written and removed to measure the disk.

Exit codes:
  0  no problem; there may be warnings
  1  a problem
  2  wrong usage";

pub(crate) fn run(args: &Args) -> ExitCode {
    let tls = match args.tls.told_by("doctor") {
        Ok(tls) => tls,
        Err(code) => return code,
    };
    let findings = look(args, tls.as_ref());
    let text = match args.json {
        true => format!("{:#}\n", finding::json(&findings)),
        false => finding::text(&findings),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read the output has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("tenure doctor: writing: {error}");
            ExitCode::FAILURE
        }
        _ if finding::count(&findings, Level::Problem) == 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn look(args: &Args, tls: Option<&Tls>) -> Vec<Finding> {
    let mut found = Vec::new();
    let config = match &args.config {
        None => ServerConfig::default(),
        Some(path) => match read_text(path) {
            Ok(text) => {
                let checked = ServerConfig::check_edited_file(path, &text);
                found.extend(configuration::look(&checked));
                checked.config
            }
            Err(error) => {
                let mut unread = Findings::about("configuration");
                unread.problem(error.to_string(), "name a zoo.cfg that you may read");
                return unread.into_list();
            }
        },
    };
    let mut runs_at = None;
    // Whoever names servers and no file asks for those, wherever they are.
    if args.config.is_some() || args.server.is_none() {
        found.extend(folders::look(&config));
        if !args.no_disk_speed {
            found.extend(disk::look(&config));
        }
        found.extend(limits::look(&config));
        let of_ports;
        (of_ports, runs_at) = ports::look(&config, tls);
        found.extend(of_ports);
        found.extend(certificates::look(&config));
    }
    if let Some((servers, tls)) = args.server.clone().map(|named| (named, tls)).or(runs_at) {
        let configured = args.config.as_ref().and_then(|_| ports::admin_urls(&config));
        let admin = args.admin.clone().or(configured);
        found.extend(members::look(&servers, admin.as_deref(), tls));
    }
    found
}
