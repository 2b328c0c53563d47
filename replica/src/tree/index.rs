//! Finds a znode by its parent and name.
//!
//! Buckets hold (hash, slot) so that growing a table reads no znodes, and the table is split into
//! shards so that one growth moves a sixty-fourth of it: no insert stalls the others.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::tree::node::NodeId;

const SHARDS: usize = 64;

#[derive(Debug)]
pub(crate) struct Index {
    shards: Vec<HashTable<(u32, u32)>>,
    seed: FixedState,
}

impl Index {
    /// The seed differs per process, so that nobody can prepare colliding names; the order inside
    /// the tables never shows.
    pub(crate) fn new(seed: u64) -> Self {
        Index {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            seed: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn hash(&self, parent: NodeId, name: &str) -> u64 {
        let mut hasher = self.seed.build_hasher();
        hasher.write_u32(parent.0);
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(NodeId) -> bool) -> Option<NodeId> {
        let short = hash as u32;
        self.shards[shard(hash)]
            .find(spread(short), |(h, id)| *h == short && is(NodeId(*id)))
            .map(|(_, id)| NodeId(*id))
    }

    pub(crate) fn insert(&mut self, hash: u64, id: NodeId) {
        let short = hash as u32;
        let table = &mut self.shards[shard(hash)];
        table.insert_unique(spread(short), (short, id.0), |(h, _)| spread(*h));
    }

    pub(crate) fn remove(&mut self, hash: u64, id: NodeId) {
        let short = hash as u32;
        let found = self.shards[shard(hash)].find_entry(spread(short), |(_, slot)| *slot == id.0);
        if let Ok(entry) = found {
            entry.remove();
        }
    }
}

fn shard(hash: u64) -> usize {
    (hash >> 58) as usize
}

/// The table wants all 64 bits; we keep 32 per bucket.
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
