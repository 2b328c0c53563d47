//! Which server to try next, and how clients spread when the list of servers changes.

use std::fmt;

use thiserror::Error;

use crate::random::Random;

/// The port of a server that a connect string gives none for.
pub const DEFAULT_PORT: u16 = 2181;

/// A server as named by the application; the name is resolved at every attempt to connect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// Name or address, without brackets.
    pub name: String,
    /// Client port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

/// Why a connect string names no servers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HostsError {
    /// There is no server in it.
    #[error("the connect string {0:?} names no server; expected HOST:PORT[,HOST:PORT...][/CHROOT]")]
    Empty(String),
    /// One of its servers is not `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.
    #[error("server {host:?} of the connect string: {what}")]
    Host {
        /// The part between the commas.
        host: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What follows the servers is not a valid path.
    #[error("chroot {chroot:?} of the connect string: {what}")]
    Chroot {
        /// The part from the first slash on.
        chroot: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Splits `host:port,host:port/chroot`; the chroot is empty if there is none.
pub(crate) fn parse(text: &str) -> Result<(Vec<Host>, String), HostsError> {
    let (servers, chroot) = text.find('/').map_or((text, ""), |slash| text.split_at(slash));
    let mut hosts = Vec::new();
    for part in servers.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let host =
            parse_host(part).map_err(|what| HostsError::Host { host: part.to_owned(), what })?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return Err(HostsError::Empty(text.to_owned()));
    }
    let chroot = chroot.trim_end();
    if chroot == "/" || chroot.is_empty() {
        return Ok((hosts, String::new()));
    }
    match crate::path::check(chroot) {
        Ok(()) => Ok((hosts, chroot.to_owned())),
        Err(what) => Err(HostsError::Chroot { chroot: chroot.to_owned(), what }),
    }
}

fn parse_host(part: &str) -> Result<Host, &'static str> {
    let (name, port) = match part.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
            if name.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("no IPv6 address stands between the brackets");
            }
            match after.strip_prefix(':') {
                Some(port) => (name, Some(port)),
                None if after.is_empty() => (name, None),
                None => return Err("only :PORT may follow the bracket"),
            }
        }
        None => match part.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address must stand in brackets, as [::1]:2181");
            }
            Some((name, port)) => (name, Some(port)),
            None => (part, None),
        },
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => match port.parse() {
            Ok(port @ 1..) => port,
            _ => return Err("the port must be a number from 1 to 65535"),
        },
    };
    let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !"/@?#".contains(c);
    match name.chars().all(is_name) && !name.is_empty() {
        true => Ok(Host { name: name.to_owned(), port }),
        false => Err("the host name is empty or holds a character that none may"),
    }
}

/// The servers in the order in which this client tries them.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// Shuffled once, so that many clients spread over the servers.
    ring: Vec<Host>,
    next: usize,
    /// Attempts since a server was reached.
    failed: usize,
    /// After a change of the list: those to be tried first.
    preferred: Vec<Host>,
}

