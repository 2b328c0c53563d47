//! Sessions that this server alone knows: neither logged nor in snapshots, with a clock of their
//! own. Clients of a read-only member have them, and with `localSessionsEnabled` every new client.

use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tenure_wire::SessionId;

use super::auth::same_in_constant_time;
use super::expiry::Expiry;
use crate::limits;

/// A session of this server alone.
#[derive(Clone, Debug)]
pub struct LocalSession {
    /// Its id.
    pub id: SessionId,
    /// The timeout negotiated last.
    pub timeout_ms: u32,
    /// This server's wall clock when it was established.
    pub opened_ms: i64,
    /// What its client must show to resume it.
    pub(crate) password: [u8; 16],
    /// Where the client was that was served last.
    pub(crate) peer: IpAddr,
    /// It is on its way into the log since this term: what is written from then on belongs to a
    /// global session.
    pub(crate) upgrading_in: Option<u64>,
}

/// All of them, and when they expire.
#[derive(Debug)]
pub(crate) struct LocalSessions {
    sessions: HashMap<SessionId, LocalSession, FixedState>,
    pub(crate) expiry: Expiry,
    /// Number of the last one: not given twice in the life of this process.
    last: u32,
}

/// What makes the ids of one process differ from everybody else's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdSource {
    /// This server's number.
    pub(crate) server: u64,
    /// Drawn at its start.
    pub(crate) incarnation: u64,
    /// The number of a session of the ensemble, the next one or one before.
    pub(crate) global: u64,
}

impl LocalSessions {
    pub(crate) fn new() -> Self {
        let sessions = HashMap::with_hasher(FixedState::with_seed(0));
        LocalSessions { sessions, expiry: Expiry::new(), last: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<&LocalSession> {
        self.sessions.get(&session)
    }

    pub(crate) fn get_mut(&mut self, session: SessionId) -> Option<&mut LocalSession> {
        self.sessions.get_mut(&session)
    }

    /// By ascending id.
    pub(crate) fn list(&self) -> Vec<&LocalSession> {
        let mut list: Vec<_> = self.sessions.values().collect();
        list.sort_unstable_by_key(|session| session.id.0 as u64);
        list
    }

    /// Adds a session and starts its timeout. False if there are too many.
    pub(crate) fn add(&mut self, session: LocalSession, mono_us: u64) -> bool {
        if self.sessions.len() >= limits::LOCAL_SESSIONS {
            return false;
        }
        self.expiry.advance(mono_us);
        self.expiry.add(session.id, session.timeout_ms);
        self.sessions.insert(session.id, session);
        true
    }

    /// A client has come back to a session that lives, with this timeout from now on.
    pub(crate) fn resume(&mut self, session: SessionId, timeout_ms: u32, peer: IpAddr, us: u64) {
        if let Some(known) = self.sessions.get_mut(&session) {
            (known.timeout_ms, known.peer) = (timeout_ms, peer);
            self.expiry.resume(session, timeout_ms, us);
        }
    }

    pub(crate) fn remove(&mut self, session: SessionId) -> Option<LocalSession> {
        self.expiry.remove(session);
        self.sessions.remove(&session)
    }

    /// Nobody could be heard for a while: every session has its whole timeout again. What was on
    /// its way into the log in an earlier term has arrived or is lost.
    pub(crate) fn renew(&mut self, term: u64, mono_us: u64) {
        for (id, session) in &mut self.sessions {
            session.upgrading_in.take_if(|since| *since != term);
            self.expiry.touch(*id, mono_us);
        }
    }

    /// Ids that begin as those of this server do.
    pub(crate) fn next_id(&mut self, source: IdSource) -> SessionId {
        loop {
            self.last = self.last.wrapping_add(1);
            let id = local_id(source, self.last);
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// Ids that no server of an ensemble gives away.
    pub(crate) fn next_read_only_id(&mut self, source: IdSource) -> SessionId {
        self.last = self.last.wrapping_add(1);
        read_only_id(source, self.last)
    }

    /// The sessions that a read-only member has made up.
    pub(crate) fn read_only_ids(&self) -> Vec<SessionId> {
        let mut ids: Vec<_> =
            self.sessions.keys().copied().filter(|id| is_read_only(*id)).collect();
        ids.sort_unstable();
        ids
    }
}

impl LocalSession {
    /// Whether these are the bytes its client must show.
    pub(crate) fn has_password(&self, shown: Option<&[u8]>) -> bool {
        shown.is_some_and(|shown| same_in_constant_time(shown, self.password))
    }
}

/// Such a session may become one of the ensemble, so its id begins with the server's number like
/// theirs. Theirs are counted upwards from a clock; their highest bit of 55 below that number is
/// the same for as long as anybody lives, and here it is the other one. Behind it come some bits
/// of what the process drew at its start, and a count.
fn local_id(source: IdSource, count: u32) -> SessionId {
    let other = !source.global & GLOBAL_BIT;
    let drawn = (source.incarnation & 0x7f_ffff) << 32;
    SessionId(((source.server & 0xff) << 56 | other | drawn | u64::from(count)) as i64)
}

/// Highest bit of the number in a session's id.
const GLOBAL_BIT: u64 = 1 << 55;

/// The ids of a read-only member begin with a zero byte, where those of the ensemble have the
/// number of a member, which is never 0. Then come its number, some bits of what its process drew
/// at its start, and a count: so no two such sessions are taken for the same either.
fn read_only_id(source: IdSource, count: u32) -> SessionId {
    let (member, drawn) = (source.server & 0xff, source.incarnation & 0xff_ffff);
    SessionId((member << 48 | drawn << 24 | u64::from(count & 0xff_ffff)) as i64)
}

/// Whether it is the id of a session that some read-only member made up.
pub(crate) fn is_read_only(session: SessionId) -> bool {
    (session.0 as u64) >> 56 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn ids_are_never_those_of_the_ensemble() {
        let now_ms = 1_700_000_000_000;
        let mut state = State::new(1);
        let mut local = LocalSessions::new();
        for _ in 0..2 {
            let global = state.session_number(now_ms);
            let source = IdSource { server: 200, incarnation: u64::MAX, global };
            let id = local.next_id(source).0 as u64;
            let other = state.next_session(200, now_ms).0 as u64;
            assert_eq!((id >> 56, other >> 56), (200, 200));
            assert_ne!(id & GLOBAL_BIT, other & GLOBAL_BIT);
            assert!(!is_read_only(SessionId(id as i64)));
            assert!(is_read_only(local.next_read_only_id(source)));
        }
    }
}
