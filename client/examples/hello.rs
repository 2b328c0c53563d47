//! Establishes a session, makes an ephemeral, reads it back, and closes.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use tenure_client::{EventKind, Session, WatchMode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let session = Session::builder(&hosts).timeout(Duration::from_secs(4)).establish().await?;
    println!("session {} at {:?}: {}", session.id(), session.server(), session.state());
    let mut watch = session.watch("/", WatchMode::Recursive).await?;
    let created = session.create("/hello-", "world").ephemeral().sequential().await?;
    let node = session.get(&created.path).await?;
    println!("{} = {:?}, version {}", created.path, node.data, node.stat.version);
    while let Some(event) = watch.next().await {
        println!("{:?} {}", event.kind, event.path);
        if event.kind == EventKind::Created {
            break;
        }
    }
    println!("valid for another {:?}", session.valid_until().map(|until| until.remaining()));
    session.close().await?;
    println!("{}: {}", session.state(), session.liveness());
    Ok(())
}
