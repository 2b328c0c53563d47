//! Servers that establish a session and then spoil their replies.

use std::time::Duration;

use tenure_client::{
    Error, ErrorCode, EventKind, Interruption, LinkFault, OpCode, Session, WatchMode,
};
use tenure_wire::{NOTIFICATION_XID, PING_XID, RequestHeader, Xid};

use super::fake::{Fake, Link, reply};
use super::within;

/// A session at a server that answers its first request by the script, and none on later links.
async fn session_at(
    mut script: impl FnMut(RequestHeader, &mut Link) + Send + 'static,
) -> (Fake, Session) {
    let fake = Fake::start(move |number, link| {
        if link.shake(2000).is_none() {
            return;
        }
        match link.request() {
            Some(request) if number == 0 => {
                script(request, link);
                link.only_ping();
            }
            _ => link.only_ping(),
        }
    });
    let builder = Session::builder(&fake.hosts()).request_timeout(Duration::from_secs(10));
    let session = within(builder.max_reply_bytes(10_000).establish()).await.unwrap();
    (fake, session)
}

/// What a write's outcome is when its reply is this.
async fn outcome(answer: impl Fn(Xid) -> Vec<u8> + Send + 'static) -> Result<(), Error> {
    let (_fake, session) = session_at(move |request, link| link.write(&answer(request.xid))).await;
    let outcome = within(session.set("/n", "")).await.map(|_| ());
    session.leave();
    outcome
}

