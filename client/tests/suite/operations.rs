//! Every operation, as it goes well.

use std::time::Duration;

use tenure_client::{Acl, CreateMode, Error, ErrorCode, OpCode, Perms, WatchMode, Zxid};

use super::support::{Scene, within};

#[tokio::test]
async fn persistent_and_ephemeral_znodes() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let created = session.create("/stays", "data").await.unwrap();
    assert_eq!((created.path.as_str(), created.stat.ephemeral_owner), ("/stays", 0));
    let created = session.create("/goes", "data").ephemeral().await.unwrap();
    assert_eq!(created.stat.ephemeral_owner, session.id().0);
    assert_eq!(session.ephemerals("/").await.unwrap(), ["/goes"]);
    let other = scene.session().await;
    let (stat, gone) = other.exists("/goes").watch().await.unwrap();
    assert_eq!(stat.unwrap().ephemeral_owner, session.id().0);
    session.close().await.unwrap();
    assert_eq!(within(gone).await.unwrap().path, "/goes");
    assert!(other.exists("/stays").await.unwrap().is_some());
}

#[tokio::test]
async fn sequential_names_count_up() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/queue", "").await.unwrap();
    let modes = [
        CreateMode::PersistentSequential,
        CreateMode::EphemeralSequential,
        CreateMode::PersistentSequential,
    ];
    for (number, mode) in modes.into_iter().enumerate() {
        let created = session.create("/queue/job-", "").mode(mode).await.unwrap();
        assert_eq!(created.path, format!("/queue/job-{number:010}"));
        assert_eq!(created.stat.ephemeral_owner != 0, mode.is_ephemeral());
    }
    let bare = session.create("/queue/", "").sequential().await.unwrap();
    assert_eq!(bare.path, "/queue/0000000003");
    let timed = session.create("/queue/t", "").sequential().ttl(Duration::from_secs(60));
    assert_eq!(timed.await.unwrap().path, "/queue/t0000000004");
}

#[tokio::test]
async fn containers_and_timed_znodes_go_by_themselves() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/box", "").container().await.unwrap();
    session.create("/box/child", "").await.unwrap();
    session.create("/timed", "").ttl(Duration::from_millis(300)).await.unwrap();
    let (_, box_gone) = session.exists("/box").watch().await.unwrap();
    let (_, timed_gone) = session.exists("/timed").watch().await.unwrap();
    assert_eq!(within(timed_gone).await.unwrap().path, "/timed");
    session.delete("/box/child").await.unwrap();
    assert_eq!(within(box_gone).await.unwrap().path, "/box");
}

#[tokio::test]
async fn combinations_of_modes_that_do_not_exist_are_not_sent() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let ttl = Duration::from_secs(1);
    let wrong = [
        session.create("/x", "").container().ephemeral(),
        session.create("/x", "").container().sequential(),
        session.create("/x", "").container().ttl(ttl),
        session.create("/x", "").ephemeral().ttl(ttl),
        session.create("/x", "").ttl(Duration::ZERO),
        session.create("/x", "").ttl(Duration::from_millis(1 << 40)),
        session.create("/x", "").mode(CreateMode::PersistentTtl),
    ];
    for create in wrong {
        let error = create.await.unwrap_err();
        assert!(matches!(&error, Error::Invalid { path, .. } if path == "/x"), "{error}");
        assert!(!error.may_have_happened());
    }
    assert_eq!(session.exists("/x").await.unwrap(), None);
}

#[tokio::test]
async fn null_data_are_not_empty_data() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/null", "ignored").null_data().await.unwrap();
    session.create("/empty", "").await.unwrap();
    for (path, is_null) in [("/null", true), ("/empty", false)] {
        let node = session.get(path).await.unwrap();
        assert_eq!((node.is_null, node.data.len(), node.stat.data_length), (is_null, 0, 0));
    }
    session.set("/empty", "x").null_data().await.unwrap();
    assert!(session.get("/empty").await.unwrap().is_null);
    session.set("/null", "").await.unwrap();
    assert!(!session.get("/null").await.unwrap().is_null);
}

