//! Stands between another client and the server, one connection after the other.

use std::collections::HashMap;
use std::io::{Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tenure_wire::{OpCode, Reader, ReplyHeader, Request, RequestHeader};

use crate::recorder::{Recorder, Way, read_frame};

/// What both directions of all connections share.
#[derive(Default)]
struct Log {
    recorder: Recorder,
    frames: usize,
    ops: HashMap<i32, String>,
}

/// Records every connection to `listen`, rewriting `file` after each, until killed.
pub(crate) fn run(listen: &str, server: &str, file: &Path) -> Result<()> {
    let log = Arc::new(Mutex::new(Log::default()));
    for client in TcpListener::bind(listen)?.incoming() {
        let client = client?;
        let server = TcpStream::connect(server)?;
        let (to_client, from_server) = (client.try_clone()?, server.try_clone()?);
        let replies = Arc::clone(&log);
        let back = std::thread::spawn(move || {
            relay(from_server, to_client, |first, frame| {
                replies.lock().expect("no frame panics").reply(first, frame)
            })
        });
        relay(client, server, |first, frame| {
            log.lock().expect("no frame panics").request(first, frame)
        })?;
        back.join().expect("no frame panics")?;
        log.lock().expect("no frame panics").recorder.save(file)?;
    }
    Ok(())
}

/// Passes frames on until one side closes. `note` learns whether a frame is the first.
fn relay(mut from: TcpStream, mut to: TcpStream, note: impl Fn(bool, &[u8])) -> Result<()> {
    let mut first = true;
    while let Some(frame) = read_frame(&mut from)? {
        note(first, &frame);
        first = false;
        if to.write_all(&frame).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    Ok(())
}

impl Log {
    fn request(&mut self, first: bool, frame: &[u8]) {
        self.frames += 1;
        if first {
            self.recorder.describe("Handshake");
            let name = format!("{:03}-connect", self.frames);
            return self.recorder.frame(&name, Way::Request, "connect", frame);
        }
        let mut reader = Reader::new(&frame[4..]);
        let Ok(header) = RequestHeader::decode(&mut reader) else { return };
        let Some(op) = OpCode::from_i32(header.op) else { return };
        let body = Request::decode(op, reader.rest());
        self.ops.insert(header.xid.0, op.name().to_owned());
        match body {
            Ok(body) => self.recorder.describe(&format!("{body:?}")),
            Err(error) => self.recorder.describe(&error.to_string()),
        }
        let name = format!("{:03}-{op}", self.frames);
        self.recorder.frame(&name, Way::Request, op.name(), frame);
    }

    fn reply(&mut self, first: bool, frame: &[u8]) {
        self.frames += 1;
        let op = if first {
            "connect".to_owned()
        } else {
            let Ok(header) = ReplyHeader::decode(&mut Reader::new(&frame[4..])) else { return };
            match header.xid.0 {
                -1 => "notification".to_owned(),
                xid => self.ops.get(&xid).cloned().unwrap_or_default(),
            }
        };
        let name = format!("{:03}-{op}", self.frames);
        self.recorder.frame(&name, Way::Reply, &op, frame);
    }
}
