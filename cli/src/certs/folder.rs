//! A folder of certificates: what its files are called, and how they are written.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tenure_certs::Issued;
use tenure_server::config::{Listen, ServerConfig};

/// Where clients that speak TLS look for a server.
const SECURE_PORT: u16 = 2281;

/// A folder of certificates.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// Why a folder of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: has no server-HOST.pem; `tenure certs --server HOST` makes one", .0.display())]
    NoServer(PathBuf),
    #[error(
        "{}: there are several servers' certificates, and none of them is for {wanted}: {found}",
        folder.display()
    )]
    WhichServer { folder: PathBuf, wanted: String, found: String },
}

impl Folder {
    /// A folder that may not be there yet; what is made of it can be used from anywhere.
    pub(crate) fn new(path: &Path) -> Result<Self, FolderError> {
        std::path::absolute(path).map(Folder).map_err(io_error(path))
    }

    /// The certificate of the authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// The private key of the authority.
    pub(crate) fn authority_key(&self) -> PathBuf {
        self.0.join("ca-key.pem")
    }

    /// Private key and certificate of the server that is found at this host first.
    pub(crate) fn server(&self, host: &str) -> PathBuf {
        // A colon would end a path in a list of them.
        self.0.join(format!("server-{}.pem", host.replace(':', "-")))
    }

    /// Private key and certificate of a client.
    pub(crate) fn client(&self, name: &str) -> PathBuf {
        self.0.join(format!("client-{name}.pem"))
    }

    /// The key store of the server that runs here: the one for this host, or the only one.
    pub(crate) fn only_server(&self, host: Option<&str>) -> Result<PathBuf, FolderError> {
        if let Some(path) = host.map(|host| self.server(host)).filter(|path| path.exists()) {
            return Ok(path);
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(io_error(&self.0))? {
            let path = entry.map_err(io_error(&self.0))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("server-") && name.ends_with(".pem") {
                found.push(path);
            }
        }
        found.sort();
        match &found[..] {
            [] => Err(FolderError::NoServer(self.0.clone())),
            [only] => Ok(only.clone()),
            several => Err(FolderError::WhichServer {
                folder: self.0.clone(),
                wanted: host.unwrap_or("this server").to_owned(),
                found: several
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// Has a server encrypt with what is here, and go on with what comes here later. What its
    /// configuration says about TLS already stays.
    pub(crate) fn secure(&self, config: &mut ServerConfig) -> Result<(), FolderError> {
        let own = config.ensemble.me().and_then(|me| me.addresses.first());
        let key_store = self.only_server(own.map(|address| address.host.as_str()))?;
        let authority = self.authority();
        fs::metadata(&authority).map_err(io_error(&authority))?;
        let mut set = |key: &str, value: String| {
            if !config.tls.iter().any(|(known, _)| known == key) {
                config.tls.push((key.to_owned(), value));
            }
        };
        for prefix in ["ssl", "ssl.quorum"] {
            set(&format!("{prefix}.keyStore.location"), key_store.display().to_string());
            set(&format!("{prefix}.trustStore.location"), authority.display().to_string());
        }
        set("client.certReload", "true".to_owned());
        set("sslQuorumReloadCertFiles", "true".to_owned());
        if config.secure_client.is_none() && !config.connections.port_unification {
            let host = config.client.as_ref().and_then(|client| client.host.clone());
            config.secure_client = Some(Listen { host, port: SECURE_PORT });
        }
        config.ensemble.tls |= !config.ensemble.tls_unification;
        Ok(())
    }

    /// Makes the folder, for nobody else to look into.
    pub(crate) fn create(&self) -> Result<(), FolderError> {
        fs::create_dir_all(&self.0).map_err(io_error(&self.0))
    }

    /// Writes a private key with its certificate, which none but the owner may read. What was there
    /// before is replaced at once: a server that looks for changes never sees half of it.
    pub(crate) fn write_secret(&self, path: &Path, issued: &Issued) -> Result<(), FolderError> {
        write(path, &issued.key_store(), 0o600)
    }
}

/// Writes a file that is there whole or not at all.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), FolderError> {
    let fresh = path.with_extension("tmp");
    let written = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    written().map_err(io_error(path))
}

pub(crate) fn io_error(path: &Path) -> impl Fn(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { path: path.clone(), source }
}
