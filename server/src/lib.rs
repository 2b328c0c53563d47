//! The I/O around a replica: sockets, disk, timers and admin endpoints of one server.
//!
//! [`start`] runs a server inside this process, on threads of its own; several may run at once.

pub mod admin;
pub mod config;
pub mod limits;
pub mod metrics;

mod audit;
mod clock;
mod connection;
mod connections;
mod driver;
mod error;
mod founding;
mod hot_paths;
mod listener;
mod log_limit;
mod mail;
mod members_file;
mod memory;
mod peers;
mod persister;
mod process;
mod recovery;
mod snapshotter;
mod storm;
mod tenants;
mod tls;
mod transfer;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Poll, Waker};
pub use tenure_replica::{EndReason, Ended};
use tenure_storage::{DataFolder, RealDisk};
use tenure_wire::SessionId;

pub use admin::OperateError;
use admin::report::ConfigReport;
use admin::{AdminClient, AdminQuery, AdminServer, AdminTls, EndAs, Reply, wall_ms};
use audit::{Audit, AuditLine, AuditThread};
use config::{Changes, ServerConfig};
use driver::{Driver, Parts, Rules};
pub use error::{RunError, StartError};
pub use founding::{FoundError, found_data_folder};
pub use hot_paths::{HotPath, HotPathReport};
use listener::Listener;
use mail::{Mail, Mailbox};
use members_file::MembersFile;
use peers::Peers;
use persister::{Persister, SyncPolicy};
pub use process::{prefer_small_pages, raise_open_files_limit};
pub use recovery::{read_snapshot, read_snapshot_part};
use snapshotter::{SnapshotPolicy, Snapshotter};
pub use tls::{FileError, JksError, TlsError, Validity, validities};
use tls::{LinkTls, Live, Watch};
use transfer::SnapshotFolder;

/// A running server. Dropping it leaves the server running; [`ServerHandle::stop`] ends it.
pub struct ServerHandle {
    client_addr: SocketAddr,
    secure_client_addr: Option<SocketAddr>,
    admin_addr: Option<SocketAddr>,
    mailbox: Mailbox,
    thread: JoinHandle<Result<(), RunError>>,
}

/// Asks a server to stop, from any thread.
#[derive(Clone)]
pub struct Stopper(Mailbox);

impl Stopper {
    /// Has the server accept nobody any more, answer what is under way, sync and end.
    pub fn stop(&self) {
        self.0.post(Mail::Stop);
    }
}

/// Changes what can be changed about a running server, from any thread.
#[derive(Clone)]
pub struct Reloader(Mailbox);

impl Reloader {
    /// Applies what of another configuration needs no restart: limits, bounds of session timeouts,
    /// the list of four-letter words, thresholds. Returns what changed, and what waits for a
    /// restart.
    ///
    /// # Errors
    /// If the server has stopped, or does not answer.
    pub fn reload(&self, config: &ServerConfig) -> Result<Changes, OperateError> {
        let config = Box::new(config.clone());
        ask(&self.0, |reply| Mail::Reload(config, reply))
    }
}

impl ServerHandle {
    /// Where clients connect: without TLS, if the server has a port for that.
    pub fn client_addr(&self) -> SocketAddr {
        self.client_addr
    }

    /// Where clients connect with TLS, if they can.
    pub fn secure_client_addr(&self) -> Option<SocketAddr> {
        self.secure_client_addr
    }

    /// Where admin HTTP is served, if it is.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// A means to stop the server while another thread waits in [`ServerHandle::join`].
    pub fn stopper(&self) -> Stopper {
        Stopper(self.mailbox.clone())
    }

    /// A means to reload the server's configuration while another thread waits in
    /// [`ServerHandle::join`].
    pub fn reloader(&self) -> Reloader {
        Reloader(self.mailbox.clone())
    }

    /// Closes a session as an operator: its client is told nothing but the end of its connection,
    /// its ephemerals go. Returns what is remembered of it once that is applied.
    ///
    /// # Errors
    /// If there is no such session, or the server does not serve, is paused for more than ten
    /// seconds, or stops.
    pub fn close_session(&self, session: SessionId) -> Result<Ended, OperateError> {
        self.end_session(session, EndAs::ClosedByOperator)
    }

    /// Has a session expire now, as if its client had not been heard for its timeout.
    ///
    /// # Errors
    /// As for [`ServerHandle::close_session`].
    pub fn expire_session(&self, session: SessionId) -> Result<Ended, OperateError> {
        self.end_session(session, EndAs::Expired)
    }

    fn end_session(&self, session: SessionId, how: EndAs) -> Result<Ended, OperateError> {
        self.ask(|reply| Mail::Query(AdminQuery::EndSession(session, how, reply)))?
    }

