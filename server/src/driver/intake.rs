//! From a readable socket to steps of the replica.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tenure_replica::{ConnId, Input};
use tenure_wire::{ConnectRequest, ErrorCode, OpCode, SessionId, frame};

use super::Driver;
use crate::admin::words::{self, Word};
use crate::connection::{Phase, ReadOutcome};
use crate::{limits, tls};

/// How one connection may be served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    /// Without restriction.
    Free,
    /// The server is over its outstanding limit: a few requests, from one small read.
    Little,
    /// Its tenant has its share of the outstanding limit: up to the next request that has to wait.
    One,
    /// Its tenant has reached a limit: what keeps a session alive or ends it, up to the next
    /// request.
    Pings,
    /// Not at all, for the time being.
    None,
}

/// What is said of a client that tries to encrypt what nothing decrypts.
const SPEAKS_TLS: &str = "it speaks TLS, and this port does not: clients that do use \
                          secureClientPort, or client.portUnification=true takes both";

impl Driver {
    /// Gives every connection that waits for it its reads of this turn. With several tenants these
    /// take turns, and those who are left wait for the next one.
    pub(super) fn read_all(&mut self) {
        if self.tenants.are_several() {
            return self.read_by_turns();
        }
        self.share_ends = None;
        for _ in 0..self.to_read.len() {
            let Some((tenant, _)) = self.to_read.next_tenant() else { return };
            if let Some(id) = self.to_read.pop(tenant) {
                self.serve(id);
            }
        }
    }

    fn read_by_turns(&mut self) {
        let mut now = self.clock.instant();
        let turn_ends = now + limits::TURN;
        while now < turn_ends {
            let Some((tenant, is_fresh)) = self.to_read.next_tenant() else { return };
            let ends = now + limits::TURN_SHARE;
            self.share_ends = Some(ends);
            while now < ends {
                let Some(id) = self.to_read.pop(tenant) else { break };
                self.serve(id);
                now = self.clock.instant();
            }
            if is_fresh {
                // Whoever asks for little need not wait for all that follows in this turn.
                self.write_dirty_of(tenant, ends);
                now = self.clock.instant();
            }
        }
    }

    /// Goes on with what was kept of a connection, or reads it once, if the bounds allow it, and
    /// steps the replica with its frames.
    fn serve(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.is_queued = false;
        if connection.is_paused || !connection.has_work() {
            return;
        }
        self.reached = None;
        self.allowance = self.allowance(id);
        let chunk = match self.allowance {
            Allowance::Free if self.share_ends.is_some() => limits::READ_CHUNK_SHARED_BYTES,
            Allowance::Free => limits::READ_CHUNK_BYTES,
            Allowance::Little | Allowance::One | Allowance::Pings => {
                limits::READ_CHUNK_OVER_LIMIT_BYTES
            }
            Allowance::None => return self.pause(id),
        };
        self.bound_watches(id);
        let Some(connection) = self.connections.get_mut(id) else { return };
        let has_more = std::mem::take(&mut connection.has_more);
        let waited = connection.paused_at.take_if(|_| !connection.is_paused);
        let waited = waited.map(|since| since.elapsed());
        // What was read before has waited, and what comes now has not.
        let max = self.rules.throttled_op_wait;
        self.refuses = has_more && max.zip(waited).is_some_and(|(max, waited)| waited > max);
        match has_more {
            true => {
                self.now = self.clock.now();
                self.take_in(id, &[]);
            }
            false => self.read_once(id, chunk),
        }
        self.settle(id);
        self.end_opening(id);
        // There may be more, but others wait.
        self.queue_reading(id);
    }

    fn queue_reading(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.has_work() && !connection.is_queued && !connection.is_paused {
            connection.is_queued = true;
            self.to_read.push(connection.tenant(), id);
        }
    }

