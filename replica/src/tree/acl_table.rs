//! Each distinct access control list once: znodes hold a small number instead of a list.

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use tenure_wire::{DecodeError, Perms, Put, Reader, decode_acls, encode_acls};

use crate::tree::acl::{AclEntry, AclList};

/// Names a list in the table. Equal on all replicas with equal logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AclId(pub(crate) u32);

/// Lists, each with the number of znodes that use it.
#[derive(Clone, Debug)]
pub(crate) struct AclTable {
    slots: Vec<Option<Interned>>,
    /// Empty slots below the end. The lowest is used first, so that ids depend on nothing but
    /// what was interned and released.
    free: BTreeSet<u32>,
    /// Slots by hash of their list.
    index: HashTable<u32>,
    seed: FixedState,
}

#[derive(Clone, Debug)]
struct Interned {
    list: AclList,
    references: u32,
}

impl AclTable {
    /// Everybody may do everything; always in the table.
    pub(crate) const OPEN: AclId = AclId(0);

    pub(crate) fn new() -> Self {
        let mut table = AclTable::empty();
        table.intern(vec![AclEntry::world(Perms::ALL)]);
        table
    }

    /// A table without even the open list.
    fn empty() -> Self {
        AclTable {
            slots: Vec::new(),
            free: BTreeSet::new(),
            index: HashTable::new(),
            seed: FixedState::with_seed(0),
        }
    }

    /// The id of a list, put into the table if it is new. That does not count as a use: take one
    /// with `add_ref` before the next `release`.
    pub(crate) fn intern(&mut self, list: AclList) -> AclId {
        let hash = self.seed.hash_one(&list);
        let found = self.index.find(hash, |slot| same(&self.slots, *slot, &list));
        if let Some(slot) = found {
            return AclId(*slot);
        }
        let slot = self.free.pop_first().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("memory ends before 2^32 lists")
        });
        self.slots[slot as usize] = Some(Interned { list, references: 0 });
        self.index(hash, slot);
        AclId(slot)
    }

    /// Whether a list is in use.
    pub(crate) fn has(&self, list: &AclList) -> bool {
        let hash = self.seed.hash_one(list);
        self.index.find(hash, |slot| same(&self.slots, *slot, list)).is_some()
    }

    /// Counts one more use of a list.
    pub(crate) fn add_ref(&mut self, id: AclId) {
        let interned = self.slots[id.0 as usize].as_mut();
        interned.expect("only lists in the table are used").references += 1;
    }

    /// Counts one use less. A list that nobody uses any more is gone, except for the open one.
    pub(crate) fn release(&mut self, id: AclId) {
        let slot = &mut self.slots[id.0 as usize];
        let interned = slot.as_mut().expect("a list in use is in the table");
        let references = interned.references.checked_sub(1);
        interned.references = references.expect("each use is released once");
        if interned.references > 0 || id == AclTable::OPEN {
            return;
        }
        let hash = self.seed.hash_one(&interned.list);
        *slot = None;
        self.free.insert(id.0);
        if let Ok(entry) = self.index.find_entry(hash, |slot| *slot == id.0) {
            entry.remove();
        }
    }

    /// The list of an id that a znode holds.
    pub(crate) fn get(&self, id: AclId) -> &[AclEntry] {
        let interned = self.slots[id.0 as usize].as_ref();
        &interned.expect("a list in use is in the table").list
    }

    /// Whether the table has a list of this id: to be asked before trusting one from a snapshot.
    pub(crate) fn contains(&self, id: AclId) -> bool {
        self.slots.get(id.0 as usize).is_some_and(Option::is_some)
    }

    /// Number of distinct lists.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Appends all lists with their ids, but not who uses them.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_vector_len(self.slots.len());
        for slot in &self.slots {
            match slot {
                Some(Interned { list, .. }) => {
                    let list: Vec<_> = list.iter().map(AclEntry::as_wire).collect();
                    encode_acls(&list, out);
                }
                None => out.put_i32(FREE),
            }
        }
    }

    /// Reads a table. Its lists are unused until `add_ref`.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut table = AclTable::empty();
        for slot in 0..reader.vector_len()? as u32 {
            let offset = reader.offset();
            if reader.clone().i32()? == FREE {
                reader.i32()?;
                table.slots.push(None);
                table.free.insert(slot);
                continue;
            }
            let list: AclList =
                decode_acls(reader)?.into_iter().map(|acl| AclEntry::from_wire(&acl)).collect();
            let hash = table.seed.hash_one(&list);
            if table.index.find(hash, |slot| same(&table.slots, *slot, &list)).is_some() {
                let value = slot as i32;
                return Err(DecodeError::Value { what: "repeated ACL", offset, value });
            }
            table.slots.push(Some(Interned { list, references: 0 }));
            table.index(hash, slot);
        }
        if !table.contains(AclTable::OPEN) {
            return Err(DecodeError::Value { what: "open ACL", offset: reader.offset(), value: 0 });
        }
        Ok(table)
    }

    fn index(&mut self, hash: u64, slot: u32) {
        let (slots, seed) = (&self.slots, &self.seed);
        self.index.insert_unique(hash, slot, |slot| {
            slots[*slot as usize].as_ref().map_or(0, |interned| seed.hash_one(&interned.list))
        });
    }
}

/// Stands for the list of an empty slot.
const FREE: i32 = -1;

fn same(slots: &[Option<Interned>], slot: u32, list: &AclList) -> bool {
    slots[slot as usize].as_ref().is_some_and(|interned| interned.list == *list)
}

#[cfg(test)]
mod tests;
