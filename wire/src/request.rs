//! The bodies of requests.

use std::borrow::Cow;

use crate::acl::{Acl, decode_acls, encode_acls};
use crate::create::Create;
use crate::jute::{DecodeError, Put, Reader};
use crate::multi;
use crate::op::OpCode;
use crate::watches::SetWatches;

/// What a client asks for. Borrows its bytes and texts from the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Create a znode, by any of the four create operations.
    Create(Create<'a>),
    /// Delete a znode.
    Delete {
        /// The znode.
        path: Cow<'a, str>,
        /// Version it must have, -1 for any.
        version: i32,
    },
    /// Answer a znode's stat.
    Exists {
        /// The znode.
        path: Cow<'a, str>,
        /// Whether to set a one-time watch.
        watch: bool,
    },
    /// Answer a znode's data and stat.
    GetData {
        /// The znode.
        path: Cow<'a, str>,
        /// Whether to set a one-time watch.
        watch: bool,
    },
    /// Replace a znode's data.
    SetData {
        /// The znode.
        path: Cow<'a, str>,
        /// Its new data, or null.
        data: Option<&'a [u8]>,
        /// Version it must have, -1 for any.
        version: i32,
    },
    /// Answer a znode's access control list.
    GetAcl {
        /// The znode.
        path: Cow<'a, str>,
    },
    /// Replace a znode's access control list.
    SetAcl {
        /// The znode.
        path: Cow<'a, str>,
        /// Its new list.
        acl: Vec<Acl<'a>>,
        /// Aversion it must have, -1 for any.
        version: i32,
    },
    /// Answer the names of a znode's children.
    GetChildren {
        /// The znode.
        path: Cow<'a, str>,
        /// Whether to set a one-time watch.
        watch: bool,
    },
    /// Answer the names of a znode's children and its stat.
    GetChildren2 {
        /// The znode.
        path: Cow<'a, str>,
        /// Whether to set a one-time watch.
        watch: bool,
    },
    /// Catch up with the leader.
    Sync {
        /// Echoed in the answer, otherwise without meaning.
        path: Cow<'a, str>,
    },
    /// Keep the session alive.
    Ping,
    /// Compare a znode's version; only inside a multi.
    Check {
        /// The znode.
        path: Cow<'a, str>,
        /// Version it must have, -1 for any.
        version: i32,
    },
    /// Several writes, applied all or none: creates, deletes, setData and checks.
    Multi(Vec<Request<'a>>),
    /// Several reads: getData and getChildren.
    MultiRead(Vec<Request<'a>>),
    /// Change the ensemble's members.
    Reconfig {
        /// Members to add.
        joining: Option<Cow<'a, str>>,
        /// Members to remove.
        leaving: Option<Cow<'a, str>>,
        /// All members of the new ensemble, in place of the two above.
        new_members: Option<Cow<'a, str>>,
        /// Version the configuration must have, -1 for any.
        config_id: i64,
    },
    /// Ask whether a watch is set.
    CheckWatches {
        /// The watched path.
        path: Cow<'a, str>,
        /// 1 children, 2 data, 3 any, 4 persistent, 5 persistent recursive; not checked yet.
        kind: i32,
    },
    /// Remove watches.
    RemoveWatches {
        /// The watched path.
        path: Cow<'a, str>,
        /// As in `CheckWatches`.
        kind: i32,
    },
    /// Delete a container that has no children.
    DeleteContainer {
        /// The znode.
        path: Cow<'a, str>,
    },
    /// Add an identity to the connection.
    Auth {
        /// The authentication scheme.
        scheme: Cow<'a, str>,
        /// Credentials.
        auth: Option<&'a [u8]>,
    },
    /// Set the watches of an earlier connection again.
    SetWatches(SetWatches<'a>),
    /// One round of a SASL exchange.
    Sasl {
        /// The client's token.
        token: Option<&'a [u8]>,
    },
    /// Answer the paths of the session's ephemerals.
    GetEphemerals {
        /// Only paths that start with it.
        prefix: Cow<'a, str>,
    },
    /// Answer how many descendants a znode has.
    GetAllChildrenNumber {
        /// The znode.
        path: Cow<'a, str>,
    },
    /// Set a persistent watch.
    AddWatch {
        /// The path to watch.
        path: Cow<'a, str>,
        /// 0 persistent, 1 persistent recursive; not checked yet.
        mode: i32,
    },
    /// Answer the connection's identities.
    WhoAmI,
    /// Close the session.
    CloseSession,
    /// Open a session: internal to servers, and so without its body here.
    CreateSession,
}

impl<'a> Request<'a> {
    /// The operation.
    pub fn op(&self) -> OpCode {
        match self {
            Self::Create(create) => create.op,
            Self::Delete { .. } => OpCode::Delete,
            Self::Exists { .. } => OpCode::Exists,
            Self::GetData { .. } => OpCode::GetData,
            Self::SetData { .. } => OpCode::SetData,
            Self::GetAcl { .. } => OpCode::GetAcl,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::GetChildren { .. } => OpCode::GetChildren,
            Self::GetChildren2 { .. } => OpCode::GetChildren2,
            Self::Sync { .. } => OpCode::Sync,
            Self::Ping => OpCode::Ping,
            Self::Check { .. } => OpCode::Check,
            Self::Multi(_) => OpCode::Multi,
            Self::MultiRead(_) => OpCode::MultiRead,
            Self::Reconfig { .. } => OpCode::Reconfig,
            Self::CheckWatches { .. } => OpCode::CheckWatches,
            Self::RemoveWatches { .. } => OpCode::RemoveWatches,
            Self::DeleteContainer { .. } => OpCode::DeleteContainer,
            Self::Auth { .. } => OpCode::Auth,
            Self::SetWatches(watches) => watches.op,
            Self::Sasl { .. } => OpCode::Sasl,
            Self::GetEphemerals { .. } => OpCode::GetEphemerals,
            Self::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
            Self::AddWatch { .. } => OpCode::AddWatch,
            Self::WhoAmI => OpCode::WhoAmI,
            Self::CloseSession => OpCode::CloseSession,
            Self::CreateSession => OpCode::CreateSession,
        }
    }

    /// Decodes the body of `op`, which is what follows the header; bytes behind it are ignored.
    ///
    /// Fails for a multi that holds an operation not allowed in it, or create flags that name no
    /// mode, and for the two codes that are no requests, `Notification` and `Error`.
    pub fn decode(op: OpCode, body: &'a [u8]) -> Result<Self, DecodeError> {
        Self::read(op, &mut Reader::new(body))
    }

    /// Reads the body of `op`.
    pub(crate) fn read(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let r = reader;
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::Create(Create::decode(op, r)?)
            }
            OpCode::Delete => Self::Delete { path: r.text()?, version: r.i32()? },
            OpCode::Exists => Self::Exists { path: r.text()?, watch: r.bool()? },
            OpCode::GetData => Self::GetData { path: r.text()?, watch: r.bool()? },
            OpCode::SetData => {
                Self::SetData { path: r.text()?, data: r.buffer()?, version: r.i32()? }
            }
            OpCode::GetAcl => Self::GetAcl { path: r.text()? },
            OpCode::SetAcl => {
                Self::SetAcl { path: r.text()?, acl: decode_acls(r)?, version: r.i32()? }
            }
            OpCode::GetChildren => Self::GetChildren { path: r.text()?, watch: r.bool()? },
            OpCode::GetChildren2 => Self::GetChildren2 { path: r.text()?, watch: r.bool()? },
            OpCode::Sync => Self::Sync { path: r.text()? },
            OpCode::Ping => Self::Ping,
            OpCode::Check => Self::Check { path: r.text()?, version: r.i32()? },
            OpCode::Multi => Self::Multi(multi::decode_writes(r)?),
            OpCode::MultiRead => Self::MultiRead(multi::decode_reads(r)?),
            OpCode::Reconfig => Self::Reconfig {
                joining: r.opt_text()?,
                leaving: r.opt_text()?,
                new_members: r.opt_text()?,
                config_id: r.i64()?,
            },
            OpCode::CheckWatches => Self::CheckWatches { path: r.text()?, kind: r.i32()? },
            OpCode::RemoveWatches => Self::RemoveWatches { path: r.text()?, kind: r.i32()? },
            OpCode::DeleteContainer => Self::DeleteContainer { path: r.text()? },
            OpCode::Auth => {
                // The record starts with a type that has only ever been 0 and that nobody reads.
                r.i32()?;
                Self::Auth { scheme: r.text()?, auth: r.buffer()? }
            }
            OpCode::SetWatches | OpCode::SetWatches2 => {
                Self::SetWatches(SetWatches::decode(op, r)?)
            }
            OpCode::Sasl => Self::Sasl { token: r.buffer()? },
            OpCode::GetEphemerals => Self::GetEphemerals { prefix: r.text()? },
            OpCode::GetAllChildrenNumber => Self::GetAllChildrenNumber { path: r.text()? },
            OpCode::AddWatch => Self::AddWatch { path: r.text()?, mode: r.i32()? },
            OpCode::WhoAmI => Self::WhoAmI,
            OpCode::CloseSession => Self::CloseSession,
            OpCode::CreateSession => Self::CreateSession,
            OpCode::Notification | OpCode::Error => {
                let offset = r.offset();
                return Err(DecodeError::Value { what: "operation", offset, value: op.code() });
            }
        })
    }

    /// Appends the encoding of the body, without a header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create(create) => create.encode(out),
            Self::Delete { path, version: number }
            | Self::Check { path, version: number }
            | Self::CheckWatches { path, kind: number }
            | Self::RemoveWatches { path, kind: number }
            | Self::AddWatch { path, mode: number } => {
                out.put_text(path);
                out.put_i32(*number);
            }
            Self::Exists { path, watch }
            | Self::GetData { path, watch }
            | Self::GetChildren { path, watch }
            | Self::GetChildren2 { path, watch } => {
                out.put_text(path);
                out.put_bool(*watch);
            }
            Self::SetData { path, data, version } => {
                out.put_text(path);
                out.put_buffer(*data);
                out.put_i32(*version);
            }
            Self::GetAcl { path }
            | Self::Sync { path }
            | Self::DeleteContainer { path }
            | Self::GetEphemerals { prefix: path }
            | Self::GetAllChildrenNumber { path } => out.put_text(path),
            Self::SetAcl { path, acl, version } => {
                out.put_text(path);
                encode_acls(acl, out);
                out.put_i32(*version);
            }
            Self::Ping | Self::WhoAmI | Self::CloseSession | Self::CreateSession => {}
            Self::Multi(ops) | Self::MultiRead(ops) => multi::encode_requests(ops, out),
            Self::Reconfig { joining, leaving, new_members, config_id } => {
                out.put_opt_text(joining.as_deref());
                out.put_opt_text(leaving.as_deref());
                out.put_opt_text(new_members.as_deref());
                out.put_i64(*config_id);
            }
            Self::Auth { scheme, auth } => {
                out.put_i32(0);
                out.put_text(scheme);
                out.put_buffer(*auth);
            }
            Self::SetWatches(watches) => watches.encode(out),
            Self::Sasl { token } => out.put_buffer(*token),
        }
    }
}
