//! Links to the other members of an ensemble: one ordered stream in each direction of each pair.
//!
//! A member dials every other one and sends only on what it dialled; what it accepted it only
//! reads. Both ends say first who they are and which ensemble they belong to. A link that breaks is
//! dialled again; what was on it is lost, which consensus bears and the replica is told.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::Instant;

use crate::config::{EnsembleSettings, Member};
use crate::limits;
use crate::mail::{Mail, Mailbox};

/// Starts every link: a stranger's bytes are not read any further.
const MAGIC: [u8; 8] = *b"tenure-1";

/// The links of one member.
pub(crate) struct Peers {
    outgoing: Vec<(u64, SyncSender<Vec<u8>>)>,
}

/// What both ends must agree on before anything is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hello {
    from: u64,
    to: u64,
    /// Digest of the member lines: members of different ensembles never talk.
    ensemble: u64,
}

impl Hello {
    const LEN: usize = MAGIC.len() + 24;

    fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let words =
            [MAGIC, self.from.to_be_bytes(), self.to.to_be_bytes(), self.ensemble.to_be_bytes()];
        bytes.copy_from_slice(words.as_flattened());
        bytes
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Hello>> {
        let mut bytes = [0; Self::LEN];
        from.read_exact(&mut bytes)?;
        let (words, _) = bytes.as_chunks::<8>();
        let [magic, sender, receiver, ensemble] = words else { return Ok(None) };
        if *magic != MAGIC {
            return Ok(None);
        }
        let [from, to, ensemble] =
            [sender, receiver, ensemble].map(|word| u64::from_be_bytes(*word));
        Ok(Some(Hello { from, to, ensemble }))
    }
}

impl Peers {
    /// Listens for the other members and dials each of them, on threads of their own.
    pub(crate) fn start(settings: &EnsembleSettings, mailbox: &Mailbox) -> io::Result<Self> {
        let me =
            settings.me().ok_or_else(|| io::Error::other("no member line is this server's"))?;
        let ensemble = ensemble_digest(&settings.members);
        let known: Arc<[u64]> = settings.members.iter().map(|member| member.id).collect();
        let listener = TcpListener::bind(&candidates(me)?[..])?;
        let incoming = mailbox.clone();
        let my_id = me.id;
        thread::Builder::new().name("tenure-peers".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mailbox, known) = (incoming.clone(), Arc::clone(&known));
                // Without a thread there is no link; the other side dials again.
                _ = thread::Builder::new()
                    .name("tenure-peer-in".into())
                    .spawn(move || receive(&stream, my_id, ensemble, &known, &mailbox));
            }
        })?;
        let mut outgoing = Vec::new();
        for member in settings.members.iter().filter(|member| member.id != my_id) {
            let (queue, messages) = mpsc::sync_channel(limits::PEER_QUEUE);
            outgoing.push((member.id, queue));
            let hello = Hello { from: my_id, to: member.id, ensemble };
            let (member, mailbox) = (member.clone(), mailbox.clone());
            thread::Builder::new()
                .name("tenure-peer-out".into())
                .spawn(move || dial(&member, hello, &messages, &mailbox))?;
        }
        Ok(Peers { outgoing })
    }

    /// Sends a message, if the member can be reached and keeps up; else it is lost.
    pub(crate) fn send(&self, to: u64, message: Vec<u8>) {
        let Some((_, queue)) = self.outgoing.iter().find(|(id, _)| *id == to) else { return };
        if let Err(TrySendError::Full(_)) = queue.try_send(message) {
            tracing::debug!(member = to, "the link is full: a message was dropped");
        }
    }
}

/// Reads what another member says, until it stops.
fn receive(stream: &TcpStream, me: u64, ensemble: u64, known: &[u64], mailbox: &Mailbox) {
    // A stranger gets this long to show that it is none.
    _ = stream.set_read_timeout(Some(limits::PEER_HELLO));
    let mut reader = BufReader::with_capacity(limits::PEER_BUFFER_BYTES, stream);
    let hello = match Hello::read(&mut reader) {
        Ok(Some(hello)) => hello,
        Ok(None) | Err(_) => {
            let peer = stream.peer_addr().ok();
            tracing::warn!(?peer, "a stranger on the peer port was refused");
            return;
        }
    };
    if hello.to != me || hello.ensemble != ensemble || !known.contains(&hello.from) {
        tracing::warn!(
            from = hello.from,
            to = hello.to,
            "a member of another ensemble, or with other server.N lines, was refused"
        );
        return;
    }
    _ = stream.set_read_timeout(None);
    tracing::info!(member = hello.from, "member connected");
    while let Ok(message) = read_message(&mut reader) {
        mailbox.post(Mail::Peer { from: hello.from, message });
    }
    tracing::info!(member = hello.from, "member disconnected");
    mailbox.post(Mail::PeerDown { member: hello.from });
}

fn read_message(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limits::PEER_MESSAGE_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // The buffer grows with what arrives, not with what is claimed.
    let mut message = Vec::new();
    reader.take(length as u64).read_to_end(&mut message)?;
    if message.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

/// Keeps a link to one member, for as long as this server runs.
fn dial(member: &Member, hello: Hello, messages: &Receiver<Vec<u8>>, mailbox: &Mailbox) {
    loop {
        match connect(member, hello) {
            Ok(stream) => {
                match forward(&stream, messages) {
                    // The driver is gone: so is this server.
                    Ok(()) => return,
                    Err(e) => tracing::debug!(member = member.id, error = %e, "link broke"),
                }
                mailbox.post(Mail::PeerDown { member: member.id });
            }
            Err(e) => tracing::debug!(member = member.id, error = %e, "cannot reach the member"),
        }
        let retry_at = Instant::now() + limits::PEER_RETRY;
        loop {
            // What is queued while there is no link is stale before there is one.
            match messages.recv_timeout(retry_at.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
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

/// Sends messages as they come, many in one write when there are many.
fn forward(stream: &TcpStream, messages: &Receiver<Vec<u8>>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(limits::PEER_BUFFER_BYTES, stream);
    while let Ok(first) = messages.recv() {
        for message in std::iter::once(first).chain(messages.try_iter()) {
            writer.write_all(&(message.len() as u32).to_be_bytes())?;
            writer.write_all(&message)?;
        }
        writer.flush()?;
    }
    Ok(())
}

/// A member's addresses, resolved anew each time they are needed.
fn candidates(member: &Member) -> io::Result<Vec<std::net::SocketAddr>> {
    let mut found = Vec::new();
    for address in &member.addresses {
        found.extend((address.host.as_str(), address.quorum_port).to_socket_addrs()?);
    }
    Ok(found)
}

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
        let hello = Hello { from: 1, to: 3, ensemble: 99 };
        let bytes = hello.encode();
        assert_eq!(Hello::read(&mut &bytes[..]).expect("whole"), Some(hello));
        assert!(Hello::read(&mut &bytes[..31]).is_err());
        let stranger = [b'G'; Hello::LEN];
        assert_eq!(Hello::read(&mut &stranger[..]).expect("whole"), None);
    }

    #[test]
    fn a_message_longer_than_allowed_or_cut_short_ends_the_link() {
        assert!(read_message(&mut &[255, 255, 255, 255, 0][..]).is_err());
        assert!(read_message(&mut &[0, 0, 0, 3, 1, 2][..]).is_err());
        assert_eq!(read_message(&mut &[0, 0, 0, 2, 1, 2, 9][..]).expect("whole"), [1, 2]);
    }
}
