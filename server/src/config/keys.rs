//! One line per key of `zoo.cfg`: its name, what it sets, and whether a bad value stops the start.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::DigestAlgorithm;
use super::pressure;
use super::read::Draft;
use super::settings::{AdminTrust, AuthProvider, LogLevel, WordList};
use tenure_wire::listen_host;
use tenure_wire::{Member, MemberRole};

/// One key and what it does.
pub(crate) struct Key {
    /// The name as upstream spells it.
    pub(crate) name: &'static str,
    /// What becomes of a value it cannot have.
    pub(crate) on_bad: OnBad,
    /// Puts a value into the draft; the error says what was expected.
    pub(crate) apply: Apply,
}

type Apply = fn(&mut Draft, &str) -> Result<(), String>;

/// What becomes of a value that a key cannot have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnBad {
    /// The server does not start: upstream's own parser refuses it too.
    Fail,
    /// The default stays, with a warning: upstream reads these as system properties, silently.
    Warn,
}

/// Applies one property. `None` if the key is not a known one.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Applies a key that carries a name or number of its own, such as `server.3`.
pub(crate) fn apply_numbered(draft: &mut Draft, key: &str, value: &str) -> Option<NumberedResult> {
    if let Some(id) = key.strip_prefix("server.") {
        return Some((OnBad::Fail, server(draft, id, value)));
    }
    if key.starts_with("authProvider.") {
        return Some((OnBad::Warn, auth_provider(draft, value)));
    }
    let pressure = match (key.strip_prefix("tenure.limits."), key.strip_prefix(STORM_PREFIX)) {
        (Some(rest), _) => pressure::apply_limit(&mut draft.config.limits, rest, value),
        (_, Some(rest)) => pressure::apply_storm(&mut draft.config.storm, rest, value),
        _ => None,
    };
    if let Some(outcome) = pressure {
        return Some((OnBad::Warn, outcome));
    }
    if TLS_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) || TLS_KEYS.contains(&key) {
        draft.config.tls.push((key.to_owned(), value.to_owned()));
        return Some((OnBad::Warn, Ok(())));
    }
    is_ignored(key).then_some((OnBad::Warn, Ok(())))
}

/// Whether a key is accepted without effect.
pub(crate) fn is_ignored(name: &str) -> bool {
    let is_listed =
        IGNORED.contains(&name) || IGNORED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    is_listed && find(name).is_none()
}

/// Whether a key's value is nobody's business. A path to a secret is none.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.trim_start().to_ascii_lowercase();
    !key.starts_with('#') && (key.ends_with("password") || key.ends_with("superdigest"))
}

/// How a bad value counts, and the outcome.
pub(crate) type NumberedResult = (OnBad, Result<(), String>);

/// The known key that a misspelt one most likely means.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let known = KEYS.iter().map(|key| key.name).chain(IGNORED.iter().copied());
    if name.is_empty() {
        return None;
    }
    known
        .filter(|known| known.len().abs_diff(name.len()) <= MAX_EDITS)
        // Few misspell the first letter, and most keys need no closer look.
        .filter(|known| known.as_bytes()[..1].eq_ignore_ascii_case(&name.as_bytes()[..1]))
        .map(|known| (edits(name, known), known))
        .filter(|&(edits, known)| edits <= MAX_EDITS.min(known.len() / 4))
        .min()
        .map(|(_, known)| known)
}

/// More edits than this make another word.
const MAX_EDITS: usize = 2;

/// Edits between two words, whose letters count the same in either case.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

const fn fail(name: &'static str, apply: Apply) -> Key {
    Key { name, on_bad: OnBad::Fail, apply }
}

const fn warn(name: &'static str, apply: Apply) -> Key {
    Key { name, on_bad: OnBad::Warn, apply }
}

/// Sets a place to a parsed value.
fn set<T>(place: &mut T, parsed: Result<T, String>) -> Result<(), String> {
    parsed.map(|value| *place = value)
}

