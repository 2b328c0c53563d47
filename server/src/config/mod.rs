//! The server's configuration: existing `zoo.cfg` files as they are, or defaults without one.
//!
//! Every key that an existing file may hold is either understood, or accepted without effect, or
//! warned about; only values that would stop the reference server stop this one too.

mod address;
mod changes;
mod error;
mod jaas;
mod keys;
mod member_list;
mod my_id;
mod pressure;
mod properties;
mod read;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use address::candidates;
pub use changes::Changes;
pub(crate) use changes::changes;
pub use error::{ConfigError, MemberListError, Warning};
pub(crate) use keys::is_secret;
pub use my_id::claim_data_dir;
pub use pressure::{Limit, LimitSettings, MemoryLimit, StormSettings};
pub use read::{Checked, read_text};
pub use settings::{
    AdminSettings, AdminTrust, AuditSettings, AuthProvider, AuthSettings, ConnectionSettings,
    Durability, EnsembleSettings, LogLevel, MetricsSettings, SessionSettings, SnapshotSettings,
    TreeSettings, WordList,
};
pub use tenure_replica::DigestAlgorithm;
pub use tenure_wire::{Listen, Member, MemberAddress, MemberRole};

use std::path::PathBuf;

/// Everything that a server's owner can decide.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfig {
    /// The file this came from, if any.
    pub origin: Option<PathBuf>,
    /// That file's text, for the `initial_configuration` admin command.
    pub initial_text: String,
    /// Plaintext client listener; `None` for none.
    pub client: Option<Listen>,
    /// TLS client listener; `None` for none.
    pub secure_client: Option<Listen>,
    /// Snapshots, `myid`, and the log unless it has a folder of its own.
    pub data_dir: PathBuf,
    /// The log's folder; equal to `data_dir` if none was named.
    pub data_log_dir: PathBuf,
    /// The base unit of the times below.
    pub tick_ms: u32,
    /// Session timeouts.
    pub sessions: SessionSettings,
    /// Client connections and their bounds.
    pub connections: ConnectionSettings,
    /// How much tenants may use.
    pub limits: LimitSettings,
    /// What a storm of connections may take.
    pub storm: StormSettings,
    /// When a write counts as durable.
    pub durability: Durability,
    /// Snapshots and their purge.
    pub snapshots: SnapshotSettings,
    /// Znodes: quotas, containers, TTL.
    pub tree: TreeSettings,
    /// Who may do what.
    pub auth: AuthSettings,
    /// Which four-letter words are answered.
    pub four_letter_words: WordList,
    /// Admin HTTP.
    pub admin: AdminSettings,
    /// The audit log.
    pub audit: AuditSettings,
    /// Metrics export.
    pub metrics: MetricsSettings,
    /// How much is logged, unless the command line says it.
    pub log_level: Option<LogLevel>,
    /// The other members, if this is an ensemble.
    pub ensemble: EnsembleSettings,
    /// `ssl.*` and related keys as written, in file order.
    pub tls: Vec<(String, String)>,
}

impl Default for ServerConfig {
    /// What a server started without a file does: it listens on this machine alone.
    fn default() -> Self {
        let tick_ms = 2000;
        Self {
            origin: None,
            initial_text: String::new(),
            client: Some(Listen::on("127.0.0.1", 2181)),
            secure_client: None,
            data_dir: PathBuf::from("./tenure-data"),
            data_log_dir: PathBuf::from("./tenure-data"),
            tick_ms,
            sessions: SessionSettings::for_tick(tick_ms),
            connections: ConnectionSettings::default(),
            limits: LimitSettings::default(),
            storm: StormSettings::default(),
            durability: Durability::default(),
            snapshots: SnapshotSettings::default(),
            tree: TreeSettings::default(),
            auth: AuthSettings::default(),
            four_letter_words: WordList::default(),
            admin: AdminSettings {
                listen: Listen::on("127.0.0.1", 8080),
                ..AdminSettings::default()
            },
            audit: AuditSettings::default(),
            metrics: MetricsSettings::default(),
            log_level: None,
            ensemble: EnsembleSettings::default(),
            tls: Vec::new(),
        }
    }
}

impl ServerConfig {
    /// The audit log's file: in a folder of its own beside the log, unless one was named.
    pub fn audit_file(&self) -> PathBuf {
        let named = self.audit.file.clone();
        named.unwrap_or_else(|| self.data_log_dir.join("audit").join("audit.log"))
    }

    /// Changes the tick, and with it the session timeouts that follow from it.
    pub fn set_tick_ms(&mut self, tick_ms: u32) {
        self.tick_ms = tick_ms;
        self.sessions = SessionSettings::for_tick(tick_ms);
    }
}
