//! Many znodes: how fast they are created, and what memory the server needs for each.

use anyhow::Result;
use tenure_wire::{CreateMode, ErrorCode};

use super::bulk::{Bulk, create_all};
use super::meter::Meter;
use super::progress::Progress;
use super::report::Report;
use super::request;
use super::swarm::Swarm;
use super::{Args, Workload};

/// Creates `--count` znodes (default 100,000), a thousand per parent.
pub(crate) fn run(workload: Workload, args: &Args) -> Result<Report> {
    let base = args.base()?;
    let count = args.count_or(100_000);
    let mut swarm = Swarm::new(args.target()?)?;
    let mut progress = Progress::new();
    swarm.open(args.connections as usize, |_| {})?;
    create_all(&mut swarm, &base)?;
    let links = 0..swarm.len();
    let parents = count.div_ceil(PER_PARENT);
    let bulk = Bulk {
        links: links.clone(),
        total: parents,
        pipeline: args.pipeline as usize,
        tolerate: &[ErrorCode::NodeExists],
    };
    let create_parent = |i: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&request::create(&parent(&base, i), &[], CreateMode::Persistent));
    };
    bulk.run(&mut swarm, create_parent, |_| {})?;

    let before = args.server_processes().resident_bytes()?;
    let meter = Meter::begin(args.server_processes())?;
    let data = vec![b'x'; args.size as usize];
    let create = |i: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&request::create(&leaf(&base, i), &data, CreateMode::Persistent));
    };
    let bulk = Bulk { links: links.clone(), total: count, ..bulk };
    let done = bulk.run(&mut swarm, create, |done| {
        progress.tick(|| format!("{done} of {count} znodes"));
    })?;
    let spent = meter.end()?;
    let after = args.server_processes().resident_bytes()?;

    let mut report = Report::new(workload.name());
    report
        .setting("connections", args.connections)
        .setting("pipeline", args.pipeline)
        .setting("size", args.size);
    spent.report(count as u64, &mut report);
    if let (Some(before), Some(after)) = (before, after) {
        let per_znode = (after as f64 - before as f64) / count as f64;
        report.figure("server_resident_bytes_before", before as f64);
        report.figure("server_resident_bytes", after as f64);
        report.figure("server_resident_bytes_per_znode", per_znode);
    }
    report.latency("create", done.latency.percentiles());
    if workload == Workload::Znodes && !args.keep {
        let delete = |i: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(&request::delete(&leaf(&base, i)));
        };
        bulk.run(&mut swarm, delete, |done| progress.tick(|| format!("{done} removed")))?;
        let bulk = Bulk { total: parents, ..bulk };
        let delete = |i: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(&request::delete(&parent(&base, i)));
        };
        bulk.run(&mut swarm, delete, |_| {})?;
        let bulk = Bulk { links: 0..1, total: 1, ..bulk };
        bulk.run(&mut swarm, |_, out| out.extend_from_slice(&request::delete(&base)), |_| {})?;
    }
    swarm.close()?;
    Ok(report)
}

fn parent(base: &str, i: usize) -> String {
    format!("{base}/p{i:05}")
}

fn leaf(base: &str, i: usize) -> String {
    format!("{base}/p{:05}/n{:07}", i / PER_PARENT, i)
}

const PER_PARENT: usize = 1000;
