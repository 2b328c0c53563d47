//! Items of a queue: one taken for good, one given back by a taker that crashes.
//!
//! `cargo run -p tenure-client --example queue -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::time::Duration;

use tenure_client::Session;
use tenure_client::recipe::Queue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let establish = || Session::builder(&hosts).timeout(Duration::from_secs(2)).establish();
    let (ada, bob) = (establish().await?, establish().await?);
    let queue = Queue::new(&ada, "/example/queue");
    for item in ["one", "two", "three"] {
        queue.put(item).await?;
    }
    println!("ada takes {:?}", queue.take().await?);

    let held = queue.take_locked().await?;
    println!("ada works on {:?} and crashes", held.data());
    ada.leave();

    let queue = Queue::new(&bob, "/example/queue");
    println!("bob takes {:?}", queue.take().await?);
    let again = queue.take_locked().await?;
    println!("bob gets {:?} once ada's session is over", again.data());
    again.consume().await?;
    println!("{} items are left", queue.count().await?);
    bob.delete_all("/example").await?;
    Ok(())
}
