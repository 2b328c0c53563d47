//! The server under check: started from a fresh data folder, restarted in place.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::certificates::{Certificates, STORE_PASSWORD};
use super::prepare;
use crate::process::{ServerProcess, Usage};
use crate::{peers_folder, zookeeper};

/// How clients speak with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// In the clear.
    Plain,
    /// Through TLS, all with one certificate.
    Encrypted,
    /// So that they prove who they are, in every way there is.
    Proving,
}

/// A server, or between stop and start the place where it will be again.
pub(super) struct PeerServer {
    kind: Kind,
    zoo_cfg: PathBuf,
    address: SocketAddr,
    /// Certificates, if all connections are encrypted.
    certs: Option<PathBuf>,
    /// Where clients that prove who they are find it, and with which certificates.
    secure: Option<(SocketAddr, Certificates)>,
    /// None only while it is restarted.
    process: Option<ServerProcess>,
}

#[derive(Debug)]
enum Kind {
    Reference,
    Tenure(PathBuf),
}

impl PeerServer {
    /// Starts Apache ZooKeeper.
    pub(super) fn reference(manner: Manner) -> anyhow::Result<Self> {
        Self::start(Kind::Reference, manner)
    }

    /// Starts that program.
    pub(super) fn tenure(program: &Path, manner: Manner) -> anyhow::Result<Self> {
        let program = fs::canonicalize(program).with_context(|| {
            format!("no {}; build it or give --server or --reference", program.display())
        })?;
        Self::start(Kind::Tenure(program), manner)
    }

    fn start(kind: Kind, manner: Manner) -> anyhow::Result<Self> {
        let folder = peers_folder().join("server");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let address = free_address()?;
        let zoo_cfg = folder.join("zoo.cfg");
        let data = folder.join("data");
        let mut config = format!(
            "tickTime=2000\ndataDir={}\nclientPort={}\nclientPortAddress={}\n\
             admin.enableServer=false\nextendedTypesEnabled=true\n\
             znode.container.checkIntervalMs=1000\n",
            data.display(),
            address.port(),
            address.ip()
        );
        let certs = match &kind {
            Kind::Tenure(program) if manner == Manner::Encrypted => {
                Some(make_certs(program, &folder)?)
            }
            _ => None,
        };
        if let Some(certs) = &certs {
            config += &format!(
                "client.portUnification=true\nssl.keyStore.location={certs}/server-127.0.0.1.pem\n\
                 ssl.trustStore.location={certs}/ca.pem\n",
                certs = certs.display()
            );
        }
        let secure = match manner {
            Manner::Proving => {
                Some((free_address()?, Certificates::make(&folder.join("certificates"))?))
            }
            Manner::Plain | Manner::Encrypted => None,
        };
        if let Some((address, certificates)) = &secure {
            config += &secured(*address, certificates, &folder)?;
        }
        fs::write(&zoo_cfg, config)?;
        let mut server = Self { kind, zoo_cfg, address, certs, secure, process: None };
        server.process = Some(server.spawn()?);
        Ok(server)
    }

    fn spawn(&self) -> anyhow::Result<ServerProcess> {
        match &self.kind {
            Kind::Reference => zookeeper::spawn(&self.zoo_cfg, &zookeeper::Options::default()),
            Kind::Tenure(program) => {
                let mut command = Command::new(program);
                command.arg("serve").arg(&self.zoo_cfg);
                let log = self.zoo_cfg.with_extension("tenure.log");
                ServerProcess::start(command, self.address, &log)
            }
        }
    }

    /// Ends it and starts it again over the same data.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.stop()?;
        }
        self.process = Some(self.spawn()?);
        Ok(())
    }

    /// Ends it.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.stop()?;
        }
        Ok(())
    }

    /// Whether clients speak TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.certs.is_some()
    }

    /// What clients find out how to connect from.
    pub(super) fn client_environment(&self) -> Vec<(&'static str, String)> {
        let Some(certs) = &self.certs else { return Vec::new() };
        let java = [
            ("client.secure", "true".to_owned()),
            ("clientCnxnSocket", "org.apache.zookeeper.ClientCnxnSocketNetty".to_owned()),
            ("ssl.keyStore.location", certs.join("client-peer.pem").display().to_string()),
            ("ssl.trustStore.location", certs.join("ca.pem").display().to_string()),
        ];
        let java = java.map(|(key, value)| format!("-Dzookeeper.{key}={value}")).join(" ");
        vec![("TENURE_PEER_CERTS", certs.display().to_string()), ("JDK_JAVA_OPTIONS", java)]
    }

    /// Where clients find it.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients that speak TLS find it, and their certificates.
    pub(super) fn secure(&self) -> anyhow::Result<&(SocketAddr, Certificates)> {
        self.secure.as_ref().context("the server does not speak TLS")
    }

    /// What its process has used.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        self.process.as_ref().context("the server is not running")?.usage()
    }

    /// What it is.
    pub(super) fn name(&self) -> String {
        match &self.kind {
            Kind::Reference => format!("Apache ZooKeeper {}", zookeeper::VERSION),
            Kind::Tenure(program) => program.display().to_string(),
        }
    }
}

/// Certificates for a server on this machine, and for its clients.
fn make_certs(program: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let certs = folder.join("certs");
    let mut command = Command::new(program);
    command.arg("certs").arg("--dir").arg(&certs);
    prepare(command.args(["--server", "127.0.0.1,localhost", "--client", "peer"]))?;
    Ok(certs)
}

/// The kernel gives a port that is free now and, in practice, a moment later.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Lines for a port with mutual TLS, and for users of SASL DIGEST-MD5.
fn secured(
    address: SocketAddr,
    certificates: &Certificates,
    folder: &Path,
) -> anyhow::Result<String> {
    let jaas = folder.join("jaas.conf");
    let login = "org.apache.zookeeper.server.auth.DigestLoginModule required";
    fs::write(&jaas, format!("Server {{\n  {login}\n  user_bob=\"bobs password\";\n}};\n"))?;
    Ok(format!(
        "secureClientPort={}\nsecureClientPortAddress={}\nssl.clientAuth=need\n\
         ssl.keyStore.location={}\nssl.keyStore.password={STORE_PASSWORD}\n\
         ssl.trustStore.location={}\nssl.trustStore.password={STORE_PASSWORD}\n\
         serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\nfips-mode=false\n\
         authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
         java.security.auth.login.config={}\n",
        address.port(),
        address.ip(),
        certificates.file("server.jks").display(),
        certificates.file("trust.jks").display(),
        jaas.display()
    ))
}
