//! What happened to which session and when, as lines for whoever stops the servers.
//!
//! Times are microseconds of the Unix clock:
//!
//! ```text
//! write,SESSION,SENT,ACKNOWLEDGED
//! lost-link,SESSION,AT
//! attached,SESSION,AT      back on a link after one was lost
//! lost-session,SESSION,AT
//! error,SESSION,AT,CODE    the answer to a write
//! ```

use std::fmt::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// The lines so far.
pub(crate) struct Diary {
    lines: String,
    /// The Unix clock when the swarm's clock was 0, in microseconds.
    epoch_us: u64,
}

impl Diary {
    /// Begins at `now_ns` of the swarm's clock.
    pub(crate) fn new(now_ns: u64) -> Diary {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Diary { lines: String::new(), epoch_us: unix.as_micros() as u64 - now_ns / 1000 }
    }

    /// A write was acknowledged.
    pub(crate) fn write(&mut self, session: usize, sent_ns: u64, now_ns: u64) {
        let (sent_us, now_us) = (self.unix_us(sent_ns), self.unix_us(now_ns));
        let _ = writeln!(self.lines, "write,{session},{sent_us},{now_us}");
    }

    /// The answer to a write was an error.
    pub(crate) fn error(&mut self, session: usize, now_ns: u64, code: i32) {
        let _ = writeln!(self.lines, "error,{session},{},{code}", self.unix_us(now_ns));
    }

    /// Something else happened.
    pub(crate) fn note(&mut self, what: &str, session: usize, now_ns: u64) {
        let _ = writeln!(self.lines, "{what},{session},{}", self.unix_us(now_ns));
    }

    /// Writes all lines to a file.
    pub(crate) fn save(&self, file: &Path) -> Result<()> {
        std::fs::write(file, &self.lines)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn unix_us(&self, ns: u64) -> u64 {
        self.epoch_us + ns / 1000
    }
}
