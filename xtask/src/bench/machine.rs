//! On what and when a measurement was made, as this program sees it.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{repository, zookeeper};

/// Machine, versions and date.
pub(crate) fn describe() -> Value {
    json!({
        "date": date(SystemTime::now()),
        "processor": field("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field("/proc/meminfo", "MemTotal"),
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "load_average_at_begin": first_line("/proc/loadavg"),
        "tenure": said_by("git", &["rev-parse", "--short", "HEAD"]),
        "zookeeper": zookeeper::VERSION,
        "java": said_by("java", &["--version"]),
    })
}

fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    value.unwrap_or("unknown").to_owned()
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(repository()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_default()
}

/// The day in UTC, as year-month-day.
fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut day = seconds / 86_400;
    let mut year = 1970;
    while day >= days_in(year) {
        day -= days_in(year);
        year += 1;
    }
    let february = if days_in(year) == 366 { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, day + 1)
}

fn days_in(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_named_across_leap_years() {
        for (seconds, wanted) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_798_675_200, "2026-12-31"),
        ] {
            assert_eq!(date(UNIX_EPOCH + Duration::from_secs(seconds)), wanted);
        }
    }

    #[test]
    fn this_machine_is_described() {
        let about = describe();
        assert!(about["cores"].as_u64().unwrap() > 0);
        assert_ne!(about["kernel"], "unknown");
    }
}
