//! Links to the other members of an ensemble: one ordered stream in each direction of each pair.
//!
//! A member dials every other one and sends only on what it dialled; what it accepted it only
//! reads. Both ends say first who they are and which ensemble they belong to. A link that breaks is
//! dialled again; what was on it is lost, which consensus bears and the replica is told. So a
//! message is never lost alone: behind one that finds no room the link breaks.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Instant;

use tenure_replica::Membership;

use crate::config::{EnsembleSettings, Member};
use crate::limits;
use crate::mail::{Mail, Mailbox};
use crate::transfer::SnapshotFolder;

/// What a link is for. Its name starts the link: a stranger's bytes are not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Messages, for as long as both ends run.
    Messages,
    /// One snapshot.
    Snapshot,
}

impl Purpose {
    const ALL: [Purpose; 2] = [Purpose::Messages, Purpose::Snapshot];

    fn name(self) -> [u8; 8] {
        match self {
            Purpose::Messages => *b"tenure-1",
            Purpose::Snapshot => *b"tenure-s",
        }
    }
}

/// The links of one member.
pub(crate) struct Peers {
    me: u64,
    ensemble: u64,
    /// Who may come in.
    known: Arc<RwLock<Vec<u64>>>,
    outgoing: Vec<Outgoing>,
    snapshots: SnapshotFolder,
    mailbox: Mailbox,
}

/// This end of a link to another member.
struct Outgoing {
    member: Member,
    hello: Hello,
    queue: SyncSender<Vec<u8>>,
    /// A message found no room: nothing behind it may be sent before the link has broken.
    is_overrun: Arc<AtomicBool>,
}

/// What both ends must agree on before anything is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hello {
    purpose: Purpose,
    from: u64,
    to: u64,
    /// Digest of the members' numbers, if they are fixed: members of different ensembles never
    /// talk.
    ensemble: u64,
}

impl Hello {
    const LEN: usize = 32;

    fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let [from, to, ensemble] = [self.from, self.to, self.ensemble].map(u64::to_be_bytes);
        let words = [self.purpose.name(), from, to, ensemble];
        bytes.copy_from_slice(words.as_flattened());
        bytes
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Hello>> {
        let mut bytes = [0; Self::LEN];
        from.read_exact(&mut bytes)?;
        let (words, _) = bytes.as_chunks::<8>();
        let [name, sender, receiver, ensemble] = words else { return Ok(None) };
        let Some(purpose) = Purpose::ALL.into_iter().find(|purpose| purpose.name() == *name) else {
            return Ok(None);
        };
        let [from, to, ensemble] =
            [sender, receiver, ensemble].map(|word| u64::from_be_bytes(*word));
        Ok(Some(Hello { purpose, from, to, ensemble }))
    }
}

