//! A read-write lock: held by any number of readers or by one writer, in the order of arrival.

use super::guard::Guard;
use super::line::{Contender, Line, Rule};
use crate::error::Error;
use crate::session::Session;

/// A read-write lock below one znode, which is created as needed, with its parents.
///
/// Readers and writers stand in one fair line: a reader waits for the writers that came before it,
/// a writer for everybody who did. So a stream of readers cannot starve a writer. Each one watches
/// one place alone: a reader the last writer before it, a writer whoever is right before it.
///
/// A writer's [token](Guard::token) is greater than those of all who held before it. Those of
/// readers who hold at the same time are in the order of their arrival, and not of their reads, so
/// a [gate](super::FencingGate) is for the writers' writes.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), tenure_client::Error> {
/// use tenure_client::recipe::ReadWriteLock;
///
/// let lock = ReadWriteLock::new(&session, "/locks/catalogue");
/// let reading = lock.read().await?;
/// reading.release().await?;
/// let writing = lock.write().await?;
/// println!("writing with token {}", writing.token());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReadWriteLock(Line);

impl ReadWriteLock {
    /// A lock at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self(Line::new(session, path))
    }

    /// A name for whoever acquires it by this value; see [`Lock::holder`](super::Lock::holder).
    pub fn holder(mut self, name: &str) -> Self {
        self.0.holder = Some(name.to_owned());
        self
    }

    /// Waits until no writer holds it that came before. Dropping the future gives the place up.
    ///
    /// # Errors
    /// If the session is lost, or the server refuses to let anybody wait here.
    pub async fn read(&self) -> Result<Guard, Error> {
        self.0.acquire(READ, BEHIND_WRITERS).await
    }

    /// Waits until nobody holds it that came before. Dropping the future gives the place up.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn write(&self) -> Result<Guard, Error> {
        self.0.acquire(WRITE, Rule::Exclusive).await
    }

    /// Takes it for reading if no writer holds it or waits for it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn try_read(&self) -> Result<Option<Guard>, Error> {
        self.0.try_acquire(READ, BEHIND_WRITERS).await
    }

    /// Takes it for writing if nobody holds it or waits for it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn try_write(&self) -> Result<Option<Guard>, Error> {
        self.0.try_acquire(WRITE, Rule::Exclusive).await
    }

    /// Those who hold it and those who wait, in their order.
    ///
    /// # Errors
    /// As [`Session::children`](Session::children).
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        self.0.contenders().await
    }

    /// Earlier selves of the same holder's name; see [`Lock::ghosts`](super::Lock::ghosts).
    ///
    /// # Errors
    /// As [`contenders`](Self::contenders).
    pub async fn ghosts(&self) -> Result<Vec<Contender>, Error> {
        self.0.ghosts().await
    }

    /// Releases what earlier lives of this very session left; see
    /// [`Lock::release_leftovers`](super::Lock::release_leftovers).
    ///
    /// # Errors
    /// As there.
    pub async fn release_leftovers(&self) -> Result<usize, Error> {
        self.0.release_leftovers().await
    }
}

const READ: &str = "read";
const WRITE: &str = "write";
const BEHIND_WRITERS: Rule = Rule::BehindKind(WRITE);
