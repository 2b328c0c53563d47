//! A proxy between a client and its server: it can hold bytes back, cut links, and
//! counts requests and notifications.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to bytes and connections.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Mode {
    /// Bytes to the server wait.
    holds_requests: bool,
    /// Bytes to the client wait.
    holds_replies: bool,
    /// The above from the next write on, and not yet.
    waits_for_write: bool,
    /// Links of an earlier era are cut.
    era: u64,
}

pub(crate) struct Proxy {
    hosts: String,
    shared: Arc<Shared>,
}

struct Shared {
    mode: watch::Sender<Mode>,
    requests: AtomicUsize,
    notifications: AtomicUsize,
}

impl Proxy {
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hosts = listener.local_addr().unwrap().to_string();
        let mode = watch::Sender::new(Mode::default());
        let (requests, notifications) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Arc::new(Shared { mode, requests, notifications });
        let target: SocketAddr =
            tokio::net::lookup_host(target).await.unwrap().next().expect("the host has an address");
        let weak = Arc::downgrade(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(shared) = weak.upgrade() else { return };
                tokio::spawn(serve(client, target, shared));
            }
        });
        Self { hosts, shared }
    }

    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// No byte passes in either direction, until healed; no link breaks either.
    pub(crate) fn blackhole(&self) {
        self.change(|mode| (mode.holds_requests, mode.holds_replies) = (true, true));
    }

    /// Requests reach the server, and its replies get lost unless healed.
    pub(crate) fn hold_replies(&self) {
        self.change(|mode| mode.holds_replies = true);
    }

    /// From the next write on, which reaches the server, replies get lost unless healed.
    pub(crate) fn hold_replies_to_writes(&self) {
        self.change(|mode| (mode.holds_replies, mode.waits_for_write) = (true, true));
    }

    /// From the next write on, nothing reaches the server unless healed.
    pub(crate) fn hold_writes(&self) {
        self.change(|mode| (mode.holds_requests, mode.waits_for_write) = (true, true));
    }

    /// Waits until there was a write since.
    pub(crate) async fn held(&self) {
        let mut mode = self.shared.mode.subscribe();
        mode.wait_for(|mode| !mode.waits_for_write).await.unwrap();
    }

    /// All links break, with what they hold.
    pub(crate) fn cut(&self) {
        self.change(|mode| mode.era += 1);
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.change(|mode| *mode = Mode { era: mode.era, ..Mode::default() });
    }

    /// Requests so far, without pings and handshakes.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Notifications so far.
    pub(crate) fn notifications(&self) -> usize {
        self.shared.notifications.load(Ordering::SeqCst)
    }

    fn change(&self, change: impl FnOnce(&mut Mode)) {
        self.shared.mode.send_modify(change);
    }
}

async fn serve(client: TcpStream, target: SocketAddr, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let era = shared.mode.borrow().era;
    let mut mode = shared.mode.subscribe();
    let count_requests = |xid, op| {
        if xid > 0 {
            shared.requests.fetch_add(1, Ordering::SeqCst);
        }
        if WRITES.contains(&op) {
            shared.mode.send_modify(|mode| mode.waits_for_write = false);
        }
    };
    let count_notifications = |xid, _| {
        if xid == -1 {
            shared.notifications.fetch_add(1, Ordering::SeqCst);
        }
    };
    let holds_requests = |mode: &Mode| mode.holds_requests && !mode.waits_for_write;
    let holds_replies = |mode: &Mode| mode.holds_replies && !mode.waits_for_write;
    let upward = copy(from_client, to_server, &shared, holds_requests, count_requests);
    let downward = copy(from_server, to_client, &shared, holds_replies, count_notifications);
    tokio::select! {
        () = upward => {}
        () = downward => {}
        _ = mode.wait_for(|mode| mode.era != era) => {}
    }
}

/// Passes bytes on, and tells of every frame's first two numbers but those of the handshake.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    holds: impl Fn(&Mode) -> bool,
    tell: impl Fn(i32, i32),
) {
    let mut mode = shared.mode.subscribe();
    let era = shared.mode.borrow().era;
    let mut buffer = vec![0; 64 * 1024];
    let mut frames = Vec::new();
    let mut is_handshake = true;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        frames.extend_from_slice(&buffer[..count]);
        while let Some((xid, op)) = take_frame(&mut frames) {
            if !std::mem::take(&mut is_handshake) {
                tell(xid, op);
            }
        }
        // What was held when the link was cut is lost with it.
        match mode.wait_for(|mode| mode.era != era || !holds(mode)).await {
            Ok(mode) if mode.era == era => {}
            _ => return,
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Takes the first frame off, and returns its first two numbers: of a request, xid and operation.
fn take_frame(bytes: &mut Vec<u8>) -> Option<(i32, i32)> {
    let length = usize::try_from(i32::from_be_bytes(*bytes.first_chunk()?)).unwrap();
    let frame = bytes.get(4..4 + length)?;
    let number = |at: usize| frame[at..].first_chunk().map_or(0, |four| i32::from_be_bytes(*four));
    let numbers = (number(0), number(4));
    bytes.drain(..4 + length);
    Some(numbers)
}

/// create, delete, setData, setACL, multi, create2, createContainer, createTTL.
const WRITES: [i32; 8] = [1, 2, 5, 7, 14, 15, 19, 21];
