//! Reads through sessions of their own: proof that a server has its data.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use tenure_wire::{
    ConnectRequest, ConnectResponse, OpCode, Reader, ReplyHeader, Request, RequestHeader, Xid,
    frame,
};

/// Tries until the znode can be read, for as long as `worthwhile` says so; whether it could.
///
/// A server that is starting may close a connection, or accept it and forget it, so no try may
/// take long.
pub(crate) fn wait(server: SocketAddr, path: &str, worthwhile: impl Fn() -> bool) -> bool {
    while worthwhile() {
        if read(server, path).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Opens a session, reads the znode, and leaves.
fn read(server: SocketAddr, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server).context("cannot connect")?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
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
