//! A history that starts with a state from elsewhere: imported, or restored from a backup.

use std::convert::Infallible;

use sha1::{Digest, Sha1};
use tenure_wire::{Acl, PASSWORD_LEN, SessionId, Zxid};

use crate::limits;
use crate::membership::CONFIG;
use crate::output::SnapshotMeta;
use crate::session::table::Session;
use crate::snapshot::Capture;
use crate::state::State;
use crate::tree::acl::AclEntry;
use crate::tree::node::{NodeId, NodeKind};
use crate::tree::{NewNode, Tree};

/// Index and term of the entry that such a history counts as having begun with.
pub(crate) const BEGINNING: (u64, u64) = (1, 1);

/// Puts a state together from sessions and znodes. Equal calls make equal states.
#[derive(Debug)]
pub struct Founder {
    state: State,
}

/// A znode as it comes from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct FoundNode<'a> {
    /// Where it is.
    pub path: &'a str,
    /// Its data.
    pub data: Option<&'a [u8]>,
    /// Who may do what with it.
    pub acl: &'a [Acl<'a>],
    /// What keeps it alive.
    pub kind: NodeKind,
    /// Zxids of its creation, and of the last changes of its data and of its children.
    pub zxids: [Zxid; 3],
    /// When it was created and its data last changed, in milliseconds since the Unix epoch.
    pub times_ms: [i64; 2],
    /// Changes of its data and of its access control list.
    pub versions: [i32; 2],
    /// Children ever created.
    pub created_children: i32,
}

/// Why a znode cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoundingError {
    /// Its parent is not there, or not yet.
    #[error("its parent is not there")]
    NoParent,
    /// There is one already.
    #[error("it is there twice")]
    Twice,
    /// Its path is none.
    #[error("that is no path")]
    Path,
    /// It is an ephemeral of a session that was not added.
    #[error("its session is not there")]
    NoSession,
}

impl Founder {
    /// Nothing yet. `hash_seed` is that of the state's index of znodes.
    pub fn new(hash_seed: u64) -> Self {
        let mut state = State::new(hash_seed);
        state.tree = Tree::empty(hash_seed);
        Founder { state }
    }

    /// Adds a session, before its ephemerals. False if there is one of this id.
    pub fn session(
        &mut self,
        id: SessionId,
        timeout_ms: u32,
        password: [u8; PASSWORD_LEN],
        opened_ms: i64,
    ) -> bool {
        let is_new = self.state.sessions.get(id).is_none();
        if is_new {
            let ephemerals = Vec::new();
            self.state.sessions.insert(Session { id, timeout_ms, password, opened_ms, ephemerals });
            self.state.note_session_id(id);
        }
        is_new
    }

    /// Adds a znode, after its parent and those of its siblings that are listed before it.
    ///
    /// # Errors
    /// If it fits nowhere.
    pub fn znode(&mut self, found: &FoundNode<'_>) -> Result<(), FoundingError> {
        let tree = &mut self.state.tree;
        let (parent, name) = match found.path {
            "/" if tree.is_empty() => (NodeId::NONE, ""),
            "/" => return Err(FoundingError::Twice),
            path => {
                let (above, name) = path.rsplit_once('/').ok_or(FoundingError::Path)?;
                (tree.find(above).ok_or(FoundingError::NoParent)?, name)
            }
        };
        if parent != NodeId::NONE {
            if name.is_empty() {
                return Err(FoundingError::Path);
            }
            if tree.is_empty() {
                return Err(FoundingError::NoParent);
            }
            if tree.child(parent, name).is_some() {
                return Err(FoundingError::Twice);
            }
        }
        if let NodeKind::Ephemeral(owner) = found.kind
            && self.state.sessions.get(owner).is_none()
        {
            return Err(FoundingError::NoSession);
        }
        let list = found.acl.iter().map(AclEntry::from_wire).collect();
        let acl = tree.acls.intern(list);
        let [czxid, mzxid, pzxid] = found.zxids;
        let [ctime, mtime] = found.times_ms;
        let [version, aversion] = found.versions;
        let new = NewNode { name, data: found.data, acl, kind: found.kind };
        let id = tree.adopt(parent, new, |node| {
            (node.czxid, node.mzxid, node.pzxid) = (czxid, mzxid, pzxid);
            (node.ctime, node.mtime) = (ctime, mtime);
            (node.version, node.aversion) = (version, aversion);
            node.created_children = found.created_children;
        });
        if let NodeKind::Ephemeral(owner) = found.kind {
            let position = self.state.sessions.own(owner, id);
            self.state.tree.set_owned_at(id, position.expect("the session was found above"));
        }
        Ok(())
    }

