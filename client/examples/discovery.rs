//! Instances of a service register, and a client follows which there are.
//!
//! `cargo run -p tenure-client --example discovery -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::Service;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let (server, client) = (Session::establish(&hosts).await?, Session::establish(&hosts).await?);
    let service = Service::new(&server, "/example/billing");
    let mut instances = Service::new(&client, "/example/billing").discover();
    let show = |instances: Option<Vec<tenure_client::recipe::Instance>>| {
        let all = instances.into_iter().flatten();
        println!("{:?}", all.map(|one| (one.id, one.payload)).collect::<Vec<_>>());
    };
    show(instances.next().await);
    let first = service.register("billing-1", "10.0.0.1:8080").await?;
    show(instances.next().await);
    let second = service.register("billing-2", "10.0.0.2:8080").await?;
    show(instances.next().await);
    first.set(first.path(), "10.0.0.1:9090").await?;
    show(instances.next().await);
    second.release().await?;
    show(instances.next().await);
    client.delete_all("/example").await?;
    Ok(())
}
