//! TLS on the way to servers: whom to trust, who this client is, and the records on a socket that
//! never blocks.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use thiserror::Error;

/// How links are encrypted, how servers are recognised, and what this client shows of itself.
///
/// ```
/// # tenure_testing::tls_example(async |hosts, ca_pem, client_pem| {
/// use tenure_client::{Session, Tls};
///
/// let tls = Tls::trusting(ca_pem)?.identity(client_pem)?;
/// let session = Session::builder(hosts).tls(tls).establish().await?;
/// # session.close().await?;
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    authorities: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

/// Why keys, certificates or names cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The text does not decode.
    #[error("the {what} does not decode as PEM: {error}")]
    Pem {
        /// What it was given as.
        what: &'static str,
        /// What is wrong with it.
        error: String,
    },
    /// There is nothing of the kind in the text.
    #[error("there is no {0} in the PEM text")]
    Missing(&'static str),
    /// A key or certificate is of a kind that cannot be used.
    #[error("the {what} cannot be used: {error}")]
    Refused {
        /// What it was given as.
        what: &'static str,
        /// Why.
        error: String,
    },
    /// It is neither a host name nor an address.
    #[error("{0:?} is no name of a server")]
    Name(String),
}

const AUTHORITY: &str = "authority's certificate";
const CERTIFICATE: &str = "client's certificate";
const KEY: &str = "client's private key";

impl Tls {
    /// Trusts the servers that one of these authorities vouches for: certificates as PEM. TLS 1.2
    /// and 1.3 are spoken. A server's certificate must be for the host that the connect string
    /// names, unless [`Tls::server_name`] gives another.
    ///
    /// # Errors
    /// If there is no certificate, or one does not decode.
    pub fn trusting(authorities_pem: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(authorities_pem.as_ref(), AUTHORITY)? {
            authorities.add(certificate).map_err(|error| refused(AUTHORITY, &error))?;
        }
        let authorities = Arc::new(authorities);
        let config = trusting(&authorities).with_no_client_auth();
        Ok(Self { authorities, config: Arc::new(config), server_name: None })
    }

    /// Shows servers this certificate, with those between it and an authority behind it, and uses
    /// its private key: both in one PEM text, the key unencrypted.
    ///
    /// # Errors
    /// If key or certificate is missing, does not decode, or they do not belong together.
    pub fn identity(
        mut self,
        key_and_certificates_pem: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        let pem = key_and_certificates_pem.as_ref();
        let chain = certificates(pem, CERTIFICATE)?;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => TlsError::Missing(KEY),
            error => TlsError::Pem { what: KEY, error: error.to_string() },
        })?;
        let config = trusting(&self.authorities).with_client_auth_cert(chain, key);
        self.config = Arc::new(config.map_err(|error| refused(KEY, &error))?);
        Ok(self)
    }

    /// Expects certificates for this host name or address, whatever the connect string says.
    ///
    /// # Errors
    /// If it is neither.
    pub fn server_name(mut self, name: &str) -> Result<Self, TlsError> {
        self.server_name = Some(parse(name)?);
        Ok(self)
    }

    /// A link to a host, before the first byte.
    pub(crate) fn begin(&self, host: &str) -> io::Result<Records> {
        Ok(Records { tls: self.connection(host)?, has_ended: false })
    }

    /// A connection to a server at a host, over a socket that blocks, for what needs no session:
    /// four-letter words. The handshake happens with the first read or write.
    ///
    /// # Errors
    /// If the host can have no certificate.
    pub fn over<S: Read + Write>(
        &self,
        host: &str,
        socket: S,
    ) -> io::Result<impl Read + Write + use<S>> {
        Ok(StreamOwned::new(self.connection(host)?, socket))
    }

    fn connection(&self, host: &str) -> io::Result<ClientConnection> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => parse(host).map_err(io::Error::other)?,
        };
        ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)
    }
}

fn parse(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))
}

fn trusting(
    authorities: &Arc<RootCertStore>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_root_certificates(Arc::clone(authorities))
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| TlsError::Pem { what, error: error.to_string() })?;
    if found.is_empty() { Err(TlsError::Missing(what)) } else { Ok(found) }
}

fn refused(what: &'static str, error: &rustls::Error) -> TlsError {
    TlsError::Refused { what, error: error.to_string() }
}

/// The records of one link: between its socket and what is said.
pub(crate) struct Records {
    tls: ClientConnection,
    /// The server has said that nothing more comes, or hung up.
    has_ended: bool,
}

impl Records {
    /// Goes on with the handshake. True once it is over.
    pub(crate) fn shake_hands(&mut self, socket: &mut (impl Read + Write)) -> io::Result<bool> {
        while self.tls.is_handshaking() {
            self.flush(socket)?;
            if !self.tls.is_handshaking() {
                break;
            }
            if !self.take(socket)? {
                return Ok(false);
            }
            if self.has_ended {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "it hung up during the TLS handshake; does this port take TLS?",
                ));
            }
        }
        self.flush(socket)?;
        Ok(true)
    }

    /// Fills the buffer as far as there is something to read, and returns how far.
    pub(crate) fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.tls.reader().read(&mut buffer[filled..]) {
                Ok(0) => self.has_ended = true,
                Ok(count) => {
                    filled += count;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The server did not say that this is the end. What it sent is whole or not by
                // itself.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.has_ended = true,
                Err(error) => return Err(error),
            }
            if self.has_ended || !self.take(socket)? {
                break;
            }
        }
        Ok(filled)
    }

    /// Whether nothing will come any more behind what was read.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes records from the socket. False if there is nothing for now.
    fn take(&mut self, socket: &mut (impl Read + Write)) -> io::Result<bool> {
        loop {
            match self.tls.read_tls(socket) {
                Ok(0) => {
                    self.has_ended = self.tls.is_handshaking();
                    break;
                }
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if let Err(error) = self.tls.process_new_packets() {
            // The server is told why, if it still listens.
            _ = self.flush(socket);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        self.flush(socket)?;
        Ok(true)
    }

    /// Encrypts all of this and sends what the system takes.
    pub(crate) fn write(&mut self, socket: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        // What is handed over at once is bounded already.
        self.tls.set_buffer_limit(None);
        self.tls.writer().write_all(bytes)?;
        self.flush(socket).map(drop)
    }

    /// Whether something waits until the system takes more.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    /// Sends what the system takes. True once nothing is left.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
