//! Two workers take a lock in turn; the second is told when it holds, and writes under its guard.
//!
//! `cargo run -p tenure-client --example lock -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::{FencingGate, Lock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let (ada, bob) = (Session::establish(&hosts).await?, Session::establish(&hosts).await?);
    let storage = FencingGate::new();
    bob.create_all("/example/report").await?;

    let first = Lock::new(&ada, "/example/lock").holder("ada").acquire().await?;
    println!("ada holds {} with token {}", first.path(), first.token());
    storage.verify(first.token())?;

    let lock = Lock::new(&bob, "/example/lock").holder("bob");
    let waiting = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    while lock.contenders().await?.len() < 2 {
        tokio::task::yield_now().await;
    }
    for contender in lock.contenders().await? {
        println!("in line: {} of session {}", contender.holder, contender.session);
    }

    let late = first.token();
    first.release().await?;
    let second = waiting.await??;
    println!("bob holds it with token {}", second.token());
    storage.verify(second.token())?;
    println!("a late write of ada's: {}", storage.verify(late).expect_err("bob has held it since"));

    // Writes to the service need no gate: they fail there if the lock is not held any more.
    second.set("/example/report", "by bob").await?;
    bob.delete(second.path()).await?;
    println!("somebody deleted bob's znode: {}", second.lost().await);
    if let Err(error) = second.set("/example/report", "late").await {
        println!("bob's next write: {error}");
    }
    bob.delete_all("/example").await?;
    Ok(())
}
