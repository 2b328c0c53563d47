//! TLS for clients: from the `ssl.*` keys to connections that read and write plaintext.
//!
//! Keys and certificates are read once, at the start: a renewed certificate counts after the next
//! one. A client's certificate decides whether it may connect, but is no identity of its session
//! yet: the `x509` scheme grants nothing.

mod der;
mod error;
mod jks;
mod session;
mod settings;
mod store;
mod validity;
mod verifier;
mod version1;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ServerConfig, WantsServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ConfigBuilder, Error, InconsistentKeys, RootCertStore, SupportedProtocolVersion};

pub use error::{FileError, TlsError};
pub use jks::JksError;
pub(crate) use session::Session;
use settings::{ClientAuth, Settings, Store};
pub use validity::{Validity, validities};
use verifier::Verifier;

/// Tells which wishes of a configuration do not come true yet.
pub(crate) fn warn_of_missing(pairs: &[(String, String)]) {
    let wishes = [
        ("client.portUnification", "clientPort takes no TLS; clients use secureClientPort"),
        ("client.certReload", "a renewed certificate counts after the next start"),
    ];
    for (key, message) in wishes {
        if Settings(pairs).get(key).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            tracing::warn!("{key}: {message}");
        }
    }
}

/// Reads keys and certificates, and makes of them what TLS connections start from.
pub(crate) fn configure(pairs: &[(String, String)]) -> Result<Arc<ServerConfig>, TlsError> {
    let settings = Settings(pairs);
    refuse_revocation(settings)?;
    let provider = Arc::new(CryptoProvider {
        cipher_suites: cipher_suites(settings)?,
        ..ring::default_provider()
    });
    let versions = versions(settings)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|_| TlsError::BadValue {
            key: "ssl.ciphersuites".into(),
            value: settings.get("ssl.ciphersuites").unwrap_or_default().into(),
            expected: "a suite of each protocol that is served",
        })?;
    let builder = with_client_auth(builder, settings, &provider)?;
    let identity = identity(settings, &provider)?;
    Ok(Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))))
}

type WantsVerifier = ConfigBuilder<ServerConfig, rustls::WantsVerifier>;

fn with_client_auth(
    builder: WantsVerifier,
    settings: Settings<'_>,
    provider: &CryptoProvider,
) -> Result<ConfigBuilder<ServerConfig, WantsServerCert>, TlsError> {
    let trust = settings.store("ssl.trustStore")?;
    let auth = settings.client_auth(trust.is_some())?;
    if auth == ClientAuth::None {
        tracing::warn!("any client may connect through TLS: none must show a certificate");
        return Ok(builder.with_no_client_auth());
    }
    let trust = trust.ok_or(TlsError::Missing {
        key: "ssl.trustStore.location",
        expected: "the certificates of those who vouch for clients, or ssl.clientAuth=none",
    })?;
    let verifier = verifier(&trust, provider, auth == ClientAuth::Need)
        .map_err(|problem| trust.error(problem))?;
    Ok(builder.with_client_cert_verifier(Arc::new(verifier)))
}

fn verifier(
    trust: &Store<'_>,
    provider: &CryptoProvider,
    mandatory: bool,
) -> Result<Verifier, FileError> {
    let mut authorities = RootCertStore::empty();
    for certificate in store::trusted(&trust.bytes, trust.password.as_deref())? {
        authorities.add(certificate).map_err(FileError::Refused)?;
    }
    let algorithms = provider.signature_verification_algorithms;
    Verifier::new(authorities, algorithms, mandatory).map_err(FileError::Refused)
}

/// The server's private key and certificates.
fn identity(settings: Settings<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let keys = settings.store("ssl.keyStore")?.ok_or(TlsError::Missing {
        key: "ssl.keyStore.location",
        expected: "a PEM or JKS file with the server's private key and certificates",
    })?;
    let read = || {
        let (key, chain) = store::identity(&keys.bytes, keys.password.as_deref())?;
        let key = provider.key_provider.load_private_key(key).map_err(FileError::Refused)?;
        let identity = CertifiedKey::new(chain, key);
        match identity.keys_match() {
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(FileError::KeyMismatch)
            }
            // A certificate of X.509 version 1 cannot be compared; clients will tell.
            _ => Ok(identity),
        }
    };
    read().map_err(|problem| keys.error(problem))
}

/// The protocols to serve. Names of older ones are passed over, as long as one is left.
fn versions(settings: Settings<'_>) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let keys = ["ssl.enabledProtocols", "ssl.protocol"];
    let Some((key, names)) = keys.iter().find_map(|key| Some((*key, settings.list(key)?))) else {
        return Ok(vec![&TLS13, &TLS12]);
    };
    let mut versions = Vec::new();
    for name in &names {
        match *name {
            "TLSv1.3" => versions.push(&TLS13),
            "TLSv1.2" => versions.push(&TLS12),
            // "TLS" is Java's name for whatever is usual.
            "TLS" => versions.extend([&TLS13, &TLS12]),
            other => tracing::warn!("{key}: {other} is not served"),
        }
    }
    if versions.is_empty() {
        let value = names.join(",");
        return Err(TlsError::BadValue { key: key.into(), value, expected: "TLSv1.3 or TLSv1.2" });
    }
    Ok(versions)
}

/// The cipher suites to offer, by the names that Java uses too.
fn cipher_suites(settings: Settings<'_>) -> Result<Vec<rustls::SupportedCipherSuite>, TlsError> {
    let mut suites = ring::default_provider().cipher_suites;
    let Some(names) = settings.list("ssl.ciphersuites") else { return Ok(suites) };
    let name_of = |suite: &rustls::SupportedCipherSuite| {
        // The library marks those of TLS 1.3, Java does not.
        format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
    };
    suites.retain(|suite| names.contains(&name_of(suite).as_str()));
    if suites.is_empty() {
        let (key, value) = ("ssl.ciphersuites".into(), names.join(","));
        let expected = "at least one with forward secrecy and authenticated encryption, as \
                        TLS_AES_256_GCM_SHA384";
        return Err(TlsError::BadValue { key, value, expected });
    }
    Ok(suites)
}

/// Who relies on revocation must not be left with the belief that it works.
fn refuse_revocation(settings: Settings<'_>) -> Result<(), TlsError> {
    for key in ["ssl.crl", "ssl.ocsp"] {
        if let Some(value) = settings.get(key)
            && !value.eq_ignore_ascii_case("false")
        {
            return Err(TlsError::BadValue {
                key: key.into(),
                value: value.into(),
                expected: "false: revoked certificates are not recognised yet",
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
