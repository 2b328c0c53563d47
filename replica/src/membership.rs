//! The ensemble's members as `/zookeeper/config` holds them, and changes asked for
//! (reference 5.6).

use std::collections::BTreeMap;
use std::fmt;

use tenure_wire::{ErrorCode, Member, MemberRole, Zxid};

/// The znode that holds the text.
pub(crate) const CONFIG: &str = "/zookeeper/config";

/// Fewer voters cannot be asked for: an ensemble never shrinks to a server that decides alone.
const FEWEST_VOTERS: usize = 2;

/// Members by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership(BTreeMap<u64, Member>);

impl Membership {
    /// These members.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        Membership(members.into_iter().map(|member| (member.id, member)).collect())
    }

    /// The members of a configuration's text; its other lines are passed over. `None` if one of
    /// the `server.N` lines is malformed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().filter(|line| line.starts_with("server."));
        lines.map(parse_line).collect::<Option<Vec<_>>>().map(Self::new)
    }

    /// Whether nobody is a member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.values()
    }

    /// The numbers of those with a role.
    pub(crate) fn with_role(&self, role: MemberRole) -> Vec<u64> {
        self.iter().filter(|member| member.role == role).map(|member| member.id).collect()
    }

    /// Those of both; where they differ, those of `newer`.
    pub(crate) fn with(mut self, newer: &Membership) -> Self {
        self.0.extend(newer.0.iter().map(|(id, member)| (*id, member.clone())));
        self
    }

    /// The text with its version, the zxid of the change that made it so.
    pub(crate) fn text(&self, version: Zxid) -> String {
        format!("{self}version={:x}", version.0)
    }

    /// What a reconfig asks to make of these members.
    pub(crate) fn changed(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
        new_members: Option<&str>,
    ) -> Result<Self, ErrorCode> {
        let bad = ErrorCode::BadArguments;
        let changed = match new_members {
            Some(text) => Membership::new(parse_list(text).ok_or(bad)?),
            None => {
                let mut changed = self.clone();
                for id in words(leaving.unwrap_or_default()) {
                    changed.0.remove(&id.parse().map_err(|_| bad)?);
                }
                changed.with(&Membership::new(parse_list(joining.unwrap_or_default()).ok_or(bad)?))
            }
        };
        let voters = changed.with_role(MemberRole::Participant).len();
        if voters < FEWEST_VOTERS { Err(bad) } else { Ok(changed) }
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|member| writeln!(f, "{member}"))
    }
}

/// The version in a configuration's text; 0 without one.
pub(crate) fn version(text: &str) -> i64 {
    let line = text.lines().find_map(|line| line.strip_prefix("version="));
    line.and_then(|hex| i64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty())
}

fn parse_list(text: &str) -> Option<Vec<Member>> {
    words(text).filter(|word| !word.starts_with("version=")).map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Member> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let id = key.strip_prefix("server.").unwrap_or(key).parse().ok()?;
    // 0 means nobody; upstream takes larger ones than a server may have, too.
    if id == 0 {
        return None;
    }
    Member::parse(id, value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "server.1=a:1:2:participant\nserver.2=b:1:2:participant;0.0.0.0:3\n\
                        server.3=c:1:2:observer\nversion=1f";

    fn members() -> Membership {
        Membership::parse(TEXT).expect("well formed")
    }

    #[test]
    fn a_text_comes_back_with_its_version() {
        assert_eq!(members().text(Zxid(0x1f)), TEXT);
        assert_eq!((version(TEXT), version("server.1=a:1:2")), (0x1f, 0));
        assert_eq!(members().with_role(MemberRole::Participant), [1, 2]);
        assert_eq!(members().with_role(MemberRole::Observer), [3]);
    }

    #[test]
    fn members_join_leave_and_change() {
        let joined = members().changed(Some("server.4=d:1:2,2=e:1:2"), Some("3, 9"), None);
        let expected = "server.1=a:1:2\nserver.2=e:1:2\nserver.4=d:1:2";
        assert_eq!(joined, Ok(Membership::parse(expected).expect("well formed")));
        let all = members().changed(None, None, Some("server.7=a:1:2\nserver.8=b:1:2,version=9"));
        let expected = "server.7=a:1:2\nserver.8=b:1:2";
        assert_eq!(all, Ok(Membership::parse(expected).expect("well formed")));
    }

    #[test]
    fn odd_changes_are_refused() {
        for (joining, leaving, all) in [
            (Some("some thing"), None, None),
            (Some("server.4=d:1"), None, None),
            (Some("server.0=d:1:2"), None, None),
            (None, Some("x"), None),
            (None, Some("2"), None),
            (None, None, Some("")),
            (None, None, Some("server.1=a:1:2")),
        ] {
            let changed = members().changed(joining, leaving, all);
            assert_eq!(changed, Err(ErrorCode::BadArguments), "{joining:?} {leaving:?} {all:?}");
        }
    }
}
