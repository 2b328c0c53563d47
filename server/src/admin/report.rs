//! What the live server tells about itself: plain values that the driver fills from its state and
//! that four-letter words and admin HTTP turn into text.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tenure_replica::WatchKind;
use tenure_wire::{SessionId, Zxid};

use crate::config::{self, EnsembleSettings, Member, ServerConfig};
use crate::metrics::{ConnectionStats, Metrics, Readings, ResponseSizes};

/// The server as a whole: `srvr`, `stat`, `isro`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerReport {
    /// What was read off the live server.
    pub readings: Readings,
    /// Frames received.
    pub packets_received: u64,
    /// Frames sent.
    pub packets_sent: u64,
    /// Least latency of a request.
    pub min_latency_ms: u64,
    /// Mean latency of requests.
    pub avg_latency_ms: f64,
    /// Greatest latency of a request.
    pub max_latency_ms: u64,
    /// Sizes of replies.
    pub response_sizes: ResponseSizes,
    /// Failed authentications.
    pub auth_failed: u64,
    /// Syncs that took longer than they should.
    pub slow_syncs: u64,
}

impl ServerReport {
    /// Puts together what was read and what was counted.
    pub fn new(readings: Readings, metrics: &Metrics) -> Self {
        let latency_us = &metrics.request_latency_us;
        Self {
            readings,
            packets_received: metrics.packets_received,
            packets_sent: metrics.packets_sent,
            min_latency_ms: latency_us.min() / 1000,
            avg_latency_ms: latency_us.mean() / 1000.0,
            max_latency_ms: latency_us.max() / 1000,
            response_sizes: metrics.response_sizes,
            auth_failed: metrics.auth_failed,
            slow_syncs: metrics.slow_syncs,
        }
    }
}

/// One open connection: `cons`, `stat`, `dump`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionReport {
    /// The client's address.
    pub peer: SocketAddr,
    /// Whether it came through TLS.
    pub secure: bool,
    /// The server reads from it; false while it is throttled or asks with a four-letter word.
    pub reading: bool,
    /// Replies wait for the socket to take them.
    pub writing: bool,
    /// Requests received but not answered.
    pub outstanding: u64,
    /// When it was accepted, wall clock since the Unix epoch.
    pub established_wall_ms: i64,
    /// Time until it is closed if nothing comes.
    pub expires_in_ms: u64,
    /// Its session, once there is one.
    pub session: Option<AttachedSession>,
    /// What was counted about it.
    pub stats: ConnectionStats,
}

/// The session of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedSession {
    /// Its id.
    pub id: SessionId,
    /// Its negotiated timeout.
    pub timeout_ms: u32,
}

/// Which sessions are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRange {
    /// Only ids greater than this, by their unsigned value; `None` for all.
    pub after: Option<SessionId>,
    /// No more than this many, the smallest ids first.
    pub limit: usize,
    /// Whether paths of ephemerals are wanted, not only how many.
    pub paths: bool,
}

impl SessionRange {
    /// Every session with its paths.
    pub const ALL: Self = Self { after: None, limit: usize::MAX, paths: true };
}

/// One live session: `dump`, `/sessions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// Its id.
    pub id: SessionId,
    /// Whether this server alone knows it.
    pub is_local: bool,
    /// Its negotiated timeout.
    pub timeout_ms: u32,
    /// When it was established, by the leader's wall clock since the Unix epoch.
    pub opened_wall_ms: i64,
    /// Time since its client was last heard, which only the leader knows, or the one server.
    pub silent_ms: Option<u64>,
    /// Time until it expires if nothing comes, which only the leader knows, or the one server.
    pub expires_in_ms: Option<u64>,
    /// When that will be, by this server's wall clock since the Unix epoch.
    pub deadline_wall_ms: Option<i64>,
    /// The member through which it is used, if this one knows.
    pub served_by: Option<u64>,
    /// Where its client is connected, if it is to this server.
    pub peer: Option<SocketAddr>,
    /// What it watches through this server, if paths were asked for.
    pub watches: Vec<(WatchKind, String)>,
    /// How many ephemeral znodes it owns.
    pub ephemeral_count: u64,
    /// Their paths, if they were asked for.
    pub ephemerals: Vec<String>,
}

/// The watches of one session: `wchc`, `wchp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchReport {
    /// Whose.
    pub session: SessionId,
    /// On which paths.
    pub paths: Vec<String>,
}

/// How many watches there are: `wchs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchTotals {
    /// Connections that watch something.
    pub connections: u64,
    /// Paths that are watched.
    pub paths: u64,
    /// Watches.
    pub watches: u64,
}

/// A digest of the whole tree at one change: `hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestReport {
    /// The change.
    pub zxid: Zxid,
    /// The digest after it.
    pub digest: u64,
    /// How it was computed.
    pub version: u32,
}

