//! One recorded connection of the scripted client.

use std::io::{Error, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use tenure_wire::{
    AUTH_XID, ConnectRequest, ConnectResponse, NOTIFICATION_XID, OpCode, PING_XID, Put, Reader,
    ReplyHeader, Request, SET_WATCHES_XID, Xid, frame,
};

use crate::recorder::{Recorder, Way, read_frame};

/// An established connection, its last xid, and the answer to its handshake.
pub(crate) struct Link {
    stream: TcpStream,
    xid: i32,
    /// What the server granted.
    pub(crate) granted: ConnectResponse,
}

impl Link {
    /// Connects and records the handshake.
    pub(crate) fn open(
        recorder: &mut Recorder,
        server: &str,
        (name, sentence): (&str, &str),
        request: &ConnectRequest<'_>,
    ) -> Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let bytes = framed(|out| request.encode(out));
        recorder.describe(sentence);
        recorder.frame(name, Way::Request, "connect", &bytes);
        stream.write_all(&bytes)?;
        let answer = read_frame(&mut stream)?.ok_or(Error::other("no answer to a handshake"))?;
        recorder.frame(name, Way::Reply, "connect", &answer);
        let granted = ConnectResponse::decode(&answer[4..]).map_err(Error::other)?;
        Ok(Self { stream, xid: 0, granted })
    }

    /// Connects with a new session, recording nothing.
    pub(crate) fn silent(server: &str) -> Result<Self> {
        let request =
            ConnectRequest { timeout_ms: 10_000, password: Some(&[0; 16]), ..Default::default() };
        Self::open(&mut Recorder::default(), server, ("", ""), &request)
    }

    /// Sends a request and records it, its reply, and notifications that come before that.
    /// Returns the error code of the reply.
    pub(crate) fn ask(
        &mut self,
        recorder: &mut Recorder,
        (name, sentence): (&str, &str),
        request: &Request<'_>,
    ) -> Result<i32> {
        let op = request.op();
        let mut body = Vec::new();
        request.encode(&mut body);
        self.ask_raw(recorder, (name, sentence), (Way::Request, op.code(), op.name()), &body)
    }

    /// As `ask`, for any body and operation code.
    pub(crate) fn ask_raw(
        &mut self,
        recorder: &mut Recorder,
        (name, sentence): (&str, &str),
        (way, op, label): (Way, i32, &str),
        body: &[u8],
    ) -> Result<i32> {
        let xid = match OpCode::from_i32(op) {
            Some(OpCode::Ping) => PING_XID,
            Some(OpCode::Auth) => AUTH_XID,
            Some(OpCode::SetWatches | OpCode::SetWatches2) => SET_WATCHES_XID,
            _ => {
                self.xid += 1;
                Xid(self.xid)
            }
        };
        let bytes = framed(|out| {
            out.put_i32(xid.0);
            out.put_i32(op);
            out.extend_from_slice(body);
        });
        recorder.describe(sentence);
        recorder.frame(name, way, label, &bytes);
        self.stream.write_all(&bytes)?;
        loop {
            let answer = read_frame(&mut self.stream)?.ok_or(Error::other("no reply"))?;
            let header = ReplyHeader::decode(&mut Reader::new(&answer[4..]));
            let header = header.map_err(Error::other)?;
            if header.xid == xid {
                recorder.frame(name, Way::Reply, label, &answer);
                return Ok(header.err);
            }
            assert_eq!(header.xid, NOTIFICATION_XID, "{name}");
            recorder.frame(name, Way::Reply, "notification", &answer);
        }
    }

    /// Sends a request without recording anything; it must succeed.
    pub(crate) fn quietly(&mut self, request: &Request<'_>) -> Result<()> {
        match self.ask(&mut Recorder::default(), ("", ""), request)? {
            0 => Ok(()),
            code => Err(Error::other(format!("{request:?} failed with {code}"))),
        }
    }

    /// Records the next notification.
    pub(crate) fn notified(&mut self, recorder: &mut Recorder, name: &str) -> Result<()> {
        let frame = read_frame(&mut self.stream)?.ok_or(Error::other("no notification"))?;
        recorder.frame(name, Way::Reply, "notification", &frame);
        Ok(())
    }

    /// Closes the session.
    pub(crate) fn close(mut self) -> Result<()> {
        self.quietly(&Request::CloseSession)
    }
}

/// A whole frame around what `payload` appends.
fn framed(payload: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    let start = frame::begin(&mut out);
    payload(&mut out);
    frame::end(&mut out, start);
    out
}
