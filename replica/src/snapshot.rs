//! The replicated state as bytes, at one zxid, without stopping.
//!
//! A capture starts in O(1) and is read in slices; changes made meanwhile leave the old values
//! behind (`arena`). A chunk is a run of tagged records, none of which crosses into the next.

mod receive;
mod records;
mod restore;

pub(crate) use receive::Received;
pub use restore::{RestoreError, Restorer};

use tenure_wire::Put;

use crate::limits;
use crate::output::{Output, Outputs, SnapshotMeta};
use crate::replica::{Replica, SinceSnapshot};
use crate::state::State;

/// Version of the records inside the chunks.
const FORMAT: i32 = 1;

/// Tags of the records.
mod tag {
    pub(super) const HEAD: i32 = 1;
    pub(super) const ACLS: i32 = 2;
    pub(super) const ENDED: i32 = 3;
    pub(super) const SESSION: i32 = 4;
    pub(super) const NODE: i32 = 5;
    pub(super) const END: i32 = 6;
    pub(super) const RECONFIGURING: i32 = 7;
    pub(super) const CLUSTER: i32 = 8;
}

/// A snapshot being taken.
#[derive(Debug)]
pub(crate) struct Capture {
    chunk: Vec<u8>,
    sessions_left: bool,
    nodes_left: bool,
    session_slots: u32,
    node_slots: u32,
    digest: u64,
}

impl Capture {
    pub(crate) fn begin(state: &mut State) -> Self {
        let mut chunk = Vec::with_capacity(limits::SNAPSHOT_CHUNK);
        records::put_head(state, &mut chunk);
        records::put_acls(state, &mut chunk);
        for ended in state.ended.iter() {
            records::put_ended(ended, &mut chunk);
        }
        if let Some(reconfiguring) = &state.reconfiguring {
            records::put_reconfiguring(reconfiguring, &mut chunk);
        }
        if state.cluster != 0 {
            records::put_cluster(state.cluster, &mut chunk);
        }
        state.tree.begin_capture();
        state.sessions.begin_capture();
        Capture {
            chunk,
            sessions_left: true,
            nodes_left: true,
            session_slots: state.sessions.end(),
            node_slots: state.tree.end(),
            digest: state.tree.digest(),
        }
    }

    /// Copies some more slots; false when all are copied.
    pub(crate) fn slice(&mut self, state: &mut State) -> bool {
        let chunk = &mut self.chunk;
        if self.sessions_left {
            self.sessions_left =
                state.sessions.capture_slice(limits::SNAPSHOT_SLICE, |slot, session| {
                    records::put_session(slot, session, chunk);
                });
        } else if self.nodes_left {
            self.nodes_left = state.tree.capture_slice(limits::SNAPSHOT_SLICE, |id, node| {
                records::put_node(id, node, chunk);
            });
        }
        self.sessions_left || self.nodes_left
    }

    /// A chunk that has grown to this many bytes, to be written; what follows goes into another.
    pub(crate) fn take_full(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let next = || Vec::with_capacity(bytes);
        (self.chunk.len() >= bytes).then(|| std::mem::replace(&mut self.chunk, next()))
    }

    /// The last chunk.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.chunk.put_i32(tag::END);
        self.chunk.put_i32(self.session_slots as i32);
        self.chunk.put_i32(self.node_slots as i32);
        self.chunk.put_i64(self.digest as i64);
        self.chunk
    }
}

impl Replica {
    /// Starts a snapshot after so many entries or bytes, or when one was asked for; never in the
    /// middle of a session's end.
    pub(crate) fn begin_snapshot_if_due(&mut self, out: &mut Outputs) {
        let since = &self.since_snapshot;
        let bytes = self.config.snapshot_bytes;
        let due = since.wanted
            || since.entries >= self.config.snapshot_entries
            || bytes > 0 && since.bytes >= bytes;
        // Members that are sent one may be needed before a new leader can serve.
        let is_early = !self.serving && !since.wanted;
        if !due || is_early || self.capture.is_some() || self.closing.is_some() {
            return;
        }
        self.since_snapshot = SinceSnapshot::default();
        let (index, term) = self.state.applied;
        out.items.push(Output::SnapshotBegin(SnapshotMeta {
            index,
            term,
            zxid: self.state.zxid,
            members: self.consensus.members().encode(),
        }));
        self.capture = Some(Capture::begin(&mut self.state));
    }

    /// Copies slots until a chunk is full or the slice is done.
    pub(crate) fn snapshot_slice(&mut self, out: &mut Outputs) {
        let Some(capture) = &mut self.capture else { return };
        if capture.slice(&mut self.state) {
            let full = capture.take_full(limits::SNAPSHOT_CHUNK);
            out.items.extend(full.map(Output::SnapshotChunk));
            return;
        }
        if let Some(capture) = self.capture.take() {
            out.items.push(Output::SnapshotChunk(capture.finish()));
            out.items.push(Output::SnapshotEnd);
        }
    }

    /// The writer gave up: forget the capture, and try again after the usual number of entries.
    pub(crate) fn snapshot_failed(&mut self) {
        self.capture = None;
        self.state.tree.drop_capture();
        self.state.sessions.drop_capture();
    }
}
