//! Members that need a snapshot to go on from: who is being sent one.

use std::collections::BTreeMap;
use std::time::Instant;

use tenure_replica::Input;

use super::Driver;
use crate::limits;
use crate::mail::Sending;

/// Members that are being sent a snapshot, or were not long ago.
#[derive(Debug, Default)]
pub(super) struct LeftBehind(BTreeMap<u64, Stage>);

#[derive(Clone, Copy, Debug)]
enum Stage {
    Sending,
    /// Nothing more is sent before then.
    RestsUntil(Instant),
}

impl Driver {
    /// Sends a member a snapshot that reaches a log index, unless that is being done. Consensus
    /// asks again as long as the member is behind.
    pub(super) fn send_snapshot(&mut self, to: u64, reaching: u64) {
        let rests = match self.left_behind.0.get(&to) {
            Some(Stage::Sending) => true,
            Some(Stage::RestsUntil(until)) => self.clock.instant() < *until,
            None => false,
        };
        let Some(peers) = self.peers.as_ref().filter(|_| !rests) else { return };
        if peers.send_snapshot(to, reaching) {
            self.left_behind.0.insert(to, Stage::Sending);
        }
    }

    /// A thread tells how far the sending has come.
    pub(super) fn sending_went_on(&mut self, to: u64, what: Sending) {
        let rest = match what {
            Sending::Began { index } => {
                let input = Input::SnapshotSending { to, index };
                return self.replica.step(input, self.clock.now(), &mut self.out);
            }
            // It takes the member a while to read it.
            Sending::Done => limits::TRANSFER_REST,
            Sending::Failed => limits::TRANSFER_RETRY,
            Sending::NoneSoNew => {
                self.replica.step(Input::TakeSnapshot, self.clock.now(), &mut self.out);
                limits::TRANSFER_RETRY
            }
        };
        if what != Sending::Done {
            let input = Input::SnapshotNotSent { to };
            self.replica.step(input, self.clock.now(), &mut self.out);
        }
        let until = self.clock.instant() + rest;
        self.left_behind.0.insert(to, Stage::RestsUntil(until));
    }
}
