//! `tenure backup`: a running server's state, in one file, without stopping it.
//!
//! The server saves a snapshot in the background and streams it. What arrives is checked from end
//! to end, and only then gets its name.

pub(crate) mod file;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tenure_client::Tls;
use thiserror::Error;
use ureq::Agent;
use ureq::http::{Response, StatusCode};

use file::{BackupError, BackupWriter, Manifest};

use crate::session::admin::{credentials, showing};
use crate::session::https;
use crate::tls_flags::TlsFlags;

/// From which server, and to where.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The server's admin HTTP; from another machine TENURE_ADMIN_AUTH='digest user:password' says
    /// who asks
    #[arg(long, value_name = "URL", env = "TENURE_ADMIN", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// The server's admin.commandURL, if that is not the usual one
    #[arg(long, value_name = "PATH", default_value = "/commands")]
    command_url: String,
    /// The file to write, which must not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    tls: TlsFlags,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the server cannot be reached or refuses, or writing failed
  2  wrong usage";

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Why there is no backup.
#[derive(Debug, Error)]
enum TakeError {
    #[error(
        "{url}: {source}; is the server's admin HTTP there? See --server. One that speaks TLS \
         alone has an https:// address"
    )]
    Unreachable { url: String, source: Box<ureq::Error> },
    #[error("the server refuses: {0}")]
    Refused(String),
    #[error("{0} is no admin HTTP of Tenure")]
    Strange(String),
    #[error("the connection broke off: {0}")]
    Broken(io::Error),
    #[error("the connection broke off after {got} of {size} bytes")]
    Short { got: u64, size: u64 },
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    File(#[from] BackupError),
    #[error("naming {}: {source}", path.display())]
    Name { path: PathBuf, source: io::Error },
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let tls = match args.tls.told_by("backup") {
        Ok(tls) => tls,
        Err(code) => return code,
    };
    match take(args, tls.as_ref()) {
        Ok(manifest) => {
            report(args, &manifest);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tenure backup: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "what was saved is what the command is run for")]
fn report(args: &Args, manifest: &Manifest) {
    let out = args.out.display();
    println!("saved {}", manifest.contents());
    println!("wrote {out}: {} bytes of snapshot", manifest.snapshot_bytes);
}

fn take(args: &Args, tls: Option<&Tls>) -> Result<Manifest, TakeError> {
    if args.out.exists() {
        return Err(TakeError::Exists(args.out.clone()));
    }
    let response = ask(args, tls)?;
    let header = |name: &str| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let strange = || TakeError::Strange(args.server.clone());
    let server_version = header("tenure-version").ok_or_else(strange)?;
    let size: u64 = header("snapshot_size").and_then(|n| n.parse().ok()).ok_or_else(strange)?;
    let unfinished = args.out.with_added_extension("unfinished");
    let taken = receive(response, &unfinished, size, |held| Manifest {
        taken_wall_ms: wall_ms(),
        server: args.server.clone(),
        server_version,
        ..held
    });
    let named = taken.and_then(|manifest| {
        let name = fs::rename(&unfinished, &args.out);
        let failed = |source| TakeError::Name { path: args.out.clone(), source };
        name.map_err(failed).map(|()| manifest)
    });
    if named.is_err() {
        // Of no use to anybody.
        _ = fs::remove_file(&unfinished);
    }
    named
}

/// Writes what arrives, and checks it.
fn receive(
    mut response: Response<ureq::Body>,
    unfinished: &Path,
    size: u64,
    complete: impl FnOnce(Manifest) -> Manifest,
) -> Result<Manifest, TakeError> {
    // An earlier attempt's, which nobody can go on with.
    _ = fs::remove_file(unfinished);
    let mut writer = BackupWriter::create(unfinished)?;
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => writer.snapshot(&buffer[..read])?,
            Err(error) => return Err(TakeError::Broken(error)),
        }
    }
    let got = writer.snapshot_bytes();
    if got != size {
        return Err(TakeError::Short { got, size });
    }
    let (held, _) = writer.state()?;
    let manifest = complete(held);
    writer.finish(&manifest)?;
    Ok(manifest)
}

/// Asks until the snapshot is written.
fn ask(args: &Args, tls: Option<&Tls>) -> Result<Response<ureq::Body>, TakeError> {
    let base = args.server.trim_end_matches('/');
    let scheme = if base.contains("://") { "" } else { "http://" };
    let url = format!("{scheme}{base}{}/snapshot?streaming=true", args.command_url);
    let config = Agent::config_builder()
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .http_status_as_error(false)
        .proxy(None)
        .build();
    let (agent, shown) = (https::agent(config, tls), credentials());
    loop {
        let response = showing(&shown, agent.get(&url)).call().map_err(|source| {
            let (url, source) = (url.clone(), Box::new(source));
            TakeError::Unreachable { url, source }
        })?;
        match response.status() {
            StatusCode::OK => return Ok(response),
            // It held the answer back for as long as it could.
            StatusCode::ACCEPTED => {}
            status => return Err(TakeError::Refused(reason(response, status))),
        }
    }
}

fn reason(mut response: Response<ureq::Body>, status: StatusCode) -> String {
    let text = response.body_mut().read_to_string().unwrap_or_default();
    let value = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
    value["error"].as_str().map_or_else(|| status.to_string(), str::to_owned)
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
