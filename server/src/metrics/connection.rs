//! What is counted about one client connection; small, because there are very many of them.

use tenure_wire::{OpCode, Xid, Zxid};

/// Counted since the connection was accepted or the last `crst`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// The last request answered, if any.
    pub last: Option<Done>,
    last_xid: Option<Xid>,
    answered: u64,
    sum_us: u64,
    min_us: u64,
    max_us: u64,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its operation.
    pub op: OpCode,
    /// Its number; negative for pings and such, 0 for the handshake.
    pub xid: Xid,
    /// The zxid in its reply.
    pub zxid: Zxid,
    /// When its reply was queued, on the server's monotonic clock.
    pub at_mono_ms: u64,
    /// From frame read to reply queued.
    pub latency_us: u64,
}

impl ConnectionStats {
    /// A request was answered.
    pub fn request_done(&mut self, done: Done) {
        self.min_us =
            if self.answered == 0 { done.latency_us } else { self.min_us }.min(done.latency_us);
        self.max_us = self.max_us.max(done.latency_us);
        self.sum_us += done.latency_us;
        self.answered += 1;
        if done.xid.0 >= 0 {
            self.last_xid = Some(done.xid);
        }
        self.last = Some(done);
    }

    /// Starts all over, as `crst` asks.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Number of the last request that the client numbered itself.
    pub fn last_xid(&self) -> Option<Xid> {
        self.last_xid
    }

    /// Latency of the last request in whole milliseconds.
    pub fn last_latency_ms(&self) -> u64 {
        self.last.map_or(0, |done| done.latency_us / 1000)
    }

    /// Least latency in whole milliseconds.
    pub fn min_latency_ms(&self) -> u64 {
        self.min_us / 1000
    }

    /// Mean latency in whole milliseconds.
    pub fn avg_latency_ms(&self) -> u64 {
        self.sum_us.checked_div(self.answered).unwrap_or(0) / 1000
    }

    /// Greatest latency in whole milliseconds.
    pub fn max_latency_ms(&self) -> u64 {
        self.max_us / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies() {
        let mut stats = ConnectionStats::default();
        assert_eq!((stats.min_latency_ms(), stats.avg_latency_ms()), (0, 0));
        for latency_us in [5000, 2000, 8999] {
            let (op, xid) = (OpCode::GetData, Xid(1));
            stats.request_done(Done { op, xid, zxid: Zxid(1), at_mono_ms: 1, latency_us });
        }
        assert_eq!(stats.last_latency_ms(), 8);
        assert_eq!(stats.min_latency_ms(), 2);
        assert_eq!(stats.avg_latency_ms(), 5);
        assert_eq!(stats.max_latency_ms(), 8);
        stats.reset();
        assert_eq!(stats, ConnectionStats::default());
    }
}
