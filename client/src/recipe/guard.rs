//! What is held, for as long as it is: the guard of a lock, a leadership, a lease, a membership.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tenure_wire::{CreateMode, ErrorCode, OpCode, Stat};
use thiserror::Error as ThisError;

use super::claim::Claim;
use super::fencing::FencingToken;
use super::own::{Ended, Own};
use crate::error::Error;
use crate::op::{Created, Outcome, Transaction, TransactionError};
use crate::session::Session;
use crate::status::LostReason;

/// Something that is held: a lock, a leadership, a lease, a membership. It is held for as long as
/// the session certainly lives and the guard's znode, an ephemeral, is there.
///
/// - [`lost`](Self::lost) completes when it is not held any more, and does so *before* anybody
///   else can have it: at the session's own deadline, not when the server says so.
/// - [`token`](Self::token) fences writes to other storages.
/// - [`set`](Self::set), [`create`](Self::create), [`delete`](Self::delete) and
///   [`transaction`](Self::transaction) write to the service, and fail there if it is not held any
///   more by the time they arrive.
///
/// Dropping the guard releases it in the background; [`release`](Self::release) waits for that.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use tenure_client::recipe::Lock;
///
/// let guard = Lock::new(&session, "/locks/report").acquire().await?;
/// guard.run_while_held(async { /* work */ }).await?;
/// guard.set("/report", "done").await?;
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a guard releases what it holds"]
pub struct Guard {
    claim: Option<Claim>,
    own: Arc<Own>,
    path: String,
    session: Session,
    token: FencingToken,
}

/// Why something is not held any more.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Loss {
    /// The session is lost, or may be: its deadline has passed.
    #[error("the session is lost: {0}")]
    Session(LostReason),
    /// Somebody deleted the guard's znode: a person, or the ensemble itself, if it expired the
    /// session earlier than this client's deadline, as an operator can have it do.
    #[error("somebody deleted {path}")]
    Deleted {
        /// The znode.
        path: String,
    },
    /// It was released.
    #[error("it was released")]
    Released,
}

/// Why a guarded write did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum WriteError {
    /// The guard does not hold any more, says the service: nothing was written.
    #[error("not held any more: {path} is gone")]
    NotHeld {
        /// The guard's znode.
        path: String,
    },
    /// The write was refused for a reason of its own: nothing was written.
    #[error("{op} {path}: {error}")]
    Refused {
        /// The operation.
        op: OpCode,
        /// Its path.
        path: String,
        /// What the server says.
        error: ErrorCode,
    },
    /// It failed otherwise; see [`Error::may_have_happened`].
    #[error(transparent)]
    Error(#[from] Error),
}

impl Guard {
    /// The guard of a claim whose znode is there; it is watched from now on.
    pub(crate) fn new(claim: Claim, own: Own, stat: &Stat) -> Self {
        let (path, session) = (claim.path().to_owned(), claim.session().clone());
        let token = FencingToken::new(stat.czxid);
        Self { claim: Some(claim), own: Arc::new(own), path, session, token }
    }

    /// The guard's znode.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The session it is held by.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What fences writes to a storage outside of the service.
    pub fn token(&self) -> FencingToken {
        self.token
    }

    /// Whether it is held at this instant: the clock has not passed the session's deadline, and
    /// the server has not told that the znode is gone.
    pub fn is_held(&self) -> bool {
        self.session.is_valid() && self.own.ended().is_none()
    }