    /// Cuts the connection of a session. The session lives on, and can be resumed, until its
    /// timeout has passed.
    ///
    /// # Errors
    /// If no client is connected to such a session here, or the server is paused or stops.
    pub fn drop_connection(&self, session: SessionId) -> Result<(), OperateError> {
        self.ask(|reply| Mail::DropConnection(session, reply))?
    }

    /// Has the server stand still until [`ServerHandle::resume`]: it keeps its sockets, but reads,
    /// answers and expires nothing. Returns once it does. The time of the pause does not count for
    /// any session. A stop ends the pause.
    ///
    /// # Errors
    /// If the server has stopped.
    pub fn pause(&self) -> Result<(), OperateError> {
        self.ask(Mail::Pause)
    }

    /// Ends a pause; without one, does nothing.
    pub fn resume(&self) {
        self.mailbox.post(Mail::Resume);
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<T>) -> Mail,
    ) -> Result<T, OperateError> {
        ask(&self.mailbox, question)
    }

    /// Waits until the server has ended, by a stop or by a failure.
    pub fn join(self) -> Result<(), RunError> {
        self.thread.join().unwrap_or(Err(RunError::Thread("I/O")))
    }

    /// Stops the server gracefully and waits until it has ended. Sessions live on in its data
    /// folder and can be resumed after the next start.
    pub fn stop(self) -> Result<(), RunError> {
        self.stopper().stop();
        self.join()
    }
}

fn ask<T: Send + 'static>(
    mailbox: &Mailbox,
    question: impl FnOnce(Reply<T>) -> Mail,
) -> Result<T, OperateError> {
    let (sender, answer) = mpsc::sync_channel(1);
    // Whoever asked may have given up; then nobody misses the answer.
    let reply = Reply::new(move |answer| drop(sender.try_send(answer)));
    mailbox.post(question(reply));
    answer.recv_timeout(admin::END_TIMEOUT).map_err(|error| match error {
        RecvTimeoutError::Timeout => OperateError::NoAnswer,
        RecvTimeoutError::Disconnected => OperateError::Stopped,
    })
}

/// Whether a server could start with a configuration: what [`start`] refuses before it touches
/// anything. Keys and certificates are read.
///
/// # Errors
/// If it could not.
pub fn check(config: &ServerConfig) -> Result<(), StartError> {
    refuse_unsupported(config)?;
    Secured::start(config).map(drop)
}

/// Starts a server: recovers its data folder, then listens. Clients are served when this returns.
pub fn start(config: &ServerConfig) -> Result<ServerHandle, StartError> {
    refuse_unsupported(config)?;
    // Before the folder is touched: mistakes in the configuration show at once.
    let Secured { clients, links, admin: admin_tls, watches } = Secured::start(config)?;
    let folder = DataFolder::open(&config.data_dir, &config.data_log_dir)?;
    let disk = RealDisk::shared();
    let recovered = recovery::recover(&disk, &folder, config)?;

    let (listeners, addrs) = listen(config, clients)?;
    let client_addr = addrs.plain.or(addrs.secure).expect("refused above");

    let poll = Poll::new().map_err(system("creating the readiness queue"))?;
    let waker = Waker::new(poll.registry(), driver::WAKE).map_err(system("creating a waker"))?;
    let (mailbox, mail) = Mailbox::new(Arc::new(waker));
    let policy = SyncPolicy { force_sync: config.durability.force_sync };
    let persister = Persister::start(recovered.log, policy, mailbox.clone())
        .map_err(system("starting the disk thread"))?;
    let snapshots = SnapshotFolder {
        disk: Arc::clone(&disk),
        dir: folder.snapshot_dir().to_path_buf(),
        hash_seed: recovered.hash_seed,
    };
    let policy = SnapshotPolicy {
        disk,
        dir: snapshots.dir.clone(),
        retain: config.snapshots.retain_count.max(limits::SNAPSHOTS_RETAINED) as usize,
    };
    let peers = peers(config, links, snapshots, &mailbox)?;
    let snapshotter = Snapshotter::start(policy, mailbox.clone())
        .map_err(system("starting the snapshot thread"))?;
    let (audit, audit_thread) = audit(config)?.unzip();
    let port = |addr: SocketAddr| addr.port();
    let report = ConfigReport::new(config, addrs.plain.map(port), addrs.secure.map(port));
    let (on_serving, serving) = mpsc::sync_channel(1);
    let parts = Parts {
        poll,
        listeners,
        replica: recovered.replica,
        persister,
        peers,
        members_file: members_file(config)?,
        snapshotter,
        mail,
        clock: recovered.clock,
        rules: rules(config),
        words: config.four_letter_words.clone(),
        config: report,
        text: config.initial_text.clone(),
        metrics: recovered.metrics,
        last_snapshot: recovered.last_snapshot,
        audit: audit.clone(),
        on_serving,
    };
    let driver = Driver::new(parts).map_err(system("registering the listener"))?;
    let questions = mailbox.clone();
    let ask = AdminClient::new(move |query| questions.post(Mail::Query(query)));
    let admin = AdminServer::start(&config.admin, &config.metrics, admin_tls, ask, audit.clone());
    let admin_addr = admin.addr();
    let reloader =
        tls::Reloader::start(watches).map_err(system("starting the thread for TLS files"))?;
    let thread = thread::Builder::new()
        .name("tenure-io".into())
        .spawn(move || {
            let outcome = driver.run();
            drop((admin, reloader));
            end_audit(audit, audit_thread);
            drop(folder);
            outcome
        })
        .map_err(system("starting the I/O thread"))?;
    let thread = once_it_serves(thread, &serving)?;
    let secure_client_addr = addrs.secure;
    Ok(ServerHandle { client_addr, secure_client_addr, admin_addr, mailbox, thread })
}

