//! How a session is established: its settings and their defaults.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tenure_wire::DEFAULT_MAX_FRAME;
use thiserror::Error;

use crate::error::Error;
use crate::io::{Command, Io};
use crate::machine::{self, Auth, HostsError, Machine, Settings};
use crate::recipe::Claims;
use crate::session::{Changes, Connection, Session};
use crate::shared::Shared;
use crate::status::{Liveness, LostReason};
use crate::tls::Tls;
use crate::token::SessionToken;

/// The session timeout asked for unless another is given.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long establishing may take unless another limit is given.
pub const DEFAULT_ESTABLISH_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that may be outstanding unless another number is given.
pub const DEFAULT_MAX_OUTSTANDING: usize = 1024;

/// The longest reply that is read unless another limit is given: servers do not limit theirs.
pub const DEFAULT_MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// Settings of a session that is to be established or resumed.
///
/// ```
/// # tenure_testing::example(async |hosts| {
/// use std::time::Duration;
/// use tenure_client::Session;
///
/// let session = Session::builder(hosts)
///     .timeout(Duration::from_secs(4))
///     .auth("digest", "user:password")
///     .establish()
///     .await?;
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct SessionBuilder {
    hosts: String,
    timeout: Duration,
    establish_timeout: Duration,
    request_timeout: Option<Duration>,
    read_only: bool,
    auths: Vec<Auth>,
    max_outstanding: usize,
    max_request_bytes: usize,
    max_reply_bytes: usize,
    tls: Option<Tls>,
}

/// Why there is no session.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EstablishError {
    /// The connect string names no servers.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// This process cannot serve sessions.
    #[error("the client's thread cannot be started: {0}")]
    System(#[from] io::Error),
    /// No server established it in time, it is gone, or the credentials were refused.
    #[error("no session: {0}")]
    Lost(LostReason),
}

impl SessionBuilder {
    pub(crate) fn new(hosts: &str) -> Self {
        Self {
            hosts: hosts.to_owned(),
            timeout: DEFAULT_TIMEOUT,
            establish_timeout: DEFAULT_ESTABLISH_TIMEOUT,
            request_timeout: None,
            read_only: false,
            auths: Vec::new(),
            max_outstanding: DEFAULT_MAX_OUTSTANDING,
            max_request_bytes: DEFAULT_MAX_FRAME,
            max_reply_bytes: DEFAULT_MAX_REPLY_BYTES,
            tls: None,
        }
    }

    /// The session timeout to ask for; the server may negotiate another. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long [`establish`](Self::establish) and [`resume`](Self::resume) try. Default: 30 s.
    pub fn establish_timeout(mut self, limit: Duration) -> Self {
        self.establish_timeout = limit;
        self
    }

