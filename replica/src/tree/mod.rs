//! The tree of znodes: replicated state, changed only by `apply`.

pub(crate) mod acl;
pub(crate) mod acl_table;
pub(crate) mod index;
pub(crate) mod node;
pub(crate) mod path;
pub(crate) mod quota;
mod totals;

pub(crate) use totals::content as totals_content;

use tenure_wire::{Acl, Zxid};

use crate::arena::Arena;
use acl_table::{AclId, AclTable};
use index::Index;
use node::{Node, NodeId, NodeKind};
use totals::Totals;

/// The change being applied: its zxid, and the leader's clock when it was proposed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Txn {
    pub(crate) zxid: Zxid,
    pub(crate) time_ms: i64,
}

/// What a new znode is made of.
#[derive(Debug)]
pub(crate) struct NewNode<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: Option<&'a [u8]>,
    pub(crate) acl: AclId,
    pub(crate) kind: NodeKind,
}

/// Every znode, findable by path.
#[derive(Debug)]
pub struct Tree {
    nodes: Arena<Node>,
    index: Index,
    pub(crate) acls: AclTable,
    pub(crate) totals: Totals,
    /// ACLs whose last znode may be gone; freed when the entry is done, since its notifications
    /// are still checked against them.
    released: Vec<AclId>,
    /// ACLs taken since `begin`, to be given back by `rollback`.
    acquired: Option<Vec<AclId>>,
}

impl Tree {
    /// A tree of the built-in znodes only (reference 3.6), whose stats are all zero.
    pub(crate) fn new(seed: u64) -> Self {
        let mut tree = Tree::empty(seed);
        let config_acl = tree.acls.intern(vec![acl::AclEntry::world(tenure_wire::Perms::READ)]);
        let root = tree.built_in(NodeId::NONE, "", AclTable::OPEN);
        let zookeeper = tree.built_in(root, "zookeeper", AclTable::OPEN);
        tree.built_in(zookeeper, "quota", AclTable::OPEN);
        let config = tree.built_in(zookeeper, "config", config_acl);
        // Upstream's has this version from its birth on (reference 1.7).
        tree.change(config, |node| node.aversion = -1);
        tree
    }

    /// A tree without even a root, to be filled from a snapshot.
    pub(crate) fn empty(seed: u64) -> Self {
        Tree {
            nodes: Arena::new(),
            index: Index::new(seed),
            acls: AclTable::new(),
            totals: Totals::default(),
            released: Vec::new(),
            acquired: None,
        }
    }

    /// Built-in znodes do not count as created children of theirs (reference 1.7).
    fn built_in(&mut self, parent: NodeId, name: &str, acl: AclId) -> NodeId {
        let txn = Txn { zxid: Zxid(0), time_ms: 0 };
        let new = NewNode { name, data: Some(b""), acl, kind: NodeKind::Persistent };
        let id = self.create(parent, new, txn);
        if parent != NodeId::NONE {
            self.change(parent, |node| node.created_children = 0);
        }
        id
    }

    /// Number of znodes, built-in ones included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True only while a snapshot is being restored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all names and data.
    pub fn data_bytes(&self) -> u64 {
        self.totals.bytes
    }

    /// Number of ephemerals.
    pub fn ephemerals(&self) -> usize {
        self.totals.ephemerals
    }

    /// A sum over all znodes that equals on replicas with equal trees.
    pub fn digest(&self) -> u64 {
        self.totals.digest
    }

    /// The znode at a path. A malformed path is simply not found; "" is the root (1.9).
    pub fn find(&self, path: &str) -> Option<NodeId> {
        if path.is_empty() || path == "/" {
            return Some(NodeId::ROOT);
        }
        let mut at = NodeId::ROOT;
        for name in path.strip_prefix('/')?.split('/') {
            at = self.child(at, name)?;
        }
        Some(at)
    }

