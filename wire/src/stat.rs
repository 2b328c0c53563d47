//! The metadata of a znode as clients see it.

use crate::ids::Zxid;
use crate::jute::{DecodeError, Put, Reader};

/// A znode's metadata: 68 bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stat {
    /// Zxid of the change that created the znode.
    pub czxid: Zxid,
    /// Zxid of the last change of its data.
    pub mzxid: Zxid,
    /// When it was created, in milliseconds since the Unix epoch.
    pub ctime: i64,
    /// When its data last changed, in milliseconds since the Unix epoch.
    pub mtime: i64,
    /// Number of changes of its data.
    pub version: i32,
    /// Number of changes of its children.
    pub cversion: i32,
    /// Number of changes of its access control list.
    pub aversion: i32,
    /// Session id of the ephemeral owner, 0 if the znode is not ephemeral.
    pub ephemeral_owner: i64,
    /// Length of its data in bytes.
    pub data_length: i32,
    /// Number of its children.
    pub num_children: i32,
    /// Zxid of the last change of its children.
    pub pzxid: Zxid,
}

impl Stat {
    /// Length of the encoding in bytes.
    pub const LEN: usize = 68;

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(Self::LEN);
        out.put_i64(self.czxid.0);
        out.put_i64(self.mzxid.0);
        out.put_i64(self.ctime);
        out.put_i64(self.mtime);
        out.put_i32(self.version);
        out.put_i32(self.cversion);
        out.put_i32(self.aversion);
        out.put_i64(self.ephemeral_owner);
        out.put_i32(self.data_length);
        out.put_i32(self.num_children);
        out.put_i64(self.pzxid.0);
    }

    /// Reads one stat.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: Zxid(reader.i64()?),
            mzxid: Zxid(reader.i64()?),
            ctime: reader.i64()?,
            mtime: reader.i64()?,
            version: reader.i32()?,
            cversion: reader.i32()?,
            aversion: reader.i32()?,
            ephemeral_owner: reader.i64()?,
            data_length: reader.i32()?,
            num_children: reader.i32()?,
            pzxid: Zxid(reader.i64()?),
        })
    }
}
