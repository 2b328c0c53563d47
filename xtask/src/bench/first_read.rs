//! One read through a session of its own: proof that a server has its data.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use tenure_wire::{
    ConnectRequest, ConnectResponse, OpCode, Reader, ReplyHeader, Request, RequestHeader, Xid,
    frame,
};

/// Opens a session, reads the znode, and leaves.
pub(crate) fn read(server: SocketAddr, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server).context("cannot connect")?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let password = Some(&[0; 16][..]);
    let hello = ConnectRequest { timeout_ms: 10_000, password, ..ConnectRequest::default() };
    let granted = exchange(&mut stream, |out| hello.encode(out))?;
    ensure!(ConnectResponse::decode(&granted)?.timeout_ms > 0, "no session was granted");

    let request = Request::GetData { path: path.into(), watch: false };
    let reply = exchange(&mut stream, |out| {
        RequestHeader { xid: Xid(1), op: OpCode::GetData.code() }.encode(out);
        request.encode(out);
    })?;
    let err = ReplyHeader::decode(&mut Reader::new(&reply))?.err;
    ensure!(err == 0, "the read of {path} was answered with error {err}");
    exchange(&mut stream, |out| {
        RequestHeader { xid: Xid(2), op: OpCode::CloseSession.code() }.encode(out);
    })?;
    Ok(())
}

/// Sends one frame and waits for one.
fn exchange(stream: &mut TcpStream, encode: impl FnOnce(&mut Vec<u8>)) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    let start = frame::begin(&mut out);
    encode(&mut out);
    frame::end(&mut out, start);
    stream.write_all(&out)?;
    let mut prefix = [0; frame::PREFIX_LEN];
    stream.read_exact(&mut prefix)?;
    let length = usize::try_from(i32::from_be_bytes(prefix)).context("a negative length")?;
    ensure!(length <= frame::DEFAULT_MAX_FRAME, "an answer of {length} bytes");
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}
