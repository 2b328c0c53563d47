//! Many sessions driven by one thread: non-blocking sockets, one read and one write per readiness.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mio::{Events, Poll, Token};
use tenure_wire::Zxid;

use super::link::{Link, Received, Reply, Target, Ticket};
use super::request;

/// All links of one generator thread.
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    links: Vec<Link>,
    scratch: Vec<u8>,
    target: Target,
    start: Instant,
    next_ping_scan_ns: u64,
    opened: usize,
}

/// What happened on a link.
pub(crate) enum Happening<'a> {
    /// The server granted a session.
    Opened,
    /// The server says that the session to be resumed is gone.
    Refused,
    /// A reply other than a ping's, or a notification.
    Reply(Reply<'a>),
    /// The reply to a ping.
    Pong,
    /// The connection ended.
    Closed,
}

impl Swarm {
    pub(crate) fn new(target: Target) -> Result<Swarm> {
        Ok(Swarm {
            poll: Poll::new().context("cannot make an event queue")?,
            events: Events::with_capacity(1024),
            links: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            target,
            start: Instant::now(),
            next_ping_scan_ns: 0,
            opened: 0,
        })
    }

    /// The same, but on the loopback network its connections come from other addresses than those
    /// of an ordinary swarm.
    pub(crate) fn from_other_address(target: Target) -> Result<Swarm> {
        Ok(Swarm { opened: OTHER_ORDER, ..Swarm::new(target)? })
    }

