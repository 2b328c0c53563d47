//! Caches: what they have in the end is what the server has, whatever happened in between.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use bytes::Bytes;
use tenure_client::recipe::{CacheChange, NodeCache, TreeCache};
use tenure_client::{ErrorCode, Session};

use crate::world::{World, soon};

/// The data of a subtree, as the server has it.
async fn read_tree(session: &Session, root: &str) -> BTreeMap<String, Bytes> {
    session.sync("/").await.unwrap();
    let mut tree = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        match session.get(&path).await {
            Ok(node) => tree.insert(path.clone(), node.data),
            Err(error) if error.is(ErrorCode::NoNode) => continue,
            Err(error) => panic!("{error}"),
        };
        let names = session.children(&path).await.unwrap().names;
        open.extend(names.into_iter().map(|name| format!("{path}/{name}")));
    }
    tree
}

fn cached(cache: &TreeCache) -> BTreeMap<String, Bytes> {
    cache.view().all().into_iter().map(|(path, node)| (path, node.data)).collect()
}

/// Applies changes to a mirror of one's own, each of which must make sense there.
fn apply(mirror: &mut BTreeMap<String, Bytes>, change: CacheChange) {
    match change {
        CacheChange::Added { path, node } => {
            assert!(mirror.insert(path.clone(), node.data).is_none(), "{path} was there");
        }
        CacheChange::Changed { path, node } => {
            assert!(mirror.insert(path.clone(), node.data).is_some(), "{path} was not there");
        }
        CacheChange::Removed { path, .. } => {
            assert!(mirror.remove(&path).is_some(), "{path} was not there");
        }
        CacheChange::Synced => {}
    }
}

#[tokio::test]
async fn a_node_cache_follows_one_znode_through_its_lives() {
    let world = World::calm();
    let path = world.path("a/config");
    let sessions = world.sessions(2).await;
    let mut cache = NodeCache::new(&sessions[0], &path);
    soon(cache.ready()).await.unwrap();
    assert_eq!(cache.current(), None);
    assert_eq!(soon(cache.next()).await, Some(CacheChange::Synced));
    sessions[1].create_all(&path).await.unwrap();
    assert!(matches!(soon(cache.next()).await, Some(CacheChange::Added { .. })));
    sessions[1].set(&path, "one").await.unwrap();
    let Some(CacheChange::Changed { path: changed, node }) = soon(cache.next()).await else {
        panic!("it was changed");
    };
    assert_eq!((changed.as_str(), &node.data[..]), (path.as_str(), &b"one"[..]));
    assert_eq!(cache.current(), Some(node));
    assert!(cache.view().is_current());
    // Children are nobody's business here.
    sessions[1].create(&format!("{path}/child"), "").await.unwrap();
    sessions[1].delete(&format!("{path}/child")).await.unwrap();
    sessions[1].delete(&path).await.unwrap();
    assert!(matches!(soon(cache.next()).await, Some(CacheChange::Removed { .. })));
    assert_eq!(cache.current(), None);
    sessions[0].close().await.unwrap();
    assert_eq!(soon(cache.next()).await, None);
    assert!(soon(cache.ready()).await.is_err());
    assert!(!cache.view().is_current());
}

#[tokio::test]
async fn an_answer_that_is_out_of_date_when_it_is_looked_at_is_asked_for_again() {
    let world = World::calm();
    let root = world.path("tree");
    let sessions = world.sessions(2).await;
    sessions[1].create_all(&root).await.unwrap();
    let mut cache = TreeCache::new(&sessions[0], &root);
    soon(cache.ready()).await.unwrap();
    while soon(cache.next()).await != Some(CacheChange::Synced) {}
    // It hears of a change and asks; if the answer is there in no time, once more.
    loop {
        sessions[1].set(&root, "one").await.unwrap();
        sessions[0].sync("/").await.unwrap();
        if pin!(cache.next()).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            break;
        }
    }
    sessions[0].sync("/").await.unwrap();
    // The answer is here, and the next change as well, before it looks at either.
    sessions[1].set(&root, "two").await.unwrap();
    sessions[0].sync("/").await.unwrap();
    while cache.view().get(&root).unwrap().data != "two" {
        soon(cache.next()).await.unwrap();
    }
    sessions[1].delete(&root).await.unwrap();
    let change = soon(cache.next()).await;
    assert!(matches!(change, Some(CacheChange::Removed { .. })), "{change:?}");
}

