//! setData.

use tenure_wire::{ErrorCode, EventType, Perms, Stat};

use crate::apply::{Asker, Changes, expect_version};
use crate::state::State;
use crate::tree::path;

impl State {
    pub(super) fn set_data(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        asker: &Asker<'_>,
        changes: &mut Changes,
    ) -> Result<Stat, ErrorCode> {
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let id = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        asker.may(self, id, Perms::WRITE)?;
        let size = |data: Option<&[u8]>| data.map_or(0, |data| data.len() as i64);
        let grown = size(data) - size(self.tree.at(id).data.as_deref());
        self.quota_allows(path, 0, grown, asker.policy)?;
        expect_version(version, self.tree.at(id).version)?;
        self.tree.set_data(id, data, asker.txn);
        self.quota_used(path, 0, grown);
        self.quota_changed(path, id);
        let node = self.tree.at(id);
        changes.add(EventType::NodeDataChanged, path, node.acl, node.acl);
        Ok(node.stat())
    }
}
