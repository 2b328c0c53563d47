//! The admin HTTP server: ZooKeeper's commands, Prometheus metrics, sessions and probes, served by
//! one thread that asks the I/O thread for everything.
//!
//! Metrics, probes and figures are for everybody who can reach the port. What could hurt is for
//! this machine, and for operators who show who they are (`authorise`). `restore` answers 503, as
//! the reference server does where it is switched off: a state that replaces another is no change
//! that an ensemble can agree on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};
use tenure_wire::ErrorCode;
use tokio::runtime;
use tokio::sync::oneshot;

use super::authorise::{Danger, Operator, Trust, authorise};
use super::bounded::{BoundedListener, Peer};
use super::clock::wall_ms;
use super::commands::{self, Command};
use super::denials;
use super::elections;
use super::probes;
use super::query::{AdminClient, AdminQuery};
use super::server_events;
use super::sessions::{self, Answered};
use super::snapshot::Snapshots;
use super::status;
use super::tenants;
use super::why;
use super::wire::AdminTls;
use crate::audit::{Audit, AuditLine};
use crate::config::{AdminSettings, Listen, MetricsSettings};
use crate::limits;

/// The running admin server. Dropping it stops it.
pub struct AdminServer {
    addr: Option<SocketAddr>,
    prometheus_addr: Option<SocketAddr>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl AdminServer {
    /// Binds and serves on a thread of its own. An address that cannot be bound is warned about,
    /// and the server runs without it: clients matter more than the admin port.
    pub(crate) fn start(
        admin: &AdminSettings,
        metrics: &MetricsSettings,
        tls: Option<AdminTls>,
        client: AdminClient,
        audit: Option<Audit>,
    ) -> Self {
        let main = admin.enabled.then(|| bind("admin.serverPort", &admin.listen)).flatten();
        let prometheus =
            metrics.prometheus.as_ref().and_then(|at| bind("metricsProvider.httpPort", at));
        let addr_of = |listener: &Option<TcpListener>| listener.as_ref()?.local_addr().ok();
        let (addr, prometheus_addr) = (addr_of(&main), addr_of(&prometheus));
        let idle = Duration::from_millis(admin.idle_timeout_ms.into());
        // A connection on which nothing is sent is closed for idleness.
        let longest_wait = idle * 2 / 3;
        let shared = Arc::new(Shared {
            command_url: admin.command_url.clone(),
            process_info: metrics.process_info,
            trust: Trust { whom: admin.trust, anybody_closes: admin.close_sessions },
            longest_wait: limits::SESSION_EVENTS_WAIT.min(longest_wait),
            client,
            snapshots: Snapshots::new(admin, longest_wait),
            audit,
        });
        let routers = [
            (main, tls, Router::new().fallback(admin_page).with_state(Arc::clone(&shared))),
            (prometheus, None, Router::new().fallback(metrics_page).with_state(shared)),
        ];
        let served: Vec<Served> = routers
            .into_iter()
            .filter_map(|(listener, tls, router)| Some((listener?, tls, router)))
            .collect();
        let running = if served.is_empty() { None } else { spawn(served, idle) };
        Self { addr, prometheus_addr, running }
    }

    /// Where commands are served, if they are.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Where Prometheus metrics are served on a port of their own, if they are.
    pub fn prometheus_addr(&self) -> Option<SocketAddr> {
        self.prometheus_addr
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // A panic over there was told by its hook; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

fn bind(key: &str, listen: &Listen) -> Option<TcpListener> {
    let bound = crate::config::candidates(listen).and_then(|candidates| {
        let listener = TcpListener::bind(&candidates[..])?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound
        .inspect_err(|error| {
            tracing::warn!(address = %listen, %error, "cannot listen ({key}); serving without it");
        })
        .ok()
}

/// Where pages are served, what is spoken there, and the pages.
type Served = (TcpListener, Option<AdminTls>, Router);

/// Serves until the returned sender is dropped.
fn spawn(served: Vec<Served>, idle: Duration) -> Option<(oneshot::Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let work = move || -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            for (listener, tls, router) in served {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let listener = BoundedListener::new(listener, idle, tls);
                let service = router.into_make_service_with_connect_info::<Peer>();
                tokio::spawn(axum::serve(listener, service).into_future());
            }
            // The sender is only ever dropped; that is the sign.
            let _ = stopped.await;
            Ok(())
        })
    };
    let thread = thread::Builder::new().name("tenure-admin".into()).spawn(move || {
        if let Err(error) = work() {
            tracing::warn!(%error, "admin HTTP stopped");
        }
    });
    thread
        .inspect_err(|error| tracing::warn!(%error, "cannot start the admin thread"))
        .ok()
        .map(|thread| (stop, thread))
}

/// What every request needs.
struct Shared {
    command_url: String,
    process_info: bool,
    trust: Trust,
    /// Longest time for which an answer may be held back.
    longest_wait: Duration,
    client: AdminClient,
    snapshots: Snapshots,
    audit: Option<Audit>,
}

/// Everything on the admin port.
async fn admin_page(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let path = uri.path();
    if let Some(name) = command_name(path, &shared.command_url) {
        let command = Command::find(name);
        let posted = method == Method::POST && command == Some(Command::Restore);
        if !is_read(&method) && !posted {
            return not_allowed();
        }
        return match (name, command) {
            ("", _) => Html(index(&shared.command_url)).into_response(),
            (name, None) => pretty(commands::unknown(name)),
            (_, Some(command)) => run(command, query.as_deref(), &shared, peer, &headers).await,
        };
    }
    let client = &shared.client;
    if let Some(id) = path.strip_prefix("/sessions/").and_then(|rest| rest.strip_suffix("/close")) {
        if method != Method::POST {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "only POST is answered here");
        }
        return match shared.let_in(Danger::EndsSession, peer, &headers).await {
            Ok(operator) => {
                let closed = sessions::close(id, client).await;
                shared.record("adminCloseSession", &operator, |line| {
                    let line = line.with("session", id);
                    match &closed {
                        Some((StatusCode::OK, _)) => line,
                        _ => line.failed(ErrorCode::UnknownSession),
                    }
                });
                json_response(closed)
            }
            Err(refused) => refused,
        };
    }
    if !is_read(&method) {
        return not_allowed();
    }
    let path = path.trim_end_matches('/');
    if (matches!(path, "/denials" | "/hot" | "/sessions" | "/tenants")
        || path.starts_with("/sessions/"))
        && let Err(refused) = shared.let_in(Danger::Reveals, peer, &headers).await
    {
        return refused;
    }
    read_page(path, query.as_deref(), &shared).await
}

/// What is only read, to whom it may be shown.
async fn read_page(path: &str, query: Option<&str>, shared: &Shared) -> Response {
    let argument = |name| argument(query, name);
    let client = &shared.client;
    match path {
        "" => Html(START_PAGE.replace("{commands}", &shared.command_url)).into_response(),
        "/metrics" => metrics(shared).await,
        "/healthz" | "/health" => json_response(probes::health(client).await),
        "/readyz" | "/ready" => json_response(probes::ready(client).await),
        "/status" => json_response(status::status(client).await),
        "/events" => json_response(server_events::events(argument("after"), client).await),
        "/denials" => json_response(denials::denials(client).await),
        "/hot" => json_response(status::hot_paths(client).await),
        "/elections" => json_response(elections::elections(client).await),
        "/tenants" => json_response(tenants::tenants(client).await),
        "/sessions" => {
            json_response(sessions::live(argument("after"), argument("limit"), client).await)
        }
        "/sessions/ended" => json_response(sessions::ended(client).await),
        "/sessions/why" => json_response(why::why(argument("path"), client).await),
        "/sessions/events" => {
            let (after, wait_ms) = (argument("after"), argument("wait_ms"));
            let longest = shared.longest_wait;
            json_response(sessions::events(after, wait_ms, longest, client).await)
        }
        path => match path.strip_prefix("/sessions/") {
            Some(id) => json_response(sessions::one(id, client).await),
            None => not_found(path),
        },
    }
}

/// Everything on the port of the Prometheus provider.
async fn metrics_page(State(shared): State<Arc<Shared>>, method: Method, uri: Uri) -> Response {
    match uri.path() {
        _ if !is_read(&method) => not_allowed(),
        "/metrics" => metrics(&shared).await,
        path => not_found(path),
    }
}

/// The part of a path behind the command URL; empty for the index page.
fn command_name<'a>(path: &'a str, command_url: &str) -> Option<&'a str> {
    match path.strip_prefix(command_url)? {
        "" if !command_url.is_empty() => Some(""),
        rest => rest.strip_prefix('/').filter(|name| !command_url.is_empty() || is_command(name)),
    }
}

