//! One tenant asks for more than the server can give; how are the others?
//!
//! A second process floods the server from one address: every connection keeps its pipeline full,
//! so the server's sockets never run dry. Meanwhile sessions from another address each have one
//! request at a time, and more of them only ping and own an ephemeral. Against a server that is not
//! on the loopback network both come from one address, and nothing tells them apart.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tenure_wire::{CreateMode, ErrorCode};

use super::Args;
use super::bulk::{Bulk, create_all};
use super::latency::Latency;
use super::progress::Progress;
use super::report::Report;
use super::request;
use super::stop::Stop;
use super::swarm::{Happening, Swarm};

/// Measures `--count` sessions, and as many idle ones, alone and beside floods of `--connections`
/// times `--pipeline` requests.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let base = args.base()?;
    let busy = args.count_or(8);
    let goes_first = go_first();
    let mut swarm = Swarm::from_other_address(args.target()?)?;
    swarm.open(2 * busy, |_| {})?;
    create_all(&mut swarm, &base)?;
    let data = vec![b'x'; args.size as usize];
    let key = format!("{base}/key");
    let paths: Vec<String> = (0..swarm.len()).map(|i| format!("{base}/e{i:05}")).collect();
    bulk(&mut swarm, 1, &[ErrorCode::NodeExists], |_| {
        request::create(&key, &data, CreateMode::Persistent)
    })?;
    // One each: operation number i goes out on link number i.
    bulk(&mut swarm, paths.len(), &[], |i| request::create(&paths[i], &[], CreateMode::Ephemeral))?;

    let mut report = Report::new("neighbours");
    report
        .setting("connections", args.connections)
        .setting("pipeline", args.pipeline)
        .setting("neighbours", busy)
        .setting("goes_first", goes_first)
        .setting("session_timeout_ms", args.session_timeout.as_millis());
    let mut quiet: Vec<(&str, f64)> = Vec::new();
    let mut progress = Progress::new();
    for flood in [None, Some("read"), Some("write")] {
        let about = flood.map_or("alone".to_owned(), |kind| format!("beside-{kind}s"));
        progress.tick(|| about.clone());
        let noise = flood.map(|kind| Flood::start(kind, args, &base)).transpose()?;
        let mut load = Load::new(args, busy, &key, &data, swarm.now_ns());
        load.drive(&mut swarm, &Stop::after(args.warmup))?;
        load.clear();
        load.drive(&mut swarm, &Stop::after(args.duration.unwrap_or(Duration::from_secs(5))))?;
        for (name, latency) in load.measured() {
            let seen = latency.percentiles();
            match quiet.iter().find(|(known, _)| *known == name) {
                None => quiet.push((name, seen.p99)),
                Some((_, alone)) => {
                    let ratio = format!("{name}_p99_{about}_ratio").replace('-', "_");
                    report.figure(&ratio, seen.p99 / alone);
                }
            }
            report.latency(&format!("{name}-{about}"), seen);
        }
        if let Some(noise) = noise {
            let rate = noise.stop()?;
            report.figure(&format!("flood_of_{}s_per_second", flood.unwrap_or_default()), rate);
        }
    }
    report.figure("connections_lost", swarm.closed_links() as f64);
    report.figure("sessions_lost", lost(args, &paths)? as f64);
    swarm.close()?;
    Ok(report)
}

/// Gives this process the processor whenever it wants it, if it may: a client that waits for one
/// would count the operating system's decisions as the server's.
fn go_first() -> bool {
    let own = std::process::id().to_string();
    let chrt =
        Command::new("chrt").args(["--fifo", "--pid", "1", &own]).stderr(Stdio::null()).status();
    chrt.is_ok_and(|status| status.success())
}

/// Runs an operation on each link in turn.
fn bulk(
    swarm: &mut Swarm,
    total: usize,
    tolerate: &[ErrorCode],
    make: impl Fn(usize) -> Vec<u8>,
) -> Result<()> {
    let links = 0..swarm.len();
    let bulk = Bulk { links, total, pipeline: 1, tolerate };
    bulk.run(swarm, |i, out| out.extend_from_slice(&make(i)), |_| {})?;
    Ok(())
}

/// How many ephemerals are gone, by a session of its own.
fn lost(args: &Args, paths: &[String]) -> Result<usize> {
    let mut swarm = Swarm::new(args.target()?)?;
    swarm.open(1, |_| {})?;
    let mut gone = 0;
    for path in paths {
        swarm.link(0).out.extend_from_slice(&request::exists(path));
        swarm.flush(0);
        let mut answer = None;
        while answer.is_none() {
            swarm.turn(Duration::from_secs(1), |_, _, _, happening| match happening {
                Happening::Reply(reply) => answer = Some(reply.err()),
                Happening::Closed => answer = Some(ErrorCode::ConnectionLoss.code()),
                _ => {}
            })?;
        }
        gone += usize::from(answer != Some(0));
    }
    swarm.close()?;
    Ok(gone)
}

