//! Snapshots that operators ask for.

use std::path::Path;

use tenure_replica::Input;
use tenure_wire::Zxid;

use super::Driver;
use crate::admin::{OperateError, Reply, SavedSnapshot};

type SnapshotReply = Reply<Result<SavedSnapshot, OperateError>>;

/// Who waits for a snapshot. Admin HTTP has few connections, so they are few.
#[derive(Default)]
pub(super) struct AwaitedSnapshots {
    /// For the next one: the one under way began before they asked.
    next: Vec<SnapshotReply>,
    /// For the one under way.
    under_way: Vec<SnapshotReply>,
}

impl AwaitedSnapshots {
    /// A snapshot begins.
    pub(super) fn began(&mut self) {
        self.under_way.append(&mut self.next);
    }

    /// The one under way is durable.
    pub(super) fn saved(&mut self, path: &Path, zxid: Zxid) {
        for reply in self.under_way.drain(..) {
            reply.send(Ok(SavedSnapshot { path: path.to_path_buf(), zxid }));
        }
    }

    /// The one under way will not be.
    pub(super) fn failed(&mut self) {
        for reply in self.under_way.drain(..) {
            reply.send(Err(OperateError::SnapshotFailed));
        }
    }
}

impl Driver {
    /// Has the replica begin a snapshot, behind the one under way.
    pub(super) fn save_snapshot(&mut self, reply: SnapshotReply) {
        self.snapshots_awaited.next.push(reply);
        self.replica.step(Input::TakeSnapshot, self.clock.now(), &mut self.out);
        self.deliver();
    }
}
