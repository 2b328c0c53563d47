//! Certificates for `cargo xtask peers --secure`: made anew for each run, with `openssl` and, for
//! the server's stores, `keytool`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::prepare;

/// Of the stores that only Java reads.
pub(super) const STORE_PASSWORD: &str = "changeit";

/// A folder with, in PEM, `ca.pem`, `client.pem` and `client.key`, which the server trusts, and
/// the same of `other-ca` and `stranger`, which it does not. `client-both.pem` has key and
/// certificate in one file, as Java wants them.
pub(super) struct Certificates(pub(super) PathBuf);

impl Certificates {
    /// Makes all of them.
    pub(super) fn make(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let made = Self(folder.to_path_buf());
        for (authority, name) in [("ca", "Peers"), ("other-ca", "Other")] {
            made.openssl(authority, &format!("/O={name}/CN={name} authority"), None)?;
        }
        made.openssl("server", "/O=Peers/CN=localhost", Some("ca"))?;
        made.openssl("client", "/O=Peers/CN=client", Some("ca"))?;
        made.openssl("stranger", "/O=Other/CN=stranger", Some("other-ca"))?;
        for name in ["client", "stranger"] {
            let key = fs::read(made.file(&format!("{name}.key")))?;
            let certificate = fs::read(made.file(&format!("{name}.pem")))?;
            fs::write(made.file(&format!("{name}-both.pem")), [key, certificate].concat())?;
        }
        made.stores()?;
        Ok(made)
    }

    /// Path of one of the files.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A key and a certificate, signed by an authority or by itself.
    fn openssl(&self, name: &str, subject: &str, by: Option<&str>) -> anyhow::Result<()> {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]);
        command.args(["-subj", subject, "-keyout"]).arg(self.file(&format!("{name}.key")));
        command.arg("-out").arg(self.file(&format!("{name}.pem")));
        if let Some(by) = by {
            command.arg("-CA").arg(self.file(&format!("{by}.pem")));
            command.arg("-CAkey").arg(self.file(&format!("{by}.key")));
            command.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
            command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        }
        prepare(&mut command)
    }

    /// The server's key and whom it trusts, as the Java stores that most operators have.
    fn stores(&self) -> anyhow::Result<()> {
        let bundle = self.file("server.p12");
        let password = format!("pass:{STORE_PASSWORD}");
        prepare(
            Command::new("openssl")
                .args(["pkcs12", "-export", "-passout", &password, "-name", "server", "-inkey"])
                .arg(self.file("server.key"))
                .arg("-in")
                .arg(self.file("server.pem"))
                .arg("-out")
                .arg(&bundle),
        )?;
        let secrets = ["-srcstorepass", STORE_PASSWORD, "-deststorepass", STORE_PASSWORD];
        prepare(
            Command::new("keytool")
                .args(["-importkeystore", "-noprompt", "-deststoretype", "JKS", "-srckeystore"])
                .arg(&bundle)
                .arg("-destkeystore")
                .arg(self.file("server.jks"))
                .args(secrets),
        )?;
        prepare(
            Command::new("keytool")
                .args(["-importcert", "-noprompt", "-storetype", "JKS", "-alias", "ca", "-file"])
                .arg(self.file("ca.pem"))
                .arg("-keystore")
                .arg(self.file("trust.jks"))
                .args(["-storepass", STORE_PASSWORD]),
        )
    }
}
