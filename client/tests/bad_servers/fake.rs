//! Servers that do what no server should: a thread that accepts, and a script for each connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tenure_client::SessionId;
use tenure_wire::{
    ConnectResponse, PING_XID, Reader, ReplyHeader, RequestHeader, Xid, Zxid, frame,
};

pub(crate) const SESSION: SessionId = SessionId(0x5e55_1042);

/// A server that serves one connection after the other by a script.
pub(crate) struct Fake {
    pub(crate) addr: SocketAddr,
    accepted: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// The script is given the number of the connection, from 0, and plays until it returns.
    pub(crate) fn start(mut script: impl FnMut(u64, &mut Link) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (accepted, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (Arc::clone(&accepted), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                // No script may wait for ever.
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                script(count.fetch_add(1, Ordering::SeqCst), &mut Link { stream });
            }
        });
        Self { addr, accepted, is_over, thread: Some(thread) }
    }

    pub(crate) fn hosts(&self) -> String {
        self.addr.to_string()
    }

    /// Connections made so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread if it accepts; if it plays, that ends with its client.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take().filter(|_| !thread::panicking()) {
            thread.join().expect("the script does not panic");
        }
    }
}

/// The server's end of a connection. What fails to be written is not the script's business.
pub(crate) struct Link {
    stream: TcpStream,
}

impl Link {
    /// The next frame's payload; `None` once the client is gone.
    pub(crate) fn read(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(payload)
    }

    /// The next request; pings are answered on the way.
    pub(crate) fn request(&mut self) -> Option<RequestHeader> {
        loop {
            let payload = self.read()?;
            let header = RequestHeader::decode(&mut Reader::new(&payload)).unwrap();
            if header.xid != PING_XID {
                return Some(header);
            }
            self.write(&reply(PING_XID, 0, &[]));
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads the handshake and agrees to everything.
    pub(crate) fn shake(&mut self, timeout_ms: i32) -> Option<()> {
        self.read()?;
        self.write(&welcome(timeout_ms));
        Some(())
    }

    /// Answers nothing any more, and waits until the client is gone.
    pub(crate) fn ignore(&mut self) {
        while self.read().is_some() {}
    }

    /// Answers pings and nothing else.
    pub(crate) fn only_ping(&mut self) {
        while self.request().is_some() {}
    }

    /// Ends the server's side, and waits until the client is gone too.
    pub(crate) fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.ignore();
    }
}

/// The frame that establishes or resumes the one session there is.
pub(crate) fn welcome(timeout_ms: i32) -> Vec<u8> {
    let response = ConnectResponse {
        timeout_ms,
        session: SESSION,
        password: [7; 16],
        read_only: Some(false),
        ..ConnectResponse::default()
    };
    framed(|out| response.encode(out))
}

/// The frame of a reply.
pub(crate) fn reply(xid: Xid, err: i32, body: &[u8]) -> Vec<u8> {
    let header = ReplyHeader { xid, zxid: Zxid(5), err };
    framed(|out| {
        header.encode(out);
        out.extend_from_slice(body);
    })
}

fn framed(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    let start = frame::begin(&mut out);
    encode(&mut out);
    frame::end(&mut out, start);
    out
}
