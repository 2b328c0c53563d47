//! Which certificates of those who connect are accepted.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    RootCertStore, SignatureScheme,
};

use super::version1;

/// The TLS library's verifier, with certificates of X.509 version 1 besides.
#[derive(Debug)]
pub(super) struct Verifier {
    current: Arc<dyn ClientCertVerifier>,
    authorities: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    /// Certificates can be revoked, which only the library looks for.
    has_revocations: bool,
}

impl Verifier {
    /// Accepts what one of `authorities` vouches for and has not revoked; with `mandatory` every
    /// client must have a certificate.
    pub(super) fn new(
        authorities: Arc<RootCertStore>,
        revoked: Vec<CertificateRevocationListDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
        mandatory: bool,
    ) -> Result<Verifier, Error> {
        let provider = Arc::new(crypto::ring::default_provider());
        let has_revocations = !revoked.is_empty();
        // An authority without a list has revoked nothing.
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities), provider)
                .with_crls(revoked)
                .allow_unknown_revocation_status();
        let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
        let current = builder.build().map_err(|error| Error::General(error.to_string()))?;
        Ok(Verifier { current, authorities, algorithms, has_revocations })
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.current.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.current.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let Some(old) = version1::Certificate::parse(certificate) else {
            return self.current.verify_client_cert(certificate, intermediates, now);
        };
        if self.has_revocations {
            return Err(CertificateError::UnknownRevocationStatus.into());
        }
        old.verify(&self.authorities.roots, self.algorithms.all, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(old) = version1::Certificate::parse(certificate) else {
            return self.current.verify_tls12_signature(message, certificate, signed);
        };
        let mut schemes = self.algorithms.mapping.iter();
        let Some((_, algorithms)) = schemes.find(|(scheme, _)| *scheme == signed.scheme) else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        old.verify_handshake(message, signed, algorithms)?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match version1::Certificate::parse(certificate) {
            None => self.current.verify_tls13_signature(message, certificate, signed),
            Some(old) => crypto::verify_tls13_signature_with_raw_key(
                message,
                &old.key(),
                signed,
                &self.algorithms,
            ),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.supported_verify_schemes()
    }
}
