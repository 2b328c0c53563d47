//! One committed operation = one file. Checks and changes happen here, in log order, alike on
//! every replica: an operation is ordered first and judged afterwards.

mod check;
mod close_session;
mod create;
mod delete;
mod multi;
mod open_session;
mod quotas;
mod reap;
pub(crate) mod reconfig;
mod set_acl;
mod set_data;

use tenure_wire::{ErrorCode, EventType, OpCode, Perms, Request, SessionId, Stat, Xid, Zxid};

pub(crate) use close_session::Closing;

use crate::entry::{LoggedEntry, Operation, Origin, Policy};
use crate::gone::Gone;
use crate::input::ConnId;
use crate::session::ended::EndReason;
use crate::state::State;
use crate::tree::Txn;
use crate::tree::acl::{Identity, decode_identities, permits};
use crate::tree::acl_table::AclId;
use crate::tree::node::NodeId;

/// A change that watches may be waiting for.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: EventType,
    pub(crate) path: String,
    /// Who may read the znode, or might until it was deleted.
    pub(crate) acl: AclId,
    /// Who may read its parent.
    pub(crate) parent_acl: AclId,
}

/// Collects changes, if anybody watches anything.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) wanted: bool,
    pub(crate) list: Vec<Change>,
    /// Ephemerals that were removed: wanted or not, somebody may ask for them later.
    pub(crate) gone: Vec<Gone>,
    /// Who makes the changes, if a session does.
    by: Option<SessionId>,
    /// The leader's wall clock when they were proposed.
    time_ms: i64,
}

impl Changes {
    fn begin(&mut self, by: Option<SessionId>, time_ms: i64) {
        (self.by, self.time_ms) = (by, time_ms);
    }

    fn add_gone(&mut self, path: &str, owner: SessionId, zxid: Zxid) {
        let (deleted_by, gone_ms) = (self.by, self.time_ms);
        self.gone.push(Gone { path: path.to_owned(), owner, deleted_by, zxid, gone_ms });
    }

    fn add(&mut self, kind: EventType, path: &str, acl: AclId, parent_acl: AclId) {
        if self.wanted {
            self.list.push(Change { kind, path: path.to_owned(), acl, parent_acl });
        }
    }
}

/// Who asks, and under which rules.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    session: SessionId,
    /// The session is one server's own, so it is in no table.
    is_local: bool,
    identities: &'a [Identity],
    policy: Policy,
    txn: Txn,
}

impl Asker<'_> {
    fn may(&self, state: &State, node: NodeId, wanted: Perms) -> Result<(), ErrorCode> {
        let acl = state.tree.acls.get(state.tree.at(node).acl);
        if self.policy.skip_acl || permits(acl, wanted, self.identities) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }
}

/// What one write led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Created { path: String, stat: Stat },
    Deleted,
    Set(Stat),
    Reconfigured { text: String, stat: Stat },
    Checked,
    Multi(MultiDone),
}

/// What each operation of a multi led to.
pub(crate) type MultiDone = Vec<Result<(OpCode, Done), ErrorCode>>;

/// What a committed entry led to, for whoever holds the connection.
#[derive(Debug)]
pub(crate) enum Applied {
    /// A request was judged.
    Request { origin: Origin, xid: Xid, op: OpCode, outcome: Result<Done, ErrorCode> },
    /// A session was established.
    Opened { origin: Origin, session: SessionId, timeout_ms: u32, password: [u8; 16] },
    /// There are as many sessions as there may be.
    NotOpened { origin: Origin },
    /// A session that was one server's own is everybody's.
    Upgraded { session: SessionId, timeout_ms: u32 },
    /// A session is known to have a longer timeout.
    Prolonged { session: SessionId, timeout_ms: u32 },
    /// A session is being closed; its ephemerals go slice by slice.
    Closing(Box<Closing>),
    /// The members were written into the tree by a leader.
    MembersSet,
    /// The ensemble has its id.
    ClusterNamed,
    /// Nothing that anybody waits for.
    Nothing,
}

