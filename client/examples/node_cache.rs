//! A configuration znode is kept in memory, through its changes and its end.
//!
//! `cargo run -p tenure-client --example node_cache -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::NodeCache;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let session = Session::establish(&hosts).await?;
    session.create_all("/example/config").await?;
    let mut cache = NodeCache::new(&session, "/example/config");
    cache.ready().await?;
    println!("at first: {:?}", cache.current().map(|node| node.data));
    session.set("/example/config", "verbose").await?;
    while cache.current().is_some_and(|node| node.data != "verbose") {
        cache.next().await;
    }
    println!("then: {:?}", cache.current().map(|node| node.data));
    session.delete_all("/example").await?;
    while cache.current().is_some() {
        cache.next().await;
    }
    println!("in the end: {:?}", cache.current().map(|node| node.data));
    Ok(())
}
