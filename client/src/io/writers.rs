//! Asks servers whether they can write, on a thread of its own: a connection for four letters is
//! not worth a place in the loop.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::{Command, Io};
use crate::machine::Host;
use crate::tls::Tls;

/// How long a connection may take to come about, and each answer after that.
const PATIENCE: Duration = Duration::from_secs(1);

/// A session, one of its servers, and how that is spoken to.
type Question = (u64, Host, Option<Tls>);

/// Puts the question; answers come as commands.
pub(super) struct Writers {
    io: Io,
    questions: Option<Sender<Question>>,
}

impl Writers {
    pub(super) fn new(io: Io) -> Self {
        Self { io, questions: None }
    }

    /// Asks a server for a session.
    pub(super) fn ask(&mut self, session: u64, host: Host, tls: Option<Tls>) {
        if self.enqueue((session, host.clone(), tls)).is_err() {
            self.io.send(Command::WriterAnswered(session, host, false));
        }
    }

    fn enqueue(&mut self, question: Question) -> io::Result<()> {
        let questions = match &self.questions {
            Some(questions) => questions,
            None => self.questions.insert(start(self.io.clone())?),
        };
        questions.send(question).map_err(|_| io::Error::other("the thread is gone"))
    }
}

fn start(io: Io) -> io::Result<Sender<Question>> {
    let (questions, asked) = mpsc::channel::<Question>();
    thread::Builder::new().name("tenure-writers".into()).spawn(move || {
        for (session, host, tls) in asked {
            let can_write = can_write(&host, tls.as_ref()).unwrap_or(false);
            io.send(Command::WriterAnswered(session, host, can_write));
        }
    })?;
    Ok(questions)
}

fn can_write(host: &Host, tls: Option<&Tls>) -> io::Result<bool> {
    let mut addrs = (host.name.as_str(), host.port).to_socket_addrs()?;
    let connected = addrs.find_map(|addr| TcpStream::connect_timeout(&addr, PATIENCE).ok());
    let Some(stream) = connected else { return Ok(false) };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match tls {
        Some(tls) => answers_rw(tls.blocking(&host.name, stream)?),
        None => answers_rw(stream),
    }
}

fn answers_rw(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(b"isro")?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"rw")
}
