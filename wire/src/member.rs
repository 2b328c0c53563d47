//! Members of an ensemble as files and command lines write them:
//! `server.N=host:quorumPort:electionPort[:role][;client address]`, and the same without what is
//! there for the reference server's sake.

use std::fmt;

use crate::address::{Listen, listen_host, split_colons};

/// One member of the ensemble as its configuration line describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The N of `server.N`.
    pub id: u64,
    /// Where its peers reach it; several only with multi-address lines.
    pub addresses: Vec<MemberAddress>,
    /// Whether it votes.
    pub role: MemberRole,
    /// Plaintext client listener, if the line names one.
    pub client: Option<Listen>,
    /// TLS client listener, if the line names one.
    pub secure_client: Option<Listen>,
}

/// One address of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAddress {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port for the replication stream.
    pub quorum_port: u16,
    /// Port for elections.
    pub election_port: u16,
}

/// Whether a member votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MemberRole {
    /// Votes and may lead.
    #[default]
    Participant,
    /// Applies what the others decide.
    Observer,
}

impl MemberRole {
    /// Reads `participant` or `observer`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "participant" => Some(Self::Participant),
            "observer" => Some(Self::Observer),
            _ => None,
        }
    }
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

impl Member {
    /// Reads a whole `server.N=` line; `None` for any other one.
    pub fn from_line(line: &str) -> Option<Self> {
        let (id, value) = line.trim().strip_prefix("server.")?.split_once('=')?;
        Self::parse(id.parse().ok()?, value)
    }

    /// Reads the value of a `server.N` line; `None` if it has not the form.
    pub fn parse(id: u64, value: &str) -> Option<Self> {
        Self::parse_with(parse_address, id, value)
    }

    /// As [`parse`](Self::parse), but the election port may be left out.
    pub fn parse_short(id: u64, value: &str) -> Option<Self> {
        Self::parse_with(parse_short_address, id, value)
    }

    fn parse_with(
        parse_address: fn(&str) -> Option<AddressAndRole>,
        id: u64,
        value: &str,
    ) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let mut role = None;
        let mut addresses = Vec::new();
        for address in parts.next()?.split('|') {
            let (address, its_role) = parse_address(address.trim())?;
            addresses.push(address);
            role = its_role.or(role);
        }
        let client = parts.next().filter(|p| !p.is_empty()).map(parse_client);
        let secure_client = parts.next().filter(|p| !p.is_empty()).map(parse_client);
        if parts.next().is_some() || client == Some(None) || secure_client == Some(None) {
            return None;
        }
        Some(Self {
            id,
            addresses,
            role: role.unwrap_or_default(),
            client: client.flatten(),
            secure_client: secure_client.flatten(),
        })
    }
}

impl fmt::Display for Member {
    /// The line as it stands in the ensemble's configuration text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server.{}=", self.id)?;
        for (n, address) in self.addresses.iter().enumerate() {
            let separator = if n == 0 { "" } else { "|" };
            let MemberAddress { host, quorum_port, election_port } = address;
            let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
            write!(f, "{separator}{open}{host}{close}:{quorum_port}:{election_port}")?;
        }
        write!(f, ":{}", self.role)?;
        if let Some(client) = &self.client {
            write!(f, ";{client}")?;
        }
        if let Some(secure) = &self.secure_client {
            write!(f, "{};{secure}", if self.client.is_none() { ";" } else { "" })?;
        }
        Ok(())
    }
}

/// The role stands behind an address, if it is named.
type AddressAndRole = (MemberAddress, Option<MemberRole>);

fn parse_address(text: &str) -> Option<AddressAndRole> {
    let parts = split_colons(text)?;
    let (host, quorum, election, role) = match parts[..] {
        [host, quorum, election] => (host, quorum, election, None),
        [host, quorum, election, role] => (host, quorum, election, Some(MemberRole::parse(role)?)),
        _ => return None,
    };
    let quorum_port = parse_port(quorum)?;
    let election_port = parse_port(election)?;
    if host.trim().is_empty() || quorum_port == election_port {
        return None;
    }
    Some((MemberAddress { host: host.trim().to_owned(), quorum_port, election_port }, role))
}

