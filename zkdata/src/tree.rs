//! Znodes and sessions as a ZooKeeper server has them in memory, and how transactions change them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tenure_wire::Acl;

use crate::stat::{Kind, StoredStat, digest_of};
use crate::txn::{Change, DIGEST_VERSION, Digest, NewZnode, Txn, TxnHeader};

/// An access control list, shared by the znodes that have the same.
pub type AclList = Arc<Vec<Acl<'static>>>;

/// One znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// Its data; null is not the same as empty.
    pub data: Option<Vec<u8>>,
    /// Who may do what with it.
    pub acl: AclList,
    /// Its metadata.
    pub stat: StoredStat,
}

/// A session that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The timeout that was negotiated when it was established.
    pub timeout_ms: i32,
    /// When that was, in milliseconds since the Unix epoch, if the log tells it.
    pub opened_ms: Option<i64>,
}

/// All znodes and sessions.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Znodes by path; that of the root is empty. A parent stands before its children.
    pub znodes: BTreeMap<String, Znode>,
    /// Sessions by id.
    pub sessions: BTreeMap<i64, Session>,
    /// The znodes of each session, which goes for those too that no snapshot knows.
    ephemerals: BTreeMap<i64, BTreeSet<String>>,
    acls: HashSet<AclList>,
}

/// A change that did not fit the tree. Snapshots are taken while changes go on, so that some of
/// those after one are in it already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The znode that was to be changed.
    pub path: String,
    /// Why it did not fit.
    pub kind: MisfitKind,
}

/// Why a change did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MisfitKind {
    /// There is no such znode.
    NoNode,
    /// The znode is there already.
    NodeExists,
    /// The znode that it was to be a child of is not there.
    NoParent,
}

/// Whether digests of this version can be compared.
pub fn is_digest_known(digest: Digest) -> bool {
    digest.version == DIGEST_VERSION
}

impl Tree {
    /// What a server begins with that finds no files: the root, and what it puts below.
    pub fn fresh() -> Self {
        let mut tree = Tree::default();
        for path in ["", "/zookeeper", "/zookeeper/quota"] {
            let acl = tree.share(vec![Acl::OPEN]);
            let znode = Znode { data: Some(Vec::new()), acl, stat: StoredStat::default() };
            tree.insert(path.to_owned(), znode);
        }
        tree
    }

    /// The list that equal ones share.
    pub(crate) fn share(&mut self, acl: Vec<Acl<'static>>) -> AclList {
        if let Some(shared) = self.acls.get(&acl) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(acl);
        self.acls.insert(Arc::clone(&shared));
        shared
    }

    /// Adds a znode as it is. False if there is one at this path.
    pub(crate) fn insert(&mut self, path: String, znode: Znode) -> bool {
        if self.znodes.contains_key(&path) {
            return false;
        }
        if let Kind::Ephemeral(session) = znode.stat.kind() {
            self.ephemerals.entry(session).or_default().insert(path.clone());
        }
        self.znodes.insert(path, znode);
        true
    }

    /// Does what a transaction did, as far as that is not in the tree already; what did not fit is
    /// appended to `misfits`.
    pub fn apply(&mut self, header: &TxnHeader, txn: Txn, misfits: &mut Vec<Misfit>) {
        match txn {
            Txn::Failed => {}
            Txn::CreateSession { timeout_ms } => {
                let session = Session { timeout_ms, opened_ms: Some(header.time_ms) };
                self.sessions.insert(header.session, session);
            }
            Txn::CloseSession { paths } => self.close_session(header, paths),
            Txn::One(change) => self.change(header, change, misfits),
            Txn::Multi(changes) => {
                for change in changes {
                    self.change(header, change, misfits);
                }
            }
        }
    }

