//! Servers that cannot be reached, or spoil the handshake.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tenure_client::{EstablishError, LinkFault, Liveness, LostReason, Session};

use super::fake::{Fake, Link, welcome};
use super::{not_established, within};

const LIMIT: Duration = Duration::from_millis(400);

/// One attempt takes this long at most, with a single server.
const TIMEOUT: Duration = Duration::from_millis(200);

async fn fault_of(script: impl FnMut(u64, &mut Link) + Send + 'static) -> Option<LinkFault> {
    let fake = Fake::start(script);
    not_established(Session::builder(&fake.hosts()).timeout(TIMEOUT), LIMIT).await
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let fault = fault_of(|_, link| link.ignore()).await.unwrap();
    assert!(matches!(fault, LinkFault::TimedOut { after } if after >= TIMEOUT), "{fault}");
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let builder = Session::builder(&addr.to_string()).timeout(TIMEOUT);
    let fault = not_established(builder, LIMIT).await.unwrap();
    let LinkFault::Connect { server, error } = &fault else { panic!("{fault}") };
    assert_eq!(*server, addr.to_string());
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let builder = Session::builder("no-such-host.invalid:2181").timeout(Duration::from_secs(10));
    let fault = not_established(builder, Duration::from_secs(2)).await.unwrap();
    let LinkFault::Resolve { host, .. } = &fault else { panic!("{fault}") };
    assert_eq!(host, "no-such-host.invalid");
}

#[tokio::test]
async fn a_server_that_hangs_up_at_every_byte_of_the_handshake() {
    let whole = welcome(1000);
    let fakes: Vec<Fake> = (0..whole.len())
        .map(|count| {
            let part = whole[..count].to_vec();
            Fake::start(move |_, link| {
                link.read();
                link.write(&part);
                link.end();
            })
        })
        .collect();
    let hosts: Vec<String> = fakes.iter().map(Fake::hosts).collect();
    let builder = Session::builder(&hosts.join(",")).timeout(Duration::from_secs(10));
    let fault = not_established(builder, Duration::from_millis(1000)).await.unwrap();
    assert!(matches!(fault, LinkFault::HungUp), "{fault}");
    for (bytes, fake) in fakes.iter().enumerate() {
        assert!(fake.accepted() > 0, "that of {bytes} bytes was not tried");
    }
}

