//! Who may come in from other members, and for how long.
//!
//! Whoever connects is a stranger until it has said a proper [`Hello`]. Strangers are told nothing,
//! change nothing, and are few at a time: the one that has waited longest makes room for the next,
//! those at addresses of members last of all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use socket2::SockRef;

use super::hello::{Answer, Hello, Purpose, Verdict, Versions};
use super::identity::{Identity, may_be_one_cluster};
use super::read_message;
use super::refusal::Refusal;
use super::security::Security;
use super::stream::{Hand, LinkStream};
use crate::config::Member;
use crate::limits;
use crate::log_limit::LogLimit;
use crate::mail::{Mail, Mailbox};
use crate::transfer::SnapshotFolder;

/// The door of one member.
pub(super) struct Gate {
    identity: Arc<Identity>,
    security: Arc<Security>,
    admission: Mutex<Admission>,
    /// Threads that listen to somebody who has not said yet who it is.
    strangers: AtomicUsize,
    snapshots_coming: AtomicUsize,
    snapshots: SnapshotFolder,
    mailbox: Mailbox,
}

/// Members by their numbers, each with the hosts that it may be found at.
pub(super) type Hosts = BTreeMap<u64, Vec<String>>;

/// Who may come in, and who is there.
#[derive(Default)]
struct Admission {
    members: Hosts,
    /// By their numbers, members that send messages.
    guests: BTreeMap<u64, Arc<Guest>>,
    /// Where members are found, as far as that is known without asking anybody: who comes from
    /// there is more likely one of them.
    addresses: BTreeSet<IpAddr>,
    /// Strangers, the first one first.
    waiting: VecDeque<Waiting>,
    arrivals: u64,
    /// Why servers were refused last: each reason makes one line.
    refused: BTreeMap<u64, Refusal>,
    noise: LogLimit,
}

/// Somebody who has not said yet who it is.
struct Waiting {
    arrival: u64,
    link: Hand,
    /// It comes from where a member is.
    is_likely: bool,
}

impl Admission {
    fn set_members(&mut self, members: Hosts) {
        self.members = members;
        let hosts = self.members.values().flatten();
        self.addresses.extend(hosts.filter_map(|host| host.parse::<IpAddr>().ok()));
    }

    /// A member has come from there.
    fn remember(&mut self, address: Option<SocketAddr>) {
        if self.addresses.len() >= limits::PEER_ADDRESSES {
            self.addresses.clear();
        }
        self.addresses.extend(address.map(|address| address.ip().to_canonical()));
    }

    /// Whoever has to go first.
    fn evict(&mut self) -> Option<Waiting> {
        let unlikely = self.waiting.iter().position(|waiting| !waiting.is_likely);
        self.waiting.remove(unlikely.unwrap_or(0))
    }
}

/// A member that sends messages.
struct Guest {
    link: Hand,
    cluster: u64,
    /// Of the members that it knows.
    version: u64,
    /// The link was ended from here.
    is_dismissed: AtomicBool,
}

impl Guest {
    fn dismiss(&self) {
        self.is_dismissed.store(true, Ordering::Release);
        self.link.end();
    }
}

impl Gate {
    pub(super) fn new(
        identity: Arc<Identity>,
        security: Arc<Security>,
        members: Hosts,
        snapshots: SnapshotFolder,
        mailbox: Mailbox,
    ) -> Self {
        let mut admission = Admission::default();
        admission.set_members(members);
        let admission = Mutex::new(admission);
        let (strangers, snapshots_coming) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Gate { identity, security, admission, strangers, snapshots_coming, snapshots, mailbox }
    }

    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets in those who come, each on a thread of its own, for as long as this server runs.
    pub(super) fn keep(self: &Arc<Self>, listener: &TcpListener) {
        // The usual backlog is that of a quiet port. In a crowd, members would be among those whose
        // packets are dropped, and lose seconds.
        if let Err(error) = SockRef::from(listener).listen(limits::LISTEN_BACKLOG) {
            tracing::debug!(%error, "the peer port has a short queue");
        }
        for socket in listener.incoming() {
            match socket {
                Ok(socket) => self.welcome(socket),
                // Most likely there are no descriptors left: they do not come back sooner.
                Err(_) => thread::sleep(limits::ACCEPT_PAUSE),
            }
        }
    }