/// With commands at the root, only their names are theirs.
fn is_command(name: &str) -> bool {
    Command::find(name).is_some()
}

/// Runs a command for whoever may have it run.
async fn run(
    command: Command,
    query: Option<&str>,
    shared: &Shared,
    peer: Peer,
    headers: &HeaderMap,
) -> Response {
    if let Some(danger) = command.danger() {
        match shared.let_in(danger, peer, headers).await {
            Ok(operator) => {
                shared
                    .record("adminCommand", &operator, |line| line.with("command", command.name()));
            }
            Err(refused) => return refused,
        }
    }
    let (argument, client) = (|name| argument(query, name), &shared.client);
    match command {
        Command::Snapshot => shared.snapshots.answer(argument("streaming"), client).await,
        _ => pretty(commands::run(command, argument("traceMask"), client).await),
    }
}

impl Shared {
    /// Lets a request do what could hurt, or refuses it.
    async fn let_in(
        &self,
        danger: Danger,
        peer: Peer,
        headers: &HeaderMap,
    ) -> Result<Operator, Response> {
        let authorised = authorise(danger, self.trust, peer, headers, &self.client).await;
        authorised.map_err(|(status, why)| {
            let stranger = Operator { peer: peer.0.ip().to_canonical(), who: None };
            self.record("adminAuthenticate", &stranger, |line| line.failed(ErrorCode::AuthFailed));
            refusal(status, &why)
        })
    }

