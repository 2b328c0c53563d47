//! Dialling another member: to a link that it has agreed to, or to the reason why there is none.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Instant;

use super::hello::{Hello, Purpose, Verdict, Versions, greet};
use super::identity::Identity;
use super::security::Security;
use super::stream::LinkStream;
use crate::config::{Member, MemberAddress};
use crate::limits;

/// Why there is no link to a member.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLink {
    /// Nothing answers there, or nothing that understands.
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
    /// It is there, and wants no link.
    #[error("it refuses a link: {why}")]
    Refused {
        /// Whether because this server is no member for it.
        is_no_member: bool,
        /// What it says.
        why: String,
    },
}

/// Connects to a member, and says what for. Returns the link, and the id of the ensemble that the
/// other end belongs to, 0 if it does not know.
pub(super) fn connect(
    member: &Member,
    identity: &Identity,
    security: &Security,
    purpose: Purpose,
) -> Result<(LinkStream, u64), NoLink> {
    let mut last = io::Error::other("the member has no address");
    let (version, line) = identity.known();
    let hello = Hello {
        versions: Versions::OURS,
        purpose,
        from: identity.me,
        to: member.id,
        cluster: identity.cluster(),
        members: identity.members,
        version,
        line,
    };
    for address in &member.addresses {
        for socket in resolve(address)? {
            let secured = LinkStream::dial(&socket).and_then(|stream| {
                security.dialled(stream, &address.host, Instant::now() + limits::PEER_HELLO)
            });
            let greeted =
                secured.and_then(|stream| greet(&stream, &hello).map(|answer| (stream, answer)));
            match greeted {
                Ok((stream, answer)) => match answer.verdict {
                    Verdict::Welcome => return Ok((stream, answer.cluster)),
                    Verdict::Refused { is_no_member, why } => {
                        return Err(NoLink::Refused { is_no_member, why });
                    }
                },
                Err(error) => last = error,
            }
        }
    }
    Err(last.into())
}

/// A member's addresses, resolved anew each time they are needed.
pub(super) fn candidates(member: &Member) -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for address in &member.addresses {
        found.extend(resolve(address)?);
    }
    Ok(found)
}

fn resolve(address: &MemberAddress) -> io::Result<impl Iterator<Item = SocketAddr>> {
    (address.host.as_str(), address.quorum_port).to_socket_addrs()
}

/// Tells an operator why there is no link to a member: once for each reason, and when it is over.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    told: Option<String>,
}

impl Trouble {
    /// There is no link. Says whether that was told, as it is news.
    pub(super) fn note(&mut self, member: u64, reason: &NoLink) -> bool {
        let text = reason.to_string();
        if self.told.as_ref() == Some(&text) {
            return false;
        }
        match reason {
            NoLink::Unreachable(_) => tracing::info!(member, "no link to the member: {text}"),
            NoLink::Refused { is_no_member: false, .. } => {
                tracing::warn!(member, "no link to the member: {text}");
            }
            NoLink::Refused { is_no_member: true, .. } => tracing::warn!(
                member,
                "this server is not, or no longer, a member of its ensemble: {text}. It serves \
                 nobody before a reconfig adds it"
            ),
        }
        self.told = Some(text);
        true
    }

    /// There is a link.
    pub(super) fn over(&mut self, member: u64) {
        if self.told.take().is_some() {
            tracing::info!(member, "linked with the member");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_of_the_reason_is_told_once() {
        let refused = |why: &str| NoLink::Refused { is_no_member: false, why: why.into() };
        let mut trouble = Trouble::default();
        assert!(trouble.note(2, &refused("a")));
        assert!(!trouble.note(2, &refused("a")));
        assert!(trouble.note(2, &refused("b")));
        assert!(trouble.note(2, &refused("a")));
        trouble.over(2);
        assert!(trouble.note(2, &refused("a")), "it is news after a link");
        let gone = || NoLink::Unreachable(io::ErrorKind::ConnectionRefused.into());
        assert!(trouble.note(2, &gone()));
        assert!(!trouble.note(2, &gone()));
    }
}