#[tokio::test]
async fn replies_that_break_the_protocol_end_the_link_and_say_why() {
    type Answer = fn(Xid) -> Vec<u8>;
    let cases: [(&str, Answer); 9] = [
        ("xid 77", |_| reply(Xid(77), 0, &[])),
        ("xid 2", |xid| reply(Xid(xid.0 + 1), 0, &[])),
        ("negative", |_| vec![0xff; 20]),
        ("empty", |_| vec![0; 20]),
        ("frame", |_| [&[0x7f; 4][..], &[0; 20]].concat()),
        ("10000", |_| [&[0, 1, 0, 0][..], &[0; 20]].concat()),
        ("ping", |_| reply(PING_XID, 0, &[])),
        ("credentials", |_| reply(Xid(-4), 0, &[])),
        ("", |_| reply(NOTIFICATION_XID, 0, &[0, 0, 0, 1, 0])),
    ];
    for (what, answer) in cases {
        let error = outcome(answer).await.unwrap_err();
        assert!(error.may_have_happened(), "{what}: {error}");
        let Error::Unknown {
            op: OpCode::SetData,
            path,
            cause: Interruption::Link(LinkFault::Protocol(text)),
        } = &error
        else {
            panic!("{what}: {error}")
        };
        assert!(path == "/n" && text.contains(what), "{what}: {text}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_fails_its_request_alone() {
    let (fake, session) = session_at(|request, link| {
        link.write(&reply(request.xid, 0, &[1, 2, 3]));
        let next = link.request().unwrap();
        link.write(&reply(next.xid, ErrorCode::NoNode.code(), &[]));
    })
    .await;
    let error = within(session.set("/n", "")).await.unwrap_err();
    assert!(matches!(&error, Error::Garbled { op: OpCode::SetData, path, .. } if path == "/n"));
    assert!(error.may_have_happened());
    assert_eq!(within(session.exists("/n")).await.unwrap(), None);
    assert_eq!(fake.accepted(), 1);
    session.leave();
}

#[tokio::test]
async fn lengths_inside_a_body_are_not_believed() {
    for length in [i32::MAX, -2, 1_000_000] {
        let (_fake, session) = session_at(move |request, link| {
            link.write(&reply(request.xid, 0, &length.to_be_bytes()));
        })
        .await;
        let error = within(session.children("/n")).await.unwrap_err();
        assert!(matches!(error, Error::Garbled { .. }), "{length}: {error}");
        session.leave();
    }
}

#[tokio::test]
async fn a_code_that_is_not_known_is_a_refusal() {
    let error = outcome(|xid| reply(xid, -4242, &[])).await.unwrap_err();
    let (op, path) = (OpCode::SetData, "/n".to_owned());
    assert_eq!(error, Error::UnknownCode { code: -4242, op, path });
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn a_session_said_to_be_expired_in_a_reply_is_lost() {
    let (_fake, session) = session_at(|request, link| {
        link.write(&reply(request.xid, ErrorCode::SessionExpired.code(), &[]));
    })
    .await;
    let error = within(session.set("/n", "")).await.unwrap_err();
    assert!(error.is(ErrorCode::SessionExpired), "{error}");
    assert!(session.liveness().is_lost(), "told no later than the outcome");
    assert!(!session.is_valid());
}

#[tokio::test]
async fn a_link_cut_at_every_byte_of_a_reply() {
    let mut sent = 0;
    let fake = Fake::start(move |_, link| {
        if link.shake(2000).is_none() {
            return;
        }
        while let Some(request) = link.request() {
            let whole = reply(request.xid, ErrorCode::NoNode.code(), &[]);
            let part = whole.len().min(sent);
            link.write(&whole[..part]);
            if part < whole.len() {
                sent += 1;
                return link.end();
            }
        }
    });
    let session = within(Session::establish(&fake.hosts())).await.unwrap();
    assert_eq!(within(session.exists("/n")).await.unwrap(), None);
    assert_eq!(fake.accepted(), 21, "as many as the reply has bytes, and one");
    session.leave();
}

#[tokio::test]
async fn replies_in_small_pieces_and_all_at_once() {
    let fake = Fake::start(|_, link| {
        if link.shake(5000).is_none() {
            return;
        }
        let mut whole = Vec::new();
        for _ in 0..3 {
            let Some(request) = link.request() else { return };
            whole.extend(reply(request.xid, ErrorCode::NoNode.code(), &[]));
        }
        for piece in whole.chunks(7) {
            link.write(piece);
            std::thread::sleep(Duration::from_millis(1));
        }
        link.only_ping();
    });
    let session = within(Session::establish(&fake.hosts())).await.unwrap();
    let replies: Vec<_> = (0..3).map(|_| session.exists("/n").send()).collect();
    for reply in replies {
        assert_eq!(within(reply).await.unwrap(), None);
    }
    session.leave();
}

#[tokio::test]
async fn a_server_that_is_too_slow_for_one_is_fast_enough_for_the_next() {
    let (fake, session) = session_at(|request, link| {
        std::thread::sleep(Duration::from_millis(300));
        link.write(&reply(request.xid, ErrorCode::NoNode.code(), &[]));
        let next = link.request().unwrap();
        link.write(&reply(next.xid, ErrorCode::NoAuth.code(), &[]));
    })
    .await;
    let slow = session.exists("/slow").timeout(Duration::from_millis(100)).send();
    let next = session.exists("/next").send();
    let error = within(slow).await.unwrap_err();
    assert!(matches!(error, Error::NotDone { cause: Interruption::TimedOut, .. }), "{error}");
    assert!(within(next).await.unwrap_err().is(ErrorCode::NoAuth), "each gets its own reply");
    assert_eq!(fake.accepted(), 1);
    session.leave();
}

#[tokio::test]
async fn notifications_that_nobody_asked_for_are_ignored() {
    let event = |kind: i32, path: &str| {
        let mut body = kind.to_be_bytes().to_vec();
        body.extend(3_i32.to_be_bytes());
        body.extend((path.len() as i32).to_be_bytes());
        body.extend(path.as_bytes());
        reply(NOTIFICATION_XID, 0, &body)
    };
    let (fake, session) = session_at(move |request, link| {
        link.write(&reply(request.xid, 0, &[]));
        for (kind, path) in [(3, "/other"), (2, ""), (5, "/w"), (-1, "/w"), (3, "no-path")] {
            link.write(&event(kind, path));
        }
        link.write(&event(3, "/w"));
    })
    .await;
    let mut watch = within(session.watch("/w", WatchMode::Persistent)).await.unwrap();
    let first = within(watch.next()).await.unwrap();
    assert_eq!((first.kind, first.path.as_str()), (EventKind::DataChanged, "/w"));
    assert_eq!(fake.accepted(), 1);
    session.leave();
}