static KEYS: &[Key] = &[
    fail("clientPort", |d, v| set(&mut d.client_port, port(v).map(Some))),
    fail("clientPortAddress", |d, v| set(&mut d.client_host, host(v).map(Some))),
    fail("secureClientPort", |d, v| set(&mut d.secure_client_port, port(v).map(Some))),
    fail("secureClientPortAddress", |d, v| set(&mut d.secure_client_host, host(v).map(Some))),
    fail("dataDir", |d, v| set(&mut d.data_dir, folder(v).map(Some))),
    fail("dataLogDir", |d, v| set(&mut d.data_log_dir, folder(v).map(Some))),
    fail("tickTime", |d, v| set(&mut d.config.tick_ms, number(v, 1..=MAX_TICK_MS))),
    fail("initLimit", |d, v| set(&mut d.config.ensemble.init_limit, some(number(v, 1..=MAX)))),
    fail("syncLimit", |d, v| set(&mut d.config.ensemble.sync_limit, some(number(v, 1..=MAX)))),
    // Negative bounds mean "as the tick has it", upstream's own sentinel.
    fail("minSessionTimeout", |d, v| set(&mut d.min_timeout_ms, unless_negative(v))),
    fail("maxSessionTimeout", |d, v| set(&mut d.max_timeout_ms, unless_negative(v))),
    fail("maxClientCnxns", |d, v| set(&mut d.config.connections.max_per_address, or_none(v))),
    warn("maxCnxns", |d, v| set(&mut d.config.connections.max_total, or_none(v))),
    fail("clientPortListenBacklog", |d, v| {
        set(&mut d.config.connections.listen_backlog, unless_negative(v))
    }),
    warn("4lw.commands.whitelist", |d, v| {
        d.config.four_letter_words = words(d, v);
        d.words_listed = true;
        Ok(())
    }),
    fail("autopurge.snapRetainCount", |d, v| {
        let kept = &mut d.config.snapshots.retain_count;
        set(kept, number(v, i64::MIN..=MAX).map(|n: i64| n.max(3) as u32))?;
        if v.parse().is_ok_and(|n: i64| n < 3) {
            d.notes.push("at least 3 snapshots are always kept".into());
        }
        Ok(())
    }),
    fail("autopurge.purgeInterval", |d, v| {
        set(&mut d.config.snapshots.purge_interval_ms, purge_interval(v))
    }),
    warn("snapCount", |d, v| {
        set(&mut d.config.snapshots.every_entries, number(v, i64::MIN..=MAX).map(at_least_two))
    }),
    // A key of our own: how far a member may lag before it is sent a snapshot.
    warn("tenure.logTailEntries", |d, v| {
        set(&mut d.config.snapshots.log_tail_entries, number(v, 0..=MAX))
    }),
    warn("snapSizeLimitInKb", |d, v| set(&mut d.config.snapshots.every_log_kib, unless_zero(v))),
    warn("snapshot.trust.empty", |d, v| set(&mut d.config.snapshots.trust_empty, boolean(v))),
    warn("preAllocSize", |d, v| set(&mut d.config.durability.preallocate_kib, number(v, 0..=MAX))),
    warn("txnLogSizeLimitInKb", |d, v| {
        set(&mut d.config.durability.log_size_limit_kib, unless_zero(v))
    }),
    warn("forceSync", |d, v| {
        d.config.durability.force_sync = v != "no";
        if v == "no" {
            d.notes.push("acknowledged writes can be lost with the machine".into());
        }
        only_yes_or_no(v)
    }),
    warn("fsync.warningthresholdms", |d, v| {
        set(&mut d.config.durability.slow_sync_warning_ms, number(v, 0..=MAX))
    }),
    fail("client.portUnification", |d, v| {
        set(&mut d.config.connections.port_unification, boolean(v))
    }),
    warn("globalOutstandingLimit", |d, v| {
        set(&mut d.config.connections.max_outstanding, number(v, 1..=MAX))
    }),
    warn("jute.maxbuffer", |d, v| {
        set(&mut d.config.connections.max_frame_bytes, number(v, 1024..=MAX))
    }),
    warn("request_throttle_max_requests", throttle_limit),
    warn("requestThrottleLimit", throttle_limit),
    warn("throttledOpWaitTime", throttled_op_wait),
    warn("throttled_op_wait_time", throttled_op_wait),
    warn("largeRequestThreshold", |d, v| {
        set(&mut d.config.connections.large_request_threshold_bytes, unless_zero(v))
    }),
    warn("largeRequestMaxBytes", |d, v| {
        set(&mut d.config.connections.large_requests_max_bytes, number(v, 1..=MAX))
    }),
    warn("nio.sessionlessCnxnTimeout", |d, v| {
        set(&mut d.config.connections.sessionless_timeout_ms, number(v, 1..=MAX))
    }),
    warn("enforceQuota", |d, v| set(&mut d.config.tree.enforce_quota, boolean(v))),
    warn("extendedTypesEnabled", |d, v| set(&mut d.config.tree.extended_types, boolean(v))),
    warn("znode.container.checkIntervalMs", |d, v| {
        set(&mut d.config.tree.container_check_interval_ms, number(v, 1..=MAX))
    }),
    warn("znode.container.maxPerMinute", |d, v| {
        set(&mut d.config.tree.container_max_per_minute, number(v, 1..=MAX))
    }),
    warn("znode.container.maxNeverUsedIntervalMs", |d, v| {
        set(&mut d.config.tree.container_max_never_used_ms, number(v, 0..=i64::MAX))
    }),
    fail("reconfigEnabled", |d, v| set(&mut d.config.tree.reconfig, boolean(v))),
    warn("readonlymode.enabled", |d, v| set(&mut d.config.tree.read_only_mode, boolean(v))),
    fail("localSessionsEnabled", |d, v| set(&mut d.config.sessions.local, boolean(v))),
    fail("localSessionsUpgradingEnabled", |d, v| {
        set(&mut d.config.sessions.local_upgrading, boolean(v))
    }),
    warn("skipACL", |d, v| {
        d.config.auth.skip_acl = v == "yes";
        if v == "yes" {
            d.notes.push("access control lists are not checked".into());
        }
        only_yes_or_no(v)
    }),
    warn("DigestAuthenticationProvider.superDigest", |d, v| {
        let formed =
            v.split_once(':').is_some_and(|(user, hash)| user == "super" && !hash.is_empty());
        d.config.auth.super_digest = formed.then(|| v.to_owned());
        formed.then_some(()).ok_or_else(|| "super:<base64 of the hash of super:password>".into())
    }),
    warn("DigestAuthenticationProvider.enabled", |d, v| {
        set(&mut d.config.auth.digest_disabled, boolean(v).map(|enabled| !enabled))
    }),
    fail("DigestAuthenticationProvider.digestAlg", |d, v| {
        set(&mut d.config.auth.digest, digest_algorithm(v))
    }),
    warn("X509AuthenticationProvider.superUser", |d, v| {
        d.config.auth.x509_super_user = Some(v.to_owned());
        Ok(())
    }),
    warn("superUser", |d, v| {
        d.config.auth.sasl_super_user = Some(v.to_owned());
        Ok(())
    }),
    fail("java.security.auth.login.config", |d, v| {
        let text = std::fs::read_to_string(v);
        let read = text.map_err(|e| format!("a readable JAAS login configuration ({e})"));
        set(&mut d.config.auth.sasl_users, read.map(|text| super::jaas::users(&text)))
    }),
    // Whoever misspells these must not believe that strangers are kept out.
    fail("enforce.auth.enabled", |d, v| set(&mut d.config.auth.enforced, boolean(v))),
    fail("enforce.auth.schemes", |d, v| {
        let schemes = comma_list(v).map(str::to_owned).collect();
        set(&mut d.config.auth.enforced_schemes, Ok(schemes))
    }),
    fail("sessionRequireClientSASLAuth", |d, v| set(&mut d.config.auth.require_sasl, boolean(v))),
    warn("allowSaslFailedClients", |d, v| set(&mut d.config.auth.allow_sasl_failed, boolean(v))),
    warn("fips-mode", |d, v| set(&mut d.config.auth.fips, some(boolean(v)))),
    warn("admin.enableServer", |d, v| set(&mut d.config.admin.enabled, boolean(v))),
    warn("admin.serverAddress", |d, v| set(&mut d.config.admin.listen.host, host(v))),
    warn("admin.serverPort", |d, v| set(&mut d.config.admin.listen.port, port(v))),
    warn("admin.commandURL", |d, v| set(&mut d.config.admin.command_url, url_path(v))),
    warn("admin.idleTimeout", |d, v| set(&mut d.config.admin.idle_timeout_ms, number(v, 1..=MAX))),
    warn("admin.snapshot.enabled", |d, v| set(&mut d.config.admin.snapshot, boolean(v))),
    warn("admin.rateLimiterIntervalInMS", |d, v| {
        set(&mut d.config.admin.snapshot_interval_ms, number(v, 0..=MAX))
    }),
    // A key of our own: upstream cannot close sessions over HTTP.
    warn("tenure.admin.closeSessions", |d, v| set(&mut d.config.admin.close_sessions, boolean(v))),
    // Another: the reference server asks for an identity in two commands only.
    fail("tenure.admin.trust", |d, v| set(&mut d.config.admin.trust, admin_trust(v))),
    // Whoever wants no plain HTTP must not get it for a spelling mistake.
    fail("admin.forceHttps", |d, v| set(&mut d.config.admin.force_https, boolean(v))),
    fail("admin.portUnification", |d, v| set(&mut d.config.admin.port_unification, boolean(v))),
    fail("admin.needClientAuth", |d, v| set(&mut d.config.admin.need_client_auth, boolean(v))),
    warn("admin.restore.enabled", |d, v| set(&mut d.config.admin.restore, boolean(v))),
    // A key of our own: upstream has a file for its logging library.
    warn("tenure.logLevel", |d, v| set(&mut d.config.log_level, some(log_level(v)))),
    warn("metricsProvider.className", metrics_provider),
    warn("metricsProvider.httpHost", |d, v| set(&mut d.prometheus.host, host(v))),
    fail("metricsProvider.httpPort", |d, v| set(&mut d.prometheus.port, port(v))),
    warn("metricsProvider.exportJvmInfo", |d, v| {
        set(&mut d.config.metrics.process_info, boolean(v))
    }),
    fail("dynamicConfigFile", |d, v| {
        set(&mut d.config.ensemble.dynamic_config_file, some(folder(v)))
    }),
    fail("standaloneEnabled", |d, v| set(&mut d.config.ensemble.standalone_enabled, boolean(v))),
    warn("leaderServes", |d, v| set(&mut d.config.ensemble.leader_serves, boolean(v))),
    fail("peerType", |d, v| {
        let role = MemberRole::parse(v).ok_or_else(|| "participant or observer".into());
        set(&mut d.config.ensemble.peer_type, role)
    }),
    fail("sslQuorum", |d, v| set(&mut d.config.ensemble.tls, boolean(v))),
    fail("portUnification", |d, v| set(&mut d.config.ensemble.tls_unification, boolean(v))),
    fail("electionAlg", |_, v| match v {
        "3" => Ok(()),
        _ => Err("3, the only algorithm there is".into()),
    }),
    // Whoever wants an audit log must not be without one for a spelling mistake.
    fail("audit.enable", |d, v| set(&mut d.config.audit.enabled, boolean(v))),
    fail("tenure.audit.file", |d, v| set(&mut d.config.audit.file, some(folder(v)))),
    fail("tenure.audit.maxFileSize", |d, v| {
        let mib: Result<u64, String> = number(v, 1..=MAX);
        set(&mut d.config.audit.max_file_bytes, mib.map(|mib| mib << 20))
    }),
    fail("tenure.audit.maxFiles", |d, v| set(&mut d.config.audit.max_files, number(v, 1..=1000))),
];

