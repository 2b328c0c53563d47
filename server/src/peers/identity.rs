//! Who this server is to the other members, and what it knows of their ensemble.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::hello::Hello;

/// Who this server is to the other members.
#[derive(Debug)]
pub(super) struct Identity {
    /// Its number.
    pub(super) me: u64,
    /// Digest of the members' numbers if they are fixed, else 0.
    pub(super) members: u64,
    /// The ensemble's id, 0 until it is known.
    cluster: AtomicU64,
    /// Version of the members that this server knows, and its own line among them.
    known: Mutex<(u64, String)>,
}

impl Identity {
    pub(super) fn new(me: u64, members: u64, line: String) -> Self {
        Identity { me, members, cluster: AtomicU64::new(0), known: Mutex::new((0, line)) }
    }

    /// The version of the members that this server knows, and its own line.
    pub(super) fn known(&self) -> (u64, String) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The members are of this version; the line stays as it was if there is none among them.
    pub(super) fn learn_members(&self, version: u64, line: Option<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, before) = std::mem::take(&mut *known);
        *known = (version, line.unwrap_or(before));
    }

    /// Whether somebody of this ensemble knows later members than this server. Such a one may
    /// belong to them although this server, which was away, has not heard of it.
    pub(super) fn is_behind(&self, hello: &Hello) -> bool {
        let is_one = hello.cluster != 0 && may_be_one_cluster(self.cluster(), hello.cluster);
        is_one && hello.version > self.known().0
    }

    pub(super) fn cluster(&self) -> u64 {
        self.cluster.load(Ordering::Acquire)
    }

    /// The ensemble's id, once it is known. Says whether that is news.
    pub(super) fn learn_cluster(&self, cluster: u64) -> bool {
        cluster != 0 && self.cluster.swap(cluster, Ordering::AcqRel) != cluster
    }
}

/// Whether two ends may belong to one ensemble: one that does not know its ensemble yet may belong
/// to any.
pub(super) fn may_be_one_cluster(ours: u64, theirs: u64) -> bool {
    ours == theirs || ours == 0 || theirs == 0
}
