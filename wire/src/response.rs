//! The bodies of replies.

use std::borrow::Cow;

use crate::acl::{Acl, decode_acls, encode_acls};
use crate::jute::{DecodeError, Put, Reader};
use crate::multi::{MultiResult, decode_multi_results, encode_multi_results};
use crate::op::OpCode;
use crate::stat::Stat;

/// What a server answers, named by its shape, which several operations may share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// No body: delete, ping, checkWatches, removeWatches, deleteContainer, auth, setWatches,
    /// setWatches2, closeSession.
    Empty,
    /// A path: create, sync.
    Path(Cow<'a, str>),
    /// A path and its stat: create2, createContainer, createTTL.
    PathStat {
        /// The created znode.
        path: Cow<'a, str>,
        /// Its stat.
        stat: Stat,
    },
    /// A stat: exists, setData, setACL.
    Stat(Stat),
    /// Data and stat: getData, and reconfig with the configuration as data.
    Data {
        /// The data, or null.
        data: Option<&'a [u8]>,
        /// The znode's stat.
        stat: Stat,
    },
    /// An access control list: getACL.
    Acl {
        /// The list.
        acl: Vec<Acl<'a>>,
        /// The znode's stat.
        stat: Stat,
    },
    /// Names or paths: getChildren, getEphemerals.
    Children(Vec<Cow<'a, str>>),
    /// Names and stat: getChildren2.
    ChildrenStat {
        /// The children's names.
        children: Vec<Cow<'a, str>>,
        /// The parent's stat.
        stat: Stat,
    },
    /// Results of a multi or multiRead.
    Multi(Vec<MultiResult<'a>>),
    /// The server's token in a SASL exchange.
    Sasl {
        /// The token, or null.
        token: Option<&'a [u8]>,
    },
    /// A number: getAllChildrenNumber.
    Count(i32),
    /// The error code 0: addWatch.
    ErrorCode(i32),
    /// The connection's identities: whoAmI.
    Identities(Vec<Identity<'a>>),
}

/// One identity of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity<'a> {
    /// Authentication scheme.
    pub scheme: Cow<'a, str>,
    /// Name of the user within it.
    pub user: Cow<'a, str>,
}

impl<'a> Response<'a> {
    /// Decodes the body of a reply without error to `op`, which is what follows the header.
    pub fn decode(op: OpCode, body: &'a [u8]) -> Result<Self, DecodeError> {
        let r = &mut Reader::new(body);
        Ok(match op {
            OpCode::Create | OpCode::Sync => Self::Path(r.text()?),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::PathStat { path: r.text()?, stat: Stat::decode(r)? }
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Self::Stat(Stat::decode(r)?),
            OpCode::GetData | OpCode::Reconfig => {
                Self::Data { data: r.buffer()?, stat: Stat::decode(r)? }
            }
            OpCode::GetAcl => Self::Acl { acl: decode_acls(r)?, stat: Stat::decode(r)? },
            OpCode::GetChildren | OpCode::GetEphemerals => Self::Children(r.texts()?),
            OpCode::GetChildren2 => {
                Self::ChildrenStat { children: r.texts()?, stat: Stat::decode(r)? }
            }
            OpCode::Multi | OpCode::MultiRead => Self::Multi(decode_multi_results(r)?),
            OpCode::Sasl => Self::Sasl { token: r.buffer()? },
            OpCode::GetAllChildrenNumber => Self::Count(r.i32()?),
            OpCode::AddWatch => Self::ErrorCode(r.i32()?),
            OpCode::WhoAmI => Self::Identities(decode_identities(r)?),
            OpCode::Delete
            | OpCode::Ping
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::DeleteContainer
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::CloseSession => Self::Empty,
            OpCode::Notification | OpCode::Check | OpCode::CreateSession | OpCode::Error => {
                let value = op.code();
                return Err(DecodeError::Value { what: "operation", offset: 0, value });
            }
        })
    }

    /// Appends the encoding of the body, without a header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => {}
            Self::Path(path) => out.put_text(path),
            Self::PathStat { path, stat } => {
                out.put_text(path);
                stat.encode(out);
            }
            Self::Stat(stat) => stat.encode(out),
            Self::Data { data, stat } => {
                out.put_buffer(*data);
                stat.encode(out);
            }
            Self::Acl { acl, stat } => {
                encode_acls(acl, out);
                stat.encode(out);
            }
            Self::Children(children) => out.put_texts(children),
            Self::ChildrenStat { children, stat } => {
                out.put_texts(children);
                stat.encode(out);
            }
            Self::Multi(results) => encode_multi_results(results, out),
            Self::Sasl { token } => out.put_buffer(*token),
            Self::Count(number) | Self::ErrorCode(number) => out.put_i32(*number),
            Self::Identities(identities) => {
                out.put_vector_len(identities.len());
                for identity in identities {
                    out.put_text(&identity.scheme);
                    out.put_text(&identity.user);
                }
            }
        }
    }
}

fn decode_identities<'a>(reader: &mut Reader<'a>) -> Result<Vec<Identity<'a>>, DecodeError> {
    let count = reader.vector_len_of(IDENTITY_MIN_LEN)?;
    (0..count).map(|_| Ok(Identity { scheme: reader.text()?, user: reader.text()? })).collect()
}

/// Length of an identity whose texts are empty.
const IDENTITY_MIN_LEN: usize = 8;
