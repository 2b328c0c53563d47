//! A subtree is kept in memory by a task of its own, and read from another.
//!
//! `cargo run -p tenure-client --example tree_cache -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::{CacheChange, TreeCache};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let session = Session::establish(&hosts).await?;
    for path in ["/example/app/limits", "/example/app/features/dark"] {
        session.create_all(path).await?;
    }
    let mut cache = TreeCache::new(&session, "/example/app");
    cache.ready().await?;
    let view = cache.view();
    println!("children: {:?}", view.children("/example/app"));

    let following = tokio::spawn(async move {
        while let Some(change) = cache.next().await {
            match change {
                CacheChange::Added { path, .. } => println!("added {path}"),
                CacheChange::Changed { path, node } => println!("changed {path}: {:?}", node.data),
                CacheChange::Removed { path, .. } => println!("removed {path}"),
                CacheChange::Synced => println!("caught up"),
            }
        }
    });
    session.set("/example/app/limits", "100").await?;
    session.create("/example/app/features/light", "").await?;
    session.delete("/example/app/features/dark").await?;
    while view.get("/example/app/features/dark").is_some() {
        tokio::task::yield_now().await;
    }
    println!("current: {}, {:?}", view.is_current(), view.children("/example/app/features"));
    session.delete_all("/example").await?;
    session.close().await?;
    following.await?;
    Ok(())
}