const STORM_PREFIX: &str = "connection_throttle_";

/// Kept as written: TLS settings are read when the TLS listener starts.
const TLS_PREFIXES: [&str; 2] = ["ssl.", "quorum.auth."];
const TLS_KEYS: [&str; 2] = ["client.certReload", "sslQuorumReloadCertFiles"];

/// Settings of machinery that this server does not have, accepted in silence: threads, caches,
/// transport details and old algorithms of the reference server.
const IGNORED: &[&str] = &[
    "requestThrottleStallTime",
    "requestThrottleDropStale",
    "request_throttle_stall_time",
    "request_throttle_drop_stale",
    "commitLogCount",
    "maxResponseCacheSize",
    "maxGetChildrenResponseCacheSize",
    "observerMasterPort",
    "syncEnabled",
    "quorumListenOnAllIPs",
    "cnxTimeout",
    "quorumCnxnTimeoutMs",
    "electionPortBindRetry",
    "tcpKeepAlive",
    "connectToLearnerMasterLimit",
    "enableEagerACLCheck",
    "emulate353TTLNodes",
    "closeSessionTxn.enabled",
    "digest.enabled",
    "snapshot.compression.method",
    "serializeLastProcessedZxid.enabled",
    "serverCnxnFactory",
    "maxBatchSize",
    "flushDelay",
    "maxWriteQueuePollTime",
    "watchManagerName",
    "oraclePath",
    "learner.asyncSending",
    "learner.closeSocketAsync",
    "leader.closeSocketAsync",
    "leader.nodelay",
    "follower.nodelay",
    "admin.rateLimiterIntervalInMS",
    "jmx.log4j.disable",
];
const IGNORED_PREFIXES: &[&str] = &[
    "group.",
    "weight.",
    "multiAddress.",
    "kerberos.",
    "nio.",
    "netty.",
    "commitProcessor.",
    "watcherClean",
    "jvm.pause.monitor",
    "fastleader.",
    "fastleader_",
    "java.",
    "sun.",
    "metricsProvider.",
];

