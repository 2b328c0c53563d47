//! One transaction of a log: its header, what it changes, and the digest behind it.

use tenure_wire::{Acl, DecodeError, Reader, decode_acls};

use crate::stat::Kind;

/// Who caused a transaction, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnHeader {
    /// The session, 0 for the server itself.
    pub session: i64,
    /// The client's number for the request.
    pub cxid: i32,
    /// Its place in the order of all changes.
    pub zxid: i64,
    /// Leader's wall clock, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// What kind of transaction it is, as the log has it.
    pub kind: i32,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Txn {
    /// A session begins.
    CreateSession {
        /// Its timeout.
        timeout_ms: i32,
    },
    /// A session ends.
    CloseSession {
        /// Its ephemerals, where the log lists them (since 3.6).
        paths: Vec<String>,
    },
    /// One change.
    One(Change),
    /// Several changes, all or none of which happened.
    Multi(Vec<Change>),
    /// Nothing: the request failed, and only its zxid counts.
    Failed,
}

/// A change of one znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A znode is created.
    Create(NewZnode),
    /// A znode is deleted.
    Delete {
        /// Which.
        path: String,
    },
    /// Data are replaced.
    SetData {
        /// Of which znode.
        path: String,
        /// By what.
        data: Option<Vec<u8>>,
        /// The version that this makes.
        version: i32,
    },
    /// An access control list is replaced.
    SetAcl {
        /// Of which znode.
        path: String,
        /// By what.
        acl: Vec<Acl<'static>>,
        /// The version of it that this makes.
        version: i32,
    },
    /// Nothing: a version was checked, or an operation of a multi failed.
    Nothing,
}

/// What a new znode is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewZnode {
    /// Where it is.
    pub path: String,
    /// Its data.
    pub data: Option<Vec<u8>>,
    /// Who may do what with it.
    pub acl: Vec<Acl<'static>>,
    /// What keeps it alive.
    pub kind: Kind,
    /// Children of its parent ever created, itself included; -1 for one more than before, in old
    /// logs.
    pub parent_cversion: i32,
}

/// What the tree should come to after a transaction (since 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// How it is computed.
    pub version: i32,
    /// The sum.
    pub value: u64,
}

impl TxnHeader {
    /// Length of the encoding in bytes.
    pub(crate) const LEN: usize = 32;

    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TxnHeader {
            session: from.i64()?,
            cxid: from.i32()?,
            zxid: from.i64()?,
            time_ms: from.i64()?,
            kind: from.i32()?,
        })
    }
}

/// Kinds of transactions, and of the parts of a multi.
mod kind {
    pub(super) const CREATE_SESSION: i32 = -10;
    pub(super) const CLOSE_SESSION: i32 = -11;
    pub(super) const ERROR: i32 = -1;
    pub(super) const CREATE: i32 = 1;
    pub(super) const DELETE: i32 = 2;
    pub(super) const SET_DATA: i32 = 5;
    pub(super) const SET_ACL: i32 = 7;
    pub(super) const CHECK: i32 = 13;
    pub(super) const MULTI: i32 = 14;
    pub(super) const CREATE2: i32 = 15;
    pub(super) const RECONFIG: i32 = 16;
    pub(super) const CREATE_CONTAINER: i32 = 19;
    pub(super) const DELETE_CONTAINER: i32 = 20;
    pub(super) const CREATE_TTL: i32 = 21;
}

/// Whether a log may hold such transactions.
pub(crate) fn is_known(kind: i32) -> bool {
    use kind::*;
    matches!(
        kind,
        CREATE_SESSION
            | CLOSE_SESSION
            | ERROR
            | CREATE
            | DELETE
            | SET_DATA
            | SET_ACL
            | CHECK
            | MULTI
            | CREATE2
            | RECONFIG
            | CREATE_CONTAINER
            | DELETE_CONTAINER
            | CREATE_TTL
    )
}

/// Bytes of a digest, if there is one.
const DIGEST_BYTES: usize = 12;

/// The one way of computing digests that logs have.
pub(crate) const DIGEST_VERSION: i32 = 2;

