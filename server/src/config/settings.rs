//! The groups of settings that make up a `ServerConfig`, with their defaults.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tenure_replica::DigestAlgorithm;
use tenure_wire::Listen;
use tenure_wire::{Member, MemberRole};

/// Bounds of the session timeout a client may negotiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Shorter wishes are raised to this.
    pub min_timeout_ms: u32,
    /// Longer wishes are cut to this.
    pub max_timeout_ms: u32,
    /// Sessions that live on one server alone are allowed (`localSessionsEnabled`).
    pub local: bool,
    /// A local session becomes a global one when it creates an ephemeral znode.
    pub local_upgrading: bool,
}

impl SessionSettings {
    /// The bounds that follow from a tick: 2 and 20 of them.
    pub fn for_tick(tick_ms: u32) -> Self {
        Self {
            min_timeout_ms: tick_ms.saturating_mul(2),
            max_timeout_ms: tick_ms.saturating_mul(20),
            local: false,
            local_upgrading: false,
        }
    }
}

/// Bounds of client connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// The client port also takes TLS, by the first byte of each connection.
    pub port_unification: bool,
    /// Connections from one IP address; 0 for no bound. More are closed at accept.
    pub max_per_address: u32,
    /// Connections in all; 0 for no bound.
    pub max_total: u32,
    /// Backlog of the listening sockets; `None` leaves it to the operating system.
    pub listen_backlog: Option<u32>,
    /// Largest request frame in bytes (`jute.maxbuffer`).
    pub max_frame_bytes: u32,
    /// Requests accepted but not answered, over all connections, before reading pauses.
    pub max_outstanding: u32,
    /// A connection without a session is closed after this long.
    pub sessionless_timeout_ms: u32,
    /// Requests in work before further ones are throttled; 0 for never.
    pub throttle_limit: u32,
    /// A request that was left unread for longer is refused; 0 for never.
    pub throttled_op_wait_ms: u32,
    /// Requests larger than this count against `large_requests_max_bytes`; `None` for none.
    pub large_request_threshold_bytes: Option<u32>,
    /// Bytes of large requests in work at once.
    pub large_requests_max_bytes: u32,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            port_unification: false,
            max_per_address: 60,
            max_total: 0,
            listen_backlog: None,
            max_frame_bytes: 1_048_575,
            max_outstanding: 1000,
            sessionless_timeout_ms: 10_000,
            throttle_limit: 0,
            throttled_op_wait_ms: 0,
            large_request_threshold_bytes: None,
            large_requests_max_bytes: 100 * 1024 * 1024,
        }
    }
}

/// When a write counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durability {
    /// Writes are synced before they are acknowledged. False only by the owner's wish
    /// (`forceSync=no`): then acknowledged writes can be lost with the machine.
    pub force_sync: bool,
    /// A sync that takes longer is worth a log line.
    pub slow_sync_warning_ms: u32,
    /// How far ahead a log file is allocated, in KiB.
    pub preallocate_kib: u32,
    /// A log file is closed at this size in KiB; `None` for the server's own choice.
    pub log_size_limit_kib: Option<u32>,
}

impl Default for Durability {
    fn default() -> Self {
        Self {
            force_sync: true,
            slow_sync_warning_ms: 1000,
            preallocate_kib: 65_536,
            log_size_limit_kib: None,
        }
    }
}

/// Snapshots and their purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// Entries between snapshots (`snapCount`).
    pub every_entries: u32,
    /// Applied entries that a member of an ensemble keeps in memory for others that lag; one
    /// further behind is sent a snapshot (`tenure.logTailEntries`).
    pub log_tail_entries: u32,
    /// Log bytes between snapshots, in KiB; `None` for no such trigger.
    pub every_log_kib: Option<u32>,
    /// Snapshots kept by the purge; at least 3.
    pub retain_count: u32,
    /// How often the purge runs; `None` for never.
    pub purge_interval_ms: Option<u64>,
    /// A log without a snapshot is accepted at start (`snapshot.trust.empty`).
    pub trust_empty: bool,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        Self {
            every_entries: 100_000,
            log_tail_entries: 200_000,
            every_log_kib: Some(4_194_304),
            retain_count: 3,
            purge_interval_ms: None,
            trust_empty: false,
        }
    }
}

