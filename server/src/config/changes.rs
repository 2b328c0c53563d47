//! What another configuration changes about a running server, and what of that needs a restart.

use std::collections::BTreeMap;

use super::keys;
use super::properties;

/// Keys whose new values count without a restart. The driver takes their values from the new
/// configuration.
const LIVE: [&str; 14] = [
    "4lw.commands.whitelist",
    "fsync.warningthresholdms",
    "globalOutstandingLimit",
    "jute.maxbuffer",
    "maxClientCnxns",
    "maxCnxns",
    "maxSessionTimeout",
    "minSessionTimeout",
    "nio.sessionlessCnxnTimeout",
    "requestThrottleLimit",
    "request_throttle_max_requests",
    "tenure.logLevel",
    "throttledOpWaitTime",
    "throttled_op_wait_time",
];

/// The same for all keys that begin so,
const LIVE_PREFIXES: [&str; 2] = ["connection_throttle_", "tenure.limits."];

/// but for these: the ensemble keeps them, or they were counted from the start.
const RESTART_PREFIXES: [&str; 3] =
    ["tenure.limits.ephemerals.", "tenure.limits.sessions.", "tenure.limits.znodes."];

/// Keys with other values than before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that count from now on, with their old and new values.
    pub applied: Vec<String>,
    /// Those whose old values count until a restart. What they are may be secret.
    pub needs_restart: Vec<String>,
}

/// Compares the text of a configuration with the one that the server started with, and, for what
/// can be changed while it runs, with the last one that it read.
pub(crate) fn changes(started: &str, last: &str, new: &str) -> Changes {
    let (started, last, new) = (values(started), values(last), values(new));
    let mut changes = Changes::default();
    for key in new.keys().chain(last.keys()).chain(started.keys()) {
        let (before, after) = match is_live(key) {
            true => (last.get(key), new.get(key)),
            false => (started.get(key), new.get(key)),
        };
        let list = match is_live(key) {
            _ if before == after || keys::is_ignored(key) => continue,
            true => &mut changes.applied,
            false => &mut changes.needs_restart,
        };
        let shown = |value: Option<&String>| value.map_or("unset".to_owned(), String::clone);
        list.push(match is_live(key) {
            true => format!("{key} ({} -> {})", shown(before), shown(after)),
            false => key.clone(),
        });
    }
    for list in [&mut changes.applied, &mut changes.needs_restart] {
        list.sort_unstable();
        list.dedup();
    }
    changes
}

fn is_live(key: &str) -> bool {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    LIVE.contains(&key) || begins(&LIVE_PREFIXES) && !begins(&RESTART_PREFIXES)
}

/// Keys and values, without the prefix that some write; the last of several counts.
fn values(text: &str) -> BTreeMap<String, String> {
    let pairs = properties::parse(text).unwrap_or_default().into_iter().map(|property| {
        let bare = property.key.strip_prefix("zookeeper.").unwrap_or(&property.key);
        (bare.to_owned(), property.value)
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_at_once_is_told_from_what_needs_a_restart() {
        let started = "dataDir=/d\nmaxClientCnxns=60\nsuperUser=a\nsnapCount=5\ncnxTimeout=1";
        let new = "dataDir=/d\nzookeeper.maxClientCnxns=7\nsuperUser=b\ncnxTimeout=2\n\
                   tenure.logLevel=debug";
        let found = changes(started, started, new);
        assert_eq!(found.applied, ["maxClientCnxns (60 -> 7)", "tenure.logLevel (unset -> debug)"]);
        assert_eq!(found.needs_restart, ["snapCount", "superUser"]);
        let limits = "tenure.limits.watches.total=5\ntenure.limits.sessions.total=5\n\
                      connection_throttle_tokens=9";
        let found = changes("", "", limits);
        assert_eq!(found.applied.len(), 2, "{found:?}");
        assert_eq!(found.needs_restart, ["tenure.limits.sessions.total"]);
        let found = changes(started, started, new);
        // What was applied is old news the next time; what waits for a restart still does.
        let again = changes(started, new, new);
        assert_eq!((again.applied.len(), again.needs_restart), (0, found.needs_restart));
        assert_eq!(changes(started, new, started).needs_restart.len(), 0);
        assert_eq!(changes(started, started, started), Changes::default());
    }
}
