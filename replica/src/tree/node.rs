//! One znode as it is stored.

use tenure_wire::{SessionId, Stat, Zxid};

use crate::tree::acl_table::AclId;

/// A znode's slot in the tree's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The root, always the first slot.
    pub(crate) const ROOT: NodeId = NodeId(0);
    /// No znode: the end of a sibling list, the root's parent.
    pub(crate) const NONE: NodeId = NodeId(u32::MAX);
}

/// What keeps a znode alive (reference 3.3, 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Until it is deleted.
    Persistent,
    /// As long as this session.
    Ephemeral(SessionId),
    /// Until its last child is gone and the reaper comes by.
    Container,
    /// Until it has no children and was not set for this many milliseconds.
    Ttl(i64),
}

/// A znode. Its children form a list in creation order through `first_child` and `next`.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) name: Box<str>,
    /// Null data is not empty data (trap 22).
    pub(crate) data: Option<Box<[u8]>>,
    pub(crate) kind: NodeKind,
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
    pub(crate) pzxid: Zxid,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    pub(crate) aversion: i32,
    /// Children ever created: feeds sequence numbers and the reported cversion (1.7).
    pub(crate) created_children: i32,
    pub(crate) children: i32,
    pub(crate) acl: AclId,
    pub(crate) parent: NodeId,
    pub(crate) first_child: NodeId,
    pub(crate) last_child: NodeId,
    pub(crate) next: NodeId,
    pub(crate) prev: NodeId,
    /// Position in the owner's list of ephemerals; meaningless for others.
    pub(crate) owned_at: u32,
    /// Checksum of name and data, kept so that the tree digest need not read them again.
    pub(crate) content: u32,
}

impl Node {
    /// What clients see of it.
    pub fn stat(&self) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            // Creates plus deletes of children: twice the creates, less what is still there.
            cversion: self.created_children.wrapping_mul(2).wrapping_sub(self.children),
            aversion: self.aversion,
            ephemeral_owner: self.owner().map_or(0, |session| session.0),
            data_length: self.data.as_ref().map_or(0, |data| data.len() as i32),
            num_children: self.children,
            pzxid: self.pzxid,
        }
    }

    /// Children ever created, those included that are gone.
    pub fn created_children(&self) -> i32 {
        self.created_children
    }

    /// What keeps it alive.
    pub fn kind(&self) -> NodeKind {
        self.kind
    }

    /// Its data, if it has any.
    pub fn data(&self) -> Option<&[u8]> {
        self.data.as_deref()
    }

    /// The session that an ephemeral belongs to.
    pub fn owner(&self) -> Option<SessionId> {
        match self.kind {
            NodeKind::Ephemeral(session) => Some(session),
            _ => None,
        }
    }

    /// Bytes of name and data, for the approximate data size.
    pub(crate) fn bytes(&self) -> usize {
        self.name.len() + self.data.as_ref().map_or(0, |data| data.len())
    }

    /// Its share of the tree digest: changes with everything a client can observe.
    pub(crate) fn digest(&self) -> u64 {
        let kind = match self.kind {
            NodeKind::Persistent => 0,
            NodeKind::Ephemeral(session) => session.0 as u64,
            NodeKind::Container => 1 << 63,
            NodeKind::Ttl(ttl_ms) => 0xff << 56 | ttl_ms as u64,
        };
        let words = [
            u64::from(self.parent.0) << 32 | u64::from(self.content),
            self.czxid.0 as u64,
            self.mzxid.0 as u64,
            self.pzxid.0 as u64,
            self.ctime as u64,
            self.mtime as u64,
            (self.version as u64) << 32 | u64::from(self.aversion as u32),
            (self.created_children as u64) << 32 | u64::from(self.acl.0),
            kind,
        ];
        words.iter().fold(0x9e37_79b9_7f4a_7c15, |sum, word| {
            let mixed = (sum ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
            mixed ^ mixed >> 32
        })
    }
}
