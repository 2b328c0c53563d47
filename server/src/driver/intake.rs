//! From a readable socket to steps of the replica.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tenure_replica::{ConnId, Input};
use tenure_wire::{ConnectRequest, frame};

use super::Driver;
use crate::admin::words::{self, Word};
use crate::connection::{Phase, ReadOutcome};
use crate::{limits, tls};

/// How one connection may be served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowance {
    /// Without restriction.
    Free,
    /// The server is over its outstanding limit: a few requests, from one small read.
    Little,
    /// Not at all, for the time being.
    None,
}

/// What is said of a client that tries to encrypt what nothing decrypts.
const SPEAKS_TLS: &str = "it speaks TLS, and this port does not: clients that do use \
                          secureClientPort, or client.portUnification=true takes both";

impl Driver {
    /// Gives every readable connection its reads of this turn.
    pub(super) fn read_all(&mut self) {
        for _ in 0..self.to_read.len() {
            let Some(id) = self.to_read.pop_front() else { return };
            if let Some(connection) = self.connections.get_mut(id) {
                connection.is_queued = false;
                self.serve(id);
            }
        }
    }

    /// Reads a connection once, if the bounds allow it, and steps the replica with its frames.
    fn serve(&mut self, id: ConnId) {
        if self.connections.get(id).is_none_or(|c| c.is_paused || !c.is_readable()) {
            return;
        }
        let chunk = match self.allowance(id) {
            Allowance::Free => limits::READ_CHUNK_BYTES,
            Allowance::Little => limits::READ_CHUNK_OVER_LIMIT_BYTES,
            Allowance::None => return self.pause(id),
        };
        if self.read_once(id, chunk) {
            // There may be more, but others wait.
            self.queue_reading(id);
        }
    }

    fn queue_reading(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !connection.is_queued && !connection.is_paused {
            connection.is_queued = true;
            self.to_read.push_back(id);
        }
    }

    /// One read and the frames in it. Returns whether there may be more.
    fn read_once(&mut self, id: ConnId, chunk: usize) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        if !connection.is_readable() {
            return false;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = connection.read(&mut scratch[..chunk]);
        if let Ok(ReadOutcome::Bytes(n)) = outcome {
            // Not the time of the poll: a session lives on from the moment its packet was here.
            self.now = self.clock.now();
            self.take_in(id, &scratch[..n]);
        }
        self.scratch = scratch;
        match outcome {
            Ok(ReadOutcome::Bytes(_)) => {
                self.connections.get(id).is_some_and(|connection| connection.is_readable())
            }
            Ok(ReadOutcome::Nothing) => false,
            Ok(ReadOutcome::End) => {
                self.ended_by_client(id);
                false
            }
            // Only TLS has an opinion on what bytes mean.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                self.refuse_tls(id, &e);
                true
            }
            Err(e) => {
                tracing::debug!(conn = id.0, error = %e, "connection lost");
                self.drop_connection(id);
                false
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
        loop {
            let rest = &bytes[taken..];
            let Some(connection) = self.connections.get(id) else { return bytes.len() };
            let step = match connection.phase {
                Phase::Opening => self.open_with(id, rest),
                Phase::Attached => self.request(id, rest),
                Phase::Closing => return bytes.len(),
            };
            match step {
                Some(used) => taken += used,
                None => break,
            }
            // A reply can be a thousand times its request: look before going on.
            if self.out.bytes.len() >= limits::UNSENT_SOFT_BYTES && !self.has_room_for_replies(id) {
                self.pause(id);
                break;
            }
        }
        self.deliver();
        taken
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
                self.hot_paths.request(&bytes[range.clone()]);
                let input = Input::Frame { conn: id, payload: &bytes[range] };
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
            Ok(request) => self.connect(id, request),
            Err(e) => self.refuse(id, &e),
        }
        Some(used)
    }

    fn connect(&mut self, id: ConnId, request: ConnectRequest<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.phase = Phase::Attached;
        connection.stats.received += 1;
        let peer: IpAddr = connection.peer.ip();
        let mut entropy = [0; 16];
        if let Err(e) = getrandom::getrandom(&mut entropy) {
            // A guessable password would let anybody take the session over.
            tracing::error!(error = %e, "no random bytes from the operating system");
            return self.close(id);
        }
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

    fn allowance(&self, id: ConnId) -> Allowance {
        let Some(connection) = self.connections.get(id) else { return Allowance::None };
        if connection.phase != Phase::Attached {
            return Allowance::Free;
        }
        let own = self.replica.outstanding(id);
        let is_over = self.replica.total_outstanding() >= self.rules.max_outstanding;
        if connection.unsent() >= self.unsent_bound()
            || own >= limits::OUTSTANDING_PER_CONNECTION
            || (is_over && own > 0)
        {
            return Allowance::None;
        }
        if is_over { Allowance::Little } else { Allowance::Free }
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
            self.paused.push_back(id);
        }
    }

    /// Goes on with the connections whose bound is no longer hit.
    pub(super) fn resume_paused(&mut self) {
        for _ in 0..self.paused.len() {
            let Some(id) = self.paused.pop_front() else { return };
            if self.allowance(id) == Allowance::None && self.connections.get(id).is_some() {
                self.paused.push_back(id);
                continue;
            }
            if let Some(connection) = self.connections.get_mut(id) {
                connection.is_paused = false;
                self.now = self.clock.now();
                self.take_in(id, &[]);
                self.serve(id);
            }
        }
    }

    /// Reports the clients whose packets wait on our side, before time passes: their sessions must
    /// not seem silent. Who does not take its answers is only counted while it takes some.
    pub(super) fn report_unread(&mut self) {
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
