//! The command line of `tenure shell`, with zkCli's spelling of its flags made clap's.

use std::ffi::OsString;

use crate::tls_flags::TlsFlags;

/// What to connect to and how.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Where to connect
    #[arg(short, long, value_name = "HOST:PORT[,...][/CHROOT]", default_value = "localhost:2181")]
    pub(super) server: String,
    /// Session timeout to ask for, in milliseconds
    #[arg(short, long, value_name = "MS", default_value_t = 30_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MAX_MS))]
    pub(super) timeout: u64,
    /// Be content with a server that cannot write
    #[arg(short, long)]
    pub(super) readonly: bool,
    /// How long to wait for a connection, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MAX_MS))]
    pub(super) wait: u64,
    /// Wait for a connection as long as the session timeout, and give up without one
    #[arg(long)]
    pub(super) waitforconnection: bool,
    /// One JSON document per command, errors too
    #[arg(long)]
    pub(super) json: bool,
    /// No colours, also on a terminal
    #[arg(long)]
    pub(super) no_color: bool,
    /// zkCli's file of settings for its Java client
    #[arg(long, hide = true, value_name = "FILE")]
    pub(super) client_configuration: Option<String>,
    #[command(flatten)]
    pub(super) tls: TlsFlags,
    /// A command and its arguments; without one, commands are read line by line
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

/// A day: longer than any server negotiates or anybody waits.
const MAX_MS: u64 = 86_400_000;

const AFTER_HELP: &str = "\
Commands are those of zkCli, with its flags; 'tenure shell help' lists them. Its single-dash
spelling of the flags above (-server, -timeout, -r, -waitforconnection) works too.

On a terminal there are editing, history and completion. Otherwise commands are read from standard
input, a line each; lines that begin with # are comments; a command that fails does not stop the
others, and the exit code is that of the first one that failed.

Exit codes:
  0    done
  1    a server refused it: no such znode, wrong version, not allowed
  2    wrong usage; no server was asked
  3    no connection, or the session is lost; a write may have happened if the message says so
  130  interrupted";

/// The process's arguments with zkCli's single-dash long flags of `shell` spelt with two dashes.
/// What follows the first word that is no flag belongs to the command there and stays as it is.
pub(crate) fn normalized(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_none_or(|command| command != "shell") {
        return args;
    }
    let mut at = 2;
    while let Some(arg) = args.get_mut(at) {
        let Some(text) = arg.to_str().filter(|text| text.starts_with('-') && *text != "--") else {
            break;
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let name = name.trim_start_matches('-');
        let takes_value =
            matches!(name, "s" | "server" | "t" | "timeout" | "wait" | "client-configuration")
                || matches!(name, "tls-ca" | "tls-cert" | "tls-key" | "tls-server-name");
        let is_separate = takes_value && value.is_none();
        if LONG_FLAGS.contains(&name) && !text.starts_with("--") {
            *arg = format!("-{text}").into();
        }
        at += if is_separate { 2 } else { 1 };
    }
    args
}

/// Flags that zkCli's users write with one dash.
const LONG_FLAGS: [&str; 8] = [
    "server",
    "timeout",
    "readonly",
    "waitforconnection",
    "client-configuration",
    "wait",
    "json",
    "help",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    enum Command {
        Shell(Args),
    }

    fn shell(line: &str) -> Args {
        let args = line.split_whitespace().map(OsString::from);
        let Command::Shell(args) = Command::try_parse_from(normalized(args)).unwrap();
        args
    }

    #[test]
    fn zkclis_spelling_and_ours_mean_the_same() {
        for line in [
            "tenure shell -server h:1/app -timeout 5000 -r -waitforconnection get -s /x",
            "tenure shell --server h:1/app --timeout 5000 -r --waitforconnection get -s /x",
            "tenure shell -s h:1/app -t 5000 -readonly -waitforconnection get -s /x",
            "tenure shell -server=h:1/app -timeout=5000 -r --waitforconnection -- get -s /x",
        ] {
            let args = shell(line);
            assert_eq!((args.server.as_str(), args.timeout), ("h:1/app", 5000), "{line}");
            assert!(args.readonly && args.waitforconnection, "{line}");
            assert_eq!(args.command, ["get", "-s", "/x"], "{line}");
        }
    }

    #[test]
    fn the_commands_own_flags_stay_as_they_are() {
        let args = shell("tenure shell reconfig -file x -server y");
        assert_eq!(args.command, ["reconfig", "-file", "x", "-server", "y"]);
        assert_eq!(args.server, "localhost:2181");
        let other = ["tenure", "bench", "-server", "x"].map(OsString::from);
        assert_eq!(normalized(other.clone()), other);
    }

    #[test]
    fn flags_of_tls_take_values() {
        let args = shell("tenure shell --tls-ca ca.pem --tls-cert c.pem -server h:1 ls /");
        assert_eq!(
            (args.server.as_str(), &args.command[..]),
            ("h:1", &["ls", "/"].map(str::to_owned)[..])
        );
        let args = ["tenure", "shell", "--tls-cert", "c.pem"].map(OsString::from);
        assert!(Command::try_parse_from(normalized(args)).is_err(), "whom does it trust?");
    }

    #[test]
    fn a_timeout_of_nothing_is_refused() {
        let args = ["tenure", "shell", "-timeout", "0"].map(OsString::from);
        assert!(Command::try_parse_from(normalized(args)).is_err());
    }
}
