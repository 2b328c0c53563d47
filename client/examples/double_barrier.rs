//! Three parties compute in rounds: nobody begins before all are there, nobody goes on before all
//! are done.
//!
//! `cargo run -p tenure-client --example double_barrier -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use tenure_client::Session;
use tenure_client::recipe::DoubleBarrier;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let mut parties = Vec::new();
    for number in 1..=3 {
        let session = Session::establish(&hosts).await?;
        parties.push(tokio::spawn(async move {
            let barrier = DoubleBarrier::new(&session, "/example/rounds", 3);
            for round in 1..=2 {
                let inside = barrier.enter().await?;
                println!("round {round}: party {number} computes");
                inside.leave().await?;
            }
            Ok::<(), tenure_client::Error>(())
        }));
    }
    for party in parties {
        party.await??;
    }
    Session::establish(&hosts).await?.delete_all("/example").await?;
    Ok(())
}
