//! How links are secured: who dials speaks TLS or not, who is dialled takes the one, the other, or
//! both while an ensemble changes over.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;

use super::stream::LinkStream;
use crate::config::EnsembleSettings;
use crate::tls::{self, LinkTls, Live};

/// How the links of one member are secured.
pub(super) struct Security {
    /// Keys and certificates, if any link may be secured.
    tls: Option<Arc<Live<LinkTls>>>,
    /// What this server dials is secured (`sslQuorum`).
    dials_tls: bool,
    /// What others dial may be plain.
    takes_plain: bool,
}

impl Security {
    /// As the configuration wants it.
    pub(super) fn new(settings: &EnsembleSettings, tls: Option<Arc<Live<LinkTls>>>) -> Self {
        let takes_plain = !settings.tls || settings.tls_unification;
        Security { tls, dials_tls: settings.tls, takes_plain }
    }

    /// No link is.
    #[cfg(test)]
    pub(super) fn plain() -> Arc<Self> {
        Arc::new(Security { tls: None, dials_tls: false, takes_plain: true })
    }

    /// Secures a link to a host that was dialled, if links are secured.
    pub(super) fn dialled(
        &self,
        stream: LinkStream,
        host: &str,
        by: Instant,
    ) -> io::Result<LinkStream> {
        let Some(tls) = self.tls.as_ref().filter(|_| self.dials_tls) else { return Ok(stream) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let dial = Arc::clone(&tls.get().dial);
        stream.secure_dialled(dial, name, by).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                    "; does it take TLS (sslQuorum, or portUnification during a change)?"
                }
                _ => "",
            };
            io::Error::new(error.kind(), format!("the TLS handshake failed: {error}{hint}"))
        })
    }

    /// Secures a link that somebody has dialled, as its first byte asks for.
    pub(super) fn accepted(&self, stream: LinkStream, by: Instant) -> io::Result<LinkStream> {
        let speaks_tls = stream.first_byte(by)? == tls::HANDSHAKE;
        let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        match (speaks_tls, &self.tls) {
            (true, Some(tls)) => {
                stream.secure_accepted(Arc::clone(&tls.get().accept), by).map_err(|error| {
                    match error.kind() {
                        io::ErrorKind::InvalidData => error,
                        kind => io::Error::new(kind, format!("the TLS handshake failed: {error}")),
                    }
                })
            }
            (true, None) => refused("it speaks TLS, and links here are plain (sslQuorum=false)"),
            (false, _) if self.takes_plain => Ok(stream),
            (false, _) => refused("it does not speak TLS, and links here must (sslQuorum=true)"),
        }
    }

    /// Whether the other end of a link that was accepted may be a member at one of these hosts.
    pub(super) fn may_be_at<'a>(
        &self,
        stream: &LinkStream,
        mut hosts: impl Iterator<Item = &'a str>,
    ) -> bool {
        let checks = self.tls.as_ref().is_some_and(|tls| tls.get().checks_dialler);
        // Without a certificate the link is plain, and was taken all the same.
        let Some(certificate) = stream.certificate().filter(|_| checks) else { return true };
        hosts.any(|host| tls::is_for(&certificate, host))
    }
}
