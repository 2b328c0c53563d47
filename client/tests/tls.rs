//! Links over TLS: sessions, identities, and servers or clients that nobody vouches for.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::time::{Duration, SystemTime};

use tenure_certs::{Authority, Validity};
use tenure_client::{
    Acl, ErrorCode, EstablishError, LostReason, Perms, Session, SessionBuilder, State, Tls,
    TlsError, WatchMode,
};
use tenure_testing::{Proxy, TestServer};

const PATIENCE: Duration = Duration::from_secs(30);
/// How long what cannot succeed is tried.
const SOON: Duration = Duration::from_millis(500);

/// A server that takes TLS, and who vouches for it and its clients.
struct Scene {
    server: TestServer,
    authority: Authority,
}

fn valid() -> Validity {
    Validity::days(SystemTime::now(), 10)
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new("everybody", valid()).unwrap();
        let issued = authority.server(&["127.0.0.1"], valid()).unwrap();
        let builder = TestServer::builder().tls(&issued.key_store(), authority.certificate());
        let builder = builder.configure(|config| {
            config.auth.x509_super_user = Some("CN=root".to_owned());
        });
        Scene { server: builder.start().unwrap(), authority }
    }

    fn tls(&self, name: &str) -> Tls {
        let issued = self.authority.client(name, valid()).unwrap();
        self.nobody().identity(issued.key_store()).unwrap()
    }

    /// Trusts the server, and has nothing to show.
    fn nobody(&self) -> Tls {
        Tls::trusting(self.authority.certificate()).unwrap()
    }

    fn builder(&self, tls: Tls) -> SessionBuilder {
        Session::builder(&self.server.hosts()).establish_timeout(PATIENCE).tls(tls)
    }

    async fn session(&self, name: &str) -> Session {
        self.builder(self.tls(name)).establish().await.unwrap()
    }

    /// Why there is no session this way.
    async fn refusal(&self, tls: Tls) -> String {
        refusal(self.builder(tls)).await
    }
}

