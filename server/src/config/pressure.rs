//! Settings for times when there is more to do than the server can: limits per tenant and in all
//! (`tenure.limits.*`), and what a storm of connections may take (`connection_throttle_*`).

/// A limit for each address, for each proven identity, and in all; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// For the clients of one address.
    pub per_address: u32,
    /// For the clients of one identity.
    pub per_identity: u32,
    /// For all of them.
    pub total: u32,
}

impl Limit {
    /// Whether there is any.
    pub fn is_set(self) -> bool {
        self != Self::default()
    }
}

/// How much tenants may use. Nothing is limited unless it is configured, but memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// Open connections. Those of an address and all have ZooKeeper's keys `maxClientCnxns` and
    /// `maxCnxns`; more of an identity are closed.
    pub connections: Limit,
    /// Live sessions. Who asks for one more is sent away. The limit in all is the ensemble's, the
    /// others each server's.
    pub sessions: Limit,
    /// Requests that wait for an answer; beyond, connections are left unread. The limit in all is
    /// `globalOutstandingLimit`.
    pub outstanding: Limit,
    /// Bytes of answers and notifications not sent yet, in KiB; beyond, connections are left
    /// unread.
    pub unsent_kib: Limit,
    /// Watched paths, counted once per connection; one more fails.
    pub watches: Limit,
    /// Requests per second, with a second's worth saved up; beyond, connections are left unread.
    pub requests_per_second: Limit,
    /// Znodes of the ensemble; the request that makes one more fails. 0 for no limit.
    pub znodes: u32,
    /// Ephemeral znodes of one session; the request that makes one more fails. 0 for no limit.
    pub session_ephemerals: u32,
    /// Memory, beyond which writes that need more fail.
    pub memory: MemoryLimit,
}

/// How much memory the server may have before it refuses writes that need more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Never.
    None,
    /// This many bytes.
    Bytes(u64),
    /// Percent of what the control group, or the machine, has.
    Percent(u8),
}

impl Default for MemoryLimit {
    /// Late enough to surprise nobody, and before the kernel ends the process.
    fn default() -> Self {
        Self::Percent(90)
    }
}

/// A bucket of tokens for handshakes, as in ZooKeeper: it loses some with each connection that asks
/// for a session, and is filled again at a steady pace. Who finds too few is closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StormSettings {
    /// How many the bucket holds (`connection_throttle_tokens`); 0 for no throttling.
    pub tokens: u32,
    /// How often it is filled (`connection_throttle_fill_time`).
    pub fill_time_ms: u32,
    /// With how many (`connection_throttle_fill_count`).
    pub fill_count: u32,
    /// How often the chance of being turned away changes (`connection_throttle_freeze_time`);
    /// `None` for no such chance while there are tokens.
    pub freeze_time_ms: Option<u32>,
    /// By how much it grows when the bucket is empty (`connection_throttle_drop_increase`).
    pub drop_increase: f64,
    /// By how much it shrinks when it is not (`connection_throttle_drop_decrease`).
    pub drop_decrease: f64,
    /// How full the bucket is for that (`connection_throttle_decrease_ratio`).
    pub decrease_ratio: f64,
    /// Connections take tokens by what they ask for; otherwise one each
    /// (`connection_throttle_weight_enabled`).
    pub weighted: bool,
    /// Tokens for a session of the ensemble (`connection_throttle_global_session_weight`).
    pub global_weight: u32,
    /// For one that was there before (`connection_throttle_renew_session_weight`).
    pub renew_weight: u32,
    /// For one of this server alone (`connection_throttle_local_session_weight`).
    pub local_weight: u32,
}

impl Default for StormSettings {
    fn default() -> Self {
        Self {
            tokens: 0,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            weighted: false,
            global_weight: 3,
            renew_weight: 2,
            local_weight: 1,
        }
    }
}

