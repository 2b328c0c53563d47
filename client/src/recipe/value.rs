//! A value that several change at a time without losing anybody's change, and a counter made of it.

use bytes::Bytes;
use tenure_wire::{CreateMode, ErrorCode, OpCode, Zxid};
use thiserror::Error as ThisError;

use super::claim::{Claim, is_worth_a_look, random_id};
use crate::error::Error;
use crate::op::TransactionError;
use crate::path;
use crate::session::Session;

/// A value in one znode, changed by compare-and-set: whoever changes it says what it was, and
/// tries again if it was not. The znode is created with the first value, with its parents, and
/// should not be deleted while it is in use.
///
/// A change whose outcome is unknown is never repeated on suspicion: [`update`](Self::update) says
/// that it may have happened, and [`update_once`](Self::update_once) finds out.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), tenure_client::Error> {
/// use tenure_client::recipe::AtomicValue;
///
/// let value = AtomicValue::new(&session, "/settings/mode");
/// let changed = value.update(|old| [old.unwrap_or_default(), b"+".as_slice()].concat()).await?;
/// println!("{:?}", changed.data);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AtomicValue {
    session: Session,
    path: String,
}

/// A value, and what tells it from other ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The value.
    pub data: Bytes,
    /// Its number, which [`AtomicValue::compare_and_set`] compares.
    pub version: i32,
}

/// A value as it was read.
struct Seen {
    version: Version,
    mzxid: Zxid,
}

