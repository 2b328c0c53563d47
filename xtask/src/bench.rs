//! `cargo xtask bench`: Tenure, ZooKeeper and an echo server under the same load, in turn.
//!
//! Each scene is measured for itself: a fresh server on an empty data folder, alone on the machine
//! but for the generator, Tenure and ZooKeeper alternating for as many rounds as asked. What was
//! measured goes to `target/bench`, and, unless it was a quick look, into `docs/benchmarks.md`.

mod clients;
mod criteria;
mod ensemble;
mod first_read;
mod machine;
mod page;
mod results;
mod samples;
mod scene;
mod snapshots;
mod subject;
mod tree;
mod wanted;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};

use self::results::Results;
use self::scene::Scene;
use self::subject::{Bench, Subject};
use crate::{repository, zookeeper};

/// How much to measure.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    /// Rounds; medians are over these
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One short round with small numbers, to see that everything runs; the page stays as it is
    #[arg(long)]
    quick: bool,
    /// Only these scenes
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Scene>,
    /// Only these servers; the page then stays as it is
    #[arg(long, value_enum, value_name = "NAME")]
    servers: Vec<Subject>,
    /// Take target/release/tenure as it is
    #[arg(long)]
    no_build: bool,
}

/// What else there is to measure.
#[derive(Subcommand)]
enum Other {
    /// Measure the client: beside others, with many sessions, and when something happens
    Clients(clients::Arguments),
    /// Measure three servers of each kind: stops, crashes, loads
    Ensemble(ensemble::Arguments),
}

/// Measures, prints the verdicts, and keeps the results.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.other {
        Some(Other::Clients(arguments)) => return clients::run(arguments),
        Some(Other::Ensemble(arguments)) => return ensemble::run(arguments),
        None => {}
    }
    if !arguments.no_build {
        build()?;
    }
    zookeeper::jars()?;
    let folder = target_folder().join("bench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let bench = Bench {
        tenure: target_folder().join("release/tenure"),
        folder: folder.clone(),
        quick: arguments.quick,
    };
    let scenes = if arguments.only.is_empty() { Scene::ALL } else { &arguments.only };
    let servers = if arguments.servers.is_empty() { Subject::ALL } else { &arguments.servers };
    for scene in scenes {
        let rounds = if arguments.quick { 1 } else { arguments.rounds };
        let results = measure(*scene, &bench, rounds, servers)?;
        print!("{}", page::medians(&results));
        for verdict in criteria::judge(*scene, &results) {
            println!("{verdict}");
        }
        if !arguments.quick && servers == Subject::ALL {
            results.save(&folder.join(format!("{}.json", scene.name())))?;
            page::update(&repository().join("docs/benchmarks.md"), &folder)?;
        }
    }
    Ok(())
}

fn measure(
    scene: Scene,
    bench: &Bench,
    rounds: usize,
    servers: &[Subject],
) -> anyhow::Result<Results> {
    let mut results = Results::new(rounds);
    for round in 1..=rounds {
        let measurable = |subject: &Subject| *subject != Subject::Echo || scene.has_echo();
        for subject in servers.iter().copied().filter(measurable) {
            eprintln!("{}, round {round} of {rounds}: {}", scene.name(), subject.name());
            let measured = scene
                .run(bench, subject)
                .with_context(|| format!("{} with {}", scene.name(), subject.name()))?;
            for (key, value) in measured {
                results.add(subject, &key, value);
            }
        }
    }
    Ok(results)
}

fn build() -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "tenure-cli"])
        .current_dir(repository())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the release build failed");
    Ok(())
}

fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => Path::new(&repository()).join(folder),
        None => repository().join("target"),
    }
}
