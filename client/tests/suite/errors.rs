//! What a server refuses, as exact errors.

use tenure_client::{Acl, CreateMode, Error, ErrorCode, OpCode, Perms, WatchKind};

use super::support::{Scene, within};

#[tokio::test]
async fn each_refusal_names_code_operation_and_path() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/a", "").await.unwrap();
    session.create("/a/b", "").await.unwrap();
    session.create("/e", "").ephemeral().await.unwrap();
    let closed = [Acl { perms: Perms::ADMIN, scheme: "world".into(), id: "anyone".into() }];
    session.create("/closed", "").acl(&closed).await.unwrap();
    session.create("/closed2", "").await.unwrap();
    session.create("/closed2/x", "").await.unwrap();
    session.set_acl("/closed2", &closed).await.unwrap();
    let unknown = [Acl { perms: Perms::ALL, scheme: "no-such-scheme".into(), id: "x".into() }];
    let auth = [Acl { perms: Perms::ALL, scheme: "auth".into(), id: "".into() }];

    let (no_node, no_auth) = (ErrorCode::NoNode, ErrorCode::NoAuth);
    let cases: [(Option<Error>, ErrorCode, OpCode, &str); 22] = [
        (session.get("/none").await.err(), no_node, OpCode::GetData, "/none"),
        (session.set("/none", "").await.err(), no_node, OpCode::SetData, "/none"),
        (session.delete("/none").await.err(), no_node, OpCode::Delete, "/none"),
        (session.children("/none").await.err(), no_node, OpCode::GetChildren2, "/none"),
        (session.acl("/none").await.err(), no_node, OpCode::GetAcl, "/none"),
        (session.set_acl("/none", &[Acl::OPEN]).await.err(), no_node, OpCode::SetAcl, "/none"),
        (session.create("/none/x", "").await.err(), no_node, OpCode::Create2, "/none/x"),
        (session.get("/none").watch().await.err(), no_node, OpCode::GetData, "/none"),
        (session.children("/none").watch().await.err(), no_node, OpCode::GetChildren2, "/none"),
        (
            session.count_descendants("/none").await.err(),
            no_node,
            OpCode::GetAllChildrenNumber,
            "/none",
        ),
        (session.create("/a", "").await.err(), ErrorCode::NodeExists, OpCode::Create2, "/a"),
        (session.delete("/a").await.err(), ErrorCode::NotEmpty, OpCode::Delete, "/a"),
        (
            session.delete("/a/b").version(7).await.err(),
            ErrorCode::BadVersion,
            OpCode::Delete,
            "/a/b",
        ),
        (
            session.create("/e/x", "").await.err(),
            ErrorCode::NoChildrenForEphemerals,
            OpCode::Create2,
            "/e/x",
        ),
        (session.get("/closed").await.err(), no_auth, OpCode::GetData, "/closed"),
        (session.children("/closed").await.err(), no_auth, OpCode::GetChildren2, "/closed"),
        (session.set("/closed", "").await.err(), no_auth, OpCode::SetData, "/closed"),
        (session.create("/closed/x", "").await.err(), no_auth, OpCode::Create2, "/closed/x"),
        (session.delete("/closed2/x").await.err(), no_auth, OpCode::Delete, "/closed2/x"),
        (
            session.create("/i", "").acl(&unknown).await.err(),
            ErrorCode::InvalidAcl,
            OpCode::Create2,
            "/i",
        ),
        (session.set_acl("/a", &[]).await.err(), ErrorCode::InvalidAcl, OpCode::SetAcl, "/a"),
        (
            session.create("/i", "").acl(&auth).await.err(),
            ErrorCode::InvalidAcl,
            OpCode::Create2,
            "/i",
        ),
    ];
    for (error, code, op, path) in cases {
        let wanted = Error::Refused { code, op, path: path.to_owned() };
        assert_eq!(error.as_ref(), Some(&wanted));
        assert!(!wanted.may_have_happened() && wanted.lost().is_none() && wanted.is(code));
        let text = wanted.to_string();
        assert!(text.contains(path) && text.contains(op.name()), "{text}");
    }
}

#[tokio::test]
async fn other_modes_are_refused_by_their_own_operations() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let cases = [
        (CreateMode::Container, OpCode::CreateContainer),
        (CreateMode::PersistentTtl, OpCode::CreateTtl),
    ];
    for (mode, op) in cases {
        let create = session.create("/none/x", "");
        let create = match mode.is_ttl() {
            true => create.ttl(std::time::Duration::from_secs(60)),
            false => create.mode(mode),
        };
        let error = create.await.unwrap_err();
        let (code, path) = (ErrorCode::NoNode, "/none/x".to_owned());
        assert_eq!(error, Error::Refused { code, op, path });
    }
}

#[tokio::test]
async fn watches_that_are_not_there_cannot_be_removed() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    for kind in [None, Some(WatchKind::Data), Some(WatchKind::Children), Some(WatchKind::Recursive)]
    {
        let error = within(session.remove_watches("/", kind)).await.unwrap_err();
        assert!(error.is(ErrorCode::NoWatcher), "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn the_root_and_what_is_the_servers_own_cannot_be_deleted() {
    let scene = Scene::new().await;
    let hosts = scene.server.to_string();
    let session = within(tenure_client::Session::establish(&hosts)).await.unwrap();
    let error = session.delete("/").await.unwrap_err();
    assert!(error.is(ErrorCode::BadArguments), "{error}");
    assert!(session.create("/", "").await.unwrap_err().is(ErrorCode::NodeExists));
}
