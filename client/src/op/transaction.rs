//! Several writes as one: all of them happen, or none.

use tenure_wire::{Acl, CreateMode, DecodeError, ErrorCode, MultiResult, OpCode, Request, Stat};
use thiserror::Error as ThisError;

use super::write::ANY_VERSION;
use crate::error::Error;
use crate::path;
use crate::reply::{Answer, Draft};
use crate::session::Session;

/// Writes that happen together, or not at all; made by [`Session::transaction`].
///
/// ```
/// # tenure_testing::example(async |hosts| {
/// # let session = tenure_client::Session::establish(hosts).await?;
/// use tenure_client::{CreateMode, Outcome};
///
/// let version = session.create("/jobs", "idle").await?.stat.version;
/// let outcomes = session
///     .transaction()
///     .check("/jobs", version)
///     .create("/jobs/job-", "payload", CreateMode::PersistentSequential)
///     .set("/jobs", "busy", None)
///     .commit()
///     .await?;
/// let Outcome::Created { path, .. } = &outcomes[1] else { panic!("{outcomes:?}") };
/// assert_eq!(path, "/jobs/job-0000000000");
/// # Ok(())
/// # });
/// ```
#[must_use = "nothing happens until the transaction is committed"]
pub struct Transaction<'a> {
    session: &'a Session,
    ops: Vec<Request<'a>>,
    /// The first path that no server would take.
    invalid: Option<(OpCode, String, &'static str)>,
}

/// What came of one write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The version was as expected.
    Checked,
    /// The znode was created.
    Created {
        /// Its path, with the number that a sequential one got.
        path: String,
        /// Its stat.
        stat: Option<Stat>,
    },
    /// The data were set.
    Set(Stat),
    /// The znode was deleted.
    Deleted,
}

/// Why a transaction was not committed.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum TransactionError {
    /// One of its writes failed, so none happened.
    #[error("write {index} of the transaction, {op} {path}: {error}")]
    Failed {
        /// Which one, counted from 0.
        index: usize,
        /// Its operation.
        op: OpCode,
        /// Its path.
        path: String,
        /// What the server says.
        error: ErrorCode,
    },
    /// The transaction as a whole failed, or its outcome is unknown.
    #[error(transparent)]
    Error(#[from] Error),
}

impl Session {
    /// Begins a transaction: an atomic sequence of checks and writes.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::TransactionError;
    ///
    /// let transaction = session.transaction().set("/", "new", None).delete("/missing", None);
    /// let outcome = transaction.commit().await;
    /// assert!(matches!(outcome, Err(TransactionError::Failed { index: 1, .. })));
    /// assert!(session.get("/").await?.data.is_empty(), "nothing happened");
    /// # Ok(())
    /// # });
    /// ```
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction { session: self, ops: Vec::new(), invalid: None }
    }
}

impl<'a> Transaction<'a> {
    /// Goes on only if the znode exists and its data have this version; -1 fits every version.
    pub fn check(self, path: &'a str, version: i32) -> Self {
        self.add(path, |path| Request::Check { path, version })
    }

    /// Creates a znode of a mode that has no time to live, open to anyone.
    pub fn create(
        self,
        path: &'a str,
        data: &'a (impl AsRef<[u8]> + ?Sized),
        mode: CreateMode,
    ) -> Self {
        self.create_with_acl(path, data, mode, &[Acl::OPEN])
    }

