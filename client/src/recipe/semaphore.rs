//! A semaphore: so many leases, given out in the order of arrival.

use std::num::NonZeroUsize;

use super::guard::Guard;
use super::line::{Contender, Line, Rule};
use crate::error::Error;
use crate::session::Session;

/// A semaphore below one znode, which is created as needed, with its parents. All who use it must
/// agree on the number of leases.
///
/// Contenders stand in a fair line, whose first hold the leases. The first of those who wait
/// watches the line, everybody behind it the one before, so that a release wakes exactly one.
///
/// Leases are held at the same time, so their [tokens](Guard::token) are in the order of arrival
/// alone: fence by the lease's own znode, with the guard's writes.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), tenure_client::Error> {
/// use std::num::NonZeroUsize;
/// use tenure_client::recipe::Semaphore;
///
/// let three = NonZeroUsize::new(3).expect("three is not zero");
/// let lease = Semaphore::new(&session, "/limits/exports", three).acquire().await?;
/// lease.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    line: Line,
    leases: NonZeroUsize,
}

impl Semaphore {
    /// A semaphore of so many leases at this path.
    pub fn new(session: &Session, path: &str, leases: NonZeroUsize) -> Self {
        Self { line: Line::new(session, path), leases }
    }

    /// A name for whoever acquires by this value; see [`Lock::holder`](super::Lock::holder).
    pub fn holder(mut self, name: &str) -> Self {
        self.line.holder = Some(name.to_owned());
        self
    }

    /// Waits for a lease. Dropping the future gives the place in the line up.
    ///
    /// # Errors
    /// If the session is lost, or the server refuses to let anybody wait here.
    pub async fn acquire(&self) -> Result<Guard, Error> {
        self.line.acquire(KIND, self.rule()).await
    }

    /// Takes a lease if one is free and nobody waits for it.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<Guard>, Error> {
        self.line.try_acquire(KIND, self.rule()).await
    }

    fn rule(&self) -> Rule {
        Rule::UpTo(self.leases.get())
    }

    /// Those who hold a lease and those who wait, in their order.
    ///
    /// # Errors
    /// As [`Session::children`](Session::children).
    pub async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        self.line.contenders().await
    }

    /// Earlier selves of the same holder's name; see [`Lock::ghosts`](super::Lock::ghosts).
    ///
    /// # Errors
    /// As [`contenders`](Self::contenders).
    pub async fn ghosts(&self) -> Result<Vec<Contender>, Error> {
        self.line.ghosts().await
    }

    /// Releases what earlier lives of this very session left; see
    /// [`Lock::release_leftovers`](super::Lock::release_leftovers).
    ///
    /// # Errors
    /// As there.
    pub async fn release_leftovers(&self) -> Result<usize, Error> {
        self.line.release_leftovers().await
    }
}

const KIND: &str = "lease";