#[tokio::test]
async fn versions_guard_writes() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/v", "0").await.unwrap();
    let first = session.set("/v", "1").version(0).await.unwrap();
    assert_eq!(first.version, 1);
    let stale = session.set("/v", "2").version(0).await.unwrap_err();
    assert!(stale.is(ErrorCode::BadVersion));
    assert_eq!(&session.get("/v").await.unwrap().data[..], b"1");
    assert_eq!(session.set("/v", "2").await.unwrap().version, 2);
    let acl = [Acl::OPEN];
    assert_eq!(session.set_acl("/v", &acl).version(0).await.unwrap().aversion, 1);
    assert!(session.set_acl("/v", &acl).version(0).await.unwrap_err().is(ErrorCode::BadVersion));
    assert!(session.delete("/v").version(1).await.unwrap_err().is(ErrorCode::BadVersion));
    session.delete("/v").version(2).await.unwrap();
    assert_eq!(session.exists("/v").await.unwrap(), None);
}

#[tokio::test]
async fn stats_and_zxids_tell_what_happened() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let before = session.last_zxid();
    let created = session.create("/s", "four").await.unwrap().stat;
    assert!(created.czxid > before && created.czxid == created.mzxid, "{created:?}");
    assert_eq!((created.version, created.data_length, created.num_children), (0, 4, 0));
    session.create("/s/child", "").await.unwrap();
    let set = session.set("/s", "eleven byte").await.unwrap();
    assert_eq!((set.version, set.cversion, set.num_children, set.data_length), (1, 1, 1, 11));
    assert!(set.mzxid > set.pzxid && set.pzxid > set.czxid, "{set:?}");
    assert_eq!(session.exists("/s").await.unwrap(), Some(set));
    assert_eq!(session.get("/s").await.unwrap().stat, set);
    assert_eq!(session.children("/s").await.unwrap().stat, set);
    assert_eq!(session.acl("/s").await.unwrap().stat, set);
    assert!(session.last_zxid() >= set.mzxid && set.mzxid > Zxid(0));
}

#[tokio::test]
async fn children_come_in_order_and_are_counted() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    for path in ["/t", "/t/b", "/t/a", "/t/c", "/t/c/d"] {
        session.create(path, "").await.unwrap();
    }
    let children = session.children("/t").await.unwrap();
    assert_eq!(children.names, ["a", "b", "c"]);
    assert_eq!(children.stat.num_children, 3);
    assert_eq!(session.count_descendants("/t").await.unwrap(), 4);
    assert!(session.children("/t/a").await.unwrap().names.is_empty());
}

#[tokio::test]
async fn whole_branches() {
    let scene = Scene::new().await;
    let session = scene.direct().max_outstanding(3).establish().await.unwrap();
    session.create_all("/a/b/c/d").await.unwrap();
    session.create_all("/a/b/c/d").await.unwrap();
    session.create_all("/a/b/e").await.unwrap();
    let many: Vec<String> = (0..20).map(|number| format!("/a/b/c/d/{number}")).collect();
    for path in &many {
        session.create(path, "").await.unwrap();
    }
    assert_eq!(session.count_descendants("/a").await.unwrap(), 24);
    session.delete_all("/a/b").await.unwrap();
    assert_eq!(session.children("/a").await.unwrap().names, Vec::<String>::new());
    assert!(session.delete_all("/a/b").await.unwrap_err().is(ErrorCode::NoNode));
}

