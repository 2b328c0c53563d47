//! Links to the other members of an ensemble: one ordered stream in each direction of each pair.
//!
//! A member dials every other one and sends only on what it dialled; what it accepted it only
//! reads. Both ends say first who they are and which ensemble they belong to. A link that breaks is
//! dialled again; what was on it is lost, which consensus bears and the replica is told. So a
//! message is never lost alone: behind one that finds no room the link breaks.

mod dial;
mod gate;
mod hello;
mod identity;
mod own_line;
mod refusal;
mod security;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::Instant;

use tenure_replica::Membership;

use crate::config::{Member, ServerConfig};
use crate::limits;
use crate::mail::{Mail, Mailbox};
use crate::tls::{LinkTls, Live};
use crate::transfer::SnapshotFolder;
use dial::{NoLink, Trouble, candidates, connect};
use gate::{Gate, Hosts};
use hello::Purpose;
use identity::{Identity, may_be_one_cluster};
use own_line::OwnLine;
use security::Security;
pub(crate) use stream::LinkStream;

/// The links of one member.
pub(crate) struct Peers {
    identity: Arc<Identity>,
    security: Arc<Security>,
    own_line: OwnLine,
    gate: Arc<Gate>,
    /// As this server knows them.
    members: Membership,
    /// Those who know later ones, with the version of these.
    ahead: BTreeMap<u64, (u64, Member)>,
    outgoing: Vec<Outgoing>,
    snapshots: SnapshotFolder,
    mailbox: Mailbox,
}

/// This end of a link to another member.
struct Outgoing {
    member: Member,
    /// The ensemble's id as the other end told it last; 0 before.
    cluster: Arc<AtomicU64>,
    queue: SyncSender<Vec<u8>>,
    /// A message found no room: nothing behind it may be sent before the link has broken.
    is_overrun: Arc<AtomicBool>,
}

impl Peers {
    /// Listens for the other members. Links are dialled by [`Peers::update`].
    pub(crate) fn start(
        config: &ServerConfig,
        tls: Option<Arc<Live<LinkTls>>>,
        snapshots: SnapshotFolder,
        mailbox: &Mailbox,
    ) -> io::Result<Self> {
        let settings = &config.ensemble;
        let me =
            settings.me().ok_or_else(|| io::Error::other("no member line is this server's"))?;
        let digest = match config.tree.reconfig {
            true => ANY_MEMBERS,
            false => members_digest(&settings.members),
        };
        let own_line = OwnLine::new(me, config);
        let listener = TcpListener::bind(&candidates(me)?[..])?;
        let identity = Arc::new(Identity::new(me.id, digest, me.to_string()));
        let security = Arc::new(Security::new(settings, tls));
        let gate = Arc::new(Gate::new(
            Arc::clone(&identity),
            Arc::clone(&security),
            hosts(settings.members.iter()),
            snapshots.clone(),
            mailbox.clone(),
        ));
        let keeper = Arc::clone(&gate);
        thread::Builder::new().name("tenure-peers".into()).spawn(move || keeper.keep(&listener))?;
        let (members, ahead) = (Membership::default(), BTreeMap::new());
        let (outgoing, mailbox) = (Vec::new(), mailbox.clone());
        Ok(Peers {
            identity,
            security,
            own_line,
            gate,
            members,
            ahead,
            outgoing,
            snapshots,
            mailbox,
        })
    }

    /// Has links with these members of this ensemble at these addresses, and with no others. They
    /// are as the change with the zxid `version` has made them.
    pub(crate) fn update(&mut self, members: Membership, cluster: u64, version: u64) {
        if self.identity.learn_cluster(cluster) {
            tracing::info!(id = format_args!("{cluster:016x}"), "the ensemble has an id");
        }
        let me = self.identity.me;
        self.own_line.look(me, &members);
        let line = members.iter().find(|member| member.id == me).map(Member::to_string);
        self.identity.learn_members(version, line);
        self.ahead.retain(|_, (newer, _)| *newer > version);
        self.members = members;
        self.link();
        self.gate.admit(hosts(self.members.iter()));
    }

    /// A member says that the members are of a later version than those known here, which it must
    /// know: it is reached where it says, until this server knows them as well.
    pub(crate) fn meet(&mut self, version: u64, member: Member) {
        if version > self.identity.known().0 && member.id != self.identity.me {
            self.ahead.insert(member.id, (version, member));
            self.link();
        }
    }

