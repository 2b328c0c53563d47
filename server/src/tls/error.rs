//! What can be wrong with TLS settings, said with key, file and what to do.

use std::io;

use thiserror::Error;

use super::jks::JksError;

/// Why TLS cannot be served as configured.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A key that must be there is not.
    #[error("{key} is missing: expected {expected}")]
    Missing {
        /// The key.
        key: String,
        /// What to write.
        expected: &'static str,
    },
    /// A value the key cannot have, or asks for what is not available.
    #[error("{key}={value}: expected {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// The value as written.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A file of keys, certificates or a password cannot be used.
    #[error("{key}={path}: {problem}")]
    File {
        /// The key that names the file.
        key: String,
        /// The file as written.
        path: String,
        /// What is wrong with it.
        problem: FileError,
    },
}

/// What is wrong with a file of keys, certificates or a password.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is far larger than such files are.
    #[error("is larger than {0} bytes; is it the right file?")]
    TooLarge(u64),
    /// It is none of the known kinds.
    #[error("is neither PEM nor JKS; convert it to PEM")]
    UnknownKind,
    /// A PKCS#12 container, which keytool writes unless told otherwise.
    #[error(
        "looks like PKCS12, which is not read yet; convert it with `openssl pkcs12 -in FILE \
         -nodes -out FILE.pem` (for a trust store add -nokeys) and name the new file"
    )]
    Pkcs12,
    /// A JCEKS key store.
    #[error(
        "is a JCEKS store, which is not read; convert it with `keytool -importkeystore \
         -deststoretype JKS`"
    )]
    Jceks,
    /// A JKS key store that cannot be used.
    #[error("as a JKS store: {0}")]
    Jks(#[from] JksError),
    /// The PEM text does not decode.
    #[error("does not decode as PEM: {0}")]
    Pem(String),
    /// The private key is encrypted, and nobody says how.
    #[error(
        "has a private key that wants a password: name it, or a file of it (keyStore.password)"
    )]
    NoPassword,
    /// The private key cannot be decrypted.
    #[error("has a private key that cannot be decrypted: {0}; is it the right password?")]
    Undecryptable(String),
    /// The private key is encrypted in the way of before PKCS#8.
    #[error("has a private key encrypted in an old way; convert it with `openssl pkey -aes256`")]
    OldEncryptedKey,
    /// There is no private key.
    #[error("has no private key; expected a key and the chain of its certificates in one file")]
    NoKey,
    /// There is no certificate.
    #[error("has no certificate to use")]
    NoCertificate,
    /// There is no certificate revocation list.
    #[error("has no revocation list; expected PEM")]
    NoRevocationList,
    /// The key and the first certificate do not belong together.
    #[error("has a private key that does not belong to its first certificate")]
    KeyMismatch,
    /// The TLS library refuses a key or certificate.
    #[error("is refused: {0}")]
    Refused(rustls::Error),
}
