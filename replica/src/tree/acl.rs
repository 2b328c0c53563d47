//! Access control lists: which are legal, and whom they let do what (reference 3.5).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use tenure_wire::{Acl, DecodeError, Perms};

use crate::entry::Policy;
use crate::session::auth::same_in_constant_time;

/// One entry of an access control list as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AclEntry {
    /// What is allowed.
    pub(crate) perms: Perms,
    /// How the identity is established.
    pub(crate) scheme: Box<str>,
    /// The identity within the scheme.
    pub(crate) id: Box<str>,
}

/// A whole access control list.
pub(crate) type AclList = Vec<AclEntry>;

impl AclEntry {
    /// Lets everybody do this.
    pub(crate) fn world(perms: Perms) -> Self {
        AclEntry { perms, scheme: "world".into(), id: "anyone".into() }
    }

    /// An entry from elsewhere, whatever it says.
    pub(crate) fn from_wire(acl: &Acl<'_>) -> Self {
        AclEntry { perms: acl.perms, scheme: (*acl.scheme).into(), id: (*acl.id).into() }
    }

    /// The entry as it stands on the wire.
    pub(crate) fn as_wire(&self) -> Acl<'_> {
        let (scheme, id) = (Cow::Borrowed(&*self.scheme), Cow::Borrowed(&*self.id));
        Acl { perms: self.perms, scheme, id }
    }

    fn is_world(&self) -> bool {
        *self.id == *"anyone" && *self.scheme == *"world"
    }

    fn matches(&self, identity: &Identity) -> bool {
        if self.scheme != identity.scheme {
            return false;
        }
        match &*self.scheme {
            "ip" => ip_matches(&self.id, &identity.id),
            // An administrator of the SASL realm is anybody in it.
            "sasl" => self.id == identity.id || *identity.id == *"super",
            "digest" => same_in_constant_time(self.id.as_bytes(), identity.id.as_bytes()),
            _ => self.id == identity.id,
        }
    }
}

/// Somebody a client has shown to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Identity {
    /// How that was established.
    pub(crate) scheme: Box<str>,
    /// The identity within the scheme.
    pub(crate) id: Box<str>,
}

impl Identity {
    pub(crate) fn new(scheme: &str, id: &str) -> Self {
        Identity { scheme: scheme.into(), id: id.into() }
    }

    /// Whoever is at this address.
    pub(crate) fn ip(peer: IpAddr) -> Self {
        Identity::new("ip", &peer.to_canonical().to_string())
    }

    /// As it is shown, if this server has made sure of it: names in `digest` are anybody's to make
    /// up, and addresses are no proof.
    pub(crate) fn proven(&self) -> Option<String> {
        let is_proven = matches!(&*self.scheme, "sasl" | "x509");
        is_proven.then(|| format!("{}:{}", self.scheme, self.id))
    }

    /// Super users may do everything, whatever the lists say.
    fn is_super(&self) -> bool {
        *self.scheme == *"super"
    }

    /// An address is where somebody is, not who: it does not count as authenticated.
    fn is_authenticated(&self) -> bool {
        matches!(&*self.scheme, "digest" | "sasl" | "x509")
    }
}

/// Why a list cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidAcl {
    #[error("the list is empty")]
    Empty,
    #[error("the scheme is unknown")]
    UnknownScheme,
    #[error("the world is 'anyone', nobody else")]
    World,
    #[error("a digest id is 'user:digest'")]
    Digest,
    #[error("an x509 id is the subject of a certificate, as CN=alice,O=Example")]
    Subject,
    #[error("an ip id is an address, or an address and a number of bits")]
    Ip,
    #[error("the connection has authenticated nobody to put in the place of 'auth'")]
    NobodyAuthenticated,
}

/// Whether the list allows any of the wanted permissions to any of the identities.
///
/// An empty list allows everything to everybody; clients cannot store one.
pub(crate) fn permits(acl: &[AclEntry], wanted: Perms, identities: &[Identity]) -> bool {
    let mut granting = acl.iter().filter(|entry| entry.perms.intersects(wanted));
    acl.is_empty() || granting.any(AclEntry::is_world) || permits_by_name(acl, wanted, identities)
}

/// Whether the list allows any of the wanted permissions to one of the identities, because of who
/// that is: what it allows to everybody does not count.
pub(crate) fn permits_by_name(acl: &[AclEntry], wanted: Perms, identities: &[Identity]) -> bool {
    let mut granting = acl.iter().filter(|entry| entry.perms.intersects(wanted));
    identities.iter().any(Identity::is_super)
        || granting.any(|entry| identities.iter().any(|identity| entry.matches(identity)))
}