    fn change(&mut self, header: &TxnHeader, change: Change, misfits: &mut Vec<Misfit>) {
        let (path, outcome) = match change {
            Change::Nothing => return,
            Change::Create(new) => (new.path.clone(), self.create(header, new)),
            Change::Delete { path } => {
                let outcome = self.delete(&path, header.zxid);
                (path, outcome)
            }
            Change::SetData { path, data, version } => {
                let outcome = self.edit(&path, |znode| {
                    znode.data = data;
                    znode.stat.version = version;
                    (znode.stat.mzxid, znode.stat.mtime) = (header.zxid, header.time_ms);
                });
                (path, outcome)
            }
            Change::SetAcl { path, acl, version } => {
                let acl = self.share(acl);
                let outcome = self.edit(&path, |znode| {
                    znode.acl = acl;
                    znode.stat.aversion = version;
                });
                (path, outcome)
            }
        };
        if let Err(kind) = outcome {
            misfits.push(Misfit { path, kind });
        }
    }

    fn create(&mut self, header: &TxnHeader, new: NewZnode) -> Result<(), MisfitKind> {
        let NewZnode { path, data, acl, kind, parent_cversion } = new;
        let parent = self.znodes.get_mut(parent_of(&path)).ok_or(MisfitKind::NoParent)?;
        // Both when it is new and when it is there already: its parent may be from before.
        let present = parent.stat.cversion;
        let count = if parent_cversion == -1 { present.wrapping_add(1) } else { parent_cversion };
        if count > present {
            (parent.stat.cversion, parent.stat.pzxid) = (count, header.zxid);
        }
        let stat = StoredStat::created(kind, header.zxid, header.time_ms);
        let acl = self.share(acl);
        match self.insert(path, Znode { data, acl, stat }) {
            true => Ok(()),
            false => Err(MisfitKind::NodeExists),
        }
    }

    fn delete(&mut self, path: &str, zxid: i64) -> Result<(), MisfitKind> {
        let parent = self.znodes.get_mut(parent_of(path)).ok_or(MisfitKind::NoParent)?;
        parent.stat.pzxid = parent.stat.pzxid.max(zxid);
        let znode = self.znodes.remove(path).ok_or(MisfitKind::NoNode)?;
        if let Kind::Ephemeral(session) = znode.stat.kind()
            && let Some(paths) = self.ephemerals.get_mut(&session)
        {
            paths.remove(path);
        }
        Ok(())
    }

    fn edit(&mut self, path: &str, edit: impl FnOnce(&mut Znode)) -> Result<(), MisfitKind> {
        let path = if path == "/" { "" } else { path };
        self.znodes.get_mut(path).map(edit).ok_or(MisfitKind::NoNode)
    }

    /// Its ephemerals are those that the log lists and those that are there; either may be missing.
    fn close_session(&mut self, header: &TxnHeader, listed: Vec<String>) {
        self.sessions.remove(&header.session);
        let mut paths = self.ephemerals.remove(&header.session).unwrap_or_default();
        paths.extend(listed);
        for path in paths {
            _ = self.delete(&path, header.zxid);
        }
    }

    /// Removes the ephemerals of sessions that are not there, as a server does when it starts, and
    /// says which.
    pub fn drop_orphans(&mut self) -> Vec<(i64, String)> {
        let mut dropped = Vec::new();
        let lives = |session: &i64| self.sessions.contains_key(session);
        let (alive, gone): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.ephemerals).into_iter().partition(|(id, _)| lives(id));
        self.ephemerals = alive;
        for (session, paths) in gone {
            for path in paths {
                self.znodes.remove(&path);
                dropped.push((session, path));
            }
        }
        dropped
    }

    /// The sum that ZooKeeper keeps over all znodes but those below `/zookeeper`.
    pub fn digest(&self) -> u64 {
        self.znodes.iter().fold(0, |sum: u64, (path, znode)| {
            sum.wrapping_add(digest_of(path, znode.data.as_deref(), &znode.stat))
        })
    }
}

/// The path of a znode's parent; that of the root is empty.
fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests;
