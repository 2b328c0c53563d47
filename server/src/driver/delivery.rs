//! From what the replica wants done to sockets, disk and log lines.

use std::collections::VecDeque;
use std::time::Instant;

use tenure_replica::{Answered, CloseWhy, ConnId, Input, Membership, Output};

use tenure_wire::{OpCode, Xid, frame};

use super::Driver;
use super::admission::is_no_room;
use crate::connection::Phase;
use crate::limits;
use crate::metrics::{Done, Limited, RequestKind};
use crate::tenants::TenantId;

impl Driver {
    /// Performs the collected outputs, in order, and forgets them.
    pub(super) fn deliver(&mut self) {
        if self.out.items.is_empty() {
            return;
        }
        let mut out = std::mem::take(&mut self.out);
        for item in out.items.drain(..) {
            match item {
                Output::Send { conn, range } => self.send_frames(conn, &out.bytes[range]),
                Output::Close { conn, why } => self.close_for(conn, why),
                Output::Persist(batch) => {
                    if self.replica.is_leader() {
                        batch.entries.iter().for_each(|e| self.metrics.proposed(e.data.len()));
                    }
                    self.persister.persist(batch);
                }
                Output::SnapshotBegin(meta) => {
                    self.snapshots_awaited.began();
                    self.snapshotter.begin(meta);
                }
                Output::SnapshotChunk(bytes) => self.snapshotter.chunk(bytes),
                Output::SnapshotEnd => self.snapshotter.end(),
                Output::SnapshotAbandon => {
                    self.snapshots_awaited.failed();
                    self.snapshotter.abandon();
                }
                Output::SnapshotSend { to, reaching } => self.send_snapshot(to, reaching),
                Output::LogRestart { after } => {
                    tracing::info!(index = after, "going on from a received snapshot");
                    self.persister.cut_before(after + 1);
                }
                Output::Links { members, cluster, version } => {
                    self.follow_members(members, cluster, version);
                }
                Output::Peer { to, message } => {
                    if let Some(peers) = &self.peers {
                        peers.send(to, message);
                    }
                }
                Output::Event(event) => {
                    self.count_sessions(&event);
                    self.note_event(&event);
                }
            }
        }
        let mut last = None;
        for answered in &out.answered {
            self.count(answered);
            if last.is_some_and(|last| last != answered.conn) {
                last.into_iter().for_each(|conn| self.settle(conn));
            }
            last = Some(answered.conn);
        }
        last.into_iter().for_each(|conn| self.settle(conn));
        out.acks.iter().for_each(|ack| self.metrics.acked(ack.member, ack.took_us));
        if !out.denied.is_empty() || !out.audited.is_empty() {
            self.keep_accounts(&mut out);
        }
        out.clear();
        self.out = out;
        // Only now: what a step puts out must come behind what was just delivered.
        while let Some(id) = self.let_go.pop() {
            self.forget(id);
        }
    }

    /// Who belongs to the ensemble, or is about to, has changed.
    fn follow_members(&mut self, members: Membership, cluster: u64, version: u64) {
        if let Some(peers) = &mut self.peers {
            peers.update(members, cluster, version);
        }
        let text = self.replica.state().config_text();
        if let Some(file) = &self.members_file {
            file.keep(cluster, &text);
        }
        // Without a version they cannot change: they are those of the configuration file.
        if let Some(ensemble) = &mut self.config.ensemble
            && version != 0
        {
            ensemble.follow(&text, version);
        }
    }

    fn count(&mut self, answered: &Answered) {
        let Answered { conn, op, xid, zxid, write, latency_us, .. } = *answered;
        let op = OpCode::from_i32(op);
        if is_no_room(answered) {
            self.note_refused(answered);
        }
        if matches!(op, Some(OpCode::Auth | OpCode::Sasl)) {
            self.note_identity(conn);
        }
        let kind = match op {
            Some(OpCode::Ping | OpCode::Auth) => RequestKind::Session,
            _ if write => RequestKind::Write,
            _ => RequestKind::Read,
        };
        self.metrics.request_done(kind, latency_us);
        if let Some(op) = op {
            self.metrics.requests.count(op);
        }
        if let (Some(op), Some(connection)) = (op, self.connections.get_mut(conn)) {
            let at_mono_ms = self.now.mono_us / 1000;
            connection.stats.request_done(Done { op, xid, zxid, at_mono_ms, latency_us });
        }
    }