/// A session's end, complete.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) session: SessionId,
    pub(crate) reason: EndReason,
    pub(crate) timeout_ms: u32,
    pub(crate) origin: Option<(Origin, Xid)>,
    pub(crate) ephemerals: u32,
}

impl State {
    /// Applies one committed entry. `data` that does not decode changes nothing: it was written
    /// by a newer version, and every replica of this one skips it alike.
    pub(crate) fn apply(
        &mut self,
        index: u64,
        term: u64,
        data: &[u8],
        changes: &mut Changes,
    ) -> Applied {
        self.applied = (index, term);
        let Ok(entry) = LoggedEntry::decode(data) else { return Applied::Nothing };
        let txn = Txn { zxid: self.next_zxid(term), time_ms: entry.time_ms };
        self.applying = txn.zxid;
        let applied = match entry.operation {
            Operation::OpenSession { origin, server, timeout_ms, password } => {
                match self.open_session(server, timeout_ms, password, entry.policy, txn) {
                    Some(session) => Applied::Opened { origin, session, timeout_ms, password },
                    None => Applied::NotOpened { origin },
                }
            }
            Operation::UpgradeSession { session, timeout_ms, password } => {
                match self.upgrade_session(session, timeout_ms, password, txn) {
                    true => Applied::Upgraded { session, timeout_ms },
                    false => Applied::Nothing,
                }
            }
            Operation::CloseSession { session, reason, origin } => {
                match self.close_session(session, reason, origin, txn) {
                    Some(closing) => return Applied::Closing(closing),
                    None => Applied::Nothing,
                }
            }
            Operation::Prolong { session, timeout_ms } => {
                self.sessions.prolong(session, timeout_ms);
                Applied::Prolonged { session, timeout_ms }
            }
            Operation::Reap { path } => {
                self.reap(&path, txn, changes);
                Applied::Nothing
            }
            Operation::SetMembers { members } => {
                changes.begin(None, txn.time_ms);
                self.set_members(&members, txn, changes);
                Applied::MembersSet
            }
            Operation::NameCluster { id } => {
                // The first one counts: others have been told of it.
                if self.cluster == 0 {
                    self.cluster = id;
                }
                return Applied::ClusterNamed;
            }
            Operation::EndReconfig { is_made } => {
                changes.begin(None, txn.time_ms);
                match self.end_reconfig(is_made, txn, changes) {
                    Some((ended, outcome)) => {
                        let (origin, xid, op) = (ended.origin, ended.xid, OpCode::Reconfig);
                        Applied::Request { origin, xid, op, outcome }
                    }
                    None => Applied::Nothing,
                }
            }
            Operation::Request { origin, session, is_local, xid, op, identities, body } => {
                let identities = decode_identities(identities).unwrap_or_default();
                let (identities, policy) = (&identities[..], entry.policy);
                let asker = Asker { session, is_local, identities, policy, txn };
                let Some(op) = OpCode::from_i32(op) else { return Applied::Nothing };
                changes.begin(Some(session), txn.time_ms);
                let outcome = match op {
                    OpCode::Reconfig => self.begin_reconfig(body, &asker, (origin, xid)),
                    op => Some(self.request(op, body, &asker, changes)),
                };
                match outcome {
                    Some(outcome) => Applied::Request { origin, xid, op, outcome },
                    None => Applied::Nothing,
                }
            }
        };
        self.zxid = txn.zxid;
        applied
    }

    /// Its outcome, unless that comes later.
    fn begin_reconfig(
        &mut self,
        body: &[u8],
        asker: &Asker<'_>,
        answer_to: (Origin, Xid),
    ) -> Option<Result<Done, ErrorCode>> {
        if !asker.is_local && self.sessions.get(asker.session).is_none() {
            return Some(Err(ErrorCode::SessionExpired));
        }
        let Ok(request) = Request::decode(OpCode::Reconfig, body) else {
            return Some(Err(ErrorCode::MarshallingError));
        };
        self.reconfig(&request, asker, answer_to).err().map(Err)
    }

