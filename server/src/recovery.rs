//! From the data folder to a replica that goes on where it stopped.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tenure_replica::{
    AuthConfig, Bounds, Config, HardState, LogEntry, Membership, Replica, Restored, Restorer,
    SnapshotMeta, State,
};
use tenure_storage::snapshots::{SnapshotMeta as SnapshotFileMeta, SnapshotReader};
use tenure_storage::{DataFolder, Disk, Entry, FoundSnapshot, Log, LogOptions};
use tenure_wire::Zxid;

use crate::admin::report::SnapshotReport;
use crate::clock::Clock;
use crate::config::{MemberRole, ServerConfig};
use crate::error::StartError;
use crate::limits;
use crate::metrics::Metrics;
use crate::snapshotter::modified_wall_ms;

/// The id of a server that is alone and was not given one.
const STANDALONE_ID: u64 = 1;

/// What a server starts with.
pub(crate) struct Recovered {
    pub(crate) log: Log,
    pub(crate) replica: Replica,
    /// That of the replica's index of znodes.
    pub(crate) hash_seed: u64,
    /// The clock that the replica was told first.
    pub(crate) clock: Clock,
    pub(crate) last_snapshot: Option<SnapshotReport>,
    pub(crate) metrics: Metrics,
}

/// Reads the newest snapshot and the log behind it.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    folder: &DataFolder,
    config: &ServerConfig,
) -> Result<Recovered, StartError> {
    let began = Instant::now();
    let segment_kib = config.durability.log_size_limit_kib;
    let segment_kib = segment_kib.unwrap_or(config.durability.preallocate_kib);
    let options = LogOptions {
        segment_bytes: u64::from(segment_kib) * 1024,
        accept_missing_log: config.snapshots.trust_empty,
        ..LogOptions::default()
    };
    let found = tenure_storage::recover(disk, folder.snapshot_dir(), folder.log_dir(), &options)?;
    for note in folder.notes().iter().chain(&found.notes) {
        tracing::warn!("{note}");
    }
    let replica_config = replica_config(config)?;
    let snapshot = match &found.snapshot {
        Some(FoundSnapshot { path, .. }) => Some(restore(disk, path, replica_config.hash_seed)?),
        None => None,
    };
    let hard_state = found.hard_state.map_or_else(HardState::default, |state| HardState {
        term: state.term,
        vote: state.vote,
        commit: state.commit,
        catching_up: state.catching_up,
    });
    let entries: Vec<_> = continued(&snapshot, found.entries)
        .into_iter()
        .map(|e| LogEntry { index: e.index, term: e.term, kind: e.kind, data: e.data })
        .collect();
    let took = began.elapsed();
    let mut metrics = Metrics::default();
    metrics.recovery_us.record(took.as_micros() as u64);
    metrics.recovery_entries.record(entries.len() as u64);
    let last_snapshot = found.snapshot.as_ref().map(|snapshot| SnapshotReport {
        zxid: Zxid(snapshot.meta.zxid),
        written_wall_ms: modified_wall_ms(&snapshot.path),
    });
    tracing::info!(
        snapshot = found.snapshot.as_ref().map(|s| s.meta.index),
        entries = entries.len(),
        took_ms = took.as_millis() as u64,
        "data folder read"
    );
    let clock = Clock::start();
    let is_complete = take_word_that_it_is_complete(&config.data_dir)?;
    let restored = Restored { snapshot, hard_state, entries, is_complete };
    let hash_seed = replica_config.hash_seed;
    let replica = Replica::new(replica_config, restored, clock.now());
    Ok(Recovered { log: found.log, replica, hash_seed, clock, last_snapshot, metrics })
}

/// In the data folder, as for ZooKeeper: nothing was lost here, however little there is.
const INITIALIZE_FILE: &str = "initialize";

