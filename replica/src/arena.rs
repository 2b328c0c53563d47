//! Numbered slots that can be copied out at one point in time while they keep changing.
//!
//! The tree and the session table live in arenas. Ids are `u32`, the lowest free one is taken
//! first, so equal histories give equal ids on every replica. Slots sit in fixed chunks: growing
//! never moves them. A capture (for snapshots) starts in O(1), is read in slices, and shows every
//! slot as it was at the start: whoever changes a slot the capture has not passed yet leaves the
//! old value behind first.

use std::collections::{BTreeMap, BTreeSet};

/// Slots per chunk: large enough that the chunk table stays small, small enough to fill quickly.
const CHUNK: usize = 4096;

#[derive(Debug)]
pub(crate) struct Arena<T> {
    chunks: Vec<Vec<Option<T>>>,
    end: u32,
    free: BTreeSet<u32>,
    capture: Option<Capture<T>>,
    undo: Option<Vec<(u32, Option<T>)>>,
}

#[derive(Debug)]
struct Capture<T> {
    next: u32,
    end: u32,
    before: BTreeMap<u32, Option<T>>,
}

impl<T: Clone> Arena<T> {
    pub(crate) fn new() -> Self {
        Arena { chunks: Vec::new(), end: 0, free: BTreeSet::new(), capture: None, undo: None }
    }

    /// Number of occupied slots.
    pub(crate) fn len(&self) -> usize {
        self.end as usize - self.free.len()
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.chunks.get(id as usize / CHUNK)?.get(id as usize % CHUNK)?.as_ref()
    }

    /// The slot's value for changing. Its old value is kept where a capture or an undo needs it.
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.remember(id);
        self.chunks.get_mut(id as usize / CHUNK)?.get_mut(id as usize % CHUNK)?.as_mut()
    }

    /// The id that the next `insert` will use.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop_first() {
            self.remember(id);
            self.put(id, Some(value));
            return id;
        }
        let id = self.end;
        self.end += 1;
        if id as usize / CHUNK == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(undo) = &mut self.undo {
            undo.push((id, None));
        }
        self.chunks[id as usize / CHUNK].push(Some(value));
        id
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        self.remember(id);
        let value = self.chunks.get_mut(id as usize / CHUNK)?.get_mut(id as usize % CHUNK)?.take();
        if value.is_some() {
            self.free.insert(id);
        }
        value
    }

    /// Occupied slots in id order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks
            .iter()
            .flatten()
            .enumerate()
            .filter_map(|(id, slot)| slot.as_ref().map(|value| (id as u32, value)))
    }

    fn put(&mut self, id: u32, value: Option<T>) {
        self.chunks[id as usize / CHUNK][id as usize % CHUNK] = value;
    }

    fn remember(&mut self, id: u32) {
        if self.capture.is_none() && self.undo.is_none() {
            return;
        }
        if id >= self.end {
            return;
        }
        let old = &self.chunks[id as usize / CHUNK][id as usize % CHUNK];
        if let Some(capture) = &mut self.capture
            && id >= capture.next
            && id < capture.end
        {
            capture.before.entry(id).or_insert_with(|| old.clone());
        }
        if let Some(undo) = &mut self.undo {
            undo.push((id, old.clone()));
        }
    }

    /// From now on, `rollback` can bring back the present state.
    pub(crate) fn begin_undo(&mut self) {
        debug_assert!(self.undo.is_none(), "undo does not nest");
        self.undo = Some(Vec::new());
    }

    /// The changes since `begin_undo` stay.
    pub(crate) fn commit_undo(&mut self) {
        self.undo = None;
    }

    /// Takes every change since `begin_undo` back, newest first. For each slot touched, `swapped`
    /// sees (id, value that goes, value that comes back).
    pub(crate) fn rollback(&mut self, mut swapped: impl FnMut(u32, Option<&T>, Option<&T>)) {
        let Some(undo) = self.undo.take() else { return };
        for (id, old) in undo.into_iter().rev() {
            let now = self.chunks[id as usize / CHUNK][id as usize % CHUNK].take();
            swapped(id, now.as_ref(), old.as_ref());
            if old.is_some() {
                self.free.remove(&id);
            } else {
                self.free.insert(id);
            }
            self.put(id, old);
        }
        // A slot appended by the undone changes stays as a free one: ids are still lowest first.
    }

    /// Starts a capture of the present state.
    pub(crate) fn begin_capture(&mut self) {
        self.capture = Some(Capture { next: 0, end: self.end, before: BTreeMap::new() });
    }

    /// Ends a capture early.
    pub(crate) fn drop_capture(&mut self) {
        self.capture = None;
    }

    /// Shows up to `slots` further slots of the capture; false when it is complete (and gone).
    pub(crate) fn capture_slice(&mut self, slots: u32, mut see: impl FnMut(u32, &T)) -> bool {
        let Some(capture) = &mut self.capture else { return false };
        let until = capture.end.min(capture.next.saturating_add(slots));
        for id in capture.next..until {
            let then = match capture.before.remove(&id) {
                Some(Some(old)) => {
                    see(id, &old);
                    continue;
                }
                Some(None) => None,
                None => self.chunks[id as usize / CHUNK][id as usize % CHUNK].as_ref(),
            };
            if let Some(value) = then {
                see(id, value);
            }
        }
        capture.next = until;
        if until == capture.end {
            self.capture = None;
            return false;
        }
        true
    }

    /// Puts a restored value into its old slot. Ids arrive in rising order.
    pub(crate) fn restore(&mut self, id: u32, value: T) -> bool {
        if id < self.end {
            return false;
        }
        self.restore_end(id);
        self.end = id + 1;
        if id as usize / CHUNK == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[id as usize / CHUNK].push(Some(value));
        true
    }

    /// Makes every slot from the last restored one up to `end` a free one.
    pub(crate) fn restore_end(&mut self, end: u32) {
        while self.end < end {
            let id = self.end;
            if id as usize / CHUNK == self.chunks.len() {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            self.chunks[id as usize / CHUNK].push(None);
            self.free.insert(id);
            self.end += 1;
        }
    }

    /// One past the highest slot ever used.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }
}
