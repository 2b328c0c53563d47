//! The read-write lock: who holds together, who waits for whom, and who is woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tenure_client::recipe::ReadWriteLock;

use crate::world::{World, children_count, soon};

#[tokio::test]
async fn readers_hold_together_and_writers_alone() {
    let world = World::calm();
    let path = world.path("lock");
    let sessions = world.sessions(3).await;
    // Readers count up, a writer goes far below.
    let holding = Arc::new(AtomicI32::new(0));
    let mut tasks = Vec::new();
    for number in 0..12 {
        let lock = ReadWriteLock::new(&sessions[number % 3], &path);
        let holding = Arc::clone(&holding);
        tasks.push(tokio::spawn(async move {
            for round in 0..4 {
                if (number + round) % 3 == 0 {
                    let guard = lock.write().await.unwrap();
                    assert_eq!(holding.fetch_sub(100, Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    assert_eq!(holding.fetch_add(100, Ordering::SeqCst), -100);
                    guard.release().await.unwrap();
                } else {
                    let guard = lock.read().await.unwrap();
                    assert!(holding.fetch_add(1, Ordering::SeqCst) >= 0);
                    tokio::task::yield_now().await;
                    assert!(holding.fetch_sub(1, Ordering::SeqCst) > 0);
                    guard.release().await.unwrap();
                }
            }
        }));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    children_count(&sessions[0], &path, 0).await;
}

#[tokio::test]
async fn a_reader_waits_for_the_writer_before_it_and_for_no_reader() {
    let world = World::calm();
    let path = world.path("lock");
    let session = world.session().await;
    let lock = ReadWriteLock::new(&session, &path);
    let first = lock.read().await.unwrap();
    let second = soon(lock.read()).await.unwrap();
    let writing = tokio::spawn({
        let lock = lock.clone();
        async move { lock.write().await.unwrap() }
    });
    children_count(&session, &path, 3).await;
    assert!(lock.try_read().await.unwrap().is_none(), "a stream of readers starves no writer");
    assert!(lock.try_write().await.unwrap().is_none());
    let third = tokio::spawn({
        let lock = lock.clone();
        async move { lock.read().await.unwrap() }
    });
    children_count(&session, &path, 4).await;
    let kinds: Vec<String> =
        lock.contenders().await.unwrap().into_iter().map(|one| one.kind).collect();
    assert_eq!(kinds, ["read", "read", "write", "read"]);
    // The writer watches the reader before it; when that goes it finds the other one.
    second.release().await.unwrap();
    session.sync("/").await.unwrap();
    assert!(!writing.is_finished() && !third.is_finished());
    first.release().await.unwrap();
    let writing = soon(writing).await.unwrap();
    assert!(!third.is_finished());
    writing.release().await.unwrap();
    assert!(soon(third).await.unwrap().is_held());
}

#[tokio::test]
async fn a_reader_that_leaves_wakes_no_reader() {
    let world = World::calm();
    let path = world.path("lock");
    let session = world.session().await;
    let lock = ReadWriteLock::new(&session, &path);
    let writing = lock.write().await.unwrap();
    let (waiting_session, proxy) = world.proxied().await;
    let early = tokio::spawn({
        let lock = lock.clone();
        async move { lock.read().await.unwrap() }
    });
    children_count(&session, &path, 2).await;
    let waiting = tokio::spawn({
        let lock = ReadWriteLock::new(&waiting_session, &path);
        async move { lock.read().await.unwrap() }
    });
    children_count(&session, &path, 3).await;
    waiting_session.sync("/").await.unwrap();
    waiting_session.sync("/").await.unwrap();
    let before = proxy.notifications();
    early.abort();
    children_count(&session, &path, 2).await;
    waiting_session.sync("/").await.unwrap();
    assert_eq!(proxy.notifications(), before);
    writing.release().await.unwrap();
    assert!(soon(waiting).await.unwrap().is_held());
    assert_eq!(proxy.notifications(), before + 1);
}