    /// The state, whose last change was this one. Built-in znodes that were not added are as those
    /// of a new server. New changes get epochs above `epoch` and above that of `zxid`.
    pub fn finish(mut self, zxid: Zxid, epoch: u32) -> State {
        let fresh = Tree::new(0);
        for path in ["/", "/zookeeper", "/zookeeper/quota", CONFIG] {
            if self.state.tree.find(path).is_some() && !self.state.tree.is_empty() {
                continue;
            }
            let node = fresh.at(fresh.find(path).expect("a new tree has them"));
            let acl: Vec<_> = fresh.acls.get(node.acl).iter().map(AclEntry::as_wire).collect();
            let added = self.znode(&FoundNode {
                path,
                data: node.data(),
                acl: &acl,
                kind: node.kind,
                zxids: [node.czxid, node.mzxid, node.pzxid],
                times_ms: [node.ctime, node.mtime],
                versions: [node.version, node.aversion],
                created_children: node.created_children,
            });
            added.expect("a parent stands before its children, and none of them was there");
        }
        self.state.zxid = zxid;
        self.state.restore_quotas();
        self.state.show_quotas();
        self.state.begin_history(epoch);
        self.state
    }
}

impl State {
    /// Makes this the state that a new history starts with: its members are those that the
    /// configuration names, and the epochs of new changes are above `epoch` and all that were. The
    /// ensemble is named after the state itself, so that members that start from the same one find
    /// together, and nobody else lets them in: what others have done since, this history lacks.
    pub fn begin_history(&mut self, epoch: u32) {
        self.applied = BEGINNING;
        self.cluster = 0;
        self.reconfiguring = None;
        self.epochs_ahead = self.zxid.epoch().max(epoch);
        if let Some(config) = self.tree.find(CONFIG) {
            self.tree.forget_data(config);
        }
        self.cluster = self.digest();
    }

    /// Of everything in it; never 0.
    fn digest(&mut self) -> u64 {
        let mut hasher = Sha1::new();
        let hashed: Result<(), Infallible> = self.write_chunks(|chunk| {
            hasher.update(chunk);
            Ok(())
        });
        let Ok(()) = hashed;
        let digest: [u8; 20] = hasher.finalize().into();
        let (first, _) = digest.split_first_chunk().expect("it is longer");
        u64::from_be_bytes(*first).max(1)
    }

    /// What a snapshot of this state is one of. Its members are those of the configuration.
    pub fn snapshot_meta(&self) -> SnapshotMeta {
        let (index, term) = self.applied;
        SnapshotMeta { index, term, zxid: self.zxid, members: Vec::new() }
    }

    /// The state as the chunks of a snapshot, one by one.
    ///
    /// # Errors
    /// Those of `write`, which ends it.
    pub fn write_chunks<E>(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut capture = Capture::begin(self);
        while capture.slice(self) {
            if let Some(chunk) = capture.take_full(limits::SNAPSHOT_CHUNK)
                && let Err(error) = write(&chunk)
            {
                self.tree.drop_capture();
                self.sessions.drop_capture();
                return Err(error);
            }
        }
        write(&capture.finish())
    }

    /// The zxid of the last change.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The ensemble's id, 0 if it has none.
    pub fn cluster(&self) -> u64 {
        self.cluster
    }

    /// The password of a session, which its client must show to resume it.
    pub fn password_of(&self, id: SessionId) -> Option<[u8; PASSWORD_LEN]> {
        self.sessions.get(id).map(|session| session.password)
    }
}

#[cfg(test)]
mod tests;
