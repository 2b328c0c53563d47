//! `tenure serve`: from arguments and a `zoo.cfg` to a server that runs until it is told to stop.

mod check;
mod reload;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use reload::LogVolume;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tenure_server::config::{
    ConfigError, Listen, MemberListError, ServerConfig, Warning, claim_data_dir, read_text,
};
use tenure_server::{RunError, ServerHandle, StartError};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::BAD_FOLDER;
use crate::certs::folder::{Folder, FolderError};

/// Where the server listens, where its data lies, and what it says.
#[derive(Clone, clap::Args)]
#[command(after_help = format!("{AFTER_HELP}\n\n{}", crate::EXIT_CODES))]
pub(crate) struct Args {
    /// A zoo.cfg, or: PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]]
    ///
    /// Without it the server listens on 127.0.0.1:2181 and keeps its data in ./tenure-data.
    #[allow(
        rustdoc::broken_intra_doc_links,
        reason = "these brackets are for whoever asks for help"
    )]
    #[arg(value_name = "CONFIG")]
    config: Vec<String>,
    /// Say all that is wrong with the configuration, and start nothing
    #[arg(long, conflicts_with = "ensemble")]
    check: bool,
    /// Client address, as 0.0.0.0:2181 for every interface
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Folder of the log and the snapshots
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A line of zoo.cfg that wins over the file; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The members of the ensemble, instead of a file: 1=host:2888,2=host:2888,3=host:2888
    ///
    /// Members reach each other at these addresses; clients connect to --listen. With :observer
    /// behind its port a member does not vote, and what stands behind a semicolon is where its
    /// clients connect.
    #[arg(long, value_name = "ID=HOST:PORT,...", requires = "id", conflicts_with = "config")]
    ensemble: Option<String>,
    /// Which member of --ensemble this server is
    #[arg(long, requires = "ensemble")]
    id: Option<u64>,
    /// Encrypt, with what `tenure certs` put into this folder: a port for TLS (2281, unless the
    /// configuration names one), and the links between the members of an ensemble
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    /// End at once when the parent process, which has this number, ends
    #[arg(long, hide = true, value_name = "PID")]
    end_with: Option<u32>,
    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// How much is logged: error, warn, info, debug or trace; wins over tenure.logLevel
    #[arg(long)]
    log_level: Option<Level>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// One readable line per event
    Text,
    /// One JSON object per line
    Json,
}

const AFTER_HELP: &str = "\
SIGHUP has the server read its configuration again: limits of clients and requests, bounds of
session timeouts, the list of four-letter words, the threshold of slow syncs and the log level count
at once.
The log says what changed and what needs a restart. A file with a mistake changes nothing.";

/// How much is logged if nobody says.
const USUAL_LEVEL: Level = Level::INFO;

const FAILED: u8 = 1;
const BAD_USAGE: u8 = 2;
const DISK_FAILED: u8 = 4;

/// What the server without a file does, as the file that it would be.
const DEFAULT_CONFIG: &str = "\
tickTime=2000
dataDir=./tenure-data
clientPort=2181
clientPortAddress=127.0.0.1
admin.serverAddress=127.0.0.1
";

/// Runs the command.
pub(crate) fn run(args: &Args) -> ExitCode {
    let volume = start_logging(args.log_format, args.log_level);
    if args.check {
        return check::run(args);
    }
    if let Some(parent) = args.end_with
        && let Err(error) = end_with(parent)
    {
        return fail(FAILED, &error);
    }
    let config = match configure(args) {
        Ok((config, warnings)) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            volume.follow(config.log_level);
            config
        }
        Err(error) => return fail(BAD_USAGE, &error),
    };
    tenure_server::prefer_small_pages();
    let open_files = tenure_server::raise_open_files_limit();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), open_files, "starting");
    // Signals are caught before the start: one that comes meanwhile must stop the server too.
    let signals = match Signals::new([SIGTERM, SIGINT, SIGHUP]) {
        Ok(signals) => signals,
        Err(error) => return fail(FAILED, &format!("signals cannot be caught: {error}")),
    };
    let server = match tenure_server::start(&config) {
        Ok(server) => server,
        Err(error) => return fail(start_code(&error), &error),
    };
    tracing::info!(
        clients = %server.client_addr(),
        secure_clients = server.secure_client_addr().map(tracing::field::display),
        admin = server.admin_addr().map(tracing::field::display),
        data = %config.data_dir.display(),
        "serving"
    );
    greet(&config, &server);
    reload::obey(signals, &server, args, volume);
    match server.join() {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => fail(run_code(&error), &error),
    }
}

