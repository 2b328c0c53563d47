//! What stands before the body of every request and reply.

use crate::ids::{Xid, Zxid};
use crate::jute::{DecodeError, Put, Reader};

/// Xid of a watch notification.
pub const NOTIFICATION_XID: Xid = Xid(-1);
/// Xid of a ping; its reply carries it whatever xid the request had.
pub const PING_XID: Xid = Xid(-2);
/// Xid of an auth request.
pub const AUTH_XID: Xid = Xid(-4);
/// Xid that clients give setWatches and setWatches2.
pub const SET_WATCHES_XID: Xid = Xid(-8);

/// Header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's number for the request, echoed in the reply.
    pub xid: Xid,
    /// The operation code, which may be none that is known.
    pub op: i32,
}

impl RequestHeader {
    /// Length of the encoding in bytes.
    pub const LEN: usize = 8;

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.xid.0);
        out.put_i32(self.op);
    }

    /// Reads one header.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: Xid(reader.i32()?), op: reader.i32()? })
    }
}

/// Header of a reply or notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's number, or a reserved one.
    pub xid: Xid,
    /// Newest change the answer reflects; for a notification, the change that triggered it.
    pub zxid: Zxid,
    /// 0, or the code of an `ErrorCode`; a body follows only if it is 0.
    pub err: i32,
}

impl ReplyHeader {
    /// Length of the encoding in bytes.
    pub const LEN: usize = 16;

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.xid.0);
        out.put_i64(self.zxid.0);
        out.put_i32(self.err);
    }

    /// Reads one header.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: Xid(reader.i32()?), zxid: Zxid(reader.i64()?), err: reader.i32()? })
    }
}
