//! Seeded generators: numbers, bytes, damage, and values of the protocol.

use std::borrow::Cow;

use tenure_wire::{
    Account, Acl, ConnectRequest, ConnectResponse, Create, EndedBy, EventType, Identity,
    MultiResult, OpCode, Perms, ReplyHeader, Request, RequestHeader, Response, SessionId,
    SetWatches, Stat, WatcherEvent, Xid, Zxid,
};

/// A splitmix64 generator: small, and good enough for tests.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// One of the items.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Once in `of` times.
    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// A number as fields hold them: mostly small or at an edge.
    pub(crate) fn i32(&mut self) -> i32 {
        match self.below(4) {
            0 => *self.pick(&EDGES),
            1 => self.next() as i32,
            _ => self.below(40) as i32 - 4,
        }
    }

    fn i64(&mut self) -> i64 {
        if self.one_in(2) { self.next() as i64 } else { self.i32().into() }
    }

    /// Up to 40 bytes that often look like fields.
    pub(crate) fn soup(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.below(10) {
            if self.one_in(3) {
                bytes.push(self.next() as u8);
            } else {
                bytes.extend(self.i32().to_be_bytes());
            }
        }
        bytes
    }
}

/// Damages bytes in a few of the ways that find bugs in decoders.
pub(crate) fn damage(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(7) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
            2 | 3 => {
                if let Some(field) = bytes.get_mut(at..at + 4) {
                    field.copy_from_slice(&rng.i32().to_be_bytes());
                }
            }
            4 => bytes.insert(at, rng.next() as u8),
            5 => {
                let end = (at + rng.below(9)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[rng.below(other.len())..]);
            }
        }
    }
}

/// A request header of the operation.
pub(crate) fn request_header(rng: &mut Rng, op: OpCode) -> RequestHeader {
    RequestHeader { xid: Xid(rng.i32()), op: op.code() }
}

/// A reply header without error.
pub(crate) fn reply_header(rng: &mut Rng) -> ReplyHeader {
    ReplyHeader { xid: Xid(rng.i32()), zxid: Zxid(rng.i64()), err: 0 }
}

/// Either handshake of a client.
pub(crate) fn connect_request(rng: &mut Rng) -> ConnectRequest<'static> {
    ConnectRequest {
        protocol_version: rng.i32(),
        last_zxid_seen: Zxid(rng.i64()),
        timeout_ms: rng.i32(),
        session: SessionId(rng.i64()),
        password: data(rng),
        read_only: *rng.pick(&[None, Some(false), Some(true)]),
    }
}

/// Either handshake of a server.
pub(crate) fn connect_response(rng: &mut Rng) -> ConnectResponse {
    let password = [rng.next() as u8; 16];
    let read_only = *rng.pick(&[None, Some(false), Some(true)]);
    if rng.below(4) == 0 {
        let account = read_only.map(|_| account(rng));
        return ConnectResponse { read_only, account, ..ConnectResponse::default() };
    }
    ConnectResponse {
        protocol_version: rng.i32(),
        timeout_ms: rng.i32(),
        session: SessionId(rng.i64()),
        password,
        read_only,
        account: None,
    }
}

/// How a session ended.
fn account(rng: &mut Rng) -> Account {
    let named = [EndedBy::Client, EndedBy::Expiry, EndedBy::Operator, EndedBy::Other(4)];
    Account {
        by: *rng.pick(&named),
        ended_at_ms: rng.i64(),
        silent_ms: Some(rng.i64()).filter(|silent_ms| *silent_ms >= 0),
        explanation: Some(text(rng).into_owned()).filter(|text| !text.is_empty()),
    }
}

/// A notification.
pub(crate) fn event(rng: &mut Rng) -> WatcherEvent<'static> {
    let codes = [-1, 1, 2, 3, 4, 5, 6, 7];
    let kind = EventType::from_i32(*rng.pick(&codes)).unwrap();
    WatcherEvent { kind, state: rng.i32(), path: text(rng) }
}

/// A request of the operation, which must be one that a client may encode.
pub(crate) fn request(rng: &mut Rng, op: OpCode) -> Request<'static> {
    let path = text(rng);
    let watch = rng.one_in(2);
    let version = rng.i32();
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            let ttl_ms = (op == OpCode::CreateTtl).then(|| rng.i64());
            let flags = rng.below(7) as i32;
            Request::Create(Create { op, path, data: data(rng), acl: acls(rng), flags, ttl_ms })
        }
        OpCode::Delete => Request::Delete { path, version },
        OpCode::Exists => Request::Exists { path, watch },
        OpCode::GetData => Request::GetData { path, watch },
        OpCode::SetData => Request::SetData { path, data: data(rng), version },
        OpCode::GetAcl => Request::GetAcl { path },
        OpCode::SetAcl => Request::SetAcl { path, acl: acls(rng), version },
        OpCode::GetChildren => Request::GetChildren { path, watch },
        OpCode::GetChildren2 => Request::GetChildren2 { path, watch },
        OpCode::Sync => Request::Sync { path },
        OpCode::Ping => Request::Ping,
        OpCode::Check => Request::Check { path, version },
        OpCode::Multi => Request::Multi(requests(rng, &WRITES)),
        OpCode::MultiRead => Request::MultiRead(requests(rng, &READS)),
        OpCode::Reconfig => Request::Reconfig {
            joining: opt_text(rng),
            leaving: opt_text(rng),
            new_members: opt_text(rng),
            config_id: rng.i64(),
        },
        OpCode::CheckWatches => Request::CheckWatches { path, kind: version },
        OpCode::RemoveWatches => Request::RemoveWatches { path, kind: version },
        OpCode::DeleteContainer => Request::DeleteContainer { path },
        OpCode::Auth => Request::Auth { scheme: path, auth: data(rng) },
        OpCode::SetWatches | OpCode::SetWatches2 => {
            let second = op == OpCode::SetWatches2;
            Request::SetWatches(SetWatches {
                op,
                relative_zxid: Zxid(rng.i64()),
                data: texts(rng),
                exist: texts(rng),
                child: texts(rng),
                persistent: if second { texts(rng) } else { Vec::new() },
                persistent_recursive: if second { texts(rng) } else { Vec::new() },
            })
        }
        OpCode::Sasl => Request::Sasl { token: data(rng) },
        OpCode::GetEphemerals => Request::GetEphemerals { prefix: path },
        OpCode::GetAllChildrenNumber => Request::GetAllChildrenNumber { path },
        OpCode::AddWatch => Request::AddWatch { path, mode: version },
        OpCode::WhoAmI => Request::WhoAmI,
        OpCode::CloseSession => Request::CloseSession,
        OpCode::CreateSession => Request::CreateSession,
        OpCode::Notification | OpCode::Error => panic!("{op} is no request"),
    }
}