/// Has the system kill this process when its parent ends, whatever ends it: nobody would be there
/// to stop it, or to let it go on if it is paused. What it acknowledged is on disk.
fn end_with(parent: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have ended before it was watched.
    let found = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
    match found == Some(parent) {
        true => Ok(()),
        false => Err(io::Error::other(format!("the parent process {parent} has ended"))),
    }
}

fn fail(code: u8, error: &dyn Display) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}

fn start_code(error: &StartError) -> u8 {
    match error {
        StartError::Folder(_) | StartError::Recovery(_) | StartError::Snapshot { .. } => BAD_FOLDER,
        StartError::Unsupported(_) | StartError::Tls(_) => BAD_USAGE,
        StartError::Run(error) => run_code(error),
        StartError::Listen { .. } | StartError::Audit { .. } | StartError::System { .. } => FAILED,
    }
}

fn run_code(error: &RunError) -> u8 {
    match error {
        RunError::Disk(_) => DISK_FAILED,
        RunError::Poll(_) | RunError::Thread(_) => FAILED,
    }
}

fn start_logging(format: LogFormat, level: Option<Level>) -> LogVolume {
    let filter = LevelFilter::from_level(level.unwrap_or(USUAL_LEVEL));
    let (filter, handle) = tracing_subscriber::reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry.with(lines).init(),
        LogFormat::Json => registry.with(lines.json()).init(),
    }
    LogVolume::new(handle, level)
}