#[tokio::test]
async fn a_server_that_speaks_another_protocol() {
    let mut truncated = welcome(1000);
    truncated.truncate(12);
    truncated[3] = 8;
    let cases: [(&str, Vec<u8>); 8] = [
        ("frame", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("negative", vec![0xff; 40]),
        ("empty", vec![0; 40]),
        ("frame", [&[0x15, 3, 3, 0][..], &[7; 40]].concat()),
        ("frame", [&[0x7f, 0xff, 0xff, 0xff][..], &[0; 40]].concat()),
        ("handshake", [&[0, 0, 0, 40][..], &[0xee; 40]].concat()),
        ("handshake", truncated),
        ("refuses", [&[0, 0, 0, 37][..], &[0; 16], &[0, 0, 0, 16], &[0; 17]].concat()),
    ];
    for (what, bytes) in cases {
        let told = bytes.clone();
        let fault = fault_of(move |_, link| {
            link.read();
            link.write(&told);
            link.ignore();
        })
        .await;
        let Some(LinkFault::Protocol(text)) = &fault else { panic!("{bytes:x?}: {fault:?}") };
        assert!(text.contains(what), "{bytes:x?}: {text}");
    }
}

#[tokio::test]
async fn a_server_that_spells_the_handshake() {
    let fake = Fake::start(|_, link| {
        link.read();
        for byte in welcome(5000) {
            link.write(&[byte]);
            std::thread::sleep(Duration::from_millis(1));
        }
        link.only_ping();
    });
    let session = within(Session::establish(&fake.hosts())).await.unwrap();
    assert_eq!(session.timeout(), Duration::from_secs(5));
    session.leave();
}

#[tokio::test]
async fn a_server_that_accepts_and_hangs_up_is_not_tried_in_a_busy_loop() {
    let fake = Fake::start(|_, _| {});
    let builder = Session::builder(&fake.hosts()).timeout(Duration::from_secs(4));
    not_established(builder, Duration::from_secs(1)).await.unwrap();
    let tries = fake.accepted();
    assert!((3..30).contains(&tries), "{tries} attempts in a second");
}

#[tokio::test]
async fn a_server_that_hangs_up_after_the_handshake_is_not_tried_in_a_busy_loop() {
    let fake = Fake::start(|_, link| {
        link.shake(4000);
    });
    let session = within(Session::establish(&fake.hosts())).await.unwrap();
    let request = session.get("/").timeout(Duration::from_secs(1));
    let error = within(request).await.unwrap_err();
    assert!(!error.may_have_happened(), "{error}");
    let tries = fake.accepted();
    assert!((3..60).contains(&tries), "{tries} attempts in a second");
    session.leave();
}

#[tokio::test]
async fn credentials_that_are_never_answered_are_an_error_in_time() {
    let fake = Fake::start(|_, link| {
        if link.shake(1000).is_some() {
            link.only_ping();
        }
    });
    let builder = Session::builder(&fake.hosts()).auth("digest", "ann:secret");
    not_established(builder, LIMIT).await;
}

#[tokio::test]
async fn a_hang_up_right_behind_an_answer_is_noticed_at_once() {
    for _ in 0..20 {
        let fake = Fake::start(|number, link| {
            if number == 0 && link.shake(30_000).is_some() {
                link.end();
            } else {
                link.ignore();
            }
        });
        let session = within(Session::establish(&fake.hosts())).await.unwrap();
        let since = Instant::now();
        let mut changes = session.changes();
        while !matches!(within(changes.next()).await.unwrap().liveness, Liveness::AtRisk { .. }) {}
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        session.leave();
    }
}

#[tokio::test]
async fn a_session_whose_link_broke_before_anybody_looked_is_established() {
    let fake = Fake::start(|number, link| {
        if number == 0 && link.shake(30_000).is_some() {
            link.end();
        } else {
            link.ignore();
        }
    });
    let session = Session::builder(&fake.hosts()).start().unwrap();
    let mut changes = session.changes();
    while !matches!(within(changes.next()).await.unwrap().liveness, Liveness::AtRisk { .. }) {}
    within(session.established()).await.unwrap();
    session.leave();
}

#[tokio::test]
async fn a_server_that_does_not_welcome_anybody_again() {
    let fake = Fake::start(|number, link| {
        if number == 0 {
            link.shake(600);
        } else {
            link.ignore();
        }
    });
    let session = within(Session::establish(&fake.hosts())).await.unwrap();
    let until = session.valid_until().unwrap();
    let reason = within(session.lost()).await;
    let LostReason::DeadlinePassed { cause: Some(LinkFault::TimedOut { .. }), .. } = reason else {
        panic!("{reason}")
    };
    assert_eq!(until.remaining(), Duration::ZERO);
}

#[tokio::test]
async fn a_server_that_gives_another_session_instead() {
    let fake = Fake::start(|number, link| {
        if number == 0 {
            link.shake(5000);
            return;
        }
        link.read();
        let mut other = welcome(5000);
        // The last byte of the session's id.
        other[4 + 4 + 4 + 7] ^= 1;
        link.write(&other);
        link.ignore();
    });
    let session = within(Session::establish(&fake.hosts())).await.unwrap();
    let reason = within(session.lost()).await;
    assert!(matches!(reason, LostReason::Expired { account: None }), "{reason}");
}

#[tokio::test]
async fn timeouts_that_make_no_sense_are_borne() {
    for timeout_ms in [1, 3, i32::MAX] {
        let fake = Fake::start(move |_, link| {
            if link.shake(timeout_ms).is_some() {
                link.only_ping();
            }
        });
        let builder = Session::builder(&fake.hosts()).establish_timeout(LIMIT);
        match within(builder.establish()).await {
            Ok(session) => {
                let until = session.valid_until();
                assert!(until.is_some() || session.liveness().is_lost());
                session.leave();
            }
            Err(EstablishError::Lost(_)) => assert!(timeout_ms < 10),
            Err(error) => panic!("{error}"),
        }
    }
}
