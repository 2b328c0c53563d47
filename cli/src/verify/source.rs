//! Where znodes are read from: a server, or a folder.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use tenure_client::{Acl, Error, ErrorCode, EstablishError, Session, Stat, Tls};
use tenure_replica::State;
use thiserror::Error;

use crate::folder::{self, FolderStateError};

/// What may be seen of a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) data: Option<Vec<u8>>,
    pub(super) stat: Stat,
    pub(super) acl: Vec<Acl<'static>>,
    pub(super) children: Vec<String>,
}

/// Why nothing can be seen of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// There is none.
    Missing,
    /// These credentials may not read it.
    Denied,
}

/// A server, or what a folder holds.
pub(super) enum Source {
    Live(Session),
    Folder(BTreeMap<String, Seen>),
}

/// Why one of the two cannot be read.
#[derive(Debug, Error)]
pub(super) enum SourceError {
    #[error("{name}: {source}")]
    Establish { name: String, source: EstablishError },
    #[error("reading: {0}")]
    Read(#[from] Error),
    #[error(transparent)]
    Folder(#[from] FolderStateError),
    #[error("{0} does not exist, and is no HOST:PORT")]
    Nothing(String),
    #[error("starting: {0}")]
    Runtime(io::Error),
}

/// A scheme and what is shown for it.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    scheme: String,
    shown: String,
}

impl FromStr for Credentials {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, shown) = text.split_once(':').ok_or("expected scheme:credentials")?;
        Ok(Credentials { scheme: scheme.to_owned(), shown: shown.to_owned() })
    }
}

/// Before a server that does not speak TLS although others do.
const PLAIN: &str = "plain:";

impl Source {
    /// A folder of that name, or a server.
    pub(super) async fn open(
        name: &str,
        auth: &[Credentials],
        tls: Option<&Tls>,
        wait: Duration,
    ) -> Result<Self, SourceError> {
        if Path::new(name).is_dir() {
            return Ok(Source::Folder(znodes_of(&folder::read_state(Path::new(name))?)));
        }
        if !name.contains(':') || name.contains('/') {
            return Err(SourceError::Nothing(name.to_owned()));
        }
        let (hosts, tls) = match name.strip_prefix(PLAIN) {
            Some(hosts) => (hosts, None),
            None => (name, tls),
        };
        let mut builder = Session::builder(hosts).establish_timeout(wait);
        if let Some(tls) = tls {
            builder = builder.tls(tls.clone());
        }
        for Credentials { scheme, shown } in auth {
            builder = builder.auth(scheme, shown);
        }
        let session = builder.establish().await;
        let failed = |source| SourceError::Establish { name: name.to_owned(), source };
        session.map(Source::Live).map_err(failed)
    }

    /// What there is at these paths.
    pub(super) async fn read(
        &self,
        paths: &[String],
    ) -> Result<Vec<Result<Seen, Unseen>>, SourceError> {
        let session = match self {
            Source::Live(session) => session,
            Source::Folder(znodes) => {
                let find = |path| znodes.get(path).cloned().ok_or(Unseen::Missing);
                return Ok(paths.iter().map(find).collect());
            }
        };
        // All are on their way before the first is awaited.
        let asked: Vec<_> = paths
            .iter()
            .map(|path| {
                (session.get(path).send(), session.acl(path), session.children(path).send())
            })
            .collect();
        let mut seen = Vec::with_capacity(paths.len());
        for (node, acl, children) in asked {
            let (node, acl, children) = (node.await, acl.await, children.await);
            let read = async {
                let (node, acl, children) = (node?, acl?, children?);
                let data = (!node.is_null).then(|| node.data.to_vec());
                Ok(Seen { data, stat: node.stat, acl: acl.acl, children: children.names })
            };
            seen.push(match read.await {
                Ok(found) => Ok(found),
                Err(Error::Refused { code: ErrorCode::NoNode, .. }) => Err(Unseen::Missing),
                Err(Error::Refused { code: ErrorCode::NoAuth, .. }) => Err(Unseen::Denied),
                Err(error) => return Err(error.into()),
            });
        }
        Ok(seen)
    }

    /// Ends the session, if there is one.
    pub(super) async fn close(self) {
        if let Source::Live(session) = self {
            // It would expire otherwise.
            _ = session.close().await;
        }
    }
}

fn znodes_of(state: &State) -> BTreeMap<String, Seen> {
    let mut znodes = BTreeMap::new();
    for (id, node) in state.tree.iter() {
        let acl = state.tree.acl(node).into_iter().map(Acl::into_owned).collect();
        let data = node.data().map(Into::into);
        let seen = Seen { data, stat: node.stat(), acl, children: Vec::new() };
        znodes.insert(state.tree.path(id), seen);
    }
    let paths: Vec<String> = znodes.keys().cloned().collect();
    for path in paths {
        let Some((parent, name)) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty())
        else {
            continue;
        };
        let parent = if parent.is_empty() { "/" } else { parent };
        if let Some(parent) = znodes.get_mut(parent) {
            parent.children.push(name.to_owned());
        }
    }
    znodes
}