/// Why the arguments make no configuration.
#[derive(Debug, thiserror::Error)]
enum ArgumentError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--listen {0}: expected HOST:PORT, as 127.0.0.1:2181 or [::1]:2181")]
    Listen(String),
    #[error("--set {0}: expected KEY=VALUE")]
    Set(String),
    #[error("--ensemble: {0}")]
    Ensemble(#[from] MemberListError),
    #[error("--certs {0}")]
    Certs(#[from] FolderError),
}

fn configure(args: &Args) -> Result<(ServerConfig, Vec<Warning>), ArgumentError> {
    let words: Vec<&str> = args.config.iter().map(String::as_str).collect();
    let (mut config, warnings) = match words.as_slice() {
        [] if args.set.is_empty() => (ServerConfig::default(), Vec::new()),
        [] => ServerConfig::from_text(&overridden(DEFAULT_CONFIG, &args.set)?, "--set")?,
        [path] if args.set.is_empty() => ServerConfig::from_file(path.as_ref())?,
        [path] => {
            let path = path.as_ref();
            let text = overridden(&read_text(path)?, &args.set)?;
            ServerConfig::from_edited_file(path, &text)?
        }
        shorthand => {
            let names = ["clientPort", "dataDir", "tickTime", "maxClientCnxns"];
            let config = ServerConfig::from_shorthand(shorthand)?;
            if args.set.is_empty() {
                (config, Vec::new())
            } else {
                let lines = names.iter().zip(shorthand);
                let text: String = lines.map(|(key, value)| format!("{key}={value}\n")).collect();
                ServerConfig::from_text(&overridden(&text, &args.set)?, "arguments")?
            }
        }
    };
    if let Some(listen) = &args.listen {
        config.client = Some(parse_listen(listen)?);
    }
    if let Some(dir) = &args.data_dir {
        // A log folder of its own stays where the file put it.
        if config.data_log_dir == config.data_dir {
            config.data_log_dir.clone_from(dir);
        }
        config.data_dir.clone_from(dir);
    }
    if let Some((id, list)) = args.id.zip(args.ensemble.as_ref()) {
        join(&mut config, id, list, args.listen.is_none())?;
    }
    if let Some(dir) = &args.certs {
        Folder::new(dir)?.secure(&mut config)?;
    }
    Ok((config, warnings))
}

/// Makes the server a member of an ensemble that no file describes.
fn join(
    config: &mut ServerConfig,
    id: u64,
    list: &str,
    may_listen_as_listed: bool,
) -> Result<(), ArgumentError> {
    config.ensemble.set_members(id, list)?;
    if may_listen_as_listed
        && config.client == ServerConfig::default().client
        && let Some(listed) = config.ensemble.me().and_then(|me| me.client.clone())
    {
        config.client = Some(listed);
    }
    Ok(claim_data_dir(&config.data_dir, id)?)
}

/// A file's text with further lines behind it, which win over those of the same key.
fn overridden(text: &str, set: &[String]) -> Result<String, ArgumentError> {
    let mut lines: Vec<&str> = text.lines().collect();
    for line in set {
        let key = match line.split_once('=') {
            Some((key, _)) if !line.contains('\n') => key.trim(),
            _ => return Err(ArgumentError::Set(line.clone())),
        };
        // By itself first, so that a mistake in it is not reported as one in the file.
        ServerConfig::from_text(&format!("{line}\nclientPort=1\ndataDir=x"), "--set")?;
        // Emptied, not removed: the lines behind keep their numbers.
        let key_of = |line: &str| line.split(['=', ':']).next().map(str::trim) == Some(key);
        lines.iter_mut().filter(|line| key_of(line)).for_each(|line| *line = "");
    }
    lines.extend(set.iter().map(String::as_str));
    Ok(lines.join("\n"))
}

fn parse_listen(text: &str) -> Result<Listen, ArgumentError> {
    let wrong = || ArgumentError::Listen(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    match host {
        "" | "*" | "0.0.0.0" | "::" => Ok(Listen::everywhere(port)),
        _ => Ok(Listen::on(host, port)),
    }
}

/// Tells a person at a terminal what is where, and what to try.
fn greet(config: &ServerConfig, server: &ServerHandle) {
    let mut screen = io::stderr();
    if !screen.is_terminal() {
        return;
    }
    let addr = server.client_addr();
    let reach = if addr.ip().is_unspecified() {
        format!("127.0.0.1:{}", addr.port())
    } else {
        addr.to_string()
    };
    let admin = match server.admin_addr() {
        Some(addr) => {
            format!("{}://{addr}{}", config.admin.scheme(), config.admin.command_url)
        }
        None => "off".to_owned(),
    };
    let member = match config.ensemble.my_id.filter(|_| config.ensemble.is_distributed()) {
        Some(id) => format!("\n  member   {id} of {}", config.ensemble.members.len()),
        None => String::new(),
    };
    // Nobody is harmed if the terminal is gone.
    let _ = writeln!(
        screen,
        "
  Tenure {version} serves ZooKeeper clients

  clients  {addr}
  data     {data}
  admin    {admin}{member}

  Try it:  zkCli.sh -server {reach}
           python3 -c 'from kazoo.client import KazooClient as K; \
z = K(\"{reach}\"); z.start(); print(z.create(\"/hello\", b\"world\")); z.stop()'
           echo srvr | nc {host} {port}
  Stop it: Ctrl-C; sessions and data are kept
",
        version = env!("CARGO_PKG_VERSION"),
        data = config.data_dir.display(),
        host = reach.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host),
        port = addr.port(),
    );
}
