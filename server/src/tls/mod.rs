//! TLS for clients and for links between members: from the `ssl.*` keys to connections that read
//! and write plaintext.
//!
//! Keys and certificates are read at the start, and again when their files change if the
//! configuration asks for that ([`live`]).

mod certificate;
mod der;
mod error;
mod jks;
mod links;
mod live;
mod session;
mod settings;
mod store;
mod validity;
mod verifier;
mod version1;

use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::server::{ServerConfig, WantsServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ConfigBuilder, Error, InconsistentKeys, RootCertStore, SupportedProtocolVersion};

pub use error::{FileError, TlsError};
pub use jks::JksError;
pub(crate) use links::{LinkTls, is_for};
pub(crate) use live::{Live, Reloader, Watch};
pub(crate) use session::Session;
use settings::{ClientAuth, Settings, Store};
pub use validity::{Validity, validities};
use verifier::Verifier;

/// The first byte of whoever begins a TLS handshake. No client and no member begins a plain
/// conversation with it.
pub(crate) const HANDSHAKE: u8 = 0x16;

/// What clients' TLS connections start from.
pub(crate) fn clients(pairs: &[(String, String)]) -> Result<LiveClients, TlsError> {
    let reloads = is_on(pairs, "client.certReload")?;
    Live::start("clients", Settings::of_clients(pairs), reloads, for_clients)
}

/// What TLS connections to admin HTTP start from: the keys of links between members, as in the
/// reference server, or else those for clients.
pub(crate) fn admin(
    pairs: &[(String, String)],
    need_client_auth: bool,
) -> Result<LiveClients, TlsError> {
    let of_links = Settings::of_links(pairs);
    let (settings, key) = match of_links.get("keyStore.location") {
        Some(_) => (of_links, "sslQuorumReloadCertFiles"),
        None => (Settings::of_clients(pairs), "client.certReload"),
    };
    let make = match need_client_auth {
        true => |settings: Settings<'_>| configure(settings, ClientAuth::Need),
        false => |settings: Settings<'_>| configure(settings, ClientAuth::None),
    };
    Live::start("admin HTTP", settings, is_on(pairs, key)?, make)
}

/// What links between members start from.
pub(crate) fn links(pairs: &[(String, String)]) -> Result<LiveLinks, TlsError> {
    let reloads = is_on(pairs, "sslQuorumReloadCertFiles")?;
    Live::start("members", Settings::of_links(pairs), reloads, LinkTls::configure)
}

type LiveClients = (Arc<Live<ServerConfig>>, Option<Watch>);
type LiveLinks = (Arc<Live<LinkTls>>, Option<Watch>);

/// Whether a key without a prefix of its own is on.
pub(crate) fn is_on(pairs: &[(String, String)], key: &'static str) -> Result<bool, TlsError> {
    Settings::without_prefix(pairs).flag(key, false)
}

fn for_clients(settings: Settings<'_>) -> Result<ServerConfig, TlsError> {
    // Whoever names those it trusts has something to tell clients by.
    let trusts = settings.get("trustStore.location").is_some();
    let auth = settings.client_auth(if trusts { ClientAuth::Need } else { ClientAuth::None })?;
    if auth == ClientAuth::None {
        tracing::warn!("any client may connect through TLS: none must show a certificate");
    }
    configure(settings, auth)
}

/// Reads keys and certificates, and makes of them what accepted TLS connections start from.
fn configure(settings: Settings<'_>, auth: ClientAuth) -> Result<ServerConfig, TlsError> {
    let provider = provider(settings)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(settings)?)
        .map_err(|_| no_suite(settings))?;
    let builder = with_client_auth(builder, settings, auth, &provider)?;
    let identity = identity(settings, &provider)?;
    Ok(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity))))
}

fn provider(settings: Settings<'_>) -> Result<Arc<CryptoProvider>, TlsError> {
    let cipher_suites = cipher_suites(settings)?;
    Ok(Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() }))
}

/// Suites and protocols do not go together.
fn no_suite(settings: Settings<'_>) -> TlsError {
    let suites = settings.get("ciphersuites").unwrap_or_default();
    settings.bad("ciphersuites", suites, "a suite of each protocol that is served")
}

type WantsVerifier = ConfigBuilder<ServerConfig, rustls::WantsVerifier>;

