//! Frames captured from a real server decode, mean what they should, and encode to the same bytes.
#![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod frames;

use std::borrow::Cow;
use std::collections::BTreeSet;

use frames::{Frame, Kind, Value, Way, load};
use tenure_wire::{
    Acl, ConnectRequest, ConnectResponse, CreateMode, DEFAULT_MAX_FRAME, ErrorCode, EventType,
    Identity, MultiResult, OpCode, Request, Response, SYNC_CONNECTED, SessionId, Xid, Zxid,
    derived_password, frame,
};

#[test]
fn every_frame_encodes_to_the_bytes_it_was_decoded_from() {
    let frames = load();
    assert!(frames.len() > 150, "only {} golden frames", frames.len());
    for Frame { name, way, kind, bytes } in &frames {
        let whole = frame::split(bytes, DEFAULT_MAX_FRAME);
        assert_eq!(whole, Ok(Some(frame::PREFIX_LEN..bytes.len())), "{name}");
        let value = Value::decode(*way, *kind, &bytes[frame::PREFIX_LEN..]);
        if *way == Way::BadRequest {
            assert!(value.is_err(), "{name} decodes to {value:?}");
        } else {
            let value = value.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(value.encode(), *bytes, "{name} is {value:?}");
        }
    }
}

/// A frame with a byte more decodes to the same, a frame with a byte less to an error, or to the
/// same without its optional last byte.
#[test]
fn every_frame_must_be_whole() {
    for Frame { name, way, kind, bytes } in load() {
        let payload = &bytes[frame::PREFIX_LEN..];
        let Ok(value) = Value::decode(way, kind, payload) else { continue };
        let optional = kind == Kind::Connect && [37, 45, 29].contains(&payload.len());
        let is_shorter_one = |cut: usize| optional && cut == payload.len() - 1;
        for cut in (0..payload.len()).filter(|&cut| !is_shorter_one(cut)) {
            let short = Value::decode(way, kind, &payload[..cut]);
            assert!(short.is_err(), "{name} cut to {cut} bytes decodes to {short:?}");
        }
        if kind != Kind::Connect {
            let long = [payload, &[0]].concat();
            assert_eq!(Value::decode(way, kind, &long), Ok(value), "{name}");
        }
    }
}

#[test]
fn every_operation_is_covered_both_ways() {
    let frames = load();
    for way in [Way::Request, Way::Reply] {
        let seen = frames.iter().filter(|frame| frame.way == way);
        let seen: BTreeSet<OpCode> = seen
            .filter_map(|frame| match frame.kind {
                Kind::Op(op) => op,
                _ => None,
            })
            .collect();
        let internal = [OpCode::Notification, OpCode::CreateSession, OpCode::Error];
        let missing: Vec<_> =
            OpCode::ALL.iter().filter(|op| !seen.contains(op) && !internal.contains(op)).collect();
        assert!(missing.is_empty(), "{way:?}: {missing:?}");
    }
}

#[test]
fn handshakes_mean_what_they_should() {
    let frames = load();
    let new = find(&frames, "handshake/new", Way::Request);
    let request = ConnectRequest {
        timeout_ms: 10_000,
        password: Some(&[0; 16]),
        read_only: Some(false),
        ..ConnectRequest::default()
    };
    assert_eq!(new, Value::ConnectRequest(request.clone()));
    let old = ConnectRequest { read_only: None, ..request };
    assert_eq!(find(&frames, "handshake/new-old", Way::Request), Value::ConnectRequest(old));

    let Value::ConnectResponse(granted) = find(&frames, "handshake/new", Way::Reply) else {
        panic!("not a handshake");
    };
    assert_eq!((granted.protocol_version, granted.timeout_ms), (0, 10_000));
    assert_eq!((granted.session == SessionId(0), granted.read_only), (false, Some(false)));
    let resumed = find(&frames, "handshake/resume", Way::Reply);
    assert_eq!(resumed, Value::ConnectResponse(granted));
    for (name, read_only) in [("password", Some(false)), ("unknown", Some(false)), ("old", None)] {
        let answer = find(&frames, &format!("handshake/refused-{name}"), Way::Reply);
        assert_eq!(answer, Value::ConnectResponse(ConnectResponse::refused(read_only)));
    }
}

