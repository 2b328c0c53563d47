//! Creating, reading, changing and deleting znodes, alone and together.

use std::time::Duration;

use zookeeper_client::{Client, CreateMode, Error, MultiWriteError, MultiWriteResult};

use super::{OPEN, Outcome, Report, equal, path, persistent, refused};

pub(crate) async fn check(client: &Client, report: &mut Report) {
    report.add("create persistent", create_persistent(client).await);
    report.add("create ephemeral", create_ephemeral(client).await);
    report.add("create sequential", create_sequential(client).await);
    report.add("create container and TTL", create_container_and_ttl(client).await);
    report.add("create refuses", create_refuses(client).await);
    report.add("set and get", set_and_get(client).await);
    report.add("delete", delete(client).await);
    report.add("children", children(client).await);
    report.add("many requests in flight", in_flight(client).await);
    report.add("multi", multi(client).await);
    report.add("multi fails as a whole", multi_fails(client).await);
    report.add("multi of reads", multi_read(client).await);
}

async fn create_persistent(client: &Client) -> Outcome {
    let (stat, _) = client.create(&path("/persistent"), b"first", &persistent()).await?;
    equal("length", stat.data_length, 5)?;
    let (data, read) = client.get_data(&path("/persistent")).await?;
    equal("data", data, b"first".to_vec())?;
    equal("stat", read, stat)
}

async fn create_ephemeral(client: &Client) -> Outcome {
    let ephemeral = CreateMode::Ephemeral.with_acls(OPEN);
    let (stat, _) = client.create(&path("/ephemeral"), b"", &ephemeral).await?;
    equal("owner", stat.ephemeral_owner, client.session_id().0)?;
    let child = client.create(&path("/ephemeral/child"), b"", &persistent()).await;
    refused(child, Error::NoChildrenForEphemerals)
}

async fn create_sequential(client: &Client) -> Outcome {
    client.create(&path("/queue"), b"", &persistent()).await?;
    let sequential = CreateMode::PersistentSequential.with_acls(OPEN);
    let (_, first) = client.create(&path("/queue/n-"), b"", &sequential).await?;
    equal("first", first.into_i64(), 0)?;
    let sequential = CreateMode::EphemeralSequential.with_acls(OPEN);
    let (_, second) = client.create(&path("/queue/n-"), b"", &sequential).await?;
    equal("second", second.to_string().as_str(), "0000000001")
}

async fn create_container_and_ttl(client: &Client) -> Outcome {
    let container = CreateMode::Container.with_acls(OPEN);
    client.create(&path("/container"), b"", &container).await?;
    let hour = Duration::from_secs(3600);
    let lasting = persistent().with_ttl(hour);
    client.create(&path("/ttl"), b"", &lasting).await?;
    let lasting = CreateMode::PersistentSequential.with_acls(OPEN).with_ttl(hour);
    client.create(&path("/ttl-"), b"", &lasting).await?;
    Ok(())
}

async fn create_refuses(client: &Client) -> Outcome {
    refused(client.create(&path("/queue"), b"", &persistent()).await, Error::NodeExists)?;
    refused(client.create(&path("/no/parent"), b"", &persistent()).await, Error::NoNode)
}

async fn set_and_get(client: &Client) -> Outcome {
    let file = &path("/persistent");
    equal("version", client.set_data(file, b"new", Some(0)).await?.version, 1)?;
    equal("data", client.get_data(file).await?.0, b"new".to_vec())?;
    refused(client.set_data(file, b"", Some(0)).await, Error::BadVersion)?;
    refused(client.get_data(&path("/none")).await, Error::NoNode)?;
    equal("stat", client.check_stat(&path("/none")).await?, None)
}

async fn delete(client: &Client) -> Outcome {
    refused(client.delete(&path("/queue"), None).await, Error::NotEmpty)?;
    client.create(&path("/gone"), b"", &persistent()).await?;
    refused(client.delete(&path("/gone"), Some(1)).await, Error::BadVersion)?;
    client.delete(&path("/gone"), Some(0)).await?;
    refused(client.delete(&path("/gone"), None).await, Error::NoNode)
}

async fn children(client: &Client) -> Outcome {
    let (mut names, stat) = client.get_children(&path("/queue")).await?;
    names.sort();
    equal("names", names, vec!["n-0000000000".to_owned(), "n-0000000001".to_owned()])?;
    equal("number", stat.num_children, 2)?;
    equal("descendants", client.count_descendants_number(&path("/queue")).await?, 2)?;
    let ephemerals = client.list_ephemerals(&path("/queue")).await?;
    equal("ephemerals", ephemerals, vec![path("/queue/n-0000000001")])?;
    Ok(client.sync(&path("/queue")).await?)
}

async fn in_flight(client: &Client) -> Outcome {
    let file = path("/queue");
    let sent: Vec<_> = (0..500).map(|_| client.set_data(&file, b"x", None)).collect();
    for (number, answer) in sent.into_iter().enumerate() {
        equal("version", answer.await?.version, 1 + number as i32)?;
    }
    Ok(())
}

async fn multi(client: &Client) -> Outcome {
    let node = &path("/multi");
    let mut writer = client.new_multi_writer();
    writer.add_create(node, b"m", &persistent())?;
    writer.add_set_data(node, b"M", Some(0))?;
    writer.add_check_version(node, 1)?;
    let sequential = CreateMode::PersistentSequential.with_acls(OPEN);
    writer.add_create(&format!("{node}/n-"), b"", &sequential)?;
    writer.add_delete(&format!("{node}/n-0000000000"), None)?;
    let results = writer.commit().await?;
    let MultiWriteResult::SetData { stat } = &results[1] else {
        return Err(format!("{results:?}").into());
    };
    equal("version", stat.version, 1)?;
    let MultiWriteResult::Create { path, .. } = &results[3] else {
        return Err(format!("{results:?}").into());
    };
    equal("created", path.clone(), format!("{node}/n-0000000000"))
}

async fn multi_fails(client: &Client) -> Outcome {
    let node = &path("/multi");
    let mut writer = client.new_multi_writer();
    writer.add_set_data(node, b"lost", None)?;
    writer.add_check_version(node, 9)?;
    writer.add_delete(node, None)?;
    let failed = MultiWriteError::OperationFailed { index: 1, source: Error::BadVersion };
    equal("answer", writer.commit().await, Err(failed))?;
    equal("data", client.get_data(node).await?.0, b"M".to_vec())
}

async fn multi_read(client: &Client) -> Outcome {
    let mut reader = client.new_multi_reader();
    reader.add_get_data(&path("/multi"))?;
    reader.add_get_children(&path("/queue"))?;
    reader.add_get_data(&path("/none"))?;
    let results = reader.commit().await?;
    equal("number", results.len(), 3)?;
    let text = format!("{results:?}");
    equal("error is told", text.contains("NoNode"), true)?;
    equal("children are told", text.contains("n-0000000001"), true)
}