/// Applies what follows `tenure.limits.` in a key; `None` if there is no such key.
pub(super) fn apply_limit(
    limits: &mut LimitSettings,
    key: &str,
    value: &str,
) -> Option<Result<(), String>> {
    let set = |place: &mut u32| super::keys::or_none(value).map(|number| *place = number);
    Some(match key {
        "connections.perIdentity" => set(&mut limits.connections.per_identity),
        "sessions.perAddress" => set(&mut limits.sessions.per_address),
        "sessions.perIdentity" => set(&mut limits.sessions.per_identity),
        "sessions.total" => set(&mut limits.sessions.total),
        "outstandingRequests.perAddress" => set(&mut limits.outstanding.per_address),
        "outstandingRequests.perIdentity" => set(&mut limits.outstanding.per_identity),
        "unsentKiB.perAddress" => set(&mut limits.unsent_kib.per_address),
        "unsentKiB.perIdentity" => set(&mut limits.unsent_kib.per_identity),
        "unsentKiB.total" => set(&mut limits.unsent_kib.total),
        "watches.perAddress" => set(&mut limits.watches.per_address),
        "watches.perIdentity" => set(&mut limits.watches.per_identity),
        "watches.total" => set(&mut limits.watches.total),
        "requestsPerSecond.perAddress" => set(&mut limits.requests_per_second.per_address),
        "requestsPerSecond.perIdentity" => set(&mut limits.requests_per_second.per_identity),
        "requestsPerSecond.total" => set(&mut limits.requests_per_second.total),
        "znodes.total" => set(&mut limits.znodes),
        "ephemerals.perSession" => set(&mut limits.session_ephemerals),
        "memory" => memory(value).map(|memory| limits.memory = memory),
        _ => return None,
    })
}

/// Applies what follows `connection_throttle_` in a key; `None` if there is no such key.
pub(super) fn apply_storm(
    storm: &mut StormSettings,
    key: &str,
    value: &str,
) -> Option<Result<(), String>> {
    let whole = |place: &mut u32| super::keys::or_none(value).map(|number| *place = number);
    let share = |place: &mut f64| match value.parse() {
        Ok(number) if (0.0..=1.0).contains(&number) => {
            *place = number;
            Ok(())
        }
        _ => Err(String::from("a number from 0 to 1")),
    };
    Some(match key {
        "tokens" => whole(&mut storm.tokens),
        "fill_time" => whole(&mut storm.fill_time_ms),
        "fill_count" => whole(&mut storm.fill_count),
        "freeze_time" => super::keys::unless_negative(value).map(|ms| storm.freeze_time_ms = ms),
        "drop_increase" => share(&mut storm.drop_increase),
        "drop_decrease" => share(&mut storm.drop_decrease),
        "decrease_ratio" => share(&mut storm.decrease_ratio),
        "weight_enabled" => super::keys::boolean(value).map(|weighted| storm.weighted = weighted),
        "global_session_weight" => whole(&mut storm.global_weight),
        "renew_session_weight" => whole(&mut storm.renew_weight),
        "local_session_weight" => whole(&mut storm.local_weight),
        _ => return None,
    })
}

/// `off`, percent as in `75%`, or bytes with an optional K, M or G.
fn memory(text: &str) -> Result<MemoryLimit, String> {
    let expected = || String::from("off, percent as in 75%, or bytes as in 512M or 4G");
    if text == "off" || text == "0" {
        return Ok(MemoryLimit::None);
    }
    if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.trim().parse().ok().filter(|percent| (1..=100).contains(percent));
        return percent.map(MemoryLimit::Percent).ok_or_else(expected);
    }
    let units = [("K", 10), ("M", 20), ("G", 30), ("", 0)];
    let unit = units.iter().find(|(suffix, _)| text.to_ascii_uppercase().ends_with(suffix));
    let (suffix, shift) = unit.ok_or_else(expected)?;
    let digits = text[..text.len() - suffix.len()].trim().parse::<u64>();
    let bytes = digits.ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.map(MemoryLimit::Bytes).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bytes_or_percent_or_off() {
        assert_eq!(memory("off"), Ok(MemoryLimit::None));
        assert_eq!(memory("75%"), Ok(MemoryLimit::Percent(75)));
        assert_eq!(memory("512M"), Ok(MemoryLimit::Bytes(512 << 20)));
        assert_eq!(memory("4g"), Ok(MemoryLimit::Bytes(4 << 30)));
        assert_eq!(memory("1000"), Ok(MemoryLimit::Bytes(1000)));
        for bad in ["", "much", "0%", "101%", "-1M", "99999999999G", "é"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_limit_has_its_key() {
        let mut limits = LimitSettings::default();
        let mut apply = |key, value| apply_limit(&mut limits, key, value);
        assert_eq!(apply("watches.perAddress", "7"), Some(Ok(())));
        assert_eq!(apply("watches.perAddress", "-1"), Some(Ok(())));
        assert_eq!(apply("sessions.perIdentity", "3"), Some(Ok(())));
        assert_eq!(apply("znodes.perAddress", "3"), None);
        assert!(apply("znodes.total", "many").is_some_and(|outcome| outcome.is_err()));
        assert_eq!((limits.watches.per_address, limits.sessions.per_identity), (0, 3));
        assert!(limits.sessions.is_set() && !limits.watches.is_set());
    }
}
