//! Why somebody was refused: which identity lacked what on which znode. Worked out only when that
//! happens, and kept by nobody here; operators ask the server for the last ones.

use std::fmt;

use tenure_wire::{Acl, ErrorCode, OpCode, Perms, Request, SessionId};

use crate::limits;
use crate::session::auth::user_name;
use crate::state::State;
use crate::tree::acl::{AclEntry, Identity};
use crate::tree::path;

/// Somebody a client has shown to be, without what must stay secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// How that was established.
    pub scheme: Box<str>,
    /// The identity within the scheme; of a digest, the user alone.
    pub user: Box<str>,
}

impl Who {
    pub(crate) fn of(identities: &[Identity]) -> Vec<Who> {
        let shown = |identity: &Identity| Who {
            scheme: identity.scheme.clone(),
            user: cut(user_name(identity)).into(),
        };
        identities.iter().map(shown).collect()
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.user)
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The session that asked.
    pub session: SessionId,
    /// Who its client had shown to be.
    pub who: Vec<Who>,
    /// What was asked for, by the operation's name.
    pub operation: &'static str,
    /// Of which znode, if of any.
    pub path: Option<String>,
    /// Why it was refused.
    pub why: DenialWhy,
}

/// Why somebody was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenialWhy {
    /// The ACL of a znode does not permit it to any of the identities.
    NoPermission {
        /// The znode whose ACL counts: for creating and deleting, the parent.
        at: String,
        /// One of these was needed.
        wanted: Perms,
        /// The ACL at that time, digests left out; `None` if the znode was made by the same multi.
        acl: Option<String>,
        /// Users whom the ACL names and permits, and who were shown with another password.
        other_password: Vec<String>,
    },
    /// A hard quota would have been exceeded.
    Quota,
    /// Credentials of this scheme were refused.
    Credentials {
        /// The scheme.
        scheme: String,
    },
    /// A scheme is required that the client had not shown.
    NotAuthenticated,
}

impl Denial {
    /// Of a request that a client sent as one of these identities. `None` if the error is no
    /// refusal.
    pub(crate) fn of_request(
        state: &State,
        request: &Request<'_>,
        error: ErrorCode,
        session: SessionId,
        identities: &[Identity],
    ) -> Option<Denial> {
        let (asked, at, wanted) = needed(request)?;
        let why = match error {
            ErrorCode::NoAuth => {
                let node = state.tree.find(at).map(|id| state.tree.at(id).acl);
                let acl = node.map(|acl| state.tree.acls.get(acl));
                DenialWhy::NoPermission {
                    at: cut(at).to_owned(),
                    wanted,
                    acl: acl.map(|acl| {
                        let entries = acl.iter().map(AclEntry::as_wire);
                        cut(&show_acl(entries, limits::DENIAL_ACL_ENTRIES)).to_owned()
                    }),
                    other_password: other_passwords(acl.unwrap_or_default(), wanted, identities),
                }
            }
            ErrorCode::QuotaExceeded => DenialWhy::Quota,
            _ => return None,
        };
        let (who, path) = (Who::of(identities), Some(cut(asked).to_owned()));
        Some(Denial { session, who, operation: request.op().name(), path, why })
    }

    /// Of credentials, or for lack of any.
    pub(crate) fn of_client(
        session: SessionId,
        identities: &[Identity],
        op: Option<OpCode>,
        why: DenialWhy,
    ) -> Denial {
        let operation = op.map_or("unknown", OpCode::name);
        Denial { session, who: Who::of(identities), operation, path: None, why }
    }
}

/// What a request asks for, the znode whose ACL decides, and which of these permissions it must
/// give (reference 3.5).
fn needed<'r>(request: &'r Request<'_>) -> Option<(&'r str, &'r str, Perms)> {
    let at_parent = |path: &'r str| path::parent(path).unwrap_or("/");
    Some(match request {
        Request::Create(create) => (&create.path, at_parent(&create.path), Perms::CREATE),
        Request::Delete { path, .. } => (path, at_parent(path), Perms::DELETE),
        Request::SetData { path, .. } => (path, path, Perms::WRITE),
        Request::SetAcl { path, .. } => (path, path, Perms::ADMIN),
        Request::GetAcl { path } => (path, path, Perms::READ | Perms::ADMIN),
        Request::Check { path, .. }
        | Request::Exists { path, .. }
        | Request::GetData { path, .. }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. }
        | Request::GetAllChildrenNumber { path } => (path, path, Perms::READ),
        Request::Reconfig { .. } => (CONFIG_PATH, CONFIG_PATH, Perms::WRITE),
        _ => return None,
    })
}

const CONFIG_PATH: &str = "/zookeeper/config";

/// Users whom a list permits it under one password, and who were shown under another.
fn other_passwords(acl: &[AclEntry], wanted: Perms, identities: &[Identity]) -> Vec<String> {
    let of_digest = |scheme: &str, id: &str| match scheme {
        "digest" => id.split_once(':').map(|(user, _)| user.to_owned()),
        _ => None,
    };
    let shown = identities.iter().filter_map(|identity| of_digest(&identity.scheme, &identity.id));
    let shown: Vec<String> = shown.collect();
    let permitted = acl.iter().filter(|entry| entry.perms.intersects(wanted));
    let mut users: Vec<String> = permitted
        .filter_map(|entry| of_digest(&entry.scheme, &entry.id))
        .filter(|user| shown.contains(user))
        .collect();
    users.sort_unstable();
    users.dedup();
    users
}

/// A list as `scheme:id:perms` with commas between, as the reference server writes them, up to a
/// number of entries. Digests are left out.
pub(crate) fn show_acl<'a>(acl: impl IntoIterator<Item = Acl<'a>>, most: usize) -> String {
    let mut entries = acl.into_iter();
    let shown: Vec<String> = entries.by_ref().take(most).map(|entry| show_entry(&entry)).collect();
    let more = match entries.count() {
        0 => String::new(),
        count => format!(",and {count} more"),
    };
    shown.join(",") + &more
}

fn show_entry(entry: &Acl<'_>) -> String {
    const LETTERS: [(Perms, char); 5] = [
        (Perms::CREATE, 'c'),
        (Perms::DELETE, 'd'),
        (Perms::READ, 'r'),
        (Perms::WRITE, 'w'),
        (Perms::ADMIN, 'a'),
    ];
    let granted = LETTERS.iter().filter(|(perm, _)| entry.perms.intersects(*perm));
    let perms: String = granted.map(|(_, letter)| letter).collect();
    match entry.id.split_once(':') {
        Some((user, _)) if entry.scheme == "digest" => format!("digest:{user}:x:{perms}"),
        _ => format!("{}:{}:{perms}", entry.scheme, entry.id),
    }
}

/// A text from a client in what is kept for a while: a path may be as long as a frame.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(limits::DENIAL_TEXT_BYTES)]
}
