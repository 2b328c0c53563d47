//! A stretch of the link that can be cut.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Passes bytes between a client and a server, until it is cut; accepts new connections always.
pub(crate) struct Proxy {
    addr: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub(crate) fn before(server: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (server, links) = (server.to_owned(), Arc::clone(&open));
        thread::spawn(move || {
            for client in listener.incoming() {
                // One that fails is the client's to notice; it tries again.
                let _ = client.and_then(|client| pass(client, &server, &links));
            }
        });
        Ok(Self { addr, open })
    }

    pub(crate) fn hosts(&self) -> String {
        self.addr.to_string()
    }

    /// Cuts the links that there are.
    pub(crate) fn cut(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            // It may be down already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(client: TcpStream, server: &str, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        open.lock().unwrap_or_else(PoisonError::into_inner).push(stream.try_clone()?);
    }
    let back = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || copy(client, server));
    thread::spawn(move || copy(back.0, back.1));
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
