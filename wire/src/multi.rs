//! Several operations in one request, and their results in one reply.

use std::borrow::Cow;

use crate::jute::{DecodeError, Put, Reader};
use crate::op::{CreateMode, OpCode};
use crate::request::Request;
use crate::stat::Stat;

/// What stands before each operation of a multi, before each result, and at the end of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiHeader {
    /// Operation code; -1 for an error result and at the end.
    pub op: i32,
    /// Whether this is the end; no record follows then.
    pub done: bool,
    /// Error code of a result, -1 in requests and at the end.
    pub err: i32,
}

impl MultiHeader {
    /// Ends the list of operations, and the list of results.
    pub const END: Self = Self { op: -1, done: true, err: -1 };

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.op);
        out.put_bool(self.done);
        out.put_i32(self.err);
    }

    /// Reads one header.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { op: reader.i32()?, done: reader.bool()?, err: reader.i32()? })
    }
}

/// Reads the operations of a multi up to its end.
pub(crate) fn decode_writes<'a>(reader: &mut Reader<'a>) -> Result<Vec<Request<'a>>, DecodeError> {
    decode_requests(reader, |op| {
        matches!(
            op,
            OpCode::Create
                | OpCode::Create2
                | OpCode::CreateContainer
                | OpCode::CreateTtl
                | OpCode::Delete
                | OpCode::SetData
                | OpCode::Check
        )
    })
}

/// Reads the operations of a multiRead up to its end.
pub(crate) fn decode_reads<'a>(reader: &mut Reader<'a>) -> Result<Vec<Request<'a>>, DecodeError> {
    decode_requests(reader, |op| matches!(op, OpCode::GetData | OpCode::GetChildren))
}

fn decode_requests<'a>(
    reader: &mut Reader<'a>,
    allowed: impl Fn(OpCode) -> bool,
) -> Result<Vec<Request<'a>>, DecodeError> {
    let mut ops = Vec::new();
    loop {
        let offset = reader.offset();
        let header = MultiHeader::decode(reader)?;
        if header.done {
            return Ok(ops);
        }
        let op = OpCode::from_i32(header.op).filter(|&op| allowed(op));
        let value = header.op;
        let op = op.ok_or(DecodeError::Value { what: "operation in a multi", offset, value })?;
        let request = Request::read(op, reader)?;
        // Alone, such a create gets an error of its own; in a multi it spoils the whole.
        if let Request::Create(create) = &request
            && CreateMode::from_flags(create.flags).is_none()
        {
            return Err(DecodeError::Value { what: "create flags", offset, value: create.flags });
        }
        ops.push(request);
    }
}

/// Appends the operations and the end.
pub(crate) fn encode_requests(ops: &[Request<'_>], out: &mut Vec<u8>) {
    for request in ops {
        MultiHeader { op: request.op().code(), done: false, err: -1 }.encode(out);
        request.encode(out);
    }
    MultiHeader::END.encode(out);
}

/// The outcome of one operation of a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult<'a> {
    /// A znode was created, by `Create`.
    Create {
        /// Its path.
        path: Cow<'a, str>,
    },
    /// A znode was created, by any other of the create operations.
    Create2 {
        /// Its path.
        path: Cow<'a, str>,
        /// Its stat.
        stat: Stat,
    },
    /// A znode was deleted.
    Delete,
    /// Data was replaced.
    SetData {
        /// The znode's stat.
        stat: Stat,
    },
    /// A version was as expected.
    Check,
    /// A znode's children, in a multiRead.
    GetChildren {
        /// Their names.
        children: Vec<Cow<'a, str>>,
    },
    /// A znode's data, in a multiRead.
    GetData {
        /// Its data, or null.
        data: Option<&'a [u8]>,
        /// Its stat.
        stat: Stat,
    },
    /// The operation failed, or, with code 0, was undone because a later one failed.
    Error(i32),
}

impl<'a> MultiResult<'a> {
    /// Appends one result with its header. The list must be ended with [`MultiHeader::END`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (op, err) = match self {
            Self::Create { .. } => (OpCode::Create, 0),
            Self::Create2 { .. } => (OpCode::Create2, 0),
            Self::Delete => (OpCode::Delete, 0),
            Self::SetData { .. } => (OpCode::SetData, 0),
            Self::Check => (OpCode::Check, 0),
            Self::GetChildren { .. } => (OpCode::GetChildren, 0),
            Self::GetData { .. } => (OpCode::GetData, 0),
            Self::Error(code) => (OpCode::Error, *code),
        };
        MultiHeader { op: op.code(), done: false, err }.encode(out);
        match self {
            Self::Create { path } => out.put_text(path),
            Self::Create2 { path, stat } => {
                out.put_text(path);
                stat.encode(out);
            }
            Self::Delete | Self::Check => {}
            Self::SetData { stat } => stat.encode(out),
            Self::GetChildren { children } => out.put_texts(children),
            Self::GetData { data, stat } => {
                out.put_buffer(*data);
                stat.encode(out);
            }
            Self::Error(code) => out.put_i32(*code),
        }
    }

    fn decode(header: MultiHeader, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        Ok(match OpCode::from_i32(header.op) {
            Some(OpCode::Create) => Self::Create { path: reader.text()? },
            Some(OpCode::Create2) => {
                Self::Create2 { path: reader.text()?, stat: Stat::decode(reader)? }
            }
            Some(OpCode::Delete) => Self::Delete,
            Some(OpCode::SetData) => Self::SetData { stat: Stat::decode(reader)? },
            Some(OpCode::Check) => Self::Check,
            Some(OpCode::GetChildren) => Self::GetChildren { children: reader.texts()? },
            Some(OpCode::GetData) => {
                Self::GetData { data: reader.buffer()?, stat: Stat::decode(reader)? }
            }
            Some(OpCode::Error) => Self::Error(reader.i32()?),
            _ => {
                let what = "operation of a multi's result";
                return Err(DecodeError::Value { what, offset, value: header.op });
            }
        })
    }
}

/// Appends all results and the end: the body of a multi's reply.
pub fn encode_multi_results(results: &[MultiResult<'_>], out: &mut Vec<u8>) {
    for result in results {
        result.encode(out);
    }
    MultiHeader::END.encode(out);
}

/// Reads all results up to the end.
pub fn decode_multi_results<'a>(
    reader: &mut Reader<'a>,
) -> Result<Vec<MultiResult<'a>>, DecodeError> {
    let mut results = Vec::new();
    loop {
        let header = MultiHeader::decode(reader)?;
        if header.done {
            return Ok(results);
        }
        results.push(MultiResult::decode(header, reader)?);
    }
}
