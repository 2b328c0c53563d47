//! A network between clients and a server that breaks when told to.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients to the server.
    ToServer,
    /// From the server to clients.
    ToClient,
}

/// A TCP proxy before a server of any kind. Dropping it cuts all connections.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use tenure_testing::{Direction, Proxy, TestServer};
///
/// let server = TestServer::start()?;
/// let network = Proxy::start(server.addr())?;
/// let mut client = TcpStream::connect(network.addr())?;
///
/// network.blackhole(Direction::ToServer);
/// client.write_all(b"ruok")?; // Held back,
/// network.heal(); // and delivered now.
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Proxy {
    addr: SocketAddr,
    target: SocketAddr,
    network: Arc<Network>,
}

struct Network {
    state: Mutex<State>,
    healed: Condvar,
}

#[derive(Default)]
struct State {
    is_over: bool,
    refuses: bool,
    /// Bytes towards the server are held back.
    to_server: bool,
    /// Bytes towards clients are held back.
    to_client: bool,
    /// Both ends of every connection.
    live: Vec<(TcpStream, TcpStream)>,
    accepted: u64,
}

impl Network {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Stands before the server at `target` from now on, on a free port.
    ///
    /// # Errors
    /// If no port or thread is to be had.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let network = Arc::new(Network { state: Mutex::default(), healed: Condvar::new() });
        let accepting = Arc::clone(&network);
        thread::Builder::new().name("proxy".into()).spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                if accepting.state().is_over {
                    return;
                }
                connect(&accepting, client, target);
            }
        })?;
        Ok(Self { addr, target, network })
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same as a connect string.
    pub fn hosts(&self) -> String {
        self.addr.to_string()
    }

    /// Has a connection that was accepted elsewhere go through here, as if it were made to
    /// [`addr`](Self::addr).
    pub fn carry(&self, client: TcpStream) {
        connect(&self.network, client, self.target);
    }

    /// How many connections clients have made so far.
    pub fn accepted(&self) -> u64 {
        self.network.state().accepted
    }

    /// Cuts every connection. New ones are made.
    pub fn cut(&self) {
        for (client, server) in self.network.state().live.drain(..) {
            // Either end may have gone by itself.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Cuts every new connection at once, until [`accept`](Self::accept).
    pub fn refuse(&self) {
        self.network.state().refuses = true;
    }

    /// Ends [`refuse`](Self::refuse).
    pub fn accept(&self) {
        self.network.state().refuses = false;
    }

    /// Holds back all bytes that go one way, on old connections and new ones, which stay open.
    pub fn blackhole(&self, direction: Direction) {
        let mut state = self.network.state();
        match direction {
            Direction::ToServer => state.to_server = true,
            Direction::ToClient => state.to_client = true,
        }
    }

    /// Holds back all bytes both ways: a partition.
    pub fn partition(&self) {
        self.blackhole(Direction::ToServer);
        self.blackhole(Direction::ToClient);
    }

    /// Delivers what was held back, and everything after it. Connections of before live on.
    pub fn heal(&self) {
        let mut state = self.network.state();
        state.to_server = false;
        state.to_client = false;
        drop(state);
        self.network.healed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.state().is_over = true;
        self.heal();
        self.cut();
        // Wakes the thread that accepts, which then looks whether it is over.
        let _ = TcpStream::connect(self.addr);
    }
}

fn connect(network: &Arc<Network>, client: TcpStream, target: SocketAddr) {
    network.state().accepted += 1;
    let refuses = network.state().refuses;
    let server = (!refuses).then(|| TcpStream::connect(target).ok()).flatten();
    let Some(server) = server else {
        // A reset, which the next write meets: an orderly end would be noticed only by reading.
        let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let ends = (client.try_clone(), server.try_clone(), client.try_clone(), server.try_clone());
    let (Ok(client_in), Ok(server_in), Ok(client_kept), Ok(server_kept)) = ends else { return };
    network.state().live.push((client_kept, server_kept));
    let (up, down) = (Arc::clone(network), Arc::clone(network));
    let copied = thread::Builder::new()
        .spawn(move || copy(&up, client_in, server, Direction::ToServer))
        .and_then(|_| {
            thread::Builder::new()
                .spawn(move || copy(&down, server_in, client, Direction::ToClient))
        });
    if copied.is_err() {
        network.state().live.pop();
    }
}

/// Copies bytes one way until either end goes.
fn copy(network: &Network, mut from: TcpStream, mut to: TcpStream, direction: Direction) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut state = network.state();
        while held(&state, direction) {
            state = network.healed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The end of one side is news for the other, but not through a hole.
    let mut state = network.state();
    while held(&state, direction) {
        state = network.healed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
    let gone = |end: &TcpStream| end.peer_addr().is_err();
    state.live.retain(|(client, server)| !gone(client) && !gone(server));
}

fn held(state: &State, direction: Direction) -> bool {
    match direction {
        Direction::ToServer => state.to_server,
        Direction::ToClient => state.to_client,
    }
}