    /// One read and the frames in it.
    fn read_once(&mut self, id: ConnId, chunk: usize) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = connection.read(&mut scratch[..chunk]);
        if let Ok(ReadOutcome::Bytes(n)) = outcome {
            // Not the time of the poll: a session lives on from the moment its packet was here.
            self.now = self.clock.now();
            self.take_in(id, &scratch[..n]);
        }
        self.scratch = scratch;
        match outcome {
            Ok(ReadOutcome::Bytes(_) | ReadOutcome::Nothing) => {}
            Ok(ReadOutcome::End) => self.ended_by_client(id),
            // Only TLS has an opinion on what bytes mean.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => self.refuse_tls(id, &e),
            Err(e) => {
                tracing::debug!(conn = id.0, error = %e, "connection lost");
                self.drop_connection(id);
            }
        }
    }

    fn ended_by_client(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        // An answer under way, as to a word, is still delivered.
        if connection.phase == Phase::Closing && connection.unsent() > 0 {
            return;
        }
        if connection.is_secure() {
            // TLS has both sides say goodbye. Who does not wait for it loses nothing.
            let _ = connection.finish_sending();
        }
        self.drop_connection(id);
    }

    /// Processes fresh bytes behind those held back, and holds back what is left.
    fn take_in(&mut self, id: ConnId, fresh: &[u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.has_held_back() {
            let mut bytes = connection.take_held_back();
            bytes.extend_from_slice(fresh);
            let taken = self.process(id, &bytes);
            if let Some(connection) = self.connections.get_mut(id) {
                connection.hold_back(bytes, taken);
            }
        } else {
            let taken = self.process(id, fresh);
            if let Some(connection) = self.connections.get_mut(id)
                && taken < fresh.len()
            {
                // In proportion to what came, never to the length that a client claims.
                connection.hold_back(fresh[taken..].to_vec(), 0);
            }
        }
    }

    /// Steps the replica with the frames at the front of `bytes`; returns the bytes they took.
    fn process(&mut self, id: ConnId, bytes: &[u8]) -> usize {
        let mut taken = 0;
        let mut frames: u32 = 0;
        loop {
            let rest = &bytes[taken..];
            let Some(connection) = self.connections.get(id) else { return bytes.len() };
            if self.allowance == Allowance::Pings && needs_allowance(connection.phase, rest) {
                self.leave_unread(id);
                break;
            }
            let step = match connection.phase {
                Phase::Opening => self.open_with(id, rest),
                Phase::Attached => self.request(id, rest),
                Phase::Closing => return bytes.len(),
            };
            match step {
                Some(used) => taken += used,
                None => break,
            }
            frames += 1;
            let has_rest = taken < bytes.len();
            if has_rest && self.is_share_over(id, frames) {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.has_more = true;
                }
                break;
            }
            if has_rest && self.limits_requests && self.has_reached_limit(id) {
                self.leave_unread(id);
                break;
            }
            // A reply can be a thousand times its request: look before going on.
            if self.out.bytes.len() >= limits::UNSENT_SOFT_BYTES && !self.has_room_for_replies(id) {
                self.leave_unread(id);
                break;
            }
        }
        self.deliver();
        taken
    }

    /// Goes on with a connection later, although there are frames of it.
    fn leave_unread(&mut self, id: ConnId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.has_more = true;
        }
        self.pause(id);
    }

    /// Whether a connection's tenants may make no more requests for now.
    fn has_reached_limit(&mut self, id: ConnId) -> bool {
        self.settle(id);
        let Some(connection) = self.connections.get(id) else { return false };
        let tenants = connection.tenants();
        if connection.phase != Phase::Attached {
            return false;
        }
        let reached = self.limit_reached(tenants);
        self.reached = reached;
        reached.is_some()
    }

    /// Whether the connection being processed has had what it may have for now.
    fn is_share_over(&self, id: ConnId, frames: u32) -> bool {
        if self.allowance == Allowance::One && self.replica.outstanding(id) > 0 {
            return true;
        }
        let looks = frames.is_multiple_of(limits::FRAMES_PER_LOOK);
        looks && self.share_ends.is_some_and(|ends| self.clock.instant() >= ends)
    }

    /// Delivers what there is, and tells whether the connection takes it.
    fn has_room_for_replies(&mut self, id: ConnId) -> bool {
        self.deliver();
        self.write_now(id);
        self.connections.get(id).is_some_and(|c| c.unsent() < self.unsent_bound())
    }

    /// The next request of an attached connection; `None` if it is not whole yet.
    fn request(&mut self, id: ConnId, bytes: &[u8]) -> Option<usize> {
        match frame::split(bytes, self.rules.max_frame_bytes) {
            Ok(Some(range)) => {
                let used = range.end;
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.stats.received += 1;
                    self.metrics.frame_received(used);
                }
                let payload = &bytes[range];
                if !self.has_room_for(id, payload.len()) {
                    // As upstream: to answer it would take the bytes of the next one.
                    self.hang_up(id);
                    return Some(bytes.len());
                }
                self.hot_paths.request(payload);
                if self.limits_requests
                    && let Some(connection) = self.connections.get(id)
                    && needs_allowance(Phase::Attached, bytes)
                {
                    self.tenants.count_request(connection.tenants());
                }
                let input = match self.refuses {
                    false => Input::Frame { conn: id, payload },
                    true => {
                        self.metrics.throttled_ops += 1;
                        Input::Refuse { conn: id, payload, error: ErrorCode::ThrottledOp }
                    }
                };
                self.replica.step(input, self.now, &mut self.out);
                Some(used)
            }
            Ok(None) => None,
            Err(e) => {
                self.refuse(id, &e);
                Some(bytes.len())
            }
        }
    }

    /// The first bytes of a connection: a four-letter word or a handshake.
    fn open_with(&mut self, id: ConnId, bytes: &[u8]) -> Option<usize> {
        if let Some(word) = Word::parse(bytes.first_chunk()?) {
            return self.answer_word(id, word, bytes);
        }
        let payload = match frame::split(bytes, self.rules.max_frame_bytes) {
            Ok(range) => range?,
            Err(e) => {
                match bytes.first() {
                    Some(&tls::HANDSHAKE) => self.refuse(id, &SPEAKS_TLS),
                    _ => self.refuse(id, &e),
                }
                return Some(bytes.len());
            }
        };
        let used = payload.end;
        match ConnectRequest::decode(&bytes[payload]) {
            Ok(request)
                if request.session == SessionId(0) && self.openings >= limits::OPENINGS_AT_ONCE =>
            {
                // Those who had a session before are not kept waiting by those who want one.
                self.leave_unread(id);
                return None;
            }
            Ok(request) => self.connect(id, request),
            Err(e) => self.refuse(id, &e),
        }
        Some(used)
    }

    fn connect(&mut self, id: ConnId, request: ConnectRequest<'_>) {
        let (mut entropy, mut chance) = ([0; 16], [0; 4]);
        let random = getrandom::getrandom(&mut entropy);
        if let Err(e) = random.and_then(|()| getrandom::getrandom(&mut chance)) {
            // A guessable password would let anybody take the session over.
            tracing::error!(error = %e, "no random bytes from the operating system");
            return self.close(id);
        }
        let chance = f64::from(u32::from_ne_bytes(chance)) / f64::from(u32::MAX);
        let is_admitted = self.admits(id, &request, chance);
        self.metrics.drop_chance = self.storm.drop_chance();
        if !is_admitted {
            // Without a word, so that the client tries another server.
            return self.close(id);
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.phase = Phase::Attached;
        connection.stats.received += 1;
        let peer: IpAddr = connection.peer.ip();
        let subject = connection.certificate_subject();
        let certificate = subject.as_deref();
        let input = Input::Connect { conn: id, peer, certificate, request, entropy };
        self.replica.step(input, self.now, &mut self.out);
    }

    /// Answers a four-letter word and closes; `None` while its mask is not there yet.
    fn answer_word(&mut self, id: ConnId, word: Word, bytes: &[u8]) -> Option<usize> {
        let allowed = Arc::clone(&self.words);
        let mask = match word.takes_mask() && allowed.allows(word.name()) {
            true => Some(i64::from_be_bytes(*bytes[4..].first_chunk()?)),
            false => None,
        };
        if word.changes() && allowed.allows(word.name()) {
            self.record_word(id, word.name());
        }
        let text = words::answer(word, mask, &allowed, self);
        self.send(id, text.as_bytes());
        self.close(id);
        Some(bytes.len())
    }

    /// Closes a connection that does not speak TLS as it must, or shows a bad certificate.
    fn refuse_tls(&mut self, id: ConnId, why: &io::Error) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.phase == Phase::Opening {
            self.metrics.unsuccessful_handshakes += 1;
        }
        self.refuse(id, why);
    }

    /// Closes a connection whose bytes make no sense.
    fn refuse(&mut self, id: ConnId, why: &dyn std::fmt::Display) {
        let Some(connection) = self.connections.get(id) else { return };
        if let Some(times) = self.noise.allow() {
            tracing::warn!(peer = %connection.peer, %why, times, "connection closed: not a client");
        }
        self.hang_up(id);
    }

    fn allowance(&mut self, id: ConnId) -> Allowance {
        let Some(connection) = self.connections.get(id) else { return Allowance::None };
        match connection.phase {
            // It wants a new session, and was left waiting for that.
            Phase::Opening if connection.has_more && self.openings >= limits::OPENINGS_AT_ONCE => {
                return Allowance::None;
            }
            Phase::Opening | Phase::Closing => return Allowance::Free,
            Phase::Attached => {}
        }
        let own = self.replica.outstanding(id);
        let max = self.rules.max_outstanding;
        let (is_over, little) = match self.tenants.are_several() {
            true => (self.tenants.has_share_of(connection.tenant(), max), Allowance::One),
            false => (self.replica.total_outstanding() >= max, Allowance::Little),
        };
        if connection.unsent() >= self.unsent_bound()
            || own >= limits::OUTSTANDING_PER_CONNECTION
            || (is_over && own > 0)
        {
            return Allowance::None;
        }
        if self.limits_requests {
            let tenants = connection.tenants();
            if let Some(reached) = self.limit_reached(tenants) {
                self.reached = Some(reached);
                return if own > 0 { Allowance::None } else { Allowance::Pings };
            }
        }
        if is_over { little } else { Allowance::Free }
    }

    fn unsent_bound(&self) -> usize {
        if self.unsent_total >= limits::UNSENT_CROWDED_BYTES {
            limits::UNSENT_SOFT_CROWDED_BYTES
        } else {
            limits::UNSENT_SOFT_BYTES
        }
    }

    fn pause(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !connection.is_paused {
            connection.is_paused = true;
            connection.paused_at.get_or_insert_with(Instant::now);
            self.paused.push_back(id);
            self.metrics.throttle_waits += 1;
            if let Some(reached) = self.reached.take() {
                self.note_limit(reached);
            }
        }
    }

    /// Puts those connections back in line whose bound is no longer hit, if that may have changed.
    pub(super) fn resume_paused(&mut self) {
        for _ in 0..self.to_resume.min(limits::RESUMES_PER_TURN) {
            self.to_resume -= 1;
            let Some(id) = self.paused.pop_front() else { return };
            let allowance = self.allowance(id);
            let Some(connection) = self.connections.get(id) else { continue };
            let stays = match allowance {
                Allowance::None => true,
                Allowance::Pings => connection.has_more,
                Allowance::Free | Allowance::Little | Allowance::One => false,
            };
            if stays {
                self.paused.push_back(id);
                continue;
            }
            if let Some(connection) = self.connections.get_mut(id) {
                connection.is_paused = false;
                connection.has_more |= connection.has_held_back();
                self.queue_reading(id);
            }
        }
    }

    /// Reports the clients whose packets wait on our side, before time passes: their sessions must
    /// not seem silent. Who does not take its answers is only counted while it takes some.
    pub(super) fn report_unread(&mut self) {
        let now = self.clock.now();
        for conn in self.to_read.iter() {
            self.replica.step(Input::Unread { conn }, now, &mut self.out);
        }
        for i in 0..self.paused.len() {
            let conn = self.paused[i];
            let bound = self.unsent_bound();
            let Some(connection) = self.connections.get_mut(conn) else { continue };
            let is_waiting = connection.has_held_back() || connection.is_readable();
            let takes_answers = connection.has_sent_some() || connection.unsent() < bound;
            if is_waiting && takes_answers {
                let now = self.clock.now();
                self.replica.step(Input::Unread { conn }, now, &mut self.out);
            }
        }
    }
}

/// Whether the frame at the front of `bytes`, which may not be whole, is a request that limits are
/// for. Pings keep a session alive and closes end it: nothing is gained by leaving those unread.
fn needs_allowance(phase: Phase, bytes: &[u8]) -> bool {
    let op = bytes.get(8..12).and_then(|op| <[u8; 4]>::try_from(op).ok());
    let op = op.map(|op| OpCode::from_i32(i32::from_be_bytes(op)));
    let is_free = matches!(op, Some(Some(OpCode::Ping | OpCode::CloseSession)));
    phase == Phase::Attached && op.is_some() && !is_free
}
