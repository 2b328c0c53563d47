//! The semaphore: never more holders than leases, in the order of arrival, one woken at a time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenure_client::recipe::Semaphore;

use crate::world::{World, children_count, soon};

const THREE: NonZeroUsize = NonZeroUsize::new(3).unwrap();

#[tokio::test]
async fn so_many_hold_at_a_time_and_no_more() {
    let world = World::start();
    let path = world.path("semaphore");
    let sessions = world.sessions(4).await;
    let (holding, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // The first leases are given back only when three are held, so all of them are in use.
    let together = Arc::new(tokio::sync::Barrier::new(3));
    let mut tasks = Vec::new();
    for number in 0..12 {
        let semaphore = Semaphore::new(&sessions[number % 4], &path, THREE);
        let (holding, most) = (Arc::clone(&holding), Arc::clone(&most));
        let together = Arc::clone(&together);
        tasks.push(tokio::spawn(async move {
            for round in 0..5 {
                let lease = semaphore.acquire().await.unwrap();
                let now = holding.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                assert!(now <= 3, "{now} hold");
                if round == 0 {
                    together.wait().await;
                }
                lease.session().sync("/").await.unwrap();
                holding.fetch_sub(1, Ordering::SeqCst);
                lease.release().await.unwrap();
            }
        }));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 3, "all leases were in use");
    children_count(&sessions[0], &path, 0).await;
}

#[tokio::test]
async fn leases_pass_on_in_order_whichever_is_released() {
    let world = World::start();
    let path = world.path("semaphore");
    let session = world.session().await;
    let semaphore = Semaphore::new(&session, &path, THREE);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(semaphore.acquire().await.unwrap());
    }
    assert!(semaphore.try_acquire().await.unwrap().is_none());
    let mut waiting = std::collections::VecDeque::new();
    let mut proxies = Vec::new();
    for number in 0..8 {
        let (session, proxy) = world.proxied().await;
        let semaphore = Semaphore::new(&session, &path, THREE);
        proxies.push((session, proxy));
        waiting.push_back(tokio::spawn(async move { semaphore.acquire().await.unwrap() }));
        children_count(&session_of(&held), &path, 4 + number).await;
    }
    // One of the middle gives up, which wakes at most the one behind it.
    waiting.remove(4).unwrap().abort();
    proxies.remove(4);
    children_count(&session, &path, 10).await;
    for released in [1, 0, 2, 1, 1, 0, 2] {
        for (session, _) in &proxies {
            session.sync("/").await.unwrap();
            session.sync("/").await.unwrap();
        }
        held.remove(released).release().await.unwrap();
        held.push(soon(waiting.pop_front().unwrap()).await.unwrap());
        assert!(waiting.iter().all(|task| !task.is_finished()));
    }
    assert!(held.iter().all(tenure_client::recipe::Guard::is_held));
}

fn session_of(held: &[tenure_client::recipe::Guard]) -> tenure_client::Session {
    held[0].session().clone()
}

#[tokio::test]
async fn a_release_does_not_wake_those_far_behind() {
    let world = World::start();
    let path = world.path("semaphore");
    let session = world.session().await;
    let semaphore = Semaphore::new(&session, &path, THREE);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(semaphore.acquire().await.unwrap());
    }
    let mut proxies = Vec::new();
    let mut waiting = Vec::new();
    for number in 0..6 {
        let (session, proxy) = world.proxied().await;
        let semaphore = Semaphore::new(&session, &path, THREE);
        waiting.push(tokio::spawn(async move { semaphore.acquire().await.unwrap() }));
        children_count(&held[0].session().clone(), &path, 4 + number).await;
        proxies.push((session, proxy));
    }
    for (session, _) in &proxies {
        for _ in 0..3 {
            session.sync("/").await.unwrap();
        }
    }
    let before: Vec<usize> = proxies.iter().map(|(_, proxy)| proxy.notifications()).collect();
    held.remove(0).release().await.unwrap();
    let next = soon(waiting.remove(0)).await.unwrap();
    for (session, _) in &proxies {
        session.sync("/").await.unwrap();
    }
    let after = proxies.iter().map(|(_, proxy)| proxy.notifications());
    let woken: Vec<usize> = after.zip(&before).map(|(after, before)| after - before).collect();
    assert!(woken[0] >= 1, "{woken:?}");
    assert!(woken[1] <= 1, "it may be told that it is the first now: {woken:?}");
    assert_eq!(woken[2..], [0; 4], "nobody else is");
    assert!(next.is_held());
}
