//! delete.

use tenure_wire::{ErrorCode, EventType, Perms};

use crate::apply::{Asker, Changes, Done, expect_version, split};
use crate::state::State;
use crate::tree::node::{NodeId, NodeKind};

/// Znodes that are always there (reference 3.6).
const RESERVED: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

impl State {
    pub(super) fn delete(
        &mut self,
        path: &str,
        version: i32,
        asker: &Asker<'_>,
        changes: &mut Changes,
    ) -> Result<Done, ErrorCode> {
        let (parent_path, name) = split(path)?;
        if RESERVED.contains(&path) {
            return Err(ErrorCode::BadArguments);
        }
        let parent = self.tree.find(parent_path).ok_or(ErrorCode::NoNode)?;
        asker.may(self, parent, Perms::DELETE)?;
        // The parent of "//a" is the root, but it is no other name of "/a".
        let node = self.tree.child(parent, name).filter(|_| parent_path != "/");
        let node = node.ok_or(ErrorCode::NoNode)?;
        expect_version(version, self.tree.at(node).version)?;
        if self.tree.at(node).children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(node, path, asker.txn.zxid, changes);
        Ok(Done::Deleted)
    }

    /// Deletes a childless znode and everything that refers to it.
    pub(super) fn remove(
        &mut self,
        id: NodeId,
        path: &str,
        zxid: tenure_wire::Zxid,
        changes: &mut Changes,
    ) {
        let Some(node) = self.tree.delete(id, zxid) else { return };
        if let NodeKind::Ephemeral(owner) = node.kind
            && let Some(moved) = self.sessions.disown(owner, node.owned_at)
        {
            self.tree.set_owned_at(moved, node.owned_at);
        }
        if let NodeKind::Ephemeral(owner) = node.kind {
            changes.add_gone(path, owner, zxid);
        }
        let bytes = node.data.as_ref().map_or(0, |data| data.len() as i64);
        self.quota_used(path, -1, -bytes);
        self.quota_deleted(path);
        let parent_acl = self.tree.node(node.parent).map_or(node.acl, |parent| parent.acl);
        changes.add(EventType::NodeDeleted, path, node.acl, parent_acl);
    }
}
