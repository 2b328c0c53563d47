//! `cargo xtask bench ensemble`: three Tenure servers and three of ZooKeeper, in turn.
//!
//! Each part is measured for itself, on three fresh servers, alone on the machine but for the
//! generator. What was measured goes to `target/bench/ensemble`, and, unless it was a quick look,
//! into `docs/benchmarks.md`.

mod away;
mod load;
mod loads;
mod page;
mod servers;
mod stops;
mod timeline;
mod wanted;

use std::fs;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use self::stops::How;
use super::results::Results;
use super::scene::Measured;
use super::subject::{Bench, Subject};
use super::{build, page as shared_page, target_folder};
use crate::{repository, zookeeper};

/// How much to measure of ensembles.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rounds; medians are over these
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One short round with small numbers, to see that everything runs; the page stays as it is
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Part>,
    /// Only these servers; the page then stays as it is
    #[arg(long, value_enum, value_name = "NAME")]
    servers: Vec<Subject>,
    /// Take target/release/tenure as it is
    #[arg(long)]
    no_build: bool,
}

/// What is measured together, on servers that start fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The leader is killed, ten times a round
    Kill,
    /// The leader is stopped, five times a round
    Stop,
    /// All servers are restarted in turn
    Rolling,
    /// Durable writes at all servers
    Writes,
    /// One write at a time
    Single,
    /// Reads at a follower
    Reads,
    /// Silent sessions at all servers
    Expiry,
    /// Pings at a follower beside writes
    Pings,
    /// A follower comes back that missed a million writes
    Away,
}

/// Measures, prints the verdicts, and keeps the results.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !arguments.no_build {
        build()?;
    }
    zookeeper::jars()?;
    let folder = target_folder().join("bench/ensemble");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let tenure = target_folder().join("release/tenure");
    let bench = Bench { tenure, folder: folder.clone(), quick: arguments.quick };
    let parts = if arguments.only.is_empty() { Part::value_variants() } else { &arguments.only };
    let servers = if arguments.servers.is_empty() { Subject::ALL } else { &arguments.servers };
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    let mut failures = Vec::new();
    for part in parts {
        let results = measure(*part, &bench, rounds, servers, &mut failures);
        print!("{}", shared_page::medians(&results));
        for verdict in wanted::judge(*part, &results) {
            println!("{verdict}");
        }
        if !arguments.quick && servers == Subject::ALL {
            results.save(&folder.join(format!("{}.json", part.name())))?;
            page::update(&repository().join("docs/benchmarks.md"), &folder)?;
        }
    }
    if !failures.is_empty() {
        bail!("not everything could be measured:\n{}", failures.join("\n"));
    }
    Ok(())
}

/// What fails is tried once more, and then left out: the other figures are worth having.
fn measure(
    part: Part,
    bench: &Bench,
    rounds: usize,
    servers: &[Subject],
    failures: &mut Vec<String>,
) -> Results {
    let mut results = Results::new(rounds);
    for round in 1..=rounds {
        let measurable = |subject: &Subject| *subject != Subject::Echo || part == Part::Single;
        for subject in servers.iter().copied().filter(measurable) {
            let about = format!("{}, round {round} of {rounds}: {}", part.name(), subject.name());
            eprintln!("{about}");
            let tried = part.measure(bench, subject).or_else(|error| {
                eprintln!("failed, once more: {error:#}");
                part.measure(bench, subject)
            });
            match tried {
                Ok(measured) => {
                    for (key, value) in measured {
                        results.add(subject, &key, value);
                    }
                }
                Err(error) => failures.push(format!("{about}: {error:#}")),
            }
        }
    }
    results
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Rolling => "rolling",
            Self::Writes => "writes",
            Self::Single => "single",
            Self::Reads => "reads",
            Self::Expiry => "expiry",
            Self::Pings => "pings",
            Self::Away => "away",
        }
    }

    /// Measures one kind of server once.
    fn measure(self, bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
        match self {
            Self::Kill => How::Kill.measure(bench, subject),
            Self::Stop => How::Stop.measure(bench, subject),
            Self::Rolling => How::Rolling.measure(bench, subject),
            Self::Writes => loads::writes(bench, subject),
            Self::Single => loads::single(bench, subject),
            Self::Reads => loads::reads(bench, subject),
            Self::Expiry => loads::expiry(bench, subject),
            Self::Pings => loads::pings(bench, subject),
            Self::Away => away::measure(bench, subject),
        }
    }
}
