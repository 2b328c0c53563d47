//! What the operating system lets the server have: files, memory, CPU, waiting connections.

use std::fs;

use rustix::process::{Resource, getrlimit};
use tenure_server::config::ServerConfig;

use super::finding::{Finding, Findings};

/// Fewer open files than this are used up by a few machines' clients.
const FEW_FILES: u64 = 1024;
/// With fewer, many thousands of clients do not fit.
const ENOUGH_FILES: u64 = 16_384;
const LITTLE_MEMORY_BYTES: u64 = 256 * 1024 * 1024;
/// A queue of waiting clients shorter than this drops them when all come back at once.
const SHORT_QUEUE: u64 = 1024;

pub(super) fn look(config: &ServerConfig) -> Vec<Finding> {
    let mut found = Findings::about("limits");
    files(config, &mut found);
    memory(&mut found);
    cpu(&mut found);
    let queue = number("/proc/sys/net/core/somaxconn");
    if let Some(queue) = queue.filter(|queue| *queue < SHORT_QUEUE) {
        found.warning(
            format!("net.core.somaxconn={queue}: a crowd that reconnects is made to try again"),
            "sysctl -w net.core.somaxconn=4096",
        );
    }
    found.into_list()
}

fn files(config: &ServerConfig, found: &mut Findings) {
    // The server raises the soft limit to this one.
    let Some(files) = getrlimit(Resource::Nofile).maximum else {
        return found.good("open files: no limit");
    };
    let wanted = u64::from(config.connections.max_total);
    let todo = "raise the limit of open files (LimitNOFILE of the unit, or ulimit -Hn)";
    let shown = format!("open files: {files}");
    match files {
        0..FEW_FILES => found.problem(shown, todo),
        _ if files < wanted => found.problem(format!("{shown}, but maxCnxns={wanted}"), todo),
        FEW_FILES..ENOUGH_FILES => found.warning(shown, todo),
        _ => found.good(shown),
    }
}

fn memory(found: &mut Findings) {
    let kib = |name: &str| {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let Some(available) = kib("MemAvailable").map(|kib| kib * 1024) else { return };
    let left_in_group = group_file("memory.max").and_then(|max| {
        let max: u64 = max.parse().ok()?;
        let used: u64 = group_file("memory.current")?.parse().ok()?;
        Some((max.saturating_sub(used), max))
    });
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let (left, shown) = match left_in_group {
        Some((left, max)) if left < available => {
            (left, format!("memory: {} MiB left of the group's {} MiB", mib(left), mib(max)))
        }
        _ => (available, format!("memory: {} MiB available", mib(available))),
    };
    match left < LITTLE_MEMORY_BYTES {
        true => found.warning(shown, "give it more: the whole tree is kept in memory"),
        false => found.good(shown),
    }
    if kib("SwapTotal").is_some_and(|kib| kib > 0) {
        found.warning(
            "swap is on: a server that is swapped out stands still",
            "switch it off (swapoff -a), or set vm.swappiness to 1",
        );
    }
}

fn cpu(found: &mut Findings) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let quota = group_file("cpu.max").and_then(|text| {
        let (quota, period) = text.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    match quota {
        Some(quota) if quota < 1.0 => found.warning(
            format!("CPU: {quota:.2} of one: the group is made to stand still when it is used up"),
            "allow one CPU at least, or no limit",
        ),
        Some(quota) => found.good(format!("CPU: {quota:.1}")),
        None => found.good(format!("CPU: {cpus}")),
    }
}

/// A file of this process's control group, or of the one that a container sees as the root.
fn group_file(name: &str) -> Option<String> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let own = own.trim_end_matches('/');
    let paths = [format!("/sys/fs/cgroup{own}/{name}"), format!("/sys/fs/cgroup/{name}")];
    let text = paths.iter().find_map(|path| fs::read_to_string(path).ok())?;
    Some(text.trim().to_owned())
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