fn parse_short_address(text: &str) -> Option<AddressAndRole> {
    let parts = split_colons(text)?;
    let (host, quorum, role) = match parts[..] {
        [host, quorum] => (host.trim(), quorum, None),
        [host, quorum, role] if parse_port(role).is_none() => {
            (host.trim(), quorum, Some(MemberRole::parse(role)?))
        }
        _ => return parse_address(text),
    };
    let quorum_port = parse_port(quorum)?;
    if host.is_empty() || quorum_port == 0 {
        return None;
    }
    // Nobody listens there, but clients of the reference server read it in the member lines.
    let election_port = quorum_port.checked_add(1000).unwrap_or_else(|| quorum_port - 1000);
    Some((MemberAddress { host: host.to_owned(), quorum_port, election_port }, role))
}

fn parse_client(text: &str) -> Option<Listen> {
    match split_colons(text)?[..] {
        [port] => Some(Listen::everywhere(parse_port(port)?)),
        [host, port] if !host.is_empty() => {
            Some(Listen { host: listen_host(host), port: parse_port(port)? })
        }
        _ => None,
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_forms_come_back_as_text() {
        for (line, shown) in [
            ("zoo1:2888:3888", "zoo1:2888:3888:participant"),
            ("zoo1:2888:3888:observer", "zoo1:2888:3888:observer"),
            ("zoo1:2888:3888;2181", "zoo1:2888:3888:participant;0.0.0.0:2181"),
            ("zoo1:2888:3888:Observer;127.0.0.1:2181", "zoo1:2888:3888:observer;127.0.0.1:2181"),
            ("[::1]:2888:3888;[::1]:2181", "[::1]:2888:3888:participant;[::1]:2181"),
            ("a:1:2|b:3:4:observer;5", "a:1:2|b:3:4:observer;0.0.0.0:5"),
            ("a:1:2;;7", "a:1:2:participant;;0.0.0.0:7"),
        ] {
            let member = Member::parse(3, line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(member.to_string(), format!("server.3={shown}"));
            assert_eq!(Member::from_line(&member.to_string()), Some(member), "{shown}");
        }
    }

    #[test]
    fn the_election_port_may_be_left_out() {
        for (short, long) in [
            ("zoo1:2888", "zoo1:2888:3888"),
            ("zoo1:2888:observer", "zoo1:2888:3888:observer"),
            ("zoo1:2888:2999:observer", "zoo1:2888:2999:observer"),
            ("[::1]:2888;2181", "[::1]:2888:3888;2181"),
            ("zoo1:65000", "zoo1:65000:64000"),
        ] {
            assert_eq!(Member::parse_short(1, short), Member::parse(1, long), "{short}");
        }
        for short in ["zoo1", "zoo1:0", "zoo1:99999", ":2888", "zoo1:2888:chief", "a:1:2:3:4"] {
            assert_eq!(Member::parse_short(1, short), None, "{short}");
        }
    }

    #[test]
    fn refused_forms() {
        for line in [
            "",
            "zoo1",
            "zoo1:2888",
            ":2888:3888",
            "zoo1:2888:2888",
            "zoo1:2888:x",
            "zoo1:2888:99999",
            "zoo1:2888:3888:chief",
            "zoo1:2888:3888;x",
            "zoo1:2888:3888;1;2;3",
            "[::1:2888:3888",
            "[::1]2888:3888",
            "zoo1:2888:3888;:2181",
            "a:1:2|",
        ] {
            assert_eq!(Member::parse(1, line), None, "{line}");
        }
        for line in ["version=0", "server.x=a:1:2", "server.1", "server.1=a:1"] {
            assert_eq!(Member::from_line(line), None, "{line}");
        }
    }
}
