//! `cargo xtask attack`: three real servers under load, struck from outside, and a check of what
//! their clients saw.
//!
//! Clients write, read, hold sessions and fall silent, and write down what happens; meanwhile
//! servers are killed, paused, cut off and restarted in an order that a seed decides. Afterwards
//! the history is checked against what the service promises. History and logs are kept in
//! `target/attack`.

mod check;
mod disk;
mod ensemble;
mod history;
mod load;
mod members;
mod network;
mod random;
mod recorder;
mod report;
mod strike;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;

use self::disk::Disks;
use self::ensemble::{Binaries, Ensemble, MEMBERS};
use self::history::{Clock, History};
use self::load::{Holders, Load, Sizes};
use self::members::Members;
use self::random::Random;
use self::recorder::Recorder;
use self::report::Window;
use self::strike::{Kind, Strike, plan};
use crate::repository;

/// How often to strike, and how.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How often the leader is killed
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// How often links between members fail, in seven ways in turn
    #[arg(long, default_value_t = 105)]
    partitions: usize,
    /// How often a server is paused, mostly the leader
    #[arg(long, default_value_t = 51)]
    pauses: usize,
    /// How often all servers are restarted one after the other
    #[arg(long, default_value_t = 20)]
    rolling: usize,
    /// How often something else happens: a follower killed, its disk lost, clients' links failing
    #[arg(long, default_value_t = 40)]
    others: usize,
    /// How often the members change, in three ways in turn
    #[arg(long, default_value_t = 60)]
    reconfigs: usize,
    /// How often a disk is full; servers then keep their data in memory, which needs root
    #[arg(long, default_value_t = 0)]
    full_disks: usize,
    /// Decides order and lengths; what the system does meanwhile is up to the system
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this, so often: one of the kinds below, or several in turn
    #[arg(long, value_enum, value_name = "KIND", num_args = 1.., value_delimiter = ',')]
    only: Vec<Kind>,
    /// How many of those
    #[arg(long, default_value_t = 10)]
    times: usize,
    /// Few strikes and few clients, to see that everything runs; about half a minute
    #[arg(long)]
    quick: bool,
    /// Attack the release build
    #[arg(long)]
    release: bool,
    /// Take the binary in the target folder as it is
    #[arg(long)]
    no_build: bool,
    /// A binary of another release: the servers begin with it, and each later start takes one or
    /// the other
    #[arg(long, value_name = "FILE")]
    mixed_with: Option<PathBuf>,
}

impl Arguments {
    fn disks(&self) -> Disks {
        let fills = self.full_disks > 0 || self.only.iter().any(|kind| kind.fills_disk());
        if fills { Disks::Small } else { Disks::Real }
    }
}

/// Attacks, checks, and reports; an error if a promise was broken.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.disks() == Disks::Small
        && let Some(status) = disk::apart()?
    {
        ensure!(status.success(), "the attack apart: {status}");
        return Ok(());
    }
    let binaries = Binaries {
        present: binary(arguments)?,
        other: arguments.mixed_with.clone(),
        choice: Random::new(arguments.seed),
    };
    let folder = target_folder().join("attack");
    empty(&folder)?;
    let sizes = if arguments.quick {
        Sizes { writers: 3, pinned: 3, readers: 4, holders: 20, silent: 1 }
    } else {
        Sizes { writers: 5, pinned: 3, readers: 6, holders: 60, silent: 4 }
    };
    let recorder = Arc::new(Recorder::new());
    let mut windows = Vec::new();
    let outcome = attack(arguments, sizes, binaries, &folder, &recorder, &mut windows);
    let history = std::mem::take(&mut *recorder.history());
    save(&recorder, &history, &windows, &folder.join("history.txt"))?;
    let violations = check::violations(&history);
    print!("{}", report::table(&history, &windows, &violations));
    for violation in violations.iter().take(report::MOST_SHOWN) {
        println!("{violation}");
    }
    if let Err(error) = outcome {
        bail!("the run ended early: {error:#}; seed {}, see {}", arguments.seed, folder.display());
    }
    let (count, seed) = (violations.len(), arguments.seed);
    ensure!(count == 0, "{count} violations; seed {seed}, see {}", folder.display());
    Ok(())
}