/// Znodes: quotas, containers, TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSettings {
    /// Requests over a quota are refused, not only logged.
    pub enforce_quota: bool,
    /// TTL znodes can be created (`extendedTypesEnabled`).
    pub extended_types: bool,
    /// How often empty containers and outlived TTL znodes are looked for.
    pub container_check_interval_ms: u32,
    /// How many of them are deleted in a minute at most.
    pub container_max_per_minute: u32,
    /// A container that never had a child is deleted after this long; 0 for never.
    pub container_max_never_used_ms: u64,
    /// `/zookeeper/config` can be changed by `reconfig`.
    pub reconfig: bool,
    /// A read-only service is offered while the ensemble has no quorum.
    pub read_only_mode: bool,
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self {
            enforce_quota: false,
            extended_types: false,
            container_check_interval_ms: 60_000,
            container_max_per_minute: 10_000,
            container_max_never_used_ms: 0,
            reconfig: false,
            read_only_mode: false,
        }
    }
}

/// Who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// Access control lists are not checked at all (`skipACL=yes`).
    pub skip_acl: bool,
    /// How the `digest` scheme hashes passwords.
    pub digest: DigestAlgorithm,
    /// The `digest` scheme is switched off.
    pub digest_disabled: bool,
    /// `super:base64(hash("super:password"))`: whoever proves it may do everything.
    pub super_digest: Option<String>,
    /// Further schemes, in file order.
    pub providers: Vec<AuthProvider>,
    /// X.509 subject name that may do everything.
    pub x509_super_user: Option<String>,
    /// SASL identity that may do everything.
    pub sasl_super_user: Option<String>,
    /// Users of SASL DIGEST-MD5 and their passwords, from the JAAS login configuration.
    pub sasl_users: Vec<(String, String)>,
    /// A client must have proved one of some schemes before it may send requests.
    pub enforced: bool,
    /// These schemes.
    pub enforced_schemes: Vec<String>,
    /// A client must authenticate with SASL before it may send requests, whatever else is set.
    pub require_sasl: bool,
    /// A connection survives a failed SASL exchange.
    pub allow_sasl_failed: bool,
    /// Refuse what the FIPS rules forbid, DIGEST-MD5 above all; `None` if nothing is said.
    pub fips: Option<bool>,
}

impl AuthSettings {
    /// Schemes of which a client must have proved one before it may send requests; empty if it need
    /// not.
    pub fn required_schemes(&self) -> Vec<String> {
        match (self.require_sasl, self.enforced) {
            (true, _) => vec![String::from("sasl")],
            (false, true) => self.enforced_schemes.clone(),
            (false, false) => Vec::new(),
        }
    }

    /// Whether clients can prove anything by this scheme here; `tls` says whether they can show
    /// certificates.
    fn has_scheme(&self, scheme: &str, tls: bool) -> bool {
        match scheme {
            "digest" => !self.digest_disabled,
            "ip" => true,
            "sasl" => !self.sasl_users.is_empty() && self.fips != Some(true),
            "x509" => tls,
            _ => false,
        }
    }

    /// A scheme that is required and that no client can prove: then all would be refused.
    pub fn unavailable_scheme(&self, tls: bool) -> Option<String> {
        self.required_schemes().into_iter().find(|scheme| !self.has_scheme(scheme, tls))
    }
}

/// An authentication scheme named in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthProvider {
    /// SASL inside the client protocol.
    Sasl,
    /// Identity from a client's TLS certificate.
    X509,
    /// A shared name of the ensemble that clients must know.
    Ensemble,
    /// A class this server does not have.
    Unknown {
        /// The class name as written.
        class: String,
    },
}

/// Which four-letter words are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WordList {
    /// Every one of them.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Default for WordList {
    fn default() -> Self {
        Self::Only(BTreeSet::from([String::from("srvr")]))
    }
}

impl WordList {
    /// Whether a word is answered.
    pub fn allows(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(words) => words.contains(word),
        }
    }
}

