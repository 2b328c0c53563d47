//! The commands of admin HTTP: their names and aliases, and the JSON each answers with.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::authorise::Danger;
use super::clock::wall_ms;
use super::ensemble_commands;
use super::environment::environment;
use super::query::{AdminClient, AdminQuery};
use super::report::{
    ConfigReport, ConnectionReport, ServerReport, SessionRange, SessionReport, WatchReport,
};
use super::version::version;
use super::words::{NOT_SERVING, expiry_wall_ms, interest_ops, operation_tag, watches_by_path};
use crate::metrics::{Number, ResponseSizes};

/// Declares the commands once: variant, name, aliases, and whether the server must be serving.
macro_rules! commands {
    ($($variant:ident = $name:literal, [$($alias:literal),*], $serving:literal;)*) => {
        /// One command of admin HTTP.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Command {
            $($variant,)*
        }

        impl Command {
            /// Every command, in the order of the index page.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The command of a name or alias.
            pub(crate) fn find(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $alias)* => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name it is reported under.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether it is refused while the server does not serve.
            const fn needs_serving(self) -> bool {
                match self {
                    $(Self::$variant => $serving,)*
                }
            }
        }
    };
}

commands! {
    Configuration = "configuration", ["conf", "config"], true;
    ConnectionStatReset = "connection_stat_reset", ["crst"], true;
    Connections = "connections", ["cons"], true;
    Dirs = "dirs", [], true;
    Dump = "dump", [], true;
    Environment = "environment", ["env", "envi"], false;
    GetTraceMask = "get_trace_mask", ["gtmk"], false;
    Hash = "hash", [], true;
    InitialConfiguration = "initial_configuration", ["icfg"], false;
    IsReadOnly = "is_read_only", ["isro"], true;
    LastSnapshot = "last_snapshot", ["lsnp"], true;
    Leader = "leader", ["lead"], true;
    Monitor = "monitor", ["mntr"], true;
    ObserverConnectionStatReset = "observer_connection_stat_reset", ["orst"], true;
    Observers = "observers", ["obsr"], true;
    Restore = "restore", ["rest"], true;
    Ruok = "ruok", [], false;
    ServerStats = "server_stats", ["srvr"], true;
    SetTraceMask = "set_trace_mask", ["stmk"], false;
    Snapshot = "snapshot", ["snap"], true;
    StatReset = "stat_reset", ["srst"], true;
    Stats = "stats", ["stat"], true;
    SystemProperties = "system_properties", ["sysp"], false;
    VotingView = "voting_view", [], true;
    WatchSummary = "watch_summary", ["wchs"], true;
    Watches = "watches", ["wchc"], true;
    WatchesByPath = "watches_by_path", ["wchp"], true;
    ZabState = "zabstate", [], true;
}

impl Command {
    /// How it could hurt, if it could. The reference server guards the first two alone.
    pub(crate) const fn danger(self) -> Option<Danger> {
        match self {
            Self::Snapshot | Self::Restore => Some(Danger::Changes),
            // Names of znodes, at the price of all sessions or watches.
            Self::Dump | Self::Watches | Self::WatchesByPath => Some(Danger::Reveals),
            Self::InitialConfiguration => Some(Danger::Reveals),
            // Whoever watches the server loses sight of what happened before.
            Self::ConnectionStatReset | Self::StatReset => Some(Danger::Reveals),
            _ => None,
        }
    }
}

/// What a command answers: fields in their order, then `command` and `error`.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    fields: Vec<(String, Value)>,
    error: Option<String>,
    status: StatusCode,
}

impl Answer {
    /// An answer that is nothing but an error.
    fn error(status: StatusCode, message: impl Into<String>) -> Self {
        Self { fields: Vec::new(), error: Some(message.into()), status }
    }

    fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    fn fields(mut self, fields: Vec<(String, Value)>) -> Self {
        self.fields.extend(fields);
        self
    }