type IoThread = JoinHandle<Result<(), RunError>>;

/// Waits until the thread serves. One that ended before it served anybody says why.
fn once_it_serves(thread: IoThread, serving: &mpsc::Receiver<()>) -> Result<IoThread, StartError> {
    if serving.recv().is_ok() {
        return Ok(thread);
    }
    let ended = thread.join().unwrap_or(Err(RunError::Thread("I/O")));
    Err(ended.err().unwrap_or(RunError::Thread("I/O")).into())
}

/// The audit log, if one is wanted.
fn audit(config: &ServerConfig) -> Result<Option<(Audit, AuditThread)>, StartError> {
    if !config.audit.enabled {
        return Ok(None);
    }
    let path = config.audit_file();
    let started = Audit::start(path.clone(), &config.audit);
    let (audit, thread) = started.map_err(|source| StartError::Audit { path, source })?;
    audit.record(AuditLine::of_server("serverStart", wall_ms()));
    Ok(Some((audit, thread)))
}

/// The last line, and the end of the thread that writes it.
fn end_audit(audit: Option<Audit>, thread: Option<AuditThread>) {
    if let Some(audit) = audit {
        audit.record(AuditLine::of_server("serverStop", wall_ms()));
    }
    if let Some(thread) = thread {
        thread.finish();
    }
}

fn rules(config: &ServerConfig) -> Rules {
    let connections = &config.connections;
    Rules {
        max_frame_bytes: connections.max_frame_bytes as usize,
        // Either key says how much may be in work at once.
        max_outstanding: match connections.throttle_limit {
            0 => connections.max_outstanding,
            limit => limit.min(connections.max_outstanding),
        } as usize,
        throttled_op_wait: match connections.throttled_op_wait_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms.into())),
        },
        large_request: connections.large_request_threshold_bytes.map(|bytes| bytes as usize),
        max_large_requests: connections.large_requests_max_bytes as usize,
        limits: config.limits,
        storm: config.storm,
        local_sessions: config.sessions.local,
        sessionless_timeout: Duration::from_millis(connections.sessionless_timeout_ms.into()),
        slow_sync_us: u64::from(config.durability.slow_sync_warning_ms) * 1000,
    }
}

/// Links to the other members, if the configuration names any.
fn peers(
    config: &ServerConfig,
    tls: Option<Arc<Live<LinkTls>>>,
    snapshots: SnapshotFolder,
    mailbox: &Mailbox,
) -> Result<Option<Peers>, StartError> {
    if !config.ensemble.is_distributed() {
        return Ok(None);
    }
    let started = Peers::start(config, tls, snapshots, mailbox);
    started.map(Some).map_err(system("listening for the other members"))
}

/// The file of the members, if they can change and the configuration has them in one of its own.
fn members_file(config: &ServerConfig) -> Result<Option<MembersFile>, StartError> {
    let path = config.ensemble.dynamic_config_file.clone();
    let path = path.filter(|_| config.ensemble.is_distributed() && config.tree.reconfig);
    let file = path.zip(config.ensemble.my_id).map(|(path, me)| MembersFile::start(path, me));
    file.transpose().map_err(system("starting the thread that writes down the members"))
}

type LiveTls = Arc<Live<rustls::ServerConfig>>;

/// What is encrypted, and from which files.
struct Secured {
    clients: Option<LiveTls>,
    links: Option<Arc<Live<LinkTls>>>,
    admin: Option<AdminTls>,
    watches: Vec<Watch>,
}