impl Hosts {
    pub(crate) fn new(mut hosts: Vec<Host>, random: &mut Random) -> Self {
        assert!(!hosts.is_empty(), "a connect string without servers is refused");
        random.shuffle(&mut hosts);
        Self { ring: hosts, next: 0, failed: 0, preferred: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// The server to try now.
    pub(crate) fn next(&mut self) -> Host {
        self.failed += 1;
        if let Some(host) = self.preferred.pop() {
            return host;
        }
        let host = self.ring[self.next % self.ring.len()].clone();
        self.next = (self.next + 1) % self.ring.len();
        host
    }

    /// The next server besides the one in use.
    pub(crate) fn another(&mut self, than: Option<&Host>) -> Option<Host> {
        for _ in 0..self.ring.len() {
            let at = self.next % self.ring.len();
            self.next = (at + 1) % self.ring.len();
            if than != Some(&self.ring[at]) {
                return Some(self.ring[at].clone());
            }
        }
        None
    }

    /// Has this server tried before any other.
    pub(crate) fn prefer(&mut self, host: Host) {
        self.preferred.push(host);
    }

    /// How often every server has been tried in vain.
    pub(crate) fn rounds_failed(&self) -> u32 {
        u32::try_from(self.failed / self.ring.len()).unwrap_or(u32::MAX)
    }

    /// A server took us.
    pub(crate) fn reached(&mut self) {
        self.failed = 0;
        self.preferred.clear();
    }

    /// Replaces the list. True if this client should leave the server it is at, `current`, so
    /// that over all clients the load stays even (reference section 2.15, updateServerList).
    pub(crate) fn update(
        &mut self,
        mut hosts: Vec<Host>,
        current: Option<&Host>,
        random: &mut Random,
    ) -> bool {
        let old = std::mem::take(&mut self.ring);
        random.shuffle(&mut hosts);
        let is_old = |host: &Host| old.contains(host);
        let kept = current.is_some_and(|current| hosts.contains(current));
        let (before, after) = (old.len() as u64, hosts.len() as u64);
        let overlap = hosts.iter().filter(|host| is_old(host)).count() as u64;
        let (olds, news): (Vec<Host>, Vec<Host>) = hosts.iter().cloned().partition(is_old);
        let (leave, preferred) = if after > before {
            // Each of the new servers must draw its share from every old one.
            match kept {
                true if random.chance(after - before, after) => (true, news),
                true => (false, Vec::new()),
                false => (true, news),
            }
        } else if kept {
            (false, Vec::new())
        } else {
            // The lost servers' clients fill up the new servers first, then share the old ones.
            let (to_old, of) = (overlap * (before - after), after * (before - overlap).max(1));
            (true, if random.chance(to_old, of) { olds } else { news })
        };
        self.next = current.and_then(|at| hosts.iter().position(|host| host == at)).unwrap_or(0);
        self.ring = hosts;
        self.failed = 0;
        self.preferred = preferred;
        leave && current.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn connect_strings_name_servers_and_a_chroot() {
        assert_eq!(
            parse("a:1, b ,[::1]:3,[fe80::1],a:1/app/one"),
            Ok((
                vec![host("a", 1), host("b", 2181), host("::1", 3), host("fe80::1", 2181)],
                "/app/one".to_owned()
            ))
        );
        assert_eq!(parse("a/"), Ok((vec![host("a", 2181)], String::new())));
        assert_eq!(host("::1", 3).to_string(), "[::1]:3");
    }

    #[test]
    fn wrong_connect_strings_are_refused_by_name() {
        let wrong = |text: &str| parse(text).unwrap_err().to_string();
        for text in ["", ",", "/a", " , /a"] {
            assert!(wrong(text).contains("names no server"), "{text}");
        }
        assert!(wrong("a:1,b:x").contains("\"b:x\""));
        for text in ["a:0", "a:65536", "a:-1", "a:", ":2181", "::1", "[::1", "[a]:1", "[::1]1"] {
            assert!(matches!(parse(text), Err(HostsError::Host { .. })), "{text}");
        }
        for text in ["a//", "a/b/", "a/b//c", "a/.", "a/b/../c"] {
            assert!(matches!(parse(text), Err(HostsError::Chroot { .. })), "{text}");
        }
        assert!(wrong("zk://a").contains("port"));
    }

    #[test]
    fn every_server_is_tried_in_a_round() {
        let mut random = Random::new(7);
        let names = ["a", "b", "c"];
        let mut hosts = Hosts::new(names.iter().map(|n| host(n, 1)).collect(), &mut random);
        let mut seen: Vec<String> = (0..3).map(|_| hosts.next().name).collect();
        assert_eq!(hosts.rounds_failed(), 1);
        seen.sort();
        assert_eq!(seen, names);
        hosts.reached();
        assert_eq!(hosts.rounds_failed(), 0);
    }

    /// From 3 servers to others, with 3,000 clients: where they are afterwards.
    fn spread(after: &[&str]) -> Vec<usize> {
        let before: Vec<Host> = ["a", "b", "c"].iter().map(|name| host(name, 1)).collect();
        let after: Vec<Host> = after.iter().map(|name| host(name, 1)).collect();
        let mut counts = vec![0; after.len()];
        for seed in 0..3_000 {
            let mut random = Random::new(seed);
            let mut hosts = Hosts::new(before.clone(), &mut random);
            let mut at = hosts.next();
            hosts.reached();
            if hosts.update(after.clone(), Some(&at), &mut random) {
                at = hosts.next();
            }
            counts[after.iter().position(|host| *host == at).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn clients_spread_evenly_when_the_list_changes() {
        let cases: [&[&str]; 5] = [
            &["a", "b", "c", "d"],
            &["a", "b", "c", "d", "e", "f"],
            &["a", "b"],
            &["a", "b", "d"],
            &["d", "e", "f"],
        ];
        for after in cases {
            let counts = spread(after);
            let fair = 3_000 / after.len();
            for count in &counts {
                assert!(count.abs_diff(fair) < fair / 7, "{after:?}: {counts:?}");
            }
        }
    }
}
