//! Java key stores of type JKS: private keys with their certificate chains, and trusted
//! certificates.
//!
//! A store is a count of entries, the entries, and a SHA-1 digest over the password and everything
//! before it. A private key is hidden by a key stream of chained SHA-1 digests that starts with the
//! password and a salt, and carries a digest of its own.

use sha1::{Digest, Sha1};
use thiserror::Error;

use super::der::{self, Reader};

/// The first four bytes of every JKS file.
pub(super) const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const DIGEST_BYTES: usize = 20;
/// Goes into the digest of the whole store behind the password.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// The key protection of JKS stores, 1.3.6.1.4.1.42.2.17.1.1.
const KEY_PROTECTOR: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];
const PRIVATE_KEY: u32 = 1;
const TRUSTED: u32 = 2;

/// Why a JKS file cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JksError {
    /// A version of the format that nobody writes any more, or never did.
    #[error("format version {0} is unknown; expected 1 or 2")]
    Version(u32),
    /// The file ends early, or a length or tag in it makes no sense.
    #[error("it is damaged at byte {0}")]
    Damaged(usize),
    /// The digest at the end does not fit.
    #[error("the password is wrong, or the file is damaged")]
    Integrity,
    /// A private key has a password of its own, or is damaged.
    #[error("the private key {0:?} cannot be decrypted; its password must be that of the store")]
    KeyPassword(String),
    /// A private key is protected in a way that JKS stores do not have.
    #[error("the private key {0:?} is protected by an unknown algorithm")]
    KeyAlgorithm(String),
}

/// What a store holds, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Private keys, each as PKCS#8 with its chain of certificates, its own first.
    pub(super) keys: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// Certificates to trust.
    pub(super) trusted: Vec<Vec<u8>>,
}

/// Reads a store. Without a password its integrity is not checked, as in Java, and private keys
/// count as protected by the empty one.
pub(super) fn read(bytes: &[u8], password: Option<&str>) -> Result<Contents, JksError> {
    let password_bytes = utf16(password.unwrap_or_default());
    let end = bytes.len().checked_sub(DIGEST_BYTES).ok_or(JksError::Damaged(bytes.len()))?;
    let (body, digest) = bytes.split_at(end);
    let mut cursor = Cursor { bytes: body, at: MAGIC.len() };
    let version = cursor.u32()?;
    if !(1..=2).contains(&version) {
        return Err(JksError::Version(version));
    }
    if password.is_some() && sha1(&[&password_bytes, WHITENER, body])[..] != *digest {
        return Err(JksError::Integrity);
    }
    let mut contents = Contents::default();
    for _ in 0..cursor.u32()? {
        let tag_at = cursor.at;
        let tag = cursor.u32()?;
        let alias = cursor.text()?;
        // When the entry was made.
        cursor.take(8)?;
        match tag {
            PRIVATE_KEY => {
                let protected = cursor.long_bytes()?;
                let mut chain = Vec::new();
                for _ in 0..cursor.u32()? {
                    chain.push(cursor.certificate(version)?.to_vec());
                }
                contents.keys.push((unprotect(protected, &password_bytes, &alias)?, chain));
            }
            TRUSTED => contents.trusted.push(cursor.certificate(version)?.to_vec()),
            _ => return Err(JksError::Damaged(tag_at)),
        }
    }
    if cursor.at != body.len() {
        return Err(JksError::Damaged(cursor.at));
    }
    Ok(contents)
}

/// Takes a private key out of its protection: salt, key XOR key stream, digest.
fn unprotect(protected: &[u8], password: &[u8], alias: &str) -> Result<Vec<u8>, JksError> {
    let container = || {
        let mut outer = Reader::new(protected).inside(der::SEQUENCE)?;
        let algorithm = outer.inside(der::SEQUENCE)?.content(der::OBJECT_ID)?;
        Some((algorithm, outer.content(der::OCTET_STRING)?))
    };
    let wrong = || JksError::KeyPassword(alias.to_owned());
    let (algorithm, hidden) = container().ok_or_else(wrong)?;
    if algorithm != KEY_PROTECTOR {
        return Err(JksError::KeyAlgorithm(alias.to_owned()));
    }
    let (salt, rest) = hidden.split_at_checked(DIGEST_BYTES).ok_or_else(wrong)?;
    let key_len = rest.len().checked_sub(DIGEST_BYTES).ok_or_else(wrong)?;
    let (hidden, check) = rest.split_at(key_len);
    let mut key = hidden.to_vec();
    let mut stream = [0; DIGEST_BYTES];
    stream.copy_from_slice(salt);
    for block in key.chunks_mut(DIGEST_BYTES) {
        stream = sha1(&[password, &stream]);
        block.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
    }
    if sha1(&[password, &key])[..] != *check {
        return Err(wrong());
    }
    Ok(key)
}

fn sha1(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut digest = Sha1::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

/// Java's characters are two bytes each.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Walks a store; every length is checked against what is left.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], JksError> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(JksError::Damaged(self.at))?;
        self.at += len;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, JksError> {
        Ok(self.take(4)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn text(&mut self) -> Result<String, JksError> {
        let len = self.take(2)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    fn long_bytes(&mut self) -> Result<&'a [u8], JksError> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    fn certificate(&mut self, version: u32) -> Result<&'a [u8], JksError> {
        if version == 2 {
            let at = self.at;
            if self.text()? != "X.509" {
                return Err(JksError::Damaged(at));
            }
        }
        self.long_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A private key with a chain of two, and a trusted certificate; written by pyjks.
    const STORE: &[u8] = include_bytes!("golden/store.jks");
    const PASSWORD: &str = "päßword";

    #[test]
    fn reads_keys_chains_and_trusted_certificates() {
        let contents = read(STORE, Some(PASSWORD)).unwrap();
        let [(key, chain)] = &contents.keys[..] else { panic!("one key") };
        assert_eq!(key, include_bytes!("golden/server-key.pk8"));
        assert_eq!(chain.len(), 2);
        assert_eq!(contents.trusted, [chain[1].clone()]);
    }

    #[test]
    fn a_wrong_password_is_told_from_none() {
        assert_eq!(read(STORE, Some("password")), Err(JksError::Integrity));
        // Without a password the certificates could be read, but the key cannot.
        assert_eq!(read(STORE, None), Err(JksError::KeyPassword("server".into())));
    }

    #[test]
    fn any_damage_is_an_error_and_no_panic() {
        for len in 0..STORE.len() {
            assert!(read(&STORE[..len], Some(PASSWORD)).is_err(), "cut to {len} bytes");
            let _ = read(&STORE[..len], None);
        }
        let mut damaged = STORE.to_vec();
        for at in MAGIC.len()..STORE.len() {
            for flip in [0x01, 0x80, 0xff] {
                damaged[at] ^= flip;
                assert!(read(&damaged, Some(PASSWORD)).is_err(), "byte {at} flipped by {flip}");
                // The digest does not help here: every length is hostile.
                let _ = read(&damaged, None);
                damaged[at] ^= flip;
            }
        }
    }
}
