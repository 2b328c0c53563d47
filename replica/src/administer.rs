//! Who may administer this server: for what clients cannot do through the protocol.

use std::net::IpAddr;

use tenure_wire::Perms;

use crate::replica::Replica;
use crate::session::auth::{authenticate, user_name};
use crate::tree::acl::{Identity, permits_by_name};
use crate::tree::node::NodeId;

/// Why somebody may not administer this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAdministrator {
    /// What was shown proves nothing.
    #[error("it shows nobody: the scheme is unknown or switched off")]
    Unknown,
    /// It shows somebody, who may not.
    #[error("neither a super user nor named with ADMIN permission in the ACL of /")]
    NotPermitted,
}

impl Replica {
    /// Judges what somebody shows, as in an auth packet, from an address. The super user may
    /// administer, and whoever the ACL of the root names with ADMIN permission. That the root is
    /// open to the world, as it is at first, makes nobody an administrator.
    ///
    /// Returns who it is, as `scheme:user` without secrets.
    pub fn administrator(
        &self,
        peer: IpAddr,
        scheme: &str,
        auth: &[u8],
    ) -> Result<String, NoAdministrator> {
        let shown = authenticate(&self.config.auth, scheme, auth);
        let mut identities = shown.map_err(|_| NoAdministrator::Unknown)?;
        if scheme == "ip" {
            identities.push(Identity::ip(peer));
        }
        let acl = self.state.tree.acls.get(self.state.tree.at(NodeId::ROOT).acl);
        if !permits_by_name(acl, Perms::ADMIN, &identities) {
            return Err(NoAdministrator::NotPermitted);
        }
        let who = identities.last().map_or("", user_name);
        Ok(format!("{scheme}:{who}"))
    }
}