impl AtomicValue {
    /// A value at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self { session: session.clone(), path: path.to_owned() }
    }

    /// The value at present, as far as this session's server knows. `None` if it was never set.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn get(&self) -> Result<Option<Version>, Error> {
        Ok(self.read().await?.map(|seen| seen.version))
    }

    async fn read(&self) -> Result<Option<Seen>, Error> {
        match self.session.get(&self.path).await {
            Ok(node) => {
                let version = Version { data: node.data, version: node.stat.version };
                Ok(Some(Seen { version, mzxid: node.stat.mzxid }))
            }
            Err(error) if error.is(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the value if its version is still `expected`; `None` means that it was never set. The
    /// new version is returned, or `None` if the value was another.
    ///
    /// # Errors
    /// As [`Session::set`] and [`Session::create`]. With [`Error::Unknown`] it may be set.
    pub async fn compare_and_set(
        &self,
        expected: Option<i32>,
        data: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<Option<i32>, Error> {
        let outcome = match expected {
            Some(version) => {
                let set = self.session.set(&self.path, data).version(version).await;
                set.map(|stat| stat.version)
            }
            None => loop {
                match self.session.create(&self.path, data).await {
                    Err(error) if error.is(ErrorCode::NoNode) => self.create_parent(error).await?,
                    created => break created.map(|created| created.stat.version),
                }
            },
        };
        match outcome {
            Ok(version) => Ok(Some(version)),
            Err(error) if is_conflict(error.code()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create_parent(&self, error: Error) -> Result<(), Error> {
        match path::parent(&self.path) {
            Some(parent) => self.session.create_all(parent).await,
            None => Err(error),
        }
    }

    /// Replaces the value by what `change` makes of it, which is called again as long as others
    /// are faster. `None` is given if it was never set.
    ///
    /// # Errors
    /// As [`compare_and_set`](Self::compare_and_set). If the link is lost, this looks whether the
    /// value is as it was, and tries again if so. [`Error::Unknown`] means that it is not: this
    /// change may have happened, or another one in its stead.
    pub async fn update(
        &self,
        mut change: impl FnMut(Option<&[u8]>) -> Vec<u8>,
    ) -> Result<Version, Error> {
        self.change(|old| Ok(change(old))).await
    }

    /// As [`update`](Self::update), but exactly once for as long as the session lives: an ephemeral
    /// child of the value, made in the same transaction, tells after a lost link whether this very
    /// change happened. It costs two writes more.
    ///
    /// # Errors
    /// As [`Session::set`] and [`Session::create`]. With [`Error::Unknown`] the session was lost
    /// before it could be found out whether the change happened.
    pub async fn update_once(
        &self,
        mut change: impl FnMut(Option<&[u8]>) -> Vec<u8>,
    ) -> Result<Version, Error> {
        self.change_once(|old| Ok(change(old))).await
    }

    async fn change<E: From<Error>>(
        &self,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
    ) -> Result<Version, E> {
        loop {
            let seen = self.read().await?;
            let data = change(seen.as_ref().map(|seen| &seen.version.data[..]))?;
            let expected = seen.as_ref().map(|seen| seen.version.version);
            match self.compare_and_set(expected, &data).await {
                Ok(Some(version)) => return Ok(Version { data: data.into(), version }),
                Ok(None) => {}
                Err(error) if is_worth_a_look(&error) => {
                    // If it cannot be found out, the error is still that it may have happened.
                    let unknown = |_| error.clone();
                    self.session.sync(&self.path).await.map_err(unknown)?;
                    let now = self.read().await.map_err(unknown)?;
                    if now.map(|now| now.mzxid) != seen.map(|seen| seen.mzxid) {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn change_once<E: From<Error>>(
        &self,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, E>,
    ) -> Result<Version, E> {
        loop {
            let seen = self.read().await?;
            let data = change(seen.as_ref().map(|seen| &seen.version.data[..]))?;
            let expected = seen.map(|seen| seen.version.version);
            if let Some(version) = self.set_with_marker(expected, &data).await? {
                return Ok(Version { data: data.into(), version });
            }
        }
    }

    /// The new version, or `None` if somebody else was faster.
    async fn set_with_marker(
        &self,
        expected: Option<i32>,
        data: &[u8],
    ) -> Result<Option<i32>, Error> {
        let marker = path::child(&self.path, &format!("once-{:016x}", random_id(&self.session)));
        let mut claim = Claim::on_marker(&self.session, &marker);
        let new = expected.map_or(0, |version| version.wrapping_add(1));
        loop {
            let transaction = match expected {
                Some(version) => self.session.transaction().set(&self.path, data, Some(version)),
                None => {
                    let mode = CreateMode::Persistent;
                    self.session.transaction().create(&self.path, data, mode)
                }
            };
            let error = match transaction.create(&marker, "", CreateMode::Ephemeral).commit().await
            {
                Ok(_) => {
                    // Dropping the claim deletes the marker.
                    claim.is_there(marker);
                    return Ok(Some(new));
                }
                Err(TransactionError::Failed { error, .. }) if is_conflict(Some(error)) => {
                    let is_parent_missing = error == ErrorCode::NoNode && expected.is_none();
                    claim.is_gone();
                    if is_parent_missing {
                        let (op, path) = (OpCode::Create2, self.path.clone());
                        self.create_parent(Error::Refused { code: error, op, path }).await?;
                    }
                    return Ok(None);
                }
                Err(TransactionError::Failed { op, path, error, .. }) => {
                    claim.is_gone();
                    return Err(Error::Refused { code: error, op, path });
                }
                Err(TransactionError::Error(error)) => error,
            };
            if !is_worth_a_look(&error) {
                return Err(error);
            }
            // Unless the session is lost on the way, its marker is there if the change is.
            let unknown = |_| error.clone();
            self.session.sync(&marker).await.map_err(unknown)?;
            if self.session.exists(&marker).await.map_err(unknown)?.is_some() {
                return Ok(Some(new));
            }
        }
    }
}

/// Whether somebody else changed the value.
fn is_conflict(code: Option<ErrorCode>) -> bool {
    matches!(code, Some(ErrorCode::BadVersion | ErrorCode::NodeExists | ErrorCode::NoNode))
}

/// A counter in one znode: a whole number, written as decimal digits, zero before it is set.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use tenure_client::recipe::Counter;
///
/// let counter = Counter::new(&session, "/counters/orders");
/// let number = counter.add_once(1).await?;
/// println!("order {number}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Counter(AtomicValue);

/// Why a counter could not be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum CounterError {
    /// The znode has something else in it.
    #[error("{path}: not a counter: {found:?}")]
    NotANumber {
        /// The znode.
        path: String,
        /// The beginning of what it has.
        found: String,
    },
    /// The sum would be beyond the range of 64 bits; nothing was changed.
    #[error("{path}: {value} {by:+} is beyond the range of a counter")]
    Overflow {
        /// The znode.
        path: String,
        /// The number that it has.
        value: i64,
        /// What should have been added.
        by: i64,
    },
    /// It failed otherwise; see [`Error::may_have_happened`].
    #[error(transparent)]
    Error(#[from] Error),
}

impl Counter {
    /// A counter at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self(AtomicValue::new(session, path))
    }

    /// The number at present, as far as this session's server knows.
    ///
    /// # Errors
    /// If the znode has no number in it, and as [`Session::get`].
    pub async fn get(&self) -> Result<i64, CounterError> {
        let value = self.0.get().await?;
        self.parse(value.as_ref().map(|value| &value.data[..]))
    }

    /// Adds a number, and returns the sum.
    ///
    /// # Errors
    /// If the znode has no number in it or the sum is out of range, and as
    /// [`AtomicValue::update`]: with [`Error::Unknown`] it may be added.
    pub async fn add(&self, by: i64) -> Result<i64, CounterError> {
        let mut sum = 0;
        self.0.change(|old| self.add_to(old, by, &mut sum)).await?;
        Ok(sum)
    }

    /// Adds a number exactly once, and returns the sum; see [`AtomicValue::update_once`].
    ///
    /// # Errors
    /// If the znode has no number in it or the sum is out of range, and as
    /// [`AtomicValue::update_once`].
    pub async fn add_once(&self, by: i64) -> Result<i64, CounterError> {
        let mut sum = 0;
        self.0.change_once(|old| self.add_to(old, by, &mut sum)).await?;
        Ok(sum)
    }

    fn add_to(&self, old: Option<&[u8]>, by: i64, sum: &mut i64) -> Result<Vec<u8>, CounterError> {
        let value = self.parse(old)?;
        let path = self.0.path.clone();
        *sum = value.checked_add(by).ok_or(CounterError::Overflow { path, value, by })?;
        Ok(sum.to_string().into_bytes())
    }

    fn parse(&self, data: Option<&[u8]>) -> Result<i64, CounterError> {
        let data = match data {
            None | Some([]) => return Ok(0),
            Some(data) => data,
        };
        let number = str::from_utf8(data).ok().and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| {
            let found = String::from_utf8_lossy(&data[..data.len().min(SHOWN)]).into_owned();
            CounterError::NotANumber { path: self.0.path.clone(), found }
        })
    }
}

/// Bytes of a wrong number that are shown.
const SHOWN: usize = 40;