    /// Records in the audit log, if there is one, what an operator had done.
    fn record(
        &self,
        operation: &'static str,
        operator: &Operator,
        complete: impl FnOnce(AuditLine) -> AuditLine,
    ) {
        if let Some(audit) = &self.audit {
            let (user, ip) = (operator.who.as_deref(), operator.peer.to_string());
            audit.record(complete(AuditLine::of_operator(operation, user, ip, wall_ms())));
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The value of an argument, as written: no argument here needs escapes.
fn argument<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

async fn metrics(shared: &Shared) -> Response {
    match shared.client.ask(AdminQuery::Metrics).await {
        None => json_response(None),
        Some(snapshot) => {
            const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, TYPE)], snapshot.prometheus(shared.process_info))
                .into_response()
        }
    }
}

fn json_response(answered: Answered) -> Response {
    let silent =
        || (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "the server does not answer"}));
    let (status, body): (StatusCode, Value) = answered.unwrap_or_else(silent);
    pretty((status, format!("{body:#}\n")))
}

fn pretty((status, text): (StatusCode, String)) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn not_found(path: &str) -> Response {
    json_response(Some((StatusCode::NOT_FOUND, json!({"error": format!("nothing at {path}")}))))
}

fn not_allowed() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here")
}

fn refusal(status: StatusCode, why: &str) -> Response {
    json_response(Some((status, json!({"error": why}))))
}

fn index(command_url: &str) -> String {
    let link = |command: &Command| {
        let name = command.name();
        format!("<a href=\"{command_url}/{name}\">{name}</a>\n<br/>\n")
    };
    Command::ALL.iter().map(link).collect()
}

const START_PAGE: &str = "<!doctype html>\n<title>Tenure</title>\n<h1>Tenure</h1>\n<ul>\n\
    <li><a href=\"{commands}\">{commands}</a>: ZooKeeper's admin commands</li>\n\
    <li><a href=\"/metrics\">/metrics</a>: metrics for Prometheus</li>\n\
    <li><a href=\"/sessions\">/sessions</a>: live sessions</li>\n\
    <li><a href=\"/sessions/ended\">/sessions/ended</a>: sessions that ended, and why</li>\n\
    <li><a href=\"/sessions/events\">/sessions/events</a>: what happened to sessions lately</li>\n\
    <li><a href=\"/denials\">/denials</a>: who was refused what lately, and why</li>\n\
    <li><a href=\"/elections\">/elections</a>: changes of the leader, and what they cost</li>\n\
    <li><a href=\"/tenants\">/tenants</a>: who shares the server, and limits reached</li>\n\
    <li><a href=\"/events\">/events</a>: what happened to the server lately</li>\n\
    <li><a href=\"/hot\">/hot</a>: the znodes that clients ask for most</li>\n\
    <li><a href=\"/status\">/status</a>: this member, its leader, its followers</li>\n\
    <li><a href=\"/healthz\">/healthz</a>, <a href=\"/readyz\">/readyz</a>: probes</li>\n</ul>\n";

#[cfg(test)]
mod tests;
