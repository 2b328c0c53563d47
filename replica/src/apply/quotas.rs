//! Quotas: which writes they refuse, and the znodes that show their use (reference 3.6).

use tenure_wire::ErrorCode;

use crate::entry::Policy;
use crate::state::State;
use crate::tree::node::NodeId;
use crate::tree::quota::{Limits, QuotaTree, Usage};

/// Below it, the path of every limited subtree stands once more.
const QUOTA: &str = "/zookeeper/quota";
/// Written by clients: the limits of the path that precedes it.
const LIMITS: &str = "/zookeeper_limits";
/// Kept by the servers: the use of the path that precedes it.
const STATS: &str = "/zookeeper_stats";

impl State {
    /// Refuses what would exceed a hard limit, if quotas are enforced, and what there is no room
    /// for at all.
    pub(super) fn quota_allows(
        &self,
        path: &str,
        count: i64,
        bytes: i64,
        policy: Policy,
    ) -> Result<(), ErrorCode> {
        let max = policy.bounds.znodes as usize;
        if policy.refuse_growth && (count > 0 || bytes > 0)
            || count > 0 && max > 0 && self.tree.len() >= max
        {
            return Err(ErrorCode::QuotaExceeded);
        }
        if policy.enforce_quota && self.quotas.exceeds_hard(path, count, bytes) {
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }

    /// Counts a change, and shows it in the stats znode of the quota it falls under.
    pub(super) fn quota_used(&mut self, path: &str, count: i64, bytes: i64) {
        if self.quotas.is_empty() {
            return;
        }
        let Some((limited, usage)) = self.quotas.count(path, count, bytes) else { return };
        let stats = format!("{QUOTA}{limited}{STATS}");
        if let Some(id) = self.tree.find(&stats) {
            self.tree.set_local_data(id, usage.to_string().as_bytes());
        }
    }

    /// A znode was created: limits take effect, stats start with what is there.
    pub(super) fn quota_created(&mut self, path: &str, id: NodeId) {
        let Some(path) = path.strip_prefix(QUOTA) else { return };
        if let Some(limited) = path.strip_suffix(LIMITS) {
            self.quota_limit(limited, id);
        } else if let Some(limited) = path.strip_suffix(STATS) {
            let usage = self.quota_usage(limited);
            self.tree.set_local_data(id, usage.to_string().as_bytes());
        }
    }

    /// Data was set: perhaps those of limits.
    pub(super) fn quota_changed(&mut self, path: &str, id: NodeId) {
        let limited = path.strip_prefix(QUOTA).and_then(|path| path.strip_suffix(LIMITS));
        if let Some(limited) = limited {
            self.quota_limit(limited, id);
        }
    }

    /// A znode was deleted: perhaps limits.
    pub(super) fn quota_deleted(&mut self, path: &str) {
        let limited = path.strip_prefix(QUOTA).and_then(|path| path.strip_suffix(LIMITS));
        if let Some(limited) = limited {
            self.quotas.remove(limited);
        }
    }

    fn quota_limit(&mut self, limited: &str, id: NodeId) {
        if limited.is_empty() {
            return;
        }
        let data = self.tree.at(id).data.as_deref().unwrap_or_default();
        let limits = Limits::parse(data);
        let usage = self.quota_usage(limited);
        self.quotas.insert(limited, limits, usage);
    }

    fn quota_usage(&self, limited: &str) -> Usage {
        let id = self.tree.find(limited);
        let (count, bytes) = id.map_or((0, 0), |id| self.tree.usage(id));
        Usage { count, bytes }
    }

    /// Finds the quotas of a restored tree.
    pub(crate) fn restore_quotas(&mut self) {
        self.quotas = QuotaTree::new();
        let Some(top) = self.tree.find(QUOTA) else { return };
        let mut todo = vec![top];
        let mut found = Vec::new();
        while let Some(parent) = todo.pop() {
            for (id, node) in self.tree.children(self.tree.at(parent)) {
                if *node.name == LIMITS[1..] {
                    found.push(id);
                }
                todo.push(id);
            }
        }
        for id in found {
            let path = self.tree.path(id);
            self.quota_changed(&path, id);
        }
    }

    /// Writes what every limited subtree holds into its stats znode.
    pub(crate) fn show_quotas(&mut self) {
        for (limited, usage) in self.quotas.usages() {
            if let Some(id) = self.tree.find(&format!("{QUOTA}{limited}{STATS}")) {
                self.tree.set_local_data(id, usage.to_string().as_bytes());
            }
        }
    }
}