const MAX: i64 = i32::MAX as i64;
/// Twenty ticks, the longest session timeout, must fit the protocol's signed 32-bit milliseconds.
const MAX_TICK_MS: i64 = MAX / 20;

/// Decimal, or hexadecimal after `0x`, inside a range.
fn number<T: TryFrom<i64>>(text: &str, range: RangeInclusive<i64>) -> Result<T, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|n| range.contains(n)).and_then(|n| T::try_from(n).ok()).ok_or_else(
        || match (*range.start(), *range.end()) {
            (i64::MIN, _) => String::from("a whole number"),
            (low, MAX | i64::MAX) => format!("a whole number, at least {low}"),
            (low, high) => format!("a whole number from {low} to {high}"),
        },
    )
}

fn some<T>(parsed: Result<T, String>) -> Result<Option<T>, String> {
    parsed.map(Some)
}

/// A negative number stands for "not set".
pub(super) fn unless_negative(text: &str) -> Result<Option<u32>, String> {
    number(text, i64::MIN..=MAX).map(|n: i64| u32::try_from(n).ok())
}

/// Zero and below stand for "not set".
fn unless_zero(text: &str) -> Result<Option<u32>, String> {
    Ok(unless_negative(text)?.filter(|&n| n > 0))
}

/// Zero and below stand for "no bound", which the settings write as 0.
pub(super) fn or_none(text: &str) -> Result<u32, String> {
    Ok(unless_negative(text)?.unwrap_or(0))
}