/// The process that floods.
struct Flood {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Flood {
    /// Starts it and waits until it floods. It runs only where nobody else wants to, so that what
    /// is measured is how the server shares its time, not how the operating system does.
    fn start(kind: &str, args: &Args, base: &str) -> Result<Flood> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        let mut process = Command::new("chrt")
            .args(["--idle", "0"])
            .arg(program)
            .args(["bench", kind, "--json", "--until-eof", "--warmup", "500ms"])
            .args(["--server", &args.server, "--path", &format!("{base}-flood")])
            .args(["--connections", &args.connections.to_string()])
            .args(["--pipeline", &args.pipeline.to_string(), "--size", &args.size.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the flood (chrt is of util-linux)")?;
        let input = process.stdin.take().context("no pipe to the flood")?;
        let output = process.stdout.take().context("no pipe from the flood")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).context("the flood cannot be heard")?;
        ensure!(line == "ready\n", "the flood did not begin");
        Ok(Flood { process, input, output })
    }

    /// Ends it, and tells how many requests a second were answered.
    fn stop(mut self) -> Result<f64> {
        drop(self.input);
        let mut text = String::new();
        self.output.read_to_string(&mut text).context("the flood cannot be heard")?;
        let status = self.process.wait().context("cannot wait for the flood")?;
        ensure!(status.success(), "the flood failed: {status}");
        let report: serde_json::Value = serde_json::from_str(&text)?;
        let rate = report["figures"]["operations_per_second"].as_f64();
        rate.context("the flood did not say how fast it was")
    }
}

/// Sessions with one request at a time: a read, a write, a ping, and so on.
struct Load {
    interval_ns: u64,
    frames: [Vec<u8>; 3],
    latencies: [Latency; 3],
    links: Vec<Turn>,
}

const KINDS: [&str; 3] = ["read", "write", "ping"];

#[derive(Clone)]
struct Turn {
    kind: usize,
    sent_ns: Option<u64>,
    due_ns: u64,
}

impl Load {
    fn new(args: &Args, busy: usize, key: &str, data: &[u8], now_ns: u64) -> Load {
        let interval_ns = u64::try_from(args.interval.as_nanos()).unwrap_or(u64::MAX);
        let frames = [request::get_data(key, false), request::set_data(key, data), request::ping()];
        let turn = |i: usize| Turn {
            kind: i % KINDS.len(),
            sent_ns: None,
            due_ns: now_ns + interval_ns * i as u64 / busy as u64,
        };
        Load {
            interval_ns,
            frames,
            latencies: [Latency::new(), Latency::new(), Latency::new()],
            links: (0..busy).map(turn).collect(),
        }
    }

    /// Goes on until it is time to stop and every request has its answer.
    fn drive(&mut self, swarm: &mut Swarm, stop: &Stop) -> Result<()> {
        loop {
            let is_over = stop.is_reached(0);
            if is_over && self.links.iter().all(|turn| turn.sent_ns.is_none()) {
                return Ok(());
            }
            let now_ns = swarm.now_ns();
            let mut next_ns = now_ns + self.interval_ns;
            for (index, turn) in self.links.iter_mut().enumerate() {
                if turn.sent_ns.is_none() && turn.due_ns <= now_ns && !is_over {
                    swarm.link(index).out.extend_from_slice(&self.frames[turn.kind]);
                    swarm.flush(index);
                    turn.sent_ns = Some(now_ns);
                } else if turn.sent_ns.is_none() {
                    next_ns = next_ns.min(turn.due_ns);
                }
            }
            let patience = Duration::from_nanos(next_ns.saturating_sub(swarm.now_ns()));
            swarm.turn(patience, |index, _, now_ns, happening| {
                let Some(turn) = self.links.get_mut(index) else { return };
                let is_answer = match happening {
                    Happening::Reply(_) => true,
                    Happening::Pong => turn.kind == KINDS.len() - 1,
                    // Counted in the end; nothing more is sent on it.
                    Happening::Closed => {
                        (turn.sent_ns, turn.due_ns) = (None, u64::MAX);
                        false
                    }
                    _ => false,
                };
                if let Some(sent_ns) = turn.sent_ns.take_if(|_| is_answer) {
                    self.latencies[turn.kind].record(now_ns - sent_ns);
                    turn.kind = (turn.kind + 1) % KINDS.len();
                    turn.due_ns = now_ns.max(sent_ns + self.interval_ns);
                }
            })?;
        }
    }

    fn clear(&mut self) {
        self.latencies.iter_mut().for_each(Latency::clear);
    }

    fn measured(&self) -> impl Iterator<Item = (&'static str, &Latency)> {
        KINDS.into_iter().zip(&self.latencies)
    }
}