#[tokio::test]
async fn access_control_and_identities() {
    let scene = Scene::new().await;
    let owner = scene.direct().auth("digest", "ann:secret").establish().await.unwrap();
    let guest = scene.session().await;
    let mine = [Acl { perms: Perms::ALL, scheme: "auth".into(), id: "".into() }];
    owner.create("/private", "mine").acl(&mine).await.unwrap();
    assert!(guest.get("/private").await.unwrap_err().is(ErrorCode::NoAuth));
    assert!(guest.set("/private", "").await.unwrap_err().is(ErrorCode::NoAuth));
    let list = owner.acl("/private").await.unwrap();
    assert_eq!(list.acl.len(), 1);
    assert_eq!((&*list.acl[0].scheme, list.acl[0].perms), ("digest", Perms::ALL));
    assert!(list.acl[0].id.starts_with("ann:"), "{:?}", list.acl);

    guest.add_auth("digest", b"ann:secret").await.unwrap();
    assert_eq!(&guest.get("/private").await.unwrap().data[..], b"mine");
    let who = guest.who_am_i().await.unwrap();
    assert!(who.iter().any(|id| id.scheme == "digest" && id.user == "ann"), "{who:?}");
    assert!(who.iter().any(|id| id.scheme == "ip"), "{who:?}");

    let read_only = [Acl { perms: Perms::READ, scheme: "world".into(), id: "anyone".into() }];
    let stat = owner.set_acl("/private", &read_only).version(0).await.unwrap();
    assert_eq!(stat.aversion, 1);
    assert!(owner.set("/private", "").await.unwrap_err().is(ErrorCode::NoAuth));
    let nobody = scene.session().await;
    assert_eq!(&nobody.get("/private").await.unwrap().data[..], b"mine");
}

#[tokio::test]
async fn what_concerns_the_ensemble() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    within(session.sync("/")).await.unwrap();
    let (config, _watch) = within(session.config_and_watch()).await.unwrap();
    assert_eq!(within(session.config()).await.unwrap().stat, config.stat);
    let spec = tenure_client::ReconfigSpec { leaving: Some("9".into()), ..Default::default() };
    let error = within(session.reconfigure(&spec)).await.unwrap_err();
    let Error::Refused { op: OpCode::Reconfig, .. } = error else { panic!("{error}") };
}

#[tokio::test]
async fn data_up_to_the_limit_and_not_beyond() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/big", "").await.unwrap();
    let path_len = scene.root.len() + "/big".len();
    // Header, path, data and version.
    let overhead = 8 + 4 + path_len + 4 + 4;
    let largest = vec![b'x'; 1_048_575 - overhead];
    session.set("/big", &largest).await.unwrap();
    assert!(session.get("/big").await.unwrap().data == largest);
    let too_large = vec![b'x'; largest.len() + 1];
    let error = session.set("/big", &too_large).await.unwrap_err();
    let Error::Invalid { op: OpCode::SetData, path, what } = &error else { panic!("{error}") };
    assert_eq!(path, "/big");
    assert!(what.contains("1048576") && what.contains("1048575"), "{what}");
    assert!(session.state().is_connected(), "nothing was sent");
    assert_eq!(session.get("/big").await.unwrap().stat.version, 1);
}

#[tokio::test]
async fn a_reply_that_is_too_long_fails_alone() {
    let scene = Scene::new().await;
    let session = scene.direct().max_reply_bytes(10_000).establish().await.unwrap();
    session.create("/big", &vec![7; 100_000]).await.unwrap();
    session.create("/small", "s").await.unwrap();
    let mut watch = session.watch("/small", WatchMode::Persistent).await.unwrap();
    let big = session.get("/big").send();
    let small = session.get("/small").send();
    let error = within(big).await.unwrap_err();
    let Error::ReplyTooLong { op: OpCode::GetData, path, bytes, limit: 10_000 } = &error else {
        panic!("{error}")
    };
    assert!(path == "/big" && *bytes > 100_000, "{error}");
    assert_eq!(&within(small).await.unwrap().data[..], b"s");
    assert!(session.state().is_connected());
    session.set("/small", "t").await.unwrap();
    assert!(within(watch.next()).await.is_some());
}
