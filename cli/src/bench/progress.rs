//! One line on the screen, rewritten once a second; silent when nobody watches.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows how far a workload is, on standard error, if that is a terminal.
pub(crate) struct Progress {
    terminal: bool,
    last: Instant,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { terminal: std::io::stderr().is_terminal(), last: Instant::now() }
    }

    /// Shows the line that `say` makes, unless the last one is younger than a second.
    pub(crate) fn tick(&mut self, say: impl FnOnce() -> String) {
        if !self.terminal || self.last.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.last = Instant::now();
        // A screen that cannot be written to is no reason to stop measuring.
        let _ = write!(std::io::stderr(), "\r\x1b[K{}", say());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
