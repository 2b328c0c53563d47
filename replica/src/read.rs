//! Requests answered at once from this replica's own state, without a log entry.

use tenure_wire::{
    ErrorCode, EventType, MultiHeader, MultiResult, OpCode, PING_XID, Perms, Put, Request,
    SetWatches, Xid, Zxid, encode_acls,
};

use crate::config::Config;
use crate::denials::Denial;
use crate::input::ConnId;
use crate::limits;
use crate::output::Outputs;
use crate::reply::{Asked, notify, reply};
use crate::session::attach::Attachment;
use crate::session::auth::who_am_i;
use crate::state::State;
use crate::tree::acl::{masked, permits};
use crate::tree::node::{Node, NodeId};
use crate::watch::WatchKind;
use crate::watch::table::{WatchTable, WatcherType};

/// A read, with everything it may look at.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub(crate) state: &'a State,
    pub(crate) config: &'a Config,
    pub(crate) watches: &'a mut WatchTable,
    pub(crate) asker: &'a Attachment,
    pub(crate) asked: Asked,
    /// What was refused on the way.
    pub(crate) denied: Option<Denial>,
}

impl Read<'_> {
    /// Answers one read. Never changes replicated state.
    pub(crate) fn answer(mut self, op: OpCode, body: &[u8], out: &mut Outputs) {
        let zxid = self.state.zxid;
        let asked = self.asked;
        let request = match Request::decode(op, body) {
            Ok(request) => request,
            Err(_) => {
                _ = reply(out, asked, zxid, |_| Err(ErrorCode::MarshallingError));
                return;
            }
        };
        match &request {
            Request::SetWatches(watches) => {
                self.set_watches(watches, out);
                _ = reply(out, asked, zxid, |_| Ok(()));
            }
            Request::Ping => pong(asked, zxid, out),
            request => {
                let outcome = reply(out, asked, zxid, |bytes| self.body(request, bytes));
                if let Err(error) = outcome {
                    self.denied = self.denial(request, error);
                }
                out.denied.extend(self.denied);
            }
        }
    }

    fn denial(&self, request: &Request<'_>, error: ErrorCode) -> Option<Denial> {
        let Attachment { session, identities, .. } = self.asker;
        Denial::of_request(self.state, request, error, *session, identities)
    }

    fn body(&mut self, request: &Request<'_>, bytes: &mut Vec<u8>) -> Result<(), ErrorCode> {
        match request {
            Request::GetData { path, watch } => {
                let node = self.readable(path)?;
                self.may_watch(*watch, path)?;
                bytes.put_buffer(node.data.as_deref());
                node.stat().encode(bytes);
                self.watch(*watch, path, WatchKind::Data);
            }
            Request::Exists { path, watch } => self.exists(path, *watch, bytes)?,
            Request::GetChildren { path, watch } => {
                let node = self.readable(path)?;
                self.may_watch(*watch, path)?;
                self.children(node, bytes);
                self.watch(*watch, path, WatchKind::Child);
            }
            Request::GetChildren2 { path, watch } => {
                let node = self.readable(path)?;
                self.may_watch(*watch, path)?;
                self.children(node, bytes);
                node.stat().encode(bytes);
                self.watch(*watch, path, WatchKind::Child);
            }
            Request::GetAcl { path } => self.acl(path, bytes)?,
            Request::GetAllChildrenNumber { path } => {
                let id = self.find_readable(path)?;
                bytes.put_i32(self.state.tree.descendants(id) as i32);
            }
            Request::GetEphemerals { prefix } => self.ephemerals(prefix, bytes),
            Request::WhoAmI => who_am_i(&self.asker.identities, bytes),
            Request::Sync { path } => bytes.put_text(path),
            Request::MultiRead(requests) => self.multi(requests, bytes),
            Request::AddWatch { path, mode } => {
                let kind = match mode {
                    0 => WatchKind::Persistent,
                    1 => WatchKind::PersistentRecursive,
                    _ => return Err(ErrorCode::MarshallingError),
                };
                self.may_watch(true, path)?;
                self.watches.add(self.asked.conn, path, kind);
                bytes.put_i32(0);
            }
            Request::CheckWatches { path, kind } => {
                let kind = watcher_type(*kind)?;
                found(self.watches.contains(self.asked.conn, path, kind))?;
            }
            Request::RemoveWatches { path, kind } => {
                let kind = watcher_type(*kind)?;
                found(self.watches.remove(self.asked.conn, path, kind))?;
            }
            // Switched off, or switched on at a server that is an ensemble of one by itself.
            Request::Reconfig { .. } if self.config.reconfig_enabled => {
                return Err(ErrorCode::Unimplemented);
            }
            Request::Reconfig { .. } => return Err(ErrorCode::ReconfigDisabled),
            _ => return Err(ErrorCode::MarshallingError),
        }
        Ok(())
    }

    fn may(&self, node: &Node, wanted: Perms) -> bool {
        let acl = self.state.tree.acls.get(node.acl);
        self.config.skip_acl || permits(acl, wanted, &self.asker.identities)
    }

    fn find_readable(&self, path: &str) -> Result<NodeId, ErrorCode> {
        let id = self.state.tree.find(path).ok_or(ErrorCode::NoNode)?;
        if self.may(self.state.tree.at(id), Perms::READ) { Ok(id) } else { Err(ErrorCode::NoAuth) }
    }

    fn readable<'s>(&self, path: &str) -> Result<&'s Node, ErrorCode>
    where
        Self: 's,
    {
        self.find_readable(path).map(|id| self.state.tree.at(id))
    }

    /// Whether the connection may watch one path more, or does so already.
    fn may_watch(&self, wanted: bool, path: &str) -> Result<(), ErrorCode> {
        let (conn, max) = (self.asked.conn, self.asker.max_watches);
        let is_full = wanted && max < usize::MAX && self.watches.paths_of(conn) >= max;
        match is_full && !self.watches.has_path(conn, path) {
            true => Err(ErrorCode::QuotaExceeded),
            false => Ok(()),
        }
    }

    fn watch(&mut self, wanted: bool, path: &str, kind: WatchKind) {
        if wanted {
            self.watches.add(self.asked.conn, path, kind);
        }
    }

    /// A missing znode is watched for its coming; a hidden one is not (trap 33).
    fn exists(&mut self, path: &str, watch: bool, bytes: &mut Vec<u8>) -> Result<(), ErrorCode> {
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let found = self.readable(path);
        self.may_watch(watch, path)?;
        if !matches!(found, Err(ErrorCode::NoAuth)) {
            self.watch(watch, path, WatchKind::Data);
        }
        found?.stat().encode(bytes);
        Ok(())
    }

    fn children(&self, node: &Node, bytes: &mut Vec<u8>) {
        bytes.put_vector_len(node.children as usize);
        for (_, child) in self.state.tree.children(node) {
            bytes.put_text(&child.name);
        }
    }

    /// Whoever may not change the ACL does not get to see password digests (trap 24).
    fn acl(&self, path: &str, bytes: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let node = self.state.tree.at(self.state.tree.find(path).ok_or(ErrorCode::NoNode)?);
        if !self.may(node, Perms::READ | Perms::ADMIN) {
            return Err(ErrorCode::NoAuth);
        }
        let acl = self.state.tree.acls.get(node.acl);
        let shown = if self.may(node, Perms::ADMIN) { acl.to_vec() } else { masked(acl) };
        let shown: Vec<_> = shown.iter().map(|entry| entry.as_wire()).collect();
        encode_acls(&shown, bytes);
        node.stat().encode(bytes);
        Ok(())
    }

    /// The prefix is one of text, not of path components (reference 3.3).
    fn ephemerals(&self, prefix: &str, bytes: &mut Vec<u8>) {
        let session = self.state.sessions.get(self.asker.session);
        let owned = session.map(|session| session.ephemerals.as_slice()).unwrap_or_default();
        let paths = owned.iter().map(|id| self.state.tree.path(*id));
        let paths: Vec<String> = paths.filter(|path| path.starts_with(prefix)).collect();
        bytes.put_texts(&paths);
    }

    /// Each read succeeds or fails by itself, and none sets a watch (reference 1.10).
    fn multi(&mut self, requests: &[Request<'_>], bytes: &mut Vec<u8>) {
        let full = bytes.len() + limits::MULTI_READ_BYTES;
        for request in requests {
            let result = match request {
                _ if bytes.len() >= full => Err(ErrorCode::ThrottledOp),
                Request::GetData { path, .. } => self.readable(path).map(|node| {
                    MultiResult::GetData { data: node.data.as_deref(), stat: node.stat() }
                }),
                Request::GetChildren { path, .. } => self.readable(path).map(|node| {
                    let children = self.state.tree.children(node);
                    let children = children.map(|(_, child)| (&*child.name).into()).collect();
                    MultiResult::GetChildren { children }
                }),
                _ => Err(ErrorCode::MarshallingError),
            };
            if let Err(error) = result
                && self.denied.is_none()
            {
                self.denied = self.denial(request, error);
            }
            result.unwrap_or_else(|code| MultiResult::Error(code.code())).encode(bytes);
        }
        MultiHeader::END.encode(bytes);
    }

    /// Sets watches again after a reconnect, and tells at once what happened in between. These
    /// notifications have zxid -1 and stand before the reply (reference 1.11).
    fn set_watches(&mut self, request: &SetWatches<'_>, out: &mut Outputs) {
        let since = request.relative_zxid;
        for path in &request.data {
            match self.node_at(path) {
                None => self.missed(path, EventType::NodeDeleted, out),
                Some(node) if node.mzxid > since => {
                    self.missed(path, EventType::NodeDataChanged, out);
                }
                Some(_) => self.watches.add(self.asked.conn, path, WatchKind::Data),
            }
        }
        for path in &request.exist {
            match self.node_at(path) {
                Some(_) => self.missed(path, EventType::NodeCreated, out),
                None => self.watches.add(self.asked.conn, path, WatchKind::Data),
            }
        }
        for path in &request.child {
            match self.node_at(path) {
                None => self.missed(path, EventType::NodeDeleted, out),
                Some(node) if node.pzxid > since => {
                    self.missed(path, EventType::NodeChildrenChanged, out);
                }
                Some(_) => self.watches.add(self.asked.conn, path, WatchKind::Child),
            }
        }
        for path in &request.persistent {
            self.watches.add(self.asked.conn, path, WatchKind::Persistent);
        }
        for path in &request.persistent_recursive {
            self.watches.add(self.asked.conn, path, WatchKind::PersistentRecursive);
        }
    }

    fn node_at(&self, path: &str) -> Option<&Node> {
        self.state.tree.find(path).map(|id| self.state.tree.at(id))
    }

    fn missed(&self, path: &str, kind: EventType, out: &mut Outputs) {
        notify(out, self.asked.conn, Zxid(-1), kind, path);
    }
}

fn watcher_type(kind: i32) -> Result<WatcherType, ErrorCode> {
    WatcherType::from_i32(kind).ok_or(ErrorCode::MarshallingError)
}

fn found(found: bool) -> Result<(), ErrorCode> {
    if found { Ok(()) } else { Err(ErrorCode::NoWatcher) }
}

/// Answers a ping: whatever xid it had, the reply's is that of pings (reference 1.3).
pub(crate) fn pong(asked: Asked, zxid: Zxid, out: &mut Outputs) {
    _ = reply(out, Asked { xid: PING_XID, ..asked }, zxid, |_| Ok(()));
}

/// Answers an operation that nobody knows: its zxid is -1 (reference 1.3).
pub(crate) fn unknown(conn: ConnId, xid: Xid, op: i32, out: &mut Outputs) {
    let asked = Asked { conn, xid, op, write: false, latency_us: 0 };
    _ = reply(out, asked, Zxid(-1), |_| Err(ErrorCode::Unimplemented));
}
