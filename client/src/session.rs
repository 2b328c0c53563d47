//! The handle of one session.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tenure_wire::{OpCode, SessionId, Zxid};

use crate::builder::{EstablishError, SessionBuilder};
use crate::error::Error;
use crate::io::{Command, Io};
use crate::machine::{self, Auth, Failure, HostsError, Interruption};
use crate::moment::Moment;
use crate::recipe::Claims;
use crate::shared::{ChangeQueue, Completion, Shared};
use crate::status::{Change, Liveness, LostReason, State};
use crate::token::SessionToken;

/// One session: a logical connection to the ensemble that outlives any link to a server, and ends
/// for good when it is closed or expires.
///
/// A `Session` is never reborn: once it is [lost](Liveness::Lost), every request fails with
/// [`Error::Lost`], and a new session is a new value. Clones are handles of the same session. When
/// the last one is dropped, and with it the last watch and request under way, the session is
/// closed; to keep it for another process, [`leave`](Session::leave) it.
///
/// ```
/// # tenure_testing::example(async |hosts| {
/// use tenure_client::Session;
///
/// let session = Session::establish(hosts).await?;
/// session.create("/hello", "world").await?;
/// assert_eq!(&session.get("/hello").await?.data[..], b"world");
/// session.close().await?;
/// # Ok(())
/// # });
/// ```
#[derive(Clone)]
pub struct Session {
    connection: Arc<Connection>,
    chroot: Arc<str>,
}

/// What all handles of a session share; dropping it closes the session.
pub(crate) struct Connection {
    key: u64,
    io: Io,
    pub(crate) shared: Arc<Shared>,
    next_watch: AtomicU64,
    pub(crate) max_request_bytes: usize,
    request_timeout: Option<Duration>,
    pub(crate) claims: Claims,
}

impl Connection {
    pub(crate) fn new(
        io: Io,
        shared: Arc<Shared>,
        max_request_bytes: usize,
        request_timeout: Option<Duration>,
        claims: Claims,
    ) -> Self {
        static NEXT_KEY: AtomicU64 = AtomicU64::new(0);
        let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        let next_watch = AtomicU64::new(0);
        Self { key, io, shared, next_watch, max_request_bytes, request_timeout, claims }
    }

    /// Tells the background thread something about this session.
    pub(crate) fn send(&self, command: impl FnOnce(u64) -> Command) {
        self.io.send(command(self.key));
    }

    pub(crate) fn next_watch_id(&self) -> u64 {
        self.next_watch.fetch_add(1, Ordering::Relaxed)
    }

    /// Warns if what came at `at` is looked at so late that the application must be stuck.
    pub(crate) fn note_delay(&self, at: Moment) {
        // The background thread looks after a session every third of its timeout at least. While
        // it has not done so, there is no need to ask for the time.
        if self.shared.served().since(at) < Duration::from_millis(10) {
            return;
        }
        let delay = Moment::now().since(at);
        let Some(token) = self.shared.token() else { return };
        if delay > token.timeout() / 3 {
            tracing::warn!(
                session = %token.id(),
                delay_ms = delay.as_millis() as u64,
                timeout_ms = token.timeout().as_millis() as u64,
                "the executor was blocked: a reply waited for more than a third of the session \
                 timeout until its task ran"
            );
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.send(|key| Command::Close(key, None));
    }
}

impl Session {
    /// Establishes a session with the defaults of [`SessionBuilder`].
    ///
    /// `hosts` is a connect string: `host:port,host:port/chroot`, port 2181 if not given.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// use tenure_client::{Session, State};
    ///
    /// let session = Session::establish(hosts).await?;
    /// assert_eq!(session.state(), State::Connected);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// If the connect string names no servers, or none of them answers within the limit.
    pub async fn establish(hosts: &str) -> Result<Self, EstablishError> {
        Self::builder(hosts).establish().await
    }

    /// Resumes the session of a token: with its ephemerals, also in another process.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// use tenure_client::Session;
    ///
    /// let first = Session::establish(hosts).await?;
    /// first.create("/mine", "").ephemeral().await?;
    /// let token = first.token().expect("it is established").to_string();
    /// first.leave();
    ///
    /// // Later, perhaps in another process:
    /// let second = Session::resume(hosts, token.parse()?).await?;
    /// assert_eq!(second.ephemerals("/").await?, ["/mine"]);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// If the session is gone, which is an [`EstablishError::Lost`], and as for
    /// [`Session::establish`].
    pub async fn resume(hosts: &str, token: SessionToken) -> Result<Self, EstablishError> {
        Self::builder(hosts).resume(token).await
    }

