//! Links that break: what the session tells meanwhile, and what is as before when it is back.

use std::time::Duration;

use tenure_client::{
    Error, EventKind, Interruption, LinkFault, Liveness, Risk, Session, State, WatchMode,
};
use tenure_testing::{Direction, Proxy};

use super::support::{Scene, at_once, back, change, eventually, within};

#[tokio::test]
async fn a_short_cut_is_a_risk_and_no_more() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    session.create("/e", "").ephemeral().await.unwrap();
    let mut changes = session.changes();
    let first = within(changes.next()).await.unwrap();
    assert_eq!((first.state, &first.liveness), (State::Connected, &Liveness::Live));
    assert_eq!(first.server, Some(scene.network.addr()));
    scene.network.cut();
    let risk = within(changes.next()).await.unwrap();
    let Liveness::AtRisk { until, cause: Risk::Disconnected(fault) } = &risk.liveness else {
        panic!("{risk}")
    };
    assert_eq!((risk.state, risk.server), (State::Connecting, None));
    assert!(*until > risk.at, "{risk}");
    assert!(matches!(fault, LinkFault::HungUp | LinkFault::Broken(_)), "{fault}");
    let again = change(&mut changes, |change| change.liveness == Liveness::Live).await;
    assert_eq!(again.state, State::Connected);
    assert!(session.valid_until().unwrap() > *until);
    assert_eq!(session.ephemerals("/").await.unwrap(), ["/e"]);
}

#[tokio::test]
async fn reads_are_repeated_and_writes_are_unknown() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    session.create("/n", "0").await.unwrap();
    let mut changes = session.changes();
    within(changes.next()).await;
    scene.network.blackhole(Direction::ToClient);
    let write = session.set("/n", "1").send();
    let read = session.get("/n").send();
    let watching = session.exists("/new").watch().send();
    let observer = scene.session().await;
    while observer.get("/n").await.unwrap().stat.version == 0 {}
    scene.network.cut();
    let error = within(write).await.unwrap_err();
    let Error::Unknown { path, cause: Interruption::Link(_), .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(path, "/n");
    // Whoever knows the outcome of the request also finds the change that came before it.
    let risk = at_once(&mut Box::pin(changes.next())).await.expect("told before").unwrap();
    assert!(matches!(risk.liveness, Liveness::AtRisk { .. }), "{risk}");
    let unsent = session.set("/n", "2").send();
    scene.network.heal();
    assert_eq!(within(read).await.unwrap().stat.version, 1);
    let (stat, created) = within(watching).await.unwrap();
    assert_eq!(stat, None);
    assert_eq!(within(unsent).await.unwrap().version, 2, "it waited for the new link");
    observer.create("/new", "").await.unwrap();
    assert_eq!(within(created).await.unwrap().kind, EventKind::Created);
}

#[tokio::test]
async fn one_time_watches_catch_up_with_what_they_missed() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    let other = scene.session().await;
    for path in ["/data", "/gone", "/parent", "/quiet"] {
        session.create(path, "").await.unwrap();
    }
    let (_, data) = session.get("/data").watch().await.unwrap();
    let (_, gone) = session.exists("/gone").watch().await.unwrap();
    let (_, parent) = session.children("/parent").watch().await.unwrap();
    let (_, new) = session.exists("/new").watch().await.unwrap();
    let (_, mut quiet) = session.get("/quiet").watch().await.unwrap();
    let mut changes = session.changes();
    scene.network.refuse();
    scene.network.cut();
    change(&mut changes, |change| matches!(change.liveness, Liveness::AtRisk { .. })).await;
    other.set("/data", "x").await.unwrap();
    other.delete("/gone").await.unwrap();
    other.create("/parent/child", "").await.unwrap();
    other.create("/new", "").await.unwrap();
    scene.network.accept();
    let events = [
        (within(data).await, EventKind::DataChanged, "/data"),
        (within(gone).await, EventKind::Deleted, "/gone"),
        (within(parent).await, EventKind::ChildrenChanged, "/parent"),
        (within(new).await, EventKind::Created, "/new"),
    ];
    for (event, kind, path) in events {
        let event = event.unwrap();
        assert_eq!((event.kind, event.path.as_str()), (kind, path));
    }
    assert!(at_once(&mut quiet).await.is_none(), "nothing happened there");
    other.set("/quiet", "").await.unwrap();
    assert_eq!(within(quiet).await.unwrap().kind, EventKind::DataChanged);
}

#[tokio::test]
async fn persistent_watches_tell_of_a_gap_and_go_on() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    let other = scene.session().await;
    let mut persistent = session.watch("/p", WatchMode::Persistent).await.unwrap();
    let mut recursive = session.watch("/", WatchMode::Recursive).await.unwrap();
    other.create("/p", "").await.unwrap();
    assert_eq!(within(persistent.next()).await.unwrap().kind, EventKind::Created);
    assert_eq!(within(recursive.next()).await.unwrap().kind, EventKind::Created);
    scene.network.cut();
    let gap = within(persistent.next()).await.unwrap();
    assert_eq!((gap.kind, gap.path.as_str(), gap.zxid), (EventKind::Gap, "/p", None));
    let gap = within(recursive.next()).await.unwrap();
    assert_eq!((gap.kind, gap.path.as_str()), (EventKind::Gap, "/"));
    // From the gap on, nothing is missed.
    other.create("/p/c", "").await.unwrap();
    assert_eq!(within(persistent.next()).await.unwrap().kind, EventKind::ChildrenChanged);
    let event = within(recursive.next()).await.unwrap();
    assert_eq!((event.kind, event.path.as_str()), (EventKind::Created, "/p/c"));
}

