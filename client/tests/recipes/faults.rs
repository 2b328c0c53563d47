//! Crash, pause and partition of whoever holds: the old guard is lost before the next one holds,
//! whatever is held.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::time::Duration;

use tenure_client::recipe::{
    Election, FencingGate, FencingToken, Group, Guard, Lock, Loss, Queue, ReadWriteLock, Semaphore,
    Service,
};
use tenure_client::{Error, LostReason, Moment, Session};

use crate::proxy::Proxy;
use crate::world::{World, soon};

/// What happens to the holder.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It goes without closing its session.
    Crash,
    /// No byte passes between it and the server any more.
    Partition,
    /// The server stands still for longer than the session timeout; if it is not ours, no byte
    /// passes between it and anybody.
    Pause,
}

/// Something held: its guard, its token, and whatever must live as long.
struct Held {
    guard: Guard,
    rest: Option<Box<dyn Send>>,
}

type Acquiring = Pin<Box<dyn Future<Output = Result<Held, Error>> + Send>>;

/// Has a holder struck by a fault while others wait, and compares the moments.
async fn hand_over(fault: Fault, acquire: impl Fn(Session, String) -> Acquiring) {
    let world = World::start();
    let path = world.path("held");
    let (session, proxy) = world.proxied().await;
    let (next_session, next_proxy) = world.proxied().await;
    let held = soon(acquire(session.clone(), path.clone())).await.unwrap();
    let target = world.path("target");
    next_session.create(&target, "").await.unwrap();
    held.guard.set(&target, "by the first").await.unwrap();
    let lost = tokio::spawn({
        let lost = held.guard.lost();
        async move { (lost.await, Moment::now()) }
    });
    let next = tokio::spawn({
        let acquiring = acquire(next_session.clone(), path.clone());
        async move {
            let held = acquiring.await;
            (held, Moment::now())
        }
    });
    // It is in line: its requests so far are answered.
    next_session.sync("/").await.unwrap();
    let (next, next_at) = match fault {
        Fault::Crash => {
            session.leave();
            soon(next).await.unwrap()
        }
        Fault::Partition => {
            proxy.blackhole();
            soon(next).await.unwrap()
        }
        Fault::Pause => {
            let server = world.own("a pause of the server itself");
            match server {
                Some(server) => server.pause().unwrap(),
                None => [&proxy, &next_proxy].into_iter().for_each(Proxy::blackhole),
            }
            soon(session.lost()).await;
            soon(next_session.lost()).await;
            assert!(soon(next).await.unwrap().0.is_err(), "who waits is told the truth as well");
            match server {
                Some(server) => server.resume(),
                None => [&proxy, &next_proxy].into_iter().for_each(Proxy::heal),
            }
            let third = world.session().await;
            let acquired = soon(acquire(third, path.clone())).await;
            (acquired, Moment::now())
        }
    };
    let next = next.unwrap();
    let (loss, lost_at) = soon(lost).await.unwrap();
    assert!(lost_at <= next_at, "{fault:?}: lost at {lost_at}, the next one held at {next_at}");
    let by_itself = matches!(loss, Loss::Session(LostReason::DeadlinePassed { .. }));
    match fault {
        Fault::Crash => assert_eq!(loss, Loss::Session(LostReason::Left)),
        Fault::Partition | Fault::Pause => assert!(by_itself, "{loss}"),
    }
    assert!(!held.guard.is_held() && next.guard.is_held());
    assert!(next.guard.token() > held.guard.token());
    assert_fenced(held.guard.token(), next.guard.token());
    proxy.heal();
    let late = held.guard.set(&target, "by the first, too late").await;
    assert!(late.is_err());
    next.guard.set(&target, "by the next").await.unwrap();
    let data = next.guard.session().get(&target).await.unwrap().data;
    assert_eq!(&data[..], b"by the next");
    drop((held.rest, next.rest));
}

fn assert_fenced(old: FencingToken, new: FencingToken) {
    let gate = FencingGate::new();
    gate.verify(old).unwrap();
    gate.verify(new).unwrap();
    assert!(gate.verify(old).is_err());
}

fn of_guard(acquiring: impl Future<Output = Result<Guard, Error>> + Send + 'static) -> Acquiring {
    Box::pin(async move { Ok(Held { guard: acquiring.await?, rest: None }) })
}

fn lock(session: Session, path: String) -> Acquiring {
    of_guard(async move { Lock::new(&session, &path).acquire().await })
}

fn write_lock(session: Session, path: String) -> Acquiring {
    of_guard(async move { ReadWriteLock::new(&session, &path).write().await })
}

fn lease(session: Session, path: String) -> Acquiring {
    let one = NonZeroUsize::new(1).unwrap();
    of_guard(async move { Semaphore::new(&session, &path, one).acquire().await })
}

fn leadership(session: Session, path: String) -> Acquiring {
    of_guard(async move { Election::new(&session, &path).campaign().await })
}

fn membership(session: Session, path: String) -> Acquiring {
    of_guard(async move { Group::new(&session, &path).join("the one", "").await })
}

