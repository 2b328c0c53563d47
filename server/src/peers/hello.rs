//! What the two ends of a link say to each other first: who they are, which ensemble they belong
//! to, and which versions of the protocol between members they speak.
//!
//! # Versions
//!
//! An ensemble is upgraded one member after another, so members of two releases must be able to
//! talk. Each end tells the oldest and the newest version it speaks, and both use the newest that
//! both speak; if there is none, the link is refused with a line that names both spans. From that
//! follows how the protocol may change:
//!
//! - What changes the meaning of messages, or adds one that older members do not understand, raises
//!   [`Versions::OURS`]`.newest`. It is said only on links whose agreed version is that new.
//! - `oldest` is raised no sooner than one release later: so any two releases in a row can be
//!   mixed, and an upgrade over several of them goes through each.
//! - The frame of a greeting (its name, the versions, the length) and the first fields of its body
//!   are the same in all versions. Later ones append fields, which older ones pass over.

use std::fmt;
use std::io::{self, Write};
use std::time::Instant;

use super::stream::LinkStream;
use crate::limits;

/// The versions that one end speaks, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) oldest: u16,
    pub(super) newest: u16,
}

impl Versions {
    /// Those of this release.
    pub(super) const OURS: Versions = Versions { oldest: 1, newest: 1 };

    /// The version of a link between an end that speaks these and one that speaks others.
    pub(super) fn agreed(self, other: Versions) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.oldest, self.newest)
    }
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Messages, for as long as both ends run.
    Messages,
    /// One snapshot.
    Snapshot,
}

/// What the end that dials says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) versions: Versions,
    pub(super) purpose: Purpose,
    /// Who dials.
    pub(super) from: u64,
    /// Who is meant.
    pub(super) to: u64,
    /// The ensemble's id; 0 if it is not known yet, which matches any.
    pub(super) cluster: u64,
    /// Digest of the members' numbers if they are fixed, else 0. It tells ensembles apart before
    /// they have ids.
    pub(super) members: u64,
    /// Zxid of the change that made the members what the dialling end knows; 0 if it knows none,
    /// or they are fixed. Whoever knows later ones is right about who belongs to the ensemble.
    pub(super) version: u64,
    /// Its own `server.N` line, so that an end which does not know it can dial back; may be empty.
    pub(super) line: String,
}

/// What the end that was dialled answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) versions: Versions,
    /// Its ensemble's id; 0 if it is not known yet.
    pub(super) cluster: u64,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    Refused {
        /// Whether because it does not count the dialling server among the members.
        is_no_member: bool,
        /// Why, in a sentence.
        why: String,
    },
}

const HELLO: [u8; 8] = *b"tenure-p";
const ANSWER: [u8; 8] = *b"tenure-a";
const MESSAGES: u8 = 1;
const SNAPSHOT: u8 = 2;
const WELCOME: u8 = 0;
const REFUSED: u8 = 1;
const NO_MEMBER: u8 = 2;

/// Longest body, of later versions too. Longer ones are no greetings.
const MAX_BODY: usize = 1024;

/// Longest reason or line that is told.
const MAX_TEXT: usize = 512;

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        let purpose = match self.purpose {
            Purpose::Messages => MESSAGES,
            Purpose::Snapshot => SNAPSHOT,
        };
        let mut body = vec![purpose];
        for number in [self.from, self.to, self.cluster, self.members, self.version] {
            body.extend(number.to_be_bytes());
        }
        let line = if self.line.len() > MAX_TEXT { "" } else { &self.line };
        body.extend((line.len() as u16).to_be_bytes());
        body.extend(line.as_bytes());
        framed(HELLO, self.versions, &body)
    }

    /// Reads no byte beyond it. Fails if it is none, or is not there by then.
    pub(super) fn read(stream: &LinkStream, by: Instant) -> io::Result<Hello> {
        let (versions, body) = read_framed(stream, HELLO, by)?;
        let mut fields = Fields(&body);
        let purpose = match fields.byte()? {
            MESSAGES => Purpose::Messages,
            SNAPSHOT => Purpose::Snapshot,
            _ => return Err(malformed()),
        };
        let mut number = || fields.number();
        let (from, to) = (number()?, number()?);
        let (cluster, members, version) = (number()?, number()?, number()?);
        let line = fields.text()?;
        Ok(Hello { versions, purpose, from, to, cluster, members, version, line })
    }
}

impl Answer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (verdict, why) = match &self.verdict {
            Verdict::Welcome => (WELCOME, ""),
            Verdict::Refused { is_no_member: true, why } => (NO_MEMBER, why.as_str()),
            Verdict::Refused { is_no_member: false, why } => (REFUSED, why.as_str()),
        };
        let why = &why[..why.floor_char_boundary(MAX_TEXT)];
        let mut body = vec![verdict];
        body.extend(self.cluster.to_be_bytes());
        body.extend((why.len() as u16).to_be_bytes());
        body.extend(why.as_bytes());
        framed(ANSWER, self.versions, &body)
    }

    /// Reads no byte beyond it. Fails if it is none, or is not there by then.
    pub(super) fn read(stream: &LinkStream, by: Instant) -> io::Result<Answer> {
        let (versions, body) = read_framed(stream, ANSWER, by)?;
        let mut from = Fields(&body);
        let verdict = from.byte()?;
        let cluster = from.number()?;
        let why = from.text()?;
        let verdict = match verdict {
            WELCOME => Verdict::Welcome,
            verdict => Verdict::Refused { is_no_member: verdict == NO_MEMBER, why },
        };
        Ok(Answer { versions, cluster, verdict })
    }
}

