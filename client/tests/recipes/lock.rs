//! The lock: exclusion, order, one wake-up per release, and nothing left behind.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tenure_client::recipe::{FencingGate, Guard, Lock, Loss, WriteError};
use tenure_client::{CreateMode, Error, Moment, Session};

use crate::world::{World, children_count, children_until, soon};

#[tokio::test]
async fn a_free_lock_is_taken_and_its_parents_are_made() {
    let world = World::calm();
    let session = world.session().await;
    let path = world.path("a/b/lock");
    let guard = Lock::new(&session, &path).holder("me").acquire().await.unwrap();
    assert!(guard.is_held());
    assert!(guard.path().starts_with(&format!("{path}/lock-")));
    let stat = session.exists(guard.path()).await.unwrap().unwrap();
    assert_eq!(guard.token().zxid(), stat.czxid);
    assert_eq!(stat.ephemeral_owner, session.id().0);
    guard.release().await.unwrap();
    children_count(&session, &path, 0).await;
    let again = Lock::new(&session, &path).try_acquire().await.unwrap().unwrap();
    drop(again);
    children_count(&session, &path, 0).await;
}

#[tokio::test]
async fn one_at_a_time_holds_it_and_tokens_grow_from_each_to_the_next() {
    let world = World::calm();
    let path = world.path("lock");
    let holding = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(FencingGate::new());
    let mut tasks = Vec::new();
    let sessions = world.sessions(4).await;
    for number in 0..16 {
        let lock = Lock::new(&sessions[number % 4], &path);
        let (holding, gate) = (Arc::clone(&holding), Arc::clone(&gate));
        tasks.push(tokio::spawn(async move {
            for _ in 0..5 {
                let guard = lock.acquire().await.unwrap();
                assert_eq!(holding.fetch_add(1, Ordering::SeqCst), 0, "somebody else holds it");
                let highest = gate.highest();
                gate.verify(guard.token()).unwrap();
                assert!(gate.highest() > highest, "no token comes twice");
                tokio::task::yield_now().await;
                assert_eq!(holding.fetch_sub(1, Ordering::SeqCst), 1);
                guard.release().await.unwrap();
            }
        }));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    children_count(&sessions[0], &path, 0).await;
}

/// Contenders in a known order: each is in the line before the next one comes.
async fn line_up(
    watcher: &Session,
    path: &str,
    locks: Vec<Lock>,
) -> Vec<tokio::task::JoinHandle<Result<Guard, Error>>> {
    let mut waiting = Vec::new();
    let before = children_until(watcher, path, |_| true).await.len();
    for (number, lock) in locks.into_iter().enumerate() {
        waiting.push(tokio::spawn(async move { lock.acquire().await }));
        children_count(watcher, path, before + number + 1).await;
    }
    waiting
}

#[tokio::test]
async fn the_lock_goes_from_each_to_the_next_in_the_order_of_arrival() {
    let world = World::calm();
    let path = world.path("lock");
    let sessions = world.sessions(3).await;
    let first = Lock::new(&sessions[0], &path).acquire().await.unwrap();
    let locks = (0..9).map(|number| Lock::new(&sessions[number % 3], &path)).collect();
    let waiting = line_up(&sessions[0], &path, locks).await;
    let mut held = first;
    for next in waiting {
        assert!(!next.is_finished());
        let before = held.token();
        held.release().await.unwrap();
        held = soon(next).await.unwrap().unwrap();
        assert!(held.token() > before);
    }
}

#[tokio::test]
async fn a_release_wakes_one_contender_which_need_not_ask() {
    let world = World::calm();
    let path = world.path("lock");
    let watcher = world.session().await;
    let held = Lock::new(&watcher, &path).acquire().await.unwrap();
    let mut proxies = Vec::new();
    let mut locks = Vec::new();
    for _ in 0..8 {
        let (session, proxy) = world.proxied().await;
        locks.push(Lock::new(&session, &path));
        proxies.push((session, proxy));
    }
    let waiting = line_up(&watcher, &path, locks).await;
    // Whatever they had to ask to get in line, they have asked and been answered.
    for (session, proxy) in &proxies {
        loop {
            let asked = proxy.requests();
            session.sync("/").await.unwrap();
            if proxy.requests() == asked + 1 {
                break;
            }
        }
    }
    let counts = || -> Vec<(usize, usize)> {
        proxies.iter().map(|(_, proxy)| (proxy.notifications(), proxy.requests())).collect()
    };
    let before = counts();
    held.release().await.unwrap();
    let mut waiting = waiting.into_iter();
    let next = soon(waiting.next().unwrap()).await.unwrap().unwrap();
    let mut expected = before;
    expected[0].0 += 1;
    assert_eq!(counts(), expected, "(notifications, requests) of each");
    assert!(next.is_held());
}

#[tokio::test]
async fn whoever_finds_it_taken_can_leave_it_at_that() {
    let world = World::calm();
    let path = world.path("lock");
    let (session, other) = (world.session().await, world.session().await);
    let held = Lock::new(&session, &path).acquire().await.unwrap();
    assert!(Lock::new(&other, &path).try_acquire().await.unwrap().is_none());
    assert_eq!(other.children(&path).await.unwrap().names.len(), 1);
    held.release().await.unwrap();
    assert!(Lock::new(&other, &path).try_acquire().await.unwrap().is_some());
}

#[tokio::test]
async fn a_deleted_znode_ends_the_hold_and_guarded_writes_fail() {
    let world = World::calm();
    let path = world.path("lock");
    let (session, other) = (world.session().await, world.session().await);
    let guard = Lock::new(&session, &path).acquire().await.unwrap();
    let target = world.path("target");
    guard.create(&target, "1", CreateMode::Persistent).await.unwrap();
    assert_eq!(guard.set(&target, "2").await.unwrap().version, 1);
    let refused = guard.create(&target, "", CreateMode::Persistent).await.unwrap_err();
    assert!(matches!(&refused, WriteError::Refused { path, .. } if *path == target), "{refused}");
    let lost = tokio::spawn(guard.lost());
    other.delete(guard.path()).await.unwrap();
    let deleted = Loss::Deleted { path: guard.path().to_owned() };
    assert_eq!(soon(lost).await.unwrap(), deleted);
    assert_eq!(soon(guard.lost()).await, deleted, "and for whoever asks later");
    assert!(!guard.is_held());
    let stopped = guard.run_while_held(std::future::pending::<()>()).await;
    assert_eq!(stopped, Err(deleted));
    let not_held = WriteError::NotHeld { path: guard.path().to_owned() };
    assert_eq!(guard.set(&target, "3").await.unwrap_err(), not_held);
    assert_eq!(guard.delete(&target).await.unwrap_err(), not_held);
    assert_eq!(&session.get(&target).await.unwrap().data[..], b"2");
    let next = soon(Lock::new(&other, &path).acquire()).await.unwrap();
    assert!(next.token() > guard.token());
    guard.release().await.unwrap();
    assert!(next.is_held(), "releasing what is lost hurts nobody");
}

#[tokio::test]
async fn setting_the_guards_znode_does_not_end_the_hold() {
    let world = World::calm();
    let (session, other) = (world.session().await, world.session().await);
    let guard = Lock::new(&session, &world.path("lock")).acquire().await.unwrap();
    let lost = tokio::spawn(guard.lost());
    for _ in 0..3 {
        other.set(guard.path(), "x").await.unwrap();
        session.sync("/").await.unwrap();
        assert!(guard.is_held());
    }
    other.delete(guard.path()).await.unwrap();
    assert!(matches!(soon(lost).await.unwrap(), Loss::Deleted { .. }));
}

#[tokio::test]
async fn whoever_loses_the_place_in_line_takes_another() {
    let world = World::calm();
    let path = world.path("lock");
    let sessions = world.sessions(2).await;
    let held = Lock::new(&sessions[0], &path).acquire().await.unwrap();
    let locks = vec![Lock::new(&sessions[1], &path)];
    let mut waiting = line_up(&sessions[0], &path, locks).await;
    let names = children_until(&sessions[0], &path, |names| names.len() == 2).await;
    let place = names.iter().map(|name| format!("{path}/{name}")).find(|p| p != held.path());
    sessions[0].delete(&place.clone().unwrap()).await.unwrap();
    let names = children_until(&sessions[0], &path, |names| {
        names.len() == 2 && !names.iter().any(|name| place.as_ref().unwrap().ends_with(name))
    });
    names.await;
    held.release().await.unwrap();
    assert!(soon(waiting.remove(0)).await.unwrap().unwrap().is_held());
}

#[tokio::test]
async fn waiting_that_is_given_up_leaves_nothing_behind() {
    let world = World::calm();
    let path = world.path("lock");
    let (session, other) = (world.session().await, world.session().await);
    let held = Lock::new(&other, &path).acquire().await.unwrap();
    // Dropped after one poll more each time: while the creation is under way, then the watch on
    // one's own znode, then that on the other's, then the wait.
    for polls in 1..12 {
        let lock = Lock::new(&session, &path);
        let mut acquiring = pin!(lock.acquire());
        for _ in 0..polls {
            let polled = acquiring.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            // Each time a reply more may have come.
            session.sync("/").await.unwrap();
        }
    }
    children_count(&other, &path, 1).await;
    drop(held);
    children_count(&other, &path, 0).await;
    let guard = soon(Lock::new(&session, &path).acquire()).await.unwrap();
    guard.release().await.unwrap();
}

/// Has a session hand in an acquisition whose creation reaches the server while the reply does not.
async fn acquire_without_reply(
    world: &World,
    path: &str,
) -> (Session, crate::proxy::Proxy, tokio::task::JoinHandle<Result<Guard, Error>>) {
    let watcher = world.session().await;
    watcher.create_all(path).await.unwrap();
    let (session, proxy) = world.proxied().await;
    proxy.hold_replies();
    let lock = Lock::new(&session, path);
    let acquiring = tokio::spawn(async move { lock.acquire().await });
    children_count(&watcher, path, 1).await;
    (session, proxy, acquiring)
}

#[tokio::test]
async fn a_creation_whose_reply_got_lost_is_found_again() {
    let world = World::calm();
    let path = world.path("lock");
    let (session, proxy, acquiring) = acquire_without_reply(&world, &path).await;
    proxy.cut();
    proxy.heal();
    let guard = soon(acquiring).await.unwrap().unwrap();
    assert!(guard.is_held());
    let names = session.children(&path).await.unwrap().names;
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(guard.path().ends_with(&names[0]));
}

#[tokio::test]
async fn a_creation_that_was_given_up_and_whose_reply_got_lost_is_undone() {
    let world = World::calm();
    let path = world.path("lock");
    let (session, proxy, acquiring) = acquire_without_reply(&world, &path).await;
    acquiring.abort();
    assert!(soon(acquiring).await.unwrap_err().is_cancelled());
    proxy.cut();
    proxy.heal();
    children_count(&session, &path, 0).await;
    assert!(session.is_valid(), "and not because the session ended");
}

#[tokio::test]
async fn parents_whose_creation_got_no_reply_are_made_all_the_same() {
    let world = World::calm();
    let (watcher, (session, proxy)) = (world.session().await, world.proxied().await);
    watcher.create_all(&world.root).await.unwrap();
    proxy.hold_replies();
    let making = {
        let (session, path) = (session.clone(), world.path("c"));
        tokio::spawn(async move { session.create_all(&path).await })
    };
    children_until(&watcher, &world.root, |names| names.iter().any(|name| name == "c")).await;
    proxy.cut();
    proxy.heal();
    soon(making).await.unwrap().unwrap();
    assert!(session.is_valid());
}

#[tokio::test]
async fn a_release_whose_reply_got_lost_is_a_release() {
    let world = World::calm();
    let path = world.path("lock");
    let watcher = world.session().await;
    let (session, proxy) = world.proxied().await;
    for waits in [true, false] {
        let guard = Lock::new(&session, &path).acquire().await.unwrap();
        proxy.hold_replies();
        let releasing = waits.then(|| tokio::spawn(guard.release()));
        children_count(&watcher, &path, 0).await;
        proxy.cut();
        proxy.heal();
        if let Some(releasing) = releasing {
            soon(releasing).await.unwrap().unwrap();
        }
        assert!(session.is_valid());
        session.sync("/").await.unwrap();
    }
}

#[tokio::test]
async fn a_ghost_is_reported_and_never_taken_for_ours() {
    let world = World::start();
    let path = world.path("lock");
    let earlier = world.session().await;
    let held = Lock::new(&earlier, &path).holder("worker").acquire().await.unwrap();
    let ghost_session = earlier.id();
    earlier.leave();
    let session = world.session().await;
    let lock = Lock::new(&session, &path).holder("worker");
    let ghosts = lock.ghosts().await.unwrap();
    assert_eq!(ghosts.len(), 1);
    assert_eq!(ghosts[0].path, held.path());
    assert_eq!(ghosts[0].session, ghost_session);
    assert_eq!(ghosts[0].token, held.token());
    let nobody = Lock::new(&session, &path).holder("other").ghosts().await.unwrap();
    assert_eq!(nobody, []);
    assert!(lock.try_acquire().await.unwrap().is_none(), "it might still hold");
    let lost_at = tokio::spawn({
        let lost = held.lost();
        async move {
            lost.await;
            Moment::now()
        }
    });
    let guard = soon(lock.acquire()).await.unwrap();
    let acquired_at = Moment::now();
    assert!(soon(lost_at).await.unwrap() < acquired_at);
    assert!(guard.token() > held.token());
    assert_eq!(lock.ghosts().await.unwrap(), []);
}

#[tokio::test]
async fn a_resumed_session_takes_its_own_place_over() {
    let world = World::start();
    let path = world.path("lock");
    let earlier = world.session().await;
    let held = Lock::new(&earlier, &path).holder("a").acquire().await.unwrap();
    let second = {
        let lock = Lock::new(&earlier, &path).holder("b");
        tokio::spawn(async move { lock.acquire().await })
    };
    let watcher = world.session().await;
    children_count(&watcher, &path, 2).await;
    let token = earlier.token().unwrap();
    earlier.leave();
    assert!(soon(second).await.unwrap().is_err());
    let resumed = Session::builder(world.hosts()).resume(token).await.unwrap();
    let guard = soon(Lock::new(&resumed, &path).holder("a").acquire()).await.unwrap();
    assert_eq!((guard.path(), guard.token()), (held.path(), held.token()));
    // One place can be taken over once.
    assert!(Lock::new(&resumed, &path).holder("a").try_acquire().await.unwrap().is_none());
    children_count(&watcher, &path, 2).await;
    // Nobody comes back for the other.
    assert_eq!(Lock::new(&resumed, &path).release_leftovers().await.unwrap(), 1);
    children_count(&watcher, &path, 1).await;
    assert!(guard.is_held());
    drop(held);
    resumed.sync("/").await.unwrap();
    assert!(guard.is_held(), "the earlier value has no say any more");
}

#[tokio::test]
async fn acquiring_with_a_lost_session_fails_and_says_why() {
    let world = World::calm();
    let session = world.session().await;
    let guard = Lock::new(&session, &world.path("lock")).acquire().await.unwrap();
    let waiting = {
        let lock = Lock::new(&session, &world.path("lock"));
        tokio::spawn(async move { lock.acquire().await })
    };
    children_count(&session, &world.path("lock"), 2).await;
    session.close().await.unwrap();
    assert!(matches!(soon(guard.lost()).await, Loss::Session(_)));
    assert!(matches!(soon(waiting).await.unwrap(), Err(Error::Lost(_))));
    let late = Lock::new(&session, &world.path("lock")).acquire().await;
    assert!(matches!(late, Err(Error::Lost(_))), "{late:?}");
    assert!(matches!(guard.release().await, Err(Error::Lost(_))));
}

#[tokio::test]
async fn a_polled_lock_that_is_ready_stays_with_its_taker() {
    let world = World::calm();
    let session = world.session().await;
    let lock = Lock::new(&session, &world.path("lock"));
    let mut acquiring = pin!(lock.acquire());
    let guard = soon(std::future::poll_fn(|cx| acquiring.as_mut().poll(cx))).await.unwrap();
    assert!(matches!(
        pin!(guard.lost()).poll(&mut Context::from_waker(Waker::noop())),
        Poll::Pending
    ));
}