/// Admin HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Whether it is served at all.
    pub enabled: bool,
    /// Where.
    pub listen: Listen,
    /// Path in front of the command names, with a leading slash and none at the end.
    pub command_url: String,
    /// An idle connection is closed after this long.
    pub idle_timeout_ms: u32,
    /// The `snapshot` command is allowed.
    pub snapshot: bool,
    /// The `restore` command is allowed.
    pub restore: bool,
    /// Time between two answers of the `snapshot` command.
    pub snapshot_interval_ms: u32,
    /// Sessions may be closed from other machines too, by anybody.
    pub close_sessions: bool,
    /// Who need not show who they are to do what could hurt.
    pub trust: AdminTrust,
    /// TLS is spoken with whoever begins with it.
    pub port_unification: bool,
    /// TLS alone is spoken.
    pub force_https: bool,
    /// Who speaks TLS must show a certificate that this server trusts.
    pub need_client_auth: bool,
}

/// Whom admin HTTP lets do what could hurt without asking who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdminTrust {
    /// Everybody on this machine.
    #[default]
    Local,
    /// Also those on other machines, if it tells them something but changes nothing of account: so
    /// open are most commands of the reference server.
    All,
    /// Nobody.
    Nobody,
}

impl AdminSettings {
    /// What addresses begin with: `http`, or `https` where nothing else is spoken.
    pub fn scheme(&self) -> &'static str {
        if self.force_https { "https" } else { "http" }
    }
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: Listen::everywhere(8080),
            command_url: String::from("/commands"),
            idle_timeout_ms: 30_000,
            snapshot: true,
            restore: true,
            snapshot_interval_ms: 300_000,
            close_sessions: false,
            trust: AdminTrust::Local,
            port_unification: false,
            force_https: false,
            need_client_auth: false,
        }
    }
}

/// Where the audit log goes, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// Whether there is one (`audit.enable`).
    pub enabled: bool,
    /// The file, if it is not `audit/audit.log` in the folder of the log (`tenure.audit.file`).
    pub file: Option<PathBuf>,
    /// Bytes after which a file is set aside and a new one begun (`tenure.audit.maxFileSize`, in
    /// MiB).
    pub max_file_bytes: u64,
    /// Files kept, the present one included (`tenure.audit.maxFiles`).
    pub max_files: u32,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { enabled: false, file: None, max_file_bytes: 100 << 20, max_files: 10 }
    }
}

/// Metrics export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Where `/metrics` is served on a port of its own, if the Prometheus provider was named. The
    /// admin port serves it as well.
    pub prometheus: Option<Listen>,
    /// Process metrics are exported too (`exportJvmInfo`).
    pub process_info: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { prometheus: None, process_info: true }
    }
}

/// How much is logged (`tenure.logLevel`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what is worth knowing afterwards.
    Info,
    /// And every session's steps.
    Debug,
    /// Everything.
    Trace,
}

/// The other members, if this is an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleSettings {
    /// The `server.N` lines by N.
    pub members: Vec<Member>,
    /// This server's N, from `dataDir/myid`.
    pub my_id: Option<u64>,
    /// Ticks a follower has to connect and catch up.
    pub init_limit: Option<u32>,
    /// Ticks a follower may fall silent.
    pub sync_limit: Option<u32>,
    /// The file that holds the member lines, if not this one.
    pub dynamic_config_file: Option<PathBuf>,
    /// One member line means a server of its own, not an ensemble of one.
    pub standalone_enabled: bool,
    /// The leader accepts clients too.
    pub leader_serves: bool,
    /// This server's role by its own file; the member line wins.
    pub peer_type: MemberRole,
    /// Traffic between members is encrypted.
    pub tls: bool,
    /// Members accept both encrypted and plain peers while TLS is being introduced.
    pub tls_unification: bool,
}

impl Default for EnsembleSettings {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            my_id: None,
            init_limit: None,
            sync_limit: None,
            dynamic_config_file: None,
            standalone_enabled: true,
            leader_serves: true,
            peer_type: MemberRole::default(),
            tls: false,
            tls_unification: false,
        }
    }
}

impl EnsembleSettings {
    /// Whether the member lines ask for more than a server of its own.
    pub fn is_distributed(&self) -> bool {
        match self.members.len() {
            0 => false,
            1 => !self.standalone_enabled,
            _ => true,
        }
    }

    /// This server's own line: the one of its number, or the only one.
    pub fn me(&self) -> Option<&Member> {
        match (&self.members[..], self.my_id) {
            ([only], None) => Some(only),
            (members, my_id) => members.iter().find(|m| Some(m.id) == my_id),
        }
    }
}