#[tokio::test]
async fn a_tree_cache_has_what_was_there_and_what_comes() {
    let world = World::calm();
    let root = world.path("tree");
    let sessions = world.sessions(2).await;
    sessions[1].create_all(&format!("{root}/a/b")).await.unwrap();
    sessions[1].create(&format!("{root}/a-b"), "beside").await.unwrap();
    let mut cache = TreeCache::new(&sessions[0], &root);
    soon(cache.ready()).await.unwrap();
    assert_eq!(cached(&cache), read_tree(&sessions[1], &root).await);
    assert_eq!(cache.view().children(&root), ["a", "a-b"]);
    assert_eq!(cache.view().children(&format!("{root}/a")), ["b"]);
    sessions[1].create(&format!("{root}/a/b/c"), "new").await.unwrap();
    sessions[1].delete(&format!("{root}/a-b")).await.unwrap();
    let mut mirror = BTreeMap::new();
    while mirror.len() != 4 || mirror.contains_key(&format!("{root}/a-b")) {
        apply(&mut mirror, soon(cache.next()).await.unwrap());
    }
    assert_eq!(mirror, read_tree(&sessions[1], &root).await);
    assert_eq!(cached(&cache), mirror);
    assert_eq!(&cache.view().get(&format!("{root}/a/b/c")).unwrap().data[..], b"new");
}

#[tokio::test]
async fn a_tree_cache_is_right_again_after_its_link_was_lost_during_changes() {
    let world = World::calm();
    let root = world.path("tree");
    let writer = world.session().await;
    for number in 0..300 {
        writer.create_all(&format!("{root}/{}/{number}", number % 7)).await.unwrap();
    }
    let (session, proxy) = world.proxied().await;
    let mut cache = TreeCache::new(&session, &root);
    let mut mirror = BTreeMap::new();
    soon(cache.ready()).await.unwrap();
    for round in 0..4 {
        proxy.hold_replies();
        writer.delete_all(&format!("{root}/{round}")).await.unwrap();
        writer.create_all(&format!("{root}/{round}/again/{round}")).await.unwrap();
        writer.set(&format!("{root}/6"), &format!("{round}")).await.unwrap();
        proxy.cut();
        proxy.heal();
        let expected = read_tree(&writer, &root).await;
        while mirror != expected {
            apply(&mut mirror, soon(cache.next()).await.expect("the session lives"));
        }
        assert_eq!(cached(&cache), expected);
    }
    assert!(session.is_valid());
}

#[tokio::test]
async fn a_tree_cache_and_its_changes_agree_with_the_server_under_a_storm() {
    let world = World::calm();
    let root = world.path("tree");
    let writers = world.sessions(2).await;
    writers[0].create_all(&root).await.unwrap();
    let (session, proxy) = world.proxied().await;
    let mut cache = TreeCache::new(&session, &root);
    let mut mirror = BTreeMap::new();
    let storm: Vec<_> = (0..2_usize)
        .map(|index| {
            let (writer, root) = (writers[index].clone(), root.clone());
            tokio::spawn(async move {
                for number in 0..400_usize {
                    let path = format!("{root}/{}", (number * 7 + index) % 5);
                    let below = format!("{path}/{}", number % 3);
                    // Most of these fail: that others are faster is the point.
                    let _ = match number % 4 {
                        0 => writer.create(&path, "").send().await.map(drop),
                        1 => writer.create(&below, "").send().await.map(drop),
                        2 => writer.set(&path, &number.to_string()).send().await.map(drop),
                        _ => match writer.delete(&below).send().await {
                            Ok(()) => writer.delete(&path).send().await,
                            failed => failed,
                        },
                    };
                }
            })
        })
        .collect();
    let mut taken = 0;
    let mut storm = pin!(async {
        for writer in storm {
            soon(writer).await.unwrap();
        }
    });
    loop {
        tokio::select! {
            change = cache.next() => {
                apply(&mut mirror, change.expect("the session lives"));
                taken += 1;
                if taken == 100 {
                    proxy.cut();
                }
            }
            () = &mut storm => break,
        }
    }
    writers[0].set(&root, "the last change").await.unwrap();
    let expected = read_tree(&writers[0], &root).await;
    while mirror != expected {
        apply(&mut mirror, soon(cache.next()).await.expect("the session lives"));
    }
    assert_eq!(cached(&cache), expected);
    assert!(taken > 100, "{taken} changes were seen");
}

#[tokio::test]
async fn waiting_for_a_change_may_be_given_up_and_taken_up_again() {
    let world = World::calm();
    let root = world.path("tree");
    let session = world.session().await;
    for number in 0..50 {
        session.create_all(&format!("{root}/{number}")).await.unwrap();
    }
    let mut cache = TreeCache::new(&session, &root);
    let mut mirror = BTreeMap::new();
    while mirror.len() < 51 {
        tokio::select! {
            biased;
            change = cache.next() => apply(&mut mirror, change.unwrap()),
            () = tokio::task::yield_now() => {}
        }
    }
    let view = cache.view();
    let running = tokio::spawn(async move { cache.run().await });
    session.close().await.unwrap();
    assert!(matches!(soon(running).await.unwrap(), tenure_client::LostReason::Closed));
    assert!(!view.is_current());
}
