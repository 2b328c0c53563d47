//! What the audit log is told: who changed what, and how that went. Made only if that is wanted.

use tenure_wire::{CreateMode, ErrorCode, OpCode, Request, SessionId, Zxid};

use crate::apply::{Done, MultiDone};
use crate::denials::{Denial, DenialWhy, Who, show_acl};
use crate::entry::{LoggedEntry, Operation};
use crate::gone::Gone;
use crate::input::ConnId;
use crate::output::Outputs;
use crate::replica::Replica;
use crate::session::ended::EndReason;
use crate::tree::acl::{Identity, decode_identities};

/// One line of the audit log, as far as a replica knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// What was done, by the reference server's name if it audits that too.
    pub operation: &'static str,
    /// The session that did it, or to which it happened.
    pub session: SessionId,
    /// Who its client had shown to be, address included; empty if this server does not know.
    pub who: Vec<Who>,
    /// The znode, if one is concerned.
    pub path: Option<String>,
    /// What kind of znode was to be made.
    pub znode_type: Option<&'static str>,
    /// The access control list that was to be set, in full, with digests left out.
    pub acl: Option<String>,
    /// Why it failed; `None` if it did not.
    pub error: Option<ErrorCode>,
    /// The change, or the last one before what changed nothing.
    pub zxid: Zxid,
}

/// Who asked, and when that was judged.
#[derive(Clone, Copy, Debug)]
struct Audited<'a> {
    session: SessionId,
    identities: &'a [Identity],
    zxid: Zxid,
}

impl Audited<'_> {
    /// Records a write: each part of a multi that was applied, and one that was not as a whole.
    fn write(
        self,
        request: &Request<'_>,
        outcome: &Result<Done, ErrorCode>,
        records: &mut Vec<AuditRecord>,
    ) {
        match (request, outcome) {
            (Request::Multi(requests), Ok(Done::Multi(results))) => {
                if let Some((request, error)) = first_failed(requests, results) {
                    let path = described(request).path;
                    let failed = self.record("multiOperation", Some(error));
                    records.push(AuditRecord { path, ..failed });
                    return;
                }
                for (request, result) in requests.iter().zip(results) {
                    if let Ok((_, done)) = result {
                        self.single(request, Ok(done), records);
                    }
                }
            }
            (request, Ok(done)) => self.single(request, Ok(done), records),
            (request, Err(error)) => self.single(request, Err(*error), records),
        }
    }

    fn single(
        self,
        request: &Request<'_>,
        outcome: Result<&Done, ErrorCode>,
        records: &mut Vec<AuditRecord>,
    ) {
        let Described { operation: Some(operation), path, znode_type, acl } = described(request)
        else {
            return;
        };
        let path = match outcome {
            // With its number, if it is a sequential one.
            Ok(Done::Created { path, .. }) => Some(path.clone()),
            _ => path,
        };
        let record = self.record(operation, outcome.err());
        records.push(AuditRecord { path, znode_type, acl, ..record });
    }

    /// A record of what concerns no znode.
    fn record(self, operation: &'static str, error: Option<ErrorCode>) -> AuditRecord {
        let Audited { session, identities, zxid } = self;
        let (path, znode_type, acl) = (None, None, None);
        let who = Who::of(identities);
        AuditRecord { operation, session, who, path, znode_type, acl, error, zxid }
    }
}

/// What a request would do.
struct Described {
    /// Nothing that is audited, if there is none.
    operation: Option<&'static str>,
    path: Option<String>,
    znode_type: Option<&'static str>,
    acl: Option<String>,
}

fn described(request: &Request<'_>) -> Described {
    let (operation, path) = match request {
        Request::Create(create) => (Some("create"), Some(&create.path)),
        Request::Delete { path, .. } => (Some("delete"), Some(path)),
        Request::SetData { path, .. } => (Some("setData"), Some(path)),
        Request::SetAcl { path, .. } => (Some("setAcl"), Some(path)),
        Request::Check { path, .. } => (None, Some(path)),
        Request::Multi(_) => (Some("multiOperation"), None),
        Request::Reconfig { .. } => (Some(RECONFIG), None),
        _ => (None, None),
    };
    let znode_type = match request {
        Request::Create(create) if create.op == OpCode::CreateContainer => Some("container"),
        Request::Create(create) => create.mode().map(znode_type),
        _ => None,
    };
    let acl = match request {
        Request::SetAcl { acl, .. } => Some(show_acl(acl.iter().cloned(), usize::MAX)),
        _ => None,
    };
    Described { operation, path: path.map(|path| path.to_string()), znode_type, acl }
}

fn znode_type(mode: CreateMode) -> &'static str {
    match mode {
        CreateMode::Persistent => "persistent",
        CreateMode::Ephemeral => "ephemeral",
        CreateMode::PersistentSequential => "persistent_sequential",
        CreateMode::EphemeralSequential => "ephemeral_sequential",
        CreateMode::Container => "container",
        CreateMode::PersistentTtl => "persistent_with_ttl",
        CreateMode::PersistentSequentialTtl => "persistent_sequential_with_ttl",
    }
}

