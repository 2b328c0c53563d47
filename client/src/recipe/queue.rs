//! A queue: items that are put by anybody and taken by one, in the order in which they were put.

use bytes::Bytes;
use tenure_wire::{ErrorCode, Stat};

use super::claim::{Claim, Name, Named, create_dir, is_worth_a_look, random_id};
use super::guard::{Guard, WriteError};
use super::line::{Line, Rule, sorted};
use super::own::Own;
use crate::error::Error;
use crate::op::OneTimeWatch;
use crate::path;
use crate::session::Session;

/// A queue below one znode, which is created as needed, with its parents.
///
/// Takers stand in a fair line, and only the first of them watches for items, so that an item that
/// is put wakes one taker. Each item goes to exactly one.
///
/// - [`take`](Self::take) removes the item and hands it out: at most once. If the taker crashes
///   right after, the item is gone.
/// - [`take_locked`](Self::take_locked) hands it out under a claim: at least once. If the taker
///   crashes before it has said [`consume`](LockedItem::consume), the item goes to another.
///
/// Items are listed by every taker, so a queue of many thousands becomes slow: a coordination
/// service is no message broker.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use tenure_client::recipe::Queue;
///
/// let queue = Queue::new(&session, "/queues/mail");
/// queue.put("welcome ada").await?;
///
/// let item = queue.take_locked().await?;
/// send_mail(&item.data()).await?;
/// item.consume().await?;
/// # async fn send_mail(_: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    session: Session,
    dir: String,
}

