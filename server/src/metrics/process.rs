//! Numbers about this process that the operating system keeps: descriptors, memory, CPU time.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// What the operating system says about this process; 0 where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessInfo {
    /// Open file descriptors.
    pub open_files: u64,
    /// Open file descriptors allowed.
    pub max_files: u64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Mapped memory.
    pub virtual_bytes: u64,
    /// CPU time spent, user and system.
    pub cpu_seconds: f64,
}

impl ProcessInfo {
    /// Reads the numbers; a handful of system calls.
    pub fn read() -> Self {
        let page_bytes = rustix::param::page_size() as u64;
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let mut pages = statm.split(' ').map(|n| n.parse::<u64>().unwrap_or(0) * page_bytes);
        let virtual_bytes = pages.next().unwrap_or(0);
        let resident_bytes = pages.next().unwrap_or(0);
        Self {
            open_files: open_files(),
            max_files: getrlimit(Resource::Nofile).current.unwrap_or(0),
            resident_bytes,
            virtual_bytes,
            cpu_seconds: cpu_seconds().unwrap_or(0.0),
        }
    }
}

/// Newer kernels tell the number as the folder's size; older ones must be counted, which takes
/// milliseconds with very many connections.
fn open_files() -> u64 {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).map(|folder| folder.len()) {
        Ok(count) if count > 0 => count,
        _ => fs::read_dir(FOLDER).map_or(0, |entries| entries.count() as u64),
    }
}

/// The sum of fields 14 and 15 of the stat line; field 2, the name, may hold blanks itself.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_this_process_are_plausible() {
        let info = ProcessInfo::read();
        assert!(info.open_files >= 3 && info.open_files <= info.max_files, "{info:?}");
        assert!(info.resident_bytes > 100_000, "{info:?}");
        assert!(info.virtual_bytes >= info.resident_bytes, "{info:?}");
        assert!(info.cpu_seconds >= 0.0 && info.cpu_seconds < 1e6, "{info:?}");
    }
}
