//! What members of an ensemble tell each other, beside consensus itself.

use tenure_wire::{DecodeError, Put, Reader, SessionId};

use crate::consensus::{Answer, HEAD_BYTES};
use crate::input::ConnId;

/// One message between two members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerMessage<'a> {
    /// A message of the consensus library.
    Consensus(&'a [u8]),
    /// To the leader: entries that this member's clients want proposed, in their order.
    Forward(Vec<&'a [u8]>),
    /// To the leader: clients of these sessions were heard.
    Touches { batch: i64, sessions: Vec<SessionId> },
    /// From the leader: those touches count.
    Touched { batch: i64 },
    /// To the leader: a client wants to resume this session here.
    Revalidate {
        conn: ConnId,
        session: SessionId,
        timeout_ms: u32,
        is_tenure: bool,
        password: &'a [u8],
    },
    /// From the leader: it may, once this log index is applied; or it may not.
    Revalidated { conn: ConnId, valid: bool, behind: u64 },
    /// From the leader: this session is served elsewhere now.
    Moved { session: SessionId },
    /// To the leader: what is the last entry now?
    Sync { request: i64 },
    /// From the leader: this one.
    Synced { request: i64, index: u64 },
    /// From the leader: it leads no more, for it has not heard a majority. Whoever still hears it
    /// need not wait for it to fall silent.
    Resigned,
    /// From a member that has lost its disk: which term is it? Its incarnation tells the answer
    /// from one to an earlier question.
    AskTerm { incarnation: u64 },
    /// The answer.
    Term { incarnation: u64, answer: Answer },
}

const CONSENSUS: i32 = 1;
const FORWARD: i32 = 2;
const TOUCHES: i32 = 3;
const TOUCHED: i32 = 4;
const REVALIDATE: i32 = 5;
const REVALIDATED: i32 = 6;
const MOVED: i32 = 7;
const SYNC: i32 = 8;
const SYNCED: i32 = 9;
const RESIGNED: i32 = 10;
const ASK_TERM: i32 = 11;
const TERM: i32 = 12;

impl<'a> PeerMessage<'a> {
    /// The encoding of a message of the consensus library, in the bytes that it came in.
    pub(crate) fn consensus(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[..HEAD_BYTES].copy_from_slice(&CONSENSUS.to_be_bytes());
        bytes
    }

    /// The encoding. All but consensus, and what a member asks that has forgotten everything,
    /// belong to an epoch and mean nothing in another.
    pub(crate) fn encode(&self, epoch: u64) -> Vec<u8> {
        let mut out = Vec::new();
        if let PeerMessage::Consensus(bytes) = self {
            out.extend_from_slice(&[0; HEAD_BYTES]);
            out.extend_from_slice(bytes);
            return Self::consensus(out);
        }
        out.put_i32(self.kind());
        if self.has_epoch() {
            out.put_i64(epoch as i64);
        }
        match self {
            PeerMessage::Consensus(_) | PeerMessage::Resigned => {}
            PeerMessage::Forward(entries) => {
                out.put_vector_len(entries.len());
                for entry in entries {
                    out.put_buffer(Some(entry));
                }
            }
            PeerMessage::Touches { batch, sessions } => {
                out.put_i64(*batch);
                out.put_vector_len(sessions.len());
                for session in sessions {
                    out.put_i64(session.0);
                }
            }
            PeerMessage::Touched { batch } => out.put_i64(*batch),
            PeerMessage::Revalidate { conn, session, timeout_ms, is_tenure, password } => {
                out.put_i64(conn.0 as i64);
                out.put_i64(session.0);
                out.put_i32(*timeout_ms as i32);
                out.put_bool(*is_tenure);
                out.put_buffer(Some(password));
            }
            PeerMessage::Revalidated { conn, valid, behind } => {
                out.put_i64(conn.0 as i64);
                out.put_bool(*valid);
                out.put_i64(*behind as i64);
            }
            PeerMessage::Moved { session } => out.put_i64(session.0),
            PeerMessage::Sync { request } => out.put_i64(*request),
            PeerMessage::Synced { request, index } => {
                out.put_i64(*request);
                out.put_i64(*index as i64);
            }
            PeerMessage::AskTerm { incarnation } => out.put_i64(*incarnation as i64),
            PeerMessage::Term { incarnation, answer } => {
                out.put_i64(*incarnation as i64);
                out.put_i64(answer.term as i64);
                out.put_bool(answer.votes);
            }
        }
        out
    }

    fn kind(&self) -> i32 {
        match self {
            PeerMessage::Consensus(_) => CONSENSUS,
            PeerMessage::Forward(_) => FORWARD,
            PeerMessage::Touches { .. } => TOUCHES,
            PeerMessage::Touched { .. } => TOUCHED,
            PeerMessage::Revalidate { .. } => REVALIDATE,
            PeerMessage::Revalidated { .. } => REVALIDATED,
            PeerMessage::Moved { .. } => MOVED,
            PeerMessage::Sync { .. } => SYNC,
            PeerMessage::Synced { .. } => SYNCED,
            PeerMessage::Resigned => RESIGNED,
            PeerMessage::AskTerm { .. } => ASK_TERM,
            PeerMessage::Term { .. } => TERM,
        }
    }

    fn has_epoch(&self) -> bool {
        !matches!(
            self,
            PeerMessage::Consensus(_) | PeerMessage::AskTerm { .. } | PeerMessage::Term { .. }
        )
    }

    /// The message, with its epoch; consensus keeps account of that itself.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<(Option<u64>, Self), DecodeError> {
        let mut from = Reader::new(bytes);
        let kind = from.i32()?;
        if kind == CONSENSUS {
            return Ok((None, PeerMessage::Consensus(from.rest())));
        }
        // These come from a member that knows of no epoch.
        match kind {
            ASK_TERM => {
                return Ok((None, PeerMessage::AskTerm { incarnation: from.i64()? as u64 }));
            }
            TERM => {
                let incarnation = from.i64()? as u64;
                let answer = Answer { term: from.i64()? as u64, votes: from.bool()? };
                return Ok((None, PeerMessage::Term { incarnation, answer }));
            }
            _ => {}
        }
        let epoch = Some(from.i64()? as u64);
        let message = match kind {
            FORWARD => {
                let count = from.vector_len()?;
                let entries = (0..count).map(|_| Ok(from.buffer()?.unwrap_or_default()));
                PeerMessage::Forward(entries.collect::<Result<_, DecodeError>>()?)
            }
            TOUCHES => {
                let batch = from.i64()?;
                let count = from.vector_len_of(8)?;
                let sessions = (0..count).map(|_| from.i64().map(SessionId));
                PeerMessage::Touches { batch, sessions: sessions.collect::<Result<_, _>>()? }
            }
            TOUCHED => PeerMessage::Touched { batch: from.i64()? },
            REVALIDATE => PeerMessage::Revalidate {
                conn: ConnId(from.i64()? as u64),
                session: SessionId(from.i64()?),
                timeout_ms: from.i32()? as u32,
                is_tenure: from.bool()?,
                password: from.buffer()?.unwrap_or_default(),
            },
            REVALIDATED => {
                let (conn, valid) = (ConnId(from.i64()? as u64), from.bool()?);
                PeerMessage::Revalidated { conn, valid, behind: from.i64()? as u64 }
            }
            MOVED => PeerMessage::Moved { session: SessionId(from.i64()?) },
            SYNC => PeerMessage::Sync { request: from.i64()? },
            SYNCED => PeerMessage::Synced { request: from.i64()?, index: from.i64()? as u64 },
            RESIGNED => PeerMessage::Resigned,
            value => return Err(DecodeError::Value { what: "peer message", offset: 0, value }),
        };
        Ok((epoch, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let (conn, session) = (ConnId(7), SessionId(-3));
        for message in [
            PeerMessage::Consensus(b"raft"),
            PeerMessage::Forward(vec![b"one", b"", b"three"]),
            PeerMessage::Touches { batch: 1, sessions: vec![session, SessionId(4)] },
            PeerMessage::Touched { batch: i64::MAX },
            PeerMessage::Revalidate {
                conn,
                session,
                timeout_ms: 4000,
                is_tenure: true,
                password: &[1; 16],
            },
            PeerMessage::Revalidated { conn, valid: true, behind: 8 },
            PeerMessage::Moved { session },
            PeerMessage::Sync { request: 5 },
            PeerMessage::Synced { request: 5, index: 9 },
            PeerMessage::Resigned,
            PeerMessage::AskTerm { incarnation: u64::MAX },
            PeerMessage::Term { incarnation: 1, answer: Answer { term: 3, votes: true } },
        ] {
            let bytes = message.encode(3);
            let epoch = message.has_epoch().then_some(3);
            assert_eq!(PeerMessage::decode(&bytes), Ok((epoch, message)));
            for end in 0..4 {
                assert!(PeerMessage::decode(&bytes[..end]).is_err());
            }
        }
        assert!(PeerMessage::decode(&[0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 3]).is_err());
    }
}
