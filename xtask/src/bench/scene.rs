//! What is measured together, on one server that starts fresh.

use anyhow::Context;
use clap::ValueEnum;
use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::subject::{Bench, Subject};
use super::tree;

/// One fresh server and what is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scene {
    /// Reads, writes, creations, a mix, and sessions
    Throughput,
    /// Many idle sessions
    Idle,
    /// A session that ends with many ephemerals
    Ephemerals,
    /// Silent sessions
    Expiry,
    /// One change and many watchers
    Watches,
    /// Sessions beside a flood of requests from another address
    Neighbours,
    /// Memory, snapshot and start-up of a large tree
    Tree,
}

/// Figures by name, such as `read-32x16/operations_per_second` or `mixed-32x16/read.p99`.
pub(crate) type Measured = Vec<(String, f64)>;

impl Scene {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Throughput,
        Self::Idle,
        Self::Ephemerals,
        Self::Expiry,
        Self::Watches,
        Self::Neighbours,
        Self::Tree,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Idle => "idle",
            Self::Ephemerals => "ephemerals",
            Self::Expiry => "expiry",
            Self::Watches => "watches",
            Self::Neighbours => "neighbours",
            Self::Tree => "tree",
        }
    }

    /// Whether the echo server can be measured in it too.
    pub(crate) fn has_echo(self) -> bool {
        self == Self::Throughput
    }

    /// Measures one server once.
    pub(crate) fn run(self, bench: &Bench, subject: Subject) -> anyhow::Result<Measured> {
        if self == Self::Tree {
            return tree::measure(bench, subject);
        }
        let mut measured = Measured::new();
        if subject == Subject::Echo {
            let report =
                bench.run(&format!("disk --size 4096 --dir {}", bench.folder.display()))?;
            flatten("disk", &report, &mut measured)?;
        }
        let server = bench.start_fresh(subject)?;
        for (name, arguments) in self.loads(bench) {
            if subject == Subject::Echo && !name.starts_with("read") {
                continue;
            }
            let report = bench.drive(&server, &arguments).with_context(|| name.to_owned())?;
            flatten(name, &report, &mut measured)?;
        }
        server.stop()?;
        Ok(measured)
    }

    /// The loads of a scene, by name, as arguments of `tenure bench`.
    fn loads(self, bench: &Bench) -> Vec<(&'static str, String)> {
        let quick = bench.quick;
        let pick = |full: &'static str, short: &'static str| if quick { short } else { full };
        let time = pick("--warmup 3s --duration 5s", "--warmup 500ms --duration 1s");
        let single = "--connections 1 --pipeline 1";
        let (sessions, watchers) = (pick_count(quick, idle_sessions()), pick_count(quick, 10_000));
        match self {
            Self::Throughput => {
                let briefly = pick("--warmup 500ms --duration 2s", "--warmup 100ms --duration 1s");
                let disk =
                    format!("disk --size 4096 --count 1000 --dir {}", bench.folder.display());
                let write = format!("write {single} {briefly}");
                // The disk alone and what is compared with it take turns: a disk has moods.
                let in_turn = [("disk", disk), ("write-1x1", write)];
                let mut loads = vec![
                    ("read-32x16", format!("read {time}")),
                    ("read-1x1", format!("read {single} {time}")),
                ];
                loads.extend(std::iter::repeat_n(in_turn, 3).flatten());
                // Those that write much come last: some disks are slow for a while after that.
                loads.extend([
                    ("sessions-32", format!("sessions {time}")),
                    ("mixed-32x16", format!("mixed {time}")),
                    ("write-32x16", format!("write {time}")),
                    ("create-32x16", format!("create --keep {time}")),
                ]);
                loads
            }
            Self::Idle => {
                let hold = pick("--duration 15s", "--duration 3s");
                vec![("idle", format!("idle-sessions --count {sessions} {hold}"))]
            }
            Self::Ephemerals => {
                let count = pick_count(quick, 100_000);
                vec![("ephemerals", format!("ephemerals --count {count}"))]
            }
            Self::Expiry => {
                let count = pick_count(quick, 1000);
                vec![("expiry", format!("expiry --session-timeout 4s --count {count}"))]
            }
            Self::Watches => vec![("watches", format!("watches --count {watchers}"))],
            // Fifty connections, as the limit of an address is sixty unless configured, with far
            // more requests than any server has under way.
            Self::Neighbours => {
                let flood = "--connections 50 --pipeline 256 --session-timeout 4s";
                vec![("neighbours", format!("neighbours {flood} {time}"))]
            }
            Self::Tree => Vec::new(),
        }
    }
}

/// A twentieth for a quick look.
pub(crate) fn pick_count(quick: bool, full: u64) -> u64 {
    if quick { full / 20 } else { full }
}

/// 20,000, or what the limit of open files of both processes allows.
pub(crate) fn idle_sessions() -> u64 {
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    limit.saturating_sub(OTHER_FILES).min(20_000)
}

/// Adds the figures and latencies of a report under the load's name.
pub(crate) fn flatten(name: &str, report: &Value, into: &mut Measured) -> anyhow::Result<()> {
    let figures = report["figures"].as_object().context("a report without figures")?;
    for (figure, value) in figures {
        let value = value.as_f64().context("a figure that is no number")?;
        into.push((format!("{name}/{figure}"), value));
    }
    for (kind, latency) in report["latencies_us"].as_object().into_iter().flatten() {
        for percentile in ["p50", "p99", "max"] {
            if let Some(value) = latency[percentile].as_f64() {
                into.push((format!("{name}/{kind}.{percentile}"), value));
            }
        }
    }
    Ok(())
}

/// Files a server or generator has open beside its connections; ZooKeeper opens some hundred jars
/// and libraries.
const OTHER_FILES: u64 = 400;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_becomes_named_figures() {
        let report = json!({
            "figures": {"seconds": 2.0},
            "latencies_us": {"read": {"p50": 1.0, "p99": 3.0, "max": 4.0, "count": 5}},
        });
        let mut measured = Measured::new();
        flatten("x", &report, &mut measured).unwrap();
        let wanted =
            [("x/seconds", 2.0), ("x/read.p50", 1.0), ("x/read.p99", 3.0), ("x/read.max", 4.0)];
        assert_eq!(measured, wanted.map(|(name, value)| (name.to_owned(), value)));
        assert!(flatten("x", &json!({}), &mut measured).is_err());
    }

    #[test]
    fn every_scene_but_the_tree_has_loads() {
        let bench = Bench { tenure: "tenure".into(), folder: "target".into(), quick: false };
        for scene in Scene::ALL.iter().filter(|scene| **scene != Scene::Tree) {
            assert!(!scene.loads(&bench).is_empty(), "{scene:?}");
        }
    }
}