    fn request(
        &mut self,
        op: OpCode,
        body: &[u8],
        asker: &Asker<'_>,
        changes: &mut Changes,
    ) -> Result<Done, ErrorCode> {
        if !asker.is_local && self.sessions.get(asker.session).is_none() {
            return Err(ErrorCode::SessionExpired);
        }
        let request = Request::decode(op, body).map_err(|_| ErrorCode::MarshallingError)?;
        match &request {
            Request::Multi(requests) => self.multi(requests, asker, changes).map(Done::Multi),
            Request::SetAcl { path, acl, version } => {
                self.set_acl(path, acl, *version, asker).map(Done::Set)
            }
            single => self.single(single, asker, changes),
        }
    }

    /// The operations that may also stand in a multi.
    fn single(
        &mut self,
        request: &Request<'_>,
        asker: &Asker<'_>,
        changes: &mut Changes,
    ) -> Result<Done, ErrorCode> {
        match request {
            Request::Create(create) => self.create(create, asker, changes),
            Request::Delete { path, version } => self.delete(path, *version, asker, changes),
            Request::SetData { path, data, version } => {
                self.set_data(path, *data, *version, asker, changes).map(Done::Set)
            }
            Request::Check { path, version } => self.check(path, *version, asker),
            _ => Err(ErrorCode::MarshallingError),
        }
    }
}

/// The expected version, -1 for any, against the present one.
fn expect_version(expected: i32, present: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == present { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

/// The parent's path and the last name. Fails for what is no path at all.
fn split(path: &str) -> Result<(&str, &str), ErrorCode> {
    if path.contains('\0') {
        return Err(ErrorCode::BadArguments);
    }
    path.rsplit_once('/').ok_or(ErrorCode::BadArguments)
}

/// For describing entries: the zxid is only known once they are applied.
pub fn describe(data: &[u8]) -> String {
    if data.is_empty() {
        return "a new term starts".to_owned();
    }
    match LoggedEntry::decode(data) {
        Err(error) => format!("undecodable: {error}"),
        Ok(entry) => {
            let what = match entry.operation {
                Operation::Request { session, xid, op, body, .. } => {
                    let name = OpCode::from_i32(op).map_or("unknown", OpCode::name);
                    let request = OpCode::from_i32(op).map(|op| Request::decode(op, body));
                    match request {
                        Some(Ok(request)) => {
                            format!("{name} of session {session}, xid {}: {request:?}", xid.0)
                        }
                        _ => format!("{name} of session {session}, xid {}: malformed", xid.0),
                    }
                }
                Operation::OpenSession { server, timeout_ms, .. } => {
                    format!("open a session at server {server}, timeout {timeout_ms} ms")
                }
                Operation::UpgradeSession { session, timeout_ms, .. } => {
                    format!("make session {session} known to all, timeout {timeout_ms} ms")
                }
                Operation::CloseSession { session, reason, .. } => {
                    format!("end session {session}: {reason}")
                }
                Operation::Prolong { session, timeout_ms } => {
                    format!("prolong session {session} to a timeout of {timeout_ms} ms")
                }
                Operation::Reap { path } => format!("reap {path}"),
                Operation::SetMembers { members } => {
                    format!(
                        "the members are {}",
                        members.to_string().trim_end().replace('\n', ", ")
                    )
                }
                Operation::EndReconfig { is_made: true } => "the members changed".to_owned(),
                Operation::EndReconfig { is_made: false } => {
                    "a change of the members was given up".to_owned()
                }
                Operation::NameCluster { id } => format!("the ensemble's id is {id:016x}"),
            };
            format!("at {} ms: {what}", entry.time_ms)
        }
    }
}

/// Where a reply goes, if this process is to send it.
pub(crate) fn local(origin: Origin, incarnation: u64) -> Option<ConnId> {
    (origin.incarnation == incarnation).then_some(origin.conn)
}
