//! Several reads in one request.

use std::borrow::Cow;

use bytes::Bytes;
use tenure_wire::{DecodeError, ErrorCode, MultiResult, OpCode, Reader, Request};

use super::Node;
use crate::error::Error;
use crate::path;
use crate::reply::{Answer, Draft};
use crate::session::Session;

/// Reads that are answered together, from one state of the tree; made by [`Session::read_many`].
#[must_use = "nothing is read until the request is committed"]
pub struct ReadMany<'a> {
    session: &'a Session,
    ops: Vec<Request<'a>>,
    /// The first path that no server would take.
    invalid: Option<(OpCode, String, &'static str)>,
}

/// What came of one of several reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// A znode's data and stat.
    Node(Node),
    /// The names of a znode's children, in order.
    Children(Vec<String>),
}

impl Session {
    /// Begins a request of several reads.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create("/a", "data").await?;
    /// let outcomes = session.read_many().get("/a").children("/missing").commit().await?;
    /// assert!(outcomes[0].is_ok() && outcomes[1].is_err());
    /// # Ok(())
    /// # });
    /// ```
    pub fn read_many(&self) -> ReadMany<'_> {
        ReadMany { session: self, ops: Vec::new(), invalid: None }
    }
}

impl<'a> ReadMany<'a> {
    /// Also reads a znode's data and stat.
    pub fn get(self, path: &'a str) -> Self {
        self.add(path, |path| Request::GetData { path, watch: false })
    }

    /// Also lists a znode's children.
    pub fn children(self, path: &'a str) -> Self {
        self.add(path, |path| Request::GetChildren { path, watch: false })
    }

    /// Reads. Each read succeeds or fails by itself; the outcomes are in order.
    ///
    /// # Errors
    /// If the request as a whole fails.
    pub async fn commit(self) -> Result<Vec<Result<ReadOutcome, ErrorCode>>, Error> {
        let Self { session, ops, invalid } = self;
        if let Some((op, path, what)) = invalid {
            return Err(Error::Invalid { op, path, what: what.to_owned() });
        }
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        Draft::new(session, "").send(&Request::MultiRead(ops), read).await
    }

    fn add(mut self, path: &'a str, op: impl FnOnce(Cow<'a, str>) -> Request<'a>) -> Self {
        let request = op(path::absolute(self.session.chroot(), path));
        if let Err(what) = path::check(path) {
            self.invalid.get_or_insert((request.op(), path.to_owned(), what));
        }
        self.ops.push(request);
        self
    }
}

fn read(answer: Answer<'_>) -> Result<Vec<Result<ReadOutcome, ErrorCode>>, DecodeError> {
    let body = &answer.reply.body;
    let results = tenure_wire::decode_multi_results(&mut Reader::new(body))?;
    let outcomes = results.into_iter().map(|result| match result {
        MultiResult::GetData { data, stat } => {
            let is_null = data.is_none();
            let data = data.map_or(Bytes::new(), |data| body.slice_ref(data));
            Ok(ReadOutcome::Node(Node { data, is_null, stat }))
        }
        MultiResult::GetChildren { children } => {
            let mut names: Vec<String> = children.into_iter().map(Into::into).collect();
            names.sort_unstable();
            Ok(ReadOutcome::Children(names))
        }
        MultiResult::Error(code) => {
            Err(ErrorCode::from_code(code).unwrap_or(ErrorCode::RuntimeInconsistency))
        }
        _ => Err(ErrorCode::RuntimeInconsistency),
    });
    Ok(outcomes.collect())
}
