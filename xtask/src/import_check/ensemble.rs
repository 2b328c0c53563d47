//! An ensemble of ZooKeeper whose leaders are killed, and one of Tenure that goes on from it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tenure_client::Session;

use super::{Place, block_on, call, compare, free_address, fresh, resume, seed};
use crate::process::ServerProcess;
use crate::{repository, zookeeper};

const MEMBERS: usize = 3;

pub(super) fn check(tenure: &Path) -> anyhow::Result<()> {
    let folder = fresh(&repository().join("target/import-check/ensemble"))?;
    let source = places(&folder, "source")?;
    let hosts = hosts(&source);
    let mut servers = start_zookeeper(&source)?;
    let seeded = block_on(seed::sow(&hosts))?;
    for (n, place) in source.iter().enumerate() {
        // Whoever leads goes sooner or later; each change of the leader begins an epoch.
        servers.remove(n).kill()?;
        block_on(write(&hosts, &format!("/without-{n}")))?;
        let mut server = spawn_zookeeper(place)?;
        server.wait_until_it_serves()?;
        servers.insert(n, server);
        block_on(write(&hosts, &format!("/with-{n}")))?;
    }
    for place in &source {
        // What was acknowledged has then come to this one.
        block_on(sync(&place.address.to_string()))?;
    }
    for server in servers {
        server.stop()?;
    }
    let folders = places(&folder, "taken")?;
    for (from, to) in source.iter().zip(&folders) {
        call(tenure, &["import", "--from"], &[&from.data], &["--to"], &[&to.data])?;
        let long = longest_way(&folder, from)?;
        let to_long = long.with_extension("taken");
        call(tenure, &["import", "--from"], &[&long], &["--to"], &[&to_long])?;
        let (short, long) = (snapshot(&to.data)?, snapshot(&to_long)?);
        ensure!(short == long, "the newest and the oldest snapshot lead to different states");
        ensure!(short == snapshot(&folders[0].data)?, "two members come to different states");
    }
    let old = start_zookeeper(&source)?;
    let new = start_tenure(&folders, tenure)?;
    for (old, new) in source.iter().zip(&folders) {
        compare(tenure, old, new)?;
    }
    resume(&folders[1], &seeded)?;
    for server in old.into_iter().chain(new) {
        server.stop()?;
    }
    Ok(())
}

/// Three places that know each other.
fn places(folder: &Path, name: &str) -> anyhow::Result<Vec<Place>> {
    let mut lines = "initLimit=20\nsyncLimit=10\n".to_owned();
    for n in 1..=MEMBERS {
        let (peers, elections) = (free_address()?.port(), free_address()?.port());
        lines += &format!("server.{n}=127.0.0.1:{peers}:{elections}\n");
    }
    (1..=MEMBERS)
        .map(|n| {
            let place = Place::with(folder, &format!("{name}-{n}"), &lines)?;
            fs::create_dir(&place.data)?;
            fs::write(place.data.join("myid"), n.to_string())?;
            Ok(place)
        })
        .collect()
}

fn hosts(places: &[Place]) -> String {
    places.iter().map(|place| place.address.to_string()).collect::<Vec<_>>().join(",")
}

fn spawn_zookeeper(place: &Place) -> anyhow::Result<ServerProcess> {
    let command = zookeeper::command(&place.zoo_cfg, &Place::options(""))?;
    ServerProcess::spawn(command, place.address, &place.zoo_cfg.with_extension("zookeeper.log"))
}

fn start_zookeeper(places: &[Place]) -> anyhow::Result<Vec<ServerProcess>> {
    settled(places.iter().map(spawn_zookeeper).collect::<anyhow::Result<_>>()?)
}

fn start_tenure(places: &[Place], tenure: &Path) -> anyhow::Result<Vec<ServerProcess>> {
    let spawn = |place: &Place| {
        let log = place.zoo_cfg.with_extension("log");
        ServerProcess::spawn(place.tenure_command(tenure), place.address, &log)
    };
    settled(places.iter().map(spawn).collect::<anyhow::Result<_>>()?)
}

fn settled(mut servers: Vec<ServerProcess>) -> anyhow::Result<Vec<ServerProcess>> {
    servers.iter_mut().try_for_each(ServerProcess::wait_until_it_serves)?;
    Ok(servers)
}

/// Some changes through whichever member answers.
async fn write(hosts: &str, path: &str) -> anyhow::Result<()> {
    let session = Session::establish(hosts).await?;
    session.create(path, "").await?;
    for n in 0..40 {
        session.create(&format!("{path}/{n}"), "data").await?;
    }
    session.close().await?;
    Ok(())
}

async fn sync(host: &str) -> anyhow::Result<()> {
    let session = Session::establish(host).await?;
    session.sync("/").await?;
    session.close().await?;
    Ok(())
}

/// A copy of a member's folder without any snapshot but the oldest.
fn longest_way(folder: &Path, place: &Place) -> anyhow::Result<PathBuf> {
    let name = place.data.parent().and_then(Path::file_name).context("a place has a name")?;
    let to = folder.join(name).join("oldest");
    let files = to.join("version-2");
    fs::create_dir_all(&files)?;
    for entry in fs::read_dir(place.data.join("version-2"))? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        if !name.starts_with("snapshot.") || name == "snapshot.0" {
            fs::copy(&path, files.join(name))?;
        }
    }
    Ok(to)
}

/// The bytes of the one snapshot in a data folder.
fn snapshot(data: &Path) -> anyhow::Result<Vec<u8>> {
    let entry = fs::read_dir(data.join("tenure/snapshots"))?.next();
    Ok(fs::read(entry.context("there is no snapshot")??.path())?)
}
