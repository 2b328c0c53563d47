//! Nearly two million seeded cases: no bytes make a decoder panic or take much memory, and every
//! value survives its encoding. `WIRE_FUZZ_SEED` is another seed, `WIRE_FUZZ_TIMES` more cases.
#![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod frames;
mod generate;

use std::hash::{DefaultHasher, Hash, Hasher};

use frames::{Kind, Value, Way, load};
use generate::Rng;
use tenure_wire::{DEFAULT_MAX_FRAME, MultiResult, OpCode, Reader, Request, Response, frame};

#[test]
fn random_bytes_are_harmless() {
    let decoded = cases("random", 700_000, |rng| {
        let (way, kind) = target(rng);
        // Behind a right header, most of the time, so that the body matters.
        let mut payload = Vec::new();
        match (way, kind) {
            _ if rng.one_in(4) => {}
            (Way::Request, Kind::Op(Some(op))) => {
                generate::request_header(rng, op).encode(&mut payload);
            }
            (Way::Reply, Kind::Op(_)) => generate::reply_header(rng).encode(&mut payload),
            _ => {}
        }
        payload.extend(rng.soup());
        let _ = frame::split(&payload, DEFAULT_MAX_FRAME);
        judge("random", way, kind, &payload)
    });
    assert!(decoded > 150_000, "only {decoded} could be decoded");
}

#[test]
fn damaged_frames_are_harmless() {
    let frames = load();
    let decoded = cases("damaged", 800_000, |rng| {
        let frame = rng.pick(&frames);
        let other = rng.pick(&frames).payload();
        let mut payload = frame.payload().to_vec();
        generate::damage(rng, &mut payload, other);
        judge(&frame.name, frame.way, frame.kind, &payload)
    });
    assert!(decoded > 150_000, "only {decoded} could be decoded");
}

#[test]
fn values_survive_their_encoding() {
    cases("values", 400_000, |rng| {
        let (way, kind) = target(rng);
        let value = value(rng, way, kind);
        let mut bytes = value.encode();
        let whole = frame::split(&bytes, DEFAULT_MAX_FRAME);
        assert_eq!(whole, Ok(Some(frame::PREFIX_LEN..bytes.len())));
        let decoded = Value::decode(way, kind, &bytes[frame::PREFIX_LEN..]);
        assert_eq!(decoded.as_ref(), Ok(&value));
        // What is behind a record is ignored, except a handshake's optional last byte.
        if kind != Kind::Connect {
            bytes.push(rng.next() as u8);
            assert_eq!(Value::decode(way, kind, &bytes[frame::PREFIX_LEN..]), Ok(value));
        }
        true
    });
}

/// A stream of frames, cut anywhere, comes out frame by frame.
#[test]
fn streams_split_into_their_frames() {
    cases("streams", 50_000, |rng| {
        let mut stream = Vec::new();
        let mut lengths = Vec::new();
        for _ in 0..rng.below(4) {
            let (way, kind) = target(rng);
            let bytes = value(rng, way, kind).encode();
            lengths.push(bytes.len());
            stream.extend(bytes);
        }
        let cut = rng.below(stream.len() + 1);
        let mut rest = &stream[..cut];
        let mut found = Vec::new();
        while let Some(range) = frame::split(rest, DEFAULT_MAX_FRAME).unwrap() {
            found.push(range.end);
            rest = &rest[range.end..];
        }
        assert!(lengths.starts_with(&found));
        let next = lengths.get(found.len()).copied().unwrap_or(usize::MAX);
        assert!(rest.len() < next);
        true
    });
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let fingerprint = |seed| {
        let mut rng = Rng(seed);
        let mut hasher = DefaultHasher::new();
        for _ in 0..1_000 {
            let (way, kind) = target(&mut rng);
            let mut bytes = value(&mut rng, way, kind).encode();
            generate::damage(&mut rng, &mut bytes, b"other");
            bytes.hash(&mut hasher);
        }
        hasher.finish()
    };
    assert_eq!(fingerprint(1), fingerprint(1));
    assert_ne!(fingerprint(1), fingerprint(2));
}

/// A count of two thousand million costs nothing, whatever it counts.
#[test]
fn huge_counts_are_refused_before_anything_is_allocated() {
    for op in [OpCode::GetChildren, OpCode::GetEphemerals, OpCode::GetAcl, OpCode::WhoAmI] {
        assert!(Response::decode(op, &i32::MAX.to_be_bytes()).is_err(), "{op}");
    }
    let mut body = vec![0; 8];
    body.extend(i32::MAX.to_be_bytes());
    assert!(Request::decode(OpCode::SetWatches, &body).is_err());
    assert!(Request::decode(OpCode::SetAcl, &body[4..]).is_err());
    assert!(Reader::new(&body[8..]).vector_len().is_err());
}

