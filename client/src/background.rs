//! Requests that nobody awaits: the removal of znodes whose claim was given up, done on the
//! client's own thread, because a future that is dropped has no executor to finish its work on.

use tenure_wire::{ErrorCode, OpCode, Reader, Request, Stat};

use crate::io::Command;
use crate::machine::{self, Failure, Interruption, Reply, Submission};
use crate::path;
use crate::session::Session;
use crate::shared::{Completion, Followup};

/// What is to be removed.
#[derive(Clone, Debug)]
pub(crate) enum Remains {
    /// This znode, which is the session's own.
    Known(String),
    /// This znode, if it is the session's own: its creation may be under way.
    MaybeOurs(String),
    /// The child of `dir` whose name starts with `prefix`, if there is one: its creation may be
    /// under way.
    Prefixed {
        /// The parent.
        dir: String,
        /// How its name begins; nobody else's does.
        prefix: String,
    },
}

/// Removes a znode in the background, whatever happens to the link meanwhile, and calls `done`
/// when it is gone, with the session at the latest.
///
/// Requests of a session take effect in their order, so a creation handed in before is done or
/// failed when the look for its znode is; and a `sync` makes that true after a change of servers.
pub(crate) fn remove(session: Session, remains: Remains, done: Box<dyn FnOnce() + Send>) {
    match remains {
        Remains::Known(path) => delete(session, path, done),
        Remains::MaybeOurs(path) => {
            sync(&session, &path);
            let full = path::absolute(session.chroot(), &path).into_owned();
            let request = Request::Exists { path: full.into(), watch: false };
            look(session, request, Remains::MaybeOurs(path), done);
        }
        Remains::Prefixed { dir, prefix } => {
            sync(&session, &dir);
            let full = path::absolute(session.chroot(), &dir).into_owned();
            let request = Request::GetChildren { path: full.into(), watch: false };
            look(session, request, Remains::Prefixed { dir, prefix }, done);
        }
    }
}

fn sync(session: &Session, path: &str) {
    let path = path::absolute(session.chroot(), path);
    submit(session, &Request::Sync { path }, Box::new(|_| {}));
}

/// Sends a read, and deletes what it finds.
fn look(
    session: Session,
    request: Request<'static>,
    remains: Remains,
    done: Box<dyn FnOnce() + Send>,
) {
    let again = session.clone();
    let followup = move |outcome: Result<Reply, Failure>| match outcome {
        Ok(reply) => match found(&session, &reply, &remains) {
            Some(path) => delete(session, path, done),
            None => done(),
        },
        Err(failure) if is_temporary(&failure) => remove(session, remains, done),
        Err(_) => done(),
    };
    submit(&again, &request, Box::new(followup));
}

/// The path of the znode to be deleted, out of the reply to the look for it.
fn found(session: &Session, reply: &Reply, remains: &Remains) -> Option<String> {
    let mut reader = Reader::new(&reply.body);
    match remains {
        Remains::Known(path) => Some(path.clone()),
        Remains::MaybeOurs(path) => {
            let stat = (reply.code == 0).then(|| Stat::decode(&mut reader).ok()).flatten()?;
            (stat.ephemeral_owner == session.id().0).then(|| path.clone())
        }
        Remains::Prefixed { dir, prefix } => {
            let names = reader.texts().ok()?;
            let name = names.iter().find(|name| name.starts_with(prefix.as_str()))?;
            Some(path::child(dir, name))
        }
    }
}

fn delete(session: Session, path: String, done: Box<dyn FnOnce() + Send>) {
    let full = path::absolute(session.chroot(), &path).into_owned();
    let request = Request::Delete { path: full.into(), version: -1 };
    let again = session.clone();
    let followup = move |outcome| match outcome {
        Err(failure) if is_temporary(&failure) => delete(session, path, done),
        Err(Failure::Code(code)) if code != ErrorCode::NoNode.code() => {
            tracing::warn!(%path, code, "a znode that is not needed any more cannot be deleted");
            done();
        }
        _ => done(),
    };
    submit(&again, &request, Box::new(followup));
}

/// Whether the same request may go better another time: not once the session is lost.
fn is_temporary(failure: &Failure) -> bool {
    match failure {
        Failure::Interrupted { cause, .. } => !matches!(cause, Interruption::Lost(_)),
        Failure::Code(_) | Failure::TooLong { .. } => false,
    }
}

fn submit(session: &Session, request: &Request<'_>, followup: Followup) {
    let op: OpCode = request.op();
    let completion = Some(Completion::Background(followup));
    let frame = machine::encode(request);
    let submission = Submission { op, frame, completion, watch: None, deadline: None };
    session.connection().send(|key| Command::Submit(key, submission));
}
