//! Watches of every kind: what they tell, when, and that nothing is left of one that was dropped.

use tenure_client::{EventKind, LostReason, Session, WatchEvent, WatchKind, WatchMode};

use super::support::{Scene, at_once, eventually, within};

fn brief(event: &WatchEvent) -> (EventKind, &str) {
    (event.kind, &event.path)
}

/// Several sessions' worth of one-time watches on a znode.
async fn pair(scene: &Scene) -> (Session, Session) {
    (scene.session().await, scene.session().await)
}

#[tokio::test]
async fn one_time_watches_of_data() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    session.create("/d", "").await.unwrap();
    let (_, changed) = session.get("/d").watch().await.unwrap();
    let stat = other.set("/d", "new").await.unwrap();
    let event = within(changed).await.unwrap();
    assert_eq!(brief(&event), (EventKind::DataChanged, "/d"));
    assert_eq!(event.zxid, Some(stat.mzxid));

    let (_, deleted) = session.get("/d").watch().await.unwrap();
    other.create("/d/child", "").await.unwrap();
    other.delete("/d/child").await.unwrap();
    other.delete("/d").await.unwrap();
    assert_eq!(brief(&within(deleted).await.unwrap()), (EventKind::Deleted, "/d"));
}

#[tokio::test]
async fn one_time_watches_of_existence() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    for round in 0..2 {
        let (stat, created) = session.exists("/e").watch().await.unwrap();
        assert_eq!(stat, None, "round {round}");
        other.create("/e", "").await.unwrap();
        assert_eq!(brief(&within(created).await.unwrap()), (EventKind::Created, "/e"));
        let (stat, changed) = session.exists("/e").watch().await.unwrap();
        assert!(stat.is_some());
        other.set("/e", "").await.unwrap();
        assert_eq!(brief(&within(changed).await.unwrap()), (EventKind::DataChanged, "/e"));
        let (_, deleted) = session.exists("/e").watch().await.unwrap();
        other.delete("/e").await.unwrap();
        assert_eq!(brief(&within(deleted).await.unwrap()), (EventKind::Deleted, "/e"));
    }
}

#[tokio::test]
async fn one_time_watches_of_children() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    session.create("/p", "").await.unwrap();
    let (_, came) = session.children("/p").watch().await.unwrap();
    other.set("/p", "not a child").await.unwrap();
    other.create("/p/c", "").await.unwrap();
    assert_eq!(brief(&within(came).await.unwrap()), (EventKind::ChildrenChanged, "/p"));
    let (children, went) = session.children("/p").watch().await.unwrap();
    assert_eq!(children.names, ["c"]);
    other.delete("/p/c").await.unwrap();
    assert_eq!(brief(&within(went).await.unwrap()), (EventKind::ChildrenChanged, "/p"));
    let (_, gone) = session.children("/p").watch().await.unwrap();
    other.delete("/p").await.unwrap();
    assert_eq!(brief(&within(gone).await.unwrap()), (EventKind::Deleted, "/p"));
}

#[tokio::test]
async fn several_watchers_of_one_path_are_told_alike() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    session.create("/w", "").await.unwrap();
    let (_, first) = session.get("/w").watch().await.unwrap();
    let (_, second) = session.exists("/w").watch().await.unwrap();
    let (_, dropped) = session.get("/w").watch().await.unwrap();
    drop(dropped);
    // Behind this reply, whatever the drop led to has happened.
    session.get("/w").await.unwrap();
    assert!(scene.is_watched("/w"), "two still watch");
    other.delete("/w").await.unwrap();
    assert_eq!(within(first).await.unwrap(), within(second).await.unwrap());
}

#[tokio::test]
async fn a_dropped_watch_leaves_nothing_at_the_server() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/w", "").await.unwrap();
    let (_, data) = session.get("/w").watch().await.unwrap();
    let (_, children) = session.children("/w").watch().await.unwrap();
    let (_, none) = session.exists("/none").watch().await.unwrap();
    let persistent = session.watch("/p", WatchMode::Persistent).await.unwrap();
    let recursive = session.watch("/r", WatchMode::Recursive).await.unwrap();
    for path in ["/w", "/none", "/p", "/r"] {
        assert!(scene.is_watched(path), "{path}");
    }
    drop((data, children, none, persistent, recursive));
    for path in ["/w", "/none", "/p", "/r"] {
        eventually("the watch is gone", || !scene.is_watched(path)).await;
    }
}

#[tokio::test]
async fn a_watch_that_nobody_came_to_hold_is_taken_back() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/w", "").await.unwrap();
    drop(session.get("/w").watch().send());
    drop(session.watch("/p", WatchMode::Persistent));
    let reply = session.exists("/x").watch().send();
    session.sync("/").await.unwrap();
    drop(reply);
    for path in ["/w", "/p", "/x"] {
        eventually("the watch is gone", || !scene.is_watched(path)).await;
    }
}

#[tokio::test]
async fn a_dropped_watch_takes_no_other_kind_with_it() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    session.create("/w", "").await.unwrap();
    let mut persistent = session.watch("/w", WatchMode::Persistent).await.unwrap();
    let (_, data) = session.get("/w").watch().await.unwrap();
    let (_, children) = session.children("/w").watch().await.unwrap();
    drop(data);
    session.get("/w").await.unwrap();
    other.create("/w/c", "").await.unwrap();
    assert_eq!(within(children).await.unwrap().kind, EventKind::ChildrenChanged);
    assert_eq!(within(persistent.next()).await.unwrap().kind, EventKind::ChildrenChanged);
    other.set("/w", "").await.unwrap();
    assert_eq!(within(persistent.next()).await.unwrap().kind, EventKind::DataChanged);
}

