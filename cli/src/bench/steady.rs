//! Reads, writes, creations and mixtures at a steady number of requests in flight.

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use tenure_wire::{CreateMode, ErrorCode};

use super::bulk::{Bulk, create_all, sync_all};
use super::latency::Latency;
use super::link::{Link, Reply};
use super::meter::Meter;
use super::progress::Progress;
use super::report::Report;
use super::request::{self, Template};
use super::stop::Stop;
use super::swarm::{Happening, Swarm};
use super::{Args, Workload};

/// Runs one of the steady workloads.
pub(crate) fn run(workload: Workload, args: &Args) -> Result<Report> {
    let base = args.base()?;
    let mut swarm = Swarm::new(args.target()?)?;
    let mut progress = Progress::new();
    let connections = args.connections as usize;
    swarm.open(connections, |open| progress.tick(|| format!("{open} sessions")))?;
    let paths = prepare(&mut swarm, workload, args, &base)?;
    let mut load = Load::new(workload, args, &paths);

    load.fill(&mut swarm);
    let begun = Instant::now();
    while begun.elapsed() < args.warmup {
        load.turn(&mut swarm)?;
        progress.tick(|| "warming up".to_owned());
    }
    load.clear();
    load.samples = args.samples.as_ref().map(|file| Samples::new(file, swarm.now_ns()));
    let meter = Meter::begin(args.server_processes())?;
    let begun = Instant::now();
    let stop = Stop::new(args, Duration::from_secs(5))?;
    while !stop.is_reached(load.answered) {
        load.turn(&mut swarm)?;
        progress.tick(|| {
            let rate = load.answered as f64 / begun.elapsed().as_secs_f64();
            format!("{rate:.0} operations per second")
        });
    }
    let spent = meter.end()?;

    let mut report = Report::new(workload.name());
    report
        .setting("connections", args.connections)
        .setting("pipeline", args.pipeline)
        .setting("size", args.size);
    spent.report(load.answered, &mut report);
    load.report(&mut report);
    if let Some(samples) = load.samples.take() {
        samples.write()?;
    }
    load.drain(&mut swarm)?;
    if !args.keep {
        progress.tick(|| "removing the znodes".to_owned());
        remove(&mut swarm, &load, &paths, &base)?;
    }
    swarm.close()?;
    Ok(report)
}

/// One kind of request in the mix.
struct Kind {
    name: &'static str,
    template: Template,
    latency: Latency,
}

/// The generator's state: what to send next and what is unanswered.
struct Load {
    kinds: Vec<Kind>,
    /// Kind 0 is chosen when a random 32-bit number is below this, else kind 1.
    first_below: u64,
    /// For creations: where in the frame the ten digits of the znode's number are.
    digits_at: Option<usize>,
    created: Vec<u64>,
    pipeline: usize,
    unanswered: Vec<VecDeque<(u64, u8)>>,
    random: u64,
    answered: u64,
    problem: Option<String>,
    samples: Option<Samples>,
}

impl Load {
    fn new(workload: Workload, args: &Args, paths: &[String]) -> Load {
        let data = vec![b'x'; args.size as usize];
        let reads = || Template::new(paths.iter().map(|path| request::get_data(path, false)));
        let writes = || Template::new(paths.iter().map(|path| request::set_data(path, &data)));
        let creations = || {
            let numbered = paths.iter().map(|path| format!("{path}/{:010}", 0));
            Template::new(
                numbered.map(|path| request::create(&path, &data, CreateMode::Persistent)),
            )
        };
        let kind = |name, template| Kind { name, template, latency: Latency::new() };
        let kinds = match workload {
            Workload::Read => vec![kind("read", reads())],
            Workload::Create => vec![kind("create", creations())],
            Workload::Mixed => vec![kind("read", reads()), kind("write", writes())],
            _ => vec![kind("write", writes())],
        };
        let one_kind = kinds.len() == 1;
        let share = if one_kind { 1.0 } else { args.read_ratio };
        let connections = args.connections as usize;
        Load {
            kinds,
            first_below: (share * (1u64 << 32) as f64) as u64,
            digits_at: (workload == Workload::Create).then(|| PATH_AT + paths[0].len() + 1),
            created: vec![0; connections],
            pipeline: args.pipeline as usize,
            unanswered: vec![VecDeque::with_capacity(args.pipeline as usize); connections],
            random: 0x9e37_79b9_7f4a_7c15,
            answered: 0,
            problem: None,
            samples: None,
        }
    }

    /// Gives every connection its full number of requests in flight.
    fn fill(&mut self, swarm: &mut Swarm) {
        let now_ns = swarm.now_ns();
        for index in 0..swarm.len() {
            for _ in 0..self.pipeline {
                self.send(index, swarm.link(index), now_ns);
            }
        }
        swarm.flush_all();
    }

    fn turn(&mut self, swarm: &mut Swarm) -> Result<()> {
        swarm.turn(
            Duration::from_millis(100),
            |index, link, now_ns, happening| match happening {
                Happening::Reply(reply) => {
                    self.take(index, reply, now_ns);
                    self.send(index, link, now_ns);
                }
                Happening::Closed => {
                    self.problem = Some("the server closed a connection".to_owned())
                }
                _ => {}
            },
        )?;
        self.check()
    }

