//! Several sessions count together, and change a value together.
//!
//! `cargo run -p tenure-client --example counter -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::{AtomicValue, Counter};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let session = Session::establish(&hosts).await?;
        tasks.push(tokio::spawn(async move {
            let counter = Counter::new(&session, "/example/counter");
            for _ in 0..5 {
                counter.add_once(1).await?;
            }
            Ok::<(), tenure_client::recipe::CounterError>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let session = Session::establish(&hosts).await?;
    println!("counted to {}", Counter::new(&session, "/example/counter").get().await?);

    let value = AtomicValue::new(&session, "/example/value");
    value.update(|_| b"blue".to_vec()).await?;
    let seen = value.get().await?.expect("it was just set");
    println!(
        "set if still {:?}: {:?}",
        seen.data,
        value.compare_and_set(Some(seen.version), "red").await?
    );
    println!("and once more: {:?}", value.compare_and_set(Some(seen.version), "green").await?);
    session.delete_all("/example").await?;
    Ok(())
}
