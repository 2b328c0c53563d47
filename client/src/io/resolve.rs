//! Names to addresses, on a thread of its own: the system's resolver may block for long.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::{Command, Io};
use crate::machine::{Host, LinkId};

/// Asks for addresses; answers come as commands.
pub(super) struct Resolver {
    io: Io,
    questions: Option<Sender<(u64, LinkId, Host)>>,
}

impl Resolver {
    pub(super) fn new(io: Io) -> Self {
        Self { io, questions: None }
    }

    /// The address of a host that needs no look-up; otherwise the answer comes later.
    pub(super) fn ask(&mut self, session: u64, link: LinkId, host: Host) -> Option<SocketAddr> {
        if let Ok(ip) = host.name.parse::<IpAddr>() {
            return Some(SocketAddr::new(ip, host.port));
        }
        if let Err(error) = self.enqueue(session, link, host) {
            self.io.send(Command::Resolved(session, link, Err(error)));
        }
        None
    }

    fn enqueue(&mut self, session: u64, link: LinkId, host: Host) -> io::Result<()> {
        let questions = match &self.questions {
            Some(questions) => questions,
            None => self.questions.insert(start(self.io.clone())?),
        };
        let gone = |_| io::Error::other("the resolver's thread is gone");
        questions.send((session, link, host)).map_err(gone)
    }
}

fn start(io: Io) -> io::Result<Sender<(u64, LinkId, Host)>> {
    let (questions, asked) = mpsc::channel::<(u64, LinkId, Host)>();
    thread::Builder::new().name("tenure-resolver".into()).spawn(move || {
        for (session, link, host) in asked {
            let found = (host.name.as_str(), host.port).to_socket_addrs().map(Vec::from_iter);
            io.send(Command::Resolved(session, link, found));
        }
    })?;
    Ok(questions)
}
