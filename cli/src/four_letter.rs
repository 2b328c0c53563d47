//! Four-letter words: short questions that every ZooKeeper-speaking server answers on its client
//! port, without a session.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Longer than any answer that is asked for here.
const MAX_ANSWER_BYTES: u64 = 256 * 1024;

/// The answer of the server at `HOST:PORT` to a word.
///
/// # Errors
/// If it cannot be reached, or has not answered when the limit is over.
pub(crate) fn ask(address: &str, word: &str, limit: Duration) -> io::Result<String> {
    let deadline = Instant::now() + limit;
    let late = || io::Error::new(ErrorKind::TimedOut, format!("no answer within {limit:?}"));
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(late()),
        left => Ok(left),
    };
    let in_time = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => late(),
        _ => error,
    };
    let mut failed = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&address, left()?) {
            Ok(stream) => stream,
            Err(error) => {
                failed = in_time(error);
                continue;
            }
        };
        stream.write_all(word.as_bytes())?;
        let (mut answer, mut part) = (Vec::new(), [0; 4096]);
        while (answer.len() as u64) < MAX_ANSWER_BYTES {
            stream.set_read_timeout(Some(left()?))?;
            match stream.read(&mut part).map_err(in_time)? {
                0 => break,
                read => answer.extend_from_slice(&part[..read]),
            }
        }
        return Ok(String::from_utf8_lossy(&answer).into_owned());
    }
    Err(failed)
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Srvr {
    /// It serves clients.
    Serving(Serving),
    /// It runs, but starts still or has no leader.
    NotServing,
    /// Its list of words lacks `srvr`, or it is no server of the kind.
    Unanswered,
}

/// What `srvr` tells of a server that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Serving {
    pub(crate) role: Role,
    /// The last change it has applied.
    pub(crate) zxid: i64,
    /// Open client connections, that of the question included.
    pub(crate) connections: u64,
}

/// What a server is in its ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Standalone,
    Leader,
    Follower,
    Observer,
    ReadOnly,
}

impl Role {
    const ALL: [Self; 5] =
        [Self::Standalone, Self::Leader, Self::Follower, Self::Observer, Self::ReadOnly];

    /// As servers write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

impl Srvr {
    /// Asks a server.
    ///
    /// # Errors
    /// As [`ask`].
    pub(crate) fn of(address: &str, limit: Duration) -> io::Result<Self> {
        Ok(Self::parse(&ask(address, "srvr", limit)?))
    }

    pub(crate) fn parse(answer: &str) -> Self {
        if answer.contains("not currently serving requests") {
            return Self::NotServing;
        }
        let field = |name| value_of(answer, name, ": ");
        let read = || {
            let mode = field("Mode")?;
            Some(Serving {
                role: Role::ALL.into_iter().find(|role| role.name() == mode)?,
                zxid: i64::from_str_radix(field("Zxid")?.strip_prefix("0x")?, 16).ok()?,
                connections: field("Connections")?.parse().ok()?,
            })
        };
        read().map_or(Self::Unanswered, Self::Serving)
    }
}

/// The value on the line of an answer that begins with this name.
pub(crate) fn value_of<'a>(answer: &'a str, name: &str, separator: &str) -> Option<&'a str> {
    let of_line = |line: &'a str| line.strip_prefix(name)?.strip_prefix(separator);
    answer.lines().find_map(of_line).map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn srvr_of_either_implementation_is_read() {
        let answer = "Zookeeper version: 3.9.4-7246445ec281f3dbf53dc54e970c914f39713903, built on\n\
                      Latency min/avg/max: 0/0.0/0\nReceived: 2\nSent: 1\nConnections: 3\n\
                      Outstanding: 0\nZxid: 0x1a00000002\nMode: leader\nNode count: 5\n\
                      Proposal sizes last/min/max: -1/-1/-1\n";
        let expected = Serving { role: Role::Leader, zxid: 0x1a_0000_0002, connections: 3 };
        assert_eq!(Srvr::parse(answer), Srvr::Serving(expected));
        let answer = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(Srvr::parse(answer), Srvr::NotServing);
        for answer in ["", "srvr is not executed because it is not in the whitelist.\n"] {
            assert_eq!(Srvr::parse(answer), Srvr::Unanswered, "{answer:?}");
        }
    }

    #[test]
    fn a_server_that_says_nothing_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("bound").to_string();
        let error = ask(&address, "srvr", Duration::from_millis(20)).expect_err("silence");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("20ms"), "{error}");
        drop(silent);
        let error = ask(&address, "srvr", Duration::from_secs(5)).expect_err("nobody there");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