/// Takes an entry of a log apart.
pub(crate) fn decode(entry: &[u8]) -> Result<(TxnHeader, Txn, Option<Digest>), DecodeError> {
    let mut from = Reader::new(entry);
    let offset = TxnHeader::LEN - 4;
    let header = TxnHeader::decode(&mut from)?;
    let txn = match header.kind {
        kind::CREATE_SESSION => Txn::CreateSession { timeout_ms: from.i32()? },
        kind::CLOSE_SESSION => Txn::CloseSession { paths: closed_paths(&mut from)? },
        kind::ERROR => {
            from.i32()?;
            Txn::Failed
        }
        kind::MULTI => multi(&mut from, &header)?,
        value if !is_known(value) => {
            return Err(DecodeError::Value { what: "kind of transaction", offset, value });
        }
        kind => Txn::One(change(kind, &mut from, &header)?),
    };
    let digest = match from.remaining() {
        DIGEST_BYTES => Some(Digest { version: from.i32()?, value: from.i64()? as u64 }),
        _ => None,
    };
    Ok((header, txn, digest))
}

/// Old logs, and those written with `closeSessionTxn.enabled=false`, have nothing here, or at once
/// the digest.
fn closed_paths(from: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    let is_digest = from.remaining() == DIGEST_BYTES && from.clone().i32()? == DIGEST_VERSION;
    if from.remaining() == 0 || is_digest {
        return Ok(Vec::new());
    }
    Ok(from.texts()?.into_iter().map(Into::into).collect())
}

fn multi(from: &mut Reader<'_>, header: &TxnHeader) -> Result<Txn, DecodeError> {
    let count = from.vector_len_of(8)?;
    let mut changes = Vec::with_capacity(count);
    let mut failed = false;
    for _ in 0..count {
        let offset = from.offset();
        let kind = from.i32()?;
        let mut part = Reader::new(from.buffer()?.unwrap_or_default());
        match kind {
            kind::ERROR => failed = true,
            kind::CREATE_SESSION | kind::CLOSE_SESSION | kind::MULTI => {
                return Err(DecodeError::Value { what: "part of a multi", offset, value: kind });
            }
            kind => changes.push(change(kind, &mut part, header)?),
        }
    }
    Ok(if failed { Txn::Failed } else { Txn::Multi(changes) })
}

fn change(kind: i32, from: &mut Reader<'_>, header: &TxnHeader) -> Result<Change, DecodeError> {
    let offset = from.offset();
    Ok(match kind {
        kind::CREATE | kind::CREATE2 | kind::CREATE_CONTAINER | kind::CREATE_TTL => {
            Change::Create(new_znode(kind, from, header)?)
        }
        kind::DELETE | kind::DELETE_CONTAINER => Change::Delete { path: from.text()?.into() },
        kind::SET_DATA | kind::RECONFIG => Change::SetData {
            path: from.text()?.into(),
            data: from.buffer()?.map(Into::into),
            version: from.i32()?,
        },
        kind::SET_ACL => {
            Change::SetAcl { path: from.text()?.into(), acl: acl(from)?, version: from.i32()? }
        }
        kind::CHECK => Change::Nothing,
        value => return Err(DecodeError::Value { what: "part of a multi", offset, value }),
    })
}

fn new_znode(
    kind: i32,
    from: &mut Reader<'_>,
    header: &TxnHeader,
) -> Result<NewZnode, DecodeError> {
    let path = from.text()?.into();
    let data = from.buffer()?.map(Into::into);
    let acl = acl(from)?;
    let mut kind = match kind {
        kind::CREATE_CONTAINER => Kind::Container,
        kind::CREATE_TTL => Kind::Ttl(0),
        _ if from.bool()? => Kind::Ephemeral(header.session),
        _ => Kind::Persistent,
    };
    // Before 3.4 the count was not logged.
    let parent_cversion = if from.remaining() == 0 { -1 } else { from.i32()? };
    if let Kind::Ttl(ttl_ms) = &mut kind {
        *ttl_ms = from.i64()?;
    }
    Ok(NewZnode { path, data, acl, kind, parent_cversion })
}

