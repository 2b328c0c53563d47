//! Every operation of the protocol as a request, and the records of its answers.

use super::record::{Body, Fields};

/// A request without its xid.
#[derive(Clone, Debug)]
pub struct Op {
    /// The operation's number.
    pub code: i32,
    /// Its record.
    pub body: Body,
}

/// One entry of an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    pub perms: i32,
    pub scheme: String,
    pub id: String,
}

pub const READ: i32 = 1;
pub const WRITE: i32 = 2;
pub const CREATE: i32 = 4;
pub const DELETE: i32 = 8;
pub const ADMIN: i32 = 16;
pub const ALL: i32 = 31;

pub const PERSISTENT: i32 = 0;
pub const EPHEMERAL: i32 = 1;
pub const SEQUENTIAL: i32 = 2;
pub const EPHEMERAL_SEQUENTIAL: i32 = 3;
pub const CONTAINER: i32 = 4;
pub const TTL: i32 = 5;
pub const SEQUENTIAL_TTL: i32 = 6;

/// What a znode tells about itself, in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stat {
    pub czxid: i64,
    pub mzxid: i64,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    pub ephemeral_owner: i64,
    pub data_length: i32,
    pub num_children: i32,
    pub pzxid: i64,
}

/// One result of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Create(String),
    Create2(String, Stat),
    SetData(Stat),
    Delete,
    Check,
    GetData(Option<Vec<u8>>, Stat),
    GetChildren(Vec<String>),
    Error(i32),
}

impl Acl {
    pub fn new(perms: i32, scheme: &str, id: &str) -> Self {
        Self { perms, scheme: scheme.into(), id: id.into() }
    }
}

/// The list that allows everybody everything.
pub fn open() -> Vec<Acl> {
    vec![Acl::new(ALL, "world", "anyone")]
}

impl Op {
    pub fn new(code: i32, body: Body) -> Self {
        Self { code, body }
    }

    pub fn create_with(
        code: i32,
        path: &str,
        data: Option<&[u8]>,
        acl: &[Acl],
        flags: i32,
    ) -> Self {
        Self::new(code, put_acl(Body::new().string(path).buffer(data), acl).int(flags))
    }

    pub fn create(path: &str, data: &[u8], flags: i32) -> Self {
        Self::create_with(1, path, Some(data), &open(), flags)
    }

    pub fn create2(path: &str, data: &[u8], flags: i32) -> Self {
        Self::create_with(15, path, Some(data), &open(), flags)
    }

    pub fn create_container(path: &str) -> Self {
        Self::create_with(19, path, Some(b""), &open(), CONTAINER)
    }

    pub fn create_ttl(path: &str, flags: i32, ttl_ms: i64) -> Self {
        let op = Self::create_with(21, path, Some(b""), &open(), flags);
        Self::new(21, op.body.long(ttl_ms))
    }

    pub fn delete(path: &str, version: i32) -> Self {
        Self::new(2, Body::new().string(path).int(version))
    }

    pub fn exists(path: &str, watch: bool) -> Self {
        Self::new(3, Body::new().string(path).bool(watch))
    }

    pub fn get_data(path: &str, watch: bool) -> Self {
        Self::new(4, Body::new().string(path).bool(watch))
    }

    pub fn set_data(path: &str, data: &[u8], version: i32) -> Self {
        Self::set_data_to(path, Some(data), version)
    }

    pub fn set_data_to(path: &str, data: Option<&[u8]>, version: i32) -> Self {
        Self::new(5, Body::new().string(path).buffer(data).int(version))
    }

    pub fn get_acl(path: &str) -> Self {
        Self::new(6, Body::new().string(path))
    }

    pub fn set_acl(path: &str, acl: &[Acl], version: i32) -> Self {
        Self::new(7, put_acl(Body::new().string(path), acl).int(version))
    }

    pub fn get_children(path: &str, watch: bool) -> Self {
        Self::new(8, Body::new().string(path).bool(watch))
    }

    pub fn sync(path: &str) -> Self {
        Self::new(9, Body::new().string(path))
    }

    pub fn ping() -> Self {
        Self::new(11, Body::new())
    }

    pub fn get_children2(path: &str, watch: bool) -> Self {
        Self::new(12, Body::new().string(path).bool(watch))
    }

