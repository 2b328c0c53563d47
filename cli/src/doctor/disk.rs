//! How long the disk of the log takes to sync: every write waits for that.

use tenure_server::config::ServerConfig;

use super::finding::{Finding, Findings};
use crate::bench::disk::measure;

/// Enough for a 99th percentile, and over in a second on most disks.
const SYNCS: usize = 200;
/// About what a few writes at once come to.
const BYTES: usize = 4096;

pub(super) fn look(config: &ServerConfig) -> Vec<Finding> {
    let mut found = Findings::about("disk");
    let wanted = config.data_log_dir.as_path();
    let folder = wanted.ancestors().find(|path| path.is_dir()).unwrap_or_else(|| ".".as_ref());
    let path = folder.join(format!(".tenure-doctor-{}", std::process::id()));
    let latency = match measure(&path, SYNCS, BYTES) {
        Ok(latency) => latency.percentiles(),
        Err(error) => {
            found.problem(
                format!("a sync in {} fails: {error}", folder.display()),
                "make room, or use another disk",
            );
            return found.into_list();
        }
    };
    let ms = |us: f64| us / 1000.0;
    let shown = format!(
        "fdatasync of {BYTES} bytes: median {:.2} ms, 99 of 100 within {:.2} ms, worst {:.2} ms",
        ms(latency.p50),
        ms(latency.p99),
        ms(latency.max)
    );
    let todo = "give the log a disk of its own (dataLogDir) that syncs fast, such as an SSD with \
                power-loss protection; see what else uses this one";
    let slow_warning = f64::from(config.durability.slow_sync_warning_ms);
    match (ms(latency.p50), ms(latency.p99)) {
        (_, p99) if p99 >= slow_warning => found.problem(shown, todo),
        (p50, p99) if p50 >= 10.0 || p99 >= 100.0 => found.warning(shown, todo),
        _ => found.good(shown),
    }
    if !config.durability.force_sync {
        found.note("forceSync=no: the server does not wait for this");
    }
    found.into_list()
}
