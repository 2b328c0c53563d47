//! The ports that the configuration wants: free, or taken by whom?

use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs};
use std::time::Duration;

use tenure_client::Tls;
use tenure_server::config::{Listen, ServerConfig};

use super::finding::{Finding, Findings};
use crate::four_letter::{self, Srvr};

/// How long whoever has a port may take to say who it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const SECURE: &str = "secureClientPort";

/// Where a server answers, and what it is spoken to by.
pub(super) type Answers<'a> = (String, Option<&'a Tls>);

/// What there is to say of the ports, and where a server of this configuration runs, if it does.
pub(super) fn look<'a>(
    config: &ServerConfig,
    tls: Option<&'a Tls>,
) -> (Vec<Finding>, Option<Answers<'a>>) {
    let mut found = Findings::about("ports");
    let plain = config.client.as_ref().map(|listen| (reached(listen), None));
    let secure = config.secure_client.as_ref().zip(tls);
    let secure = secure.map(|(listen, tls)| (reached(listen), Some(tls)));
    let mut places = [plain, secure].into_iter().flatten();
    let runs_at = places.find(|(address, tls)| is_server(address, *tls));
    if let Some((address, _)) = &runs_at {
        found.good(format!("a server answers at {address}"));
        return (found.into_list(), runs_at);
    }
    let admin = config.admin.enabled.then_some(&config.admin.listen);
    let peers: Vec<Listen> = match config.ensemble.me() {
        Some(me) if config.ensemble.is_distributed() => {
            let listen = |at: &tenure_server::config::MemberAddress| Listen {
                host: Some(at.host.clone()),
                port: at.quorum_port,
            };
            me.addresses.iter().map(listen).collect()
        }
        _ => Vec::new(),
    };
    let wanted = [
        ("clientPort", config.client.as_ref()),
        (SECURE, config.secure_client.as_ref()),
        ("admin.serverPort", admin),
        ("metricsProvider.httpPort", config.metrics.prometheus.as_ref()),
    ];
    let wanted = wanted.into_iter().filter_map(|(key, listen)| Some((key, listen?)));
    for (key, listen) in wanted.chain(peers.iter().map(|listen| ("server.N", listen))) {
        look_at(key, listen, tls.is_some(), &mut found);
    }
    (found.into_list(), None)
}

fn look_at(key: &str, listen: &Listen, has_tls: bool, found: &mut Findings) {
    let host = listen.host.as_deref().unwrap_or("0.0.0.0");
    let bound = (host, listen.port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    match bound.and_then(|addresses| TcpListener::bind(&addresses[..])) {
        Ok(_) => found.good(format!("{key}: {listen} is free")),
        // Nothing that speaks TLS says who it is before it is known whom to trust.
        Err(error) if error.kind() == ErrorKind::AddrInUse && key == SECURE && !has_tls => found
            .warning(
                format!("{key}: {listen} is taken, maybe by the server of this configuration"),
                "to ask it, name who vouches for it: --tls-ca, and --tls-cert if it wants one",
            ),
        Err(error) if error.kind() == ErrorKind::AddrInUse => found.problem(
            format!("{key}: {listen} is taken, and not by a server of this configuration"),
            format!("see who has it (ss -ltnp 'sport = :{}'), or choose another", listen.port),
        ),
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => found.problem(
            format!("{key}: {listen} is no address of this machine"),
            "name one of its addresses, or run this where the server runs",
        ),
        Err(error) => found.problem(
            format!("{key}: {listen} cannot be listened on: {error}"),
            "choose another address or port",
        ),
    }
}

/// Where admin HTTP of this member is, and of the others if all have the same port.
pub(super) fn admin_urls(config: &ServerConfig) -> Option<String> {
    let admin = config.admin.enabled.then_some(&config.admin.listen)?;
    let me = config.ensemble.me();
    let others = config.ensemble.members.iter().filter(|member| Some(*member) != me);
    let hosts = others.filter_map(|member| Some(member.addresses.first()?.host.as_str()));
    let others = hosts.map(|host| at(host, admin.port));
    let mut all: Vec<String> = std::iter::once(reached(admin)).chain(others).collect();
    all.sort_unstable();
    all.dedup();
    let scheme = config.admin.scheme();
    Some(all.iter().map(|address| format!("{scheme}://{address}")).collect::<Vec<_>>().join(","))
}

/// Where a client on this machine finds a listener.
fn reached(listen: &Listen) -> String {
    at(listen.host.as_deref().unwrap_or("127.0.0.1"), listen.port)
}

fn at(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

fn is_server(address: &str, tls: Option<&Tls>) -> bool {
    let Ok(answer) = four_letter::ask(address, tls, "srvr", ANSWER_LIMIT) else { return false };
    // Even a server that keeps its words to itself says so.
    !matches!(Srvr::parse(&answer), Srvr::Unanswered) || answer.contains("srvr is not executed")
}
