//! Where results and errors go: text for people, or one JSON document per command.

use std::io::{self, Write};

use serde_json::Value;

use super::error::ShellError;

/// Results go to standard output, errors and remarks to standard error.
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) colors: bool,
}

impl Output {
    /// Text for people, as it is; nothing in JSON.
    pub(super) fn text(&self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// One line for people.
    pub(super) fn line(&self, line: &str) -> io::Result<()> {
        self.text(&format!("{line}\n"))
    }

    /// Bytes as they are; nothing in JSON.
    pub(super) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        write(bytes)
    }

    /// The document of a command that succeeded; nothing for people.
    pub(super) fn document(&self, document: &Value) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        write(format!("{document}\n").as_bytes())
    }

    /// A remark that is neither result nor error.
    pub(super) fn remark(&self, remark: &str) {
        if !self.json {
            // Nothing can be said of a standard error that cannot be written.
            let _ = writeln!(io::stderr(), "{remark}");
        }
    }

    pub(super) fn error(&self, error: &ShellError) {
        let text = match (self.json, self.colors) {
            (true, _) => error.json().to_string(),
            (false, true) => format!("\x1b[31m{error}\x1b[0m"),
            (false, false) => error.to_string(),
        };
        let _ = writeln!(io::stderr(), "{text}");
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
