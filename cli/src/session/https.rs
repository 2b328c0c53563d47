//! Admin HTTP over TLS, by the same authorities and certificates as sessions.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenure_client::Tls;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector,
    Transport, TransportAdapter,
};
use ureq::{Agent, Error};

/// Who asks questions; `https` needs to know whom to trust.
pub(crate) fn agent(config: Config, tls: Option<&Tls>) -> Agent {
    let connector = TcpConnector::default().chain(OverTls(tls.cloned()));
    Agent::with_parts(config, connector, DefaultResolver::default())
}

/// Speaks TLS over connections that want it.
#[derive(Debug)]
struct OverTls(Option<Tls>);

impl<In: Transport> Connector<In> for OverTls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(socket) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(socket)));
        }
        let Some(tls) = &self.0 else {
            return Err(io::Error::other("https: say whom to trust, with --tls-ca").into());
        };
        let host = details.uri.host().unwrap_or_default();
        let adapter = TransportAdapter::new(socket.boxed(), Arc::clone(&details.current_time));
        let socket = Socket(Arc::new(Mutex::new(adapter)));
        socket.lock().set_timeout(details.timeout);
        let stream = tls.over(host.trim_matches(['[', ']']), socket.clone())?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { buffers, socket, stream: Box::new(stream) })))
    }
}

/// Plaintext on one side, records on the other.
struct Encrypted {
    buffers: LazyBuffers,
    socket: Socket,
    stream: Box<dyn Plaintext>,
}

trait Plaintext: Read + Write + Send + Sync {}

impl<T: Read + Write + Send + Sync> Plaintext for T {}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encrypted")
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.socket.lock().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.socket.lock().set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.socket.lock().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// The socket, of which the stream has a share: each operation has a timeout of its own.
#[derive(Clone)]
struct Socket(Arc<Mutex<TransportAdapter>>);

impl Socket {
    fn lock(&self) -> MutexGuard<'_, TransportAdapter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.lock().read(into)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}