    /// Status and pretty-printed JSON.
    pub(crate) fn render(self, command: &str) -> (StatusCode, String) {
        let error = self.error.map_or(Value::Null, Value::from);
        let last = [("command".to_owned(), Value::from(command)), ("error".to_owned(), error)];
        let lines: Vec<String> = self
            .fields
            .into_iter()
            .chain(last)
            .map(|(name, value)| {
                let value = serde_json::to_string_pretty(&value).unwrap_or_default();
                format!("  {} : {}", Value::from(name), value.replace('\n', "\n  "))
            })
            .collect();
        (self.status, format!("{{\n{}\n}}\n", lines.join(",\n")))
    }
}

/// The answer to a name that is no command: as the reference server, with status 200.
pub(crate) fn unknown(name: &str) -> (StatusCode, String) {
    Answer::error(StatusCode::OK, format!("Unknown command: {name}")).render(name)
}

const NO_RESTORE: &str = "a running server does not take over another state: stop it, and make a \
    new data folder with `tenure restore`";

/// Runs a command. `trace_mask` is the argument of that name, if there was one.
pub(crate) async fn run(
    command: Command,
    trace_mask: Option<&str>,
    client: &AdminClient,
) -> (StatusCode, String) {
    let answer = match answer(command, trace_mask, client).await {
        Some(answer) => answer,
        None => Answer::error(StatusCode::SERVICE_UNAVAILABLE, "the server does not answer"),
    };
    answer.render(command.name())
}

/// `None` if the I/O thread does not answer.
async fn answer(
    command: Command,
    trace_mask: Option<&str>,
    client: &AdminClient,
) -> Option<Answer> {
    let server = client.ask(AdminQuery::Server).await?;
    let config = &client.ask(AdminQuery::Config).await?;
    if command.needs_serving() && !server.readings.serving {
        return Some(Answer::error(StatusCode::OK, NOT_SERVING));
    }
    let (answer, ensemble) = (Answer::default(), config.ensemble.as_ref());
    Some(match command {
        Command::Configuration => configuration(config),
        Command::ConnectionStatReset => {
            client.ask(AdminQuery::ResetConnections).await?;
            answer
        }
        Command::Connections => {
            push_connections(answer, &client.ask(AdminQuery::Connections).await?, full)
        }
        Command::Dirs => {
            let sizes = config.folder_sizes();
            answer.field("datadir_size", sizes.data_bytes).field("logdir_size", sizes.log_bytes)
        }
        Command::Dump => {
            let everything = |reply| AdminQuery::Sessions(SessionRange::ALL, reply);
            dump(wall_ms(), &client.ask(everything).await?)
        }
        Command::Environment | Command::SystemProperties => environment()
            .into_iter()
            .fold(answer, |answer, (name, value)| answer.field(name, value)),
        Command::GetTraceMask => {
            let mask = client.ask(|reply| AdminQuery::TraceMask(None, reply)).await?;
            answer.field("tracemask", mask)
        }
        Command::SetTraceMask => set_trace_mask(trace_mask, client).await?,
        Command::Hash => hash(client).await?,
        Command::InitialConfiguration => {
            answer.field("initial_configuration", config.text_without_secrets())
        }
        Command::IsReadOnly => answer.field("read_only", server.readings.state.is_read_only()),
        Command::LastSnapshot => last_snapshot(client).await?,
        Command::Leader => leader(&server, config),
        Command::Monitor => monitor(client).await?,
        Command::ObserverConnectionStatReset | Command::Ruok => answer,
        Command::Observers => answer.field("synced_observers", 0).field("observers", json!([])),
        Command::Restore => Answer::error(StatusCode::SERVICE_UNAVAILABLE, NO_RESTORE),
        // It has no answer of this form.
        Command::Snapshot => answer,
        Command::ServerStats => server_stats(&server, config),
        Command::StatReset => {
            client.ask(AdminQuery::ResetServer).await?;
            answer
        }
        Command::Stats => push_connections(
            server_stats(&server, config),
            &client.ask(AdminQuery::Connections).await?,
            brief,
        ),
        Command::VotingView => answer.fields(ensemble_commands::voting_view(ensemble)),
        Command::WatchSummary => watch_summary(client).await?,
        Command::Watches => watches(&client.ask(AdminQuery::Watches).await?),
        Command::WatchesByPath => by_path(&client.ask(AdminQuery::Watches).await?),
        Command::ZabState => {
            answer.fields(ensemble_commands::zab_state(&server.readings, ensemble))
        }
    })
}

