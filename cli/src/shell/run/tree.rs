//! Walking a subtree with many requests under way.

use std::collections::VecDeque;

use tenure_client::{Children, Error, ErrorCode, Reply, Session};

/// How many znodes are listed ahead.
const AHEAD: usize = 256;

/// Lists a subtree: each path before those below it, siblings in order.
pub(super) struct Walk<'a> {
    session: &'a Session,
    /// Next ones last; those at the end are asked for already.
    open: Vec<(String, Option<Reply<Children>>)>,
    is_root: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn of(session: &'a Session, path: &str) -> Self {
        Self { session, open: vec![(path.to_owned(), None)], is_root: true }
    }

    /// The next path, with the error if its children cannot be listed. What vanishes meanwhile is
    /// left out, but not the root.
    pub(super) async fn next(&mut self) -> Option<(String, Result<(), Error>)> {
        loop {
            let first = self.open.len().saturating_sub(AHEAD);
            for (path, reply) in self.open[first..].iter_mut().rev() {
                reply.get_or_insert_with(|| self.session.children(path).send());
            }
            let (path, reply) = self.open.pop()?;
            let is_root = std::mem::replace(&mut self.is_root, false);
            match reply?.await {
                Ok(children) => {
                    let below = children.names.iter().rev();
                    self.open.extend(below.map(|name| (child(&path, name), None)));
                    return Some((path, Ok(())));
                }
                Err(error) if error.is(ErrorCode::NoNode) && !is_root => {}
                Err(error) => return Some((path, Err(error))),
            }
        }
    }

    /// All paths, or the first error.
    pub(super) async fn all(mut self) -> Result<Vec<String>, Error> {
        let mut paths = Vec::new();
        while let Some((path, listed)) = self.next().await {
            listed?;
            paths.push(path);
        }
        Ok(paths)
    }
}

/// The path of a child.
pub(super) fn child(parent: &str, name: &str) -> String {
    match parent {
        "/" => format!("/{name}"),
        parent => format!("{parent}/{name}"),
    }
}

/// Awaits replies in order, so that at most `most` are under way.
pub(super) struct Window<T> {
    replies: VecDeque<Reply<T>>,
    most: usize,
}

impl<T> Window<T> {
    pub(super) fn of(most: usize) -> Self {
        Self { replies: VecDeque::new(), most }
    }

    /// Takes one more in; the outcome of the oldest if there are enough.
    pub(super) async fn push(&mut self, reply: Reply<T>) -> Option<Result<T, Error>> {
        self.replies.push_back(reply);
        match self.replies.len() > self.most {
            true => self.next().await,
            false => None,
        }
    }

    /// The outcome of the oldest.
    pub(super) async fn next(&mut self) -> Option<Result<T, Error>> {
        Some(self.replies.pop_front()?.await)
    }
}