/// The newest snapshot on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotReport {
    /// The last change it contains.
    pub zxid: Zxid,
    /// When it was written, wall clock since the Unix epoch.
    pub written_wall_ms: i64,
}

/// What the configuration says: `conf`, and the folders of `dirs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigReport {
    /// Port of the plaintext listener, if there is one.
    pub client_port: Option<u16>,
    /// Port of the TLS listener, if there is one.
    pub secure_client_port: Option<u16>,
    /// Snapshots.
    pub data_dir: PathBuf,
    /// The log.
    pub data_log_dir: PathBuf,
    /// Base unit of times.
    pub tick_ms: u32,
    /// Connections from one address; 0 for no bound.
    pub max_per_address: u32,
    /// Shortest session timeout.
    pub min_session_timeout_ms: u32,
    /// Longest session timeout.
    pub max_session_timeout_ms: u32,
    /// Backlog of listening sockets, if set.
    pub listen_backlog: Option<u32>,
    /// This member's number; 0 for a server of its own.
    pub server_id: u64,
    /// The ensemble this member belongs to, if it does.
    pub ensemble: Option<EnsembleReport>,
    /// The configuration file's text, with the lines about the members if they came from elsewhere.
    pub initial_text: String,
}

/// What a member says of its ensemble: the rest of `conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleReport {
    /// Ticks a follower has to connect and catch up.
    pub init_limit: u32,
    /// Ticks a follower may fall silent.
    pub sync_limit: u32,
    /// This member itself.
    pub me: Member,
    /// All members at present, this one included unless it was removed.
    pub members: Vec<Member>,
    /// Zxid of the change that made the members so; 0 if they are those of the start.
    pub version: u64,
}

impl EnsembleReport {
    fn new(settings: &EnsembleSettings) -> Option<Self> {
        if !settings.is_distributed() {
            return None;
        }
        Some(Self {
            init_limit: settings.init_limit?,
            sync_limit: settings.sync_limit?,
            me: settings.me()?.clone(),
            members: settings.members.clone(),
            version: 0,
        })
    }

    /// The members are as this text of `/zookeeper/config` says, since the change `version`.
    pub fn follow(&mut self, text: &str, version: u64) {
        let members: Vec<Member> = text.lines().filter_map(Member::from_line).collect();
        // One that was removed still is what it was told to be.
        if let Some(me) = members.iter().find(|member| member.id == self.me.id) {
            self.me = me.clone();
        }
        (self.members, self.version) = (members, version);
    }
}

impl ConfigReport {
    /// What a configuration says, with the ports that the listeners really have.
    pub fn new(
        config: &ServerConfig,
        client_port: Option<u16>,
        secure_client_port: Option<u16>,
    ) -> Self {
        Self {
            client_port,
            secure_client_port,
            data_dir: config.data_dir.clone(),
            data_log_dir: config.data_log_dir.clone(),
            tick_ms: config.tick_ms,
            max_per_address: config.connections.max_per_address,
            min_session_timeout_ms: config.sessions.min_timeout_ms,
            max_session_timeout_ms: config.sessions.max_timeout_ms,
            listen_backlog: config.connections.listen_backlog,
            server_id: config.ensemble.my_id.unwrap_or(0),
            initial_text: text_with_members(config),
            ensemble: EnsembleReport::new(&config.ensemble),
        }
    }

    /// The configuration file's text, with the values of passwords and digests left out.
    pub fn text_without_secrets(&self) -> String {
        let shown = |line: &str| match line.trim_start().split_once(['=', ':', ' ']) {
            Some((key, _)) if config::is_secret(key) => format!("{key}=***\n"),
            _ => format!("{line}\n"),
        };
        self.initial_text.lines().map(shown).collect()
    }

    /// Sizes of the two folders now; reads the file system.
    pub fn folder_sizes(&self) -> FolderSizes {
        FolderSizes {
            data_bytes: folder_bytes(&self.data_dir, FOLDER_DEPTH),
            log_bytes: folder_bytes(&self.data_log_dir, FOLDER_DEPTH),
        }
    }
}

fn text_with_members(config: &ServerConfig) -> String {
    let mut text = config.initial_text.clone();
    if text.lines().any(|line| line.trim_start().starts_with("server.")) {
        return text;
    }
    for member in &config.ensemble.members {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&member.to_string());
    }
    text
}

/// Bytes on disk: `dirs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderSizes {
    /// All files in the data folder.
    pub data_bytes: u64,
    /// All files in the log folder.
    pub log_bytes: u64,
}

/// Data folders are flat; deeper trees are somebody else's files.
const FOLDER_DEPTH: u32 = 4;

/// What cannot be read counts nothing: files come and go while the purge runs.
fn folder_bytes(folder: &Path, depth: u32) -> u64 {
    let Ok(entries) = folder.read_dir() else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() && depth > 1 => folder_bytes(&entry.path(), depth - 1),
        Ok(found) if found.is_file() => found.len(),
        _ => 0,
    });
    sizes.sum()
}
