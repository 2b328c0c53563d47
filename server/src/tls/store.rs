//! Key stores and trust stores: from a file to a private key with its chain, or to certificates.
//!
//! What a file is shows in its first bytes, so `ssl.*.type` and file extensions are not needed.

use std::fs::File;
use std::io::Read;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};

use super::error::FileError;
use super::jks;
use crate::limits;

const JCEKS_MAGIC: [u8; 4] = [0xce; 4];
/// PKCS#12 is DER, which begins with a sequence; PEM is text.
const DER_START: u8 = 0x30;

/// A private key and the certificates that lead from its own to an authority.
pub(super) type Identity = (PrivateKeyDer<'static>, Vec<CertificateDer<'static>>);

/// Reads a file of at most [`limits::TLS_FILE_BYTES`].
pub(super) fn read_file(path: &str) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(FileError::Unreadable)?;
    let mut bounded = file.take(limits::TLS_FILE_BYTES + 1);
    bounded.read_to_end(&mut bytes).map_err(FileError::Unreadable)?;
    if bytes.len() as u64 > limits::TLS_FILE_BYTES {
        return Err(FileError::TooLarge(limits::TLS_FILE_BYTES));
    }
    Ok(bytes)
}

/// The first private key of a key store, with its chain.
pub(super) fn identity(bytes: &[u8], password: Option<&str>) -> Result<Identity, FileError> {
    let (key, chain) = match kind(bytes)? {
        Kind::Pem => (pem_key(bytes)?, pem_certificates(bytes)?),
        Kind::Jks => {
            let keys = jks::read(bytes, password)?.keys;
            let (key, chain) = keys.into_iter().next().ok_or(FileError::NoKey)?;
            let chain = chain.into_iter().map(CertificateDer::from).collect();
            (PrivatePkcs8KeyDer::from(key).into(), chain)
        }
    };
    if chain.is_empty() { Err(FileError::NoCertificate) } else { Ok((key, chain)) }
}

/// Every certificate of a trust store.
pub(super) fn trusted(
    bytes: &[u8],
    password: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates = match kind(bytes)? {
        Kind::Pem => pem_certificates(bytes)?,
        Kind::Jks => {
            let trusted = jks::read(bytes, password)?.trusted;
            trusted.into_iter().map(CertificateDer::from).collect()
        }
    };
    if certificates.is_empty() { Err(FileError::NoCertificate) } else { Ok(certificates) }
}

/// Every revocation list of a PEM file.
pub(super) fn revocation_lists(
    bytes: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, FileError> {
    let lists = CertificateRevocationListDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    let lists = lists.map_err(|error| FileError::Pem(error.to_string()))?;
    if lists.is_empty() { Err(FileError::NoRevocationList) } else { Ok(lists) }
}

enum Kind {
    Pem,
    Jks,
}

fn kind(bytes: &[u8]) -> Result<Kind, FileError> {
    if bytes.starts_with(&jks::MAGIC) {
        Ok(Kind::Jks)
    } else if bytes.starts_with(&JCEKS_MAGIC) {
        Err(FileError::Jceks)
    } else if bytes.first() == Some(&DER_START) {
        Err(FileError::Pkcs12)
    } else if std::str::from_utf8(bytes).is_ok_and(|text| text.contains("-----BEGIN")) {
        Ok(Kind::Pem)
    } else {
        Err(FileError::UnknownKind)
    }
}

fn pem_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        // Both the present and the older way to encrypt a key have the word in their headers.
        _ if String::from_utf8_lossy(bytes).contains("ENCRYPTED") => FileError::EncryptedKey,
        pem::Error::NoItemsFound => FileError::NoKey,
        error => FileError::Pem(error.to_string()),
    })
}

fn pem_certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates = CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>();
    certificates.map_err(|error| FileError::Pem(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = include_bytes!("../../tests/certificates/server.pem");
    const CA: &[u8] = include_bytes!("../../tests/certificates/ca.pem");
    const JKS: &[u8] = include_bytes!("golden/store.jks");

    #[test]
    fn pem_and_jks_give_the_same() {
        let from_pem = identity(KEY, None).unwrap();
        let from_jks = identity(JKS, Some("päßword")).unwrap();
        assert_eq!(from_pem.0.secret_der(), from_jks.0.secret_der());
        assert_eq!(from_pem.1, from_jks.1);
        assert_eq!(trusted(CA, None).unwrap(), trusted(JKS, Some("päßword")).unwrap());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let of = |bytes: &[u8]| identity(bytes, None).unwrap_err().to_string();
        assert!(of(&[0x30, 0x82, 1, 2]).contains("openssl pkcs12"));
        assert!(of(&[0xce; 40]).contains("JCEKS"));
        assert!(of(b"").contains("neither PEM nor JKS"));
        assert!(of(CA).contains("has no private key"));
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n";
        assert!(of(encrypted).contains("openssl pkey"));
        let key_only = std::str::from_utf8(KEY).unwrap().split("-----BEGIN CERT").next().unwrap();
        assert!(of(key_only.as_bytes()).contains("no certificate"));
        assert!(of(b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----").contains("PEM"));
    }
}
