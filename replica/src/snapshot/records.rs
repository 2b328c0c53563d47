//! One record of each kind: its writer beside its reader.

use tenure_wire::{DecodeError, Put, Reader, SessionId, Xid, Zxid};

use super::{FORMAT, tag};
use crate::apply::reconfig::Reconfiguring;
use crate::entry::Origin;
use crate::membership::Membership;
use crate::session::ended::{EndReason, Ended};
use crate::session::table::Session;
use crate::state::State;
use crate::tree::acl_table::{AclId, AclTable};
use crate::tree::node::{Node, NodeId, NodeKind};
use crate::tree::totals_content;

/// The scalars of the state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) zxid: Zxid,
    pub(super) epochs_ahead: u32,
    pub(super) last_session: u64,
    pub(super) applied: (u64, u64),
}

pub(super) fn put_head(state: &State, out: &mut Vec<u8>) {
    out.put_i32(tag::HEAD);
    out.put_i32(FORMAT);
    out.put_i64(state.zxid.0);
    out.put_i32(state.epochs_ahead as i32);
    out.put_i64(state.last_session as i64);
    out.put_i64(state.applied.0 as i64);
    out.put_i64(state.applied.1 as i64);
}

pub(super) fn read_head(from: &mut Reader<'_>) -> Result<Head, DecodeError> {
    let offset = from.offset();
    let value = from.i32()?;
    if value != FORMAT {
        return Err(DecodeError::Value { what: "snapshot format", offset, value });
    }
    Ok(Head {
        zxid: Zxid(from.i64()?),
        epochs_ahead: from.i32()? as u32,
        last_session: from.i64()? as u64,
        applied: (from.i64()? as u64, from.i64()? as u64),
    })
}

pub(super) fn put_acls(state: &State, out: &mut Vec<u8>) {
    out.put_i32(tag::ACLS);
    state.tree.acls.encode(out);
}

pub(super) fn read_acls(from: &mut Reader<'_>) -> Result<AclTable, DecodeError> {
    AclTable::decode(from)
}

pub(super) fn put_ended(ended: &Ended, out: &mut Vec<u8>) {
    out.put_i32(tag::ENDED);
    out.put_i64(ended.session.0);
    ended.reason.encode(out);
    out.put_i32(ended.timeout_ms as i32);
    out.put_i64(ended.opened_ms);
    out.put_i64(ended.ended_ms);
    out.put_i64(ended.zxid.0);
    out.put_i32(ended.ephemerals as i32);
    out.put_texts(&ended.paths);
}

pub(super) fn read_ended(from: &mut Reader<'_>) -> Result<Ended, DecodeError> {
    Ok(Ended {
        session: SessionId(from.i64()?),
        reason: EndReason::decode(from)?,
        timeout_ms: from.i32()? as u32,
        opened_ms: from.i64()?,
        ended_ms: from.i64()?,
        zxid: Zxid(from.i64()?),
        ephemerals: from.i32()? as u32,
        paths: from.texts()?.into_iter().map(std::borrow::Cow::into_owned).collect(),
    })
}

pub(super) fn put_reconfiguring(reconfiguring: &Reconfiguring, out: &mut Vec<u8>) {
    out.put_i32(tag::RECONFIGURING);
    out.put_text(&reconfiguring.target.to_string());
    out.put_i64(reconfiguring.session.0);
    reconfiguring.origin.encode(out);
    out.put_i32(reconfiguring.xid.0);
    out.put_i64(reconfiguring.since as i64);
}

pub(super) fn read_reconfiguring(from: &mut Reader<'_>) -> Result<Reconfiguring, DecodeError> {
    let offset = from.offset();
    let target = Membership::parse(&from.text()?);
    let malformed = DecodeError::Value { what: "list of members", offset, value: 0 };
    Ok(Reconfiguring {
        target: target.ok_or(malformed)?,
        session: SessionId(from.i64()?),
        origin: Origin::decode(from)?,
        xid: Xid(from.i32()?),
        since: from.i64()? as u64,
    })
}

pub(super) fn put_cluster(cluster: u64, out: &mut Vec<u8>) {
    out.put_i32(tag::CLUSTER);
    out.put_i64(cluster as i64);
}