fn registration(session: Session, path: String) -> Acquiring {
    of_guard(async move { Service::new(&session, &path).register("the one", "here").await })
}

macro_rules! hand_overs {
    ($($held:ident),*) => {$(
        mod $held {
            use super::{Fault, hand_over};

            #[tokio::test]
            async fn goes_on_after_a_crash() {
                hand_over(Fault::Crash, super::$held).await;
            }

            #[tokio::test]
            async fn goes_on_after_a_partition() {
                hand_over(Fault::Partition, super::$held).await;
            }

            #[tokio::test]
            async fn goes_on_after_a_pause() {
                hand_over(Fault::Pause, super::$held).await;
            }
        }
    )*};
}
hand_overs!(lock, write_lock, lease, leadership, membership, registration);

#[tokio::test]
async fn a_read_lock_is_lost_before_a_writer_writes() {
    for fault in [Fault::Crash, Fault::Partition] {
        let world = World::start();
        let path = world.path("lock");
        let (session, proxy) = world.proxied().await;
        let reading = ReadWriteLock::new(&session, &path).read().await.unwrap();
        let lost = tokio::spawn({
            let lost = reading.lost();
            async move {
                lost.await;
                Moment::now()
            }
        });
        match fault {
            Fault::Crash => session.leave(),
            _ => proxy.blackhole(),
        }
        let writer = world.session().await;
        let writing = soon(ReadWriteLock::new(&writer, &path).write()).await.unwrap();
        let written_at = Moment::now();
        assert!(soon(lost).await.unwrap() <= written_at);
        assert!(!reading.is_held() && writing.token() > reading.token());
    }
}

#[tokio::test]
async fn a_taken_item_goes_to_another_after_its_taker_is_lost() {
    for fault in [Fault::Crash, Fault::Partition] {
        let world = World::start();
        let (session, proxy) = world.proxied().await;
        let queue = Queue::new(&session, &world.path("queue"));
        queue.put("work").await.unwrap();
        let item = soon(queue.take_locked()).await.unwrap();
        let lost = tokio::spawn({
            let lost = item.guard().lost();
            async move {
                lost.await;
                Moment::now()
            }
        });
        match fault {
            Fault::Crash => session.leave(),
            _ => proxy.blackhole(),
        }
        let other = world.session().await;
        let again = Queue::new(&other, &world.path("queue"));
        let taken = soon(again.take_locked()).await.unwrap();
        let taken_at = Moment::now();
        assert!(soon(lost).await.unwrap() <= taken_at);
        assert_eq!(&taken.data()[..], b"work");
        assert!(taken.guard().token() > item.guard().token());
        proxy.heal();
        assert!(item.consume().await.is_err());
        taken.consume().await.unwrap();
        assert_eq!(again.count().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_expiry_by_the_server_is_told_and_ends_all_writes() {
    let world = World::start();
    let Some(server) = world.own("the expiry of a session at once") else { return };
    let (session, next_session) = (world.session().await, world.session().await);
    let guard = Lock::new(&session, &world.path("lock")).acquire().await.unwrap();
    let next = tokio::spawn({
        let lock = Lock::new(&next_session, &world.path("lock"));
        async move { lock.acquire().await.unwrap() }
    });
    server.expire_session(session.id()).unwrap();
    let next = soon(next).await.unwrap();
    let late = guard.set(&world.root, "late").await;
    assert!(late.is_err());
    // The znode's end may be told before the session's.
    let loss = soon(guard.lost()).await;
    let is_of_session = matches!(loss, Loss::Session(LostReason::Expired { .. }));
    assert!(is_of_session || matches!(loss, Loss::Deleted { .. }), "{loss}");
    let reason = soon(session.lost()).await;
    assert!(matches!(reason, LostReason::Expired { .. }), "{reason}");
    assert!(!guard.is_held() && next.is_held());
    assert_fenced(guard.token(), next.token());
}

#[tokio::test]
async fn work_stops_when_the_guard_is_lost() {
    let world = World::start();
    let (session, proxy) = world.proxied().await;
    let guard = Lock::new(&session, &world.path("lock")).acquire().await.unwrap();
    assert_eq!(guard.run_while_held(async { 7 }).await, Ok(7));
    proxy.blackhole();
    let mut last_polled = Moment::now();
    let working = guard.run_while_held(async {
        loop {
            last_polled = Moment::now();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut until = session.valid_until().unwrap();
    let stopped: Result<(), Loss> = {
        let mut working = std::pin::pin!(working);
        soon(std::future::poll_fn(|cx| {
            // An answer under way when the link was cut may have moved it once more.
            until = session.valid_until().unwrap_or(until).max(until);
            working.as_mut().poll(cx)
        }))
        .await
    };
    assert!(matches!(stopped, Err(Loss::Session(_))), "{stopped:?}");
    assert!(last_polled < until, "polled at {last_polled}, valid until {until}");
    assert!(!guard.is_held());
}
