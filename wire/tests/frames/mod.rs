//! The golden frames, read from `golden/*.hex`.

use std::fs;
use std::path::Path;

use tenure_wire::{
    ConnectRequest, ConnectResponse, DecodeError, OpCode, Reader, ReplyHeader, Request,
    RequestHeader, Response, WatcherEvent, frame,
};

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Request,
    /// From the client to the server, which could not decode it.
    BadRequest,
    /// From the server to the client.
    Reply,
}

/// What a frame's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A handshake.
    Connect,
    /// A watch notification.
    Notification,
    /// A request or reply of this operation; `None` for a code that nobody knows.
    Op(Option<OpCode>),
}

/// One captured frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// File and name, such as `create/persistent`.
    pub(crate) name: String,
    /// Which way it went.
    pub(crate) way: Way,
    /// What it is.
    pub(crate) kind: Kind,
    /// Its bytes, with the length prefix.
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// Its bytes without the length prefix.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[frame::PREFIX_LEN..]
    }
}

/// A decoded payload.
#[derive(Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// A client's handshake.
    ConnectRequest(ConnectRequest<'a>),
    /// A server's handshake.
    ConnectResponse(ConnectResponse),
    /// A request.
    Request(RequestHeader, Request<'a>),
    /// A reply with its body.
    Reply(ReplyHeader, Response<'a>),
    /// A reply without a body, because of an error.
    Error(ReplyHeader),
    /// A notification.
    Event(ReplyHeader, WatcherEvent<'a>),
}

impl<'a> Value<'a> {
    /// Decodes a payload as what it is said to be.
    pub(crate) fn decode(way: Way, kind: Kind, payload: &'a [u8]) -> Result<Self, DecodeError> {
        let reader = &mut Reader::new(payload);
        if way != Way::Reply {
            if kind == Kind::Connect {
                return ConnectRequest::decode(payload).map(Self::ConnectRequest);
            }
            let header = RequestHeader::decode(reader)?;
            let unknown = DecodeError::Value { what: "operation", offset: 4, value: header.op };
            let op = OpCode::from_i32(header.op).ok_or(unknown)?;
            return Ok(Self::Request(header, Request::decode(op, reader.rest())?));
        }
        if kind == Kind::Connect {
            return ConnectResponse::decode(payload).map(Self::ConnectResponse);
        }
        let header = ReplyHeader::decode(reader)?;
        Ok(match kind {
            Kind::Notification => Self::Event(header, WatcherEvent::decode(reader)?),
            Kind::Op(Some(op)) if header.err == 0 => {
                Self::Reply(header, Response::decode(op, reader.rest())?)
            }
            _ => Self::Error(header),
        })
    }

    /// The whole frame again.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let start = frame::begin(&mut out);
        match self {
            Self::ConnectRequest(request) => request.encode(&mut out),
            Self::ConnectResponse(response) => response.encode(&mut out),
            Self::Request(header, request) => {
                header.encode(&mut out);
                request.encode(&mut out);
            }
            Self::Reply(header, response) => {
                header.encode(&mut out);
                response.encode(&mut out);
            }
            Self::Error(header) => header.encode(&mut out),
            Self::Event(header, event) => {
                header.encode(&mut out);
                event.encode(&mut out);
            }
        }
        frame::end(&mut out, start);
        out
    }
}

/// Every golden frame, in the order of file names.
pub(crate) fn load() -> Vec<Frame> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "hex"));
    files.sort();
    files.iter().flat_map(|path| parse(path)).collect()
}

fn parse(path: &Path) -> Vec<Frame> {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let mut frames: Vec<Frame> = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(hex) = line.strip_prefix("    ") {
            let digits: String = hex.split(' ').collect();
            let bytes = digits.as_bytes().chunks(2);
            let bytes = bytes.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16));
            frames.last_mut().unwrap().bytes.extend(bytes.map(|byte| byte.unwrap()));
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let [name, way, op] = words[..] else { panic!("{stem}: {line}") };
        let way = match way {
            ">" => Way::Request,
            "x" => Way::BadRequest,
            "<" => Way::Reply,
            _ => panic!("{stem}: {line}"),
        };
        let kind = match op {
            "connect" => Kind::Connect,
            "notification" => Kind::Notification,
            _ => Kind::Op(OpCode::ALL.iter().copied().find(|code| code.name() == op)),
        };
        frames.push(Frame { name: format!("{stem}/{name}"), way, kind, bytes: Vec::new() });
    }
    frames
}