impl Peers {
    /// Listens for the other members. Links are dialled by [`Peers::update`].
    pub(crate) fn start(
        settings: &EnsembleSettings,
        members_can_change: bool,
        snapshots: SnapshotFolder,
        mailbox: &Mailbox,
    ) -> io::Result<Self> {
        let me =
            settings.me().ok_or_else(|| io::Error::other("no member line is this server's"))?;
        let ensemble =
            if members_can_change { ANY_MEMBERS } else { ensemble_digest(&settings.members) };
        let listener = TcpListener::bind(&candidates(me)?[..])?;
        let me = me.id;
        let known: Vec<u64> = settings.members.iter().map(|member| member.id).collect();
        let known = Arc::new(RwLock::new(known));
        let gate = Gate {
            me,
            ensemble,
            known: Arc::clone(&known),
            snapshots: snapshots.clone(),
            mailbox: mailbox.clone(),
        };
        let gate = Arc::new(gate);
        thread::Builder::new().name("tenure-peers".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let gate = Arc::clone(&gate);
                // Without a thread there is no link; the other side dials again.
                _ = thread::Builder::new()
                    .name("tenure-peer-in".into())
                    .spawn(move || gate.receive(&stream));
            }
        })?;
        Ok(Peers { me, ensemble, known, outgoing: Vec::new(), snapshots, mailbox: mailbox.clone() })
    }

    /// Has links with these members at these addresses, and with no others.
    pub(crate) fn update(&mut self, members: &Membership) {
        let others: Vec<&Member> = members.iter().filter(|member| member.id != self.me).collect();
        // A thread ends when nobody can hand it messages any more.
        self.outgoing.retain(|link| {
            others.iter().any(|m| m.id == link.member.id && m.addresses == link.member.addresses)
        });
        for member in others {
            if self.outgoing.iter().any(|link| link.member.id == member.id) {
                continue;
            }
            match self.dial(member) {
                Ok(link) => self.outgoing.push(link),
                Err(error) => tracing::error!(member = member.id, %error, "no link to the member"),
            }
        }
        let ids = members.iter().map(|member| member.id).collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = ids;
    }

    fn dial(&self, member: &Member) -> io::Result<Outgoing> {
        let (queue, messages) = mpsc::sync_channel(limits::PEER_QUEUE);
        let hello = Hello {
            purpose: Purpose::Messages,
            from: self.me,
            to: member.id,
            ensemble: self.ensemble,
        };
        let (member, mailbox) = (member.clone(), self.mailbox.clone());
        let is_overrun = Arc::new(AtomicBool::new(false));
        let link = Dialled { member: member.clone(), hello, messages, is_overrun, mailbox };
        let is_overrun = Arc::clone(&link.is_overrun);
        thread::Builder::new().name("tenure-peer-out".into()).spawn(move || link.keep())?;
        Ok(Outgoing { member, hello, queue, is_overrun })
    }

    /// Sends a message, if the member can be reached and keeps up; else the link breaks.
    pub(crate) fn send(&self, to: u64, message: Vec<u8>) {
        let Some(link) = self.outgoing.iter().find(|link| link.member.id == to) else { return };
        if link.is_overrun.load(Ordering::Acquire) {
            return;
        }
        if let Err(TrySendError::Full(_)) = link.queue.try_send(message) {
            link.is_overrun.store(true, Ordering::Release);
            tracing::warn!(member = to, "the member does not keep up: its link is broken off");
        }
    }

    /// Sends a member the newest snapshot that reaches a log index, on a thread of its own. False
    /// if there is none to be had, or no such member.
    pub(crate) fn send_snapshot(&self, to: u64, reaching: u64) -> bool {
        let Some(link) = self.outgoing.iter().find(|link| link.member.id == to) else {
            return false;
        };
        let hello = Hello { purpose: Purpose::Snapshot, ..link.hello };
        let (member, snapshots) = (link.member.clone(), self.snapshots.clone());
        let mailbox = self.mailbox.clone();
        let sending = move || snapshots.send(to, reaching, || connect(&member, hello), &mailbox);
        thread::Builder::new().name("tenure-transfer".into()).spawn(sending).is_ok()
    }
}

/// Who may come in from other members.
struct Gate {
    me: u64,
    ensemble: u64,
    known: Arc<RwLock<Vec<u64>>>,
    snapshots: SnapshotFolder,
    mailbox: Mailbox,
}

impl Gate {
    /// Reads what another member says, until it stops.
    fn receive(&self, stream: &TcpStream) {
        // A stranger gets this long to show that it is none.
        _ = stream.set_read_timeout(Some(limits::PEER_HELLO));
        // No byte beyond it is taken: what follows depends on the purpose.
        let hello = match Hello::read(&mut &*stream) {
            Ok(Some(hello)) => hello,
            Ok(None) | Err(_) => {
                let peer = stream.peer_addr().ok();
                tracing::warn!(?peer, "a stranger on the peer port was refused");
                return;
            }
        };
        let Hello { purpose, from, to, ensemble } = hello;
        let is_known = self.known.read().unwrap_or_else(PoisonError::into_inner).contains(&from);
        if to != self.me || ensemble != self.ensemble || !is_known {
            tracing::warn!(
                from,
                to,
                "a member of another ensemble, or with other server.N lines, was refused"
            );
            return;
        }
        match purpose {
            Purpose::Messages => self.receive_messages(stream, from),
            Purpose::Snapshot => self.snapshots.receive(stream, from, &self.mailbox),
        }
    }

    fn receive_messages(&self, stream: &TcpStream, from: u64) {
        _ = stream.set_read_timeout(None);
        let mut reader = BufReader::with_capacity(limits::PEER_BUFFER_BYTES, stream);
        tracing::info!(member = from, "member connected");
        while let Ok(message) = read_message(&mut reader) {
            self.mailbox.post(Mail::Peer { from, message });
        }
        tracing::info!(member = from, "member disconnected");
        self.mailbox.post(Mail::PeerDown { member: from });
    }
}

