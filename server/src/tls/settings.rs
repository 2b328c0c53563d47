//! The `ssl.*` keys, as the configuration file has them, by their meaning.
//!
//! Those of links between members have the same names behind another prefix, `ssl.quorum.`.

use std::path::PathBuf;

use super::error::{FileError, TlsError};
use super::store;

/// Whether who connects must show a certificate: `ssl.clientAuth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// They are not asked.
    None,
    /// Those that have one show it.
    Want,
    /// Those without are refused.
    Need,
}

/// The keys with one prefix, and their values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pairs: &'a [(String, String)],
    prefix: &'static str,
}

impl<'a> Settings<'a> {
    /// What concerns clients.
    pub(super) fn of_clients(pairs: &'a [(String, String)]) -> Self {
        Settings { pairs, prefix: "ssl." }
    }

    /// What concerns links between members.
    pub(super) fn of_links(pairs: &'a [(String, String)]) -> Self {
        Settings { pairs, prefix: "ssl.quorum." }
    }

    /// Keys that are not of a family.
    pub(super) fn without_prefix(pairs: &'a [(String, String)]) -> Self {
        Settings { pairs, prefix: "" }
    }

    /// The same for longer than the configuration lives.
    pub(super) fn owned(self) -> OwnedSettings {
        OwnedSettings { pairs: self.pairs.to_vec(), prefix: self.prefix }
    }

    /// A key as it stands in the configuration.
    pub(super) fn key(self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The value of a key; the last one counts, and an empty one is none.
    pub(super) fn get(self, name: &str) -> Option<&'a str> {
        let is_it = |key: &str| key.strip_prefix(self.prefix) == Some(name);
        let (_, value) = self.pairs.iter().rev().find(|(key, _)| is_it(key))?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// The comma-separated values of a key.
    pub(super) fn list(self, name: &str) -> Option<Vec<&'a str>> {
        Some(self.get(name)?.split(',').map(str::trim).filter(|part| !part.is_empty()).collect())
    }

    /// Whether something is on; `default` if the key is not there.
    pub(super) fn flag(self, name: &str, default: bool) -> Result<bool, TlsError> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(value) => Err(self.bad(name, value, "true or false")),
        }
    }

    /// The error that says what a key should have been.
    pub(super) fn bad(self, name: &str, value: &str, expected: &'static str) -> TlsError {
        TlsError::BadValue { key: self.key(name), value: value.to_owned(), expected }
    }

    /// The files that these keys name.
    pub(super) fn files(self) -> Vec<PathBuf> {
        let names = [
            "keyStore.location",
            "keyStore.passwordPath",
            "trustStore.location",
            "trustStore.passwordPath",
            REVOKED,
        ];
        names.into_iter().filter_map(|name| self.get(name)).map(PathBuf::from).collect()
    }

    /// A key or trust store and its password, if one is configured; `name` is `keyStore` or
    /// `trustStore`.
    pub(super) fn store(self, name: &str) -> Result<Option<Store<'a>>, TlsError> {
        let location = format!("{name}.location");
        if self.get(&location).is_none() {
            return Ok(None);
        }
        let kind_key = format!("{name}.type");
        if let Some(kind) = self.get(&kind_key)
            && !KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind))
        {
            return Err(self.bad(&kind_key, kind, "PEM or JKS"));
        }
        let password = self.password(name)?;
        Ok(self.file(&location)?.map(|file| Store { password, ..file }))
    }

    /// A file, if one is configured.
    pub(super) fn file(self, name: &str) -> Result<Option<Store<'a>>, TlsError> {
        let Some(path) = self.get(name) else { return Ok(None) };
        let key = self.key(name);
        let bytes = store::read_file(path).map_err(|problem| file_error(&key, path, problem))?;
        Ok(Some(Store { key, path, bytes, password: None }))
    }

    fn password(self, name: &str) -> Result<Option<String>, TlsError> {
        let place = format!("{name}.passwordPath");
        let Some(file) = self.file(&place)? else {
            return Ok(self.get(&format!("{name}.password")).map(str::to_owned));
        };
        let text = String::from_utf8_lossy(&file.bytes);
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Whether who connects must show a certificate; `default` if the key is not there.
    pub(super) fn client_auth(self, default: ClientAuth) -> Result<ClientAuth, TlsError> {
        let Some(value) = self.get("clientAuth") else { return Ok(default) };
        match value.to_ascii_lowercase().as_str() {
            "none" => Ok(ClientAuth::None),
            "want" => Ok(ClientAuth::Want),
            "need" => Ok(ClientAuth::Need),
            _ => Err(self.bad("clientAuth", value, "none, want or need")),
        }
    }
}

/// Settings to be looked at again later.
pub(super) struct OwnedSettings {
    pairs: Vec<(String, String)>,
    prefix: &'static str,
}

impl OwnedSettings {
    pub(super) fn borrowed(&self) -> Settings<'_> {
        Settings { pairs: &self.pairs, prefix: self.prefix }
    }
}

/// A key of our own: a file of certificate revocation lists.
pub(super) const REVOKED: &str = "crlFile";

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
