//! The requests that set a client's watches again after a reconnect.

use std::borrow::Cow;

use crate::ids::Zxid;
use crate::jute::{DecodeError, Put, Reader};
use crate::op::OpCode;

/// The watches a client had on its last connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetWatches<'a> {
    /// `SetWatches`, or `SetWatches2`, which alone carries the persistent ones.
    pub op: OpCode,
    /// Newest change the client knows of: what changed after it is notified at once.
    pub relative_zxid: Zxid,
    /// Paths with a watch on their data.
    pub data: Vec<Cow<'a, str>>,
    /// Paths with a watch on their coming into being.
    pub exist: Vec<Cow<'a, str>>,
    /// Paths with a watch on their children.
    pub child: Vec<Cow<'a, str>>,
    /// Paths with a persistent watch.
    pub persistent: Vec<Cow<'a, str>>,
    /// Paths with a persistent recursive watch.
    pub persistent_recursive: Vec<Cow<'a, str>>,
}

impl<'a> SetWatches<'a> {
    /// Appends the encoding.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_i64(self.relative_zxid.0);
        out.put_texts(&self.data);
        out.put_texts(&self.exist);
        out.put_texts(&self.child);
        if self.op == OpCode::SetWatches2 {
            out.put_texts(&self.persistent);
            out.put_texts(&self.persistent_recursive);
        }
    }

    /// Reads the record of `op`.
    pub(crate) fn decode(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let has_persistent = op == OpCode::SetWatches2;
        Ok(Self {
            op,
            relative_zxid: Zxid(reader.i64()?),
            data: reader.texts()?,
            exist: reader.texts()?,
            child: reader.texts()?,
            persistent: if has_persistent { reader.texts()? } else { Vec::new() },
            persistent_recursive: if has_persistent { reader.texts()? } else { Vec::new() },
        })
    }
}
