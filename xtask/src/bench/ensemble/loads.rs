//! Loads on three servers of which none is stopped.

use super::load::Load;
use super::servers::Ensemble;
use crate::bench::scene::{Measured, flatten, pick_count};
use crate::bench::subject::{Bench, Subject};

/// Durable writes, spread over all servers.
pub(super) fn writes(bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
    let ensemble = Ensemble::start_fresh(bench, subject)?;
    let (servers, pids) = (ensemble.addresses(), ensemble.pids());
    let report =
        bench.run(&format!("write {} --server {servers} --server-pid {pids}", time(bench)))?;
    ensemble.end()?;
    named("write-32x16", &report)
}

/// One write at a time, to the leader and to a follower, beside the disk alone; and what sockets
/// allow.
pub(super) fn single(bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
    let time = match bench.quick {
        true => "--warmup 100ms --duration 1s",
        false => "--warmup 500ms --duration 2s",
    };
    let one = format!("--connections 1 --pipeline 1 {time}");
    if subject == Subject::Echo {
        let server = bench.start_fresh(subject)?;
        let report = bench.drive(&server, &format!("read {one}"))?;
        server.stop()?;
        return named("read-1x1", &report);
    }
    let ensemble = Ensemble::start_fresh(bench, subject)?;
    let (leader, follower) = (ensemble.leader()?, ensemble.follower()?);
    let (leader, follower) = (ensemble.address(leader), ensemble.address(follower));
    let disk = format!("disk --size 4096 --count 1000 --dir {}", bench.folder.display());
    let mut measured = Measured::new();
    // The disk alone and what is compared with it take turns: a disk has moods.
    for _ in 0..3 {
        for (name, arguments) in [
            ("disk", disk.clone()),
            ("write-1x1", format!("write {one} --server {leader}")),
            ("write-1x1-at-follower", format!("write {one} --server {follower}")),
        ] {
            flatten(name, &bench.run(&arguments)?, &mut measured)?;
        }
    }
    ensemble.end()?;
    Ok(measured)
}

/// Reads at one follower, beside those of a server of the same kind that is alone.
pub(super) fn reads(bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
    let read = format!("read {}", time(bench));
    let alone = bench.start_fresh(subject)?;
    let mut measured = named("read-alone-32x16", &bench.drive(&alone, &read)?)?;
    alone.stop()?;
    let ensemble = Ensemble::start_fresh(bench, subject)?;
    let follower = ensemble.follower()?;
    let (server, pid) = (ensemble.address(follower), ensemble.pid(follower)?);
    let report = bench.run(&format!("{read} --server {server} --server-pid {pid}"))?;
    ensemble.end()?;
    flatten("read-at-follower-32x16", &report, &mut measured)?;
    Ok(measured)
}

/// Silent sessions at all servers.
pub(super) fn expiry(bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
    let ensemble = Ensemble::start_fresh(bench, subject)?;
    let report = bench.run(&format!(
        "expiry --session-timeout 4s --count {} --server {} --server-pid {}",
        pick_count(bench.quick, 1000),
        ensemble.addresses(),
        ensemble.pids()
    ))?;
    ensemble.end()?;
    named("expiry", &report)
}

/// Pings at a follower while all servers write as fast as they can.
pub(super) fn pings(bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
    let ensemble = Ensemble::start_fresh(bench, subject)?;
    let follower = ensemble.address(ensemble.follower()?);
    let load = Load::start(bench, &format!("write --server {}", ensemble.addresses()))?;
    let time = time(bench);
    let pings = format!("pings --connections 16 --interval 20ms {time} --server {follower}");
    let mut measured = named("pings", &bench.run(&pings)?)?;
    flatten("write-beside-pings", &load.finish()?, &mut measured)?;
    ensemble.end()?;
    Ok(measured)
}

fn time(bench: &Bench) -> &'static str {
    match bench.quick {
        true => "--warmup 500ms --duration 1s",
        false => "--warmup 3s --duration 5s",
    }
}

fn named(name: &str, report: &serde_json::Value) -> anyhow::Result<Measured> {
    let mut measured = Measured::new();
    flatten(name, report, &mut measured)?;
    Ok(measured)
}
