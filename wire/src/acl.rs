//! Access control lists.

use std::borrow::Cow;
use std::ops::BitOr;

use crate::jute::{DecodeError, Put, Reader};

/// A set of permissions. Bits beyond `ALL` are kept as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Perms(pub i32);

impl Perms {
    /// Read data and list children.
    pub const READ: Self = Self(1);
    /// Replace data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Replace the access control list.
    pub const ADMIN: Self = Self(16);
    /// All five.
    pub const ALL: Self = Self(31);

    /// Whether every permission of `other` is here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any permission of `other` is here.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Perms {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One entry of an access control list: what the identity `scheme:id` may do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl<'a> {
    /// What is allowed.
    pub perms: Perms,
    /// How the identity is established, such as `world`, `digest` or `ip`.
    pub scheme: Cow<'a, str>,
    /// The identity within the scheme.
    pub id: Cow<'a, str>,
}

impl<'a> Acl<'a> {
    /// Anyone may do anything.
    pub const OPEN: Acl<'static> =
        Acl { perms: Perms::ALL, scheme: Cow::Borrowed("world"), id: Cow::Borrowed("anyone") };

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Acl<'static> {
        Acl {
            perms: self.perms,
            scheme: Cow::Owned(self.scheme.into_owned()),
            id: Cow::Owned(self.id.into_owned()),
        }
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.perms.0);
        out.put_text(&self.scheme);
        out.put_text(&self.id);
    }

    /// Reads one entry.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { perms: Perms(reader.i32()?), scheme: reader.text()?, id: reader.text()? })
    }
}

/// Appends a list: its count, then its entries.
pub fn encode_acls(acls: &[Acl<'_>], out: &mut Vec<u8>) {
    out.put_vector_len(acls.len());
    for acl in acls {
        acl.encode(out);
    }
}

/// Reads a list; a null one is empty.
pub fn decode_acls<'a>(reader: &mut Reader<'a>) -> Result<Vec<Acl<'a>>, DecodeError> {
    let count = reader.vector_len_of(ACL_MIN_LEN)?;
    (0..count).map(|_| Acl::decode(reader)).collect()
}

/// Length of an entry whose texts are empty.
const ACL_MIN_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_sets() {
        let both = Perms::READ | Perms::WRITE;
        assert!(both.contains(Perms::READ) && !both.contains(Perms::ALL));
        assert!(both.intersects(Perms::ALL) && !both.intersects(Perms::ADMIN));
        assert!(Perms::ALL.contains(Perms::ADMIN | Perms::CREATE | Perms::DELETE | both));
    }

    #[test]
    fn a_list_claiming_too_many_entries_is_refused() {
        let mut out = Vec::new();
        encode_acls(&[Acl::OPEN], &mut out);
        assert_eq!(decode_acls(&mut Reader::new(&out)), Ok(vec![Acl::OPEN]));
        out[3] = 3;
        assert!(decode_acls(&mut Reader::new(&out)).is_err());
    }
}