    /// Dials those with whom there is no link yet, and lets go of those with whom none shall be.
    fn link(&mut self) {
        let cluster = self.identity.cluster();
        let mut others: BTreeMap<u64, Member> =
            self.members.iter().map(|member| (member.id, member.clone())).collect();
        others.extend(self.ahead.iter().map(|(id, (_, member))| (*id, member.clone())));
        others.remove(&self.identity.me);
        // A thread ends when nobody can hand it messages any more.
        self.outgoing.retain(|link| {
            others.get(&link.member.id).is_some_and(|m| m.addresses == link.member.addresses)
                && may_be_one_cluster(cluster, link.cluster.load(Ordering::Acquire))
        });
        for member in others.values() {
            if self.outgoing.iter().any(|link| link.member.id == member.id) {
                continue;
            }
            match self.dial(member) {
                Ok(link) => self.outgoing.push(link),
                Err(error) => tracing::error!(member = member.id, %error, "no link to the member"),
            }
        }
    }

    fn dial(&self, member: &Member) -> io::Result<Outgoing> {
        let (queue, messages) = mpsc::sync_channel(limits::PEER_QUEUE);
        let (member, mailbox) = (member.clone(), self.mailbox.clone());
        let (is_overrun, cluster) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let link = Dialled {
            member: member.clone(),
            identity: Arc::clone(&self.identity),
            security: Arc::clone(&self.security),
            cluster: Arc::clone(&cluster),
            messages,
            is_overrun: Arc::clone(&is_overrun),
            mailbox,
        };
        thread::Builder::new().name("tenure-peer-out".into()).spawn(move || link.keep())?;
        Ok(Outgoing { member, cluster, queue, is_overrun })
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
        let (member, snapshots) = (link.member.clone(), self.snapshots.clone());
        let (identity, security) = (Arc::clone(&self.identity), Arc::clone(&self.security));
        let mailbox = self.mailbox.clone();
        let connect = move || match connect(&member, &identity, &security, Purpose::Snapshot) {
            Ok((stream, _)) => Ok(stream),
            Err(error) => Err(io::Error::other(error)),
        };
        let sending = move || snapshots.send(to, reaching, connect, &mailbox);
        thread::Builder::new().name("tenure-transfer".into()).spawn(sending).is_ok()
    }
}

fn hosts<'a>(members: impl Iterator<Item = &'a Member>) -> Hosts {
    let hosts = |member: &Member| member.addresses.iter().map(|at| at.host.clone()).collect();
    members.map(|member| (member.id, hosts(member))).collect()
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
    identity: Arc<Identity>,
    security: Arc<Security>,
    cluster: Arc<AtomicU64>,
    messages: Receiver<Vec<u8>>,
    is_overrun: Arc<AtomicBool>,
    mailbox: Mailbox,
}

impl Dialled {
    /// Keeps a link to the member, for as long as this server runs.
    fn keep(&self) {
        let member = self.member.id;
        let mut has_lost_any = false;
        let mut trouble = Trouble::default();
        loop {
            let link = connect(&self.member, &self.identity, &self.security, Purpose::Messages);
            let retry = match link {
                Ok((stream, cluster)) => {
                    self.cluster.store(cluster, Ordering::Release);
                    trouble.over(member);
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
                    limits::PEER_RETRY
                }
                Err(reason) => {
                    trouble.note(member, &reason);
                    match reason {
                        NoLink::Unreachable(_) => limits::PEER_RETRY,
                        NoLink::Refused { .. } => limits::PEER_REFUSED_RETRY,
                    }
                }
            };
            let retry_at = Instant::now() + retry;
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
    fn forward(&self, stream: &LinkStream) -> io::Result<()> {
        let mut writer = BufWriter::with_capacity(limits::PEER_BUFFER_BYTES, stream);
        loop {
            let first = match self.messages.recv_timeout(limits::PEER_IDLE) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    stream.check_alive()?;
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

/// Stands for the members where they can change: then each knows others at times.
const ANY_MEMBERS: u64 = 0;

fn members_digest(members: &[Member]) -> u64 {
    let ids = members.iter().map(|member| member.id);
    ids.fold(members.len() as u64, |sum, id| {
        (sum ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    })
}
