//! Changes of the ensemble's members, as far as they are replicated state: what is asked for waits
//! until consensus has gone over to it, or is given up.

use tenure_wire::{ErrorCode, EventType, Perms, Request, SessionId, Stat, Xid};

use crate::apply::{Asker, Changes, Done};
use crate::entry::Origin;
use crate::membership::{CONFIG, Membership, version};
use crate::state::State;
use crate::tree::Txn;

/// A change that was asked for and not made yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reconfiguring {
    pub(crate) target: Membership,
    /// Who asked, and where the answer goes.
    pub(crate) session: SessionId,
    pub(crate) origin: Origin,
    pub(crate) xid: Xid,
    /// Log index at which it was asked for.
    pub(crate) since: u64,
}

impl State {
    /// The members as `/zookeeper/config` lists them; none before a leader has written them there.
    pub(crate) fn members(&self) -> Membership {
        Membership::parse(&self.config_text()).unwrap_or_default()
    }

    /// What `/zookeeper/config` holds; nothing at a server by itself.
    pub fn config_text(&self) -> String {
        let node = self.tree.find(CONFIG).and_then(|id| self.tree.at(id).data.as_deref());
        String::from_utf8_lossy(node.unwrap_or_default()).into_owned()
    }

    /// Judges a reconfig, in the order of reference 5.6. The answer comes when it is made.
    pub(super) fn reconfig(
        &mut self,
        request: &Request<'_>,
        asker: &Asker<'_>,
        (origin, xid): (Origin, Xid),
    ) -> Result<(), ErrorCode> {
        let Request::Reconfig { joining, leaving, new_members, config_id } = request else {
            return Err(ErrorCode::MarshallingError);
        };
        if self.reconfiguring.is_some() {
            return Err(ErrorCode::ReconfigInProgress);
        }
        let text = self.config_text();
        if *config_id != -1 && *config_id != version(&text) {
            return Err(ErrorCode::BadVersion);
        }
        let members = Membership::parse(&text).filter(|members| !members.is_empty());
        let members = members.ok_or(ErrorCode::Unimplemented)?;
        let (joining, leaving) = (joining.as_deref(), leaving.as_deref());
        let target = members.changed(joining, leaving, new_members.as_deref())?;
        let node = self.tree.find(CONFIG).ok_or(ErrorCode::NoNode)?;
        asker.may(self, node, Perms::WRITE)?;
        let (session, since) = (asker.session, self.applied.0);
        self.reconfiguring = Some(Box::new(Reconfiguring { target, session, origin, xid, since }));
        Ok(())
    }

    /// Writes the members into `/zookeeper/config`.
    pub(super) fn set_members(
        &mut self,
        members: &Membership,
        txn: Txn,
        changes: &mut Changes,
    ) -> Stat {
        let text = members.text(txn.zxid);
        let Some(id) = self.tree.find(CONFIG) else { return Stat::default() };
        self.tree.set_data(id, Some(text.as_bytes()), txn);
        let node = self.tree.at(id);
        changes.add(EventType::NodeDataChanged, CONFIG, node.acl, node.acl);
        node.stat()
    }

    /// The change is made, or given up.
    pub(super) fn end_reconfig(
        &mut self,
        is_made: bool,
        txn: Txn,
        changes: &mut Changes,
    ) -> Option<(Box<Reconfiguring>, Result<Done, ErrorCode>)> {
        let ended = self.reconfiguring.take()?;
        if !is_made {
            return Some((ended, Err(ErrorCode::NewConfigNoQuorum)));
        }
        let stat = self.set_members(&ended.target, txn, changes);
        let text = ended.target.text(txn.zxid);
        Some((ended, Ok(Done::Reconfigured { text, stat })))
    }
}
