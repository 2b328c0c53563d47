//! `cargo xtask import-check`: takes over what Apache ZooKeeper has written, and gives it back.
//!
//! For every way of compressing snapshots: ZooKeeper serves clients that use everything it has, and
//! is stopped; `tenure import` takes its folder over; both are started and compared through the
//! protocol; a client goes on with the session that it had. Then `tenure export` makes a folder for
//! ZooKeeper again, which is started and compared in the same way.

mod keep;
mod seed;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use tenure_client::{Session, SessionToken};

use crate::process::ServerProcess;
use crate::{repository, zookeeper};
use seed::Seeded;

/// What to check.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The `tenure` binary; built if not given
    #[arg(long)]
    server: Option<PathBuf>,
    /// Only write ZooKeeper's folders, for the tests that need some without having Java
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// How snapshots may be compressed.
const COMPRESSIONS: [&str; 3] = ["", "gz", "snappy"];

/// Runs all of it.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(keep) = &arguments.keep {
        return keep::write(keep);
    }
    let tenure = match &arguments.server {
        Some(path) => fs::canonicalize(path).with_context(|| format!("no {}", path.display()))?,
        None => built()?,
    };
    for compression in COMPRESSIONS {
        let name = if compression.is_empty() { "plain" } else { compression };
        check(&tenure, name, compression).with_context(|| format!("with {name} snapshots"))?;
        println!("{name} snapshots: ok");
    }
    Ok(())
}

fn built() -> anyhow::Result<PathBuf> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--package", "tenure-cli"]).current_dir(repository());
    ensure!(build.status()?.success(), "tenure does not build");
    Ok(repository().join("target/debug/tenure"))
}

/// One server's place: its configuration names it.
struct Place {
    zoo_cfg: PathBuf,
    data: PathBuf,
    address: SocketAddr,
}

impl Place {
    fn new(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let place = folder.join(name);
        fs::create_dir_all(&place)?;
        // The kernel gives a port that is free now and, in practice, a moment later.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (zoo_cfg, data) = (place.join("zoo.cfg"), place.join("data"));
        let config = format!(
            "tickTime=2000\ndataDir={}\nclientPort={}\nclientPortAddress={}\n\
             admin.enableServer=false\nextendedTypesEnabled=true\n\
             DigestAuthenticationProvider.superDigest={}\n\
             znode.container.checkIntervalMs=3600000\nsnapCount=30\npreAllocSize=16\n",
            data.display(),
            address.port(),
            address.ip(),
            seed::SUPER_DIGEST,
        );
        fs::write(&zoo_cfg, config)?;
        Ok(Place { zoo_cfg, data, address })
    }

    fn zookeeper(&self, compression: &str) -> anyhow::Result<ServerProcess> {
        let method = format!("-Dzookeeper.snapshot.compression.method={compression}");
        let jvm = if compression.is_empty() { Vec::new() } else { vec![method] };
        zookeeper::spawn(&self.zoo_cfg, &zookeeper::Options { no_admin: true, jvm })
    }

    fn tenure(&self, tenure: &Path) -> anyhow::Result<ServerProcess> {
        let mut command = Command::new(tenure);
        command.arg("serve").arg(&self.zoo_cfg);
        ServerProcess::start(command, self.address, &self.zoo_cfg.with_extension("log"))
    }
}

fn check(tenure: &Path, name: &str, compression: &str) -> anyhow::Result<()> {
    let folder = fresh(&repository().join("target/import-check").join(name))?;
    let source = Place::new(&folder, "source")?;
    let seeded = seeded(&source, compression)?;
    let taken = Place::new(&folder, "taken")?;
    call(tenure, &["import", "--from"], &[&source.data], &["--to"], &[&taken.data])?;
    let (old, new) = (source.zookeeper(compression)?, taken.tenure(tenure)?);
    compare(tenure, &source, &taken)?;
    resume(&taken, &seeded)?;
    println!("{name}: imported, equal to its source, and the session goes on");
    old.stop()?;
    new.stop()?;
    give_back(tenure, name, &folder, &source, &seeded)
}

/// Tenure's folder, as it was imported, becomes one of ZooKeeper's.
fn give_back(
    tenure: &Path,
    name: &str,
    folder: &Path,
    source: &Place,
    seeded: &Seeded,
) -> anyhow::Result<()> {
    let (again, back) = (Place::new(folder, "again")?, Place::new(folder, "back")?);
    call(tenure, &["import", "--from"], &[&source.data], &["--to"], &[&again.data])?;
    call(tenure, &["export", "--from"], &[&again.data], &["--to"], &[&back.data])?;
    let (new, old) = (again.tenure(tenure)?, back.zookeeper("")?);
    compare(tenure, &again, &back)?;
    resume(&back, seeded)?;
    println!("{name}: exported, equal to its source, and the session goes on");
    new.stop()?;
    old.stop()?;
    Ok(())
}

/// What ZooKeeper wrote while clients used it.
fn seeded(source: &Place, compression: &str) -> anyhow::Result<Seeded> {
    let server = source.zookeeper(compression)?;
    let seeded = block_on(seed::sow(&source.address.to_string()))?;
    // Everybody's connection ends, nobody's session does.
    server.stop()?;
    let names = fs::read_dir(source.data.join("version-2"))?;
    let names: Vec<String> =
        names.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let suffix = if compression.is_empty() { String::new() } else { format!(".{compression}") };
    let compressed = |name: &&String| name.starts_with("snapshot.") && name.ends_with(&suffix);
    ensure!(
        names.iter().filter(compressed).count() > 1,
        "ZooKeeper wrote no such snapshots: {names:?}"
    );
    Ok(seeded)
}

fn compare(tenure: &Path, one: &Place, other: &Place) -> anyhow::Result<()> {
    let mut command = Command::new(tenure);
    command.args(["verify", &one.address.to_string(), &other.address.to_string()]);
    command.args(["--auth", seed::SUPER_USER]);
    let output = command.output().context("cannot run tenure verify")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "they differ:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    print!("{said}");
    Ok(())
}

/// The client goes on with its session, which still owns what it owned, and nothing is older than
/// what it saw.
fn resume(place: &Place, seeded: &Seeded) -> anyhow::Result<()> {
    let hosts = place.address.to_string();
    block_on(async {
        let token: SessionToken = seeded.token.clone();
        let session = Session::resume(&hosts, token).await.context("the session is gone")?;
        ensure!(session.id() == seeded.token.id(), "it is another session");
        let owned = session.ephemerals("/").await?;
        ensure!(owned == seeded.ephemerals, "it owns {owned:?}, not {:?}", seeded.ephemerals);
        session.create("/after", "").await?;
        let stat = session.exists("/after").await?.context("/after is gone")?;
        ensure!(stat.czxid > seeded.last_zxid, "{} is older than what was seen", stat.czxid);
        session.delete("/after").await?;
        session.leave();
        Ok(())
    })
}

/// Runs `tenure` with words and folders in turn.
fn call(
    tenure: &Path,
    words: &[&str],
    from: &[&PathBuf],
    more: &[&str],
    to: &[&PathBuf],
) -> anyhow::Result<()> {
    let mut command = Command::new(tenure);
    command.args(words).args(from).args(more).args(to);
    let output = command.output().context("cannot run tenure")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
    print!("{said}{complained}");
    Ok(())
}

fn fresh(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_path_buf())
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let limited = async { tokio::time::timeout(Duration::from_secs(120), work).await };
    runtime.block_on(limited).context("it took more than two minutes")?
}