    /// A session with settings of its own.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// use std::time::Duration;
    /// use tenure_client::Session;
    ///
    /// let session = Session::builder(hosts).timeout(Duration::from_secs(4)).establish().await?;
    /// assert_eq!(session.timeout(), Duration::from_secs(4));
    /// # Ok(())
    /// # });
    /// ```
    pub fn builder(hosts: &str) -> SessionBuilder {
        SessionBuilder::new(hosts)
    }

    pub(crate) fn new(connection: Arc<Connection>, chroot: &str) -> Self {
        Self { connection, chroot: chroot.into() }
    }

    /// The same session without a chroot, for what stands outside of every one.
    pub(crate) fn without_chroot(&self) -> Self {
        Self { connection: Arc::clone(&self.connection), chroot: "".into() }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) fn request_timeout(&self) -> Option<Duration> {
        self.connection.request_timeout
    }

    fn shared(&self) -> &Shared {
        &self.connection.shared
    }

    /// The session's id, 0 before it is established.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// let stat = session.create("/mine", "").ephemeral().await?.stat;
    /// assert_eq!(stat.ephemeral_owner, session.id().0);
    /// # Ok(())
    /// # });
    /// ```
    pub fn id(&self) -> SessionId {
        self.token().map_or(SessionId(0), |token| token.id())
    }

    /// The negotiated timeout; zero before the session is established.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// // A heartbeat is due every third of it.
    /// println!("every {:?}", session.timeout() / 3);
    /// # Ok(())
    /// # });
    /// ```
    pub fn timeout(&self) -> Duration {
        self.token().map_or(Duration::ZERO, |token| token.timeout())
    }

    /// What resumes the session, also in another process. `None` before it is established.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// let token = session.token().expect("the session is established");
    /// assert_eq!(token.id(), session.id());
    /// # Ok(())
    /// # });
    /// ```
    pub fn token(&self) -> Option<SessionToken> {
        self.shared().token()
    }

    /// The state of the connection.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// assert_eq!(session.state().name(), "CONNECTED");
    /// session.close().await?;
    /// assert_eq!(session.state().to_string(), "CLOSED");
    /// # Ok(())
    /// # });
    /// ```
    pub fn state(&self) -> State {
        self.shared().latest().state
    }

    /// Whether the session lives, as far as this client can know.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::{Liveness, LostReason};
    ///
    /// assert_eq!(session.liveness(), Liveness::Live);
    /// session.close().await?;
    /// assert_eq!(session.liveness(), Liveness::Lost(LostReason::Closed));
    /// # Ok(())
    /// # });
    /// ```
    pub fn liveness(&self) -> Liveness {
        self.shared().latest().liveness
    }

    /// The server that serves the session at present.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// assert_eq!(session.server().map(|addr| addr.to_string()).as_deref(), Some(hosts));
    /// # Ok(())
    /// # });
    /// ```
    pub fn server(&self) -> Option<SocketAddr> {
        self.shared().latest().server
    }

    /// The newest change that a reply to this session told of.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// let before = session.last_zxid();
    /// session.create("/a", "").await?;
    /// assert!(session.last_zxid() > before);
    /// # Ok(())
    /// # });
    /// ```
    pub fn last_zxid(&self) -> Zxid {
        self.shared().last_zxid()
    }

    /// The path that all paths of this handle are below; empty without a chroot.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// assert_eq!(session.chroot(), "");
    /// assert_eq!(session.with_chroot("/app")?.chroot(), "/app");
    /// # Ok(())
    /// # });
    /// ```
    pub fn chroot(&self) -> &str {
        &self.chroot
    }

    /// A handle of the same session whose paths are below `path`, itself below this one's chroot.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create_all("/app/config").await?;
    /// let app = session.with_chroot("/app")?;
    /// assert_eq!(app.children("/").await?.names, ["config"]);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// If the path is not valid.
    pub fn with_chroot(&self, path: &str) -> Result<Self, HostsError> {
        let chroot = path.to_owned();
        crate::path::check(path).map_err(|what| HostsError::Chroot { chroot, what })?;
        let below = if path == "/" { "" } else { path };
        let chroot = format!("{}{below}", self.chroot).into();
        Ok(Self { connection: Arc::clone(&self.connection), chroot })
    }