#[tokio::test]
async fn a_watch_dropped_while_another_kind_is_being_set_is_gone_too() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/w", "").await.unwrap();
    let persistent = session.watch("/w", WatchMode::Persistent).await.unwrap();
    let children = session.children("/w").watch().send();
    drop(persistent);
    let (_, children) = within(children).await.unwrap();
    session.sync("/").await.unwrap();
    drop(children);
    eventually("the watch is gone", || !scene.is_watched("/w")).await;
}

#[tokio::test]
async fn persistent_watches_tell_of_the_znode_and_its_children_list() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    let mut watch = session.watch("/p", WatchMode::Persistent).await.unwrap();
    other.create("/p", "").await.unwrap();
    other.set("/p", "1").await.unwrap();
    other.create("/p/c", "").await.unwrap();
    other.set("/p/c", "no news for the parent").await.unwrap();
    other.delete("/p/c").await.unwrap();
    other.delete("/p").await.unwrap();
    other.create("/p", "").await.unwrap();
    let wanted = [
        EventKind::Created,
        EventKind::DataChanged,
        EventKind::ChildrenChanged,
        EventKind::ChildrenChanged,
        EventKind::Deleted,
        EventKind::Created,
    ];
    for kind in wanted {
        let event = within(watch.next()).await.unwrap();
        assert_eq!(brief(&event), (kind, "/p"));
    }
}

#[tokio::test]
async fn recursive_watches_tell_of_everything_below_in_order() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    let mut watch = session.watch("/", WatchMode::Recursive).await.unwrap();
    other.create("/a", "").await.unwrap();
    other.create("/a/b", "").await.unwrap();
    other.set("/a/b", "").await.unwrap();
    other.delete("/a/b").await.unwrap();
    other.set("/", "").await.unwrap();
    let wanted = [
        (EventKind::Created, "/a"),
        (EventKind::Created, "/a/b"),
        (EventKind::DataChanged, "/a/b"),
        (EventKind::Deleted, "/a/b"),
        (EventKind::DataChanged, "/"),
    ];
    let mut last = None;
    for wanted in wanted {
        let event = within(watch.next()).await.unwrap();
        assert_eq!(brief(&event), wanted);
        assert!(event.zxid > last);
        last = event.zxid;
    }
}

#[tokio::test]
async fn a_failed_read_sets_no_watch() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    assert!(session.get("/none").watch().await.is_err());
    assert!(session.children("/none").watch().await.is_err());
    assert!(!scene.is_watched("/none"));
}

#[tokio::test]
async fn removed_watches_end() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/w", "").await.unwrap();
    let (_, data) = session.get("/w").watch().await.unwrap();
    let (_, mut children) = session.children("/w").watch().await.unwrap();
    let mut persistent = session.watch("/w", WatchMode::Persistent).await.unwrap();
    session.remove_watches("/w", Some(WatchKind::Data)).await.unwrap();
    assert!(within(data).await.is_err());
    assert!(at_once(&mut children).await.is_none(), "of another kind");
    session.remove_watches("/w", None).await.unwrap();
    assert!(within(children).await.is_err());
    assert_eq!(within(persistent.next()).await, None);
    assert!(!scene.is_watched("/w"));
    let mut again = session.watch("/w", WatchMode::Persistent).await.unwrap();
    session.set("/w", "").await.unwrap();
    assert!(within(again.next()).await.is_some());
}

#[tokio::test]
async fn a_notification_comes_before_the_reply_that_shows_its_change() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    session.create("/n", "0").await.unwrap();
    for round in 1..=50 {
        let (_, mut changed) = session.get("/n").watch().await.unwrap();
        let set = other.set("/n", "x").send();
        loop {
            let version = session.get("/n").await.unwrap().stat.version;
            if version == round {
                break;
            }
        }
        let event = at_once(&mut changed).await.expect("told before the new version was shown");
        assert_eq!(event.unwrap().kind, EventKind::DataChanged);
        within(set).await.unwrap();
    }
}

#[tokio::test]
async fn who_does_not_take_the_events_is_told_of_a_gap() {
    let scene = Scene::new().await;
    let (session, other) = pair(&scene).await;
    session.create("/busy", "").await.unwrap();
    let mut slow = session.watch("/busy", WatchMode::Persistent).await.unwrap();
    let mut last = session.watch("/end", WatchMode::Persistent).await.unwrap();
    const EVENTS: usize = 17_000;
    for _ in 0..EVENTS / 1_000 {
        let sets: Vec<_> = (0..1_000).map(|_| other.set("/busy", "").send()).collect();
        for set in sets {
            within(set).await.unwrap();
        }
    }
    other.create("/end", "").await.unwrap();
    within(last.next()).await.unwrap();
    let first = within(slow.next()).await.unwrap();
    assert_eq!(brief(&first), (EventKind::Gap, "/busy"));
    let mut rest = 0;
    while let Some(event) = at_once(&mut Box::pin(slow.next())).await {
        assert_eq!(event.unwrap().kind, EventKind::DataChanged);
        rest += 1;
    }
    assert!((1..EVENTS).contains(&rest), "{rest}");
}

#[tokio::test]
async fn all_watches_end_with_the_session() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    let (_, once) = session.exists("/w").watch().await.unwrap();
    let mut again = session.watch("/w", WatchMode::Recursive).await.unwrap();
    session.close().await.unwrap();
    assert_eq!(within(once).await, Err(LostReason::Closed));
    assert_eq!(within(again.next()).await, None);
}