/// Whether an operator has left word that nothing is missing in the folder. It holds once.
fn take_word_that_it_is_complete(data_dir: &Path) -> Result<bool, StartError> {
    match std::fs::remove_file(data_dir.join(INITIALIZE_FILE)) {
        Ok(()) => {
            tracing::info!("taken as complete: the file `{INITIALIZE_FILE}` was there");
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => {
            let what = "removing the file `initialize` from the data folder";
            Err(StartError::System { what, source })
        }
    }
}

/// The log's entries, if they continue the snapshot. Some of an earlier term were given up by the
/// ensemble before the snapshot was received; the log had no time to hear of that.
fn continued(snapshot: &Option<(SnapshotMeta, State)>, entries: Vec<Entry>) -> Vec<Entry> {
    let term = snapshot.as_ref().map_or(0, |(meta, _)| meta.term);
    if entries.first().is_some_and(|first| first.term < term) { Vec::new() } else { entries }
}

/// Reads a snapshot file into the state it holds, to look at.
pub fn read_snapshot(
    disk: &Arc<dyn Disk>,
    path: &Path,
) -> Result<(SnapshotMeta, State), StartError> {
    restore(disk, path, 0)
}

/// The same of a snapshot that is the part of a file between two offsets.
pub fn read_snapshot_part(
    disk: &Arc<dyn Disk>,
    path: &Path,
    part: Range<u64>,
) -> Result<(SnapshotMeta, State), StartError> {
    decode(SnapshotReader::open_part(disk, path, part)?, path, 0)
}

/// Reads a snapshot file into the state it holds, whose index of znodes gets this seed.
pub(crate) fn restore(
    disk: &Arc<dyn Disk>,
    path: &Path,
    hash_seed: u64,
) -> Result<(SnapshotMeta, State), StartError> {
    decode(SnapshotReader::open(disk, path)?, path, hash_seed)
}

fn decode(
    mut reader: SnapshotReader,
    path: &Path,
    hash_seed: u64,
) -> Result<(SnapshotMeta, State), StartError> {
    let undecodable = |what: String| StartError::Snapshot { path: path.to_path_buf(), what };
    let found = reader.meta().clone();
    let mut restorer = Restorer::new(hash_seed);
    while let Some(chunk) = reader.next_chunk()? {
        restorer.chunk(&chunk).map_err(|e| undecodable(e.to_string()))?;
    }
    let state = restorer.finish().map_err(|e| undecodable(e.to_string()))?;
    let SnapshotFileMeta { index, term, zxid, extra: members } = found;
    Ok((SnapshotMeta { index, term, zxid: Zxid(zxid), members }, state))
}

fn replica_config(config: &ServerConfig) -> Result<Config, StartError> {
    let id = config.ensemble.my_id.unwrap_or(STANDALONE_ID);
    Ok(Config {
        id,
        voters: members(config, MemberRole::Participant, id),
        observers: members(config, MemberRole::Observer, id),
        incarnation: random_u64()?,
        hash_seed: random_u64()?,
        min_session_timeout_ms: config.sessions.min_timeout_ms,
        max_session_timeout_ms: config.sessions.max_timeout_ms,
        skip_acl: config.auth.skip_acl,
        enforce_quota: config.tree.enforce_quota,
        extended_types: config.tree.extended_types,
        reconfig_enabled: config.tree.reconfig,
        read_only_after_ms: config
            .tree
            .read_only_mode
            .then(|| u64::from(config.tick_ms).max(limits::READ_ONLY_AFTER_MS)),
        audit: config.audit.enabled,
        local_sessions: config.sessions.local,
        local_upgrading: config.sessions.local_upgrading,
        members: match config.ensemble.is_distributed() {
            true => Membership::new(config.ensemble.members.iter().cloned()),
            false => Membership::default(),
        },
        members_are_fixed: !config.tree.reconfig,
        log_tail_entries: config.snapshots.log_tail_entries.into(),
        snapshot_entries: config.snapshots.every_entries.into(),
        snapshot_bytes: config.snapshots.every_log_kib.map_or(0, |kib| u64::from(kib) * 1024),
        bounds: Bounds {
            sessions: config.limits.sessions.total,
            znodes: config.limits.znodes,
            session_ephemerals: config.limits.session_ephemerals,
        },
        reap_interval_ms: config.tree.container_check_interval_ms.into(),
        reap_per_minute: config.tree.container_max_per_minute,
        reap_unused_ms: config.tree.container_max_never_used_ms,
        auth: AuthConfig {
            super_digest: config.auth.super_digest.clone(),
            sasl_users: match config.auth.fips {
                // It forbids MD5, and no other mechanism is spoken.
                Some(true) => Vec::new(),
                _ => config.auth.sasl_users.clone(),
            },
            required_schemes: config.auth.required_schemes(),
            allow_sasl_failed: config.auth.allow_sasl_failed,
            sasl_super_user: config.auth.sasl_super_user.clone(),
            x509_enabled: config.secure_client.is_some() || config.connections.port_unification,
            x509_super_user: config.auth.x509_super_user.clone(),
            digest_enabled: !config.auth.digest_disabled,
            digest_algorithm: config.auth.digest,
        },
    })
}

/// The members of a role; a server without others votes alone.
fn members(config: &ServerConfig, role: MemberRole, id: u64) -> Vec<u64> {
    if !config.ensemble.is_distributed() {
        return if role == MemberRole::Participant { vec![id] } else { Vec::new() };
    }
    let members = config.ensemble.members.iter();
    members.filter(|member| member.role == role).map(|member| member.id).collect()
}

fn random_u64() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    getrandom::getrandom(&mut bytes).map_err(|e| StartError::System {
        what: "random bytes from the operating system",
        source: e.into(),
    })?;
    Ok(u64::from_le_bytes(bytes))
}
