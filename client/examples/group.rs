//! Members of a group come and go, and an observer follows.
//!
//! `cargo run -p tenure-client --example group -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::Group;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let (ada, bob) = (Session::establish(&hosts).await?, Session::establish(&hosts).await?);
    let eve = Session::establish(&hosts).await?;
    let mut changes = Group::new(&eve, "/example/group").changes();
    let names = |members: Vec<tenure_client::recipe::Member>| {
        members.into_iter().map(|member| member.name).collect::<Vec<_>>()
    };
    println!("members: {:?}", names(changes.next().await?));
    let first = Group::new(&ada, "/example/group").join("ada", "10.0.0.1:80").await?;
    println!("members: {:?}", names(changes.next().await?));
    let second = Group::new(&bob, "/example/group").join("bob", "10.0.0.2:80").await?;
    println!("members: {:?}", names(changes.next().await?));
    first.release().await?;
    println!("members: {:?}", names(changes.next().await?));
    bob.close().await?;
    println!("bob is lost: {}", second.lost().await);
    println!("members: {:?}", names(changes.next().await?));
    eve.delete_all("/example").await?;
    Ok(())
}