fn acl(from: &mut Reader<'_>) -> Result<Vec<Acl<'static>>, DecodeError> {
    Ok(decode_acls(from)?.into_iter().map(Acl::into_owned).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use tenure_wire::{Put, encode_acls};

    use super::*;

    /// An entry of a log, without a digest.
    pub(crate) fn entry(session: i64, zxid: i64, kind: i32, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_i64(session);
        out.put_i32(7);
        out.put_i64(zxid);
        out.put_i64(1_700_000_000_000 + zxid);
        out.put_i32(kind);
        out.extend_from_slice(body);
        out
    }

    /// What stands behind the header of a create.
    pub(crate) fn create_body(
        path: &str,
        ephemeral: bool,
        parent_cversion: Option<i32>,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_text(path);
        out.put_buffer(Some(b"data"));
        encode_acls(&[Acl::OPEN], &mut out);
        out.put_bool(ephemeral);
        if let Some(count) = parent_cversion {
            out.put_i32(count);
        }
        out
    }

    fn created(path: &str, kind: Kind, parent_cversion: i32) -> Change {
        let (path, data) = (path.to_owned(), Some(b"data".to_vec()));
        Change::Create(NewZnode { path, data, acl: vec![Acl::OPEN], kind, parent_cversion })
    }

    fn decoded(entry: &[u8]) -> (Txn, Option<Digest>) {
        let (_, txn, digest) = decode(entry).unwrap();
        (txn, digest)
    }

    #[test]
    fn old_and_new_creates_are_read() {
        let old = entry(5, 9, kind::CREATE, &create_body("/a", true, None));
        assert_eq!(decoded(&old), (Txn::One(created("/a", Kind::Ephemeral(5), -1)), None));
        let mut new = entry(5, 9, kind::CREATE2, &create_body("/a", false, Some(3)));
        new.put_i32(2);
        new.put_i64(77);
        let digest = Some(Digest { version: 2, value: 77 });
        assert_eq!(decoded(&new), (Txn::One(created("/a", Kind::Persistent, 3)), digest));
        let mut ttl = create_body("/t", false, None);
        ttl.pop();
        ttl.put_i32(4);
        let mut container = ttl.clone();
        ttl.put_i64(60_000);
        let ttl = entry(5, 9, kind::CREATE_TTL, &ttl);
        assert_eq!(decoded(&ttl).0, Txn::One(created("/t", Kind::Ttl(60_000), 4)));
        container = entry(5, 9, kind::CREATE_CONTAINER, &container);
        assert_eq!(decoded(&container).0, Txn::One(created("/t", Kind::Container, 4)));
    }

    #[test]
    fn a_closed_session_may_list_its_paths_or_not() {
        let bare = entry(5, 9, kind::CLOSE_SESSION, b"");
        assert_eq!(decoded(&bare), (Txn::CloseSession { paths: vec![] }, None));
        let mut digested = bare.clone();
        digested.put_i32(2);
        digested.put_i64(1);
        let digest = Some(Digest { version: 2, value: 1 });
        assert_eq!(decoded(&digested), (Txn::CloseSession { paths: vec![] }, digest));
        let mut listed = bare;
        // As long as a digest, and none.
        listed.put_texts(&["/abc"]);
        let paths = vec!["/abc".to_owned()];
        assert_eq!(decoded(&listed), (Txn::CloseSession { paths }, None));
    }

    #[test]
    fn a_multi_with_a_failed_part_changes_nothing() {
        let part = |kind: i32, body: &[u8], out: &mut Vec<u8>| {
            out.put_i32(kind);
            out.put_buffer(Some(body));
        };
        let mut whole = Vec::new();
        whole.put_vector_len(2);
        part(kind::CREATE, &create_body("/a", false, Some(1)), &mut whole);
        part(kind::CHECK, b"", &mut whole);
        let changes = vec![created("/a", Kind::Persistent, 1), Change::Nothing];
        assert_eq!(decoded(&entry(1, 9, kind::MULTI, &whole)).0, Txn::Multi(changes));
        let mut failed = Vec::new();
        failed.put_vector_len(2);
        part(kind::CREATE, &create_body("/a", false, Some(1)), &mut failed);
        part(kind::ERROR, &[0, 0, 0, 0], &mut failed);
        assert_eq!(decoded(&entry(1, 9, kind::MULTI, &failed)).0, Txn::Failed);
        let mut nested = Vec::new();
        nested.put_vector_len(1);
        part(kind::MULTI, &whole, &mut nested);
        assert!(decode(&entry(1, 9, kind::MULTI, &nested)).is_err());
        assert!(decode(&entry(1, 9, 99, b"")).is_err());
    }

    #[test]
    fn entries_cut_anywhere_do_not_panic() {
        let mut body = Vec::new();
        body.put_vector_len(1);
        body.put_i32(kind::CREATE);
        body.put_buffer(Some(&create_body("/a", false, Some(1))));
        for whole in [
            entry(1, 9, kind::CREATE, &create_body("/a", true, Some(1))),
            entry(1, 9, kind::MULTI, &body),
        ] {
            for end in 0..whole.len() {
                _ = decode(&whole[..end]);
            }
        }
    }
}
