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
        ("user.name", user_name().unwrap_or_else(|| variable("USER"))),
        ("user.home", variable("HOME")),
        ("user.dir", folder),
        ("os.memory.free", megabytes(&memory, "MemFree:")),
        ("os.memory.max", megabytes(&memory, "MemAvailable:")),
        ("os.memory.total", megabytes(&memory, "MemTotal:")),
        ("tenure.version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

/// The name that the system's list of users has for this process, which services often run without
/// in their environment.
fn user_name() -> Option<String> {
    let id = rustix::process::geteuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2) == Some(&id.as_str())).map(|fields| fields[0].to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_known_on_this_machine() {
        let all = environment();
        let value = |name| &all.iter().find(|(n, _)| *n == name).expect(name).1;
        assert!(value("zookeeper.version").starts_with("3.9.5-tenure-"));
        assert!(value("os.memory.total").trim_end_matches("MB").parse::<u64>().unwrap() > 0);
        for name in ["host.name", "os.name", "os.arch", "os.version", "user.name", "user.dir"] {
            assert!(!value(name).is_empty() && value(name) != "unknown", "{name}");
        }
        assert_eq!(megabytes("MemFree:   2048 kB\n", "MemFree:"), "2MB");
        assert_eq!(megabytes("", "MemFree:"), "0MB");
    }
}