/// A response body as a server answers the operation.
pub(crate) fn response(rng: &mut Rng, op: OpCode) -> Response<'static> {
    match op {
        OpCode::Create | OpCode::Sync => Response::Path(text(rng)),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            Response::PathStat { path: text(rng), stat: stat(rng) }
        }
        OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Response::Stat(stat(rng)),
        OpCode::GetData | OpCode::Reconfig => Response::Data { data: data(rng), stat: stat(rng) },
        OpCode::GetAcl => Response::Acl { acl: acls(rng), stat: stat(rng) },
        OpCode::GetChildren | OpCode::GetEphemerals => Response::Children(texts(rng)),
        OpCode::GetChildren2 => Response::ChildrenStat { children: texts(rng), stat: stat(rng) },
        OpCode::Multi | OpCode::MultiRead => {
            Response::Multi((0..rng.below(5)).map(|_| result(rng)).collect())
        }
        OpCode::Sasl => Response::Sasl { token: data(rng) },
        OpCode::GetAllChildrenNumber => Response::Count(rng.i32()),
        OpCode::AddWatch => Response::ErrorCode(rng.i32()),
        OpCode::WhoAmI => {
            let identity = |rng: &mut Rng| Identity { scheme: text(rng), user: text(rng) };
            Response::Identities((0..rng.below(4)).map(|_| identity(rng)).collect())
        }
        _ => Response::Empty,
    }
}

fn result(rng: &mut Rng) -> MultiResult<'static> {
    match rng.below(8) {
        0 => MultiResult::Create { path: text(rng) },
        1 => MultiResult::Create2 { path: text(rng), stat: stat(rng) },
        2 => MultiResult::Delete,
        3 => MultiResult::SetData { stat: stat(rng) },
        4 => MultiResult::Check,
        5 => MultiResult::GetChildren { children: texts(rng) },
        6 => MultiResult::GetData { data: data(rng), stat: stat(rng) },
        _ => MultiResult::Error(rng.i32()),
    }
}

fn requests(rng: &mut Rng, ops: &[OpCode]) -> Vec<Request<'static>> {
    let ops: Vec<OpCode> = (0..rng.below(5)).map(|_| *rng.pick(ops)).collect();
    ops.into_iter().map(|op| request(rng, op)).collect()
}

fn stat(rng: &mut Rng) -> Stat {
    Stat {
        czxid: Zxid(rng.i64()),
        mzxid: Zxid(rng.i64()),
        ctime: rng.i64(),
        mtime: rng.i64(),
        version: rng.i32(),
        cversion: rng.i32(),
        aversion: rng.i32(),
        ephemeral_owner: rng.i64(),
        data_length: rng.i32(),
        num_children: rng.i32(),
        pzxid: Zxid(rng.i64()),
    }
}

fn acls(rng: &mut Rng) -> Vec<Acl<'static>> {
    let acl = |rng: &mut Rng| Acl { perms: Perms(rng.i32()), scheme: text(rng), id: text(rng) };
    (0..rng.below(4)).map(|_| acl(rng)).collect()
}

fn texts(rng: &mut Rng) -> Vec<Cow<'static, str>> {
    (0..rng.below(6)).map(|_| text(rng)).collect()
}

fn text(rng: &mut Rng) -> Cow<'static, str> {
    Cow::Borrowed(*rng.pick(&TEXTS))
}

fn opt_text(rng: &mut Rng) -> Option<Cow<'static, str>> {
    (!rng.one_in(3)).then(|| text(rng))
}

fn data(rng: &mut Rng) -> Option<&'static [u8]> {
    *rng.pick(&DATA)
}

const EDGES: [i32; 10] =
    [0, -1, -2, 1, i32::MAX, i32::MIN, 1 << 20, 0x00FF_FFFF, -101, 0x7F00_0000];
const TEXTS: [&str; 8] = ["", "/", "/a", "/zookeeper/quota", "world", "ünï/çødé", "🐘", "a\0b"];
const DATA: [Option<&[u8]>; 5] =
    [None, Some(b""), Some(b"x"), Some(&[0xff; 40]), Some(b"\0\0\0\x01\0\0\0\0")];
const WRITES: [OpCode; 7] = [
    OpCode::Create,
    OpCode::Create2,
    OpCode::CreateContainer,
    OpCode::CreateTtl,
    OpCode::Delete,
    OpCode::SetData,
    OpCode::Check,
];
const READS: [OpCode; 2] = [OpCode::GetData, OpCode::GetChildren];