fn framed(name: [u8; 8], versions: Versions, body: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(versions.oldest.to_be_bytes());
    bytes.extend(versions.newest.to_be_bytes());
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn read_framed(stream: &LinkStream, name: [u8; 8], by: Instant) -> io::Result<(Versions, Vec<u8>)> {
    let mut found = [0; 8];
    // Not a byte more of what does not begin like this.
    stream.read_exact_by(&mut found, by)?;
    if found != name {
        return Err(malformed());
    }
    let mut numbers = [0; 6];
    stream.read_exact_by(&mut numbers, by)?;
    let (numbers, _) = numbers.as_chunks::<2>();
    let [oldest, newest, length] = numbers else { return Err(malformed()) };
    let [oldest, newest, length] = [oldest, newest, length].map(|n| u16::from_be_bytes(*n));
    let mut body = vec![0; length.into()];
    if body.len() > MAX_BODY {
        return Err(malformed());
    }
    stream.read_exact_by(&mut body, by)?;
    Ok((Versions { oldest, newest }, body))
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no greeting of a member")
}

/// The fields of a body that were not read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*field)
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.take().map(|[byte]: [u8; 1]| byte)
    }

    fn number(&mut self) -> io::Result<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// Fit for a line of a log.
    fn text(&mut self) -> io::Result<String> {
        let length = u16::from_be_bytes(self.take()?);
        let (text, rest) = self.0.split_at_checked(length.into()).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect())
    }
}

/// Says a hello and waits for the answer.
pub(super) fn greet(mut stream: &LinkStream, hello: &Hello) -> io::Result<Answer> {
    stream.write_all(&hello.encode())?;
    Answer::read(stream, Instant::now() + limits::PEER_HELLO).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => io::Error::new(
            error.kind(),
            "it hung up without an answer; its log says why, as when only one end has sslQuorum",
        ),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::super::stream::tests::pair;
    use super::*;

    fn hello() -> Hello {
        Hello {
            versions: Versions { oldest: 2, newest: 5 },
            purpose: Purpose::Messages,
            from: 1,
            to: 3,
            cluster: 0xfeed,
            members: 99,
            version: 0x1_0000_0001,
            line: "server.1=a:1:2:participant".into(),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    /// What comes out at the other end of a link that ends behind these bytes.
    fn read<T>(
        bytes: &[u8],
        read: impl Fn(&LinkStream, Instant) -> io::Result<T>,
    ) -> io::Result<T> {
        let (here, there) = pair();
        (&here).write_all(bytes).expect("there is room");
        drop(here);
        read(&there, soon())
    }

    #[test]
    fn greetings_come_out_as_they_went_in() {
        for purpose in [Purpose::Messages, Purpose::Snapshot] {
            let hello = Hello { purpose, ..hello() };
            assert_eq!(read(&hello.encode(), Hello::read).expect("whole"), hello);
        }
        let refused = |is_no_member| Verdict::Refused { is_no_member, why: "no such".into() };
        for verdict in [Verdict::Welcome, refused(true), refused(false)] {
            let answer = Answer { versions: Versions::OURS, cluster: 7, verdict };
            assert_eq!(read(&answer.encode(), Answer::read).expect("whole"), answer);
        }
    }

    #[test]
    fn what_is_cut_short_or_begins_otherwise_is_no_greeting() {
        let bytes = hello().encode();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end], Hello::read).is_err(), "{end}");
        }
        assert!(read(&[b'G'; 64], Hello::read).is_err());
        assert!(read(&framed(HELLO, Versions::OURS, &[9; 40]), Hello::read).is_err());
        assert!(read(&framed(HELLO, Versions::OURS, &[1; 2000]), Hello::read).is_err());
    }

    #[test]
    fn later_versions_may_say_more() {
        let (here, there) = pair();
        let mut body = hello().encode().split_off(14);
        body.extend([7; 100]);
        (&here).write_all(&framed(HELLO, hello().versions, &body)).expect("there is room");
        (&here).write_all(b"next").expect("there is room");
        assert_eq!(Hello::read(&there, soon()).expect("the beginning is the same"), hello());
        let mut next = [0; 4];
        (&there).read_exact(&mut next).expect("the rest");
        assert_eq!(&next, b"next", "all of the greeting is taken, and nothing else");
    }

    #[test]
    fn ends_use_the_newest_version_that_both_speak() {
        let versions = |oldest, newest| Versions { oldest, newest };
        assert_eq!(versions(1, 1).agreed(versions(1, 1)), Some(1));
        assert_eq!(versions(1, 3).agreed(versions(2, 5)), Some(3));
        assert_eq!(versions(2, 5).agreed(versions(1, 3)), Some(3));
        assert_eq!(versions(1, 1).agreed(versions(2, 3)), None);
        assert_eq!(versions(2, 3).agreed(versions(1, 1)), None);
    }

    #[test]
    fn a_greeting_that_comes_byte_by_byte_has_no_more_time() {
        let (here, there) = pair();
        let slow = std::thread::spawn(move || {
            // Until the other end has had enough.
            while (&here).write_all(b"t").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let began = Instant::now();
        let mut never = [0; 1 << 16];
        let by = began + Duration::from_millis(200);
        assert!(there.read_exact_by(&mut never, by).is_err());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        drop(there);
        slow.join().expect("it ends with the link");
    }
}
