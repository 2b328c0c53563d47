//! A znode's metadata as it is stored: not quite what clients see.

use tenure_wire::{DecodeError, Put, Reader};

/// What keeps a znode alive, as `StoredStat::owner` encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It stays until it is deleted.
    Persistent,
    /// It goes with the session of this id.
    Ephemeral(i64),
    /// It goes some time after its last child.
    Container,
    /// It goes when it has no children and was not set for this many milliseconds.
    Ttl(i64),
}

/// The fields that snapshots hold of each znode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredStat {
    /// Zxid of its creation.
    pub czxid: i64,
    /// Zxid of the last change of its data.
    pub mzxid: i64,
    /// When it was created, in milliseconds since the Unix epoch.
    pub ctime: i64,
    /// When its data last changed, in milliseconds since the Unix epoch.
    pub mtime: i64,
    /// Changes of its data.
    pub version: i32,
    /// Children ever created: not what clients see under this name, which also counts deletes.
    pub cversion: i32,
    /// Changes of its access control list.
    pub aversion: i32,
    /// Session id, or a code of [`Kind`].
    pub owner: i64,
    /// Zxid of the last change of its children.
    pub pzxid: i64,
}

/// Marks a container.
const CONTAINER: i64 = i64::MIN;
/// The top byte of a TTL znode's owner; below it two bytes that are 0 and 40 bits of time.
const TTL_MARK: u64 = 0xff << 56;
const TTL_BITS: u64 = (1 << 40) - 1;

impl Kind {
    /// What an owner field says.
    pub fn of_owner(owner: i64) -> Self {
        match owner {
            0 => Kind::Persistent,
            CONTAINER => Kind::Container,
            _ if owner as u64 & TTL_MARK == TTL_MARK => Kind::Ttl((owner as u64 & TTL_BITS) as i64),
            session => Kind::Ephemeral(session),
        }
    }

    /// The owner field that says so.
    pub fn owner(self) -> i64 {
        match self {
            Kind::Persistent => 0,
            Kind::Ephemeral(session) => session,
            Kind::Container => CONTAINER,
            Kind::Ttl(ttl_ms) => (TTL_MARK | ttl_ms as u64 & TTL_BITS) as i64,
        }
    }
}

impl StoredStat {
    /// Length of the encoding in bytes.
    pub(crate) const LEN: usize = 60;

    /// Of a znode that has just been created.
    pub(crate) fn created(kind: Kind, zxid: i64, time_ms: i64) -> Self {
        StoredStat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time_ms,
            mtime: time_ms,
            owner: kind.owner(),
            ..StoredStat::default()
        }
    }

    /// What keeps the znode alive.
    pub fn kind(&self) -> Kind {
        Kind::of_owner(self.owner)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.czxid, self.mzxid, self.ctime, self.mtime] {
            out.put_i64(number);
        }
        for number in [self.version, self.cversion, self.aversion] {
            out.put_i32(number);
        }
        out.put_i64(self.owner);
        out.put_i64(self.pzxid);
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(StoredStat {
            czxid: from.i64()?,
            mzxid: from.i64()?,
            ctime: from.i64()?,
            mtime: from.i64()?,
            version: from.i32()?,
            cversion: from.i32()?,
            aversion: from.i32()?,
            owner: from.i64()?,
            pzxid: from.i64()?,
        })
    }

    /// The bytes that enter the tree digest.
    fn digested(&self) -> [u8; Self::LEN] {
        let mut out = Vec::with_capacity(Self::LEN);
        for number in [self.czxid, self.mzxid, self.pzxid, self.ctime, self.mtime] {
            out.put_i64(number);
        }
        for number in [self.version, self.cversion, self.aversion] {
            out.put_i32(number);
        }
        out.put_i64(self.owner);
        out.try_into().expect("the fields above make up this length")
    }
}

/// A znode's share of the tree digest, which those below `/zookeeper` have not.
pub(crate) fn digest_of(path: &str, data: Option<&[u8]>, stat: &StoredStat) -> u64 {
    if path.starts_with("/zookeeper/") {
        return 0;
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(path.as_bytes());
    crc.update(data.unwrap_or_default());
    crc.update(&stat.digested());
    crc.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_say_what_keeps_a_znode_alive() {
        for (kind, owner) in [
            (Kind::Persistent, 0),
            (Kind::Ephemeral(0x0100_0017_f015_0000), 0x0100_0017_f015_0000),
            // Of a server with a number above 127.
            (Kind::Ephemeral(i64::MIN + 5), i64::MIN + 5),
            (Kind::Container, i64::MIN),
            (Kind::Ttl(60_000), 0xff00_0000_0000_ea60_u64 as i64),
            (Kind::Ttl((1 << 40) - 1), 0xff00_00ff_ffff_ffff_u64 as i64),
        ] {
            assert_eq!((Kind::of_owner(owner), kind.owner()), (kind, owner));
        }
    }
}
