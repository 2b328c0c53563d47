//! Workers wait at a barrier until somebody lifts it.
//!
//! `cargo run -p tenure-client --example barrier -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::Barrier;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let session = Session::establish(&hosts).await?;
    let barrier = Barrier::new(&session, "/example/barrier");
    barrier.set().await?;
    let workers: Vec<_> = (1..=3)
        .map(|number| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                println!("worker {number} waits");
                barrier.wait().await.map(|()| println!("worker {number} goes on"))
            })
        })
        .collect();
    tokio::task::yield_now().await;
    session.sync("/").await?;
    println!("the barrier is lifted");
    barrier.lift().await?;
    for worker in workers {
        worker.await??;
    }
    session.delete_all("/example").await?;
    Ok(())
}