pub(super) fn read_cluster(from: &mut Reader<'_>) -> Result<u64, DecodeError> {
    Ok(from.i64()? as u64)
}

pub(super) fn put_session(slot: u32, session: &Session, out: &mut Vec<u8>) {
    out.put_i32(tag::SESSION);
    out.put_i32(slot as i32);
    out.put_i64(session.id.0);
    out.put_i32(session.timeout_ms as i32);
    out.put_buffer(Some(&session.password));
    out.put_i64(session.opened_ms);
    out.put_vector_len(session.ephemerals.len());
    for id in &session.ephemerals {
        out.put_i32(id.0 as i32);
    }
}

pub(super) fn read_session(from: &mut Reader<'_>) -> Result<(u32, Session), DecodeError> {
    let slot = from.i32()? as u32;
    let id = SessionId(from.i64()?);
    let timeout_ms = from.i32()? as u32;
    let offset = from.offset();
    let bytes = from.buffer()?.unwrap_or_default();
    let length = bytes.len() as i32;
    let password =
        bytes.try_into().map_err(|_| DecodeError::Length { what: "password", offset, length })?;
    let opened_ms = from.i64()?;
    let count = from.vector_len()?;
    let ephemerals = (0..count).map(|_| Ok(NodeId(from.i32()? as u32)));
    let ephemerals = ephemerals.collect::<Result<_, DecodeError>>()?;
    Ok((slot, Session { id, timeout_ms, password, opened_ms, ephemerals }))
}

pub(super) fn put_node(id: NodeId, node: &Node, out: &mut Vec<u8>) {
    let (kind, owner) = match node.kind {
        NodeKind::Persistent => (0, 0),
        NodeKind::Ephemeral(session) => (1, session.0),
        NodeKind::Container => (2, 0),
        NodeKind::Ttl(ttl_ms) => (3, ttl_ms),
    };
    out.put_i32(tag::NODE);
    out.put_i32(id.0 as i32);
    out.put_text(&node.name);
    out.put_buffer(node.data.as_deref());
    out.put_i32(kind);
    out.put_i64(owner);
    for number in [node.czxid.0, node.mzxid.0, node.pzxid.0, node.ctime, node.mtime] {
        out.put_i64(number);
    }
    for number in [node.version, node.aversion, node.created_children, node.children] {
        out.put_i32(number);
    }
    out.put_i32(node.acl.0 as i32);
    for link in [node.parent, node.first_child, node.last_child, node.next, node.prev] {
        out.put_i32(link.0 as i32);
    }
    out.put_i32(node.owned_at as i32);
}

pub(super) fn read_node(from: &mut Reader<'_>) -> Result<(NodeId, Node), DecodeError> {
    let id = NodeId(from.i32()? as u32);
    let name: Box<str> = from.text()?.into();
    let data = from.buffer()?;
    let offset = from.offset();
    let kind = from.i32()?;
    let owner = from.i64()?;
    let kind = match kind {
        0 => NodeKind::Persistent,
        1 => NodeKind::Ephemeral(SessionId(owner)),
        2 => NodeKind::Container,
        3 => NodeKind::Ttl(owner),
        value => return Err(DecodeError::Value { what: "kind of znode", offset, value }),
    };
    let content = totals_content(&name, data);
    let node = Node {
        name,
        data: data.map(Into::into),
        kind,
        czxid: Zxid(from.i64()?),
        mzxid: Zxid(from.i64()?),
        pzxid: Zxid(from.i64()?),
        ctime: from.i64()?,
        mtime: from.i64()?,
        version: from.i32()?,
        aversion: from.i32()?,
        created_children: from.i32()?,
        children: from.i32()?,
        acl: AclId(from.i32()? as u32),
        parent: NodeId(from.i32()? as u32),
        first_child: NodeId(from.i32()? as u32),
        last_child: NodeId(from.i32()? as u32),
        next: NodeId(from.i32()? as u32),
        prev: NodeId(from.i32()? as u32),
        owned_at: from.i32()? as u32,
        content,
    };
    Ok((id, node))
}
