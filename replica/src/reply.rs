//! Writes reply frames straight into the outputs.

use tenure_wire::{
    ErrorCode, EventType, MultiHeader, MultiResult, NOTIFICATION_XID, OpCode, Put, ReplyHeader,
    SYNC_CONNECTED, WatcherEvent, Xid, Zxid,
};

use crate::apply::Done;
use crate::input::ConnId;
use crate::output::{Answered, Outputs};

/// The request being answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) conn: ConnId,
    pub(crate) xid: Xid,
    pub(crate) op: i32,
    pub(crate) write: bool,
    pub(crate) latency_us: u64,
}

/// Appends a reply whose body `body` writes. If it fails, whatever it wrote is taken back and the
/// reply has its error code and no body: exactly 16 bytes (trap 18).
pub(crate) fn reply(
    out: &mut Outputs,
    asked: Asked,
    zxid: Zxid,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), ErrorCode>,
) -> Result<(), ErrorCode> {
    let mut outcome = Ok(());
    out.send(asked.conn, |bytes| {
        let start = bytes.len();
        ReplyHeader { xid: asked.xid, zxid, err: 0 }.encode(bytes);
        outcome = body(bytes);
        if let Err(code) = outcome {
            bytes.truncate(start);
            ReplyHeader { xid: asked.xid, zxid, err: code.code() }.encode(bytes);
        }
    });
    let err = outcome.map_or_else(ErrorCode::code, |()| 0);
    let Asked { conn, xid, op, write, latency_us } = asked;
    out.answered.push(Answered { conn, op, xid, zxid, err, write, latency_us });
    outcome
}

/// Appends the answer to a SASL token that proves nothing. Alone among errors it has a body, a null
/// token.
pub(crate) fn sasl_failed(out: &mut Outputs, asked: Asked, error: ErrorCode) {
    let zxid = Zxid(0);
    out.send(asked.conn, |bytes| {
        ReplyHeader { xid: asked.xid, zxid, err: error.code() }.encode(bytes);
        bytes.put_buffer(None);
    });
    let Asked { conn, xid, op, write, latency_us } = asked;
    out.answered.push(Answered { conn, op, xid, zxid, err: error.code(), write, latency_us });
}

/// Appends a notification.
pub(crate) fn notify(out: &mut Outputs, conn: ConnId, zxid: Zxid, kind: EventType, path: &str) {
    out.send(conn, |bytes| {
        ReplyHeader { xid: NOTIFICATION_XID, zxid, err: 0 }.encode(bytes);
        WatcherEvent { kind, state: SYNC_CONNECTED, path: path.into() }.encode(bytes);
    });
}

/// Writes the body of a write's reply.
pub(crate) fn body_of(op: OpCode, done: &Done, bytes: &mut Vec<u8>) {
    match done {
        Done::Created { path, stat } => {
            bytes.put_text(path);
            if op != OpCode::Create {
                stat.encode(bytes);
            }
        }
        Done::Set(stat) => stat.encode(bytes),
        Done::Reconfigured { text, stat } => {
            bytes.put_buffer(Some(text.as_bytes()));
            stat.encode(bytes);
        }
        Done::Deleted | Done::Checked => {}
        Done::Multi(results) => {
            for result in results {
                multi_result(result).encode(bytes);
            }
            MultiHeader::END.encode(bytes);
        }
    }
}

fn multi_result(result: &Result<(OpCode, Done), ErrorCode>) -> MultiResult<'_> {
    match result {
        Err(code) => MultiResult::Error(code.code()),
        Ok((OpCode::Create, Done::Created { path, .. })) => {
            MultiResult::Create { path: path.into() }
        }
        Ok((_, Done::Created { path, stat })) => {
            MultiResult::Create2 { path: path.into(), stat: *stat }
        }
        Ok((_, Done::Set(stat))) => MultiResult::SetData { stat: *stat },
        Ok((_, Done::Deleted)) => MultiResult::Delete,
        // Neither stands in a multi.
        Ok((_, Done::Reconfigured { .. } | Done::Checked | Done::Multi(_))) => MultiResult::Check,
    }
}
