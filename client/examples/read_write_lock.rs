//! Two readers hold a read-write lock together; a writer waits for both, and a reader for the
//! writer.
//!
//! `cargo run -p tenure-client --example read_write_lock -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::ReadWriteLock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let session = Session::establish(&hosts).await?;
    let lock = ReadWriteLock::new(&session, "/example/catalogue");

    let (first, second) = (lock.read().await?, lock.read().await?);
    println!("two readers hold it: {} {}", first.is_held(), second.is_held());
    println!("a writer would have to wait: {}", lock.try_write().await?.is_none());

    let writing = tokio::spawn({
        let lock = lock.clone();
        async move { lock.write().await }
    });
    while lock.contenders().await?.len() < 3 {
        tokio::task::yield_now().await;
    }
    println!("behind a writer a reader waits too: {}", lock.try_read().await?.is_none());
    drop(first);
    drop(second);
    let writing = writing.await??;
    println!("the writer holds it, token {}", writing.token());
    writing.release().await?;
    session.delete_all("/example").await?;
    Ok(())
}
