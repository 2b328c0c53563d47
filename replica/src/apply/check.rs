//! check: only inside a multi.

use tenure_wire::{ErrorCode, Perms};

use crate::apply::{Asker, Done, expect_version};
use crate::state::State;
use crate::tree::path;

impl State {
    pub(super) fn check(
        &self,
        path: &str,
        version: i32,
        asker: &Asker<'_>,
    ) -> Result<Done, ErrorCode> {
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let id = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        asker.may(self, id, Perms::READ)?;
        expect_version(version, self.tree.at(id).version)?;
        Ok(Done::Checked)
    }
}