    pub fn check(path: &str, version: i32) -> Self {
        Self::new(13, Body::new().string(path).int(version))
    }

    pub fn multi(ops: &[Op]) -> Self {
        Self::new(14, multi_body(ops))
    }

    pub fn multi_read(ops: &[Op]) -> Self {
        Self::new(22, multi_body(ops))
    }

    pub fn reconfig(joining: &str, leaving: &str, config: i64) -> Self {
        let members = Body::new().string(joining).string(leaving).buffer(None);
        Self::new(16, members.long(config))
    }

    pub fn check_watches(path: &str, kind: i32) -> Self {
        Self::new(17, Body::new().string(path).int(kind))
    }

    pub fn remove_watches(path: &str, kind: i32) -> Self {
        Self::new(18, Body::new().string(path).int(kind))
    }

    pub fn auth(scheme: &str, credentials: &[u8]) -> Self {
        Self::new(100, Body::new().int(0).string(scheme).buffer(Some(credentials)))
    }

    pub fn set_watches(relative: i64, data: &[&str], exist: &[&str], child: &[&str]) -> Self {
        Self::new(101, Body::new().long(relative).strings(data).strings(exist).strings(child))
    }

    pub fn set_watches2(relative: i64, lists: [&[&str]; 5]) -> Self {
        Self::new(105, lists.iter().fold(Body::new().long(relative), |body, l| body.strings(l)))
    }

    pub fn get_ephemerals(prefix: &str) -> Self {
        Self::new(103, Body::new().string(prefix))
    }

    pub fn get_all_children_number(path: &str) -> Self {
        Self::new(104, Body::new().string(path))
    }

    pub fn add_watch(path: &str, mode: i32) -> Self {
        Self::new(106, Body::new().string(path).int(mode))
    }

    pub fn who_am_i() -> Self {
        Self::new(107, Body::new())
    }

    pub fn close_session() -> Self {
        Self::new(-11, Body::new())
    }
}

impl Stat {
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            czxid: fields.long(),
            mzxid: fields.long(),
            ctime: fields.long(),
            mtime: fields.long(),
            version: fields.int(),
            cversion: fields.int(),
            aversion: fields.int(),
            ephemeral_owner: fields.long(),
            data_length: fields.int(),
            num_children: fields.int(),
            pzxid: fields.long(),
        }
    }
}

/// Reads an access control list.
pub fn read_acl(fields: &mut Fields<'_>) -> Vec<Acl> {
    (0..fields.int())
        .map(|_| Acl { perms: fields.int(), scheme: fields.string(), id: fields.string() })
        .collect()
}

/// Reads the results of a multi or multiRead, checking the headers around them.
pub fn read_outcomes(mut fields: Fields<'_>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    loop {
        let (kind, done, err) = (fields.int(), fields.bool(), fields.int());
        if done {
            assert_eq!((kind, err), (-1, -1), "the closing header");
            fields.end();
            return outcomes;
        }
        outcomes.push(match kind {
            -1 => {
                assert_eq!(fields.int(), err, "the code stands in the header and in the body");
                Outcome::Error(err)
            }
            _ => {
                assert_eq!(err, 0);
                read_outcome(kind, &mut fields)
            }
        });
    }
}

fn read_outcome(kind: i32, fields: &mut Fields<'_>) -> Outcome {
    match kind {
        1 => Outcome::Create(fields.string()),
        15 => Outcome::Create2(fields.string(), Stat::read(fields)),
        2 => Outcome::Delete,
        13 => Outcome::Check,
        5 => Outcome::SetData(Stat::read(fields)),
        4 => Outcome::GetData(fields.buffer(), Stat::read(fields)),
        8 => Outcome::GetChildren(fields.strings()),
        other => panic!("a multi cannot answer with type {other}"),
    }
}

fn put_acl(body: Body, acl: &[Acl]) -> Body {
    acl.iter().fold(body.int(acl.len() as i32), |body, entry| {
        body.int(entry.perms).string(&entry.scheme).string(&entry.id)
    })
}

fn multi_body(ops: &[Op]) -> Body {
    let body = ops
        .iter()
        .fold(Body::new(), |body, op| body.int(op.code).bool(false).int(-1).raw(&op.body.0));
    body.int(-1).bool(true).int(-1)
}