    pub(crate) fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        if name.is_empty() {
            return None;
        }
        self.index.find(self.index.hash(parent, name), |id| {
            self.nodes.get(id.0).is_some_and(|node| node.parent == parent && *node.name == *name)
        })
    }

    /// Every znode, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().map(|(slot, node)| (NodeId(slot), node))
    }

    /// The znode in a slot.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// The access control list of a znode.
    pub fn acl(&self, node: &Node) -> Vec<Acl<'_>> {
        self.acls.get(node.acl).iter().map(acl::AclEntry::as_wire).collect()
    }

    /// A znode known to exist, because the caller has just found it.
    pub(crate) fn at(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0).expect("the id was found in this tree by the caller")
    }

    /// The children of a znode, in creation order.
    pub(crate) fn children(&self, parent: &Node) -> impl Iterator<Item = (NodeId, &Node)> {
        let mut next = parent.first_child;
        std::iter::from_fn(move || {
            let node = self.nodes.get(next.0)?;
            let id = next;
            next = node.next;
            Some((id, node))
        })
    }

    /// Number of znodes below one, at any depth.
    pub(crate) fn descendants(&self, id: NodeId) -> usize {
        let mut count = 0;
        let mut todo = vec![id];
        while let Some(parent) = todo.pop() {
            for (child, node) in self.children(self.at(parent)) {
                count += 1;
                if node.children > 0 {
                    todo.push(child);
                }
            }
        }
        count
    }

    /// Znodes and data bytes of a subtree, its top included.
    pub(crate) fn usage(&self, id: NodeId) -> (i64, i64) {
        let size = |node: &Node| node.data.as_ref().map_or(0, |data| data.len() as i64);
        let mut usage = (1, size(self.at(id)));
        let mut todo = vec![id];
        while let Some(parent) = todo.pop() {
            for (child, node) in self.children(self.at(parent)) {
                usage.0 += 1;
                usage.1 += size(node);
                todo.push(child);
            }
        }
        usage
    }

    /// The full path of a znode.
    pub fn path(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while let Some(node) = self.nodes.get(at.0) {
            if at == NodeId::ROOT {
                break;
            }
            names.push(&*node.name);
            at = node.parent;
        }
        if names.is_empty() {
            return "/".to_owned();
        }
        let mut path = String::with_capacity(names.iter().map(|name| name.len() + 1).sum());
        for name in names.iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// Changes a znode's own fields, keeping the totals right.
    fn change(&mut self, id: NodeId, edit: impl FnOnce(&mut Node)) {
        let node = self.nodes.get_mut(id.0).expect("the id was found in this tree by the caller");
        self.totals.change(node, edit);
    }

    fn link(&mut self, id: NodeId, edit: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            edit(node);
        }
    }

    /// Adds a znode that the caller has found to be absent, under a parent it has found.
    pub(crate) fn create(&mut self, parent: NodeId, new: NewNode<'_>, txn: Txn) -> NodeId {
        let last = self.nodes.get(parent.0).map_or(NodeId::NONE, |node| node.last_child);
        let node = Node {
            name: new.name.into(),
            data: new.data.map(Into::into),
            kind: new.kind,
            czxid: txn.zxid,
            mzxid: txn.zxid,
            pzxid: txn.zxid,
            ctime: txn.time_ms,
            mtime: txn.time_ms,
            version: 0,
            aversion: 0,
            created_children: 0,
            children: 0,
            acl: new.acl,
            parent,
            first_child: NodeId::NONE,
            last_child: NodeId::NONE,
            next: NodeId::NONE,
            prev: last,
            owned_at: 0,
            content: totals::content(new.name, new.data),
        };
        self.take_acl(new.acl);
        let id = NodeId(self.nodes.insert(node));
        self.totals.add(id, self.nodes.get(id.0).expect("it was inserted on the line above"));
        self.index.insert(self.index.hash(parent, new.name), id);
        self.link(last, |node| node.next = id);
        if parent != NodeId::NONE {
            self.change(parent, |node| {
                if node.first_child == NodeId::NONE {
                    node.first_child = id;
                }
                node.last_child = id;
                node.children += 1;
                node.created_children = node.created_children.wrapping_add(1);
                node.pzxid = txn.zxid;
            });
        }
        id
    }

    /// Adds a znode from elsewhere with its own stat, which `fill` sets. That is no change of its
    /// parent.
    pub(crate) fn adopt(
        &mut self,
        parent: NodeId,
        new: NewNode<'_>,
        fill: impl FnOnce(&mut Node),
    ) -> NodeId {
        let before = self.node(parent).map(|node| (node.created_children, node.pzxid));
        let id = self.create(parent, new, Txn { zxid: Zxid(0), time_ms: 0 });
        self.change(id, fill);
        if let Some(before) = before {
            self.change(parent, |node| (node.created_children, node.pzxid) = before);
        }
        id
    }

    /// Makes a built-in znode's data and their stat those of a new tree.
    pub(crate) fn forget_data(&mut self, id: NodeId) {
        self.change(id, |node| {
            let data: &[u8] = b"";
            node.content = totals::content(&node.name, Some(data));
            node.data = Some(data.into());
            (node.version, node.mzxid, node.mtime) = (0, Zxid(0), 0);
        });
    }

    /// Removes a znode without children; the caller has checked that.
    pub(crate) fn delete(&mut self, id: NodeId, zxid: Zxid) -> Option<Node> {
        let node = self.nodes.remove(id.0)?;
        self.totals.sub(id, &node);
        self.index.remove(self.index.hash(node.parent, &node.name), id);
        self.released.push(node.acl);
        self.link(node.prev, |prev| prev.next = node.next);
        self.link(node.next, |next| next.prev = node.prev);
        self.change(node.parent, |parent| {
            if parent.first_child == id {
                parent.first_child = node.next;
            }
            if parent.last_child == id {
                parent.last_child = node.prev;
            }
            parent.children -= 1;
            parent.pzxid = zxid;
        });
        Some(node)
    }

    pub(crate) fn set_data(&mut self, id: NodeId, data: Option<&[u8]>, txn: Txn) {
        self.change(id, |node| {
            node.content = totals::content(&node.name, data);
            node.data = data.map(Into::into);
            node.version = node.version.wrapping_add(1);
            node.mzxid = txn.zxid;
            node.mtime = txn.time_ms;
        });
    }

    /// Replaces the data of a znode the server writes itself: no version, no zxid (trap 51).
    pub(crate) fn set_local_data(&mut self, id: NodeId, data: &[u8]) {
        self.change(id, |node| {
            node.content = totals::content(&node.name, Some(data));
            node.data = Some(data.into());
        });
    }

    pub(crate) fn set_acl(&mut self, id: NodeId, acl: AclId) {
        self.take_acl(acl);
        let mut old = acl;
        self.change(id, |node| {
            old = std::mem::replace(&mut node.acl, acl);
            node.aversion = node.aversion.wrapping_add(1);
        });
        self.released.push(old);
    }

    /// Notes where in its owner's list an ephemeral stands.
    pub(crate) fn set_owned_at(&mut self, id: NodeId, position: u32) {
        self.link(id, |node| node.owned_at = position);
    }

    fn take_acl(&mut self, acl: AclId) {
        self.acls.add_ref(acl);
        if let Some(acquired) = &mut self.acquired {
            acquired.push(acl);
        }
    }

    /// Frees ACLs that nothing uses any more. Called when an entry's notifications are out.
    pub(crate) fn finish_entry(&mut self) {
        for acl in self.released.drain(..) {
            self.acls.release(acl);
        }
    }

    /// From here on, `rollback` can undo every change.
    pub(crate) fn begin(&mut self) {
        self.nodes.begin_undo();
        self.acquired = Some(Vec::new());
    }

    /// Keeps the changes since `begin`.
    pub(crate) fn commit(&mut self) {
        self.nodes.commit_undo();
        self.acquired = None;
    }

    /// Undoes the changes since `begin`. Nothing was released before it within this entry.
    pub(crate) fn rollback(&mut self) {
        let (index, totals) = (&mut self.index, &mut self.totals);
        self.nodes.rollback(|id, now, then| {
            let id = NodeId(id);
            if let Some(node) = now {
                totals.sub(id, node);
                if then.is_none() {
                    index.remove(index.hash(node.parent, &node.name), id);
                }
            }
            if let Some(node) = then {
                totals.add(id, node);
                if now.is_none() {
                    index.insert(index.hash(node.parent, &node.name), id);
                }
            }
        });
        self.released.clear();
        self.released.append(self.acquired.get_or_insert_default());
        self.acquired = None;
    }

    /// Starts showing the present znodes to `capture_slice`.
    pub(crate) fn begin_capture(&mut self) {
        self.nodes.begin_capture();
    }

    /// Stops a capture that nobody will finish.
    pub(crate) fn drop_capture(&mut self) {
        self.nodes.drop_capture();
    }

    /// Shows further znodes as they were at `begin_capture`; false when all were shown.
    pub(crate) fn capture_slice(&mut self, slots: u32, mut see: impl FnMut(NodeId, &Node)) -> bool {
        self.nodes.capture_slice(slots, |id, node| see(NodeId(id), node))
    }

    /// One past the highest slot, for the snapshot.
    pub(crate) fn end(&self) -> u32 {
        self.nodes.end()
    }

    /// Puts a znode of a snapshot into its slot. False if the slots do not rise.
    pub(crate) fn restore(&mut self, id: NodeId, node: Node) -> bool {
        let hash = self.index.hash(node.parent, &node.name);
        self.totals.add(id, &node);
        self.acls.add_ref(node.acl);
        self.index.insert(hash, id);
        self.nodes.restore(id.0, node)
    }

    /// Sets the end of the slots after the last znode of a snapshot.
    pub(crate) fn restore_end(&mut self, end: u32) {
        self.nodes.restore_end(end);
    }
}