impl Queue {
    /// A queue at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self { session: session.clone(), dir: path.to_owned() }
    }

    /// Puts an item at the end. It stays when this session ends.
    ///
    /// # Errors
    /// As [`Session::create`]. With [`Error::Unknown`] the link was lost and the item is not in the
    /// queue by now: either it never was, or it was taken already.
    pub async fn put(&self, data: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), Error> {
        let (session, items) = (&self.session, self.items());
        let prefix = format!("{ITEM}-{:016x}-{:08x}-", random_id(session), 0);
        let start = path::child(&items, &prefix);
        loop {
            match session.create(&start, data).sequential().await {
                Ok(_) => return Ok(()),
                Err(error) if error.is(ErrorCode::NoNode) => create_dir(session, &items).await?,
                Err(error) if is_worth_a_look(&error) => {
                    session.sync(&items).await?;
                    let names = list(session, &items).await?;
                    return match names.iter().any(|name| name.starts_with(&prefix)) {
                        true => Ok(()),
                        false => Err(error),
                    };
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the first item off, waiting for one if there is none. Dropping the future while it
    /// waits takes nothing; dropped at its very end, it may have taken an item that nobody gets.
    ///
    /// # Errors
    /// If the session is lost, or the server refuses. With [`Error::Unknown`] an item may have been
    /// taken that nobody gets: that is what at most once means.
    pub async fn take(&self) -> Result<Bytes, Error> {
        loop {
            let item = self.take_locked().await?;
            let data = item.data.clone();
            match item.consume().await {
                Ok(()) => return Ok(data),
                // Somebody else took it out of our hands.
                Err(WriteError::NotHeld { .. } | WriteError::Refused { .. }) => {}
                Err(WriteError::Error(error)) => return Err(error),
            }
        }
    }

    /// Takes the first item that nobody has, waiting for one if there is none. It stays in the
    /// queue, and nobody else gets it, for as long as it is held.
    ///
    /// # Errors
    /// If the session is lost, or the server refuses.
    pub async fn take_locked(&self) -> Result<LockedItem, Error> {
        let takers = Line::new(&self.session, &path::child(&self.dir, "takers"));
        loop {
            let turn = takers.acquire("taker", Rule::Exclusive).await?;
            let taken = turn.run_while_held(self.take_next()).await;
            match taken {
                Ok(item) => {
                    let item = item?;
                    // Whoever crashes with the item must not keep the line waiting as well.
                    turn.release().await?;
                    return Ok(item);
                }
                Err(_) if self.session.liveness().is_lost() => {
                    return Err(Error::Lost(self.session.lost_reason()));
                }
                // Somebody deleted our place in the line.
                Err(_) => {}
            }
        }
    }

    async fn take_next(&self) -> Result<LockedItem, Error> {
        loop {
            let mut first = self.first_free(false).await?.0;
            if first.is_none() {
                let (free, watches) = self.first_free(true).await?;
                first = free;
                if first.is_none() {
                    self.either(watches).await?;
                    continue;
                }
            }
            let name = first.expect("there is one");
            if let Some(item) = self.claim(&name).await? {
                return Ok(item);
            }
        }
    }

    /// The first item that nobody has, and, if there is none and it is asked for, watches on
    /// everything that can change that.
    async fn first_free(&self, watch: bool) -> Result<(Option<String>, Vec<OneTimeWatch>), Error> {
        let (session, items, claims) = (&self.session, self.items(), self.claims());
        let mut watches = Vec::new();
        let mut lists = Vec::new();
        for dir in [&items, &claims] {
            let names = match watch {
                false => list(session, dir).await?,
                true => loop {
                    match session.children(dir).watch().await {
                        Ok((children, watch)) => {
                            watches.push(watch);
                            break children.names;
                        }
                        Err(error) if error.is(ErrorCode::NoNode) => {
                            create_dir(session, dir).await?;
                        }
                        Err(error) => return Err(error),
                    }
                },
            };
            lists.push(names);
        }
        let free = sorted(&lists[0]).into_iter().map(|name| name.text);
        let first = free.into_iter().find(|name| !lists[1].contains(name));
        Ok((first, watches))
    }

    /// Waits for any of the watches.
    async fn either(&self, mut watches: Vec<OneTimeWatch>) -> Result<(), Error> {
        let fired = std::future::poll_fn(|cx| {
            let mut fired = watches.iter_mut().map(|watch| Future::poll(std::pin::pin!(watch), cx));
            fired.find(std::task::Poll::is_ready).unwrap_or(std::task::Poll::Pending)
        });
        match fired.await {
            Err(reason) if self.session.liveness().is_lost() => Err(Error::Lost(reason)),
            _ => Ok(()),
        }
    }

    /// `None` if somebody else has it, or it is gone.
    async fn claim(&self, name: &str) -> Result<Option<LockedItem>, Error> {
        let (session, item) = (&self.session, path::child(&self.items(), name));
        let path = path::child(&self.claims(), name);
        let Named::Ours(mut claim) = Claim::of_path(session, &path, b"").await? else {
            return Ok(None);
        };
        let reading = session.get(&item).send();
        let Some((own, stat)) = Own::watch(session, &path).await? else {
            claim.is_gone();
            return Ok(None);
        };
        match reading.await {
            Ok(node) => {
                let (data, stat_of_item) = (node.data, node.stat);
                let guard = Guard::new(claim, own, &stat);
                Ok(Some(LockedItem { guard, item, data, stat: stat_of_item }))
            }
            Err(error) if error.is(ErrorCode::NoNode) => {
                claim.release().await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// How many items are in the queue, those included that are taken and not consumed.
    ///
    /// # Errors
    /// As [`Session::children`].
    pub async fn count(&self) -> Result<usize, Error> {
        let names = list(&self.session, &self.items()).await?;
        Ok(names.iter().filter(|name| Name::parse(name).is_some()).count())
    }

    fn items(&self) -> String {
        path::child(&self.dir, "items")
    }

    fn claims(&self) -> String {
        path::child(&self.dir, "claims")
    }
}

/// An item that is taken and not consumed yet; made by [`Queue::take_locked`]. Dropping it, or the
/// end of the session, gives it back to the queue, at its old place.
#[must_use = "dropping it gives the item back"]
#[derive(Debug)]
pub struct LockedItem {
    guard: Guard,
    item: String,
    data: Bytes,
    stat: Stat,
}

impl LockedItem {
    /// What was put.
    pub fn data(&self) -> Bytes {
        self.data.clone()
    }

    /// When it was put, by the clock of the ensemble's leader, in milliseconds since the Unix
    /// epoch.
    pub fn since_ms(&self) -> i64 {
        self.stat.ctime
    }

    /// What holds it: its [`lost`](Guard::lost) tells when the item goes to another, and its
    /// writes and its token count for as long as it does not.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Removes the item from the queue: it is done.
    ///
    /// # Errors
    /// [`WriteError::NotHeld`] if the hold was lost, so that another has the item or had it. With
    /// [`Error::Unknown`] the session was lost meanwhile, and nobody knows.
    pub async fn consume(self) -> Result<(), WriteError> {
        let Self { guard, item, .. } = self;
        loop {
            let claim = guard.path();
            let transaction = guard.transaction().delete(&item, None).delete(claim, None);
            let error = match transaction.commit().await {
                Ok(_) => break,
                Err(error) => WriteError::of(error, claim),
            };
            match error {
                WriteError::Error(error) if is_worth_a_look(&error) => {
                    // The claim went with the item, or neither did, and nobody else may touch them.
                    guard.session().sync(&item).await?;
                    if guard.session().exists(&item).await?.is_none() {
                        break;
                    }
                }
                error => return Err(error),
            }
        }
        guard.gone();
        Ok(())
    }

    /// Gives the item back to the queue, and waits until it is there for others.
    ///
    /// # Errors
    /// As [`Guard::release`].
    pub async fn give_back(self) -> Result<(), Error> {
        self.guard.release().await
    }
}

/// The names below a znode; none if there is no such znode.
async fn list(session: &Session, dir: &str) -> Result<Vec<String>, Error> {
    match session.children(dir).await {
        Ok(children) => Ok(children.names),
        Err(error) if error.is(ErrorCode::NoNode) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

const ITEM: &str = "item";
