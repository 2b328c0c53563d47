//! `tenure session`: the sessions of a running server, as its admin HTTP tells of them.

pub(crate) mod admin;
pub(crate) mod https;
mod show;

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::Value;

use admin::{Admin, AdminError};

use crate::tls_flags::TlsFlags;

/// Which sessions, of which server.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// The server's admin HTTP
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TENURE_ADMIN",
        default_value = "http://127.0.0.1:8080"
    )]
    admin: String,
    /// Who asks, for servers on other machines: digest:user:password
    #[arg(long, global = true, value_name = "SCHEME:AUTH")]
    auth: Option<String>,
    /// JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    tls: TlsFlags,
}

#[derive(clap::Subcommand)]
enum What {
    /// List live sessions, or those that ended
    List {
        /// Those that ended, the latest first, and why
        #[arg(long)]
        ended: bool,
    },
    /// Show all that is known of one session, alive or ended
    Show {
        /// The session's id, as 0x10000f3a5b20000
        #[arg(value_parser = session_id)]
        id: String,
    },
    /// Follow sessions as they come, lose and find their links, and end
    Watch {
        /// Stop after so many events
        #[arg(long)]
        count: Option<u64>,
        /// Begin with the events that the server still remembers
        #[arg(long)]
        all: bool,
    },
    /// End a session: its ephemerals go, and its client is told that an operator did it
    Kill {
        /// The session's id, as 0x10000f3a5b20000
        #[arg(value_parser = session_id)]
        id: String,
    },
    /// Say who owned an ephemeral znode, and why it vanished
    Why {
        /// The znode's path
        #[arg(value_parser = znode_path)]
        path: String,
    },
    /// Say who was refused what lately, and which permission was lacking on which znode
    Denials,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the server cannot be reached, or refused
  2  wrong usage
  3  there is no such session, or nothing is known of the path";

const NOT_FOUND: u8 = 3;

/// How long a server may hold back its answer while nothing happens, in milliseconds.
const WAIT_MS: u64 = 20_000;

pub(crate) fn run(args: &Args) -> ExitCode {
    let tls = match args.tls.told_by("session") {
        Ok(tls) => tls,
        Err(code) => return code,
    };
    let auth = args.auth.as_deref();
    let admin = Admin::new(&args.admin, tls.as_ref()).map(|admin| admin.with_credentials(auth));
    match admin.and_then(|admin| answer(args, &admin)) {
        Ok(code) => code,
        // Whoever read the output has read enough.
        Err(AdminError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tenure session: {error}");
            match error {
                AdminError::NotFound(_) => ExitCode::from(NOT_FOUND),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn answer(args: &Args, admin: &Admin) -> Result<ExitCode, AdminError> {
    let out = &mut io::stdout().lock();
    match &args.what {
        What::List { ended: true } => {
            let mut answer = admin.get("/sessions/ended")?;
            let sessions = answer["ended_sessions"].take();
            print(args, out, &sessions, show::ended)?;
        }
        What::List { ended: false } => print(args, out, &live(admin)?, show::live)?,
        What::Show { id } => print(args, out, &admin.get(&format!("/sessions/{id}"))?, show::one)?,
        What::Kill { id } => {
            print(args, out, &admin.post(&format!("/sessions/{id}/close"))?, show::one)?;
        }
        What::Why { path } => {
            let why = admin.get(&format!("/sessions/why?path={}", percent_encoded(path)))?;
            print(args, out, &why, show::why)?;
            let is_known = ["exists", "owner", "ended", "deleted"]
                .iter()
                .any(|key| !matches!(why[key], Value::Null | Value::Bool(false)));
            if !is_known {
                return Ok(ExitCode::from(NOT_FOUND));
            }
        }
        What::Denials => {
            print(args, out, &admin.get("/denials")?["denials"], show::denials)?;
        }
        What::Watch { count, all } => watch(args, admin, out, *count, *all)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// All pages of live sessions.
fn live(admin: &Admin) -> Result<Value, AdminError> {
    let (mut sessions, mut after) = (Vec::new(), String::new());
    loop {
        let mut page = admin.get(&format!("/sessions{after}"))?;
        if let Value::Array(more) = page["sessions"].take() {
            sessions.extend(more);
        }
        match page["next_after"].as_str() {
            Some(next) => after = format!("?after={next}"),
            None => return Ok(Value::Array(sessions)),
        }
    }
}

fn watch(
    args: &Args,
    admin: &Admin,
    out: &mut impl Write,
    count: Option<u64>,
    all: bool,
) -> Result<(), AdminError> {
    let mut after = match all {
        true => 0,
        // What happened before is not followed; only its last number is wanted.
        false => next_after(&admin.get("/sessions/events?after=0&wait_ms=0")?)?,
    };
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        let page = admin.get(&format!("/sessions/events?after={after}&wait_ms={WAIT_MS}"))?;
        after = next_after(&page)?;
        for event in page["events"].as_array().into_iter().flatten() {
            print(args, out, event, show::event)?;
            out.flush()?;
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
    Ok(())
}

fn next_after(page: &Value) -> Result<u64, AdminError> {
    let next = page["next_after"].as_u64();
    next.ok_or_else(|| AdminError::Strange("the page of events has no next_after".to_owned()))
}

fn print(
    args: &Args,
    out: &mut impl Write,
    value: &Value,
    text: fn(&Value) -> String,
) -> Result<(), AdminError> {
    match (args.json, value) {
        (true, value) => writeln!(out, "{value}")?,
        (false, value) => out.write_all(text(value).as_bytes())?,
    }
    Ok(())
}

/// A session's id as servers show it: hexadecimal after `0x`; plain hexadecimal will do.
fn session_id(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    match u64::from_str_radix(digits, 16) {
        Ok(id) => Ok(format!("0x{id:x}")),
        Err(_) => Err("expected a session id, as 0x10000f3a5b20000".to_owned()),
    }
}

fn znode_path(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("expected a path, which starts with a slash".to_owned()),
    }
}

/// A path as the value of an argument in a URL.
fn percent_encoded(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_paths_are_checked_before_anybody_is_asked() {
        assert_eq!(session_id("0x1A").as_deref(), Ok("0x1a"));
        assert_eq!(session_id("1a").as_deref(), Ok("0x1a"));
        assert!(session_id("0xg").is_err() && session_id("").is_err());
        assert!(znode_path("a").is_err());
        assert_eq!(percent_encoded("/a b/ü&"), "/a%20b/%C3%BC%26");
    }
}
