//! Key stores and trust stores: from a file to a private key with its chain, or to certificates.
//!
//! What a file is shows in its first bytes, so `ssl.*.type` and file extensions are not needed.

use std::fs::File;
use std::io::Read;

use pkcs8::der::Decode;
use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
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
        Kind::Pem => (pem_key(bytes, password)?, pem_certificates(bytes)?),
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

fn pem_key(bytes: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, FileError> {
    let error = match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(key) => return Ok(key),
        Err(error) => error,
    };
    let text = String::from_utf8_lossy(bytes);
    if let Some(block) = encrypted_block(&text) {
        let password = password.ok_or(FileError::NoPassword)?;
        return decrypted(block, password);
    }
    Err(match error {
        // The way of before PKCS#8 has the word in a header of its own.
        _ if text.contains("ENCRYPTED") => FileError::OldEncryptedKey,
        pem::Error::NoItemsFound => FileError::NoKey,
        error => FileError::Pem(error.to_string()),
    })
}

/// The part of a PEM text that is an encrypted private key.
fn encrypted_block(text: &str) -> Option<&str> {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let begin = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let length = text[begin..].find(END)? + END.len();
    Some(&text[begin..begin + length])
}

fn decrypted(block: &str, password: &str) -> Result<PrivateKeyDer<'static>, FileError> {
    let (_, sealed) =
        SecretDocument::from_pem(block).map_err(|error| FileError::Pem(error.to_string()))?;
    let sealed = EncryptedPrivateKeyInfo::from_der(sealed.as_bytes())
        .map_err(|error| FileError::Undecryptable(error.to_string()))?;
    let key =
        sealed.decrypt(password).map_err(|error| FileError::Undecryptable(error.to_string()))?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
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
    /// What openssl makes of a key and its certificates with `pkcs8 -topk8`, and with `-scrypt`.
    const PBKDF2: &[u8] = include_bytes!("golden/pbkdf2.pem");
    const SCRYPT: &[u8] = include_bytes!("golden/scrypt.pem");

    #[test]
    fn pem_and_jks_give_the_same() {
        let from_pem = identity(KEY, None).unwrap();
        let from_jks = identity(JKS, Some("päßword")).unwrap();
        assert_eq!(from_pem.0.secret_der(), from_jks.0.secret_der());
        assert_eq!(from_pem.1, from_jks.1);
        assert_eq!(trusted(CA, None).unwrap(), trusted(JKS, Some("päßword")).unwrap());
    }

    #[test]
    fn encrypted_keys_are_read_with_their_password() {
        let expected = identity(KEY, None).unwrap();
        for store in [PBKDF2, SCRYPT] {
            let read = identity(store, Some("changeit")).unwrap();
            assert_eq!(read.0.secret_der(), expected.0.secret_der());
            assert_eq!(read.1, expected.1);
            let refused = |password| identity(store, password).unwrap_err().to_string();
            assert!(refused(Some("changed")).contains("right password"), "{}", refused(Some("x")));
            assert!(refused(None).contains("has a private key that wants a password"));
            for length in 0..store.len() {
                _ = identity(&store[..length], Some("changeit"));
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let of = |bytes: &[u8]| identity(bytes, None).unwrap_err().to_string();
        assert!(of(&[0x30, 0x82, 1, 2]).contains("openssl pkcs12"));
        assert!(of(&[0xce; 40]).contains("JCEKS"));
        assert!(of(b"").contains("neither PEM nor JKS"));
        assert!(of(CA).contains("has no private key"));
        let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n";
        assert!(of(old).contains("openssl pkey"), "{}", of(old));
        let key_only = std::str::from_utf8(KEY).unwrap().split("-----BEGIN CERT").next().unwrap();
        assert!(of(key_only.as_bytes()).contains("no certificate"));
        assert!(of(b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----").contains("PEM"));
    }
}
