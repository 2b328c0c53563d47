//! setACL.

use tenure_wire::{Acl, ErrorCode, Perms, Stat};

use crate::apply::{Asker, expect_version};
use crate::state::State;
use crate::tree::acl::fix_up;
use crate::tree::path;

impl State {
    pub(super) fn set_acl(
        &mut self,
        path: &str,
        acl: &[Acl<'_>],
        version: i32,
        asker: &Asker<'_>,
    ) -> Result<Stat, ErrorCode> {
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let acl = fix_up(acl, asker.identities, asker.policy).map_err(|_| ErrorCode::InvalidAcl)?;
        let id = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        asker.may(self, id, Perms::ADMIN)?;
        expect_version(version, self.tree.at(id).aversion)?;
        // Lists that are in use already cost nothing more.
        if asker.policy.refuse_growth && !self.tree.acls.has(&acl) {
            return Err(ErrorCode::QuotaExceeded);
        }
        let acl = self.tree.acls.intern(acl);
        self.tree.set_acl(id, acl);
        Ok(self.tree.at(id).stat())
    }
}
