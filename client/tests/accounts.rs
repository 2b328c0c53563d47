//! Why a session was lost, in the server's own words.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::time::Duration;

use tenure_client::{EndCause, LostReason, Moment, Session};
use tenure_testing::{Proxy, TestServer};

#[tokio::test]
async fn the_server_says_that_an_operator_closed_the_session() {
    let server = TestServer::start().unwrap();
    let session = Session::establish(&server.hosts()).await.unwrap();
    server.close_session(session.id()).unwrap();
    let LostReason::ClosedElsewhere { account } = session.lost().await else { panic!() };
    assert_eq!(account.cause, EndCause::ClosedByOperator);
    assert!(account.ended_at_ms > 1_700_000_000_000);
}

#[tokio::test]
async fn the_server_says_how_long_it_heard_nothing() {
    let server = TestServer::start().unwrap();
    let builder = Session::builder(&server.hosts()).timeout(Duration::from_secs(2));
    let session = builder.establish().await.unwrap();
    server.expire_session(session.id()).unwrap();
    let LostReason::Expired { account: Some(account) } = session.lost().await else { panic!() };
    assert_eq!((account.cause, account.silent), (EndCause::Expired, Some(Duration::from_secs(2))));
}

#[tokio::test]
async fn a_resume_of_what_the_client_itself_has_closed_says_so() {
    let server = TestServer::start().unwrap();
    let session = Session::establish(&server.hosts()).await.unwrap();
    let token = session.token().unwrap();
    session.close().await.unwrap();
    let again = Session::resume(&server.hosts(), token).await.unwrap_err();
    assert_eq!(again.to_string(), "no session: closed elsewhere: closed by its client");
}

#[tokio::test]
async fn behind_a_partition_the_client_knows_before_the_server() {
    let server = TestServer::start().unwrap();
    let network = Proxy::start(server.addr()).unwrap();
    let builder = Session::builder(&network.hosts()).timeout(Duration::from_millis(600));
    let holder = builder.establish().await.unwrap();
    holder.create("/lock", "").ephemeral().await.unwrap();
    let observer = Session::establish(&server.hosts()).await.unwrap();
    let (_, gone) = observer.exists("/lock").watch().await.unwrap();
    network.partition();
    let until = holder.valid_until().unwrap();
    let reason = holder.lost().await;
    assert!(matches!(reason, LostReason::DeadlinePassed { .. }), "{reason}");
    assert_eq!(gone.await.unwrap().path, "/lock");
    assert!(until < Moment::now(), "the holder had stopped to believe");
}