/// What is stored when a client with these identities asks for this list: `auth` stands for who
/// the client is, and of equal entries the first stays.
///
/// Schemes that this server cannot authenticate are refused, like upstream's without a provider:
/// nobody could ever satisfy them.
pub(crate) fn fix_up(
    acl: &[Acl<'_>],
    identities: &[Identity],
    policy: Policy,
) -> Result<AclList, InvalidAcl> {
    if acl.is_empty() {
        return Err(InvalidAcl::Empty);
    }
    let mut fixed = AclList::with_capacity(acl.len());
    let mut add = |perms, scheme: &str, id: &str| {
        let entry = AclEntry { perms, scheme: scheme.into(), id: id.into() };
        if !fixed.contains(&entry) {
            fixed.push(entry);
        }
    };
    for entry in acl {
        let valid = match &*entry.scheme {
            "world" if entry.id == "anyone" => Ok(()),
            "world" => Err(InvalidAcl::World),
            "digest" if is_digest_id(&entry.id) => Ok(()),
            "digest" => Err(InvalidAcl::Digest),
            "ip" if ip_block(&entry.id).is_some() => Ok(()),
            "ip" => Err(InvalidAcl::Ip),
            "sasl" if policy.sasl && !entry.id.is_empty() => Ok(()),
            "x509" if policy.x509 && is_subject(&entry.id) => Ok(()),
            "x509" if policy.x509 => Err(InvalidAcl::Subject),
            "auth" => {
                let mut authenticated =
                    identities.iter().filter(|identity| identity.is_authenticated()).peekable();
                if authenticated.peek().is_none() {
                    return Err(InvalidAcl::NobodyAuthenticated);
                }
                authenticated.for_each(|identity| add(entry.perms, &identity.scheme, &identity.id));
                continue;
            }
            _ => Err(InvalidAcl::UnknownScheme),
        };
        valid?;
        add(entry.perms, &entry.scheme, &entry.id);
    }
    Ok(fixed)
}

/// The list as it is shown to those who may not change it: digests of passwords are hidden.
pub(crate) fn masked(acl: &[AclEntry]) -> AclList {
    let mask = |entry: &AclEntry| match entry.id.split_once(':') {
        Some((user, _)) if *entry.scheme == *"digest" => {
            AclEntry { id: format!("{user}:x").into(), ..entry.clone() }
        }
        _ => entry.clone(),
    };
    acl.iter().map(mask).collect()
}

/// Two parts around a colon; empty parts at the end do not count, as in Java.
fn is_digest_id(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// Not more than upstream's parser makes sure of for names that certificates have.
fn is_subject(id: &str) -> bool {
    id.split_once('=').is_some_and(|(kind, _)| !kind.trim().is_empty() && !kind.contains(','))
}

/// An address as a number, and how many bits such numbers have.
type Address = (u128, u32);

fn address(text: &str) -> Option<Address> {
    // Leading zeros and signs are read as upstream reads them, so we cannot use std's parser.
    let mut value = 0;
    let mut parts = 0;
    for part in text.split('.') {
        let Some(byte) = part.parse::<i32>().ok().and_then(|part| u8::try_from(part).ok()) else {
            return text.parse::<Ipv6Addr>().ok().map(|address| (address.to_bits(), 128));
        };
        value = value << 8 & 0xffff_ffff | u128::from(byte);
        parts += 1;
    }
    (parts == 4).then_some((value, 32))
}

/// An address and how many of its first bits count.
fn ip_block(text: &str) -> Option<(Address, u32)> {
    let (text, bits) = match text.split_once('/') {
        Some((text, bits)) => (text, Some(bits.parse::<i32>().ok()?)),
        None => (text, None),
    };
    let address = address(text)?;
    let bits = bits.map_or(Some(address.1), |bits| u32::try_from(bits).ok())?;
    (bits <= address.1).then_some((address, bits))
}

fn ip_matches(block: &str, peer: &str) -> bool {
    let (Some(((block, width), bits)), Some((peer, peer_width))) = (ip_block(block), address(peer))
    else {
        return false;
    };
    // A block of no bits shifts everything out, and matches every address of its kind.
    let shift = width - bits;
    width == peer_width && block.checked_shr(shift) == peer.checked_shr(shift)
}

/// Appends the identities of a client in a compact form: they go with each write into the log.
pub(crate) fn encode_identities(identities: &[Identity], out: &mut Vec<u8>) {
    for identity in identities {
        match SCHEMES.iter().position(|scheme| **scheme == *identity.scheme) {
            Some(code) => out.push(code as u8),
            None => {
                out.push(OTHER_SCHEME);
                put_text(&identity.scheme, out);
            }
        }
        put_text(&identity.id, out);
    }
}

/// Reads what `encode_identities` wrote.
pub(crate) fn decode_identities(bytes: &[u8]) -> Result<Vec<Identity>, DecodeError> {
    let mut rest = bytes;
    let mut identities = Vec::new();
    while let Some((code, after)) = rest.split_first() {
        let offset = bytes.len() - rest.len();
        rest = after;
        let mut text = || {
            let text = take_text(&mut rest);
            text.ok_or(DecodeError::Truncated { what: "identity", offset })
        };
        let scheme = match SCHEMES.get(usize::from(*code)) {
            Some(scheme) => scheme,
            None if *code == OTHER_SCHEME => text()?,
            None => {
                let value = i32::from(*code);
                return Err(DecodeError::Value { what: "identity scheme", offset, value });
            }
        };
        identities.push(Identity::new(scheme, text()?));
    }
    Ok(identities)
}

/// Schemes that take one byte in the log. Their order is part of the log's format.
const SCHEMES: [&str; 5] = ["ip", "digest", "super", "sasl", "x509"];
/// Announces a scheme written out.
const OTHER_SCHEME: u8 = 255;

/// Seven bits of the length in each byte, the lowest first, the eighth says that more follow.
fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut length = text.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(text.as_bytes());
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let mut length = 0;
    for (position, byte) in rest.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            let (text, after) = rest[position + 1..].split_at_checked(length)?;
            *rest = after;
            return std::str::from_utf8(text).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests;
