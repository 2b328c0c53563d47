//! The atomic value and the counter: no change is lost, none happens twice unless it says so.

use tenure_client::recipe::{AtomicValue, Counter, CounterError};

use crate::proxy::Proxy;
use crate::world::{World, children_count, soon};

#[tokio::test]
async fn no_change_of_many_is_lost() {
    let world = World::calm();
    let path = world.path("a/counter");
    let sessions = world.sessions(4).await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let counter = Counter::new(&sessions[number % 4], &path);
            tokio::spawn(async move {
                for round in 0..5 {
                    match round % 2 {
                        0 => counter.add(3).await.unwrap(),
                        _ => counter.add_once(3).await.unwrap(),
                    };
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    let counter = Counter::new(&sessions[0], &path);
    assert_eq!(counter.add(-20).await.unwrap(), 100);
    // The markers of what was added once go by themselves.
    children_count(&sessions[0], &path, 0).await;
}

#[tokio::test]
async fn compare_and_set_tells_whether_it_did() {
    let world = World::calm();
    let session = world.session().await;
    let value = AtomicValue::new(&session, &world.path("a/value"));
    assert_eq!(value.get().await.unwrap(), None);
    assert_eq!(value.compare_and_set(Some(0), "x").await.unwrap(), None, "it was never set");
    assert_eq!(value.compare_and_set(None, "one").await.unwrap(), Some(0));
    assert_eq!(value.compare_and_set(None, "two").await.unwrap(), None);
    assert_eq!(value.compare_and_set(Some(0), "two").await.unwrap(), Some(1));
    assert_eq!(value.compare_and_set(Some(0), "three").await.unwrap(), None);
    let appended = |old: Option<&[u8]>| [old.unwrap(), b"+"].concat();
    assert_eq!(value.update(appended).await.unwrap().data, "two+");
    let changed = value.update_once(appended).await.unwrap();
    assert_eq!((&changed.data[..], changed.version), (&b"two++"[..], 3));
    assert_eq!(value.get().await.unwrap(), Some(changed));
}

#[tokio::test]
async fn what_is_no_number_and_what_is_too_large_is_refused() {
    let world = World::calm();
    let session = world.session().await;
    let path = world.path("a/counter");
    let counter = Counter::new(&session, &path);
    assert_eq!(counter.get().await.unwrap(), 0);
    assert_eq!(counter.add_once(i64::MAX).await.unwrap(), i64::MAX);
    let error = counter.add(1).await.unwrap_err();
    let expected = CounterError::Overflow { path: path.clone(), value: i64::MAX, by: 1 };
    assert_eq!(error, expected);
    assert_eq!(
        error.to_string(),
        format!("{path}: {} +1 is beyond the range of a counter", i64::MAX)
    );
    session.set(&path, "ten").await.unwrap();
    let expected = CounterError::NotANumber { path: path.clone(), found: "ten".to_owned() };
    assert_eq!(counter.get().await.unwrap_err(), expected);
    assert_eq!(counter.add_once(1).await.unwrap_err(), expected);
    session.set(&path, "").await.unwrap();
    assert_eq!(counter.get().await.unwrap(), 0, "empty counts as not set");
}

/// Adds one and has the reply get lost, after the server has done it.
async fn add_without_reply(
    counter: &Counter,
    proxy: &Proxy,
    watcher: &tenure_client::Session,
    path: &str,
    once: bool,
) -> Result<i64, CounterError> {
    // No write of an earlier change is under way, which would be taken for this one's.
    children_count(watcher, path, 0).await;
    let (_, changed) = watcher.get(path).watch().await.unwrap();
    proxy.hold_replies_to_writes();
    let adding = tokio::spawn({
        let counter = counter.clone();
        async move { if once { counter.add_once(1).await } else { counter.add(1).await } }
    });
    soon(changed).await.unwrap();
    proxy.cut();
    proxy.heal();
    soon(adding).await.unwrap()
}

#[tokio::test]
async fn an_unknown_outcome_is_found_out_or_told() {
    let world = World::calm();
    let path = world.path("a/counter");
    let watcher = world.session().await;
    let (session, proxy) = world.proxied().await;
    let counter = Counter::new(&session, &path);
    counter.add(1).await.unwrap();
    let added = add_without_reply(&counter, &proxy, &watcher, &path, true).await;
    assert_eq!(added, Ok(2), "it happened, and this is known");
    let added = add_without_reply(&counter, &proxy, &watcher, &path, false).await;
    match added.unwrap_err() {
        CounterError::Error(error) => assert!(error.may_have_happened(), "{error}"),
        other => panic!("{other}"),
    }
    assert_eq!(counter.get().await.unwrap(), 3, "it did happen");
    assert!(session.is_valid());
    children_count(&watcher, &path, 0).await;
}

#[tokio::test]
async fn what_certainly_did_not_happen_is_tried_again() {
    let world = World::calm();
    let path = world.path("a/counter");
    let (session, proxy) = world.proxied().await;
    let counter = Counter::new(&session, &path);
    counter.add(1).await.unwrap();
    for (once, sum) in [(false, 2), (true, 3)] {
        // The write is lost before it reaches the server.
        proxy.hold_writes();
        let adding = tokio::spawn({
            let counter = counter.clone();
            async move { if once { counter.add_once(1).await } else { counter.add(1).await } }
        });
        soon(proxy.held()).await;
        proxy.cut();
        proxy.heal();
        assert_eq!(soon(adding).await.unwrap(), Ok(sum));
    }
    assert!(session.is_valid());
}
