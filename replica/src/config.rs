//! What a replica is told at its start and does not change.

use crate::membership::Membership;
pub use crate::session::auth::{AuthConfig, DigestAlgorithm};

/// Settings of one replica. Those that decide how a write is applied travel inside each entry, so
/// that replicas with different settings still apply it alike.
#[derive(Clone, Debug)]
pub struct Config {
    /// This member's id, 1 to 255; the top byte of the session ids it hands out.
    pub id: u64,
    /// Voting members if nothing was stored yet: for a standalone server itself alone.
    pub voters: Vec<u64>,
    /// Members that apply what the voters decide.
    pub observers: Vec<u64>,
    /// Random, new at every start: tells this process's proposals from those of its earlier lives.
    /// That of the first leader of all becomes the ensemble's id.
    pub incarnation: u64,
    /// Random: seeds the znode index.
    pub hash_seed: u64,
    /// Lower bound of negotiated session timeouts.
    pub min_session_timeout_ms: u32,
    /// Upper bound of negotiated session timeouts.
    pub max_session_timeout_ms: u32,
    /// Grants everything to everybody (`skipACL`).
    pub skip_acl: bool,
    /// Refuses writes over a hard quota (`enforceQuota`).
    pub enforce_quota: bool,
    /// Allows TTL znodes (`extendedTypesEnabled`).
    pub extended_types: bool,
    /// Whether reconfig is answered as switched on (`reconfigEnabled`).
    pub reconfig_enabled: bool,
    /// Serves reads, to clients that agree, after this long without a leader
    /// (`readonlymode.enabled`); `None` for never.
    pub read_only_after_ms: Option<u64>,
    /// New sessions are known to the server alone that opened them (`localSessionsEnabled`).
    pub local_sessions: bool,
    /// Such a session becomes one of the ensemble when it creates an ephemeral znode
    /// (`localSessionsUpgradingEnabled`); otherwise it cannot.
    pub local_upgrading: bool,
    /// Authentication schemes and the super user.
    pub auth: AuthConfig,
    /// Whether what clients change is accounted for (`audit.enable`).
    pub audit: bool,
    /// The members with their addresses, as the configuration file has them; none for a server by
    /// itself.
    pub members: Membership,
    /// Whether the members above count even if a snapshot holds others, as the reference server
    /// has it unless reconfig is switched on.
    pub members_are_fixed: bool,
    /// Applied entries kept in memory for members that lag; one further behind is sent a snapshot.
    pub log_tail_entries: u64,
    /// Entries applied between snapshots (`snapCount`).
    pub snapshot_entries: u64,
    /// Log bytes between snapshots (`snapSizeLimitInKb`), 0 for no such limit.
    pub snapshot_bytes: u64,
    /// How much of it the ensemble takes.
    pub bounds: Bounds,
    /// How often the reaper looks for empty containers and overdue TTL znodes.
    pub reap_interval_ms: u64,
    /// How many of them it deletes per minute at most.
    pub reap_per_minute: u32,
    /// Deletes containers that never had a child after this long; 0 for never.
    pub reap_unused_ms: u64,
}

/// Bounds of replicated state; 0 for none. Those of the leader count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Live sessions; the client that asks for one more is sent away.
    pub sessions: u32,
    /// Znodes; the request that makes one more fails.
    pub znodes: u32,
    /// Ephemeral znodes of one session; the request that makes one more fails.
    pub session_ephemerals: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            id: 1,
            voters: vec![1],
            observers: Vec::new(),
            incarnation: 1,
            hash_seed: 0,
            min_session_timeout_ms: 4_000,
            max_session_timeout_ms: 40_000,
            skip_acl: false,
            enforce_quota: false,
            extended_types: false,
            reconfig_enabled: false,
            read_only_after_ms: None,
            local_sessions: false,
            local_upgrading: false,
            auth: AuthConfig::default(),
            audit: false,
            members: Membership::default(),
            members_are_fixed: true,
            log_tail_entries: 200_000,
            snapshot_entries: 100_000,
            snapshot_bytes: 4 << 30,
            bounds: Bounds::default(),
            reap_interval_ms: 60_000,
            reap_per_minute: 10_000,
            reap_unused_ms: 0,
        }
    }
}
