//! The sessions that live: replicated state.

use hashbrown::HashTable;
use tenure_wire::SessionId;

use crate::arena::Arena;
use crate::session::auth::same_in_constant_time;
use crate::tree::node::NodeId;

/// A client's session, as every replica knows it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id, shown to the client and stored in its ephemerals.
    pub id: SessionId,
    /// The longest timeout ever negotiated for it. Reattaching may use a shorter one, but this is
    /// what counts after a restart and with a new leader (reference 2.3).
    pub timeout_ms: u32,
    /// What the client must show to resume it.
    pub(crate) password: [u8; 16],
    /// Leader's wall clock when it was established.
    pub opened_ms: i64,
    /// Its ephemerals, in the order in which they will be deleted.
    pub(crate) ephemerals: Vec<NodeId>,
}

impl Session {
    /// Its ephemerals, in the order in which they will be deleted.
    pub fn ephemerals(&self) -> &[NodeId] {
        &self.ephemerals
    }

    /// Number of its ephemerals.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.len()
    }

    /// Whether these are the bytes a client must show.
    pub(crate) fn has_password(&self, password: Option<&[u8]>) -> bool {
        password.is_some_and(|password| same_in_constant_time(password, self.password))
    }
}

/// All live sessions by id.
#[derive(Debug)]
pub struct SessionTable {
    sessions: Arena<Session>,
    index: HashTable<(SessionId, u32)>,
}

impl SessionTable {
    pub(crate) fn new() -> Self {
        SessionTable { sessions: Arena::new(), index: HashTable::new() }
    }

    /// Number of live sessions.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether nobody has a session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session with this id.
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(self.slot(id)?)
    }

    /// All sessions, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().map(|(_, session)| session)
    }

    fn slot(&self, id: SessionId) -> Option<u32> {
        self.index.find(hash(id), |(found, _)| *found == id).map(|(_, slot)| *slot)
    }

    pub(crate) fn insert(&mut self, session: Session) {
        let id = session.id;
        let slot = self.sessions.insert(session);
        self.index.insert_unique(hash(id), (id, slot), |(id, _)| hash(*id));
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let entry = self.index.find_entry(hash(id), |(found, _)| *found == id).ok()?;
        let ((_, slot), _) = entry.remove();
        self.sessions.remove(slot)
    }

    /// It was resumed with another timeout: only a longer one changes anything.
    pub(crate) fn prolong(&mut self, id: SessionId, timeout_ms: u32) {
        if let Some(session) = self.slot(id).and_then(|slot| self.sessions.get_mut(slot)) {
            session.timeout_ms = session.timeout_ms.max(timeout_ms);
        }
    }

    /// Adds an ephemeral to its owner's list and says where in it.
    pub(crate) fn own(&mut self, id: SessionId, node: NodeId) -> Option<u32> {
        let session = self.sessions.get_mut(self.slot(id)?)?;
        session.ephemerals.push(node);
        Some(session.ephemerals.len() as u32 - 1)
    }

    /// Takes an ephemeral off its owner's list; says which one took its place.
    pub(crate) fn disown(&mut self, id: SessionId, position: u32) -> Option<NodeId> {
        let session = self.sessions.get_mut(self.slot(id)?)?;
        if position as usize >= session.ephemerals.len() {
            // The session is being closed: its list was taken as a whole.
            return None;
        }
        session.ephemerals.swap_remove(position as usize);
        session.ephemerals.get(position as usize).copied()
    }

    /// Takes the whole list, because the session is being closed.
    pub(crate) fn take_ephemerals(&mut self, id: SessionId) -> Vec<NodeId> {
        let slot = self.slot(id);
        let session = slot.and_then(|slot| self.sessions.get_mut(slot));
        session.map(|session| std::mem::take(&mut session.ephemerals)).unwrap_or_default()
    }

    pub(crate) fn begin(&mut self) {
        self.sessions.begin_undo();
    }

    pub(crate) fn commit(&mut self) {
        self.sessions.commit_undo();
    }

    /// A multi neither opens nor closes sessions, so only their lists of ephemerals go back.
    pub(crate) fn rollback(&mut self) {
        self.sessions.rollback(|_, _, _| {});
    }

    pub(crate) fn begin_capture(&mut self) {
        self.sessions.begin_capture();
    }

    pub(crate) fn drop_capture(&mut self) {
        self.sessions.drop_capture();
    }

    pub(crate) fn capture_slice(&mut self, slots: u32, see: impl FnMut(u32, &Session)) -> bool {
        self.sessions.capture_slice(slots, see)
    }

    pub(crate) fn end(&self) -> u32 {
        self.sessions.end()
    }

    /// Puts a session of a snapshot into its slot. False if the slots do not rise.
    pub(crate) fn restore(&mut self, slot: u32, session: Session) -> bool {
        let id = session.id;
        self.index.insert_unique(hash(id), (id, slot), |(id, _)| hash(*id));
        self.sessions.restore(slot, session)
    }

    pub(crate) fn restore_end(&mut self, end: u32) {
        self.sessions.restore_end(end);
    }
}

/// Ids are handed out by us and never by a client, so any mixing will do.
fn hash(id: SessionId) -> u64 {
    (id.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}
