//! The admin HTTP server: ZooKeeper's commands, Prometheus metrics, sessions and probes, served by
//! one thread that asks the I/O thread for everything.
//!
//! It reads and it resets counters. The one thing here that changes data is the end of a session,
//! so that is for this machine alone, unless the configuration says otherwise. `snapshot` and
//! `restore` answer 503, as the reference server does where they are switched off.

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
use tokio::runtime;
use tokio::sync::oneshot;

use super::bounded::{BoundedListener, Peer};
use super::commands::{self, Command};
use super::elections;
use super::query::{AdminClient, AdminQuery};
use super::report::ConfigReport;
use super::sessions::{self, Answered};
use super::tenants;
use super::why;
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
    pub fn start(
        admin: &AdminSettings,
        metrics: &MetricsSettings,
        config: ConfigReport,
        client: AdminClient,
    ) -> Self {
        let main = admin.enabled.then(|| bind("admin.serverPort", &admin.listen)).flatten();
        let prometheus =
            metrics.prometheus.as_ref().and_then(|at| bind("metricsProvider.httpPort", at));
        let addr_of = |listener: &Option<TcpListener>| listener.as_ref()?.local_addr().ok();
        let (addr, prometheus_addr) = (addr_of(&main), addr_of(&prometheus));
        let idle = Duration::from_millis(admin.idle_timeout_ms.into());
        let shared = Arc::new(Shared {
            command_url: admin.command_url.clone(),
            process_info: metrics.process_info,
            anybody_closes: admin.close_sessions,
            // A connection on which nothing is sent is closed for idleness.
            longest_wait: limits::SESSION_EVENTS_WAIT.min(idle * 2 / 3),
            config,
            client,
        });
        let routers = [
            (main, Router::new().fallback(admin_page).with_state(Arc::clone(&shared))),
            (prometheus, Router::new().fallback(metrics_page).with_state(shared)),
        ];
        let served: Vec<(TcpListener, Router)> = routers
            .into_iter()
            .filter_map(|(listener, router)| Some((listener?, router)))
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

/// Serves until the returned sender is dropped.
fn spawn(
    served: Vec<(TcpListener, Router)>,
    idle: Duration,
) -> Option<(oneshot::Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let work = move || -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            for (listener, router) in served {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let listener = BoundedListener::new(listener, idle);
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
    /// Who is not on this machine may end sessions too.
    anybody_closes: bool,
    /// Longest time for which an answer may be held back.
    longest_wait: Duration,
    config: ConfigReport,
    client: AdminClient,
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
    let argument = |name| argument(query.as_deref(), name);
    let path = uri.path();
    if let Some(command) = command_name(path, &shared.command_url) {
        let found = Command::find(command);
        let posted = method == Method::POST && found == Some(Command::Restore);
        if !is_read(&method) && !posted {
            return not_allowed();
        }
        return match found {
            _ if command.is_empty() => Html(index(&shared.command_url)).into_response(),
            None => pretty(commands::unknown(command)),
            Some(command) => {
                let mask = argument("traceMask");
                pretty(commands::run(command, mask, &shared.config, &shared.client).await)
            }
        };
    }
    let client = &shared.client;
    if let Some(id) = path.strip_prefix("/sessions/").and_then(|rest| rest.strip_suffix("/close")) {
        return match (method == Method::POST, may_close(&shared, peer, &headers)) {
            (false, _) => refusal(StatusCode::METHOD_NOT_ALLOWED, "only POST is answered here"),
            (true, Err(why)) => refusal(StatusCode::FORBIDDEN, why),
            (true, Ok(())) => json_response(sessions::close(id, client).await),
        };
    }
    if !is_read(&method) {
        return not_allowed();
    }
    match path.trim_end_matches('/') {
        "" => Html(START_PAGE.replace("{commands}", &shared.command_url)).into_response(),
        "/metrics" => metrics(&shared).await,
        "/health" => json_response(health(client).await),
        "/ready" => json_response(ready(client).await),
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

/// Whether this request may end a session.
fn may_close(shared: &Shared, peer: Peer, headers: &HeaderMap) -> Result<(), &'static str> {
    // Browsers name the page that sends a request. No page has business here, wherever the browser.
    if headers.contains_key(header::ORIGIN) {
        return Err("sessions are not closed for web pages");
    }
    if shared.anybody_closes || peer.0.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err("sessions are closed only from the server's own machine; \
         tenure.admin.closeSessions=true in its configuration allows it from others")
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

/// Whether the I/O thread turns around: a supervisor restarts what fails this.
async fn health(client: &AdminClient) -> Answered {
    client.ask(AdminQuery::Server).await?;
    Some((StatusCode::OK, json!({"healthy": true})))
}

/// Whether clients are served, and not with reads alone: a balancer sends nobody to what fails
/// this, and who restarts one member after another waits for it.
async fn ready(client: &AdminClient) -> Answered {
    let readings = client.ask(AdminQuery::Server).await?.readings;
    let is_ready = readings.serving && !readings.state.is_read_only();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut answer = json!({"ready": is_ready, "state": readings.state.name()});
    if readings.cluster != 0 {
        answer["cluster"] = format!("{:016x}", readings.cluster).into();
    }
    Some((status, answer))
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
    <li><a href=\"/elections\">/elections</a>: changes of the leader, and what they cost</li>\n\
    <li><a href=\"/tenants\">/tenants</a>: who shares the server, and limits reached</li>\n\
    <li><a href=\"/health\">/health</a>, <a href=\"/ready\">/ready</a>: probes</li>\n</ul>\n";

#[cfg(test)]
mod tests;