    /// The last instant of which it is certain that the session lives; `None` before it is
    /// established and once it is lost.
    ///
    /// It is counted from when the last packet was *sent* that a server confirmed in the leader's
    /// name (a ping or a write), less a margin for clocks that drift. The server counts the same
    /// timeout from when it *received* that packet. So it always comes before the server's
    /// deadline: before anybody else can get what this session holds.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// let until = session.valid_until().expect("it is established");
    /// assert!(until.remaining() < session.timeout());
    /// # Ok(())
    /// # });
    /// ```
    pub fn valid_until(&self) -> Option<Moment> {
        self.shared().valid_until()
    }

    /// Whether the session certainly lives at this instant.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// assert!(session.is_valid());
    /// session.close().await?;
    /// assert!(!session.is_valid());
    /// # Ok(())
    /// # });
    /// ```
    pub fn is_valid(&self) -> bool {
        self.valid_until().is_some_and(|until| Moment::now() < until)
    }

    /// All changes of state and liveness, beginning with the present state. None is told twice,
    /// the latest is never missed, and whoever has the outcome of a request finds here every
    /// change that came before it.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::State;
    ///
    /// let mut changes = session.changes();
    /// session.close().await?;
    /// let mut states = Vec::new();
    /// while let Some(change) = changes.next().await {
    ///     states.push(change.state);
    /// }
    /// assert_eq!(states, [State::Connected, State::Closed]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn changes(&self) -> Changes {
        Changes { queue: self.shared().subscribe() }
    }

    /// Completes once the session is established, or fails with why it is lost. A session that was
    /// established and has lost its link since counts: it lives until its deadline.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// use tenure_client::Session;
    ///
    /// let session = Session::builder(hosts).start()?;
    /// session.established().await?;
    /// assert!(session.is_valid());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// If the session is lost.
    pub async fn established(&self) -> Result<(), LostReason> {
        let mut changes = self.changes();
        while let Some(change) = changes.next().await {
            match change.liveness {
                // At risk is what was established: the link may have broken before this look.
                Liveness::Live | Liveness::AtRisk { .. } => return Ok(()),
                Liveness::Lost(reason) => return Err(reason),
                Liveness::Establishing => {}
            }
        }
        Err(self.lost_reason())
    }

    /// Completes when the session is lost: at [`Session::valid_until`] at the latest.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::LostReason;
    ///
    /// let lost = session.lost();
    /// session.close().await?;
    /// assert_eq!(lost.await, LostReason::Closed);
    /// # Ok(())
    /// # });
    /// ```
    pub fn lost(&self) -> impl Future<Output = LostReason> + Send + use<> {
        let shared = Arc::clone(&self.connection.shared);
        async move { shared.lost().await }
    }

    /// Why the session is lost; only to be asked when it is.
    pub(crate) fn lost_reason(&self) -> LostReason {
        match self.liveness() {
            Liveness::Lost(reason) => reason,
            _ => LostReason::Closed,
        }
    }

    /// Why a request failed that found the session lost. One that came after the end is told of a
    /// session that is over, because the background thread has forgotten why.
    pub(crate) fn lost_by(&self, reason: LostReason) -> LostReason {
        match reason {
            LostReason::Closed => self.lost_reason(),
            reason => reason,
        }
    }

    /// Runs a future for as long as the session is valid, and not one poll longer: it is dropped,
    /// with the reason as error, when the session is lost. Waits for the session to be established
    /// first.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::LostReason;
    ///
    /// let answer = session.run_while_valid(async { 6 * 7 }).await;
    /// assert_eq!(answer, Ok(42));
    /// session.close().await?;
    /// let answer = session.run_while_valid(async { 6 * 7 }).await;
    /// assert_eq!(answer, Err(LostReason::Closed));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Why the session was lost.
    pub async fn run_while_valid<F: Future>(&self, future: F) -> Result<F::Output, LostReason> {
        self.established().await?;
        let mut future = pin!(future);
        let mut lost = pin!(self.lost());
        let changes = self.changes();
        poll_fn(|cx| {
            if let Poll::Ready(reason) = lost.as_mut().poll(cx) {
                return Poll::Ready(Err(reason));
            }
            if self.is_valid() {
                return future.as_mut().poll(cx).map(Ok);
            }
            match self.valid_until() {
                // The deadline has come: the background thread is about to say that the session
                // is lost, or that an answer which was on its way vouches for it after all.
                Some(_) => cx.waker().wake_by_ref(),
                // Served by a server that cannot write: until another takes over.
                None => while let Poll::Ready(Some(_)) = changes.queue.poll(cx) {},
            }
            Poll::Pending
        })
        .await
    }

