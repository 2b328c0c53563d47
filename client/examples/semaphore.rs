//! Five jobs share two leases of a semaphore.
//!
//! `cargo run -p tenure-client --example semaphore -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Duration;

use tenure_client::Session;
use tenure_client::recipe::Semaphore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let session = Session::establish(&hosts).await?;
    let two = NonZeroUsize::new(2).expect("two is not zero");
    let jobs: Vec<_> = (1..=5)
        .map(|number| {
            let semaphore = Semaphore::new(&session, "/example/exports", two);
            tokio::spawn(async move {
                let lease = semaphore.acquire().await?;
                println!("job {number} begins");
                let work = tokio::time::sleep(Duration::from_millis(200));
                if let Err(loss) = lease.run_while_held(work).await {
                    println!("job {number} stopped: {loss}");
                }
                println!("job {number} ends");
                lease.release().await
            })
        })
        .collect();
    for job in jobs {
        job.await??;
    }
    session.delete_all("/example").await?;
    Ok(())
}