impl Secured {
    fn start(config: &ServerConfig) -> Result<Self, StartError> {
        let mut watches = Vec::new();
        let mut clients = None;
        if config.secure_client.is_some() || config.connections.port_unification {
            let (live, watch) = tls::clients(&config.tls)?;
            watches.extend(watch);
            clients = Some(live);
        }
        let mut links = None;
        let ensemble = &config.ensemble;
        if ensemble.is_distributed() && (ensemble.tls || ensemble.tls_unification) {
            let (live, watch) = tls::links(&config.tls)?;
            watches.extend(watch);
            links = Some(live);
        }
        let mut admin = None;
        let is_forced = config.admin.force_https;
        if config.admin.enabled && (is_forced || config.admin.port_unification) {
            let (live, watch) = tls::admin(&config.tls, config.admin.need_client_auth)?;
            watches.extend(watch);
            admin = Some(AdminTls { live, is_forced });
        }
        Ok(Secured { clients, links, admin, watches })
    }
}

/// Where clients connect.
struct ClientAddrs {
    plain: Option<SocketAddr>,
    secure: Option<SocketAddr>,
}

/// Listens for clients on every port that the configuration names. Each has its own count of
/// connections, as in the reference server.
fn listen(
    config: &ServerConfig,
    tls: Option<Arc<Live<rustls::ServerConfig>>>,
) -> Result<(Vec<Listener>, ClientAddrs), StartError> {
    let rules = &config.connections;
    let backlog = rules.listen_backlog.map_or(limits::LISTEN_BACKLOG, |n| n as i32);
    let mut listeners = Vec::new();
    let mut bind = |listen: &config::Listen, secured: fn(Listener, LiveTls) -> Listener| {
        let candidates = config::candidates(listen).map_err(listen_error(listen))?;
        let listener = Listener::bind(&candidates, backlog, rules.max_per_address, rules.max_total)
            .map_err(listen_error(listen))?;
        let addr = listener.local_addr().map_err(listen_error(listen))?;
        listeners.push(match &tls {
            Some(tls) => secured(listener, Arc::clone(tls)),
            None => listener,
        });
        Ok::<_, StartError>(addr)
    };
    let as_asked = match rules.port_unification {
        true => Listener::unified,
        false => |listener, _| listener,
    };
    let plain = config.client.as_ref().map(|listen| bind(listen, as_asked)).transpose()?;
    let secure = config.secure_client.as_ref();
    let secure = secure.map(|listen| bind(listen, Listener::secured)).transpose()?;
    Ok((listeners, ClientAddrs { plain, secure }))
}

/// Refuses a configuration that makes no server, and tells what an operator has to know.
fn refuse_unsupported(config: &ServerConfig) -> Result<(), StartError> {
    if config.ensemble.is_distributed() {
        refuse_sasl_links(config)?;
        warn_of_plain_links(config);
    }
    if config.client.is_none() && config.secure_client.is_none() {
        return Err(StartError::Unsupported(
            "the configuration has no clientPort and no secureClientPort, so no client could \
             connect; add clientPort=2181",
        ));
    }
    Ok(())
}

fn warn_of_plain_links(config: &ServerConfig) {
    match (config.ensemble.tls, config.ensemble.tls_unification) {
        (true, false) => {}
        (true, true) => tracing::warn!(
            "portUnification=true: links between members may be plain, so whoever reaches the peer \
             port can pose as a member. Remove it once every member has sslQuorum=true"
        ),
        (false, true) => tracing::warn!(
            "portUnification=true without sslQuorum=true: this server takes encrypted links and \
             dials plain ones. Once every member does, go on with sslQuorum=true"
        ),
        (false, false) => tracing::warn!(
            "links between members are neither encrypted nor authenticated (sslQuorum=false): \
             trust their network"
        ),
    }
}

/// Refuses to leave open what an operator believes to be authenticated.
fn refuse_sasl_links(config: &ServerConfig) -> Result<(), StartError> {
    let wants_sasl = config.tls.iter().any(|(key, value)| {
        key == "quorum.auth.enableSasl" && value.trim().eq_ignore_ascii_case("true")
    });
    if wants_sasl {
        return Err(StartError::Unsupported(
            "quorum.auth.enableSasl=true: members authenticate each other by certificates alone. \
             Use sslQuorum=true instead",
        ));
    }
    Ok(())
}

fn listen_error(listen: &config::Listen) -> impl Fn(io::Error) -> StartError {
    let addr = listen.to_string();
    move |source| StartError::Listen { addr: addr.clone(), source }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::System { what, source }
}