fn read_message(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limits::PEER_MESSAGE_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // The buffer grows with what arrives, not with what is claimed.
    let mut message = Vec::with_capacity(length.min(limits::PEER_BUFFER_BYTES));
    reader.take(length as u64).read_to_end(&mut message)?;
    if message.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

/// The other end of the queue for one member.
struct Dialled {
    member: Member,
    hello: Hello,
    messages: Receiver<Vec<u8>>,
    is_overrun: Arc<AtomicBool>,
    mailbox: Mailbox,
}

impl Dialled {
    /// Keeps a link to the member, for as long as this server runs.
    fn keep(&self) {
        let member = self.member.id;
        let mut has_lost_any = false;
        loop {
            match connect(&self.member, self.hello) {
                Ok(stream) => {
                    // What is queued while there is no link is stale before there is one.
                    has_lost_any |= self.messages.try_iter().count() > 0;
                    has_lost_any |= self.is_overrun.swap(false, Ordering::AcqRel);
                    if has_lost_any {
                        // The replica may have begun to count on this member again since it
                        // was told of the break.
                        self.mailbox.post(Mail::PeerDown { member });
                    }
                    has_lost_any = false;
                    match self.forward(&stream) {
                        // The driver is gone: so is this server.
                        Ok(()) => return,
                        Err(error) => tracing::debug!(member, %error, "link broke"),
                    }
                    self.mailbox.post(Mail::PeerDown { member });
                }
                Err(error) => tracing::debug!(member, %error, "cannot reach the member"),
            }
            let retry_at = Instant::now() + limits::PEER_RETRY;
            loop {
                let left = retry_at.saturating_duration_since(Instant::now());
                match self.messages.recv_timeout(left) {
                    Ok(_) => has_lost_any = true,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }
    }

    /// Sends messages as they come, many in one write when there are many.
    fn forward(&self, stream: &TcpStream) -> io::Result<()> {
        let mut writer = BufWriter::with_capacity(limits::PEER_BUFFER_BYTES, stream);
        loop {
            let first = match self.messages.recv_timeout(limits::PEER_IDLE) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    check_alive(stream)?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            for message in std::iter::once(first).chain(self.messages.try_iter()) {
                if self.is_overrun.load(Ordering::Acquire) {
                    return Err(io::Error::other("the member does not keep up"));
                }
                writer.write_all(&(message.len() as u32).to_be_bytes())?;
                writer.write_all(&message)?;
            }
            writer.flush()?;
        }
    }
}

/// Fails if the other end is gone. Nothing ever comes from there, so only asking tells: the next
/// message would still be taken, and lost, and an election may hang on that one.
fn check_alive(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match peeked {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

fn connect(member: &Member, hello: Hello) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the member has no address");
    for address in candidates(member)? {
        match TcpStream::connect_timeout(&address, limits::PEER_CONNECT) {
            Ok(mut stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(limits::PEER_STALL))?;
                stream.write_all(&hello.encode())?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// A member's addresses, resolved anew each time they are needed.
fn candidates(member: &Member) -> io::Result<Vec<std::net::SocketAddr>> {
    let mut found = Vec::new();
    for address in &member.addresses {
        found.extend((address.host.as_str(), address.quorum_port).to_socket_addrs()?);
    }
    Ok(found)
}

/// Stands for the members where they can change: then each knows others at times.
const ANY_MEMBERS: u64 = 0;

fn ensemble_digest(members: &[Member]) -> u64 {
    let ids = members.iter().map(|member| member.id);
    ids.fold(members.len() as u64, |sum, id| {
        (sum ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_comes_out_as_it_went_in_and_strangers_do_not() {
        for purpose in Purpose::ALL {
            let hello = Hello { purpose, from: 1, to: 3, ensemble: 99 };
            let bytes = hello.encode();
            assert_eq!(Hello::read(&mut &bytes[..]).expect("whole"), Some(hello));
            assert!(Hello::read(&mut &bytes[..31]).is_err());
        }
        let stranger = [b'G'; Hello::LEN];
        assert_eq!(Hello::read(&mut &stranger[..]).expect("whole"), None);
    }

    #[test]
    fn the_end_of_an_idle_link_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let (there, _) = listener.accept().expect("accepted");
        assert!(check_alive(&here).is_ok());
        drop(there);
        // The news of it arrives in its own time.
        here.set_read_timeout(Some(limits::PEER_STALL)).expect("settable");
        assert_eq!((&here).read(&mut [0]).expect("an orderly end"), 0);
        assert!(check_alive(&here).is_err());
    }

    #[test]
    fn a_message_longer_than_allowed_or_cut_short_ends_the_link() {
        assert!(read_message(&mut &[255, 255, 255, 255, 0][..]).is_err());
        assert!(read_message(&mut &[0, 0, 0, 3, 1, 2][..]).is_err());
        assert_eq!(read_message(&mut &[0, 0, 0, 2, 1, 2, 9][..]).expect("whole"), [1, 2]);
    }
}
