//! Keeps log lines that clients can cause at will from flooding the log.

use std::time::{Duration, Instant};

/// Lines let through per window.
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// A budget of log lines, renewed every second.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    window_start: Option<Instant>,
    lines: u32,
    suppressed: u32,
}

impl LogLimit {
    /// Whether a line may be written now: if so, how many like it stand for since the last one,
    /// itself included.
    pub(crate) fn allow(&mut self) -> Option<u32> {
        self.allow_at(Instant::now())
    }

    fn allow_at(&mut self, now: Instant) -> Option<u32> {
        let is_new = self.window_start.is_none_or(|start| now.duration_since(start) >= WINDOW);
        if is_new {
            self.window_start = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(1 + std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_ten_lines_a_second_through_and_counts_the_rest() {
        let mut limit = LogLimit::default();
        let start = Instant::now();
        let through = (0..25).filter(|_| limit.allow_at(start).is_some()).count();
        assert_eq!(through, 10);
        assert_eq!(limit.allow_at(start + WINDOW), Some(16));
        assert_eq!(limit.allow_at(start + WINDOW), Some(1));
    }
}