    /// How long a request may take. Default: as long as the session lives, which bounds it too.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = Some(limit);
        self
    }

    /// Whether a server that cannot write would do, for lack of a quorum. Default: no.
    ///
    /// What such a server answers may be old, writes fail with
    /// [`NotReadOnly`](tenure_wire::ErrorCode::NotReadOnly), and the state is
    /// [`ConnectedReadOnly`](crate::State::ConnectedReadOnly). The session there is that server's
    /// own and vouched for by nobody: another takes its place when it goes back to a server that
    /// can write, which the others are asked for meanwhile.
    pub fn read_only(mut self, would_do: bool) -> Self {
        self.read_only = would_do;
        self
    }

    /// Credentials to show on every link, before anything else. May be given several times.
    pub fn auth(mut self, scheme: &str, credentials: impl AsRef<[u8]>) -> Self {
        let credentials = credentials.as_ref().to_vec();
        self.auths.push(Auth { scheme: scheme.to_owned(), credentials });
        self
    }

    /// Reads that are never older than what was acknowledged to anybody before they were sent,
    /// whichever member of an ensemble answers: each waits until a quorum has confirmed that its
    /// leader leads. Only Tenure's servers can do that; with others the session ends as
    /// [`State::AuthFailed`](crate::State::AuthFailed).
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # use tenure_client::Session;
    /// let session = Session::builder(hosts).linearizable_reads().establish().await?;
    /// session.get("/").await?;
    /// # session.close().await?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn linearizable_reads(self) -> Self {
        self.auth("tenure", "linearizable-reads")
    }

    /// Links are encrypted. Default: they are not.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Requests that may be on their way at once; further ones wait their turn, in the order in
    /// which they were handed in. Default: 1024.
    pub fn max_outstanding(mut self, requests: usize) -> Self {
        self.max_outstanding = requests.max(1);
        self
    }

    /// The longest request that is sent, in bytes; servers hang up on longer ones than their
    /// `jute.maxbuffer`. Default: 1,048,575.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// The longest reply that is read, in bytes; the request of a longer one fails. Default:
    /// 64 MiB.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// Establishes a session and shows the credentials.
    ///
    /// # Errors
    /// If the connect string names no servers, none of them answers in time, or the credentials
    /// are refused.
    pub async fn establish(self) -> Result<Session, EstablishError> {
        self.begin_and_wait(None).await
    }

    /// Resumes the session of a token.
    ///
    /// # Errors
    /// As [`establish`](Self::establish), and with [`LostReason::Expired`] if the session is gone.
    pub async fn resume(self, token: SessionToken) -> Result<Session, EstablishError> {
        self.begin_and_wait(Some(token)).await
    }

    /// Begins to establish a session without waiting for it: it is `CONNECTING`, without a limit
    /// in time, and requests wait until it is established.
    ///
    /// # Errors
    /// If the connect string names no servers.
    pub fn start(mut self) -> Result<Session, EstablishError> {
        let auths = std::mem::take(&mut self.auths);
        Ok(self.prepare(None, auths, None)?.begin())
    }

    /// As [`start`](Self::start), with all changes of the session from the very first on.
    /// [`Session::changes`] begins with the state at the time of the call, which may be later.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// use tenure_client::{Session, State};
    ///
    /// let (session, mut changes) = Session::builder(hosts).start_with_changes()?;
    /// for state in [State::NotConnected, State::Connecting, State::Connected] {
    ///     assert_eq!(changes.next().await.map(|change| change.state), Some(state));
    /// }
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_changes(mut self) -> Result<(Session, Changes), EstablishError> {
        let auths = std::mem::take(&mut self.auths);
        let prepared = self.prepare(None, auths, None)?;
        let changes = prepared.session.changes();
        Ok((prepared.begin(), changes))
    }

    async fn begin_and_wait(
        mut self,
        token: Option<SessionToken>,
    ) -> Result<Session, EstablishError> {
        let auths = std::mem::take(&mut self.auths);
        let limit = self.establish_timeout;
        let session = self.prepare(token, Vec::new(), Some(limit))?.begin();
        let shown: Vec<_> =
            auths.iter().map(|auth| session.add_auth(&auth.scheme, &auth.credentials)).collect();
        for shown in shown {
            match shown.await {
                Ok(()) => {}
                Err(Error::Lost(reason)) => return Err(EstablishError::Lost(reason)),
                Err(_) => {
                    let reason = match session.liveness() {
                        Liveness::Lost(reason) => reason,
                        // The session, of no use to anybody, is closed with its only handle.
                        _ => LostReason::NotEstablished { after: limit, cause: None },
                    };
                    return Err(EstablishError::Lost(reason));
                }
            }
        }
        session.established().await.map_err(EstablishError::Lost)?;
        Ok(session)
    }

    fn prepare(
        self,
        resume: Option<SessionToken>,
        auths: Vec<Auth>,
        establish_limit: Option<Duration>,
    ) -> Result<Prepared, EstablishError> {
        let (hosts, chroot) = machine::parse_hosts(&self.hosts)?;
        let io = Io::get()?;
        let (seed, claims_seed) = (random_seed()?, random_seed()?);
        let claims = Claims::new(claims_seed, resume.is_some());
        let mut machine = Machine::new(Settings {
            hosts,
            timeout: self.timeout,
            read_only: self.read_only,
            auths,
            resume,
            establish_limit,
            max_reply_bytes: self.max_reply_bytes,
            seed,
        });
        machine.limit_outstanding(self.max_outstanding);
        let shared = Arc::new(Shared::new());
        let (limit, timeout) = (self.max_request_bytes, self.request_timeout);
        let connection = Connection::new(io, Arc::clone(&shared), limit, timeout, claims);
        let session = Session::new(Arc::new(connection), &chroot);
        Ok(Prepared { session, machine: Box::new(machine), shared, tls: self.tls })
    }
}

/// A session of which the background thread does not know yet.
struct Prepared {
    session: Session,
    machine: Box<crate::io::Session>,
    shared: Arc<Shared>,
    tls: Option<Tls>,
}

impl Prepared {
    fn begin(self) -> Session {
        let Self { session, machine, shared, tls } = self;
        session.connection().send(|key| Command::Begin(key, machine, shared, tls));
        session
    }
}

fn random_seed() -> io::Result<u64> {
    let mut seed = [0; 8];
    getrandom::getrandom(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(u64::from_ne_bytes(seed))
}
