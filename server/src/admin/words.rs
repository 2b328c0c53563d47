//! Four-letter words: four bytes at the start of a connection, answered in text, then closed.
//!
//! The texts are those of ZooKeeper 3.9, letter by letter where scripts parse them. Every function
//! here is pure; the driver gathers the reports that a word needs.

use std::collections::BTreeMap;
use std::fmt::Write;

use tenure_wire::{OpCode, SessionId};

use super::clock::Moment;
use super::environment::environment;
use super::live::Live;
use super::report::{
    ConfigReport, ConnectionReport, DigestReport, EnsembleReport, FolderSizes, ServerReport,
    SessionRange, SessionReport, WatchReport, WatchTotals,
};
use super::version::version;
use crate::config::{MemberRole, WordList};
use crate::metrics::Number;

/// Declares the words once, so that name, variant and parsing cannot drift apart.
macro_rules! words {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One four-letter word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word {
            $($(#[$doc])* $variant,)*
        }

        impl Word {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The four letters.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

words! {
    /// The configuration.
    Conf = "conf",
    /// Every connection in full.
    Cons = "cons",
    /// Reset what is counted about connections.
    Crst = "crst",
    /// Sizes of the data folders.
    Dirs = "dirs",
    /// Sessions and their ephemerals.
    Dump = "dump",
    /// The machine and process.
    Envi = "envi",
    /// The trace mask.
    Gtmk = "gtmk",
    /// Digests of the tree.
    Hash = "hash",
    /// Whether writes are taken.
    Isro = "isro",
    /// All metrics.
    Mntr = "mntr",
    /// Whether the process answers.
    Ruok = "ruok",
    /// Reset what is counted about the server.
    Srst = "srst",
    /// The server in short.
    Srvr = "srvr",
    /// The server in short, and its connections.
    Stat = "stat",
    /// Set the trace mask; its eight bytes follow.
    Stmk = "stmk",
    /// Watches by session.
    Wchc = "wchc",
    /// Watches by path.
    Wchp = "wchp",
    /// How many watches there are.
    Wchs = "wchs",
}

impl Word {
    /// The word that a connection's first four bytes are, if they are one. No frame can start so:
    /// read as a length, every word is far beyond any frame's bound.
    pub fn parse(first: &[u8; 4]) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.name().as_bytes() == first)
    }

    /// Whether eight more bytes, the mask, belong to it.
    pub fn takes_mask(self) -> bool {
        self == Self::Stmk
    }

    /// Whether it changes what operators see afterwards.
    pub fn changes(self) -> bool {
        matches!(self, Self::Crst | Self::Srst | Self::Stmk)
    }

    /// Whether it is answered even while the server does not serve.
    fn is_always_answered(self) -> bool {
        matches!(self, Self::Ruok | Self::Envi | Self::Gtmk | Self::Stmk)
    }
}

/// The whole answer to a word. `mask` is the eight bytes that came with `stmk`; a word that is not
/// on the list is refused without waiting for them.
pub fn answer(word: Word, mask: Option<i64>, allowed: &WordList, live: &mut impl Live) -> String {
    if !allowed.allows(word.name()) {
        return refusal(word);
    }
    if !word.is_always_answered() && !live.server().readings.serving {
        return if word == Word::Isro { "null".into() } else { format!("{NOT_SERVING}\n") };
    }
    match word {
        Word::Conf => conf(live.config(), live.config().folder_sizes()),
        Word::Cons => cons(&live.connections()),
        Word::Crst => {
            live.reset_connections();
            "Connection stats reset.\n".into()
        }
        Word::Dirs => dirs(live.config().folder_sizes()),
        Word::Dump => {
            dump(live.now_wall_ms(), &live.sessions(SessionRange::ALL), &live.connections())
        }
        Word::Envi => envi(),
        Word::Gtmk => live.trace_mask(None).to_string(),
        Word::Hash => hash(&live.digests()),
        Word::Isro => isro(&live.server()).into(),
        Word::Mntr => live.metrics().mntr(&version()),
        Word::Ruok => "imok".into(),
        Word::Srst => {
            live.reset_server();
            "Server stats reset.\n".into()
        }
        Word::Srvr => srvr(&live.server()),
        Word::Stat => stat(&live.server(), &live.connections()),
        Word::Stmk => live.trace_mask(mask).to_string(),
        Word::Wchc => wchc(&live.watches()),
        Word::Wchp => wchp(&live.watches()),
        Word::Wchs => wchs(live.watch_totals()),
    }
}

/// The answer to a word that is not on the list.
pub fn refusal(word: Word) -> String {
    format!("{} is not executed because it is not in the whitelist.\n", word.name())
}

/// What is said while the server starts or its ensemble has no quorum.
pub const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// The trace mask before anybody sets one. It selects nothing here; tools may set and read it.
pub const DEFAULT_TRACE_MASK: i64 = 306;

/// Puts a text together; a string takes everything.
macro_rules! put {
    ($text:expr, $($arguments:tt)*) => {
        writeln!($text, $($arguments)*).expect("strings take everything")
    };
}

/// The text of `srvr`.
fn srvr(server: &ServerReport) -> String {
    let mut text = format!("Zookeeper version: {}\n", version());
    push_server(&mut text, server);
    text
}

/// The text of `stat`: `srvr` with a line per connection after the version.
fn stat(server: &ServerReport, connections: &[ConnectionReport]) -> String {
    let mut text = format!("Zookeeper version: {}\nClients:\n", version());
    for connection in connections {
        push_connection(&mut text, connection);
        text.push_str(")\n");
    }
    text.push('\n');
    push_server(&mut text, server);
    text
}

fn push_server(text: &mut String, server: &ServerReport) {
    let readings = &server.readings;
    if readings.state.is_read_only() {
        put!(text, "READ-ONLY mode; serving only read-only clients");
    }
    let (min, max) = (server.min_latency_ms, server.max_latency_ms);
    put!(text, "Latency min/avg/max: {min}/{}/{max}", Number::mean(server.avg_latency_ms));
    put!(text, "Received: {}", server.packets_received);
    put!(text, "Sent: {}", server.packets_sent);
    put!(text, "Connections: {}", readings.alive_connections);
    put!(text, "Outstanding: {}", readings.outstanding_requests);
    put!(text, "Zxid: {}", readings.zxid);
    put!(text, "Mode: {}", readings.state.name());
    put!(text, "Node count: {}", readings.znode_count);
    if let Some(leader) = &readings.leader {
        let (last, min) = (leader.last_proposal_bytes, leader.min_proposal_bytes);
        put!(text, "Proposal sizes last/min/max: {last}/{min}/{}", leader.max_proposal_bytes);
    }
}

/// The text of `cons`.
fn cons(connections: &[ConnectionReport]) -> String {
    let mut text = String::new();
    for connection in connections {
        push_connection(&mut text, connection);
        push_session(&mut text, connection);
        text.push_str(")\n");
    }
    text.push('\n');
    text
}

/// The part that `stat` and `cons` have in common, without the closing bracket.
fn push_connection(text: &mut String, connection: &ConnectionReport) {
    let ConnectionReport { peer, outstanding, stats, .. } = connection;
    let (interest, received, sent) = (interest_ops(connection), stats.received, stats.sent);
    write!(text, " /{peer}[{interest}](queued={outstanding},recved={received},sent={sent}")
        .expect("strings take everything");
}

/// What only a connection with a session shows.
fn push_session(text: &mut String, connection: &ConnectionReport) {
    let Some(session) = connection.session else { return };
    let stats = &connection.stats;
    let mut fields = format!(
        ",sid={},lop={},est={},to={}",
        session.id,
        operation_tag(stats.last.map(|done| done.op)),
        connection.established_wall_ms,
        session.timeout_ms
    );
    if let Some(xid) = stats.last_xid() {
        fields.push_str(&format!(",lcxid={:#x}", xid.0));
    }
    text.push_str(&fields);
    let (zxid, at_ms) = stats.last.map_or((-1, 0), |done| (done.zxid.0, done.at_mono_ms));
    write!(
        text,
        ",lzxid={zxid:#x},lresp={at_ms},llat={},minlat={},avglat={},maxlat={}",
        stats.last_latency_ms(),
        stats.min_latency_ms(),
        stats.avg_latency_ms(),
        stats.max_latency_ms()
    )
    .expect("strings take everything");
}

/// What the server waits for on a socket, as the selector of Java numbers it.
pub(crate) fn interest_ops(connection: &ConnectionReport) -> u8 {
    u8::from(connection.reading) + 4 * u8::from(connection.writing)
}

/// The short name of an operation in `cons`.
pub(crate) fn operation_tag(op: Option<OpCode>) -> &'static str {
    match op {
        Some(OpCode::CreateSession) => "SESS",
        Some(OpCode::CloseSession) => "CLOS",
        Some(OpCode::Ping) => "PING",
        Some(OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
            "CREA"
        }
        Some(OpCode::Delete | OpCode::DeleteContainer) => "DELE",
        Some(OpCode::SetData) => "SETD",
        Some(OpCode::SetAcl) => "SETA",
        Some(OpCode::GetData) => "GETD",
        Some(OpCode::GetChildren | OpCode::GetChildren2) => "GETC",
        Some(OpCode::GetAllChildrenNumber) => "GETACN",
        Some(OpCode::GetEphemerals) => "GETE",
        Some(OpCode::GetAcl) => "GETA",
        Some(OpCode::Exists) => "EXIS",
        Some(OpCode::Sync) => "SYNC",
        Some(OpCode::Multi) => "MULT",
        Some(OpCode::MultiRead) => "MLTR",
        Some(OpCode::SetWatches) => "SETW",
        Some(OpCode::SetWatches2) => "STW2",
        Some(OpCode::AddWatch) => "ADDW",
        Some(OpCode::CheckWatches) => "CHKW",
        Some(OpCode::RemoveWatches) => "REMW",
        Some(OpCode::Reconfig) => "RECO",
        Some(OpCode::WhoAmI) => "HOMI",
        _ => "NA",
    }
}

/// The text of `conf`.
fn conf(config: &ConfigReport, sizes: FolderSizes) -> String {
    let port = |port: Option<u16>| port.map_or(-1, i32::from);
    let mut text = String::new();
    put!(text, "clientPort={}", port(config.client_port));
    put!(text, "secureClientPort={}", port(config.secure_client_port));
    put!(text, "dataDir={}", config.data_dir.display());
    put!(text, "dataDirSize={}", sizes.data_bytes);
    put!(text, "dataLogDir={}", config.data_log_dir.display());
    put!(text, "dataLogSize={}", sizes.log_bytes);
    put!(text, "tickTime={}", config.tick_ms);
    put!(text, "maxClientCnxns={}", config.max_per_address);
    put!(text, "minSessionTimeout={}", config.min_session_timeout_ms);
    put!(text, "maxSessionTimeout={}", config.max_session_timeout_ms);
    put!(text, "clientPortListenBacklog={}", config.listen_backlog.map_or(-1, i64::from));
    put!(text, "serverId={}", config.server_id);
    if let Some(ensemble) = &config.ensemble {
        push_ensemble(&mut text, ensemble);
    }
    text
}

/// What `conf` says more on a member of an ensemble.
fn push_ensemble(text: &mut String, ensemble: &EnsembleReport) {
    let EnsembleReport { init_limit, sync_limit, me, members, version } = ensemble;
    put!(text, "initLimit={init_limit}");
    put!(text, "syncLimit={sync_limit}");
    // The only one that the reference server still has.
    put!(text, "electionAlg=3");
    if let Some(address) = me.addresses.first() {
        put!(text, "electionPort={}", address.election_port);
        put!(text, "quorumPort={}", address.quorum_port);
    }
    put!(text, "peerType={}", u8::from(me.role == MemberRole::Observer));
    put!(text, "membership: ");
    for member in members {
        put!(text, "{member}");
    }
    put!(text, "version={version:x}");
}

/// The text of `envi`.
fn envi() -> String {
    let mut text = String::from("Environment:\n");
    for (name, value) in environment() {
        put!(text, "{name}={value}");
    }
    text
}

/// The text of `dump`, for sessions that expire relative to `now_wall_ms`.
fn dump(now_wall_ms: i64, sessions: &[SessionReport], connections: &[ConnectionReport]) -> String {
    let mut text = String::from("SessionTracker dump:\n");
    let ids = sessions.iter().map(|s| (s.expires_in_ms.unwrap_or(0), s.id.to_string()));
    push_by_expiry(&mut text, "Session Sets", now_wall_ms, ids);
    text.push_str("ephemeral nodes dump:\n");
    let owners = sessions.iter().filter(|session| !session.ephemerals.is_empty());
    put!(text, "Sessions with Ephemerals ({}):", owners.clone().count());
    for session in owners {
        put!(text, "{}:", session.id);
        for path in &session.ephemerals {
            put!(text, "\t{path}");
        }
    }
    text.push_str("Connections dump:\n");
    let places = connections.iter().map(|connection| {
        let session = connection.session.map_or(SessionId(0), |session| session.id);
        let place = format!("ip: /{} sessionId: {session}", connection.peer);
        (connection.expires_in_ms, place)
    });
    push_by_expiry(&mut text, "Connections Sets", now_wall_ms, places);
    text
}

/// Items under the second at which they expire, in the order of time.
fn push_by_expiry(
    text: &mut String,
    title: &str,
    now_wall_ms: i64,
    items: impl Iterator<Item = (u64, String)>,
) {
    let mut by_second: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for (expires_in_ms, item) in items {
        count += 1;
        by_second.entry(expiry_wall_ms(now_wall_ms, expires_in_ms) / 1000).or_default().push(item);
    }
    put!(text, "{title} ({})/({count}):", by_second.len());
    for (second, items) in by_second {
        let date = Moment::of(second * 1000).long();
        put!(text, "{} expire at {date}:", items.len());
        for item in items {
            put!(text, "\t{item}");
        }
    }
}

/// When something expires, on the wall clock.
pub(crate) fn expiry_wall_ms(now_wall_ms: i64, expires_in_ms: u64) -> i64 {
    // The bound keeps dates within what can be printed; no timeout comes near it.
    let far = 1_000 * 365 * 86_400_000;
    now_wall_ms.saturating_add(expires_in_ms.min(far) as i64)
}

/// The text of `wchs`.
fn wchs(totals: WatchTotals) -> String {
    let WatchTotals { connections, paths, watches } = totals;
    format!("{connections} connections watching {paths} paths\nTotal watches:{watches}\n")
}

/// The text of `wchc`.
fn wchc(watches: &[WatchReport]) -> String {
    let mut text = String::new();
    for WatchReport { session, paths } in watches {
        put!(text, "{session}");
        for path in paths {
            put!(text, "\t{path}");
        }
    }
    text.push('\n');
    text
}

/// The text of `wchp`.
fn wchp(watches: &[WatchReport]) -> String {
    let mut text = String::new();
    for (path, sessions) in watches_by_path(watches) {
        put!(text, "{path}");
        for session in sessions {
            put!(text, "\t{session}");
        }
    }
    text.push('\n');
    text
}

/// Who watches each path, in the order of paths.
pub(crate) fn watches_by_path(watches: &[WatchReport]) -> BTreeMap<&str, Vec<SessionId>> {
    let mut by_path: BTreeMap<&str, Vec<SessionId>> = BTreeMap::new();
    for WatchReport { session, paths } in watches {
        for path in paths {
            by_path.entry(path).or_default().push(*session);
        }
    }
    by_path
}

/// The text of `isro` while the server serves.
fn isro(server: &ServerReport) -> &'static str {
    if server.readings.state.is_read_only() { "ro" } else { "rw" }
}

/// The text of `dirs`.
fn dirs(sizes: FolderSizes) -> String {
    format!("datadir_size: {}\nlogdir_size: {}\n", sizes.data_bytes, sizes.log_bytes)
}

/// The text of `hash`.
fn hash(digests: &[DigestReport]) -> String {
    let mut text = String::new();
    for DigestReport { zxid, digest, .. } in digests {
        put!(text, "{:x}: {digest}", zxid.0);
    }
    text
}

#[cfg(test)]
mod tests;
