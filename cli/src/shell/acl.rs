//! Access control lists as they are typed: `scheme:id:perms`, with commas between entries.

use tenure_client::{Acl, Perms};

use super::format::PERM_LETTERS;

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AclError {
    #[error("{0} does not have the form scheme:id:perm")]
    Form(String),
    /// zkCli goes on without the letter; a list that says less than was typed helps nobody.
    #[error("Unknown perm type: {letter}, in {entry}; permissions are letters of cdrwa")]
    Letter { letter: char, entry: String },
}

/// The entries of a list.
pub(super) fn parse(text: &str) -> Result<Vec<Acl<'static>>, AclError> {
    text.split(',').map(entry).collect()
}

fn entry(text: &str) -> Result<Acl<'static>, AclError> {
    // An id may have colons of its own, as that of digest and IPv6 addresses have.
    let form = || AclError::Form(text.to_owned());
    let (scheme, rest) = text.split_once(':').ok_or_else(form)?;
    let (id, letters) = rest.rsplit_once(':').ok_or_else(form)?;
    let mut perms = Perms::default();
    for letter in letters.chars() {
        let known = PERM_LETTERS.iter().find(|(known, _)| *known == letter);
        let Some((_, perm)) = known else {
            return Err(AclError::Letter { letter, entry: text.to_owned() });
        };
        perms = perms | *perm;
    }
    let (scheme, id) = (scheme.to_owned().into(), id.to_owned().into());
    Ok(Acl { perms, scheme, id })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::super::format::acl_lines;
    use super::*;

    #[test]
    fn entries_are_read_with_the_colons_of_their_ids() {
        let list = parse("world:anyone:cdrwa,digest:me:hash=:rw,ip:::1:r,auth::a").unwrap();
        assert_eq!(list[0], Acl::OPEN);
        assert_eq!(acl_lines(&list[1..]), "'digest,'me:hash=\n: rw\n'ip,'::1\n: r\n'auth,'\n: a\n");
    }

    #[test]
    fn wrong_entries_are_named() {
        assert_eq!(parse("digest:bad"), Err(AclError::Form("digest:bad".to_owned())));
        assert_eq!(parse("world:anyone:r,"), Err(AclError::Form(String::new())));
        let entry = "world:anyone:rx".to_owned();
        assert_eq!(parse("world:anyone:rx"), Err(AclError::Letter { letter: 'x', entry }));
    }
}