/// A change of the members.
const RECONFIG: &str = "reconfig";
/// Credentials were refused, or missing.
const AUTHENTICATE: &str = "authenticate";
/// An ephemeral znode went with its session.
const EPHEMERAL_GONE: &str = "ephemeralZNodeDeletionOnSessionCloseOrExpire";

/// The end of a session, by who ended it.
fn end_of(reason: EndReason) -> &'static str {
    match reason {
        EndReason::ClosedByClient => "closeSession",
        EndReason::Expired { .. } => "expireSession",
        EndReason::ClosedByOperator => "closeSessionByOperator",
    }
}

impl Replica {
    /// Accounts for a write that a client of this server asked for: in the audit log, and for
    /// operators if it was refused. `data` is the entry that has led to the outcome.
    pub(crate) fn account_for_write(
        &self,
        conn: ConnId,
        data: &[u8],
        outcome: &Result<Done, ErrorCode>,
        out: &mut Outputs,
    ) {
        let zxid = self.state.zxid;
        let Ok(LoggedEntry {
            operation: Operation::Request { session, op, identities, body, .. },
            ..
        }) = LoggedEntry::decode(data)
        else {
            // A change of the members, whose outcome comes entries after the request.
            if let Some(asker) = self.attachments.get(conn).filter(|_| self.config.audit) {
                let (session, identities) = (asker.session, &asker.identities[..]);
                let error = outcome.as_ref().err().copied();
                let audited = Audited { session, identities, zxid };
                out.audited.push(audited.record(RECONFIG, error));
            }
            return;
        };
        let identities = decode_identities(identities).unwrap_or_default();
        let request = OpCode::from_i32(op).and_then(|op| Request::decode(op, body).ok());
        let Some(request) = request else { return };
        if self.config.audit {
            let audited = Audited { session, identities: &identities, zxid };
            audited.write(&request, outcome, &mut out.audited);
        }
        let refused = match (&request, outcome) {
            (Request::Multi(requests), Ok(Done::Multi(results))) => first_failed(requests, results),
            (request, Err(error)) => Some((request, *error)),
            _ => None,
        };
        if let Some((request, error)) = refused {
            let state = &self.state;
            out.denied.extend(Denial::of_request(state, request, error, session, &identities));
        }
    }

    /// Accounts for the end of a session and for what went with it: at the leader, which decides
    /// on it; at a server by itself for its own.
    pub(crate) fn account_for_end(&self, session: SessionId, reason: EndReason, out: &mut Outputs) {
        if !self.config.audit {
            return;
        }
        let conn = self.attachments.conn_of(session);
        let attachment = conn.and_then(|conn| self.attachments.get(conn));
        let identities = attachment.map_or(&[][..], |attachment| &attachment.identities);
        let audited = Audited { session, identities, zxid: self.state.zxid };
        out.audited.push(audited.record(end_of(reason), None));
    }

    /// Accounts for an ephemeral znode that went with its session.
    pub(crate) fn account_for_gone(&self, gone: &Gone, out: &mut Outputs) {
        if self.config.audit && gone.deleted_by.is_none() && self.consensus.is_leader() {
            let audited = Audited { session: gone.owner, identities: &[], zxid: gone.zxid };
            let path = Some(gone.path.clone());
            out.audited.push(AuditRecord { path, ..audited.record(EPHEMERAL_GONE, None) });
        }
    }

    /// Accounts for a client that was not let in, or not let be who it says.
    pub(crate) fn account_for_stranger(
        &self,
        conn: ConnId,
        op: Option<OpCode>,
        claimed: Option<Who>,
        (error, why): (ErrorCode, DenialWhy),
        out: &mut Outputs,
    ) {
        let Some(attachment) = self.attachments.get(conn) else { return };
        let (session, identities) = (attachment.session, &attachment.identities[..]);
        let mut denial = Denial::of_client(session, identities, op, why);
        if self.config.audit {
            let audited = Audited { session, identities, zxid: self.state.zxid };
            let mut record = audited.record(AUTHENTICATE, Some(error));
            record.who.extend(claimed.clone());
            out.audited.push(record);
        }
        denial.who.extend(claimed);
        out.denied.push(denial);
    }
}

/// Whether the account of a write that went so is of interest to those who ask about refusals.
pub(crate) fn is_refusal(outcome: &Result<Done, ErrorCode>) -> bool {
    let refuses = |code: &ErrorCode| matches!(code, ErrorCode::NoAuth | ErrorCode::QuotaExceeded);
    match outcome {
        Err(code) => refuses(code),
        Ok(Done::Multi(results)) => {
            results.iter().any(|result| result.as_ref().is_err_and(&refuses))
        }
        Ok(_) => false,
    }
}

/// The operation for whose sake a multi failed, and its error.
fn first_failed<'r, 'a>(
    requests: &'r [Request<'a>],
    results: &MultiDone,
) -> Option<(&'r Request<'a>, ErrorCode)> {
    results.iter().zip(requests).find_map(|(result, request)| {
        let error = result.as_ref().err().filter(|code| **code != ErrorCode::Ok)?;
        Some((request, *error))
    })
}
