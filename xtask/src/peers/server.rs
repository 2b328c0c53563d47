//! The server under check: started from a fresh data folder, restarted in place.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::certificates::{Certificates, STORE_PASSWORD};
use crate::process::{ServerProcess, Usage};
use crate::{peers_folder, zookeeper};

/// A server, or between stop and start the place where it will be again.
pub(super) struct PeerServer {
    kind: Kind,
    zoo_cfg: PathBuf,
    address: SocketAddr,
    /// Where clients that speak TLS find it, and with which certificates, if they can.
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
    pub(super) fn reference(secure: bool) -> anyhow::Result<Self> {
        Self::start(Kind::Reference, secure)
    }

    /// Starts that program.
    pub(super) fn tenure(program: &Path, secure: bool) -> anyhow::Result<Self> {
        let program = fs::canonicalize(program).with_context(|| {
            format!("no {}; build it or give --server or --reference", program.display())
        })?;
        Self::start(Kind::Tenure(program), secure)
    }

    fn start(kind: Kind, secure: bool) -> anyhow::Result<Self> {
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
        let secure = match secure {
            true => Some((free_address()?, Certificates::make(&folder.join("certificates"))?)),
            false => None,
        };
        if let Some((address, certificates)) = &secure {
            config += &secured(*address, certificates, &folder)?;
        }
        fs::write(&zoo_cfg, config)?;
        let mut server = Self { kind, zoo_cfg, address, secure, process: None };
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