    /// Replaces the list of servers, as a connect string; its chroot, if it has one, must be this
    /// session's. If the load asks for it, the session moves to another server at once.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.update_hosts(hosts)?;
    /// assert!(session.update_hosts("not a host").is_err());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// If the connect string names no servers.
    pub fn update_hosts(&self, hosts: &str) -> Result<(), HostsError> {
        let (list, chroot) = machine::parse_hosts(hosts)?;
        if !chroot.is_empty() && *chroot != *self.chroot {
            return Err(HostsError::Chroot { chroot, what: "it differs from the session's" });
        }
        self.connection.send(|key| Command::UpdateHosts(key, list));
        Ok(())
    }

    /// Shows further credentials, now and on every later link.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.add_auth("digest", b"user:password").await?;
    /// let who = session.who_am_i().await?;
    /// assert!(who.iter().any(|one| one.scheme == "digest" && one.user == "user"));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// If the server refuses them: then the session is lost with [`LostReason::AuthFailed`].
    pub async fn add_auth(&self, scheme: &str, credentials: &[u8]) -> Result<(), Error> {
        let auth = Auth { scheme: scheme.to_owned(), credentials: credentials.to_vec() };
        let (completion, outcome) = Completion::new();
        self.connection.send(|key| Command::AddAuth(key, auth, completion));
        self.outcome_of(OpCode::Auth, outcome).await
    }

    /// Closes the session: its ephemerals are deleted, and it can never be resumed. It counts as
    /// lost from this call on. Requests handed in before are still carried out.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.close().await?;
    /// assert!(session.get("/").await.is_err());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// If no server could be told before the session's deadline; it then ends by itself.
    pub async fn close(&self) -> Result<(), Error> {
        let (completion, outcome) = Completion::new();
        self.connection.send(|key| Command::Close(key, Some(completion)));
        match self.outcome_of(OpCode::CloseSession, outcome).await {
            // It was lost before, or is closed by now.
            Err(Error::Lost(_)) => Ok(()),
            other => other,
        }
    }

    /// Hangs up without closing the session, which lives on until its timeout and can be resumed
    /// with its [token](Session::token). This value counts as lost from now on.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// let token = session.token().expect("it is established");
    /// session.leave();
    /// let resumed = tenure_client::Session::resume(hosts, token).await?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn leave(&self) {
        self.connection.send(Command::Leave);
    }

    async fn outcome_of(
        &self,
        op: OpCode,
        outcome: tokio::sync::oneshot::Receiver<crate::shared::Finished>,
    ) -> Result<(), Error> {
        let path = String::new();
        let Ok(finished) = outcome.await else {
            return Err(Error::Lost(self.lost_reason()));
        };
        match finished.outcome {
            Ok(_) => Ok(()),
            Err(Failure::Code(code)) => Err(match tenure_wire::ErrorCode::from_code(code) {
                Some(code) => Error::Refused { code, op, path },
                None => Error::UnknownCode { code, op, path },
            }),
            Err(Failure::Interrupted { sent: false, cause: Interruption::Lost(reason) }) => {
                Err(Error::Lost(self.lost_by(reason)))
            }
            Err(Failure::Interrupted { sent: true, cause }) => {
                Err(Error::Unknown { op, path, cause })
            }
            Err(Failure::Interrupted { cause, .. }) => Err(Error::NotDone { op, path, cause }),
            Err(Failure::TooLong { bytes, limit }) => {
                Err(Error::ReplyTooLong { op, path, bytes, limit })
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("state", &self.state())
            .field("chroot", &self.chroot)
            .finish_non_exhaustive()
    }
}

/// The stream of a session's changes. It ends after the session is lost.
pub struct Changes {
    queue: Arc<ChangeQueue>,
}

impl Changes {
    /// The next change; `None` once the session's loss was told.
    pub async fn next(&mut self) -> Option<Change> {
        poll_fn(|cx| self.queue.poll(cx)).await
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        self.queue.poll(cx)
    }
}
