//! Numbers that are not counted but read off the live server when somebody asks.

use tenure_wire::Zxid;

use crate::limits;

/// What the server is at the moment; the words are ZooKeeper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ServerState {
    /// A server of its own.
    #[default]
    Standalone,
    /// Leads its ensemble.
    Leader,
    /// Follows its ensemble's leader.
    Follower,
    /// Follows without a vote.
    Observer,
    /// Serves reads while the ensemble has no quorum.
    ReadOnly,
}

impl ServerState {
    /// The word in `mntr`, `srvr` and admin HTTP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }

    /// What `mntr` says of a member while it serves; nothing of others.
    pub const fn peer_state(self) -> Option<&'static str> {
        match self {
            Self::Standalone | Self::ReadOnly => None,
            Self::Leader => Some("leading - broadcast"),
            Self::Follower => Some("following - broadcast"),
            Self::Observer => Some("observing - broadcast"),
        }
    }

    /// Whether writes are refused.
    pub const fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly)
    }
}

/// Read off the live server by its driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// What the server is.
    pub state: ServerState,
    /// Whether it serves clients, if only with reads; false while it starts or has no quorum.
    pub serving: bool,
    /// This member's number; `None` for a server of its own.
    pub member: Option<u64>,
    /// The leader's number as far as this member knows; `None` for a server of its own too.
    pub led_by: Option<u64>,
    /// The server was told to stop.
    pub stopping: bool,
    /// The disk of the log is full, so writes wait.
    pub disk_full: bool,
    /// For how long the disk has been at one write or sync; 0 if it has nothing to do.
    pub disk_busy_ms: u64,
    /// This member lost its data and has no vote yet.
    pub catching_up: bool,
    /// Wall clock, milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// The ensemble's id; 0 if there is none, or it is not known yet.
    pub cluster: u64,
    /// Time since the start.
    pub uptime_ms: u64,
    /// Newest change applied.
    pub zxid: Zxid,
    /// Znodes, the reserved ones included.
    pub znode_count: u64,
    /// Watches set.
    pub watch_count: u64,
    /// Ephemeral znodes.
    pub ephemerals_count: u64,
    /// Bytes of all paths and data.
    pub approximate_data_bytes: u64,
    /// Live sessions.
    pub global_sessions: u64,
    /// Live sessions that only this server knows.
    pub local_sessions: u64,
    /// Open client connections, the asking one included.
    pub alive_connections: u64,
    /// Of these, connections without TLS from another machine.
    pub plain_remote_connections: u64,
    /// Of these, connections without TLS from this machine.
    pub plain_local_connections: u64,
    /// Client connections whose TLS handshake is under way.
    pub tls_handshakes: u64,
    /// Records that the audit log lost.
    pub audit_records_lost: u64,
    /// Requests received but not answered.
    pub outstanding_requests: u64,
    /// Addresses and proven identities with open connections.
    pub tenants: u64,
    /// Connections left unread because of a bound.
    pub unread: u64,
    /// Bytes of memory used, as estimated; 0 if there is no limit.
    pub memory_used: u64,
    /// Its limit; 0 for none.
    pub memory_limit: u64,
    /// Whether writes that need more memory are refused.
    pub refuses_growth: bool,
    /// Requests waiting to be handed to the log.
    pub waiting_proposals: u64,
    /// Only while this server leads an ensemble.
    pub leader: Option<LeaderReadings>,
    /// The other members, only while this server leads an ensemble.
    pub followers: Vec<FollowerReading>,
    /// Voting members of the ensemble; `None` for a server of its own.
    pub quorum_size: Option<u64>,
}

/// Another member, as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerReading {
    /// Its number.
    pub id: u64,
    /// Whether it votes.
    pub votes: bool,
    /// It takes the log as it grows.
    pub follows: bool,
    /// Entries of the log that it has not confirmed.
    pub behind: u64,
    /// When it was last heard; `None` if never.
    pub heard_ms_ago: Option<u64>,
}

impl FollowerReading {
    /// Whether it is heard.
    pub fn is_connected(&self) -> bool {
        let limit_ms = limits::MEMBER_HEARD.as_millis() as u64;
        self.heard_ms_ago.is_some_and(|heard_ms_ago| heard_ms_ago < limit_ms)
    }

    /// Whether it is heard, follows the log and is close to its end.
    pub fn is_in_sync(&self) -> bool {
        self.is_connected() && self.follows && self.behind <= limits::MEMBER_IN_SYNC_ENTRIES
    }
}

/// What only a leader knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderReadings {
    /// Connected followers and observers.
    pub learners: u64,
    /// Voting followers that are in sync.
    pub synced_followers: u64,
    /// Non-voting followers that are in sync.
    pub synced_non_voting_followers: u64,
    /// Observers that are in sync.
    pub synced_observers: u64,
    /// Client syncs not yet answered.
    pub pending_syncs: u64,
    /// Time since this leadership began.
    pub uptime_ms: u64,
    /// Bytes of the last proposal, -1 before the first.
    pub last_proposal_bytes: i64,
    /// Bytes of the smallest proposal, -1 before the first.
    pub min_proposal_bytes: i64,
    /// Bytes of the largest proposal, -1 before the first.
    pub max_proposal_bytes: i64,
}
