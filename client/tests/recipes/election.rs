//! The election: observers see every leader that stays, and the next one leads at once.

use tenure_client::recipe::Election;

use crate::world::{World, soon};

#[tokio::test]
async fn observers_follow_who_leads() {
    let world = World::start();
    let path = world.path("a/leader");
    let observing = world.session().await;
    let mut observer = Election::new(&observing, &path).observe();
    assert_eq!(soon(observer.next()).await.unwrap(), None, "there is not even a znode");
    let sessions = world.sessions(2).await;
    let first = Election::new(&sessions[0], &path).candidate("one");
    let second = Election::new(&sessions[1], &path).candidate("two");
    let leading = first.campaign().await.unwrap();
    let seen = soon(observer.next()).await.unwrap().unwrap();
    assert_eq!((seen.candidate.as_str(), seen.session), ("one", sessions[0].id()));
    assert_eq!((seen.token, seen.path.as_str()), (leading.token(), leading.path()));
    assert_eq!(first.leader().await.unwrap(), Some(seen));
    assert!(second.try_campaign().await.unwrap().is_none());
    let campaign = tokio::spawn(async move { second.campaign().await.unwrap() });
    loop {
        let candidates = first.candidates().await.unwrap();
        if candidates.iter().map(|one| one.holder.as_str()).eq(["one", "two"]) {
            break;
        }
        observing.sync("/").await.unwrap();
    }
    leading.release().await.unwrap();
    let leading = soon(campaign).await.unwrap();
    let seen = soon(observer.next()).await.unwrap().unwrap();
    assert_eq!((seen.candidate.as_str(), seen.token), ("two", leading.token()));
    // A crash shows as well.
    sessions[1].leave();
    assert_eq!(soon(observer.next()).await.unwrap(), None);
    let leading = first.campaign().await.unwrap();
    assert_eq!(soon(observer.next()).await.unwrap().unwrap().token, leading.token());
    observing.close().await.unwrap();
    assert!(soon(observer.next()).await.is_err());
}

#[tokio::test]
async fn an_observer_watches_the_leader_and_not_the_candidates() {
    let world = World::calm();
    let path = world.path("leader");
    let session = world.session().await;
    let election = Election::new(&session, &path);
    let leading = election.campaign().await.unwrap();
    let (observing, proxy) = world.proxied().await;
    let mut observer = Election::new(&observing, &path).observe();
    observer.next().await.unwrap();
    for _ in 0..5 {
        let waiting = tokio::spawn({
            let election = election.clone();
            async move { election.campaign().await }
        });
        crate::world::children_count(&session, &path, 2).await;
        waiting.abort();
        crate::world::children_count(&session, &path, 1).await;
    }
    observing.sync("/").await.unwrap();
    assert_eq!(proxy.notifications(), 0);
    // Waiting may be given up and taken up again without a loss.
    for _ in 0..3 {
        tokio::select! {
            biased;
            seen = observer.next() => panic!("{seen:?}"),
            synced = observing.sync("/") => synced.unwrap(),
        }
    }
    leading.release().await.unwrap();
    assert_eq!(soon(observer.next()).await.unwrap(), None);
}
