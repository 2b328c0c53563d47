//! Sessions that see a part of the tree as the whole.

use tenure_client::{CreateMode, EventKind, Outcome, ReadOutcome, Session, WatchMode};

use super::support::{Scene, within};

#[tokio::test]
async fn paths_are_below_it_in_requests_replies_and_events() {
    let scene = Scene::new().await;
    let whole = within(Session::establish(&scene.server.to_string())).await.unwrap();
    let inner = scene.session().await;
    assert_eq!(inner.chroot(), scene.root);
    let at = |path: &str| format!("{}{path}", scene.root);

    let mut below = inner.watch("/", WatchMode::Recursive).await.unwrap();
    let mut outside = whole.watch(&scene.root, WatchMode::Recursive).await.unwrap();
    let created = inner.create("/n-", "x").ephemeral().sequential().await.unwrap();
    assert_eq!(created.path, "/n-0000000000");
    let full = at(&created.path);
    assert_eq!(&whole.get(&full).await.unwrap().data[..], b"x");
    let (seen, told) = (within(below.next()).await.unwrap(), within(outside.next()).await.unwrap());
    assert_eq!((seen.kind, seen.path.as_str()), (EventKind::Created, created.path.as_str()));
    assert_eq!((told.kind, told.path.as_str()), (EventKind::Created, full.as_str()));
    assert_eq!(inner.ephemerals("/").await.unwrap(), [created.path.as_str()]);
    assert_eq!(inner.ephemerals("/n-").await.unwrap(), [created.path.as_str()]);

    let (_, root_changed) = inner.get("/").watch().await.unwrap();
    whole.set(&scene.root, "new").await.unwrap();
    assert_eq!(within(root_changed).await.unwrap().path, "/");
    assert_eq!(within(below.next()).await.unwrap().path, "/");
}

#[tokio::test]
async fn transactions_and_multi_reads_too() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let outcomes = session
        .transaction()
        .create("/a", "1", CreateMode::Persistent)
        .create("/a/s-", "", CreateMode::PersistentSequential)
        .commit()
        .await
        .unwrap();
    let paths: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Created { path, .. } => path.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, ["/a", "/a/s-0000000000"]);
    let reads = session.read_many().get("/a").children("/").commit().await.unwrap();
    assert!(matches!(&reads[0], Ok(ReadOutcome::Node(node)) if &node.data[..] == b"1"));
    assert_eq!(reads[1], Ok(ReadOutcome::Children(vec!["a".to_owned()])));
}

#[tokio::test]
async fn a_neighbour_whose_name_begins_alike_is_not_below_it() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/app", "").await.unwrap();
    session.create("/apple", "").ephemeral().await.unwrap();
    let app = session.with_chroot("/app").unwrap();
    app.create("/mine", "").ephemeral().await.unwrap();
    assert_eq!(app.ephemerals("/").await.unwrap(), ["/mine"]);
    assert_eq!(session.ephemerals("/").await.unwrap(), ["/app/mine", "/apple"]);
    assert_eq!(session.ephemerals("/app").await.unwrap(), ["/app/mine", "/apple"]);
}

#[tokio::test]
async fn further_ones_are_below_the_first() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create_all("/one/two").await.unwrap();
    let two = session.with_chroot("/one").unwrap().with_chroot("/two").unwrap();
    assert_eq!(two.chroot(), format!("{}/one/two", scene.root));
    two.create("/here", "").await.unwrap();
    assert!(session.exists("/one/two/here").await.unwrap().is_some());
    let same = two.with_chroot("/").unwrap();
    assert_eq!(same.chroot(), two.chroot());
    for wrong in ["", "x", "/x/", "/x/../y"] {
        assert!(session.with_chroot(wrong).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn one_that_is_missing_can_be_made() {
    let scene = Scene::new().await;
    let outer = scene.session().await;
    let hosts = format!("{}{}/deep/down", scene.server, scene.root);
    let session = within(Session::establish(&hosts)).await.unwrap();
    assert_eq!(session.exists("/").await.unwrap(), None);
    outer.create_all("/deep/down").await.unwrap();
    session.create_all("/a/b").await.unwrap();
    assert!(outer.exists("/deep/down/a/b").await.unwrap().is_some());
}
