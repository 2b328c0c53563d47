//! Many operations done once each, pipelined: preparing znodes and removing them.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tenure_wire::{CreateMode, ErrorCode};

use super::latency::Latency;
use super::request;
use super::swarm::{Happening, Swarm};

/// What to send in bulk.
pub(crate) struct Bulk<'a> {
    /// The links to send on.
    pub(crate) links: Range<usize>,
    /// How many operations.
    pub(crate) total: usize,
    /// How many unanswered requests a link may have.
    pub(crate) pipeline: usize,
    /// Error codes that are as good as success.
    pub(crate) tolerate: &'a [ErrorCode],
}

/// How it went.
pub(crate) struct Done {
    pub(crate) seconds: f64,
    pub(crate) latency: Latency,
}

impl Bulk<'_> {
    /// Sends operation 0, 1, 2 … as `make` writes them, and returns when all are answered.
    pub(crate) fn run(
        &self,
        swarm: &mut Swarm,
        mut make: impl FnMut(usize, &mut Vec<u8>),
        mut say: impl FnMut(usize),
    ) -> Result<Done> {
        let begun_ns = swarm.now_ns();
        let mut latency = Latency::new();
        let mut sent_ns = vec![0u64; self.total];
        let (mut next, mut answered) = (0, 0);
        let mut problem = None;
        for _ in 0..self.pipeline {
            for index in self.links.clone() {
                if next < self.total {
                    sent_ns[next] = begun_ns;
                    make_numbered(&mut make, next, &mut swarm.link(index).out);
                    next += 1;
                }
            }
        }
        swarm.flush_all();
        while answered < self.total {
            swarm.turn(
                Duration::from_secs(1),
                |index, link, now_ns, happening| match happening {
                    Happening::Reply(reply) if reply.is_notification() => {}
                    Happening::Reply(reply) if self.links.contains(&index) => {
                        let err = reply.err();
                        if err != 0 && !self.tolerate.iter().any(|code| code.code() == err) {
                            problem = Some(format!("the server answered with error {err}"));
                        }
                        answered += 1;
                        let number = usize::try_from(reply.xid()).unwrap_or(usize::MAX);
                        if let Some(sent) = sent_ns.get(number.wrapping_sub(FIRST_XID)) {
                            latency.record(now_ns - sent);
                        }
                        if next < self.total {
                            sent_ns[next] = now_ns;
                            make_numbered(&mut make, next, &mut link.out);
                            next += 1;
                        }
                    }
                    Happening::Closed if self.links.contains(&index) => {
                        problem = Some("the server closed the connection".to_owned());
                    }
                    _ => {}
                },
            )?;
            if let Some(problem) = problem {
                bail!("{problem} after {answered} of {} operations", self.total);
            }
            say(answered);
        }
        ensure!(answered == self.total, "more replies than requests");
        Ok(Done { seconds: (swarm.now_ns() - begun_ns) as f64 / 1e9, latency })
    }
}

/// Creates `path` and its ancestors, empty, if they are not there.
pub(crate) fn create_all(swarm: &mut Swarm, path: &str) -> Result<()> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    let ancestors: Vec<&str> = ends.map(|end| &path[..end]).collect();
    let bulk = Bulk {
        links: 0..1,
        total: ancestors.len(),
        pipeline: 1,
        tolerate: &[ErrorCode::NodeExists],
    };
    let make = |i: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&request::create(ancestors[i], &[], CreateMode::Persistent));
    };
    bulk.run(swarm, make, |_| {})?;
    Ok(())
}

/// Has every link's server catch up with what was done through the others.
pub(crate) fn sync_all(swarm: &mut Swarm) -> Result<()> {
    let links = 0..swarm.len();
    let bulk = Bulk { total: links.len(), links, pipeline: 1, tolerate: &[] };
    bulk.run(swarm, |_, out| out.extend_from_slice(&request::sync("/")), |_| {})?;
    Ok(())
}

fn make_numbered(make: &mut impl FnMut(usize, &mut Vec<u8>), number: usize, out: &mut Vec<u8>) {
    let start = out.len();
    make(number, out);
    let xid = i32::try_from(number + FIRST_XID).expect("fewer than two thousand million");
    out[start + 4..start + 8].copy_from_slice(&xid.to_be_bytes());
}

const FIRST_XID: usize = 1;
