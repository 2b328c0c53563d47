//! The machine and process as `envi` tells them.

use std::env;
use std::fs;

use super::version::version;

/// Names and values, in the order of the reference server; what only a Java process has is left
/// out.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let kernel = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    let variable = |name| env::var(name).unwrap_or_else(|_| String::from("unknown"));
    let folder = env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    vec![
        ("zookeeper.version", version()),
        ("host.name", kernel("hostname")),
        ("os.name", os_name().to_owned()),
        ("os.arch", arch().to_owned()),
        ("os.version", kernel("osrelease")),
        ("user.name", variable("USER")),
        ("user.home", variable("HOME")),
        ("user.dir", folder),
        ("os.memory.free", megabytes(&memory, "MemFree:")),
        ("os.memory.max", megabytes(&memory, "MemAvailable:")),
        ("os.memory.total", megabytes(&memory, "MemTotal:")),
        ("tenure.version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

/// The name as Java spells it.
fn os_name() -> &'static str {
    match env::consts::OS {
        "linux" => "Linux",
        "macos" => "Mac OS X",
        other => other,
    }
}

/// The name as Java spells it.
fn arch() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

fn megabytes(meminfo: &str, name: &str) -> String {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    format!("{}MB", kib / 1024)
}
