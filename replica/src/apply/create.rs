//! create, create2, createContainer, createTTL.

use std::borrow::Cow;

use tenure_wire::{Create, CreateMode, ErrorCode, EventType, OpCode, Perms};

use crate::apply::{Asker, Changes, Done, split};
use crate::session::table::Session;
use crate::state::State;
use crate::tree::NewNode;
use crate::tree::acl::fix_up;
use crate::tree::node::{NodeId, NodeKind};
use crate::tree::path;

/// The longest time to live: 40 bits of milliseconds, about 34.8 years (reference 3.4).
const MAX_TTL_MS: i64 = (1 << 40) - 1;

impl State {
    /// The checks stand in the order that decides which error wins (reference 1.9).
    pub(super) fn create(
        &mut self,
        request: &Create<'_>,
        asker: &Asker<'_>,
        changes: &mut Changes,
    ) -> Result<Done, ErrorCode> {
        let mode = mode(request)?;
        let kind = kind(request, mode, asker)?;
        let (parent_path, _) = split(&request.path)?;
        let acl = fix_up(&request.acl, asker.identities, asker.policy)
            .map_err(|_| ErrorCode::InvalidAcl)?;
        let parent = self.tree.find(parent_path).ok_or(ErrorCode::NoNode)?;
        asker.may(self, parent, Perms::CREATE)?;
        let full = full_path(&request.path, mode, self.next_number(self.tree.at(parent)));
        path::validate(&full).map_err(|_| ErrorCode::BadArguments)?;
        let (_, name) = split(&full)?;
        if name.is_empty() || self.tree.child(parent, name).is_some() {
            // An empty name is the root's, which always exists.
            return Err(ErrorCode::NodeExists);
        }
        if self.tree.at(parent).owner().is_some() {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let bytes = request.data.map_or(0, |data| data.len() as i64);
        self.quota_allows(&full, 1, bytes, asker.policy)?;
        self.session_may_own(kind, asker)?;
        let acl = self.tree.acls.intern(acl);
        let new = NewNode { name, data: request.data, acl, kind };
        let node = self.tree.create(parent, new, asker.txn);
        self.adopt(node, kind);
        self.quota_used(&full, 1, bytes);
        self.quota_created(&full, node);
        changes.add(EventType::NodeCreated, &full, acl, self.tree.at(parent).acl);
        let stat = self.tree.at(node).stat();
        Ok(Done::Created { path: full.into_owned(), stat })
    }

    /// Whether the owner of a new ephemeral may have one more.
    fn session_may_own(&self, kind: NodeKind, asker: &Asker<'_>) -> Result<(), ErrorCode> {
        let max = asker.policy.bounds.session_ephemerals as usize;
        let NodeKind::Ephemeral(owner) = kind else { return Ok(()) };
        let has_all = |owner: &Session| max > 0 && owner.ephemerals.len() >= max;
        match self.sessions.get(owner).is_some_and(has_all) {
            true => Err(ErrorCode::QuotaExceeded),
            false => Ok(()),
        }
    }

    /// Puts a new ephemeral on its owner's list.
    fn adopt(&mut self, node: NodeId, kind: NodeKind) {
        if let NodeKind::Ephemeral(owner) = kind {
            let position = self.sessions.own(owner, node);
            self.tree.set_owned_at(node, position.expect("the asker's session was found"));
        }
    }
}

/// Flags that name no mode, or one that the operation cannot make, are bad arguments. Like
/// upstream, createContainer makes a container whatever the flags say; unlike upstream, plain
/// create with the container flag makes one too, instead of a persistent znode (reference 1.6).
fn mode(request: &Create<'_>) -> Result<CreateMode, ErrorCode> {
    let mode = request.mode().ok_or(ErrorCode::BadArguments)?;
    if mode.is_ttl() != (request.op == OpCode::CreateTtl) {
        return Err(ErrorCode::BadArguments);
    }
    Ok(if request.op == OpCode::CreateContainer { CreateMode::Container } else { mode })
}

fn kind(request: &Create<'_>, mode: CreateMode, asker: &Asker<'_>) -> Result<NodeKind, ErrorCode> {
    if mode.is_ephemeral() && asker.is_local {
        return Err(ErrorCode::EphemeralOnLocalSession);
    }
    if mode.is_ephemeral() {
        return Ok(NodeKind::Ephemeral(asker.session));
    }
    if mode.is_container() {
        return Ok(NodeKind::Container);
    }
    let Some(ttl_ms) = request.ttl_ms else { return Ok(NodeKind::Persistent) };
    if !asker.policy.extended_types {
        return Err(ErrorCode::Unimplemented);
    }
    if ttl_ms <= 0 || ttl_ms > MAX_TTL_MS {
        return Err(ErrorCode::BadArguments);
    }
    Ok(NodeKind::Ttl(ttl_ms))
}

fn full_path<'a>(path: &'a str, mode: CreateMode, created_children: i32) -> Cow<'a, str> {
    if mode.is_sequential() {
        Cow::Owned(format!("{path}{}", path::sequence_suffix(created_children)))
    } else {
        Cow::Borrowed(path)
    }
}
