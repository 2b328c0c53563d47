//! Access control and the ends of sessions.

use zookeeper_client::{Acl, Acls, AuthUser, Client, CreateMode, Error, EventType, Permission};

use super::{OPEN, Outcome, Report, connect, equal, once, path, persistent, refused};

pub(crate) async fn check(client: &Client, other: &Client, address: &str, report: &mut Report) {
    report.add("acl of the creator", creator(client, other).await);
    report.add("acl is read and set", read_and_set(client, other).await);
    report.add("auth given at the start", at_the_start(client, address).await);
    report.add("ephemerals vanish with their session", vanish(client, address).await);
    report.add("a session moves to another client", moves(client, address).await);
}

async fn creator(client: &Client, other: &Client) -> Outcome {
    client.auth("digest", b"user:pw").await?;
    let users = client.list_auth_users().await?;
    equal("digest user", users.contains(&AuthUser::new("digest", "user")), true)?;
    let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
    client.create(&path("/mine"), b"m", &mine).await?;
    equal("data", client.get_data(&path("/mine")).await?.0, b"m".to_vec())?;
    refused(other.get_data(&path("/mine")).await, Error::NoAuth)?;
    refused(other.set_data(&path("/mine"), b"", None).await, Error::NoAuth)
}

async fn read_and_set(client: &Client, other: &Client) -> Outcome {
    let node = &path("/mine");
    let (mut acls, stat) = client.get_acl(node).await?;
    equal("scheme", acls[0].scheme(), "digest")?;
    equal("aversion", stat.aversion, 0)?;
    acls.push(Acl::new_const(Permission::READ, "world", "anyone"));
    equal("aversion", client.set_acl(node, &acls, Some(0)).await?.aversion, 1)?;
    refused(client.set_acl(node, &acls, Some(0)).await, Error::BadVersion)?;
    equal("data", other.get_data(node).await?.0, b"m".to_vec())?;
    refused(other.set_acl(node, &acls, None).await, Error::NoAuth)
}

async fn at_the_start(client: &Client, address: &str) -> Outcome {
    let third = Client::connector().with_auth("digest", b"user:pw").connect(address).await?;
    third.set_data(&path("/mine"), b"theirs", None).await?;
    equal("data", client.get_data(&path("/mine")).await?.0, b"theirs".to_vec())
}

async fn vanish(client: &Client, address: &str) -> Outcome {
    let third = connect(address).await?;
    let node = &path("/theirs");
    third.create(node, b"", &CreateMode::Ephemeral.with_acls(OPEN)).await?;
    let (stat, watcher) = client.check_and_watch_stat(node).await?;
    equal("exists", stat.is_some(), true)?;
    drop(third);
    once(watcher, EventType::NodeDeleted, node).await
}

async fn moves(client: &Client, address: &str) -> Outcome {
    let connector = Client::connector().with_detached();
    let third = connector.connect(address).await?;
    let node = &path("/moved");
    let (made, _) = third.create(node, b"", &CreateMode::Ephemeral.with_acls(OPEN)).await?;
    let fourth = Client::connector().with_session(third.into_session()).connect(address).await?;
    equal("session", fourth.session_id().0, made.ephemeral_owner)?;
    fourth.create(&path("/kept"), b"", &persistent()).await?;
    let (stat, watcher) = client.check_and_watch_stat(node).await?;
    equal("exists", stat.is_some(), true)?;
    drop(fourth);
    once(watcher, EventType::NodeDeleted, node).await
}
