//! What a log entry says: a client's operation, or something the leader decided about sessions.

use std::borrow::Cow;

use tenure_wire::{DecodeError, Put, Reader, SessionId, Xid};

use crate::config::Bounds;
use crate::input::ConnId;
use crate::membership::Membership;
use crate::session::ended::EndReason;

/// Bits of policy that the proposer stamps on each entry, so that replicas whose settings differ
/// still apply it alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) skip_acl: bool,
    pub(crate) enforce_quota: bool,
    pub(crate) extended_types: bool,
    /// SASL identities can be had, so ACLs may name them.
    pub(crate) sasl: bool,
    /// Clients can show certificates, so ACLs may name their holders.
    pub(crate) x509: bool,
    /// The server that ordered it is short of memory: what needs more is refused.
    pub(crate) refuse_growth: bool,
    pub(crate) bounds: Bounds,
}

/// Where the reply goes: only the process that proposed an entry finds itself here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) incarnation: u64,
    pub(crate) conn: ConnId,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedEntry<'a> {
    /// The leader's wall clock: becomes ctime and mtime on every replica (trap 49).
    pub(crate) time_ms: i64,
    pub(crate) policy: Policy,
    pub(crate) operation: Operation<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    /// A client's write as it came, with who it was by then.
    Request {
        origin: Origin,
        session: SessionId,
        /// The session is known to the proposing server alone, which vouches that it lives.
        is_local: bool,
        xid: Xid,
        op: i32,
        /// An encoded list of identities (`tree::acl`).
        identities: &'a [u8],
        body: &'a [u8],
    },
    /// Establish a session.
    OpenSession { origin: Origin, server: u8, timeout_ms: u32, password: [u8; 16] },
    /// Make a session known to all that was one server's own; it keeps id and password.
    UpgradeSession { session: SessionId, timeout_ms: u32, password: [u8; 16] },
    /// End a session. With an origin if its own client asked for it.
    CloseSession { session: SessionId, reason: EndReason, origin: Option<(Origin, Xid)> },
    /// A session was resumed with a longer timeout than every replica knows: a new leader must
    /// give it as well.
    Prolong { session: SessionId, timeout_ms: u32 },
    /// Delete an empty container or overdue TTL znode.
    Reap { path: Cow<'a, str> },
    /// The first leader, or one with another configuration file, writes down who the members are.
    SetMembers { members: Membership },
    /// Consensus has gone over to the members that a reconfig asked for; or it cannot.
    EndReconfig { is_made: bool },
    /// The first leader gives the ensemble its id. Takes no zxid: replicas of versions that do not
    /// know this entry pass over it, and must go on alike.
    NameCluster { id: u64 },
}

/// Of the head: bounds follow the time. Without any an entry is as it was before there were any.
const HAS_BOUNDS: i32 = 1 << 17;

const REQUEST: i32 = 1;
const OPEN_SESSION: i32 = 2;
const CLOSE_SESSION: i32 = 3;
const REAP: i32 = 4;
const PROLONG: i32 = 5;
const SET_MEMBERS: i32 = 6;
const END_RECONFIG: i32 = 7;
const LOCAL_REQUEST: i32 = 8;
const UPGRADE_SESSION: i32 = 9;
const NAME_CLUSTER: i32 = 10;

