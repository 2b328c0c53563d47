//! `tenure top`: what an ensemble does, live, in a terminal.

mod frame;
mod metrics;
mod sample;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use sample::Sample;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tenure_client::Tls;

use crate::tls_flags::TlsFlags;

/// Whom to look at, and how often.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Admin HTTP of the members
    #[arg(
        long,
        value_name = "URL,...",
        env = "TENURE_ADMIN",
        default_value = "http://127.0.0.1:8080"
    )]
    admin: String,
    /// Seconds between two pictures
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    interval: f64,
    /// Print one picture and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    tls: TlsFlags,
}

const AFTER_HELP: &str = "\
Name the admin HTTP of every member: requests, latencies and packets are those of the members named.
Rates and latencies are those of the last interval. A session is nearly expired when three quarters
of its timeout have passed in silence; only the leader knows. Servers on other machines tell of
sessions only to whom they know: TENURE_ADMIN_AUTH='digest user:password'. Ctrl-C ends it.

Exit codes:
  0  done
  1  no member answers, or the output cannot be written
  2  wrong usage";

/// The terminal's other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Home; and what is left of an earlier picture at the end.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K\n";
const CLEAR_REST: &str = "\x1b[J";

pub(crate) fn run(args: &Args) -> ExitCode {
    let tls = match args.tls.told_by("top") {
        Ok(tls) => tls,
        Err(code) => return code,
    };
    let urls: Vec<String> = args.admin.split(',').map(|url| url.trim().to_owned()).collect();
    let shown = match args.once {
        true => once(args, &urls, tls.as_ref()),
        false => live(args, &urls, tls.as_ref()),
    };
    match shown {
        Ok(code) => code,
        // Whoever read the output has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenure top: {error}");
            ExitCode::FAILURE
        }
    }
}

fn once(args: &Args, urls: &[String], tls: Option<&Tls>) -> io::Result<ExitCode> {
    let earlier = Sample::take(urls, tls);
    std::thread::sleep(Duration::from_secs_f64(args.interval));
    let now = Sample::take(urls, tls);
    io::stdout().lock().write_all(frame::frame(&earlier, &now).as_bytes())?;
    let is_answered = now.answering().next().is_some();
    Ok(if is_answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn live(args: &Args, urls: &[String], tls: Option<&Tls>) -> io::Result<ExitCode> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let mut out = io::stdout().lock();
    out.write_all(ENTER.as_bytes())?;
    let mut earlier = Sample::take(urls, tls);
    let outcome = loop {
        std::thread::sleep(Duration::from_secs_f64(args.interval));
        if signals.pending().next().is_some() {
            break Ok(ExitCode::SUCCESS);
        }
        let now = Sample::take(urls, tls);
        let picture = frame::frame(&earlier, &now).replace('\n', CLEAR_LINE);
        let drawn = write!(out, "{HOME}{picture}{CLEAR_REST}").and_then(|()| out.flush());
        if let Err(error) = drawn {
            break Err(error);
        }
        earlier = now;
    };
    out.write_all(LEAVE.as_bytes())?;
    out.flush()?;
    outcome
}

fn seconds(text: &str) -> Result<f64, String> {
    let parsed = text.parse().ok().filter(|seconds| (0.05..=3600.0).contains(seconds));
    parsed.ok_or_else(|| "expected seconds, from 0.05 to 3600".to_owned())
}