fn leader(server: &ServerReport, config: &ConfigReport) -> Answer {
    let ensemble = config.ensemble.as_ref();
    match ensemble.and_then(|ensemble| ensemble_commands::leader(&server.readings, ensemble)) {
        Some(fields) => Answer::default().fields(fields),
        // What the reference server says of a server of its own.
        None => Answer::error(StatusCode::OK, "server is not initialized"),
    }
}

fn configuration(config: &ConfigReport) -> Answer {
    let port = |port: Option<u16>| port.map_or(-1, i32::from);
    let answer = Answer::default()
        .field("client_port", port(config.client_port))
        .field("data_dir", config.data_dir.display().to_string())
        .field("data_log_dir", config.data_log_dir.display().to_string())
        .field("tick_time", config.tick_ms)
        .field("max_client_cnxns", config.max_per_address)
        .field("min_session_timeout", config.min_session_timeout_ms)
        .field("max_session_timeout", config.max_session_timeout_ms)
        .field("server_id", config.server_id)
        .field("client_port_listen_backlog", config.listen_backlog.map_or(-1, i64::from));
    match config.secure_client_port {
        Some(port) => answer.field("secure_client_port", port),
        None => answer,
    }
}

/// Connections in two lists, each shown by `show`.
fn push_connections(
    answer: Answer,
    connections: &[ConnectionReport],
    show: fn(&ConnectionReport) -> Value,
) -> Answer {
    let list =
        |secure| -> Value { connections.iter().filter(|c| c.secure == secure).map(show).collect() };
    answer.field("connections", list(false)).field("secure_connections", list(true))
}

fn brief(connection: &ConnectionReport) -> Value {
    json!({
        "remote_socket_address": connection.peer.to_string(),
        "interest_ops": interest_ops(connection),
        "outstanding_requests": connection.outstanding,
        "packets_received": connection.stats.received,
        "packets_sent": connection.stats.sent,
    })
}

fn full(connection: &ConnectionReport) -> Value {
    let mut shown = brief(connection);
    let Some(session) = connection.session else { return shown };
    let stats = &connection.stats;
    let more = json!({
        "session_id": session.id.0,
        "last_operation": operation_tag(stats.last.map(|done| done.op)),
        "established": connection.established_wall_ms,
        "session_timeout": session.timeout_ms,
        "last_cxid": stats.last_xid().map_or(-1, |xid| xid.0),
        "last_zxid": stats.last.map_or(-1, |done| done.zxid.0),
        "last_response_time": stats.last.map_or(0, |done| done.at_mono_ms),
        "last_latency": stats.last_latency_ms(),
        "min_latency": stats.min_latency_ms(),
        "avg_latency": stats.avg_latency_ms(),
        "max_latency": stats.max_latency_ms(),
    });
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    shown
}

fn dump(now_wall_ms: i64, sessions: &[SessionReport]) -> Answer {
    let mut by_expiry = Map::new();
    let mut by_session = Map::new();
    for session in sessions {
        let expiry = expiry_wall_ms(now_wall_ms, session.expires_in_ms.unwrap_or(0)).to_string();
        let ids = by_expiry.entry(expiry).or_insert_with(|| json!([]));
        if let Value::Array(ids) = ids {
            ids.push(session.id.0.into());
        }
        if !session.ephemerals.is_empty() {
            by_session.insert(session.id.0.to_string(), json!(session.ephemerals));
        }
    }
    Answer::default()
        .field("expiry_time_to_session_ids", by_expiry)
        .field("session_id_to_ephemeral_paths", by_session)
}

async fn set_trace_mask(argument: Option<&str>, client: &AdminClient) -> Option<Answer> {
    const WANTED: &str = "setTraceMask requires long traceMask argument";
    let Some(text) = argument else {
        return Some(Answer::error(StatusCode::OK, WANTED));
    };
    let Ok(mask) = text.parse() else {
        return Some(Answer::error(StatusCode::OK, format!("{WANTED}, got {text}")));
    };
    let mask = client.ask(|reply| AdminQuery::TraceMask(Some(mask), reply)).await?;
    Some(Answer::default().field("tracemask", mask))
}