impl<'a> LoggedEntry<'a> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let policy = i32::from(self.policy.skip_acl) << 8
            | i32::from(self.policy.enforce_quota) << 9
            | i32::from(self.policy.extended_types) << 10
            | i32::from(self.policy.sasl) << 11
            | i32::from(self.policy.x509) << 12
            | i32::from(self.policy.refuse_growth) << 16;
        let bounds = self.policy.bounds;
        let has_bounds = if bounds == Bounds::default() { 0 } else { HAS_BOUNDS };
        let kind = match &self.operation {
            Operation::Request { is_local: false, .. } => REQUEST,
            Operation::Request { is_local: true, .. } => LOCAL_REQUEST,
            Operation::UpgradeSession { .. } => UPGRADE_SESSION,
            Operation::OpenSession { .. } => OPEN_SESSION,
            Operation::CloseSession { .. } => CLOSE_SESSION,
            Operation::Reap { .. } => REAP,
            Operation::Prolong { .. } => PROLONG,
            Operation::SetMembers { .. } => SET_MEMBERS,
            Operation::EndReconfig { .. } => END_RECONFIG,
            Operation::NameCluster { .. } => NAME_CLUSTER,
        };
        out.put_i32(kind | policy | has_bounds);
        out.put_i64(self.time_ms);
        if has_bounds != 0 {
            out.put_i32(bounds.sessions as i32);
            out.put_i32(bounds.znodes as i32);
            out.put_i32(bounds.session_ephemerals as i32);
        }
        match &self.operation {
            Operation::Request { origin, session, xid, op, identities, body, .. } => {
                origin.encode(out);
                out.put_i64(session.0);
                out.put_i32(xid.0);
                out.put_i32(*op);
                out.put_buffer(Some(identities));
                out.extend_from_slice(body);
            }
            Operation::OpenSession { origin, server, timeout_ms, password } => {
                origin.encode(out);
                out.put_i32(i32::from(*server));
                out.put_i32(*timeout_ms as i32);
                out.put_buffer(Some(password));
            }
            Operation::UpgradeSession { session, timeout_ms, password } => {
                out.put_i64(session.0);
                out.put_i32(*timeout_ms as i32);
                out.put_buffer(Some(password));
            }
            Operation::CloseSession { session, reason, origin } => {
                out.put_i64(session.0);
                reason.encode(out);
                out.put_bool(origin.is_some());
                if let Some((origin, xid)) = origin {
                    origin.encode(out);
                    out.put_i32(xid.0);
                }
            }
            Operation::Reap { path } => out.put_text(path),
            Operation::SetMembers { members } => out.put_text(&members.to_string()),
            Operation::EndReconfig { is_made } => out.put_bool(*is_made),
            Operation::NameCluster { id } => out.put_i64(*id as i64),
            Operation::Prolong { session, timeout_ms } => {
                out.put_i64(session.0);
                out.put_i32(*timeout_ms as i32);
            }
        }
    }

    pub(crate) fn decode(data: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(data);
        let head = from.i32()?;
        let time_ms = from.i64()?;
        let bounds = match head & HAS_BOUNDS != 0 {
            false => Bounds::default(),
            true => Bounds {
                sessions: from.i32()? as u32,
                znodes: from.i32()? as u32,
                session_ephemerals: from.i32()? as u32,
            },
        };
        let policy = Policy {
            skip_acl: head & 1 << 8 != 0,
            enforce_quota: head & 1 << 9 != 0,
            extended_types: head & 1 << 10 != 0,
            sasl: head & 1 << 11 != 0,
            x509: head & 1 << 12 != 0,
            refuse_growth: head & 1 << 16 != 0,
            bounds,
        };
        let operation = match head & 0xff {
            kind @ (REQUEST | LOCAL_REQUEST) => Operation::Request {
                origin: Origin::decode(&mut from)?,
                session: SessionId(from.i64()?),
                is_local: kind == LOCAL_REQUEST,
                xid: Xid(from.i32()?),
                op: from.i32()?,
                identities: from.buffer()?.unwrap_or_default(),
                body: from.rest(),
            },
            OPEN_SESSION => Operation::OpenSession {
                origin: Origin::decode(&mut from)?,
                server: from.i32()? as u8,
                timeout_ms: from.i32()? as u32,
                password: password(&mut from)?,
            },
            UPGRADE_SESSION => Operation::UpgradeSession {
                session: SessionId(from.i64()?),
                timeout_ms: from.i32()? as u32,
                password: password(&mut from)?,
            },
            CLOSE_SESSION => Operation::CloseSession {
                session: SessionId(from.i64()?),
                reason: EndReason::decode(&mut from)?,
                origin: match from.bool()? {
                    true => Some((Origin::decode(&mut from)?, Xid(from.i32()?))),
                    false => None,
                },
            },
            REAP => Operation::Reap { path: from.text()? },
            PROLONG => Operation::Prolong {
                session: SessionId(from.i64()?),
                timeout_ms: from.i32()? as u32,
            },
            SET_MEMBERS => {
                let offset = from.offset();
                let members = Membership::parse(&from.text()?);
                let malformed = DecodeError::Value { what: "list of members", offset, value: 0 };
                Operation::SetMembers { members: members.ok_or(malformed)? }
            }
            END_RECONFIG => Operation::EndReconfig { is_made: from.bool()? },
            NAME_CLUSTER => Operation::NameCluster { id: from.i64()? as u64 },
            value => return Err(DecodeError::Value { what: "log entry", offset: 0, value }),
        };
        Ok(LoggedEntry { time_ms, policy, operation })
    }
}

impl Origin {
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.put_i64(self.incarnation as i64);
        out.put_i64(self.conn.0 as i64);
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Origin { incarnation: from.i64()? as u64, conn: ConnId(from.i64()? as u64) })
    }
}

fn password(from: &mut Reader<'_>) -> Result<[u8; 16], DecodeError> {
    let offset = from.offset();
    let bytes = from.buffer()?.unwrap_or_default();
    let length = bytes.len() as i32;
    bytes.try_into().map_err(|_| DecodeError::Length { what: "password", offset, length })
}

impl EndReason {
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let (kind, silent_ms) = match self {
            EndReason::ClosedByClient => (0, 0),
            EndReason::Expired { silent_ms } => (1, silent_ms),
            EndReason::ClosedByOperator => (2, 0),
        };
        out.put_i32(kind);
        out.put_i64(silent_ms as i64);
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = from.offset();
        let kind = from.i32()?;
        let silent_ms = from.i64()? as u64;
        match kind {
            0 => Ok(EndReason::ClosedByClient),
            1 => Ok(EndReason::Expired { silent_ms }),
            2 => Ok(EndReason::ClosedByOperator),
            value => Err(DecodeError::Value { what: "reason of an end", offset, value }),
        }
    }
}
