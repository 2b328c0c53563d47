//! A lock: held by one at a time, in the order of arrival.

use super::guard::Guard;
use super::line::{Contender, Line, Rule};
use crate::error::Error;
use crate::session::Session;

/// A lock below one znode, which is created as needed, with its parents.
///
/// Contenders stand in a fair line. Each one watches the one before it, so that a release wakes
/// exactly one. Waiting may be given up at any time by dropping the future: the place in the line
/// goes, whatever was under way.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use tenure_client::recipe::Lock;
///
/// let lock = Lock::new(&session, "/locks/report").holder("worker-7");
/// let guard = lock.acquire().await?;
/// tokio::select! {
///     loss = guard.lost() => println!("stop at once: {loss}"),
///     () = work() => guard.release().await?,
/// }
/// # async fn work() {}
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lock(Line);

impl Lock {
    /// A lock at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self(Line::new(session, path))
    }

    /// A name for whoever acquires it by this value; it shows in the line, and tells the holder's
    /// own earlier sessions from other contenders.
    pub fn holder(mut self, name: &str) -> Self {
        self.0.holder = Some(name.to_owned());
        self
    }

    /// Waits for the lock. Dropping the future gives the place in the line up.
    ///
    /// # Errors
    /// If the session is lost, or the server refuses to let anybody wait here.
    pub async fn acquire(&self) -> Result<Guard, Error> {
        self.0.acquire(KIND, Rule::Exclusive).await
    }

    /// Takes the lock if nobody holds it or waits for it.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<Guard>, Error> {
        self.0.try_acquire(KIND, Rule::Exclusive).await
    }

    /// The holder and those who wait, in their order.
    ///
    /// # Errors
    /// As [`Session::children`](Session::children).
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        self.0.contenders().await
    }

    /// Those in the line who have this value's [`holder`](Self::holder) name and another session:
    /// earlier selves, most likely, which crashed. They go when their sessions are closed or
    /// expire. Until then nobody can be sure that they are dead, so the line waits for them.
    ///
    /// # Errors
    /// As [`contenders`](Self::contenders).
    pub async fn ghosts(&self) -> Result<Vec<Contender>, Error> {
        self.0.ghosts().await
    }

    /// Releases what earlier lives of this very session left in the line, by any holder, and
    /// returns how much that was. Only a [resumed](Session::resume) session can have such; what
    /// bears the name of the holder that acquires is taken over without being asked.
    ///
    /// # Errors
    /// As [`Session::ephemerals`](Session::ephemerals) and [`Session::delete`](Session::delete).
    pub async fn release_leftovers(&self) -> Result<usize, Error> {
        self.0.release_leftovers().await
    }
}

const KIND: &str = "lock";