    #[cfg(test)]
    pub(super) fn strangers(&self) -> usize {
        self.strangers.load(Ordering::Acquire)
    }

    fn welcome(self: &Arc<Self>, socket: TcpStream) {
        let stream = LinkStream::accepted(socket);
        let Some(stranger) = self.let_wait(&stream) else { return };
        let gate = Arc::clone(self);
        // Without a thread there is no link; the other side dials again.
        _ = thread::Builder::new()
            .name("tenure-peer-in".into())
            .spawn(move || gate.receive(stream, stranger));
    }

    /// Counts a stranger. If there are too many, the first of them has to go, and while it goes
    /// nobody else comes in.
    fn let_wait(self: &Arc<Self>, stream: &LinkStream) -> Option<Stranger> {
        let link = stream.another_hand().ok()?;
        let address = stream.peer();
        let mut admission = self.admission();
        let is_crowded = admission.waiting.len() >= limits::PEER_STRANGERS;
        if is_crowded {
            if let Some(first) = admission.evict() {
                first.link.end();
            }
            if let Some(times) = admission.noise.allow() {
                let peer = address;
                tracing::warn!(?peer, times, "a crowd of strangers on the peer port");
            }
        }
        let is_likely =
            address.is_some_and(|at| admission.addresses.contains(&at.ip().to_canonical()));
        // Those who had to go may be there still.
        let room = if is_likely { 3 } else { 2 } * limits::PEER_STRANGERS;
        if self.strangers.load(Ordering::Acquire) >= room {
            return None;
        }
        self.strangers.fetch_add(1, Ordering::AcqRel);
        admission.arrivals += 1;
        let arrival = admission.arrivals;
        admission.waiting.push_back(Waiting { arrival, link, is_likely });
        Some(Stranger { gate: Arc::clone(self), arrival })
    }

    /// Listens to whoever has come, until it leaves.
    fn receive(&self, stream: LinkStream, stranger: Stranger) {
        let peer = stream.peer();
        let by = Instant::now() + limits::PEER_HELLO;
        let greeted = self.security.accepted(stream, by).and_then(|stream| {
            let hello = Hello::read(&stream, by)?;
            Ok((stream, hello))
        });
        let (stream, hello) = match greeted {
            Ok(greeted) => greeted,
            Err(why) => {
                if let Some(times) = self.admission().noise.allow() {
                    tracing::warn!(?peer, times, "a stranger on the peer port was refused: {why}");
                }
                return;
            }
        };
        drop(stranger);
        let admitted = self.judge(&hello, &stream).and_then(|()| match hello.purpose {
            Purpose::Messages => Ok(None),
            Purpose::Snapshot => self.one_more_snapshot().map(Some),
        });
        let verdict = match &admitted {
            Ok(_) => Verdict::Welcome,
            Err(refusal) => self.refuse(&hello, *refusal, &stream),
        };
        let answer = Answer { versions: Versions::OURS, cluster: self.identity.cluster(), verdict };
        let answered = (&stream).write_all(&answer.encode());
        let (Ok(snapshot), Ok(())) = (admitted, answered) else { return };
        match snapshot {
            None => self.receive_messages(stream, &hello),
            Some(_counted) => self.snapshots.receive(&stream, hello.from, &self.mailbox),
        }
    }

    fn judge(&self, hello: &Hello, stream: &LinkStream) -> Result<(), Refusal> {
        let Identity { me, members, .. } = *self.identity;
        let &Hello { versions: theirs, from, to, .. } = hello;
        let ours = self.identity.cluster();
        if Versions::OURS.agreed(theirs).is_none() {
            return Err(Refusal::Versions { me, from, theirs });
        }
        if !may_be_one_cluster(ours, hello.cluster) {
            return Err(Refusal::OtherCluster { me, ours, from, theirs: hello.cluster });
        }
        if to != me {
            return Err(Refusal::OtherServer { me, to });
        }
        if hello.members != members {
            return Err(Refusal::OtherMembers { me, from });
        }
        let mut admission = self.admission();
        let is_behind = self.identity.is_behind(hello);
        if !admission.members.contains_key(&from) && !is_behind {
            return Err(Refusal::NoMember { me, from });
        }
        // Who knows later members may be found where this server has not heard of yet.
        let newer = is_behind.then(|| Member::from_line(&hello.line)).flatten();
        let newer = newer.iter().flat_map(|line| &line.addresses).map(|address| &*address.host);
        let known = admission.members.get(&from).into_iter().flatten().map(String::as_str);
        if !self.security.may_be_at(stream, known.chain(newer)) {
            return Err(Refusal::OtherHost { me, from });
        }
        admission.refused.remove(&from);
        admission.remember(stream.peer());
        Ok(())
    }