async fn refusal(builder: SessionBuilder) -> String {
    match builder.establish_timeout(SOON).establish().await {
        Err(EstablishError::Lost(reason @ LostReason::NotEstablished { .. })) => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whatever_is_said_arrives_whole_and_in_order() {
    let scene = Scene::new();
    let session = scene.session("alice").await;
    let mut watch = session.watch("/", WatchMode::Recursive).await.unwrap();
    let data: Vec<u8> = (0..900_000_u32).map(|i| (i / 7) as u8).collect();
    session.create("/large", &data).await.unwrap();
    // Far more than buffers of sockets hold, in both directions at once.
    let reads: Vec<_> = (0..20).map(|_| session.get("/large").send()).collect();
    let writes: Vec<_> = (0..20).map(|_| session.set("/large", &data).send()).collect();
    for read in reads {
        assert!(read.await.unwrap().data == data);
    }
    for (n, write) in writes.into_iter().enumerate() {
        assert_eq!(write.await.unwrap().version, n as i32 + 1);
    }
    let small: Vec<_> = (0..5000).map(|n| session.create(&format!("/n{n}"), "").send()).collect();
    for created in small {
        created.await.unwrap();
    }
    for _ in 0..1 + 20 + 5000 {
        watch.next().await.unwrap();
    }
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_session_outlives_its_links_and_its_server() {
    let scene = Scene::new();
    let network = Proxy::start(scene.server.addr()).unwrap();
    let builder = Session::builder(&network.hosts()).establish_timeout(PATIENCE);
    let session = builder.tls(scene.tls("alice")).establish().await.unwrap();
    session.create("/mine", "").ephemeral().await.unwrap();
    for round in 0..5 {
        network.cut();
        session.create(&format!("/{round}"), "").await.ok();
        session.sync("/").await.ok();
    }
    scene.server.restart().unwrap();
    // What was under way when the link broke may have failed; what follows does not.
    let found = loop {
        match session.exists("/mine").await {
            Ok(found) => break found,
            Err(error) => assert!(!session.state().is_final(), "{error}"),
        }
    };
    assert_eq!(found.unwrap().ephemeral_owner, session.id().0);
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_client_is_whom_its_certificate_is_for() {
    let scene = Scene::new();
    let (alice, bob) = (scene.session("alice").await, scene.session("bob, of \"them\"").await);
    let who = alice.who_am_i().await.unwrap();
    let who: Vec<_> = who.iter().map(|who| (who.scheme.as_str(), who.user.as_str())).collect();
    assert_eq!(who, [("ip", "127.0.0.1"), ("x509", "CN=alice")]);
    let who = bob.who_am_i().await.unwrap();
    assert_eq!(who[1].user, r#"CN=bob\, of \"them\""#);
    let of =
        |id: &str| vec![Acl { perms: Perms::ALL, scheme: "x509".into(), id: id.to_owned().into() }];
    alice.create("/alices", "a").acl(&of("CN=alice")).await.unwrap();
    let own = vec![Acl { perms: Perms::ALL, scheme: "auth".into(), id: "".into() }];
    bob.create("/bobs", "b").acl(&own).await.unwrap();
    assert_eq!(alice.get("/alices").await.unwrap().data, b"a"[..]);
    assert_eq!(bob.get("/bobs").await.unwrap().data, b"b"[..]);
    for (session, path) in [(&alice, "/bobs"), (&bob, "/alices")] {
        let error = session.get(path).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::NoAuth), "{path}");
    }
    let unknown = alice.create("/x", "").acl(&of("alice")).await.unwrap_err();
    assert_eq!(unknown.code(), Some(ErrorCode::InvalidAcl));
    // The super user may do everything, whatever the lists say.
    let root = scene.session("root").await;
    for path in ["/alices", "/bobs"] {
        root.get(path).await.unwrap();
    }
    // A client without TLS is nobody, and its sessions are as good.
    let plain = Session::establish(&scene.server.hosts()).await.unwrap();
    assert_eq!(plain.get("/alices").await.unwrap_err().code(), Some(ErrorCode::NoAuth));
    for session in [alice, bob, root, plain] {
        session.close().await.unwrap();
    }
}

#[tokio::test]
async fn ends_that_nobody_vouches_for_get_no_session_and_are_told_why() {
    let scene = Scene::new();
    let others = Authority::new("others", valid()).unwrap();
    let (foreign, past) = (others.client("alice", valid()).unwrap(), SystemTime::UNIX_EPOCH);
    let expired = scene.authority.client("alice", Validity::days(past, 10)).unwrap();
    for (tls, why) in [
        (scene.nobody(), "CertificateRequired"),
        (scene.nobody().identity(foreign.key_store()).unwrap(), "UnknownCA"),
        (scene.nobody().identity(expired.key_store()).unwrap(), "CertificateExpired"),
        (Tls::trusting(others.certificate()).unwrap(), "UnknownIssuer"),
        (scene.tls("alice").server_name("zk.example").unwrap(), "not valid for name"),
    ] {
        let told = scene.refusal(tls).await;
        assert!(told.contains(why), "{told} is not {why}");
    }
    let plain = TestServer::start().unwrap();
    let builder = Session::builder(&plain.hosts()).tls(scene.tls("alice"));
    let told = refusal(builder).await;
    assert!(told.contains("does this port take TLS?"), "{told}");
    let session = scene.session("alice").await;
    assert_eq!(session.state(), State::Connected);
    session.close().await.unwrap();
}

#[test]
fn keys_and_certificates_that_are_none_are_named() {
    let authority = Authority::new("somebody", valid()).unwrap();
    let (alice, bob) = (authority.client("a", valid()).unwrap(), authority.client("b", valid()));
    let trusting = || Tls::trusting(authority.certificate()).unwrap();
    let missing = |what| Some(TlsError::Missing(what));
    assert_eq!(Tls::trusting("").err(), missing("authority's certificate"));
    assert_eq!(trusting().identity(&alice.certificate).err(), missing("client's private key"));
    assert_eq!(trusting().identity(&alice.key).err(), missing("client's certificate"));
    let mixed = format!("{}{}", alice.key, bob.unwrap().certificate);
    assert!(matches!(trusting().identity(mixed), Err(TlsError::Refused { .. })));
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    assert!(matches!(Tls::trusting(broken), Err(TlsError::Pem { .. })));
    let named = trusting().server_name("no name");
    assert!(matches!(named, Err(TlsError::Name(name)) if name == "no name"));
}