fn at_least_two(n: i64) -> u32 {
    u32::try_from(n.max(2)).unwrap_or(u32::MAX)
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        _ => Err("true or false".into()),
    }
}

fn only_yes_or_no(text: &str) -> Result<(), String> {
    match text {
        "yes" | "no" => Ok(()),
        _ => Err("yes or no".into()),
    }
}

fn port(text: &str) -> Result<u16, String> {
    number(text, 0..=65_535).map_err(|_| "a port number, 0 to 65535".into())
}

fn host(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("a host name or IP address".into());
    }
    Ok(listen_host(text))
}

fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("a path".into());
    }
    Ok(PathBuf::from(text))
}

fn url_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    if path.starts_with('/') && path.bytes().all(plain) {
        return Ok(path.to_owned());
    }
    Err("a URL path that starts with /".into())
}

fn comma_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn words(draft: &mut Draft, text: &str) -> WordList {
    if comma_list(text).any(|word| word == "*") {
        return WordList::All;
    }
    for word in comma_list(text).filter(|word| word.len() != 4) {
        draft.notes.push(format!("{word:?} is not a four-letter word"));
    }
    WordList::Only(comma_list(text).map(str::to_owned).collect())
}

/// Hours, or a number with a unit: `30m`, `12h`, `1d`.
fn purge_interval(text: &str) -> Result<Option<u64>, String> {
    const UNITS: [(&str, i64); 5] =
        [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let unit = UNITS.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (digits, unit_ms) = match unit {
        Some((suffix, ms)) => (text.trim_end_matches(suffix), *ms),
        None => (text, 3_600_000),
    };
    let count: i64 = number(digits.trim(), i64::MIN..=MAX)
        .map_err(|_| "a number of hours, or a number with ms, s, m, h or d")?;
    Ok(u64::try_from(count.saturating_mul(unit_ms)).ok().filter(|&ms| ms > 0))
}

fn admin_trust(text: &str) -> Result<AdminTrust, String> {
    match text {
        "local" => Ok(AdminTrust::Local),
        "all" => Ok(AdminTrust::All),
        "nobody" => Ok(AdminTrust::Nobody),
        _ => Err("local, all or nobody".into()),
    }
}

fn digest_algorithm(text: &str) -> Result<DigestAlgorithm, String> {
    match text.to_ascii_uppercase().as_str() {
        "SHA1" | "SHA-1" | "SHA" => Ok(DigestAlgorithm::Sha1),
        "SHA256" | "SHA-256" => Ok(DigestAlgorithm::Sha256),
        "SHA384" | "SHA-384" => Ok(DigestAlgorithm::Sha384),
        "SHA512" | "SHA-512" => Ok(DigestAlgorithm::Sha512),
        _ => Err("SHA1, SHA-256, SHA-384 or SHA-512".into()),
    }
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "error" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        _ => Err("error, warn, info, debug or trace".into()),
    }
}