    /// Waits for what is unanswered, so that the connections can be used for something else.
    fn drain(&mut self, swarm: &mut Swarm) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.unanswered.iter().any(|queue| !queue.is_empty()) {
            swarm.turn(Duration::from_millis(100), |index, _, now_ns, happening| {
                if let Happening::Reply(reply) = happening {
                    self.take(index, reply, now_ns);
                }
            })?;
            self.check()?;
            if Instant::now() > deadline {
                bail!("the server left requests unanswered");
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match &self.problem {
            Some(problem) => bail!("{problem} after {} operations", self.answered),
            None => Ok(()),
        }
    }

    fn send(&mut self, index: usize, link: &mut Link, now_ns: u64) {
        let random = self.next_random();
        let which = usize::from((random >> 32) >= self.first_below);
        let kind = &self.kinds[which];
        let start = link.out.len();
        match self.digits_at {
            Some(digits_at) => {
                kind.template.append(index, 1, &mut link.out);
                let at = start + digits_at;
                write_digits(self.created[index], &mut link.out[at..at + DIGITS]);
                self.created[index] += 1;
            }
            None => {
                let key = ((random & 0xffff_ffff) * kind.template.len() as u64) >> 32;
                kind.template.append(key as usize, 1, &mut link.out);
            }
        }
        self.unanswered[index].push_back((now_ns, which as u8));
    }

    fn take(&mut self, index: usize, reply: Reply<'_>, now_ns: u64) {
        let Some((sent_ns, which)) = self.unanswered[index].pop_front() else {
            self.problem = Some("the server answered more than was asked".to_owned());
            return;
        };
        if reply.err() != 0 {
            self.problem = Some(format!("the server answered with error {}", reply.err()));
        }
        let latency_ns = now_ns - sent_ns;
        self.kinds[usize::from(which)].latency.record(latency_ns);
        if let Some(samples) = &mut self.samples {
            samples.taken.push((now_ns / 1000, latency_ns / 1000));
        }
        self.answered += 1;
    }

    /// Forgets what was measured while warming up.
    fn clear(&mut self) {
        self.answered = 0;
        for kind in &mut self.kinds {
            kind.latency.clear();
        }
    }

    fn report(&self, report: &mut Report) {
        for kind in &self.kinds {
            report.latency(kind.name, kind.latency.percentiles());
        }
    }

    /// Xorshift: a few instructions, and random enough to spread over keys.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// Every operation's latency, for those who want to relate it to something else.
struct Samples {
    file: PathBuf,
    /// The Unix clock when the swarm's clock was 0, in microseconds.
    epoch_us: u64,
    /// When an operation was answered, by the swarm's clock, and its latency; both microseconds.
    taken: Vec<(u64, u64)>,
}

impl Samples {
    fn new(file: &Path, now_ns: u64) -> Samples {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch_us = unix.as_micros() as u64 - now_ns / 1000;
        Samples { file: file.to_owned(), epoch_us, taken: Vec::with_capacity(1 << 20) }
    }

    fn write(&self) -> Result<()> {
        let mut text = String::with_capacity(self.taken.len() * 24);
        for (at_us, latency_us) in &self.taken {
            let _ = writeln!(text, "{},{latency_us}", self.epoch_us + at_us);
        }
        std::fs::write(&self.file, text)
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

/// Creates what the workload needs: its keys, or a parent per connection for creations.
fn prepare(swarm: &mut Swarm, workload: Workload, args: &Args, base: &str) -> Result<Vec<String>> {
    create_all(swarm, base)?;
    let data = vec![b'x'; args.size as usize];
    let paths: Vec<String> = match workload {
        Workload::Create => (0..args.connections).map(|i| format!("{base}/c{i:07}")).collect(),
        _ => (0..args.keys).map(|i| format!("{base}/k{i:07}")).collect(),
    };
    let bulk = Bulk {
        links: 0..swarm.len(),
        total: paths.len(),
        pipeline: 16,
        tolerate: &[ErrorCode::NodeExists],
    };
    let create = |i: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&request::create(&paths[i], &data, CreateMode::Persistent));
    };
    bulk.run(swarm, create, |_| {})?;
    sync_all(swarm)?;
    Ok(paths)
}

fn remove(swarm: &mut Swarm, load: &Load, paths: &[String], base: &str) -> Result<()> {
    let links = 0..swarm.len();
    if load.digits_at.is_some() {
        for (path, count) in paths.iter().zip(&load.created) {
            let total = usize::try_from(*count).expect("counts fit in memory");
            let bulk =
                Bulk { links: links.clone(), total, pipeline: 16, tolerate: &[ErrorCode::NoNode] };
            let delete = |i: usize, out: &mut Vec<u8>| {
                out.extend_from_slice(&request::delete(&format!("{path}/{i:010}")));
            };
            bulk.run(swarm, delete, |_| {})?;
        }
    }
    let bulk = Bulk { links, total: paths.len(), pipeline: 16, tolerate: &[ErrorCode::NoNode] };
    let delete = |i: usize, out: &mut Vec<u8>| out.extend_from_slice(&request::delete(&paths[i]));
    bulk.run(swarm, delete, |_| {})?;
    let bulk = Bulk {
        links: 0..1,
        total: 1,
        pipeline: 1,
        tolerate: &[ErrorCode::NoNode, ErrorCode::NotEmpty],
    };
    bulk.run(swarm, |_, out| out.extend_from_slice(&request::delete(base)), |_| {})?;
    Ok(())
}

/// Writes a number in decimal into the whole of `place`.
fn write_digits(mut number: u64, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Where the path begins in a frame: behind length, xid, opcode and the path's length.
const PATH_AT: usize = 16;
const DIGITS: usize = 10;

#[cfg(test)]
mod tests {
    use super::{DIGITS, write_digits};

    #[test]
    fn digits_fill_their_place() {
        let mut place = *b"xxxxxxxxxx";
        assert_eq!(place.len(), DIGITS);
        write_digits(1_234_567, &mut place);
        assert_eq!(&place, b"0001234567");
    }
}