/// Runs the cases, each from a seed of its own, which a failure prints. Returns how many are true.
fn cases(name: &'static str, count: u64, case: impl Fn(&mut Rng) -> bool) -> u64 {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("WIRE_FUZZ_SEED").unwrap_or(20_261_123);
    let mut accepted = 0;
    for index in 0..count * number("WIRE_FUZZ_TIMES").unwrap_or(1) {
        let running = Running { name, seed, index };
        accepted += u64::from(case(&mut Rng(seed ^ index.wrapping_mul(0x2545_F491_4F6C_DD1D))));
        drop(running);
    }
    accepted
}

/// Says which case it was if that case panics.
struct Running {
    name: &'static str,
    seed: u64,
    index: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("WIRE_FUZZ_SEED={} fails in {} case {}", self.seed, self.name, self.index);
        }
    }
}

/// Decodes, and tells whether that was possible. What can be decoded must encode to something that
/// decodes to the same, and take no more memory than the bytes allow.
fn judge(name: &str, way: Way, kind: Kind, payload: &[u8]) -> bool {
    let Ok(value) = Value::decode(way, kind, payload) else { return false };
    let heap = heap_bytes(&value);
    assert!(heap <= 32 * payload.len() + 1024, "{name}: {heap} bytes for {payload:02x?}");
    let bytes = value.encode();
    // A replacement character takes three bytes in place of one.
    assert!(bytes.len() <= 3 * payload.len() + frame::PREFIX_LEN, "{name}: {payload:02x?}");
    let again = Value::decode(way, kind, &bytes[frame::PREFIX_LEN..]);
    assert_eq!(again, Ok(value), "{name}: {payload:02x?}");
    true
}

/// A way and kind to decode as, or to make a value of.
fn target(rng: &mut Rng) -> (Way, Kind) {
    let way = *rng.pick(&[Way::Request, Way::Reply]);
    if rng.one_in(12) {
        return (way, Kind::Connect);
    }
    if way == Way::Reply && rng.one_in(8) {
        return (way, Kind::Notification);
    }
    loop {
        let op = *rng.pick(OpCode::ALL);
        let is_internal = !op.is_client_request();
        if !is_internal || (way == Way::Request && op == OpCode::Check) {
            return (way, Kind::Op(Some(op)));
        }
    }
}

fn value(rng: &mut Rng, way: Way, kind: Kind) -> Value<'static> {
    match (way, kind) {
        (Way::Reply, Kind::Connect) => Value::ConnectResponse(generate::connect_response(rng)),
        (_, Kind::Connect) => Value::ConnectRequest(generate::connect_request(rng)),
        (_, Kind::Notification) => Value::Event(generate::reply_header(rng), generate::event(rng)),
        (Way::Reply, Kind::Op(Some(op))) => {
            Value::Reply(generate::reply_header(rng), generate::response(rng, op))
        }
        (_, Kind::Op(Some(op))) => {
            Value::Request(generate::request_header(rng, op), generate::request(rng, op))
        }
        (_, Kind::Op(None)) => panic!("nothing is made of an unknown operation"),
    }
}

/// Room that the vectors of a value take on the heap.
fn heap_bytes(value: &Value<'_>) -> usize {
    match value {
        Value::Request(_, request) => request_heap(request),
        Value::Reply(_, response) => match response {
            Response::Acl { acl, .. } => room(acl),
            Response::Children(children) | Response::ChildrenStat { children, .. } => {
                room(children)
            }
            Response::Identities(identities) => room(identities),
            Response::Multi(results) => {
                let children = results.iter().map(|result| match result {
                    MultiResult::GetChildren { children } => room(children),
                    _ => 0,
                });
                room(results) + children.sum::<usize>()
            }
            _ => 0,
        },
        _ => 0,
    }
}

fn request_heap(request: &Request<'_>) -> usize {
    match request {
        Request::Create(create) => room(&create.acl),
        Request::SetAcl { acl, .. } => room(acl),
        Request::Multi(ops) | Request::MultiRead(ops) => {
            room(ops) + ops.iter().map(request_heap).sum::<usize>()
        }
        Request::SetWatches(watches) => {
            let data = room(&watches.data) + room(&watches.exist) + room(&watches.child);
            data + room(&watches.persistent) + room(&watches.persistent_recursive)
        }
        _ => 0,
    }
}

fn room<T>(items: &Vec<T>) -> usize {
    items.capacity() * size_of::<T>()
}
