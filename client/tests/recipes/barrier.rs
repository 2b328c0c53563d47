//! Barriers: nobody passes too early, and rounds do not mix.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use tenure_client::recipe::{Barrier, DoubleBarrier, Loss};

use crate::world::{World, children_count, soon};

#[tokio::test]
async fn a_barrier_holds_until_it_is_lifted() {
    let world = World::calm();
    let sessions = world.sessions(2).await;
    let barrier = Barrier::new(&sessions[0], &world.path("a/barrier"));
    soon(barrier.wait()).await.unwrap();
    assert!(barrier.set().await.unwrap());
    assert!(!barrier.set().await.unwrap(), "it is set already");
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let barrier = Barrier::new(&sessions[1], &world.path("a/barrier"));
            tokio::spawn(async move { barrier.wait().await })
        })
        .collect();
    sessions[1].sync("/").await.unwrap();
    // Whoever set it may crash without anybody getting through.
    let other = world.session().await;
    sessions[0].close().await.unwrap();
    sessions[1].sync("/").await.unwrap();
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    let barrier = Barrier::new(&other, &world.path("a/barrier"));
    assert!(barrier.lift().await.unwrap());
    assert!(!barrier.lift().await.unwrap());
    for waiting in waiting {
        soon(waiting).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn whoever_waits_at_a_barrier_is_told_of_the_end_of_the_session() {
    let world = World::start();
    let (session, proxy) = world.proxied().await;
    let barrier = Barrier::new(&session, &world.path("barrier"));
    world.session().await.create_all(&world.root).await.unwrap();
    barrier.set().await.unwrap();
    proxy.blackhole();
    assert!(soon(barrier.wait()).await.unwrap_err().lost().is_some());
}

#[tokio::test]
async fn all_parties_enter_and_leave_together_round_after_round() {
    const PARTIES: usize = 4;
    let world = World::calm();
    let path = world.path("barrier");
    let sessions = world.sessions(PARTIES).await;
    let (entered, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = sessions
        .iter()
        .map(|session| {
            let barrier = DoubleBarrier::new(session, &path, PARTIES);
            let (entered, left) = (Arc::clone(&entered), Arc::clone(&left));
            tokio::spawn(async move {
                for round in 0..8 {
                    // All have left the rounds before, and at most all have come to this one.
                    assert!(left.load(Ordering::SeqCst) >= round * PARTIES);
                    entered.fetch_add(1, Ordering::SeqCst);
                    let inside = barrier.enter().await.unwrap();
                    assert!(entered.load(Ordering::SeqCst) >= (round + 1) * PARTIES);
                    assert!(inside.is_held());
                    left.fetch_add(1, Ordering::SeqCst);
                    inside.leave().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    children_count(&sessions[0], &path, 0).await;
}

#[tokio::test]
async fn who_is_slow_to_leave_does_not_wait_for_the_next_round() {
    let world = World::calm();
    let path = world.path("barrier");
    let sessions = world.sessions(2).await;
    let (fast, slow) =
        (DoubleBarrier::new(&sessions[0], &path, 2), DoubleBarrier::new(&sessions[1], &path, 2));
    let (first, second) = soon(async { tokio::join!(fast.enter(), slow.enter()) }).await;
    let mut leaving = pin!(second.unwrap().leave());
    assert!(leaving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    sessions[1].sync("/").await.unwrap();
    // It has left, and has not looked yet whether the other one has, who is back already.
    soon(first.unwrap().leave()).await.unwrap();
    let entering = tokio::spawn(async move { fast.enter().await });
    children_count(&sessions[1], &path, 1).await;
    soon(leaving).await.unwrap();
    let (first, second) = soon(async { tokio::join!(entering, slow.enter()) }).await;
    assert!(first.unwrap().unwrap().is_held() && second.unwrap().is_held());
}

#[tokio::test]
async fn a_party_that_gives_up_or_crashes_does_not_count() {
    let world = World::start();
    let path = world.path("barrier");
    let sessions = world.sessions(4).await;
    let enter = |index: usize| {
        let barrier = DoubleBarrier::new(&sessions[index], &path, 3);
        tokio::spawn(async move { barrier.enter().await })
    };
    let given_up = enter(0);
    children_count(&sessions[3], &path, 1).await;
    given_up.abort();
    children_count(&sessions[3], &path, 0).await;
    let crashed = enter(1);
    children_count(&sessions[3], &path, 1).await;
    sessions[1].leave();
    assert!(soon(crashed).await.unwrap().is_err());
    children_count(&sessions[3], &path, 0).await;
    let (first, second) = (enter(0), enter(2));
    children_count(&sessions[3], &path, 2).await;
    for session in [&sessions[0], &sessions[2], &sessions[0], &sessions[2]] {
        session.sync("/").await.unwrap();
    }
    assert!(!first.is_finished() && !second.is_finished(), "one is still missing");
    assert_eq!(sessions[3].exists(&format!("{path}/ready")).await.unwrap(), None);
    let third = enter(3);
    let mut inside = Vec::new();
    for entering in [first, second, third] {
        inside.push(soon(entering).await.unwrap().unwrap());
    }
    // One crashes inside: the others leave all the same, and the next round is free.
    sessions[3].leave();
    assert!(matches!(soon(inside[2].lost()).await, Loss::Session(_)));
    inside.truncate(2);
    let leaving: Vec<_> = inside.into_iter().map(|one| tokio::spawn(one.leave())).collect();
    for leaving in leaving {
        soon(leaving).await.unwrap().unwrap();
    }
    children_count(&sessions[0], &path, 0).await;
}

#[tokio::test]
async fn a_round_whose_parties_all_crashed_does_not_block_the_next() {
    let world = World::start();
    let path = world.path("barrier");
    let first = world.session().await;
    let _inside = soon(DoubleBarrier::new(&first, &path, 1).enter()).await.unwrap();
    first.leave();
    let second = world.session().await;
    let inside = soon(DoubleBarrier::new(&second, &path, 1).enter()).await.unwrap();
    assert!(inside.is_held());
    soon(inside.leave()).await.unwrap();
    children_count(&second, &path, 0).await;
}
