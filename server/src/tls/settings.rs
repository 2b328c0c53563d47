//! The `ssl.*` keys, as the configuration file has them, by their meaning.

use super::error::{FileError, TlsError};
use super::store;

/// Whether clients must show a certificate: `ssl.clientAuth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// They are not asked.
    None,
    /// Those that have one show it.
    Want,
    /// Those without are refused.
    Need,
}

/// The keys and values of a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a>(pub(super) &'a [(String, String)]);

impl<'a> Settings<'a> {
    /// The value of a key; the last one counts, and an empty one is none.
    pub(super) fn get(self, key: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(name, _)| name == key)?;
        Some(found.1.trim()).filter(|value| !value.is_empty())
    }

    /// The comma-separated values of a key.
    pub(super) fn list(self, key: &str) -> Option<Vec<&'a str>> {
        Some(self.get(key)?.split(',').map(str::trim).filter(|part| !part.is_empty()).collect())
    }

    /// A key or trust store and its password, if one is configured; `name` is `ssl.keyStore` or
    /// `ssl.trustStore`.
    pub(super) fn store(self, name: &str) -> Result<Option<Store<'a>>, TlsError> {
        let key = format!("{name}.location");
        let Some(path) = self.get(&key) else { return Ok(None) };
        if let Some(kind) = self.get(&format!("{name}.type"))
            && !KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind))
        {
            let key = format!("{name}.type");
            return Err(TlsError::BadValue { key, value: kind.into(), expected: "PEM or JKS" });
        }
        let bytes = store::read_file(path).map_err(|problem| file_error(&key, path, problem))?;
        Ok(Some(Store { key, path, bytes, password: self.password(name)? }))
    }

    fn password(self, name: &str) -> Result<Option<String>, TlsError> {
        let key = format!("{name}.passwordPath");
        let Some(path) = self.get(&key) else {
            return Ok(self.get(&format!("{name}.password")).map(str::to_owned));
        };
        let bytes = store::read_file(path).map_err(|problem| file_error(&key, path, problem))?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Whether clients must show a certificate. By default they must if there is a trust store to
    /// tell good ones by.
    pub(super) fn client_auth(self, has_trust_store: bool) -> Result<ClientAuth, TlsError> {
        let Some(value) = self.get("ssl.clientAuth") else {
            return Ok(if has_trust_store { ClientAuth::Need } else { ClientAuth::None });
        };
        match value.to_ascii_lowercase().as_str() {
            "none" => Ok(ClientAuth::None),
            "want" => Ok(ClientAuth::Want),
            "need" => Ok(ClientAuth::Need),
            _ => Err(TlsError::BadValue {
                key: "ssl.clientAuth".into(),
                value: value.into(),
                expected: "none, want or need",
            }),
        }
    }
}

/// What the reference server names, though only the file's first bytes count.
const KINDS: [&str; 4] = ["PEM", "JKS", "PKCS12", "BCFKS"];

/// A file of keys or certificates as configured.
#[derive(Debug)]
pub(super) struct Store<'a> {
    key: String,
    path: &'a str,
    pub(super) bytes: Vec<u8>,
    pub(super) password: Option<String>,
}

impl Store<'_> {
    /// The error that names this file.
    pub(super) fn error(&self, problem: FileError) -> TlsError {
        file_error(&self.key, self.path, problem)
    }
}

fn file_error(key: &str, path: &str, problem: FileError) -> TlsError {
    TlsError::File { key: key.to_owned(), path: path.to_owned(), problem }
}
