//! A snapshot file: sessions, access control lists, znodes, and seals with a checksum.
//!
//! ```text
//! header:   "ZKSN", int version 2, long database id
//! sessions: int count, then long id, int timeout
//! ACLs:     int count, then long number, vector of entries
//! znodes:   text path, buffer data, long number of ACL, stat; ended by the path "/"
//! seal:     long Adler-32 of all bytes before it, text "/"
//! maybe:    long zxid, int version, long digest of the tree; a seal   (since 3.6)
//! maybe:    long zxid of the last change; a seal                     (since 3.9)
//! ```

use std::collections::HashMap;

use adler2::Adler32;
use tenure_wire::{Acl, DecodeError, Perms, Reader, decode_acls};
use thiserror::Error;

use crate::stat::StoredStat;
use crate::tree::{AclList, Session, Tree, Znode};
use crate::txn::Digest;

/// What a snapshot holds.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Znodes and sessions: those of some moment, and some later changes.
    pub tree: Tree,
    /// What the tree came to after the change with this zxid, if all changes up to it were made.
    pub digest: Option<(i64, Digest)>,
    /// The last change that had been made when the file was complete, if it says so.
    pub last_zxid: Option<i64>,
    /// Znodes whose ACL is not in the file. They have one that lets nobody in.
    pub without_acl: Vec<String>,
}

/// Why a file is no snapshot, or not a whole one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// It does not start as snapshots do.
    #[error("it does not start with the header of a ZooKeeper snapshot")]
    Header,
    /// It does, but is of an unknown version.
    #[error("its header names the format version {0}, and only 2 is known")]
    Version(i32),
    /// A field does not decode, or the file ends too early.
    #[error("{0}")]
    Malformed(#[from] DecodeError),
    /// Bytes changed after they were written.
    #[error("the bytes before offset {offset} do not match their checksum")]
    Checksum {
        /// Where the checksum stands.
        offset: usize,
    },
    /// A seal is not where one must be.
    #[error("no seal at offset {offset}")]
    Seal {
        /// Where it should be.
        offset: usize,
    },
    /// A znode comes before its parent, or without.
    #[error("the znode {path} has no parent, at offset {offset}")]
    NoParent {
        /// Which.
        path: String,
        /// Where it stands.
        offset: usize,
    },
    /// There is more than one znode of a path.
    #[error("the znode {path} is there twice, again at offset {offset}")]
    Twice {
        /// Which.
        path: String,
        /// Where the second one stands.
        offset: usize,
    },
    /// There is no root.
    #[error("it has no root")]
    NoRoot,
    /// More follows than anything known.
    #[error("unknown data at offset {offset}")]
    Unknown {
        /// Where they begin.
        offset: usize,
    },
}

pub(crate) const MAGIC: &[u8; 4] = b"ZKSN";
pub(crate) const VERSION: i32 = 2;
pub(crate) const DATABASE: i64 = -1;
/// Stands for the list that lets everybody do everything.
pub(crate) const OPEN_ACL: i64 = -1;
/// Path behind the last znode, and of every seal.
pub(crate) const END: &str = "/";

const SEAL_BYTES: usize = 13;
const DIGEST_BYTES: usize = 20;
const ZXID_BYTES: usize = 8;

/// Reads a snapshot, which is uncompressed, and checks all of it.
///
/// # Errors
/// If it is none, or was cut short or altered.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    let mut from = Reader::new(bytes);
    if !bytes.starts_with(MAGIC) {
        return Err(SnapshotError::Header);
    }
    from.i32()?;
    match from.i32()? {
        VERSION => _ = from.i64()?,
        other => return Err(SnapshotError::Version(other)),
    }
    let mut tree = Tree::default();
    for _ in 0..from.vector_len_of(12)? {
        let (id, timeout_ms) = (from.i64()?, from.i32()?);
        tree.sessions.insert(id, Session { timeout_ms, opened_ms: None });
    }
    let acls = read_acls(&mut from, &mut tree)?;
    let without_acl = read_znodes(&mut from, &acls, &mut tree)?;
    let mut seals = Seals { bytes, sum: Adler32::new(), summed: 0 };
    seals.check(&mut from)?;
    let (mut digest, mut last_zxid) = (None, None);
    let rest = from.remaining();
    if rest == DIGEST_BYTES + SEAL_BYTES || rest == DIGEST_BYTES + ZXID_BYTES + 2 * SEAL_BYTES {
        let zxid = from.i64()?;
        let found = Digest { version: from.i32()?, value: from.i64()? as u64 };
        // Zeros stand for none: nothing had been changed since the server's start.
        digest = (zxid > 0).then_some((zxid, found));
        seals.check(&mut from)?;
    }
    if from.remaining() == ZXID_BYTES + SEAL_BYTES {
        last_zxid = Some(from.i64()?);
        seals.check(&mut from)?;
    }
    match from.remaining() {
        0 => Ok(Snapshot { tree, digest, last_zxid, without_acl }),
        _ => Err(SnapshotError::Unknown { offset: from.offset() }),
    }
}

fn read_acls(
    from: &mut Reader<'_>,
    tree: &mut Tree,
) -> Result<HashMap<i64, AclList>, SnapshotError> {
    let mut acls = HashMap::from([(OPEN_ACL, tree.share(vec![Acl::OPEN]))]);
    for _ in 0..from.vector_len_of(12)? {
        let number = from.i64()?;
        let list = decode_acls(from)?.into_iter().map(Acl::into_owned).collect();
        acls.insert(number, tree.share(list));
    }
    Ok(acls)
}

/// Reads all znodes; returns the paths of those whose ACL is missing.
fn read_znodes(
    from: &mut Reader<'_>,
    acls: &HashMap<i64, AclList>,
    tree: &mut Tree,
) -> Result<Vec<String>, SnapshotError> {
    let mut without_acl = Vec::new();
    let closed = Acl { perms: Perms(0), ..Acl::OPEN };
    loop {
        let offset = from.offset();
        let path = from.text()?.into_owned();
        if path == END {
            break;
        }
        let data = from.buffer()?.map(Into::into);
        let number = from.i64()?;
        let stat = StoredStat::decode(from)?;
        let acl = match acls.get(&number) {
            Some(acl) => acl.clone(),
            None => {
                without_acl.push(path.clone());
                tree.share(vec![closed.clone()])
            }
        };
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        if !path.is_empty() && !parent.is_some_and(|parent| tree.znodes.contains_key(parent)) {
            return Err(SnapshotError::NoParent { path, offset });
        }
        if !tree.insert(path.clone(), Znode { data, acl, stat }) {
            return Err(SnapshotError::Twice { path, offset });
        }
    }
    if !tree.znodes.contains_key("") {
        return Err(SnapshotError::NoRoot);
    }
    Ok(without_acl)
}

/// Each seal's sum runs over all bytes before it.
struct Seals<'a> {
    bytes: &'a [u8],
    sum: Adler32,
    summed: usize,
}

impl Seals<'_> {
    fn check(&mut self, from: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let offset = from.offset();
        self.sum.write_slice(&self.bytes[self.summed..offset]);
        self.summed = offset;
        if from.i64()? != i64::from(self.sum.checksum()) {
            return Err(SnapshotError::Checksum { offset });
        }
        match from.text()?.as_ref() == END {
            true => Ok(()),
            false => Err(SnapshotError::Seal { offset }),
        }
    }
}

#[cfg(test)]
mod tests;
