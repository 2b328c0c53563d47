//! Addresses of servers: as given on the command line, and as configurations list them.

use std::net::ToSocketAddrs;

use tenure_server::config::{Member, MemberRole};

/// A member as an ensemble's own configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: u64,
    pub(super) votes: bool,
    /// Where clients connect, if the configuration says so.
    pub(super) address: Option<String>,
}

/// The port that servers have unless told otherwise.
const DEFAULT_PORT: u16 = 2181;

/// Reads a connect string: `HOST[:PORT],…`, with a chroot behind it that means nothing here.
///
/// # Errors
/// If it names no server, or something that is none.
pub(super) fn parse(text: &str) -> Result<Vec<String>, String> {
    let hosts = text.split('/').next().unwrap_or_default();
    let with_port = |host: &str| {
        let host = host.trim();
        let after_host = host.rfind(']').map_or(host, |at| &host[at + 1..]);
        match after_host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok_and(|port| port != 0) => {
                (host.len() > port.len() + 1).then(|| host.to_owned())
            }
            None if !host.is_empty() => Some(format!("{host}:{DEFAULT_PORT}")),
            _ => None,
        }
    };
    let mut found = Vec::new();
    for host in hosts.split(',') {
        let address = with_port(host);
        let address = address.ok_or_else(|| format!("{host:?}: expected HOST:PORT"))?;
        if !found.contains(&address) {
            found.push(address);
        }
    }
    Ok(found)
}

/// The members in a configuration's text; nothing if it lists none. Those whose lines do not say
/// where clients connect are looked for at the one port that the text, or else the caller, knows.
/// Clients with TLS connect elsewhere, where a line says so.
pub(super) fn listed(text: &str, port: Option<u16>, tls: bool) -> Option<Vec<Listed>> {
    let members: Vec<Member> = text.lines().filter_map(Member::from_line).collect();
    let key = if tls { "secureClientPort=" } else { "clientPort=" };
    let of_text = text.lines().find_map(|line| line.trim().strip_prefix(key));
    let port = of_text.and_then(|port| port.trim().parse().ok()).or(port);
    let host = |member: &Member| member.addresses.first().map(|at| at.host.clone());
    let shares_host = |member: &Member| {
        members.iter().any(|other| other.id != member.id && host(other) == host(member))
    };
    let listed = |member: &Member| {
        let secure = member.secure_client.as_ref().filter(|_| tls);
        let address = match secure.or(member.client.as_ref()) {
            // A member that listens everywhere is found where its peers find it.
            Some(client) => client.host.clone().or(host(member)).zip(Some(client.port)),
            // Servers on one host have different ports.
            None if shares_host(member) => None,
            None => host(member).zip(port),
        };
        let address = address.map(|(host, port)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        });
        Listed { id: member.id, votes: member.role == MemberRole::Participant, address }
    };
    let listed: Vec<Listed> = members.iter().map(listed).collect();
    (!listed.is_empty()).then_some(listed)
}

/// The port of an address.
pub(super) fn port_of(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

/// Whether two addresses lead to one place.
pub(super) fn are_same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (one.to_socket_addrs(), other.to_socket_addrs()) {
        (Ok(mut one), Ok(other)) => {
            let other: Vec<_> = other.collect();
            one.any(|address| other.contains(&address))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_strings_are_taken_apart() {
        let parsed = parse("a, b:2182,[::1]:2183,[::1],a:2181/app/x").expect("a good one");
        assert_eq!(parsed, ["a:2181", "b:2182", "[::1]:2183", "[::1]:2181"]);
        for text in ["", "a,", "a:port", "a:0", "a:99999", ":2181", "/app"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_configuration_says_where_clients_find_its_members() {
        let text = "clientPort=1\nmembership: \nserver.1=a:1:2:participant;0.0.0.0:2181\n\
                    server.2=b:1:2:observer;[::1]:2182\nserver.3=c:1:2\nversion=0\n";
        let member = |id, votes, address: Option<&str>| Listed {
            id,
            votes,
            address: address.map(str::to_owned),
        };
        let mut expected = vec![
            member(1, true, Some("a:2181")),
            member(2, false, Some("[::1]:2182")),
            member(3, true, Some("c:1")),
        ];
        assert_eq!(listed(text, Some(7), false).as_ref(), Some(&expected));
        let text = text.replace("clientPort=1", "");
        expected[2] = member(3, true, Some("c:7"));
        assert_eq!(listed(&text, Some(7), false).as_ref(), Some(&expected));
        expected[2] = member(3, true, None);
        assert_eq!(listed(&text, None, false), Some(expected));
        assert_eq!(listed("version=0", Some(7), false), None);
        // On one host they cannot all have that port.
        let text = "clientPort=1\nserver.1=a:1:2\nserver.2=a:3:4\n";
        assert_eq!(
            listed(text, None, false),
            Some(vec![member(1, true, None), member(2, true, None)])
        );
    }

    #[test]
    fn clients_with_tls_connect_elsewhere_where_that_is_said() {
        let of = |text: &str, tls| {
            let found = listed(text, Some(7), tls).expect("members");
            found[0].address.clone().expect("an address")
        };
        let both = "server.1=a:1:2:participant;3;4\n";
        assert_eq!([of(both, false), of(both, true)], ["a:3", "a:4"]);
        let one = "server.1=a:1:2:participant;3\n";
        assert_eq!(of(one, true), "a:3", "it may take both");
        let properties = "clientPort=5\nsecureClientPort=6\nserver.1=a:1:2\n";
        assert_eq!([of(properties, false), of(properties, true)], ["a:5", "a:6"]);
    }

    #[test]
    fn names_and_numbers_of_one_place_are_the_same() {
        assert!(are_same("nowhere.invalid:1", "nowhere.invalid:1"));
        assert!(are_same("localhost:2181", "127.0.0.1:2181"));
        assert!(!are_same("127.0.0.1:2181", "127.0.0.1:2182"));
    }
}
