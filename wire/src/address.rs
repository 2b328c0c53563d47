//! Addresses as configuration files write them: a host, maybe a name, and a port.

use std::fmt;
use std::net::IpAddr;

/// Where a listener binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Host name or IP address without brackets; `None` is every interface.
    pub host: Option<String>,
    /// TCP port; 0 lets the operating system pick a free one.
    pub port: u16,
}

impl Listen {
    /// A listener on every interface.
    pub fn everywhere(port: u16) -> Self {
        Self { host: None, port }
    }

    /// A listener on one host.
    pub fn on(host: &str, port: u16) -> Self {
        Self { host: Some(host.to_owned()), port }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => write!(f, "0.0.0.0:{}", self.port),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
        }
    }
}

/// Splits at colons outside of brackets, dropping the brackets: `[::1]:2888` gives `::1`, `2888`.
pub(crate) fn split_colons(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix('[') {
            let (host, after) = inner.split_once(']')?;
            parts.push(host);
            match after.strip_prefix(':') {
                Some(more) => rest = more,
                None if after.is_empty() => return Some(parts),
                None => return None,
            }
        } else {
            match rest.split_once(':') {
                Some((part, more)) => {
                    parts.push(part);
                    rest = more;
                }
                None => {
                    parts.push(rest);
                    return Some(parts);
                }
            }
        }
    }
}

/// A host as a listener's address: the wildcard addresses mean every interface.
pub fn listen_host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let unspecified = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    (!unspecified && bare != "*").then(|| bare.to_owned())
}
