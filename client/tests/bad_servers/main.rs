//! Servers that are none, or bad ones: each mistake of theirs is a typed error that names it, and
//! nothing hangs, panics, spins or is left behind.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod fake;
mod handshakes;
mod leaks;
mod replies;

use std::future::IntoFuture;
use std::time::Duration;

use tenure_client::{EstablishError, LinkFault, LostReason, SessionBuilder};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<F: IntoFuture>(future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("no outcome within {} s", PATIENCE.as_secs()),
    }
}

/// Why no session came about within a limit.
async fn not_established(builder: SessionBuilder, limit: Duration) -> Option<LinkFault> {
    let since = std::time::Instant::now();
    let failed = within(builder.establish_timeout(limit).establish()).await.unwrap_err();
    let EstablishError::Lost(LostReason::NotEstablished { after, cause }) = failed else {
        panic!("{failed}")
    };
    assert_eq!(after, limit);
    assert!(since.elapsed() < limit + Duration::from_secs(5), "{:?}", since.elapsed());
    cause
}
