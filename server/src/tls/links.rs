//! TLS of links between members, who show each other certificates in both directions.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientConfig, Resumption, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor,
    verify_server_name,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, ServerConfig};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::error::{FileError, TlsError};
use super::settings::{ClientAuth, Settings};
use super::verifier::Verifier;
use super::{authorities, identity, no_suite, provider, revoked, versions};

/// What links between members start from.
pub(crate) struct LinkTls {
    /// For links that others dial.
    pub(crate) accept: Arc<ServerConfig>,
    /// For links that this server dials.
    pub(crate) dial: Arc<ClientConfig>,
    /// Whoever dials must be found at a host that its certificate names
    /// (`ssl.quorum.clientHostnameVerification`).
    pub(crate) checks_dialler: bool,
}

impl LinkTls {
    /// Reads keys and certificates.
    pub(super) fn configure(settings: Settings<'_>) -> Result<Self, TlsError> {
        let auth = settings.client_auth(ClientAuth::Need)?;
        if auth != ClientAuth::Need {
            let value = settings.get("clientAuth").unwrap_or_default();
            return Err(settings.bad(
                "clientAuth",
                value,
                "need: members always show who they are",
            ));
        }
        let trust = settings.store("trustStore")?.ok_or_else(|| TlsError::Missing {
            key: settings.key("trustStore.location"),
            expected: "the certificates of those who vouch for the members",
        })?;
        let roots = authorities(&trust)?;
        let revoked = revoked(settings)?;
        let provider = provider(settings)?;
        let checks_hosts = settings.flag("hostnameVerification", true)?;
        let checks_dialler = settings.flag("clientHostnameVerification", true)? && checks_hosts;
        let refused = |error: Error| trust.error(FileError::Refused(error));

        let algorithms = provider.signature_verification_algorithms;
        let dialler = Verifier::new(Arc::clone(&roots), revoked.clone(), algorithms, true);
        let versions = versions(settings)?;
        let mut accept = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|_| no_suite(settings))?
            .with_client_cert_verifier(Arc::new(dialler.map_err(refused)?))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity(settings, &provider)?)));
        // Links are few and last: none is resumed, and nothing comes unasked on those that are
        // only written.
        accept.session_storage = Arc::new(NoServerSessionStorage {});
        accept.send_tls13_tickets = 0;

        let by_name =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .with_crls(revoked)
                .allow_unknown_revocation_status()
                .build()
                .map_err(|error| refused(Error::General(error.to_string())))?;
        let verifier: Arc<dyn ServerCertVerifier> = match checks_hosts {
            true => by_name,
            false => Arc::new(AnyHost { by_name, roots, provider: Arc::clone(&provider) }),
        };
        let mut dial = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|_| no_suite(settings))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity(
                settings, &provider,
            )?)));
        dial.resumption = Resumption::disabled();
        Ok(LinkTls { accept: Arc::new(accept), dial: Arc::new(dial), checks_dialler })
    }
}

/// Whether a certificate, vouched for before, is for a host name or address.
pub(crate) fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let parsed = ParsedCertificate::try_from(certificate);
    let (Ok(parsed), Ok(host)) = (parsed, ServerName::try_from(host)) else { return false };
    verify_server_name(&parsed, &host).is_ok()
}

/// Accepts what an authority vouches for, whatever host it is for.
#[derive(Debug)]
struct AnyHost {
    by_name: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.by_name.verify_server_cert(certificate, intermediates, name, stapled, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {
                // The name is looked at last. Even so: what else there is to it counts by itself.
                verify_server_cert_signed_by_trust_anchor(
                    &ParsedCertificate::try_from(certificate)?,
                    &self.roots,
                    intermediates,
                    now,
                    self.provider.signature_verification_algorithms.all,
                )?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_name.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_name.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_name.supported_verify_schemes()
    }
}
