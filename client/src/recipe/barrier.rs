//! Barriers: one that somebody sets and lifts, and one that so many pass together.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::pin;
use std::task::Poll;

use tenure_wire::ErrorCode;

use super::claim::{Claim, Name, create_dir, is_interrupted};
use super::guard::Guard;
use super::own::Own;
use crate::error::Error;
use crate::op::OneTimeWatch;
use crate::path;
use crate::session::Session;

/// A barrier: a znode that others wait for to go. It outlives the session that set it, so that a
/// crash does not let anybody through.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), tenure_client::Error> {
/// use tenure_client::recipe::Barrier;
///
/// let barrier = Barrier::new(&session, "/barriers/migration");
/// barrier.set().await?;
/// // Elsewhere: barrier.wait().await?;
/// barrier.lift().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Barrier {
    session: Session,
    path: String,
}

impl Barrier {
    /// A barrier at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self { session: session.clone(), path: path.to_owned() }
    }

    /// Sets it, unless it is set: false then.
    ///
    /// # Errors
    /// As [`Session::create`]. With [`Error::Unknown`] it may be set; setting it again is safe.
    pub async fn set(&self) -> Result<bool, Error> {
        loop {
            match self.session.create(&self.path, "").await {
                Ok(_) => return Ok(true),
                Err(error) if error.is(ErrorCode::NodeExists) => return Ok(false),
                Err(error) if error.is(ErrorCode::NoNode) => match path::parent(&self.path) {
                    Some(parent) => self.session.create_all(parent).await?,
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// Lifts it: whoever waits goes on. False if it was not set.
    ///
    /// # Errors
    /// As [`Session::delete`]. With [`Error::Unknown`] it may be lifted.
    pub async fn lift(&self) -> Result<bool, Error> {
        match self.session.delete(&self.path).await {
            Ok(()) => Ok(true),
            Err(error) if error.is(ErrorCode::NoNode) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until it is not set.
    ///
    /// # Errors
    /// If the session is lost.
    pub async fn wait(&self) -> Result<(), Error> {
        loop {
            match self.session.get(&self.path).watch().await {
                Ok((_, watch)) => fired(&self.session, watch).await?,
                Err(error) if error.is(ErrorCode::NoNode) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits for a watch; an error if the session is lost.
async fn fired(session: &Session, watch: OneTimeWatch) -> Result<(), Error> {
    match watch.await {
        Err(reason) if session.liveness().is_lost() => Err(Error::Lost(reason)),
        _ => Ok(()),
    }
}

/// A barrier that exactly so many parties enter together and leave together, again and again,
/// below one znode, which is created as needed, with its parents.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use tenure_client::recipe::DoubleBarrier;
///
/// let barrier = DoubleBarrier::new(&session, "/barriers/round", 3);
/// loop {
///     let inside = barrier.enter().await?;
///     inside.run_while_held(compute()).await?;
///     inside.leave().await?;
/// }
/// # async fn compute() {}
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DoubleBarrier {
    session: Session,
    dir: String,
    parties: usize,
}

/// A party that has entered a [`DoubleBarrier`]: a [`Guard`] that also can leave with the others.
/// Dropping it leaves without waiting for them, as a crash does.
#[must_use = "dropping it leaves the barrier"]
#[derive(Debug)]
pub struct Inside {
    guard: Guard,
    dir: String,
    /// The parties of this round. Those of the next may come while we still leave.
    round: BTreeSet<String>,
}

impl Deref for Inside {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

impl DoubleBarrier {
    /// A barrier for so many parties at this path. All parties must agree on the number.
    pub fn new(session: &Session, path: &str, parties: usize) -> Self {
        Self { session: session.clone(), dir: path.to_owned(), parties }
    }

    /// Waits until all parties are here. A party that crashes while it waits counts until its
    /// session is closed or expires. One that would be early for the next round waits until the
    /// last has left this one. Dropping the future takes the party back.
    ///
    /// # Errors
    /// If the session is lost, or the server refuses to let anybody wait here.
    pub async fn enter(&self) -> Result<Inside, Error> {
        loop {
            self.wait_for_end_of_round().await?;
            if let Some(inside) = self.enter_round().await? {
                return Ok(inside);
            }
        }
    }

    /// While a round is under way, its znode is there. If all its parties crashed, it is of no
    /// use to anybody.
    async fn wait_for_end_of_round(&self) -> Result<(), Error> {
        loop {
            let (children, watch) = match self.session.children(&self.dir).watch().await {
                Err(error) if error.is(ErrorCode::NoNode) => return Ok(()),
                listed => listed?,
            };
            if !children.names.iter().any(|name| name == READY) {
                return Ok(());
            }
            match parties(&children.names).next() {
                Some(_) => fired(&self.session, watch).await?,
                None => end_round(&self.session, &self.dir).await?,
            }
        }
    }

    /// `None` if somebody took our place away.
    async fn enter_round(&self) -> Result<Option<Inside>, Error> {
        let Self { session, dir, .. } = self;
        let (mut claim, children) = Claim::in_line(session, dir, KIND, None).await?;
        let Some((own, stat_of_own)) = Own::watch(session, claim.path()).await? else {
            claim.is_gone();
            return Ok(None);
        };
        let ready = path::child(dir, READY);
        if parties(&children.names).count() >= self.parties {
            create_ready(session, dir, &ready).await?;
        }
        loop {
            let (stat, watch) = session.exists(&ready).watch().await?;
            if stat.is_some() {
                let names = session.children(dir).await?.names;
                let round = parties(&names).map(str::to_owned).collect();
                let guard = Guard::new(claim, own, &stat_of_own);
                return Ok(Some(Inside { guard, dir: dir.clone(), round }));
            }
            let mut watch = pin!(fired(session, watch));
            let is_in_line = poll_fn(|cx| match own.poll_ended(cx).is_ready() {
                true => Poll::Ready(Ok(false)),
                false => watch.as_mut().poll(cx).map(|fired| fired.map(|()| true)),
            });
            if !is_in_line.await? {
                claim.is_gone();
                return Ok(None);
            }
        }
    }
}

impl Inside {
    /// Leaves, and waits until all parties of this round have left or crashed.
    ///
    /// # Errors
    /// If the session is lost.
    pub async fn leave(self) -> Result<(), Error> {
        let Self { guard, dir, round } = self;
        let session = guard.session().clone();
        guard.release().await?;
        loop {
            let names = match session.children(&dir).await {
                Err(error) if error.is(ErrorCode::NoNode) => return Ok(()),
                listed => listed?.names,
            };
            let Some(left) = parties(&names).find(|name| round.contains(*name)) else { break };
            match session.get(&path::child(&dir, left)).watch().await {
                Ok((_, watch)) => fired(&session, watch).await?,
                Err(error) if error.is(ErrorCode::NoNode) => {}
                Err(error) => return Err(error),
            }
        }
        end_round(&session, &dir).await
    }
}

fn parties(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str).filter(|name| Name::parse(name).is_some())
}

/// Tells all parties that they are complete.
async fn create_ready(session: &Session, dir: &str, ready: &str) -> Result<(), Error> {
    loop {
        match session.create(ready, "").await {
            Ok(_) => return Ok(()),
            Err(error) if error.is(ErrorCode::NodeExists) => return Ok(()),
            Err(error) if error.is(ErrorCode::NoNode) => create_dir(session, dir).await?,
            Err(error) if is_interrupted(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whoever sees that all have left says so. That is no news to the next round, which cannot be
/// complete without us.
async fn end_round(session: &Session, dir: &str) -> Result<(), Error> {
    loop {
        match session.delete(&path::child(dir, READY)).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is(ErrorCode::NoNode) => return Ok(()),
            Err(error) if is_interrupted(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

const KIND: &str = "party";
const READY: &str = "ready";
