//! All client connections, found by id without hashing.

use std::io;

use mio::{Registry, Token};
use tenure_replica::ConnId;

use crate::connection::{Connection, Incoming};
use crate::tenants::TenantId;

/// Low bits of a `ConnId` that name the slot; the bits above count, so that no id returns.
const SLOT_BITS: u32 = 24;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// The table of open connections.
#[derive(Default)]
pub(crate) struct Connections {
    slots: Vec<Option<Box<Connection>>>,
    free: Vec<u32>,
    opened: u64,
}

impl Connections {
    /// Number of open connections.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes over a fresh socket. `first_token` is the token of slot 0.
    pub(crate) fn open(
        &mut self,
        incoming: Incoming,
        established_wall_ms: i64,
        (registry, first_token): (&Registry, usize),
        address: TenantId,
    ) -> io::Result<ConnId> {
        let slot = match self.free.last() {
            Some(slot) => *slot as usize,
            None => self.slots.len(),
        };
        if slot as u64 > SLOT_MASK {
            return Err(io::Error::other("no more connections can be numbered"));
        }
        let id = ConnId(((self.opened + 1) << SLOT_BITS) | slot as u64);
        let token = Token(first_token + slot);
        let place = (registry, token);
        let connection = Connection::new(id, incoming, established_wall_ms, place, address)?;
        let connection = Box::new(connection);
        self.opened += 1;
        if slot == self.slots.len() {
            self.slots.push(Some(connection));
        } else {
            self.free.pop();
            self.slots[slot] = Some(connection);
        }
        Ok(id)
    }

    /// The connection of that id, if it is still open.
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        let slot = (id.0 & SLOT_MASK) as usize;
        self.slots.get_mut(slot)?.as_deref_mut().filter(|c| c.id == id)
    }

    /// The connection of that id, if it is still open.
    pub(crate) fn get(&self, id: ConnId) -> Option<&Connection> {
        let slot = (id.0 & SLOT_MASK) as usize;
        self.slots.get(slot)?.as_deref().filter(|c| c.id == id)
    }

    /// The connection in a slot, for readiness reports.
    pub(crate) fn at_slot_mut(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    /// Every open connection, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().filter_map(|slot| slot.as_deref())
    }

    /// Every open connection, in no order that means anything.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut().filter_map(|slot| slot.as_deref_mut())
    }

    /// Removes a connection.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Box<Connection>> {
        self.get(id)?;
        let slot = (id.0 & SLOT_MASK) as u32;
        let connection = self.slots[slot as usize].take();
        self.free.push(slot);
        connection
    }
}
