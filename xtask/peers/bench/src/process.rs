//! What this process has used, as the system accounts for it.

use std::error::Error;

/// CPU time of all threads of this process, in seconds.
pub(crate) fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Resident memory in bytes.
pub(crate) fn resident_bytes() -> Result<f64, Box<dyn Error>> {
    Ok(status("VmRSS:")? * 1024.0)
}

/// Threads that there are now.
pub(crate) fn threads() -> Result<f64, Box<dyn Error>> {
    status("Threads:")
}

fn status(field: &str) -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let value = line.and_then(|line| line.split_whitespace().next());
    Ok(value.ok_or_else(|| format!("no {field} in /proc/self/status"))?.parse()?)
}

/// The middle of what was measured, or `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
