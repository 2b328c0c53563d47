//! The reaper's delete of an empty container or overdue TTL znode.

use crate::apply::{Changes, split};
use crate::state::State;
use crate::tree::Txn;
use crate::tree::node::NodeKind;

impl State {
    /// Whoever proposed this saw it due; by now it may have children, or be another znode.
    pub(super) fn reap(&mut self, path: &str, txn: Txn, changes: &mut Changes) {
        if split(path).is_err() {
            return;
        }
        let Some(id) = self.tree.find(path) else { return };
        let node = self.tree.at(id);
        let due = match node.kind {
            NodeKind::Container => true,
            NodeKind::Ttl(ttl_ms) => txn.time_ms.saturating_sub(node.mtime) > ttl_ms,
            NodeKind::Persistent | NodeKind::Ephemeral(_) => false,
        };
        if due && node.children == 0 {
            self.remove(id, path, txn.zxid, changes);
        }
    }

    /// Paths that the reaper may delete at this wall-clock time, `limit` at most (reference 3.4).
    pub(crate) fn reapable(&self, now_ms: i64, unused_ms: u64, limit: usize) -> Vec<String> {
        let containers = self.tree.totals.containers.iter().filter(|id| {
            let node = self.tree.at(**id);
            let unused = node.created_children == 0;
            let waited = now_ms.saturating_sub(node.ctime) > unused_ms as i64;
            node.children == 0 && (!unused || unused_ms > 0 && waited)
        });
        let ttls = self.tree.totals.ttls.iter().filter(|id| {
            let node = self.tree.at(**id);
            let NodeKind::Ttl(ttl_ms) = node.kind else { return false };
            node.children == 0 && now_ms.saturating_sub(node.mtime) > ttl_ms
        });
        containers.chain(ttls).take(limit).map(|id| self.tree.path(*id)).collect()
    }
}
