//! A request under way: the future of its outcome.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tenure_wire::{DecodeError, ErrorCode, OpCode, Request};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::io::Command;
use crate::machine::{self, Failure, Intent, Interruption, Submission};
use crate::moment::Moment;
use crate::path;
use crate::session::Session;
use crate::shared::{Completion, Finished, WatchQueue};

/// The future of a request that was handed in. The request goes its way whether or not this is
/// awaited; dropping it only means not to learn of the outcome.
#[must_use = "a request's outcome should be looked at"]
pub struct Reply<T> {
    stage: Stage,
    about: About,
    read: fn(Answer<'_>) -> Result<T, DecodeError>,
}

/// What a reply is read from.
pub(crate) struct Answer<'a> {
    pub(crate) reply: machine::Reply,
    pub(crate) about: &'a mut About,
}

/// What a reply needs to know of its request.
pub(crate) struct About {
    pub(crate) op: OpCode,
    /// The path as the application named it.
    pub(crate) path: String,
    pub(crate) session: Session,
    /// The watch that the request sets.
    pub(crate) watch: Option<Watcher>,
}

impl Drop for About {
    /// A watch that nobody got to hold is taken back.
    fn drop(&mut self) {
        if let Some(watcher) = &self.watch {
            watcher.forget(&self.session);
        }
    }
}

/// A watch that is set, or about to be.
pub(crate) struct Watcher {
    pub(crate) id: u64,
    pub(crate) path: Arc<str>,
    pub(crate) queue: Arc<WatchQueue>,
}

impl Watcher {
    /// Nobody waits for its events any more.
    pub(crate) fn forget(&self, session: &Session) {
        if !self.queue.has_ended() {
            let (path, id) = (Arc::clone(&self.path), self.id);
            session.connection().send(|key| Command::DropWatch(key, path, id));
        }
    }
}

enum Stage {
    Sent(oneshot::Receiver<Finished>),
    Failed(Error),
    Done,
}

/// A request before it is handed in.
pub(crate) struct Draft<'a> {
    pub(crate) session: &'a Session,
    pub(crate) path: &'a str,
    pub(crate) watch: Option<machine::WatchKind>,
    pub(crate) timeout: Option<Duration>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(session: &'a Session, path: &'a str) -> Self {
        Self { session, path, watch: None, timeout: session.request_timeout() }
    }

    /// Hands the request in.
    pub(crate) fn send<T>(
        self,
        request: &Request<'_>,
        read: fn(Answer<'_>) -> Result<T, DecodeError>,
    ) -> Reply<T> {
        let frame = machine::encode(request);
        let op = request.op();
        let connection = self.session.connection();
        let limit = connection.max_request_bytes;
        let length = frame.len() - tenure_wire::frame::PREFIX_LEN;
        if length > limit {
            let what = format!("{length} bytes, more than the {limit} of a request");
            return self.invalid(op, &what, read);
        }
        let watcher = self.watch.map(|_| Watcher {
            id: connection.next_watch_id(),
            path: path::absolute(self.session.chroot(), self.path).into(),
            queue: Arc::default(),
        });
        let intent = self.watch.zip(watcher.as_ref()).map(|(kind, watcher)| Intent {
            kind,
            path: Arc::clone(&watcher.path),
            id: watcher.id,
            watcher: Arc::clone(&watcher.queue),
            is_dropped: false,
        });
        let deadline = self.timeout.map(|timeout| Moment::now() + timeout);
        let (completion, receiver) = Completion::new();
        let completion = Some(completion);
        let submission = Submission { op, frame, completion, watch: intent, deadline };
        connection.send(|session| Command::Submit(session, submission));
        Reply { stage: Stage::Sent(receiver), about: self.about(op, watcher), read }
    }

    /// Hands the request about the draft's path in, unless no server would take the path: below a
    /// chroot, one without a leading slash would even name somebody else's znode.
    pub(crate) fn send_about<'r, T>(
        self,
        request: impl FnOnce(Cow<'r, str>) -> Request<'r>,
        read: fn(Answer<'_>) -> Result<T, DecodeError>,
    ) -> Reply<T>
    where
        'a: 'r,
    {
        let request = request(path::absolute(self.session.chroot(), self.path));
        match path::check(self.path) {
            Ok(()) => self.send(&request, read),
            Err(what) => self.invalid(request.op(), what, read),
        }
    }

    /// A request that cannot succeed.
    pub(crate) fn invalid<T>(
        self,
        op: OpCode,
        what: &str,
        read: fn(Answer<'_>) -> Result<T, DecodeError>,
    ) -> Reply<T> {
        let path = self.path.to_owned();
        let error = Error::Invalid { op, path, what: what.to_owned() };
        Reply { stage: Stage::Failed(error), about: self.about(op, None), read }
    }

    fn about(&self, op: OpCode, watch: Option<Watcher>) -> About {
        About { op, path: self.path.to_owned(), session: self.session.clone(), watch }
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T, Error>;

    /// # Panics
    /// If polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match &mut this.stage {
            Stage::Sent(receiver) => {
                let finished = ready!(Pin::new(receiver).poll(cx));
                this.stage = Stage::Done;
                // Without an outcome the session was over before the request came.
                let Ok(finished) = finished else {
                    return Poll::Ready(Err(Error::Lost(this.about.session.lost_reason())));
                };
                this.about.session.connection().note_delay(finished.at);
                Poll::Ready(this.about.outcome(finished.outcome, this.read))
            }
            Stage::Failed(_) => {
                let failed = std::mem::replace(&mut this.stage, Stage::Done);
                let Stage::Failed(error) = failed else { unreachable!("just matched") };
                Poll::Ready(Err(error))
            }
            Stage::Done => panic!("a reply was polled after it was ready"),
        }
    }
}

impl About {
    fn outcome<T>(
        &mut self,
        outcome: Result<machine::Reply, Failure>,
        read: fn(Answer<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, Error> {
        let op = self.op;
        let failure = match outcome {
            Ok(reply) => {
                let path = self.path.clone();
                let garbled = |source| Error::Garbled { op, path, source };
                return read(Answer { reply, about: self }).map_err(garbled);
            }
            Err(failure) => failure,
        };
        let path = self.path.clone();
        Err(match failure {
            Failure::Code(code) => match ErrorCode::from_code(code) {
                Some(code) => Error::Refused { code, op, path },
                None => Error::UnknownCode { code, op, path },
            },
            Failure::Interrupted { sent: true, cause } => Error::Unknown { op, path, cause },
            Failure::Interrupted { sent: false, cause: Interruption::Lost(reason) } => {
                Error::Lost(self.session.lost_by(reason))
            }
            Failure::Interrupted { sent: false, cause } => Error::NotDone { op, path, cause },
            Failure::TooLong { bytes, limit } => Error::ReplyTooLong { op, path, bytes, limit },
        })
    }
}
