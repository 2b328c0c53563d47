//! In what two znodes differ.

use std::borrow::Cow;
use std::collections::BTreeSet;

use tenure_client::{Acl, Stat};

use super::source::Seen;

/// One thing that is not the same, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) field: &'static str,
    pub(super) one: String,
    pub(super) other: String,
}

/// Each ensemble's own members stand there.
const CONFIG: &str = "/zookeeper/config";

/// Bytes of data that are shown.
const SHOWN_BYTES: usize = 40;

/// Everything in which they differ.
pub(super) fn differences(path: &str, one: &Seen, other: &Seen) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut add = |field, one, other| found.push(Difference { field, one, other });
    if path != CONFIG {
        if one.data != other.data {
            add("data", shown(one.data.as_deref()), shown(other.data.as_deref()));
        }
        let fields = fields(&one.stat).into_iter().zip(fields(&other.stat));
        for ((field, one), (_, other)) in fields.filter(|((_, one), (_, other))| one != other) {
            add(field, one, other);
        }
    }
    if !same_acls(&one.acl, &other.acl) {
        add("acl", list(&one.acl), list(&other.acl));
    }
    let children = |seen: &Seen| seen.children.iter().cloned().collect::<BTreeSet<_>>();
    let (ones, others) = (children(one), children(other));
    for name in ones.difference(&others) {
        add("child", name.clone(), "none".to_owned());
    }
    for name in others.difference(&ones) {
        add("child", "none".to_owned(), name.clone());
    }
    found
}

fn fields(stat: &Stat) -> [(&'static str, String); 11] {
    [
        ("czxid", stat.czxid.to_string()),
        ("mzxid", stat.mzxid.to_string()),
        ("pzxid", stat.pzxid.to_string()),
        ("ctime", stat.ctime.to_string()),
        ("mtime", stat.mtime.to_string()),
        ("version", stat.version.to_string()),
        ("cversion", stat.cversion.to_string()),
        ("aversion", stat.aversion.to_string()),
        ("ephemeralOwner", format!("{:#x}", stat.ephemeral_owner)),
        ("dataLength", stat.data_length.to_string()),
        ("numChildren", stat.num_children.to_string()),
    ]
}

fn shown(data: Option<&[u8]>) -> String {
    let Some(data) = data else { return "null".to_owned() };
    let start = data[..data.len().min(SHOWN_BYTES)].escape_ascii();
    let more = if data.len() > SHOWN_BYTES { "..." } else { "" };
    format!("{} bytes \"{start}{more}\"", data.len())
}

fn list(acls: &[Acl<'_>]) -> String {
    let entries = acls.iter().map(|acl| format!("{}:{}:{:#b}", acl.scheme, acl.id, acl.perms.0));
    entries.collect::<Vec<_>>().join(",")
}

/// Servers show the hash of a password to administrators only; where one side does not show it, it
/// is not compared.
fn same_acls(one: &[Acl<'_>], other: &[Acl<'_>]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            let is_masked = is_masked(one) || is_masked(other);
            let id = |acl| if is_masked { user(acl) } else { Cow::Borrowed(&*acl.id) };
            one.perms == other.perms && one.scheme == other.scheme && id(one) == id(other)
        })
}

fn is_masked(acl: &Acl<'_>) -> bool {
    acl.scheme == "digest" && acl.id.ends_with(":x")
}

fn user<'a>(acl: &'a Acl<'_>) -> Cow<'a, str> {
    Cow::Borrowed(acl.id.rsplit_once(':').map_or(&*acl.id, |(user, _)| user))
}

#[cfg(test)]
mod tests {
    use tenure_client::Perms;

    use super::*;

    fn seen(data: Option<&[u8]>, id: &str, children: &[&str]) -> Seen {
        let acl = Acl { perms: Perms::READ, scheme: "digest".into(), id: id.to_owned().into() };
        Seen {
            data: data.map(Into::into),
            stat: Stat::default(),
            acl: vec![acl],
            children: children.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn told(path: &str, one: &Seen, other: &Seen) -> Vec<String> {
        let show = |found: Difference| format!("{} {} {}", found.field, found.one, found.other);
        differences(path, one, other).into_iter().map(show).collect()
    }

    #[test]
    fn null_and_empty_data_differ_and_children_are_told_by_name() {
        let (one, other) = (seen(None, "u:h", &["a", "b"]), seen(Some(b""), "u:h", &["b", "c"]));
        let expected = ["data null 0 bytes \"\"", "child a none", "child none c"];
        assert_eq!(told("/x", &one, &other), expected);
        assert_eq!(told("/zookeeper/config", &one, &other), expected[1..]);
    }

    #[test]
    fn a_hash_that_is_not_shown_is_not_compared() {
        let acl = |id| seen(None, id, &[]);
        assert_eq!(told("/x", &acl("u:hash"), &acl("u:x")), [] as [&str; 0]);
        assert_eq!(told("/x", &acl("u:hash"), &acl("v:x")).len(), 1);
        assert_eq!(told("/x", &acl("u:hash"), &acl("u:other")).len(), 1);
    }

    #[test]
    fn every_field_of_the_stat_is_compared() {
        let one = seen(None, "u:h", &[]);
        let mut other = seen(None, "u:h", &[]);
        other.stat.ephemeral_owner = 0x100;
        other.stat.cversion = 3;
        let expected = ["cversion 0 3", "ephemeralOwner 0x0 0x100"];
        assert_eq!(told("/x", &one, &other), expected);
    }
}
