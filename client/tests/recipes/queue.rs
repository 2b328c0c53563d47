//! The queue: order, exactly one taker per item, and nothing lost that was not consumed.

use std::collections::BTreeSet;

use tenure_client::recipe::{Queue, WriteError};

use crate::world::{World, children_count, soon};

#[tokio::test]
async fn items_come_out_in_the_order_in_which_they_were_put() {
    let world = World::calm();
    let session = world.session().await;
    let queue = Queue::new(&session, &world.path("a/queue"));
    assert_eq!(queue.count().await.unwrap(), 0);
    for number in 0..10 {
        queue.put(&format!("item {number}")).await.unwrap();
    }
    assert_eq!(queue.count().await.unwrap(), 10);
    for number in 0..10 {
        let item = soon(queue.take()).await.unwrap();
        assert_eq!(item, format!("item {number}"));
    }
    assert_eq!(queue.count().await.unwrap(), 0);
    for znode in ["claims", "items", "takers"] {
        children_count(&session, &world.path(&format!("a/queue/{znode}")), 0).await;
    }
}

#[tokio::test]
async fn each_item_goes_to_exactly_one_of_many_takers() {
    const ITEMS: usize = 40;
    let world = World::calm();
    let sessions = world.sessions(4).await;
    let takers: Vec<_> = (0..8)
        .map(|number| {
            let queue = Queue::new(&sessions[number % 4], &world.path("queue"));
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for _ in 0..ITEMS / 8 {
                    taken.push(queue.take().await.unwrap());
                }
                taken
            })
        })
        .collect();
    let queue = Queue::new(&sessions[0], &world.path("queue"));
    for number in 0..ITEMS {
        queue.put(&number.to_string()).await.unwrap();
    }
    let mut all = BTreeSet::new();
    for taker in takers {
        for item in soon(taker).await.unwrap() {
            assert!(all.insert(item.clone()), "{item:?} was taken twice");
        }
    }
    assert_eq!(all.len(), ITEMS);
}

#[tokio::test]
async fn an_item_wakes_one_of_those_who_wait() {
    let world = World::calm();
    let path = world.path("queue");
    let watcher = world.session().await;
    let mut waiting = Vec::new();
    let mut proxies = Vec::new();
    for number in 0..5 {
        let (session, proxy) = world.proxied().await;
        let queue = Queue::new(&session, &path);
        waiting.push(tokio::spawn(async move { queue.take_locked().await.unwrap() }));
        children_count(&watcher, &format!("{path}/takers"), number + 1).await;
        proxies.push((session, proxy));
    }
    for (session, _) in &proxies {
        for _ in 0..6 {
            session.sync("/").await.unwrap();
        }
    }
    let before: Vec<usize> = proxies.iter().map(|(_, proxy)| proxy.notifications()).collect();
    Queue::new(&watcher, &path).put("work").await.unwrap();
    let item = soon(waiting.remove(0)).await.unwrap();
    assert_eq!(&item.data()[..], b"work");
    for (session, _) in &proxies {
        session.sync("/").await.unwrap();
    }
    let now: Vec<usize> = proxies.iter().map(|(_, proxy)| proxy.notifications()).collect();
    assert!(now[0] > before[0]);
    assert!(now[1] <= before[1] + 1, "it is the first now");
    assert_eq!(now[2..], before[2..]);
    item.consume().await.unwrap();
}

#[tokio::test]
async fn a_taker_that_crashes_with_an_item_keeps_nobody_waiting_for_the_next() {
    let world = World::start();
    let path = world.path("queue");
    let sessions = world.sessions(2).await;
    let queue = Queue::new(&sessions[0], &path);
    queue.put("first").await.unwrap();
    queue.put("second").await.unwrap();
    let first = soon(queue.take_locked()).await.unwrap();
    sessions[0].leave();
    let queue = Queue::new(&sessions[1], &path);
    assert_eq!(soon(queue.take()).await.unwrap(), "second");
    assert_eq!(soon(queue.take()).await.unwrap(), "first", "after the crashed session's end");
    assert!(!first.guard().is_held());
}

#[tokio::test]
async fn an_item_that_is_given_back_goes_to_the_next_taker() {
    let world = World::calm();
    let path = world.path("queue");
    let sessions = world.sessions(2).await;
    let queue = Queue::new(&sessions[0], &path);
    let other = Queue::new(&sessions[1], &path);
    queue.put("first").await.unwrap();
    queue.put("second").await.unwrap();
    let first = soon(queue.take_locked()).await.unwrap();
    assert_eq!(soon(other.take()).await.unwrap(), "second", "the first is held");
    let waiting = tokio::spawn(async move { other.take().await.unwrap() });
    children_count(&sessions[0], &format!("{path}/takers"), 1).await;
    drop(first);
    assert_eq!(soon(waiting).await.unwrap(), "first");
    queue.put("third").await.unwrap();
    soon(queue.take_locked()).await.unwrap().give_back().await.unwrap();
    let third = soon(queue.take_locked()).await.unwrap();
    let claim = third.guard().path().to_owned();
    sessions[1].delete(&claim).await.unwrap();
    assert_eq!(third.consume().await.unwrap_err(), WriteError::NotHeld { path: claim });
    assert_eq!(queue.count().await.unwrap(), 1, "it stays in the queue");
}

#[tokio::test]
async fn what_was_put_or_consumed_while_the_reply_got_lost_is_found_out() {
    let world = World::calm();
    let path = world.path("queue");
    let watcher = world.session().await;
    let (session, proxy) = world.proxied().await;
    let queue = Queue::new(&session, &path);
    queue.put("first").await.unwrap();
    proxy.hold_replies();
    let putting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.put("second").await }
    });
    children_count(&watcher, &format!("{path}/items"), 2).await;
    proxy.cut();
    proxy.heal();
    soon(putting).await.unwrap().unwrap();
    assert_eq!(queue.count().await.unwrap(), 2, "it was put once");
    let item = soon(queue.take_locked()).await.unwrap();
    proxy.hold_replies();
    let consuming = tokio::spawn(item.consume());
    children_count(&watcher, &format!("{path}/items"), 1).await;
    proxy.cut();
    proxy.heal();
    soon(consuming).await.unwrap().unwrap();
    assert_eq!(soon(queue.take()).await.unwrap(), "second");
    assert!(session.is_valid());
}

#[tokio::test]
async fn a_taker_that_gives_up_takes_nothing_and_leaves_nothing() {
    let world = World::calm();
    let path = world.path("queue");
    let session = world.session().await;
    let queue = Queue::new(&session, &path);
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await }
    });
    children_count(&session, &format!("{path}/takers"), 1).await;
    waiting.abort();
    children_count(&session, &format!("{path}/takers"), 0).await;
    queue.put("work").await.unwrap();
    assert_eq!(soon(queue.take()).await.unwrap(), "work");
}