    /// As [`create`](Self::create), with an access control list.
    pub fn create_with_acl(
        mut self,
        path: &'a str,
        data: &'a (impl AsRef<[u8]> + ?Sized),
        mode: CreateMode,
        acl: &'a [Acl<'static>],
    ) -> Self {
        if mode.is_ttl() {
            let what = "a transaction creates no znodes with a time to live";
            self.invalid.get_or_insert((OpCode::CreateTtl, path.to_owned(), what));
            return self;
        }
        let checked = if mode.is_sequential() { path::check_sequential } else { path::check };
        let data = Some(data.as_ref());
        self.add_checked(path, checked, |path| super::create::request(path, data, mode, None, acl))
    }

    /// Replaces a znode's data, if they have the version.
    pub fn set(
        self,
        path: &'a str,
        data: &'a (impl AsRef<[u8]> + ?Sized),
        version: Option<i32>,
    ) -> Self {
        let (data, version) = (Some(data.as_ref()), version.unwrap_or(ANY_VERSION));
        self.add(path, |path| Request::SetData { path, data, version })
    }

    /// Deletes a znode, if its data have the version.
    pub fn delete(self, path: &'a str, version: Option<i32>) -> Self {
        let version = version.unwrap_or(ANY_VERSION);
        self.add(path, |path| Request::Delete { path, version })
    }

    /// How many writes and checks there are so far.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Has the ensemble apply all of it, or nothing. The outcomes are in the order of the writes.
    ///
    /// # Errors
    /// [`TransactionError::Failed`] with the first write that failed; then none has happened.
    pub async fn commit(self) -> Result<Vec<Outcome>, TransactionError> {
        let Self { session, ops, invalid } = self;
        if let Some((op, path, what)) = invalid {
            return Err(Error::Invalid { op, path, what: what.to_owned() }.into());
        }
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<(OpCode, String)> =
            ops.iter().map(|op| (op.op(), path_of(op, session.chroot()))).collect();
        let results = Draft::new(session, "").send(&Request::Multi(ops), read).await?;
        let failed =
            results.iter().position(|result| matches!(result, Err(code) if is_cause(*code)));
        let failed = failed.or_else(|| results.iter().position(Result::is_err));
        if let Some(index) = failed {
            let code = results[index].as_ref().err().copied().unwrap_or_default();
            let (op, path) = names.get(index).cloned().unwrap_or((OpCode::Multi, String::new()));
            return Err(match ErrorCode::from_code(code) {
                Some(error) => TransactionError::Failed { index, op, path, error },
                None => Error::UnknownCode { code, op, path }.into(),
            });
        }
        Ok(results.into_iter().filter_map(Result::ok).collect())
    }

    fn add(self, path: &'a str, op: impl FnOnce(std::borrow::Cow<'a, str>) -> Request<'a>) -> Self {
        self.add_checked(path, path::check, op)
    }

    fn add_checked(
        mut self,
        path: &'a str,
        check: fn(&str) -> Result<(), &'static str>,
        op: impl FnOnce(std::borrow::Cow<'a, str>) -> Request<'a>,
    ) -> Self {
        let request = op(path::absolute(self.session.chroot(), path));
        if let Err(what) = check(path) {
            self.invalid.get_or_insert((request.op(), path.to_owned(), what));
        }
        self.ops.push(request);
        self
    }
}

/// Whether a result is the failure itself, and not one of the others that share its fate: those
/// before it carry 0, those after it an inconsistency (reference section 1.10).
fn is_cause(code: i32) -> bool {
    code != 0 && code != RUNTIME_INCONSISTENCY
}

const RUNTIME_INCONSISTENCY: i32 = -2;

fn path_of(request: &Request<'_>, chroot: &str) -> String {
    let path = match request {
        Request::Create(create) => &create.path,
        Request::Check { path, .. }
        | Request::SetData { path, .. }
        | Request::Delete { path, .. } => path,
        _ => "",
    };
    path::relative(chroot, path).to_owned()
}

fn read(answer: Answer<'_>) -> Result<Vec<Result<Outcome, i32>>, DecodeError> {
    let chroot = answer.about.session.chroot();
    let mut reader = tenure_wire::Reader::new(&answer.reply.body);
    let results = tenure_wire::decode_multi_results(&mut reader)?;
    let relative = |path: &str| path::relative(chroot, path).to_owned();
    let outcomes = results.into_iter().map(|result| match result {
        MultiResult::Create { path } => Ok(Outcome::Created { path: relative(&path), stat: None }),
        MultiResult::Create2 { path, stat } => {
            Ok(Outcome::Created { path: relative(&path), stat: Some(stat) })
        }
        MultiResult::Delete => Ok(Outcome::Deleted),
        MultiResult::SetData { stat } => Ok(Outcome::Set(stat)),
        MultiResult::Check => Ok(Outcome::Checked),
        MultiResult::Error(code) => Err(code),
        // No write has these; a server that sends them all the same is out of its mind.
        MultiResult::GetChildren { .. } | MultiResult::GetData { .. } => Err(RUNTIME_INCONSISTENCY),
    });
    Ok(outcomes.collect())
}
