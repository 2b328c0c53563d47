//! `tenure dev`: an ensemble on this machine in one command, to develop against and to break.
//!
//! Every server is a process of its own, a child of this one, that can be killed and paused from
//! anywhere. What happens to them is printed as it happens.

mod command;
mod ensemble;
mod event;
mod home;
mod leadership;
mod ports;
mod server;
mod show;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;

use anyhow::{Context, Result, bail, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use ensemble::Ensemble;
use home::Home;
use ports::FreePorts;
use server::Plan;
use show::Screen;

/// How many servers, where, and what becomes of those that end.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// How many servers; one is a server on its own
    #[arg(long, value_name = "N", default_value = "3", value_parser = servers())]
    servers: u64,
    /// Client port of the first server; the others follow. 0 takes any free ones
    #[arg(long, default_value_t = 2181)]
    port: u16,
    /// Where data and logs are kept
    #[arg(long, value_name = "DIR", default_value = "./tenure-dev")]
    data_dir: PathBuf,
    /// Start empty: delete what earlier runs left in the data folder
    #[arg(long)]
    fresh: bool,
    /// Leave a server down that was killed from outside
    #[arg(long)]
    no_restart: bool,
    /// A line of zoo.cfg for every server; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Even numbers bear no more failures than the odd ones below them.
fn servers() -> impl TypedValueParser<Value = u64> {
    PossibleValuesParser::new(["1", "3", "5", "7"]).try_map(|number| number.parse())
}

/// Larger ensembles are of no use on one machine.
const MOST_SERVERS: u64 = 7;

const AFTER_HELP: &str = "\
While it runs, commands are read from standard input, a line each, on a terminal or not:
  kill N     end a server at once, as kill -9; it stays down until start N
  pause N    have a server stand still, as kill -STOP
  resume N   end a pause
  start N    start a server that is down
  status     who is what, and where
  quit       stop every server, and end; so do Ctrl-C, Ctrl-D and SIGTERM
N is a server's number, or the word leader. The servers never outlive this command.

Exit codes:
  0  stopped
  1  the servers cannot be started
  2  wrong usage";

pub(crate) fn run(args: &Args) -> ExitCode {
    match play(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenure dev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(args: &Args) -> Result<()> {
    let (events, happening) = mpsc::channel();
    // From here on a signal stops the servers first.
    event::watch_signals(events.clone()).context("signals cannot be caught")?;
    let home = Home::open(&args.data_dir)?;
    if args.fresh {
        home.empty()?;
    }
    let plans = plan(args, &home)?;
    event::watch_input(events.clone()).context("standard input cannot be read")?;

    let screen = Screen::new();
    let hosts: Vec<String> = plans.iter().map(|plan| plan.clients.to_string()).collect();
    let servers = if args.servers == 1 { "1 server" } else { &format!("{} servers", args.servers) };
    screen.text(&format!(
        "Tenure dev: {servers} on this machine, data in {}\n\nConnect to:  {}\n\n",
        args.data_dir.display(),
        hosts.join(",")
    ));
    Ensemble::start(plans, events, screen, !args.no_restart)?.run(&happening)?;
    let dir = home.dir().display();
    screen.text(&format!("All servers have stopped; their data are in {dir}\n"));
    Ok(())
}

/// Gives every server its ports and folders.
fn plan(args: &Args, home: &Home) -> Result<Vec<Plan>> {
    let mut free = FreePorts::new();
    let earlier = home.members()?;
    ensure!(
        earlier.is_empty() || earlier.len() as u64 == args.servers,
        "{} holds the data of {} servers, not of {}; --fresh starts empty",
        home.dir().display(),
        earlier.len(),
        args.servers
    );
    let clients = client_ports(args, &mut free)?;
    let mut quorum_ports = Vec::new();
    for n in 0..clients.len() {
        // Members are known by their addresses: they keep them if they can.
        let kept = earlier.get(n).map(|member| member.addresses[0].quorum_port);
        let port = match kept.filter(|port| !clients.contains(port) && ports::is_free(*port)) {
            Some(port) => port,
            None => free.take()?,
        };
        free.reserve(port);
        quorum_ports.push(port);
    }
    let items = clients
        .iter()
        .zip(&quorum_ports)
        .zip(1..)
        .map(|((client, quorum), id)| format!("{id}=127.0.0.1:{quorum};127.0.0.1:{client}"));
    let list = items.collect::<Vec<String>>().join(",");
    home.remember(&list)?;
    let plans = clients.iter().zip(1..).map(|(client, id)| {
        let admin = free.take()?;
        Ok(Plan {
            id,
            clients: SocketAddr::from((Ipv4Addr::LOCALHOST, *client)),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, admin)),
            log: home.log(id),
            arguments: arguments(args, home, id, &list, admin),
        })
    });
    plans.collect()
}

fn client_ports(args: &Args, free: &mut FreePorts) -> Result<Vec<u16>> {
    let mut found = Vec::new();
    for n in 0..args.servers as u16 {
        let port = match args.port {
            0 => free.take()?,
            first => first.checked_add(n).context("--port: the last port would exceed 65535")?,
        };
        if !ports::is_free(port) {
            bail!("port {port} of 127.0.0.1 is in use; see --port, where 0 takes any free ones");
        }
        free.reserve(port);
        found.push(port);
    }
    Ok(found)
}

/// The command line of one server.
fn arguments(args: &Args, home: &Home, id: u64, list: &str, admin: u16) -> Vec<OsString> {
    let mut words: Vec<OsString> =
        ["serve", "--ensemble", list, "--data-dir"].map(Into::into).into();
    words.push(home.data_dir(id).into());
    let pid = std::process::id();
    let mut word = |word: String| words.push(word.into());
    word(format!("--id={id}"));
    word(format!("--end-with={pid}"));
    // Who develops may look at everything.
    word("--set=4lw.commands.whitelist=*".to_owned());
    word("--set=admin.serverAddress=127.0.0.1".to_owned());
    word(format!("--set=admin.serverPort={admin}"));
    args.set.iter().for_each(|line| word(format!("--set={line}")));
    words
}
