//! Sums over all znodes, kept up to date with every change.

use std::collections::BTreeSet;

use crate::tree::node::{Node, NodeId, NodeKind};

/// Counts, sizes and the digest of a tree, and which znodes the reaper must look at.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) digest: u64,
    pub(crate) bytes: u64,
    pub(crate) ephemerals: usize,
    pub(crate) containers: BTreeSet<NodeId>,
    pub(crate) ttls: BTreeSet<NodeId>,
}

impl Totals {
    pub(crate) fn add(&mut self, id: NodeId, node: &Node) {
        self.digest = self.digest.wrapping_add(node.digest());
        self.bytes += node.bytes() as u64;
        match node.kind {
            NodeKind::Persistent => {}
            NodeKind::Ephemeral(_) => self.ephemerals += 1,
            NodeKind::Container => _ = self.containers.insert(id),
            NodeKind::Ttl(_) => _ = self.ttls.insert(id),
        }
    }

    pub(crate) fn sub(&mut self, id: NodeId, node: &Node) {
        self.digest = self.digest.wrapping_sub(node.digest());
        self.bytes -= node.bytes() as u64;
        match node.kind {
            NodeKind::Persistent => {}
            NodeKind::Ephemeral(_) => self.ephemerals -= 1,
            NodeKind::Container => _ = self.containers.remove(&id),
            NodeKind::Ttl(_) => _ = self.ttls.remove(&id),
        }
    }

    /// A change that leaves the znode's kind as it is.
    pub(crate) fn change(&mut self, node: &mut Node, edit: impl FnOnce(&mut Node)) {
        self.digest = self.digest.wrapping_sub(node.digest());
        self.bytes -= node.bytes() as u64;
        edit(node);
        self.digest = self.digest.wrapping_add(node.digest());
        self.bytes += node.bytes() as u64;
    }
}

/// Checksum of what a znode holds; its other fields enter the digest directly.
pub(crate) fn content(name: &str, data: Option<&[u8]>) -> u32 {
    let named = crc32c::crc32c(name.as_bytes());
    match data {
        None => named,
        Some(data) => crc32c::crc32c_append(named ^ 1, data),
    }
}
