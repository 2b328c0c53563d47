//! Processor time of the servers and of this generator over a stretch of a workload.

use std::time::Instant;

use anyhow::Result;

use super::process::{Process, Processes};
use super::report::Report;

/// Readings at the begin of a stretch.
pub(crate) struct Meter {
    servers: Processes,
    server_us: Option<u64>,
    own_us: u64,
    begun: Instant,
}

/// What was spent between begin and end.
pub(crate) struct Spent {
    pub(crate) seconds: f64,
    /// Of all servers together; `None` if their processes are unknown.
    pub(crate) server_us: Option<u64>,
    pub(crate) client_us: u64,
}

impl Meter {
    pub(crate) fn begin(servers: Processes) -> Result<Meter> {
        let server_us = servers.cpu_us()?;
        let own_us = Process::own().cpu_us()?;
        Ok(Meter { servers, server_us, own_us, begun: Instant::now() })
    }

    pub(crate) fn end(&self) -> Result<Spent> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let now_us = self.servers.cpu_us()?;
        let server_us = now_us.zip(self.server_us).map(|(now, then)| now.saturating_sub(then));
        let client_us = Process::own().cpu_us()?.saturating_sub(self.own_us);
        Ok(Spent { seconds, server_us, client_us })
    }
}

impl Spent {
    /// Adds throughput and processor time per operation to a report.
    pub(crate) fn report(&self, operations: u64, report: &mut Report) {
        let count = operations.max(1) as f64;
        report.figure("seconds", self.seconds);
        report.figure("operations", operations as f64);
        report.figure("operations_per_second", operations as f64 / self.seconds);
        if let Some(server_us) = self.server_us {
            report.figure("server_cpu_us_per_operation", server_us as f64 / count);
        }
        report.figure("client_cpu_us_per_operation", self.client_us as f64 / count);
    }
}
