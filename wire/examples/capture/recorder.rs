//! Reads frames from sockets, and writes them down as text.

use std::fmt::Write;
use std::io::{Read, Result};
use std::net::TcpStream;
use std::path::Path;

/// Which way a frame went.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// From the client to the server.
    Request,
    /// From the client to the server, which could not decode it.
    BadRequest,
    /// From the server to the client.
    Reply,
}

/// The frames of one golden file.
#[derive(Default)]
pub(crate) struct Recorder {
    text: String,
}

impl Recorder {
    /// Adds a blank line and a sentence about the frames that follow.
    pub(crate) fn describe(&mut self, sentence: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        writeln!(self.text, "# {sentence}").expect("a String takes all");
    }

    /// Adds a frame: its name, way and operation, then its bytes, length prefix included.
    pub(crate) fn frame(&mut self, name: &str, way: Way, op: &str, frame: &[u8]) {
        let way = match way {
            Way::Request => '>',
            Way::BadRequest => 'x',
            Way::Reply => '<',
        };
        writeln!(self.text, "{name} {way} {op}").expect("a String takes all");
        for line in frame.chunks(32) {
            self.text.push_str("   ");
            for word in line.chunks(4) {
                self.text.push(' ');
                for byte in word {
                    write!(self.text, "{byte:02x}").expect("a String takes all");
                }
            }
            self.text.push('\n');
        }
    }

    /// Writes the file.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        std::fs::write(path, &self.text)
    }
}

/// Reads one frame with its length prefix; `None` if the other side closed the connection.
pub(crate) fn read_frame(stream: &mut TcpStream) -> Result<Option<Vec<u8>>> {
    let mut frame = vec![0; 4];
    if stream.read_exact(&mut frame).is_err() {
        return Ok(None);
    }
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
    frame.resize(4 + length as usize, 0);
    stream.read_exact(&mut frame[4..])?;
    Ok(Some(frame))
}
