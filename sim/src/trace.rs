//! What happened, as lines for people and as one number that tells two histories apart.

use std::fmt;

use crate::clock::Nanos;
use crate::random::mix;

/// Who a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Client(usize),
    Server(usize),
    World,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Client(number) => f.pad(&format!("client {number}")),
            Who::Server(number) => f.pad(&format!("server {}", number + 1)),
            Who::World => f.pad("world"),
        }
    }
}

/// Takes note of everything that happens in a history.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    /// Events noted.
    pub(crate) events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(keeps_lines: bool) -> Self {
        Self { lines: keeps_lines.then(Vec::new), ..Self::default() }
    }

    /// Something happened. `number` stands for all that the line's text depends on.
    pub(crate) fn note(
        &mut self,
        at: Nanos,
        who: Who,
        what: &'static str,
        number: u64,
        text: impl FnOnce() -> String,
    ) {
        let who_number = match who {
            Who::Client(client) => client as u64,
            Who::Server(member) => 100 + member as u64,
            Who::World => 200,
        };
        self.hash = mix(self.hash ^ at);
        self.hash = mix(self.hash ^ number).wrapping_add(who_number);
        self.hash = mix(self.hash ^ digest(what.as_bytes()));
        self.events += 1;
        if let Some(lines) = &mut self.lines {
            let (ms, micros) = (at / 1_000_000, at / 1_000 % 1_000);
            lines.push(format!("{ms:>7}.{micros:03}  {who:<9} {what:<10} {}", text()));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// A number that stands for some bytes.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |digest, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(digest ^ u64::from_le_bytes(word))
    })
}