/// Strikes as planned, for as long as all servers come back each time.
fn attack(
    arguments: &Arguments,
    sizes: Sizes,
    binaries: Binaries,
    folder: &Path,
    recorder: &Arc<Recorder>,
    windows: &mut Vec<Window>,
) -> anyhow::Result<()> {
    let strikes = strikes(arguments);
    let changes = strikes.iter().any(|strike| strike.kind.changes_members());
    let members = if changes { Members::Change } else { Members::Fixed };
    let mut ensemble = Ensemble::start(binaries, folder, arguments.disks(), members)?;
    let executor = load::executor()?;
    let hosts = [ensemble.hosts(), ensemble.network.hosts()];
    executor.block_on(load::create_shared(recorder, &hosts[0]))?;
    let holders = Holders::establish(sizes.holders, [&hosts[0], &hosts[1]], recorder);
    let mut holders = executor.block_on(holders)?;
    let load = Load::start(sizes, arguments.seed, &ensemble, recorder)?;
    for (n, strike) in strikes.iter().enumerate() {
        let from_us = recorder.now_us();
        eprintln!("{} {} of {}: {strike}", Clock(from_us), n + 1, strikes.len());
        let outcome = strike.carry_out(&mut ensemble);
        let outcome = outcome.and_then(|()| executor.block_on(holders.inspect()));
        windows.push(Window { kind: strike.kind, from_us, to_us: recorder.now_us() });
        outcome.with_context(|| format!("strike {}: {strike}", n + 1))?;
    }
    load.end()?;
    executor.block_on(holders.inspect())?;
    for n in 0..MEMBERS {
        let hosts = ensemble.client(n).to_string();
        executor.block_on(load::read_all(recorder, n as u8 + 1, &hosts))?;
    }
    executor.block_on(holders.close())
}

/// The strikes in the order that the seed decides.
fn strikes(arguments: &Arguments) -> Vec<Strike> {
    let mut random = Random::new(arguments.seed);
    if !arguments.only.is_empty() {
        return plan(&arguments.only, arguments.times, &mut random);
    }
    let counts = [
        (Kind::KILLS, arguments.kills, 2),
        (Kind::PARTITIONS, arguments.partitions, 3),
        (Kind::PAUSES, arguments.pauses, 1),
        (Kind::ROLLING, arguments.rolling, 1),
        (Kind::OTHERS, arguments.others, 2),
        (Kind::RECONFIGS, arguments.reconfigs, 3),
        (Kind::FULL_DISKS, arguments.full_disks, 2),
    ];
    let mut strikes = Vec::new();
    for (kinds, count, quick) in counts {
        let count = if arguments.quick { count.min(quick) } else { count };
        strikes.extend(plan(kinds, count, &mut random));
    }
    random.shuffle(&mut strikes);
    strikes
}

/// Writes down everything that was seen, in the order in which it became known.
fn save(
    recorder: &Recorder,
    history: &History,
    windows: &[Window],
    path: &Path,
) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(fs::File::create(path)?);
        writeln!(file, "began {} s after 1970", recorder.began_s())?;
        for window in windows {
            let (from, to) = (Clock(window.from_us), Clock(window.to_us));
            writeln!(file, "{from}-{to} {}", window.kind.name())?;
        }
        history.fates.iter().try_for_each(|fate| writeln!(file, "{fate}"))?;
        history.operations.iter().try_for_each(|operation| writeln!(file, "{operation}"))?;
        file.flush()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn empty(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// The binary to attack, built unless it is to be taken as it is.
fn binary(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if !arguments.no_build {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--locked", "--package", "tenure-cli"]);
        if arguments.release {
            command.arg("--release");
        }
        let status = command.current_dir(repository()).status().context("cannot run cargo")?;
        ensure!(status.success(), "the build failed");
    }
    let profile = if arguments.release { "release" } else { "debug" };
    Ok(target_folder().join(profile).join("tenure"))
}

fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => Path::new(&repository()).join(folder),
        None => repository().join("target"),
    }
}
