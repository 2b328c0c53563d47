//! Watches of every kind.

use zookeeper_client::{AddWatchMode, Client, EventType};

use super::{Outcome, Report, next, once, path, persistent};

pub(crate) async fn check(client: &Client, other: &Client, report: &mut Report) {
    report.add("watch creation, data and deletion", one_shot(client, other).await);
    report.add("watch children", children(client, other).await);
    report.add("persistent watch", lasting(client, other).await);
    report.add("recursive watch", recursive(client, other).await);
    report.add("a dropped watch is removed", dropped(client, other).await);
}

async fn one_shot(client: &Client, other: &Client) -> Outcome {
    let node = &path("/watched");
    let (_, watcher) = client.check_and_watch_stat(node).await?;
    other.create(node, b"", &persistent()).await?;
    once(watcher, EventType::NodeCreated, node).await?;
    let (_, _, watcher) = client.get_and_watch_data(node).await?;
    other.set_data(node, b"new", None).await?;
    once(watcher, EventType::NodeDataChanged, node).await?;
    let (_, _, watcher) = client.get_and_watch_data(node).await?;
    other.delete(node, None).await?;
    once(watcher, EventType::NodeDeleted, node).await
}

async fn children(client: &Client, other: &Client) -> Outcome {
    let node = &path("/watched");
    client.create(node, b"", &persistent()).await?;
    let (_, watcher) = client.list_and_watch_children(node).await?;
    other.create(&format!("{node}/child"), b"", &persistent()).await?;
    once(watcher, EventType::NodeChildrenChanged, node).await?;
    let (_, _, watcher) = client.get_and_watch_children(node).await?;
    other.delete(&format!("{node}/child"), None).await?;
    once(watcher, EventType::NodeChildrenChanged, node).await?;
    Ok(client.delete(node, None).await?)
}

async fn lasting(client: &Client, other: &Client) -> Outcome {
    let node = &path("/lasting");
    let mut watcher = client.watch(node, AddWatchMode::Persistent).await?;
    for _ in 0..2 {
        other.create(node, b"", &persistent()).await?;
        next(&mut watcher, EventType::NodeCreated, node).await?;
        other.create(&format!("{node}/child"), b"", &persistent()).await?;
        next(&mut watcher, EventType::NodeChildrenChanged, node).await?;
        other.delete(&format!("{node}/child"), None).await?;
        next(&mut watcher, EventType::NodeChildrenChanged, node).await?;
        other.delete(node, None).await?;
        next(&mut watcher, EventType::NodeDeleted, node).await?;
    }
    Ok(())
}

async fn recursive(client: &Client, other: &Client) -> Outcome {
    let (node, child) = (&path("/below"), &path("/below/child"));
    let mut watcher = client.watch(node, AddWatchMode::PersistentRecursive).await?;
    other.create(node, b"", &persistent()).await?;
    next(&mut watcher, EventType::NodeCreated, node).await?;
    other.create(child, b"", &persistent()).await?;
    next(&mut watcher, EventType::NodeCreated, child).await?;
    other.set_data(child, b"x", None).await?;
    next(&mut watcher, EventType::NodeDataChanged, child).await?;
    other.delete(child, None).await?;
    next(&mut watcher, EventType::NodeDeleted, child).await
}

async fn dropped(client: &Client, other: &Client) -> Outcome {
    let node = &path("/below");
    drop(client.check_and_watch_stat(node).await?);
    drop(client.watch(node, AddWatchMode::Persistent).await?);
    other.set_data(node, b"unseen", None).await?;
    // The connection would break here if the server refused the removal.
    client.check_stat(node).await?;
    Ok(())
}
