//! Requests under way: their order, number and time, and those whose outcome nobody awaits.

use std::time::{Duration, Instant};

use tenure_client::{Error, ErrorCode, Interruption, OpCode};
use tenure_testing::Direction;

use super::support::{Scene, at_once, eventually, within};

#[tokio::test]
async fn requests_are_carried_out_in_the_order_in_which_they_were_sent() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    session.create("/n", "").await.unwrap();
    let mut replies = Vec::new();
    for number in 0..500 {
        replies.push((session.set("/n", "x").version(number).send(), session.get("/n").send()));
    }
    for (number, (set, get)) in (1..).zip(replies) {
        assert_eq!(within(set).await.unwrap().version, number);
        assert_eq!(within(get).await.unwrap().stat.version, number);
    }
}

#[tokio::test]
async fn no_more_than_agreed_are_outstanding() {
    let scene = Scene::new().await;
    let session = scene.builder().max_outstanding(2).establish().await.unwrap();
    session.create("/n", "").await.unwrap();
    scene.network.blackhole(Direction::ToClient);
    let mut sets: Vec<_> = (0..4).map(|_| session.set("/n", "").send()).collect();
    for set in &mut sets {
        assert!(at_once(set).await.is_none());
    }
    let observer = scene.session().await;
    let version = async || observer.get("/n").await.unwrap().stat.version;
    while version().await < 2 {}
    // Were a third on its way, it would be there by now: it was sent with the others.
    observer.sync("/").await.unwrap();
    assert_eq!(version().await, 2);
    scene.network.heal();
    for set in sets {
        within(set).await.unwrap();
    }
    assert_eq!(version().await, 4);
}

#[tokio::test]
async fn one_at_a_time_works_too() {
    let scene = Scene::new().await;
    let session = scene.direct().max_outstanding(1).establish().await.unwrap();
    session.create("/n", "").await.unwrap();
    let sets: Vec<_> = (0..50).map(|_| session.set("/n", "").send()).collect();
    for (version, set) in (1..).zip(sets) {
        assert_eq!(within(set).await.unwrap().version, version);
    }
}

#[tokio::test]
async fn requests_that_wait_for_others_keep_their_order_though_nobody_awaits_them() {
    let scene = Scene::new().await;
    let session = scene.direct().max_outstanding(1).establish().await.unwrap();
    session.create("/n", "").await.unwrap();
    let (first, second) = (session.set("/n", "").send(), session.set("/n", "").send());
    within(first).await.unwrap();
    let third = session.set("/n", "").send();
    assert_eq!(within(third).await.unwrap().version, 3);
    assert_eq!(within(second).await.unwrap().version, 2);
    for _ in 0..10 {
        drop(session.set("/n", "").send());
    }
    let node = within(session.get("/n")).await.unwrap();
    assert_eq!(node.stat.version, 13, "what was handed in goes its way");
}

#[tokio::test]
async fn a_dropped_future_costs_nothing_but_its_outcome() {
    let scene = Scene::new().await;
    let session = scene.direct().max_outstanding(8).establish().await.unwrap();
    session.create("/n", "").await.unwrap();
    for _ in 0..50 {
        // Handed in, so it goes its way; the places of dropped ones must come back.
        let handed_in = session.set("/n", "").send();
        drop(handed_in);
        drop(session.get("/n"));
        within(session.get("/n").send()).await.unwrap();
    }
    assert_eq!(within(session.get("/n")).await.unwrap().stat.version, 50);
    let waiting: Vec<_> = (0..64).map(|_| session.get("/n").send()).collect();
    drop(waiting);
    within(session.get("/n")).await.unwrap();
}

#[tokio::test]
async fn a_request_that_takes_too_long_says_whether_it_may_have_happened() {
    let scene = Scene::new().await;
    let builder = scene.builder().request_timeout(Duration::from_millis(200));
    let session = builder.establish().await.unwrap();
    session.create("/n", "").await.unwrap();
    scene.network.blackhole(Direction::ToServer);
    let (set, get) = (session.set("/n", "late").send(), session.get("/n").send());
    let (path, cause) = ("/n".to_owned(), Interruption::TimedOut);
    let error = within(set).await.unwrap_err();
    assert!(error.may_have_happened());
    let op = OpCode::SetData;
    assert_eq!(error, Error::Unknown { op, path: path.clone(), cause: cause.clone() });
    let op = OpCode::GetData;
    assert_eq!(within(get).await.unwrap_err(), Error::NotDone { op, path, cause });
    scene.network.heal();
    // Its reply still comes, and is not taken for another's.
    let node = within(session.get("/n").timeout(Duration::from_secs(10))).await.unwrap();
    assert_eq!((node.stat.version, &node.data[..]), (1, &b"late"[..]));
}

#[tokio::test]
async fn a_request_timeout_also_bounds_the_wait_for_others() {
    let scene = Scene::new().await;
    let session = scene.builder().max_outstanding(1).establish().await.unwrap();
    session.create("/n", "").await.unwrap();
    scene.network.blackhole(Direction::ToServer);
    let first = session.set("/n", "").send();
    let since = Instant::now();
    let limit = Duration::from_millis(200);
    let error = within(session.set("/n", "").timeout(limit)).await.unwrap_err();
    let (op, path, cause) = (OpCode::SetData, "/n".to_owned(), Interruption::TimedOut);
    assert_eq!(error, Error::NotDone { op, path, cause });
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    scene.network.heal();
    within(first).await.unwrap();
    assert_eq!(within(session.get("/n")).await.unwrap().stat.version, 1, "it was never sent");
}

#[tokio::test]
async fn what_was_given_up_before_it_was_sent_never_happens() {
    let scene = Scene::new().await;
    let session = scene.builder().establish().await.unwrap();
    session.create("/n", "").await.unwrap();
    scene.network.refuse();
    scene.network.cut();
    eventually("the link is lost", || !session.state().is_connected()).await;
    let write = session.set("/n", "").timeout(Duration::from_millis(100));
    let error = within(write).await.unwrap_err();
    assert!(matches!(error, Error::NotDone { cause: Interruption::TimedOut, .. }), "{error}");
    assert!(!error.may_have_happened());
    scene.network.accept();
    assert_eq!(within(session.get("/n")).await.unwrap().stat.version, 0);
}

#[tokio::test]
async fn writes_that_fail_keep_the_session_alive_like_any_others() {
    let scene = Scene::new().await;
    let timeout = Duration::from_millis(900);
    let session = scene.builder().timeout(timeout).establish().await.unwrap();
    session.create("/n", "").ephemeral().await.unwrap();
    let since = Instant::now();
    while since.elapsed() < session.timeout() * 2 {
        let error = within(session.create("/n", "")).await.unwrap_err();
        assert!(error.is(ErrorCode::NodeExists), "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(scene.network.accepted(), 1, "the first link was never given up");
}
