//! The four requests that create a znode share one record.

use std::borrow::Cow;

use crate::acl::{Acl, decode_acls, encode_acls};
use crate::jute::{DecodeError, Put, Reader};
use crate::op::{CreateMode, OpCode};

/// A request to create a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create<'a> {
    /// `Create`, `Create2`, `CreateContainer` or `CreateTtl`.
    pub op: OpCode,
    /// Path wished for; a sequential mode appends to it.
    pub path: Cow<'a, str>,
    /// Data, or null.
    pub data: Option<&'a [u8]>,
    /// Access control list.
    pub acl: Vec<Acl<'a>>,
    /// Flags of a [`CreateMode`], not checked yet.
    pub flags: i32,
    /// Time to live; present if and only if `op` is `CreateTtl`.
    pub ttl_ms: Option<i64>,
}

impl<'a> Create<'a> {
    /// The mode that the flags name, if they name one.
    pub fn mode(&self) -> Option<CreateMode> {
        CreateMode::from_flags(self.flags)
    }

    /// Appends the encoding.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_text(&self.path);
        out.put_buffer(self.data);
        encode_acls(&self.acl, out);
        out.put_i32(self.flags);
        if self.op == OpCode::CreateTtl {
            out.put_i64(self.ttl_ms.unwrap_or_default());
        }
    }

    /// Reads the record of `op`.
    pub(crate) fn decode(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            op,
            path: reader.text()?,
            data: reader.buffer()?,
            acl: decode_acls(reader)?,
            flags: reader.i32()?,
            ttl_ms: if op == OpCode::CreateTtl { Some(reader.i64()?) } else { None },
        })
    }
}