    fn one_more_snapshot(&self) -> Result<Counted<'_>, Refusal> {
        let counted = Counted::one_more(&self.snapshots_coming);
        match self.snapshots_coming.load(Ordering::Acquire) > limits::PEER_SNAPSHOTS {
            true => Err(Refusal::Busy { me: self.identity.me }),
            false => Ok(counted),
        }
    }

    fn refuse(&self, hello: &Hello, refusal: Refusal, stream: &LinkStream) -> Verdict {
        let mut admission = self.admission();
        if admission.refused.len() >= limits::PEER_REFUSALS {
            admission.refused.clear();
        }
        let is_news = admission.refused.insert(hello.from, refusal) != Some(refusal);
        if is_news && let Some(times) = admission.noise.allow() {
            let peer = stream.peer();
            tracing::warn!(?peer, times, "a link was refused: {refusal}");
        }
        let is_no_member = matches!(refusal, Refusal::NoMember { .. });
        Verdict::Refused { is_no_member, why: refusal.to_string() }
    }

    fn receive_messages(&self, stream: LinkStream, hello: &Hello) {
        let member = hello.from;
        _ = stream.set_read_patience(None);
        let Ok(link) = stream.another_hand() else { return };
        let is_dismissed = AtomicBool::new(false);
        let &Hello { cluster, version, .. } = hello;
        let guest = Arc::new(Guest { link, cluster, version, is_dismissed });
        let before = {
            let mut admission = self.admission();
            // It may have been removed since it was judged.
            let is_one = may_be_one_cluster(self.identity.cluster(), hello.cluster);
            let is_behind = self.identity.is_behind(hello);
            if !is_one || !is_behind && !admission.members.contains_key(&member) {
                return;
            }
            if is_behind && let Some(line) = Member::from_line(&hello.line) {
                self.mailbox.post(Mail::MemberAhead { version, member: line });
            }
            admission.guests.insert(member, Arc::clone(&guest))
        };
        if let Some(before) = before {
            // Its end has not come here yet: what was on it is lost.
            before.dismiss();
            self.mailbox.post(Mail::PeerDown { member });
        }
        let version = Versions::OURS.agreed(hello.versions);
        tracing::info!(member, version, "member connected");
        let mut reader = BufReader::with_capacity(limits::PEER_BUFFER_BYTES, &stream);
        while let Ok(message) = read_message(&mut reader) {
            if guest.is_dismissed.load(Ordering::Acquire) {
                break;
            }
            self.mailbox.post(Mail::Peer { from: member, message });
        }
        let mut admission = self.admission();
        let is_last = admission.guests.get(&member).is_some_and(|last| Arc::ptr_eq(last, &guest));
        if is_last {
            admission.guests.remove(&member);
            tracing::info!(member, "member disconnected");
            self.mailbox.post(Mail::PeerDown { member });
        }
    }

    /// Lets in these members and no others. Those who are there and may not be any more have to go,
    /// unless they know of later members; so do members of another ensemble than this server's,
    /// once it knows its own.
    pub(super) fn admit(&self, members: Hosts) {
        let (ours, (version, _)) = (self.identity.cluster(), self.identity.known());
        let mut admission = self.admission();
        for (member, guest) in &admission.guests {
            let may_stay = members.contains_key(member) || guest.version > version;
            if !may_stay || !may_be_one_cluster(ours, guest.cluster) {
                guest.dismiss();
            }
        }
        admission.set_members(members);
    }
}

/// Somebody who has not said yet who it is. Counts as such until it is dropped.
struct Stranger {
    gate: Arc<Gate>,
    arrival: u64,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut admission = self.gate.admission();
        admission.waiting.retain(|waiting| waiting.arrival != self.arrival);
        self.gate.strangers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One of several that are counted; less by one when it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one_more(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
