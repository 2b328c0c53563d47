//! The I/O around a replica: sockets, disk, timers and admin endpoints of one server.
//!
//! [`start`] runs a server inside this process, on threads of its own; several may run at once.

pub mod admin;
pub mod config;
pub mod limits;
pub mod metrics;

mod clock;
mod connection;
mod connections;
mod driver;
mod error;
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
use admin::{AdminClient, AdminQuery, AdminServer, EndAs, Reply};
use config::ServerConfig;
use driver::{Driver, Parts, Rules};
pub use error::{RunError, StartError};
use listener::Listener;
use mail::{Mail, Mailbox};
use members_file::MembersFile;
use peers::Peers;
use persister::{Persister, SyncPolicy};
pub use process::{prefer_small_pages, raise_open_files_limit};
pub use recovery::read_snapshot;
use snapshotter::{SnapshotPolicy, Snapshotter};
pub use tls::{FileError, JksError, TlsError};
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
        let (sender, answer) = mpsc::sync_channel(1);
        // Whoever asked may have given up; then nobody misses the answer.
        let reply = Reply::new(move |answer| drop(sender.try_send(answer)));
        self.mailbox.post(question(reply));
        answer.recv_timeout(admin::END_TIMEOUT).map_err(|error| match error {
            RecvTimeoutError::Timeout => OperateError::NoAnswer,
            RecvTimeoutError::Disconnected => OperateError::Stopped,
        })
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

/// Starts a server: recovers its data folder, then listens. Clients are served when this returns.
pub fn start(config: &ServerConfig) -> Result<ServerHandle, StartError> {
    refuse_unsupported(config)?;
    // Before the folder is touched: mistakes in the configuration show at once.
    let tls = config.secure_client.as_ref().map(|_| tls::configure(&config.tls)).transpose()?;
    let folder = DataFolder::open(&config.data_dir, &config.data_log_dir)?;
    let disk = RealDisk::shared();
    let recovered = recovery::recover(&disk, &folder, config)?;

    let (listeners, addrs) = listen(config, tls)?;
    let client_addr = addrs.plain.or(addrs.secure).expect("refused above");

    let poll = Poll::new().map_err(system("creating the readiness queue"))?;
    let waker = Waker::new(poll.registry(), driver::WAKE).map_err(system("creating a waker"))?;
    let (mailbox, mail) = Mailbox::new(Arc::new(waker));
    let policy = SyncPolicy {
        force_sync: config.durability.force_sync,
        slow_warning: Duration::from_millis(config.durability.slow_sync_warning_ms.into()),
    };
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
    let peers = peers(config, snapshots, &mailbox)?;
    let snapshotter = Snapshotter::start(policy, mailbox.clone())
        .map_err(system("starting the snapshot thread"))?;
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
        config: report.clone(),
        metrics: recovered.metrics,
        last_snapshot: recovered.last_snapshot,
        on_serving,
    };
    let driver = Driver::new(parts).map_err(system("registering the listener"))?;
    let questions = mailbox.clone();
    let ask = AdminClient::new(move |query| questions.post(Mail::Query(query)));
    let admin = AdminServer::start(&config.admin, &config.metrics, report, ask);
    let admin_addr = admin.addr();
    let thread = thread::Builder::new()
        .name("tenure-io".into())
        .spawn(move || {
            let outcome = driver.run();
            drop(admin);
            drop(folder);
            outcome
        })
        .map_err(system("starting the I/O thread"))?;
    if serving.recv().is_err() {
        // The thread ended before it served anybody, and says why.
        let ended = thread.join().unwrap_or(Err(RunError::Thread("I/O")));
        return Err(ended.err().unwrap_or(RunError::Thread("I/O")).into());
    }
    let secure_client_addr = addrs.secure;
    Ok(ServerHandle { client_addr, secure_client_addr, admin_addr, mailbox, thread })
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
    }
}

/// Links to the other members, if the configuration names any.
fn peers(
    config: &ServerConfig,
    snapshots: SnapshotFolder,
    mailbox: &Mailbox,
) -> Result<Option<Peers>, StartError> {
    if !config.ensemble.is_distributed() {
        return Ok(None);
    }
    let started = Peers::start(config, snapshots, mailbox);
    started.map(Some).map_err(system("listening for the other members"))
}

/// The file of the members, if they can change and the configuration has them in one of its own.
fn members_file(config: &ServerConfig) -> Result<Option<MembersFile>, StartError> {
    let path = config.ensemble.dynamic_config_file.clone();
    let path = path.filter(|_| config.ensemble.is_distributed() && config.tree.reconfig);
    let file = path.zip(config.ensemble.my_id).map(|(path, me)| MembersFile::start(path, me));
    file.transpose().map_err(system("starting the thread that writes down the members"))
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
    tls: Option<Arc<rustls::ServerConfig>>,
) -> Result<(Vec<Listener>, ClientAddrs), StartError> {
    let rules = &config.connections;
    let backlog = rules.listen_backlog.map_or(limits::LISTEN_BACKLOG, |n| n as i32);
    let mut listeners = Vec::new();
    let mut bind = |listen: &config::Listen, tls: Option<Arc<rustls::ServerConfig>>| {
        let candidates = config::candidates(listen).map_err(listen_error(listen))?;
        let listener = Listener::bind(&candidates, backlog, rules.max_per_address, rules.max_total)
            .map_err(listen_error(listen))?;
        let addr = listener.local_addr().map_err(listen_error(listen))?;
        listeners.push(match tls {
            Some(tls) => listener.secured(tls),
            None => listener,
        });
        Ok::<_, StartError>(addr)
    };
    let plain = config.client.as_ref().map(|listen| bind(listen, None)).transpose()?;
    let secure = config.secure_client.as_ref().zip(tls);
    let secure = secure.map(|(listen, tls)| bind(listen, Some(tls))).transpose()?;
    Ok((listeners, ClientAddrs { plain, secure }))
}

/// Refuses a configuration that makes no server, and tells what an operator has to know.
fn refuse_unsupported(config: &ServerConfig) -> Result<(), StartError> {
    if config.ensemble.is_distributed() {
        refuse_secured_links(config)?;
        tracing::warn!(
            "links between members are neither encrypted nor authenticated: trust their network"
        );
    }
    tls::warn_of_missing(&config.tls);
    if config.client.is_none() && config.secure_client.is_none() {
        return Err(StartError::Unsupported(
            "the configuration has no clientPort and no secureClientPort, so no client could \
             connect; add clientPort=2181",
        ));
    }
    Ok(())
}

/// Refuses to send in the clear what an operator believes to be encrypted or authenticated.
fn refuse_secured_links(config: &ServerConfig) -> Result<(), StartError> {
    if config.ensemble.tls {
        return Err(StartError::Unsupported(
            "sslQuorum=true: links between members cannot be encrypted yet. Remove the line only \
             if nobody else can reach the network between them",
        ));
    }
    let wants_sasl = config.tls.iter().any(|(key, value)| {
        key == "quorum.auth.enableSasl" && value.trim().eq_ignore_ascii_case("true")
    });
    if wants_sasl {
        return Err(StartError::Unsupported(
            "quorum.auth.enableSasl=true: members cannot authenticate each other yet. Remove the \
             line only if nobody else can reach the network between them",
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