fn throttle_limit(draft: &mut Draft, text: &str) -> Result<(), String> {
    set(&mut draft.config.connections.throttle_limit, or_none(text))
}

fn throttled_op_wait(draft: &mut Draft, text: &str) -> Result<(), String> {
    set(&mut draft.config.connections.throttled_op_wait_ms, or_none(text))
}

fn metrics_provider(draft: &mut Draft, class: &str) -> Result<(), String> {
    match class.rsplit('.').next() {
        Some("PrometheusMetricsProvider") => draft.prometheus_named = true,
        Some("DefaultMetricsProvider" | "NullMetricsProvider") => {}
        _ => return Err("the class name of the Prometheus or the default provider".into()),
    }
    Ok(())
}

fn server(draft: &mut Draft, id: &str, value: &str) -> Result<(), String> {
    let id: u64 = id.parse().map_err(|_| "server.<number>")?;
    let member = Member::parse(id, value).ok_or(
        "host:quorumPort:electionPort[:participant|observer][;[clientAddress:]clientPort] \
         with two different ports",
    )?;
    let members = &mut draft.config.ensemble.members;
    members.retain(|m| m.id != id);
    members.push(member);
    members.sort_by_key(|m| m.id);
    Ok(())
}

fn auth_provider(draft: &mut Draft, class: &str) -> Result<(), String> {
    let provider = match class.rsplit('.').next().unwrap_or(class) {
        "SASLAuthenticationProvider" => AuthProvider::Sasl,
        "X509AuthenticationProvider" => AuthProvider::X509,
        "EnsembleAuthenticationProvider" => AuthProvider::Ensemble,
        // These three are always there.
        "DigestAuthenticationProvider"
        | "IPAuthenticationProvider"
        | "KeyAuthenticationProvider" => {
            return Ok(());
        }
        _ => AuthProvider::Unknown { class: class.to_owned() },
    };
    if let AuthProvider::Unknown { .. } = provider {
        draft.notes.push(format!("no such scheme here: {class}; the others still work"));
    }
    draft.config.auth.providers.push(provider);
    Ok(())
}
