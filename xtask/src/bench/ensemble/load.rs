//! A load that goes on until it is told to stop.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::bench::subject::Bench;

/// `tenure bench` at work; it is killed when this is dropped.
pub(super) struct Load {
    child: Child,
    output: BufReader<ChildStdout>,
    arguments: String,
}

impl Load {
    /// Starts it with these arguments, and returns when it has begun to measure.
    pub(super) fn start(bench: &Bench, arguments: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(&bench.tenure)
            .args(["bench", "--json", "--until-eof"])
            .args(arguments.split_ascii_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", bench.tenure.display()))?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        let mut load = Self { child, output, arguments: arguments.to_owned() };
        let mut line = String::new();
        load.output.read_line(&mut line)?;
        ensure!(line.trim() == "ready", "tenure bench {arguments} did not begin");
        Ok(load)
    }

    /// Tells it to stop, and returns its report.
    pub(super) fn finish(mut self) -> anyhow::Result<Value> {
        drop(self.child.stdin.take());
        let mut report = String::new();
        self.output.read_to_string(&mut report)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "tenure bench {}: {status}", self.arguments);
        serde_json::from_str(&report).context("the report is not one JSON object")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
