//! How the checks of each language are built and run. What they fetch stays in `target/peers` or
//! in the language's own cache.

use std::path::PathBuf;
use std::process::Command;

use super::prepare;
use crate::{peers_folder, repository, zookeeper};

fn source(language: &str) -> PathBuf {
    repository().join("xtask/peers").join(language)
}

pub(super) fn go(secure: bool) -> anyhow::Result<Command> {
    let (name, package) = if secure { ("go-secure", "./secure") } else { ("go-checks", ".") };
    let program = peers_folder().join(name);
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(package);
    prepare(build.current_dir(source("go")))?;
    Ok(Command::new(program))
}

pub(super) fn java(secure: bool) -> anyhow::Result<Command> {
    let class = if secure { "SecureChecks" } else { "Checks" };
    let jars = zookeeper::jars()?;
    let classes = peers_folder().join("java-classes");
    prepare(
        Command::new("javac")
            .arg("-d")
            .arg(&classes)
            .arg("-cp")
            .arg(jars.join("*"))
            .arg("-sourcepath")
            .arg(source("java"))
            .arg(source("java").join(format!("{class}.java"))),
    )?;
    let mut command = zookeeper::client_command();
    command.arg(format!("{}:{}", classes.display(), jars.join("*").display()));
    command.arg(class);
    Ok(command)
}

/// A script that uses kazoo, which is installed if it is not.
pub(crate) fn kazoo(script: &str) -> anyhow::Result<Command> {
    let environment = peers_folder().join("python");
    let python = environment.join("bin/python");
    if !python.exists() {
        prepare(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let requirements = source("python").join("requirements.txt");
    prepare(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements),
    )?;
    let mut command = Command::new(python);
    // Nothing compiled is left in the folder of the sources.
    command.arg("-B").arg(source("python").join(script));
    Ok(command)
}

/// The program with the scenes of Tenure's client, built for release.
pub(crate) fn bench() -> anyhow::Result<PathBuf> {
    let target = peers_folder().join("bench");
    prepare(
        Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--locked", "--target-dir"])
            .arg(&target)
            .current_dir(source("bench")),
    )?;
    Ok(target.join("release/client-bench"))
}

pub(super) fn rust() -> anyhow::Result<Command> {
    let target = peers_folder().join("rust");
    prepare(
        Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--target-dir"])
            .arg(&target)
            .current_dir(source("rust")),
    )?;
    Ok(Command::new(target.join("debug/peer-checks")))
}