#[tokio::test]
async fn twenty_thousand_watches_are_set_again() {
    const WATCHES: usize = 20_000;
    let scene = Scene::new().await;
    let session = scene.builder().max_outstanding(4096).establish().await.unwrap();
    let paths: Vec<String> = (0..WATCHES)
        .map(|number| format!("/watched-with-a-name-of-some-length-{number}"))
        .collect();
    let mut watches = Vec::new();
    for chunk in paths.chunks(2_000) {
        let sent: Vec<_> = chunk.iter().map(|path| session.exists(path).watch().send()).collect();
        for reply in sent {
            watches.push(within(reply).await.unwrap().1);
        }
    }
    let mut changes = session.changes();
    scene.network.cut();
    back(&mut changes).await;
    within(session.get("/")).await.unwrap();
    assert!(scene.network.accepted() <= 3, "{} connections", scene.network.accepted());
    let other = scene.session().await;
    for index in [0, WATCHES / 2, WATCHES - 1] {
        other.create(&paths[index], "").await.unwrap();
    }
    for index in [WATCHES - 1, WATCHES / 2, 0] {
        let event = within(watches.swap_remove(index)).await.unwrap();
        assert_eq!(event.path, paths[index]);
    }
}

#[tokio::test]
async fn watches_on_the_longest_paths_are_set_again() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    // Together they are too long for one request, and each fills one nearly by itself.
    let (short, long) =
        (format!("/a{}", "x".repeat(60_000)), format!("/b{}", "x".repeat(1_000_000)));
    let (_, first) = within(session.exists(&short).watch()).await.unwrap();
    let (_, second) = within(session.exists(&long).watch()).await.unwrap();
    let mut changes = session.changes();
    scene.network.cut();
    back(&mut changes).await;
    within(session.get("/")).await.unwrap();
    assert!(scene.network.accepted() <= 3, "{} connections", scene.network.accepted());
    drop((first, second));
}

#[tokio::test]
async fn credentials_are_shown_again_on_every_link() {
    let scene = Scene::new().await;
    let session = scene.builder().auth("digest", "ann:secret").establish().await.unwrap();
    session.add_auth("digest", b"bob:secret").await.unwrap();
    let mut changes = session.changes();
    scene.network.cut();
    back(&mut changes).await;
    let who = within(session.who_am_i()).await.unwrap();
    for name in ["ann", "bob"] {
        assert!(who.iter().any(|id| id.user == name), "{who:?}");
    }
}

#[tokio::test]
async fn a_silent_server_is_left_for_another() {
    let scene = Scene::new().await;
    let second = Proxy::start(scene.server).unwrap();
    let timeout = Duration::from_millis(1500);
    let session = scene.builder().timeout(timeout).establish().await.unwrap();
    session.create("/e", "").ephemeral().await.unwrap();
    session.update_hosts(&format!("{},{}", scene.network.hosts(), second.hosts())).unwrap();
    let mut changes = session.changes();
    // The longer list may have moved the session at once.
    within(session.sync("/")).await.unwrap();
    scene.network.partition();
    within(eventually("the other serves it", || {
        session.server() == Some(second.addr()) && session.state().is_connected()
    }))
    .await;
    within(session.sync("/")).await.unwrap();
    assert!(session.is_valid());
    assert_eq!(session.ephemerals("/").await.unwrap(), ["/e"]);
    while let Some(Some(change)) = at_once(&mut Box::pin(changes.next())).await {
        assert!(!change.liveness.is_lost(), "{change}");
    }
}

#[tokio::test]
async fn another_list_of_servers_moves_the_session() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    session.create("/e", "").ephemeral().await.unwrap();
    let second = Proxy::start(scene.server).unwrap();
    let mut changes = session.changes();
    session.update_hosts(&format!("{}{}", second.hosts(), scene.root)).unwrap();
    let moved = change(&mut changes, |change| change.server == Some(second.addr())).await;
    assert_eq!(moved.liveness, Liveness::Live);
    assert_eq!(session.ephemerals("/").await.unwrap(), ["/e"]);
    assert!(session.update_hosts("").is_err());
    assert!(session.update_hosts(&format!("{}/else", second.hosts())).is_err());
    assert_eq!(session.server(), Some(second.addr()));
}

#[tokio::test]
async fn the_first_server_that_answers_serves() {
    let scene = Scene::new().await;
    let dead = Proxy::start(scene.server).unwrap();
    let silent = Proxy::start(scene.server).unwrap();
    dead.refuse();
    silent.partition();
    let hosts = format!("{},{},{}", dead.hosts(), silent.hosts(), scene.network.hosts());
    let builder = Session::builder(&hosts).timeout(Duration::from_millis(1500));
    let session = within(builder.establish()).await.unwrap();
    assert_eq!(session.server(), Some(scene.network.addr()));
}

#[tokio::test]
async fn a_server_that_restarts_finds_its_sessions_again() {
    let scene = Scene::new().await;
    let Some(server) = scene.own("a restart") else { return };
    let session = scene.session().await;
    session.create("/e", "").ephemeral().await.unwrap();
    let (_, changed) = session.get("/e").watch().await.unwrap();
    let id = session.id();
    server.restart().unwrap();
    within(session.set("/e", "after")).await.unwrap();
    assert_eq!(session.id(), id);
    assert_eq!(within(changed).await.unwrap().kind, EventKind::DataChanged);
}
