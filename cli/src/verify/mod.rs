//! `tenure verify`: compares two servers, or a folder and a server, znode by znode.
//!
//! Servers are asked through the client protocol, so either may be any that speaks it. Data, stat,
//! access control list and children of every znode are compared.

mod compare;
mod source;

use std::collections::{BTreeSet, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tenure_client::Tls;

use compare::{Difference, differences};
use source::{Credentials, Seen, Source, SourceError, Unseen};

use crate::tls_flags::TlsFlags;

/// What to compare with what.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// HOST:PORT of a server, or a folder: ZooKeeper's, or Tenure's that no server uses
    ///
    /// With --tls-ca servers are spoken to by TLS; plain:HOST:PORT is one that does not.
    #[arg(value_name = "ONE")]
    one: String,
    /// The same, for the other one
    #[arg(value_name = "OTHER")]
    other: String,
    /// Credentials to show to servers, as digest:user:password; may be given several times
    ///
    /// What they may not read cannot be compared. A super user may read everything.
    #[arg(long, value_name = "SCHEME:CREDENTIALS")]
    auth: Vec<Credentials>,
    /// A path that is not compared, nor anything below it; may be given several times
    ///
    /// The data and stat of /zookeeper/config are never compared: each ensemble has its own.
    #[arg(long, value_name = "PATH")]
    ignore: Vec<String>,
    /// How long to wait for a connection, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    wait: u64,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tls: TlsFlags,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  the same
  1  they differ, or something could not be compared
  2  wrong usage
  3  one of them cannot be read";

/// A server, or a folder, cannot be read.
const UNREADABLE: u8 = 3;

/// Znodes asked for at a time.
const BATCH: usize = 256;

pub(crate) fn run(args: &Args) -> ExitCode {
    let tls = match args.tls.told_by("verify") {
        Ok(tls) => tls,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(verify(args, tls.as_ref())),
        Err(error) => Err(SourceError::Runtime(error)),
    };
    match outcome {
        Ok(tally) => {
            say(
                args,
                &json!({"found": "done", "znodes": tally.znodes,
                "differences": tally.differences, "unread": tally.unread}),
                &tally.to_string(),
            );
            match tally.differences + tally.unread {
                0 => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("tenure verify: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

/// How much was compared, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    znodes: u64,
    differences: u64,
    unread: u64,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} znodes compared: ", self.znodes)?;
        match self.differences {
            0 => write!(f, "no differences")?,
            count => write!(f, "{count} differences")?,
        }
        match self.unread {
            0 => Ok(()),
            count => write!(f, "; {count} could not be read with these credentials (--auth)"),
        }
    }
}

async fn verify(args: &Args, tls: Option<&Tls>) -> Result<Tally, SourceError> {
    let wait = Duration::from_millis(args.wait);
    let one = Source::open(&args.one, &args.auth, tls, wait).await?;
    let other = Source::open(&args.other, &args.auth, tls, wait).await?;
    let mut tally = Tally::default();
    let mut queue = VecDeque::from(["/".to_owned()]);
    while !queue.is_empty() {
        let batch: Vec<String> = queue.drain(..queue.len().min(BATCH)).collect();
        let (left, right) = (one.read(&batch).await?, other.read(&batch).await?);
        for ((path, left), right) in batch.iter().zip(left).zip(right) {
            let children = judge(args, path, left, right, &mut tally);
            queue.extend(children.into_iter().filter(|path| !args.ignore.contains(path)));
        }
    }
    one.close().await;
    other.close().await;
    Ok(tally)
}

/// Compares what was read of one znode; returns the paths of the children that both have.
fn judge(
    args: &Args,
    path: &str,
    one: Result<Seen, Unseen>,
    other: Result<Seen, Unseen>,
    tally: &mut Tally,
) -> Vec<String> {
    let mut differ = |what: &str, found: Difference| {
        tally.differences += 1;
        let Difference { field, one, other } = found;
        let object = json!({"found": what, "path": path, "field": field, "one": one,
            "other": other});
        say(args, &object, &format!("{path}: {field}: {one} / {other}"));
    };
    match (one, other) {
        (Ok(one), Ok(other)) => {
            differences(path, &one, &other).into_iter().for_each(|found| {
                differ("difference", found);
            });
            tally.znodes += 1;
            let prefix = path.trim_end_matches('/');
            let children = |seen: Seen| seen.children.into_iter().collect::<BTreeSet<_>>();
            let (ones, others) = (children(one), children(other));
            ones.intersection(&others).map(|name| format!("{prefix}/{name}")).collect()
        }
        (Err(Unseen::Denied), _) | (_, Err(Unseen::Denied)) => {
            tally.unread += 1;
            let object = json!({"found": "unread", "path": path});
            say(args, &object, &format!("{path}: not compared, for it may not be read"));
            Vec::new()
        }
        // It vanished from both between the list of children and now.
        (Err(Unseen::Missing), Err(Unseen::Missing)) => Vec::new(),
        (one, _) => {
            let (one, other) = if one.is_ok() { ("there", "gone") } else { ("gone", "there") };
            let (field, one, other) = ("znode", one.to_owned(), other.to_owned());
            differ("difference", Difference { field, one, other });
            Vec::new()
        }
    }
}

#[expect(clippy::print_stdout, reason = "differences are what the command is run for")]
fn say(args: &Args, object: &serde_json::Value, text: &str) {
    match args.json {
        true => println!("{object}"),
        false => println!("{text}"),
    }
}