async fn hash(client: &AdminClient) -> Option<Answer> {
    let digests = client.ask(AdminQuery::Digests).await?;
    let shown: Value = digests
        .iter()
        .map(|d| json!({"zxid": d.zxid.0, "digest": d.digest, "digest_version": d.version}))
        .collect();
    Some(Answer::default().field("digests", shown))
}

async fn last_snapshot(client: &AdminClient) -> Option<Answer> {
    let newest = client.ask(AdminQuery::LastSnapshot).await?;
    let zxid = newest.map_or_else(|| "-1".into(), |newest| format!("{:x}", newest.zxid.0));
    let timestamp = newest.map_or(-1, |newest| newest.written_wall_ms / 1000);
    Some(Answer::default().field("zxid", zxid).field("timestamp", timestamp))
}

async fn monitor(client: &AdminClient) -> Option<Answer> {
    let snapshot = client.ask(AdminQuery::Metrics).await?;
    let mut answer =
        Answer::default().field("version", version()).field("server_state", snapshot.state.name());
    for (name, number) in snapshot.lines() {
        answer = match number {
            Number::Integer(value) => answer.field(&name, value),
            Number::Float(value) => answer.field(&name, value),
        };
    }
    Some(answer)
}

fn server_stats(server: &ServerReport, config: &ConfigReport) -> Answer {
    let readings = &server.readings;
    let sizes = config.folder_sizes();
    let stats = json!({
        "packets_sent": server.packets_sent,
        "packets_received": server.packets_received,
        "fsync_threshold_exceed_count": server.slow_syncs,
        "client_response_stats": response_sizes(server.response_sizes),
        "data_dir_size": sizes.data_bytes,
        "log_dir_size": sizes.log_bytes,
        "last_processed_zxid": readings.zxid.0,
        "outstanding_requests": readings.outstanding_requests,
        "server_state": readings.state.name(),
        "avg_latency": server.avg_latency_ms,
        "max_latency": server.max_latency_ms,
        "min_latency": server.min_latency_ms,
        "num_alive_client_connections": readings.alive_connections,
        "uptime": readings.uptime_ms,
        "auth_failed_count": server.auth_failed,
        "non_mtlsremote_conn_count": readings.plain_remote_connections,
        "non_mtlslocal_conn_count": readings.plain_local_connections,
        "provider_null": false,
    });
    let answer = Answer::default()
        .field("version", version())
        .field("read_only", readings.state.is_read_only())
        .field("server_stats", stats)
        .field("client_response", response_sizes(server.response_sizes))
        .field("node_count", readings.znode_count);
    match &readings.leader {
        None => answer,
        Some(leader) => answer.field(
            "proposal_stats",
            json!({
                "last_buffer_size": leader.last_proposal_bytes,
                "min_buffer_size": leader.min_proposal_bytes,
                "max_buffer_size": leader.max_proposal_bytes,
            }),
        ),
    }
}

fn response_sizes(sizes: ResponseSizes) -> Value {
    json!({
        "last_buffer_size": sizes.last(),
        "min_buffer_size": sizes.min(),
        "max_buffer_size": sizes.max(),
    })
}

async fn watch_summary(client: &AdminClient) -> Option<Answer> {
    let totals = client.ask(AdminQuery::WatchTotals).await?;
    Some(
        Answer::default()
            .field("num_connections", totals.connections)
            .field("num_paths", totals.paths)
            .field("num_total_watches", totals.watches),
    )
}

fn watches(watches: &[WatchReport]) -> Answer {
    let by_session: Map<String, Value> =
        watches.iter().map(|watch| (watch.session.0.to_string(), json!(watch.paths))).collect();
    Answer::default().field("session_id_to_watched_paths", by_session)
}

fn by_path(watches: &[WatchReport]) -> Answer {
    let by_path: Map<String, Value> = watches_by_path(watches)
        .into_iter()
        .map(|(path, sessions)| (path.to_owned(), sessions.iter().map(|id| id.0).collect()))
        .collect();
    Answer::default().field("path_to_session_ids", by_path)
}