    /// Appends whole frames to a connection's output.
    fn send_frames(&mut self, id: ConnId, frames: &[u8]) {
        let mut rest = frames;
        let mut count = 0;
        while let Ok(Some(payload)) = frame::split(rest, usize::MAX) {
            self.metrics.frame_sent(payload.end);
            count += 1;
            rest = &rest[payload.end..];
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.stats.sent == 0 && connection.stats.last.is_none() {
            // The first frame answers the handshake, which counts as request 0.
            connection.stats.request_done(Done {
                op: OpCode::CreateSession,
                xid: Xid(0),
                zxid: self.replica.last_zxid(),
                at_mono_ms: self.now.mono_us / 1000,
                latency_us: 0,
            });
        }
        connection.stats.sent += count;
        self.send(id, frames);
    }

    /// Appends to a connection's output.
    pub(super) fn send(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let spare = &mut self.spare;
        connection.queue(bytes, || spare.pop().unwrap_or_default());
        self.unsent_total += bytes.len();
        // Who reads nothing is never reported as writable again, and must be noticed all the same.
        let is_too_much = connection.unsent() > hard_bound(self.unsent_total);
        if !connection.is_dirty && (connection.is_writable() || is_too_much) {
            connection.is_dirty = true;
            self.dirty.push(connection.tenant(), id);
        }
    }

    /// Writes each connection that got something to send, once; with several tenants, by turns and
    /// for a while.
    pub(super) fn write_dirty(&mut self) {
        let is_shared = self.tenants.are_several();
        let began = self.clock.instant();
        let mut share_began = began;
        while !is_shared || share_began - began < limits::TURN {
            let Some((tenant, _)) = self.dirty.next_tenant() else { return };
            match is_shared {
                true => self.write_dirty_of(tenant, share_began + limits::TURN_SHARE),
                // A write can end a connection, whose watches and ephemerals wake others.
                false => while self.write_next_of(tenant) {},
            }
            share_began = self.clock.instant();
        }
    }

    /// Writes a tenant's connections that got something to send, until its share of time is over.
    pub(super) fn write_dirty_of(&mut self, tenant: TenantId, ends: Instant) {
        while self.write_next_of(tenant) && self.clock.instant() < ends {}
    }

    fn write_next_of(&mut self, tenant: TenantId) -> bool {
        let Some(id) = self.dirty.pop(tenant) else { return false };
        if let Some(connection) = self.connections.get_mut(id) {
            connection.is_dirty = false;
            self.write_now(id);
        }
        true
    }

    /// Writes a connection's unsent bytes as far as the operating system takes them.
    pub(super) fn write_now(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let before = connection.unsent();
        let outcome = connection.flush();
        let after = connection.unsent();
        self.unsent_total -= before - after;
        if connection.is_paused && after < before {
            self.to_resume = self.paused.len();
        }
        let is_counted = self.rules.limits.unsent_kib.is_set();
        match outcome {
            Ok(Some(buffer)) => {
                let is_closing = connection.phase == Phase::Closing;
                self.keep_spare(buffer);
                if is_closing {
                    self.finish_sending(id);
                }
            }
            Ok(None) if after > hard_bound(self.unsent_total) => {
                let peer = connection.peer;
                self.metrics.slow_readers_closed += 1;
                if let Some(times) = self.noise.allow() {
                    let (event, unsent) = ("slow_reader_closed", after);
                    let what = "connection closed: it does not read";
                    tracing::warn!(event, %peer, unsent, times, "{what}");
                }
                self.drop_connection(id);
            }
            Ok(None) => {}
            Err(e) => {
                tracing::debug!(conn = id.0, error = %e, "connection lost");
                self.drop_connection(id);
            }
        }
        if is_counted {
            self.settle(id);
        }
    }

    fn keep_spare(&mut self, buffer: Vec<u8>) {
        let fits = (1..=limits::SPARE_BUFFER_BYTES).contains(&buffer.capacity());
        if fits && self.spare.len() < limits::SPARE_BUFFERS {
            self.spare.push(buffer);
        }
    }

    fn close_for(&mut self, id: ConnId, why: CloseWhy) {
        if let Some(connection) = self.connections.get(id) {
            tracing::debug!(peer = %connection.peer, ?why, "connection closed");
        }
        if why == CloseWhy::AuthFailed {
            self.metrics.auth_failed += 1;
        }
        if why == CloseWhy::TooManySessions {
            self.note_limit((Limited::Sessions, None));
        }
        self.let_go.push(id);
        self.close(id);
    }

    /// Closes a connection that the replica has let go of, or never knew: what is unsent is sent
    /// first.
    pub(super) fn close(&mut self, id: ConnId) {
        let now = self.clock.instant();
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.phase == Phase::Closing {
            return;
        }
        connection.phase = Phase::Closing;
        drop(connection.take_held_back());
        connection.has_more = false;
        self.closing.push_back((now + limits::LINGER, id));
        if connection.unsent() == 0 {
            self.finish_sending(id);
        }
    }

    /// Closes a connection on our own account, telling the replica if it knows it.
    pub(super) fn hang_up(&mut self, id: ConnId) {
        let is_known = self.connections.get(id).is_some_and(|c| c.phase == Phase::Attached);
        self.close(id);
        if is_known {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ConnId) {
        self.replica.step(Input::Disconnected { conn: id }, self.clock.now(), &mut self.out);
        self.settle(id);
        self.end_opening(id);
    }

    /// All is sent. Closing the socket right away would reset the stream if the client's bytes are
    /// still coming in, and the reset could overtake our last reply: so only our direction ends
    /// here, and the socket goes when the client's end arrives.
    fn finish_sending(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.finish_sending().is_err() || connection.is_half_closed() {
            self.drop_connection(id);
        }
    }

    /// Drops a connection at once, telling the replica if it still counts on it.
    pub(super) fn drop_connection(&mut self, id: ConnId) {
        let Some(mut connection) = self.connections.remove(id) else { return };
        connection.deregister(self.poll.registry());
        self.unsent_total -= connection.unsent();
        self.tenants.large -= connection.large;
        if connection.is_opening {
            self.opening_ended(connection.address);
        }
        self.leave_tenants(connection.tenants(), connection.used);
        let secure_port = connection.secure_port;
        if let Some(listener) = self.listeners.iter_mut().find(|l| l.is_secure() == secure_port) {
            listener.released(connection.peer.ip());
        }
        if connection.phase == Phase::Attached {
            self.leaving = Some((id, connection.peer));
            self.forget(id);
            self.deliver();
            self.leaving = None;
        }
    }

    /// Drops connections that lingered long enough, and those that never sent a handshake.
    pub(super) fn drop_overdue(&mut self, now: Instant) {
        while let Some(id) = pop_due(&mut self.closing, now) {
            self.drop_connection(id);
        }
        while let Some(id) = pop_due(&mut self.opening, now) {
            let Some(connection) = self.connections.get(id) else { continue };
            if connection.phase == Phase::Opening {
                self.metrics.sessionless_connections_expired += 1;
                if let Some(times) = self.noise.allow() {
                    let peer = connection.peer;
                    tracing::info!(%peer, times, "connection closed: no handshake in time");
                }
                self.drop_connection(id);
            }
        }
    }
}

/// Unsent bytes at which a connection is closed.
fn hard_bound(unsent_total: usize) -> usize {
    match unsent_total {
        0..limits::UNSENT_CROWDED_BYTES => limits::UNSENT_HARD_BYTES,
        limits::UNSENT_CROWDED_BYTES..limits::UNSENT_FULL_BYTES => {
            limits::UNSENT_HARD_CROWDED_BYTES
        }
        _ => limits::UNSENT_SOFT_CROWDED_BYTES,
    }
}

/// Takes the first of a queue ordered by time, if its time has come.
fn pop_due(queue: &mut VecDeque<(Instant, ConnId)>, now: Instant) -> Option<ConnId> {
    if queue.front()?.0 > now {
        return None;
    }
    queue.pop_front().map(|(_, id)| id)
}