fn with_client_auth(
    builder: WantsVerifier,
    settings: Settings<'_>,
    auth: ClientAuth,
    provider: &CryptoProvider,
) -> Result<ConfigBuilder<ServerConfig, WantsServerCert>, TlsError> {
    let (trust, revoked) = (settings.store("trustStore")?, revoked(settings)?);
    if auth == ClientAuth::None {
        return Ok(builder.with_no_client_auth());
    }
    let trust = trust.ok_or_else(|| TlsError::Missing {
        key: settings.key("trustStore.location"),
        expected: "the certificates of those who vouch for clients, or ssl.clientAuth=none",
    })?;
    let authorities = authorities(&trust)?;
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Verifier::new(authorities, revoked, algorithms, auth == ClientAuth::Need);
    let verifier = verifier.map_err(|problem| trust.error(FileError::Refused(problem)))?;
    Ok(builder.with_client_cert_verifier(Arc::new(verifier)))
}

/// Those who vouch for others.
fn authorities(trust: &Store<'_>) -> Result<Arc<RootCertStore>, TlsError> {
    let read = || {
        let mut authorities = RootCertStore::empty();
        for certificate in store::trusted(&trust.bytes, trust.password.as_deref())? {
            authorities.add(certificate).map_err(FileError::Refused)?;
        }
        Ok(Arc::new(authorities))
    };
    read().map_err(|problem| trust.error(problem))
}

/// Lists of certificates that count no more.
fn revoked(settings: Settings<'_>) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists = settings.file(settings::REVOKED)?;
    // Whoever relies on revocation must not be left with the belief that it works. There is nobody
    // to ask over the network, neither for lists nor for single certificates.
    for name in ["crl", "ocsp"] {
        if settings.flag(name, false)? && (name == "ocsp" || lists.is_none()) {
            let expected = "false, and ssl.crlFile or ssl.quorum.crlFile for a PEM file of \
                            revocation lists: none are fetched";
            return Err(settings.bad(name, "true", expected));
        }
    }
    match lists {
        None => Ok(Vec::new()),
        Some(lists) => {
            store::revocation_lists(&lists.bytes).map_err(|problem| lists.error(problem))
        }
    }
}

/// The server's private key and certificates.
fn identity(settings: Settings<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let keys = settings.store("keyStore")?.ok_or_else(|| TlsError::Missing {
        key: settings.key("keyStore.location"),
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
    let identity = read().map_err(|problem| keys.error(problem))?;
    warn_of_expiry(&identity, &keys.key);
    Ok(identity)
}

/// Tells of a certificate that will soon be good for nothing, or is already.
fn warn_of_expiry(identity: &CertifiedKey, key: &str) {
    let not_after = identity.end_entity_cert().ok().and_then(certificate::not_after);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let Some(left_s) = not_after.map(|not_after| not_after as i64 - now.as_secs() as i64) else {
        return;
    };
    let days = left_s / (24 * 60 * 60);
    if left_s < 0 {
        tracing::error!(
            "{key}: this server's certificate expired {} days ago: nobody accepts it any more",
            -days
        );
    } else if days < EXPIRY_WARNING_DAYS {
        tracing::warn!("{key}: this server's certificate expires in {days} days");
    }
}

/// Days before the end of a certificate from which on a start tells of it.
const EXPIRY_WARNING_DAYS: i64 = 30;

/// The protocols to serve. Names of older ones are passed over, as long as one is left.
fn versions(settings: Settings<'_>) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let names = ["enabledProtocols", "protocol"];
    let Some((key, names)) = names.iter().find_map(|key| Some((*key, settings.list(key)?))) else {
        return Ok(vec![&TLS13, &TLS12]);
    };
    let mut versions = Vec::new();
    for name in &names {
        match *name {
            "TLSv1.3" => versions.push(&TLS13),
            "TLSv1.2" => versions.push(&TLS12),
            // "TLS" is Java's name for whatever is usual.
            "TLS" => versions.extend([&TLS13, &TLS12]),
            other => tracing::warn!("{}: {other} is not served", settings.key(key)),
        }
    }
    if versions.is_empty() {
        return Err(settings.bad(key, &names.join(","), "TLSv1.3 or TLSv1.2"));
    }
    Ok(versions)
}

/// The cipher suites to offer, by the names that Java uses too.
fn cipher_suites(settings: Settings<'_>) -> Result<Vec<rustls::SupportedCipherSuite>, TlsError> {
    let mut suites = ring::default_provider().cipher_suites;
    let Some(names) = settings.list("ciphersuites") else { return Ok(suites) };
    let name_of = |suite: &rustls::SupportedCipherSuite| {
        // The library marks those of TLS 1.3, Java does not.
        format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
    };
    suites.retain(|suite| names.contains(&name_of(suite).as_str()));
    if suites.is_empty() {
        let expected = "at least one with forward secrecy and authenticated encryption, as \
                        TLS_AES_256_GCM_SHA384";
        return Err(settings.bad("ciphersuites", &names.join(","), expected));
    }
    Ok(suites)
}

#[cfg(test)]
mod tests;
