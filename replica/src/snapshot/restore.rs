//! Builds the state from a snapshot's chunks.

use tenure_wire::{DecodeError, Reader};

use super::{records, tag};
use crate::state::State;
use crate::tree::Tree;
use crate::tree::node::NodeId;

/// Why a snapshot that storage found intact is no state.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A record does not decode.
    #[error("the snapshot holds a malformed record: {0}")]
    Malformed(#[from] DecodeError),
    /// The records contradict each other.
    #[error("the snapshot contradicts itself: {0}")]
    Inconsistent(&'static str),
}

/// Takes a snapshot's chunks in order and makes the state of them.
#[derive(Debug)]
pub struct Restorer {
    state: State,
    started: bool,
    ended: bool,
}

impl Restorer {
    /// Starts without anything. The seed is that of the new state's znode index.
    pub fn new(hash_seed: u64) -> Self {
        let mut state = State::new(hash_seed);
        state.tree = Tree::empty(hash_seed);
        Restorer { state, started: false, ended: false }
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// When a record does not decode or cannot stand where it does.
    pub fn chunk(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(chunk);
        while from.remaining() > 0 {
            if self.ended {
                return Err(RestoreError::Inconsistent("records after its end"));
            }
            let offset = from.offset();
            let kind = from.i32()?;
            if !self.started && kind != tag::HEAD {
                return Err(RestoreError::Inconsistent("it does not start with its head"));
            }
            match kind {
                tag::HEAD => self.head(&mut from)?,
                tag::ACLS => self.state.tree.acls = records::read_acls(&mut from)?,
                tag::ENDED => self.state.ended.push(records::read_ended(&mut from)?),
                tag::RECONFIGURING => {
                    let reconfiguring = records::read_reconfiguring(&mut from)?;
                    self.state.reconfiguring = Some(Box::new(reconfiguring));
                }
                tag::CLUSTER => self.state.cluster = records::read_cluster(&mut from)?,
                tag::SESSION => {
                    let (slot, session) = records::read_session(&mut from)?;
                    if !self.state.sessions.restore(slot, session) {
                        return Err(RestoreError::Inconsistent("sessions out of order"));
                    }
                }
                tag::NODE => self.node(&mut from)?,
                tag::END => self.end(&mut from)?,
                value => {
                    let what = "snapshot record";
                    return Err(DecodeError::Value { what, offset, value }.into());
                }
            }
        }
        Ok(())
    }

    fn head(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        let head = records::read_head(from)?;
        self.state.zxid = head.zxid;
        self.state.epochs_ahead = head.epochs_ahead;
        self.state.last_session = head.last_session;
        self.state.applied = head.applied;
        self.started = true;
        Ok(())
    }

    fn node(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        let (id, node) = records::read_node(from)?;
        if !self.state.tree.acls.contains(node.acl) {
            return Err(RestoreError::Inconsistent("a znode has an unknown ACL"));
        }
        if !self.state.tree.restore(id, node) {
            return Err(RestoreError::Inconsistent("znodes out of order"));
        }
        Ok(())
    }

    fn end(&mut self, from: &mut Reader<'_>) -> Result<(), RestoreError> {
        let (session_slots, node_slots) = (from.i32()? as u32, from.i32()? as u32);
        let digest = from.i64()? as u64;
        if session_slots < self.state.sessions.end() || node_slots < self.state.tree.end() {
            return Err(RestoreError::Inconsistent("more records than slots"));
        }
        if digest != self.state.tree.digest() {
            return Err(RestoreError::Inconsistent("its digest is not that of its znodes"));
        }
        if self.state.tree.node(NodeId::ROOT).is_none() {
            return Err(RestoreError::Inconsistent("it has no root"));
        }
        self.state.sessions.restore_end(session_slots);
        self.state.tree.restore_end(node_slots);
        self.ended = true;
        Ok(())
    }

    /// The state, once all chunks are in.
    ///
    /// # Errors
    /// When the chunks ended too early.
    pub fn finish(mut self) -> Result<State, RestoreError> {
        if !self.ended {
            return Err(RestoreError::Inconsistent("its end is missing"));
        }
        self.state.restore_quotas();
        Ok(self.state)
    }
}
