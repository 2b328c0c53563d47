//! Two candidates and an observer: the first leader crashes, and the second leads as soon as the
//! session of the first is over.
//!
//! `cargo run -p tenure-client --example election -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::time::Duration;

use tenure_client::Session;
use tenure_client::recipe::Election;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let establish = || Session::builder(&hosts).timeout(Duration::from_secs(2)).establish();
    let (ada, bob, eve) = (establish().await?, establish().await?, establish().await?);

    let mut observer = Election::new(&eve, "/example/leader").observe();
    println!("eve sees: {:?}", observer.next().await?.map(|leader| leader.candidate));

    let first = Election::new(&ada, "/example/leader").candidate("ada").campaign().await?;
    println!("eve sees: {:?}", observer.next().await?.map(|leader| leader.candidate));

    let campaign = tokio::spawn({
        let election = Election::new(&bob, "/example/leader").candidate("bob");
        async move { election.campaign().await }
    });
    println!("ada crashes: nobody closes her session");
    ada.leave();
    println!("ada stops leading: {}", first.lost().await);
    let second = campaign.await??;
    println!("bob leads, token {} after {}", second.token(), first.token());
    println!("eve sees: {:?}", observer.next().await?.map(|leader| leader.candidate));
    second.release().await?;
    println!("eve sees: {:?}", observer.next().await?.map(|leader| leader.candidate));
    eve.delete_all("/example").await?;
    Ok(())
}
