//! The flags of commands that speak TLS with servers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tenure_client::{Tls, TlsError};

/// What every command ends with if it is used wrongly.
const BAD_USAGE: u8 = 2;

/// How connections are encrypted.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TlsFlags {
    /// Speak TLS with servers that these authorities vouch for (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "TENURE_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// Show servers this certificate (PEM); its private key is in the same file or in --tls-key
    #[arg(long, global = true, value_name = "FILE", requires = "tls_ca", env = "TENURE_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "tls_cert", env = "TENURE_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// The host that the servers' certificates are for, if it is not the one connected to
    #[arg(long, global = true, value_name = "HOST", requires = "tls_ca")]
    tls_server_name: Option<String>,
}

/// Why the flags cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsFlagError {
    #[error("{flag} {}: cannot be read: {source}", path.display())]
    Unreadable { flag: &'static str, path: PathBuf, source: io::Error },
    #[error("{flag} {value}: {source}")]
    Refused { flag: &'static str, value: String, source: TlsError },
}

impl TlsFlags {
    /// What they ask for; `None` without any. What is wrong with them is told, and the command's
    /// exit code returned.
    pub(crate) fn told_by(&self, command: &str) -> Result<Option<Tls>, ExitCode> {
        self.tls().map_err(|error| {
            eprintln!("tenure {command}: {error}");
            ExitCode::from(BAD_USAGE)
        })
    }

    fn tls(&self) -> Result<Option<Tls>, TlsFlagError> {
        let Some(ca) = &self.tls_ca else { return Ok(None) };
        let mut tls = Tls::trusting(read("--tls-ca", ca)?).map_err(refused("--tls-ca", ca))?;
        if let Some(cert) = &self.tls_cert {
            let mut pem = read("--tls-cert", cert)?;
            if let Some(key) = &self.tls_key {
                pem.extend(read("--tls-key", key)?);
            }
            tls = tls.identity(pem).map_err(refused("--tls-cert", cert))?;
        }
        if let Some(name) = &self.tls_server_name {
            let named = tls.server_name(name);
            tls = named.map_err(refused("--tls-server-name", Path::new(name)))?;
        }
        Ok(Some(tls))
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsFlagError> {
    let unreadable = |source| TlsFlagError::Unreadable { flag, path: path.to_owned(), source };
    let mut text = fs::read(path).map_err(unreadable)?;
    // Another text may come behind it.
    text.push(b'\n');
    Ok(text)
}

fn refused(flag: &'static str, value: &Path) -> impl Fn(TlsError) -> TlsFlagError {
    let value = value.display().to_string();
    move |source| TlsFlagError::Refused { flag, value: value.clone(), source }
}
