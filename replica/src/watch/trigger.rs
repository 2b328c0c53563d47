//! What a change of the tree means to those who watch: the events, in the protocol's order.

use tenure_wire::EventType;

use crate::input::ConnId;
use crate::tree::path;
use crate::watch::WatchKind;
use crate::watch::table::WatchTable;

/// Takes one notification: for whom, what happened, and to which path.
pub(crate) type Deliver<'a> = dyn FnMut(ConnId, EventType, &str) + 'a;

impl WatchTable {
    /// A znode came into being.
    pub(crate) fn created(&mut self, path: &str, deliver: &mut Deliver<'_>) {
        if self.is_empty() {
            return;
        }
        self.fire_data(path, EventType::NodeCreated, deliver);
        self.fire_parent(path, deliver);
    }

    /// A znode is gone. A connection that hears so from its data watch does not hear it again
    /// from its child watch, which is used up all the same.
    pub(crate) fn deleted(&mut self, path: &str, deliver: &mut Deliver<'_>) {
        if self.is_empty() {
            return;
        }
        let event = EventType::NodeDeleted;
        self.fire_data(path, event, deliver);
        let already = std::mem::take(&mut self.notified);
        self.fire_child(path, event, &mut |conn, event, path| {
            if already.binary_search(&conn).is_err() {
                deliver(conn, event, path);
            }
        });
        self.notified = already;
        self.fire_parent(path, deliver);
    }

    /// A znode's data was set.
    pub(crate) fn data_changed(&mut self, path: &str, deliver: &mut Deliver<'_>) {
        if self.is_empty() {
            return;
        }
        self.fire_data(path, EventType::NodeDataChanged, deliver);
    }

    /// Fires the data table at a path, and the recursive watches above it. Leaves in `notified`
    /// who was told, sorted.
    fn fire_data(&mut self, path: &str, event: EventType, deliver: &mut Deliver<'_>) {
        let mut notified = std::mem::take(&mut self.notified);
        notified.clear();
        if let Some(slot) = self.find(path) {
            let kinds = WatchKind::Persistent..=WatchKind::PersistentRecursive;
            notified.extend(self.watchers(slot).of(kinds).map(|(_, conn)| conn));
            self.consume(slot, WatchKind::Data);
        }
        if self.has_recursive() {
            let kinds = WatchKind::PersistentRecursive..=WatchKind::PersistentRecursive;
            for slot in path::ancestors(path).filter_map(|above| self.find(above)) {
                notified.extend(self.watchers(slot).of(kinds.clone()).map(|(_, conn)| conn));
            }
        }
        tell(&mut notified, event, path, deliver);
        self.notified = notified;
    }

    /// Fires the child table at a path.
    fn fire_child(&mut self, path: &str, event: EventType, deliver: &mut Deliver<'_>) {
        let Some(slot) = self.find(path) else { return };
        let mut notified = std::mem::take(&mut self.notified);
        notified.clear();
        let kinds = WatchKind::Child..=WatchKind::Persistent;
        notified.extend(self.watchers(slot).of(kinds).map(|(_, conn)| conn));
        self.consume(slot, WatchKind::Child);
        tell(&mut notified, event, path, deliver);
        self.notified = notified;
    }

    fn fire_parent(&mut self, path: &str, deliver: &mut Deliver<'_>) {
        if let Some(parent) = path::parent(path) {
            self.fire_child(parent, EventType::NodeChildrenChanged, deliver);
        }
    }
}

/// Each connection once, in the order of their ids.
fn tell(conns: &mut Vec<ConnId>, event: EventType, path: &str, deliver: &mut Deliver<'_>) {
    conns.sort_unstable();
    conns.dedup();
    for conn in conns {
        deliver(*conn, event, path);
    }
}