/// Every password a real server gave out is the one derived from its session id.
#[test]
fn passwords_are_derived_as_the_server_does() {
    let frames = load();
    let mut checked = 0;
    for frame in frames.iter().filter(|frame| frame.way == Way::Reply) {
        if let Ok(Value::ConnectResponse(granted)) =
            Value::decode(frame.way, frame.kind, frame.payload())
            && granted.session != SessionId(0)
        {
            assert_eq!(derived_password(granted.session), granted.password, "{}", frame.name);
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} passwords");
}

#[test]
fn reads_and_writes_mean_what_they_should() {
    let frames = load();
    let Value::Request(header, Request::Create(create)) =
        find(&frames, "create/ephemeral-sequential", Way::Request)
    else {
        panic!("not a create");
    };
    assert_eq!((header.xid, header.op), (Xid(8), 1));
    assert_eq!((&*create.path, create.data), ("/c/ephemeral-sequential-", Some(&b"data"[..])));
    assert_eq!((create.acl, create.ttl_ms), (vec![Acl::OPEN], None));
    assert_eq!(CreateMode::from_flags(create.flags), Some(CreateMode::EphemeralSequential));

    let Value::Reply(header, Response::PathStat { path, stat }) =
        find(&frames, "create/ephemeral-2", Way::Reply)
    else {
        panic!("not a path with stat");
    };
    assert_eq!((&*path, stat.czxid, stat.pzxid), ("/c/ephemeral-2-", header.zxid, header.zxid));
    assert_eq!((stat.ephemeral_owner == 0, stat.data_length, stat.version), (false, 4, 0));

    let Value::Reply(_, Response::Data { data, .. }) = find(&frames, "read/data-null", Way::Reply)
    else {
        panic!("not data");
    };
    assert_eq!(data, None);
    let Value::Reply(_, Response::ChildrenStat { children, stat }) =
        find(&frames, "read/children2", Way::Reply)
    else {
        panic!("not children with stat");
    };
    assert_eq!(children.len(), stat.num_children as usize);
    assert!(children.iter().any(|child| child == "mine"));
    let Value::Reply(_, Response::Acl { acl, .. }) = find(&frames, "read/acl-open", Way::Reply)
    else {
        panic!("not a list");
    };
    assert_eq!(acl, [Acl::OPEN]);
    let Value::Error(header) = find(&frames, "read/data-closed", Way::Reply) else {
        panic!("not an error");
    };
    assert_eq!(ErrorCode::from_code(header.err), Some(ErrorCode::NoAuth));
    let Value::Error(header) = find(&frames, "write/unknown", Way::Reply) else {
        panic!("not an error");
    };
    assert_eq!((header.err, header.zxid), (ErrorCode::Unimplemented.code(), Zxid(-1)));
    let Value::Reply(_, Response::Identities(identities)) =
        find(&frames, "session/who-am-i-now", Way::Reply)
    else {
        panic!("not identities");
    };
    assert_eq!(identities[0], Identity { scheme: "digest".into(), user: "tom".into() });
}

/// What is borrowed was not copied: the requests and replies of the hot path allocate nothing.
#[test]
fn hot_operations_borrow_from_the_frame() {
    let frames = load();
    let mut seen = 0;
    for frame in frames.iter().filter(|frame| frame.way != Way::BadRequest) {
        match Value::decode(frame.way, frame.kind, frame.payload()).unwrap() {
            Value::Request(_, request) => {
                let (Request::GetData { path, .. }
                | Request::SetData { path, .. }
                | Request::Exists { path, .. }
                | Request::GetChildren { path, .. }
                | Request::Delete { path, .. }) = request
                else {
                    continue;
                };
                assert!(matches!(path, Cow::Borrowed(_)), "{}", frame.name);
            }
            Value::Event(_, event) => {
                assert!(matches!(event.path, Cow::Borrowed(_)), "{}", frame.name);
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen > 40, "only {seen} hot frames");
}

#[test]
fn multis_mean_what_they_should() {
    let frames = load();
    let Value::Reply(_, Response::Multi(results)) = find(&frames, "multi/all", Way::Reply) else {
        panic!("not results");
    };
    let [
        MultiResult::Create { path },
        MultiResult::Create2 { path: sequential, .. },
        MultiResult::Create2 { .. },
        MultiResult::Create2 { .. },
        MultiResult::SetData { stat },
        MultiResult::Check,
        MultiResult::Delete,
    ] = &results[..]
    else {
        panic!("{results:?}");
    };
    assert_eq!((&**path, &**sequential, stat.version), ("/m", "/m/two-0000000000", 1));

    let Value::Reply(_, Response::Multi(results)) = find(&frames, "multi/failing", Way::Reply)
    else {
        panic!("not results");
    };
    let codes = [
        ErrorCode::Ok,
        ErrorCode::NoNode,
        ErrorCode::RuntimeInconsistency,
        ErrorCode::RuntimeInconsistency,
    ];
    assert_eq!(results, codes.map(|code| MultiResult::Error(code.code())));
    let Value::Request(_, Request::MultiRead(reads)) = find(&frames, "multi/reads", Way::Request)
    else {
        panic!("not reads");
    };
    let watch = false;
    assert_eq!(reads[1], Request::GetChildren { path: "/m".into(), watch });
}

#[test]
fn notifications_mean_what_they_should() {
    let frames = load();
    let event = |name: &str, nth: usize| {
        let all = frames.iter().filter(|frame| frame.name == name);
        let frame = all.filter(|frame| frame.kind == Kind::Notification).nth(nth).unwrap();
        let Ok(Value::Event(header, event)) = Value::decode(frame.way, frame.kind, frame.payload())
        else {
            panic!("{name} is no notification");
        };
        assert_eq!((header.xid, header.err, event.state), (Xid(-1), 0, SYNC_CONNECTED));
        (event.kind, event.path.into_owned(), header.zxid)
    };
    let (kind, path, zxid) = event("watch/create", 0);
    assert_eq!((kind, &*path), (EventType::NodeCreated, "/n/a"));
    assert_eq!(event("watch/create", 1), (EventType::NodeChildrenChanged, "/n".into(), zxid));
    assert_eq!(event("watch/set", 0).0, EventType::NodeDataChanged);
    assert_eq!(event("watch/delete", 0).0, EventType::NodeDeleted);
    assert_eq!(event("watch/again", 1), (EventType::NodeDeleted, "/n/gone".into(), Zxid(-1)));
}

fn find<'a>(frames: &'a [Frame], name: &str, way: Way) -> Value<'a> {
    let mut matching = frames
        .iter()
        .filter(|frame| frame.name == name && frame.way == way && frame.kind != Kind::Notification);
    let frame = matching.next().unwrap_or_else(|| panic!("no frame {name}"));
    Value::decode(frame.way, frame.kind, frame.payload()).unwrap()
}