    /// Nanoseconds since this swarm was made.
    pub(crate) fn now_ns(&self) -> u64 {
        elapsed_ns(self.start)
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// How many connections ended.
    pub(crate) fn closed_links(&self) -> usize {
        self.links.iter().filter(|link| link.is_closed()).count()
    }

    pub(crate) fn link(&mut self, index: usize) -> &mut Link {
        &mut self.links[index]
    }

    /// Opens `count` more sessions, a few at a time, and returns when the server has granted all.
    pub(crate) fn open(&mut self, count: usize, mut say: impl FnMut(usize)) -> Result<()> {
        let (first, goal) = (self.links.len(), self.links.len() + count);
        let mut granted = first;
        while granted < goal {
            while self.links.len() < goal && self.links.len() - granted < OPENING_AT_ONCE {
                let link = self.start_link(self.links.len())?;
                self.links.push(link);
            }
            let mut closed = false;
            self.turn(Duration::from_secs(10), |_, _, _, happening| match happening {
                Happening::Opened => granted += 1,
                Happening::Closed => closed = true,
                _ => {}
            })?;
            ensure!(!closed, "the server closed a connection after {granted} sessions");
            say(granted - first);
        }
        Ok(())
    }

    /// Closes all sessions that are still open, so that they are no burden to what comes next, and
    /// waits a moment for the server to close their connections, which count against its limits.
    pub(crate) fn close(mut self) -> Result<()> {
        let begun_ns = self.now_ns();
        let (mut unanswered, mut connected) = (0, 0);
        for link in self.links.iter_mut().filter(|link| !link.is_closed() && !link.silent) {
            link.out.extend_from_slice(&request::close_session());
            link.flush(begun_ns);
            link.silent = true;
            unanswered += 1;
            connected += 1;
        }
        let mut answered_ns = begun_ns;
        let patient = |since_ns: u64, patience: Duration, swarm: &Swarm| {
            Duration::from_nanos(swarm.now_ns() - since_ns) < patience
        };
        while connected > 0
            && (patient(answered_ns, CLOSE_PATIENCE, &self)
                || (unanswered > 0 && patient(begun_ns, REPLY_PATIENCE, &self)))
        {
            self.turn(PING_SCAN_EVERY, |_, _, now_ns, happening| match happening {
                Happening::Reply(reply) if reply.xid() == request::CLOSE_XID.0 => {
                    unanswered = usize::saturating_sub(unanswered, 1);
                    answered_ns = now_ns;
                }
                Happening::Closed => connected = usize::saturating_sub(connected, 1),
                _ => {}
            })?;
        }
        Ok(())
    }

    /// Replaces the link at `index` by a new connection, which asks for a new session.
    pub(crate) fn reopen(&mut self, index: usize) -> Result<()> {
        let fresh = self.start_link(index)?;
        self.links[index] = fresh;
        Ok(())
    }

    /// Replaces the link at `index` by a connection to server number `server`, on which the
    /// session is to be resumed.
    pub(crate) fn resume(
        &mut self,
        index: usize,
        server: usize,
        session: Option<(Ticket, Zxid)>,
    ) -> Result<()> {
        let to = (self.target.servers[server], index);
        let at = (self.poll.registry(), Token(index));
        self.links[index] = Link::connect(to, self.target.timeout_ms, session, at)?;
        Ok(())
    }

    /// Sends what was queued on every link; for the beginning of a workload.
    pub(crate) fn flush_all(&mut self) {
        let now_ns = self.now_ns();
        for link in &mut self.links {
            link.flush(now_ns);
        }
    }

    /// Sends what was queued on one link.
    pub(crate) fn flush(&mut self, index: usize) {
        let now_ns = self.now_ns();
        self.links[index].flush(now_ns);
    }

    /// Waits up to `patience` for something to happen and hands it to `handle` with the link's
    /// index and the time in nanoseconds; what `handle` queues on the link is sent in one write.
    pub(crate) fn turn(
        &mut self,
        patience: Duration,
        mut handle: impl FnMut(usize, &mut Link, u64, Happening<'_>),
    ) -> Result<()> {
        self.ping_idle_links();
        match self.poll.poll(&mut self.events, Some(patience.min(PING_SCAN_EVERY))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.context("cannot wait for sockets")?,
        }
        for event in &self.events {
            let index = event.token().0;
            let link = &mut self.links[index];
            link.flush(elapsed_ns(self.start));
            if !event.is_readable() && !event.is_read_closed() {
                continue;
            }
            loop {
                let received = link.receive(&mut self.scratch);
                let now_ns = elapsed_ns(self.start);
                let more = match received {
                    Received::Frames { end, more } => {
                        let rest = link.for_each_frame(&self.scratch[..end], |link, happening| {
                            handle(index, link, now_ns, happening);
                        });
                        rest.context("a reply of the server is not a frame")?;
                        more
                    }
                    Received::Nothing => false,
                    Received::End => {
                        handle(index, link, now_ns, Happening::Closed);
                        false
                    }
                };
                if !more {
                    break;
                }
            }
            link.flush(elapsed_ns(self.start));
        }
        Ok(())
    }

    fn start_link(&mut self, index: usize) -> Result<Link> {
        let order = self.opened;
        self.opened += 1;
        let server = self.target.servers[index % self.target.servers.len()];
        let at = (self.poll.registry(), Token(index));
        Link::connect((server, order), self.target.timeout_ms, None, at)
    }

    /// Keeps quiet sessions alive, as every client does, at a third of their timeout.
    fn ping_idle_links(&mut self) {
        let now_ns = self.now_ns();
        if now_ns < self.next_ping_scan_ns {
            return;
        }
        self.next_ping_scan_ns = now_ns + PING_SCAN_EVERY.as_nanos() as u64;
        for link in &mut self.links {
            link.ping_if_idle(now_ns);
        }
    }
}

fn elapsed_ns(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).expect("no run lasts five hundred years")
}

/// Reads of up to this many bytes at once.
const SCRATCH_BYTES: usize = 256 * 1024;
/// The first connection's number of a swarm from other addresses: no ordinary one gets there.
const OTHER_ORDER: usize = 2_000_000;
/// Few enough that the listen queue of a default server (50) does not overflow.
const OPENING_AT_ONCE: usize = 32;
const REPLY_PATIENCE: Duration = Duration::from_secs(60);
const CLOSE_PATIENCE: Duration = Duration::from_millis(300);
const PING_SCAN_EVERY: Duration = Duration::from_millis(50);
