//! `tenure certs`: an authority of one's own, and certificates for servers and clients.

pub(crate) mod folder;

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use tenure_certs::{Authority, CertsError, Validity};

use folder::{Folder, FolderError, io_error, write};

/// Which certificates, and where.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The folder that they go to
    #[arg(long, default_value = "certs")]
    dir: PathBuf,
    /// A server, by the names and addresses that clients and members find it by; may be repeated
    #[arg(long, value_name = "HOST[,HOST...]", value_parser = hosts)]
    server: Vec<Hosts>,
    /// A client, by its name; may be repeated
    #[arg(long, value_name = "NAME", value_parser = client_name)]
    client: Vec<String>,
    /// How long they hold, in days
    #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Replace certificates that are there already; the authority stays
    #[arg(long)]
    renew: bool,
}

const AFTER_HELP: &str = "\
Without --server and --client: a server at localhost and a client named 'client'.

Mutual TLS on this machine, in two commands:
  tenure certs
  tenure serve --certs certs

Files:
  ca.pem           the authority's certificate, which servers and clients trust
  ca-key.pem       its private key: keep it away from servers, it is needed to issue more
  server-HOST.pem  a server's private key and certificate
  client-NAME.pem  a client's private key and certificate; in ACLs it is x509:CN=NAME

Exit codes:
  0  done
  1  a file cannot be read or written
  2  wrong usage, or a certificate is there already";

/// The name in the authority's certificate.
const AUTHORITY: &str = "Tenure authority";
/// How long an authority holds: longer than anything it issues.
const AUTHORITY_DAYS: u32 = 36_525;

const USAGE: u8 = 2;

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Certs(#[from] CertsError),
    #[error("{} is there already; --renew replaces it", .0.display())]
    Exists(PathBuf),
    #[error(
        "{} is there without {}: certificates of that authority can be issued only where its \
         private key is",
        certificate.display(), key.display()
    )]
    NoKey { certificate: PathBuf, key: PathBuf },
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match issue(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenure certs: {error}");
            match error {
                Error::Folder(_) | Error::Output(_) => ExitCode::FAILURE,
                Error::Certs(_) | Error::Exists(_) | Error::NoKey { .. } => ExitCode::from(USAGE),
            }
        }
    }
}

fn issue(args: &Args) -> Result<(), Error> {
    let folder = Folder::new(&args.dir)?;
    let (servers, clients) = wanted(args);
    let names = |hosts: &[&str]| folder.server(hosts[0]);
    let mut paths = servers.iter().map(|hosts| names(hosts)).collect::<Vec<_>>();
    paths.extend(clients.iter().map(|name| folder.client(name)));
    // Before anything is written.
    if let Some(there) = paths.into_iter().find(|path| path.exists() && !args.renew) {
        return Err(Error::Exists(there));
    }
    folder.create()?;
    let now = SystemTime::now();
    let authority = authority(&folder, now)?;
    let validity = Validity::days(now, args.days);
    let mut told = Vec::new();
    for hosts in &servers {
        let path = names(hosts);
        folder.write_secret(&path, &authority.server(hosts, validity)?)?;
        told.push((path, format!("server at {}", hosts.join(", "))));
    }
    for name in &clients {
        let path = folder.client(name);
        folder.write_secret(&path, &authority.client(name, validity)?)?;
        told.push((path, format!("client x509:CN={name}")));
    }
    tell(&folder, &told).map_err(Error::Output)
}

/// Servers by their hosts, and clients by their names.
fn wanted(args: &Args) -> (Vec<Vec<&str>>, Vec<&str>) {
    if args.server.is_empty() && args.client.is_empty() {
        return (vec![vec!["localhost", "127.0.0.1", "::1"]], vec!["client"]);
    }
    let servers = args.server.iter().map(|Hosts(list)| list.iter().map(String::as_str).collect());
    (servers.collect(), args.client.iter().map(String::as_str).collect())
}

/// The folder's authority, made if there is none yet.
fn authority(folder: &Folder, now: SystemTime) -> Result<Authority, Error> {
    let (certificate, key) = (folder.authority(), folder.authority_key());
    match (certificate.exists(), key.exists()) {
        (true, true) => {
            let text = |path: &Path| fs::read_to_string(path).map_err(io_error(path));
            Ok(Authority::reopen(AUTHORITY, &text(&certificate)?, &text(&key)?)?)
        }
        (true, false) => Err(Error::NoKey { certificate, key }),
        (false, _) => {
            let made = Authority::new(AUTHORITY, Validity::days(now, AUTHORITY_DAYS))?;
            write(&key, &made.key(), 0o600)?;
            write(&certificate, made.certificate(), 0o644)?;
            Ok(made)
        }
    }
}

fn tell(folder: &Folder, told: &[(PathBuf, String)]) -> io::Result<()> {
    let out = &mut io::stdout().lock();
    writeln!(out, "{}: the authority", folder.authority().display())?;
    for (path, whose) in told {
        writeln!(out, "{}: {whose}", path.display())?;
    }
    writeln!(
        out,
        "\n\
         Each server needs ca.pem and its own file, in a folder named by `tenure serve --certs`\n\
         or by ssl.* and ssl.quorum.* keys of its zoo.cfg. Clients need ca.pem and their own:\n\
         tenure shell -s HOST:2281 --tls-ca ca.pem --tls-cert client-NAME.pem"
    )
}

/// The hosts that one server is found at.
#[derive(Clone, Debug)]
struct Hosts(Vec<String>);

fn hosts(text: &str) -> Result<Hosts, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name =
        |host: &str| !host.is_empty() && !host.starts_with('.') && host.chars().all(is_fit);
    let hosts: Vec<String> = text.split(',').map(|host| host.trim().to_owned()).collect();
    match hosts.iter().find(|host| !is_name(host) && host.parse::<IpAddr>().is_err()) {
        None => Ok(Hosts(hosts)),
        Some(host) => Err(format!("{host:?} is no host name or address")),
    }
}

/// Fit to be a part of a file's name.
fn client_name(text: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    match !text.is_empty() && !text.starts_with('.') && text.chars().all(is_fit) {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits, and any of - _ . @".to_owned()),
    }
}