    /// Completes when it is not held any more, with the reason. The future does not borrow the
    /// guard, so that another task can wait.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        let (own, path) = (Arc::clone(&self.own), self.path.clone());
        let session_lost = self.session.lost();
        async move {
            let mut session_lost = pin!(session_lost);
            poll_fn(|cx| {
                if let Poll::Ready(reason) = session_lost.as_mut().poll(cx) {
                    return Poll::Ready(Loss::Session(reason));
                }
                own.poll_ended(cx).map(|ended| match ended {
                    Ended::Deleted => Loss::Deleted { path: path.clone() },
                    Ended::Released => Loss::Released,
                })
            })
            .await
        }
    }

    /// Runs a future for as long as it is held, and not one poll longer: the future is dropped,
    /// with the reason as error, when it is lost.
    ///
    /// # Errors
    /// Why it was lost.
    pub async fn run_while_held<F: Future>(&self, future: F) -> Result<F::Output, Loss> {
        let mut future = pin!(future);
        let mut lost = pin!(self.lost());
        poll_fn(|cx| {
            if let Poll::Ready(loss) = lost.as_mut().poll(cx) {
                return Poll::Ready(Err(loss));
            }
            // At the deadline the reason is about to come.
            if !self.session.is_valid() {
                return Poll::Pending;
            }
            future.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Begins a transaction that fails if it is not held any more: its first operation, number 0,
    /// checks that the guard's znode is there.
    pub fn transaction(&self) -> Transaction<'_> {
        self.session.transaction().check(&self.path, ANY_VERSION)
    }

    /// Replaces a znode's data, if it is still held.
    ///
    /// # Errors
    /// [`WriteError::NotHeld`], and as [`Session::set`].
    pub async fn set(
        &self,
        path: &str,
        data: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<Stat, WriteError> {
        match self.write(self.transaction().set(path, data, None)).await? {
            Outcome::Set(stat) => Ok(stat),
            other => Err(nonsense(OpCode::SetData, path, &other)),
        }
    }

    /// Creates a znode, open to anyone, if it is still held.
    ///
    /// # Errors
    /// [`WriteError::NotHeld`], and as [`Session::create`].
    pub async fn create(
        &self,
        path: &str,
        data: &(impl AsRef<[u8]> + ?Sized),
        mode: CreateMode,
    ) -> Result<Created, WriteError> {
        match self.write(self.transaction().create(path, data, mode)).await? {
            Outcome::Created { path, stat: Some(stat) } => Ok(Created { path, stat }),
            other => Err(nonsense(OpCode::Create2, path, &other)),
        }
    }

    /// Deletes a znode that has no children, if it is still held.
    ///
    /// # Errors
    /// [`WriteError::NotHeld`], and as [`Session::delete`].
    pub async fn delete(&self, path: &str) -> Result<(), WriteError> {
        self.write(self.transaction().delete(path, None)).await.map(drop)
    }

    /// Commits a transaction of the check and one write.
    async fn write(&self, transaction: Transaction<'_>) -> Result<Outcome, WriteError> {
        let committed = transaction.commit().await;
        let outcomes = committed.map_err(|error| WriteError::of(error, &self.path))?;
        outcomes.into_iter().nth(1).ok_or_else(|| {
            nonsense(OpCode::Multi, &self.path, &"there is no outcome of the second operation")
        })
    }

    /// Releases it, and waits until nobody can see it held any more. It counts as lost from now
    /// on. If this future is dropped, the release goes on in the background.
    ///
    /// # Errors
    /// [`Error::Lost`] if the session was lost before. Then it is not held either, and the
    /// ensemble gives it away when it expires the session.
    pub async fn release(mut self) -> Result<(), Error> {
        self.own.released();
        match self.claim.take() {
            Some(claim) => claim.release().await,
            None => Ok(()),
        }
    }

    /// The znode went together with something else that was written.
    pub(crate) fn gone(mut self) {
        if let Some(claim) = &mut self.claim {
            claim.is_gone();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.own.released();
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Guard");
        out.field("path", &self.path).field("token", &self.token);
        out.field("session", &self.session.id()).finish_non_exhaustive()
    }
}

impl WriteError {
    /// What a transaction's failure means if its first operation checks the znode at `path`.
    pub(crate) fn of(error: TransactionError, path: &str) -> Self {
        match error {
            TransactionError::Failed { index: 0, error: ErrorCode::NoNode, .. } => {
                Self::NotHeld { path: path.to_owned() }
            }
            TransactionError::Failed { op, path, error, .. } => Self::Refused { op, path, error },
            TransactionError::Error(error) => Self::Error(error),
        }
    }
}

const ANY_VERSION: i32 = -1;

fn nonsense(op: OpCode, path: &str, got: &dyn fmt::Debug) -> WriteError {
    let what = format!("the server answered something else: {got:?}");
    WriteError::Error(Error::Invalid { op, path: path.to_owned(), what })
}
