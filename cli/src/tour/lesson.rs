//! The steps of the tour. Each explains a claim, lets it happen, and fails if it does not.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tenure_client::{
    EndCause, ErrorCode, EstablishError, Liveness, LostReason, Moment, Session, SessionToken, State,
};
use tenure_testing::{Proxy, TestServer};
use tokio::time::sleep;

use super::actor::{Actor, TIMEOUT};
use super::lock::{Ticket, see_end, watch_end};
use super::stage::Stage;
use crate::session::admin::Admin;

/// Alice's sign of life.
const ALICE: &str = "/workers/alice";

/// How much later than due a session may end before the tour calls it late. Measured lateness is a
/// few milliseconds; this leaves room for machines that are busy with other things.
const LATE: Duration = Duration::from_secs(1);

/// Runs all steps; the server and its data are gone afterwards, however it ends.
pub(super) async fn run(stage: &mut Stage) -> Result<()> {
    let server = TestServer::builder().admin(true).start()?;
    let folder = server.folder().to_path_buf();
    stage.says(&format!(
        "The life of a session, on a server of the tour's own: {}, with its data in {}.\n\
         Times are in milliseconds since the start.",
        server.addr(),
        folder.display()
    ))?;
    steps(stage, &server).await?;
    server.stop()?;
    drop(server);
    ensure!(!folder.exists(), "{} should be gone", folder.display());
    stage.says(
        "\nThat is the life of a session. The server and its data are gone.\n\
         Next: docs/sessions.md explains it all, `tenure serve` starts a server that stays,\n\
         `tenure shell` talks to it, `tenure session watch` follows its sessions.",
    )?;
    Ok(())
}

async fn steps(stage: &mut Stage, server: &TestServer) -> Result<()> {
    let network = || Proxy::start(server.addr()).context("the tour's network");
    let (alices, bobs, others) = (network()?, network()?, network()?);
    let admin = server.admin_addr().context("the tour's server has no admin HTTP")?;
    let admin = Admin::new(&admin.to_string(), None)?;

    let mut alice = establish(stage, &alices).await?;
    let mut bob = show_ephemeral(stage, &alice, &bobs).await?;
    let (first, second) = queue_up(stage, &alice, &bob).await?;
    cut_link(stage, &mut alice, &alices, &bob).await?;
    let token = alice.session.token().context("alice has no token")?;
    crash(stage, alice, &first, &bob, &second).await?;
    ask_why(stage, &admin, &alices, token).await?;
    let carol = partition(stage, &mut bob, &bobs, &second, &others).await?;
    refuse_credentials(stage, &others).await?;
    close(stage, carol, &admin).await
}

async fn establish(stage: &mut Stage, network: &Proxy) -> Result<Actor> {
    stage
        .step(
            "A session is established",
            "A session is an agreement with the service: as long as you hear from me in time, I\n\
             am alive. Alice asks for one with a timeout of 2 seconds.",
        )
        .await?;
    let (alice, states) = Actor::establish("alice", network, stage).await?;
    let expected = [State::NotConnected, State::Connecting, State::Connected];
    ensure!(states == expected, "expected {expected:?}, saw {states:?}");
    let (id, timeout) = (alice.session.id(), alice.session.timeout().as_millis());
    stage.fact(alice.name, &format!("has session {id}; timeout {timeout} ms"))?;
    Ok(alice)
}

async fn show_ephemeral(stage: &mut Stage, alice: &Actor, network: &Proxy) -> Result<Actor> {
    stage
        .step(
            "An ephemeral znode shows that she is there",
            "An ephemeral znode lives exactly as long as the session that made it. Whoever sees\n\
             Alice's knows that she is alive, as Bob does.",
        )
        .await?;
    alice.session.create("/workers", "").await?;
    alice.session.create(ALICE, "busy").ephemeral().await?;
    stage.fact(alice.name, &format!("creates {ALICE}, ephemeral"))?;
    let (bob, _) = Actor::establish("bob", network, stage).await?;
    let node = bob.session.get(ALICE).await?;
    let id = alice.session.id();
    ensure!(node.stat.ephemeral_owner == id.0, "{ALICE} should belong to {id}: {:?}", node.stat);
    let data = String::from_utf8_lossy(&node.data);
    stage.fact(bob.name, &format!("sees {ALICE} = {data:?}, owned by session {id}"))?;
    Ok(bob)
}

async fn queue_up(stage: &mut Stage, alice: &Actor, bob: &Actor) -> Result<(Ticket, Ticket)> {
    stage
        .step(
            "A lock is a queue of ephemeral znodes",
            "Whoever wants the lock makes an ephemeral znode with a number, a ticket. The lowest\n\
             number holds the lock; everybody else watches the ticket before their own.",
        )
        .await?;
    alice.session.create("/lock", "").await?;
    let first = Ticket::take(alice, stage).await?;
    let second = Ticket::take(bob, stage).await?;
    ensure!(first.holds(alice).await?, "alice came first and should hold the lock");
    ensure!(!second.holds(bob).await?, "bob came second and should not hold the lock");
    Ok((first, second))
}

async fn cut_link(
    stage: &mut Stage,
    alice: &mut Actor,
    network: &Proxy,
    bob: &Actor,
) -> Result<()> {
    stage
        .step(
            "The connection breaks, the session does not",
            "Alice's network fails. Her session is at risk now, not over: she knows for how long\n\
             it certainly lives. The network comes back in time, and she resumes the same session.",
        )
        .await?;
    let (id, before) = (alice.session.id(), bob.session.get(ALICE).await?.stat);
    network.refuse();
    network.cut();
    stage.fact("network", "alice's connection is cut")?;
    let at_risk = |liveness: &Liveness| matches!(liveness, Liveness::AtRisk { .. });
    alice.until(stage, "is at risk", |change| at_risk(&change.liveness)).await?;
    for _ in 0..2 {
        alice.live(stage, TIMEOUT / 8).await?;
        let left = alice.valid_until()?.remaining().as_millis();
        ensure!(left > 0, "alice's session ended while the network was to come back");
        stage.fact(alice.name, &format!("still cut off; certain to live for another {left} ms"))?;
    }
    let seen = bob.session.get(ALICE).await?.stat;
    ensure!(seen == before, "{ALICE} should be as it was: {seen:?}");
    stage.fact(bob.name, &format!("still sees {ALICE}"))?;
    network.accept();
    stage.fact("network", "is back")?;
    alice.until(stage, "gets its session back", |change| change.liveness == Liveness::Live).await?;
    let after = bob.session.get(ALICE).await?.stat;
    ensure!(alice.session.id() == id, "alice should have session {id} again");
    ensure!(after == before, "{ALICE} should be as it was: {after:?}");
    stage.fact(alice.name, &format!("has session {id} again; {ALICE} was never gone"))?;
    Ok(())
}

async fn crash(
    stage: &mut Stage,
    alice: Actor,
    first: &Ticket,
    bob: &Actor,
    second: &Ticket,
) -> Result<()> {
    stage
        .step(
            "A client crashes, and its session expires",
            "Alice's process dies. Nobody closed the session, so the service waits for the whole\n\
             timeout, not less and hardly more. Then everything ephemeral of hers goes, in one\n\
             change, and the lock passes on to Bob.",
        )
        .await?;
    let ticket_gone = watch_end(bob, &first.path).await?;
    let worker_gone = watch_end(bob, ALICE).await?;
    let sent = Moment::now();
    alice.session.set("/workers", "alice was here").await?;
    alice.session.leave();
    ensure!(alice.session.lost().await == LostReason::Left, "alice should have hung up");
    stage.fact(alice.name, "crashes: it hangs up without closing its session")?;
    sleep(TIMEOUT / 2).await;
    ensure!(bob.session.exists(ALICE).await?.is_some(), "{ALICE} vanished before its time");
    ensure!(!second.holds(bob).await?, "the lock passed on before its time");
    let since = Moment::now().since(sent).as_millis();
    stage.fact(bob.name, &format!("{since} ms after her last word: still sees {ALICE}"))?;
    let (one, at) = see_end(bob, stage, ticket_gone, &first.path).await?;
    let (other, _) = see_end(bob, stage, worker_gone, ALICE).await?;
    ensure!(one.zxid == other.zxid, "one change should have deleted both: {one:?}, {other:?}");
    let since = at.since(sent);
    ensure!(since >= TIMEOUT, "expired early: {since:?} after alice was last heard");
    let late = since - TIMEOUT;
    ensure!(late <= LATE, "expired {late:?} late");
    stage.fact(bob.name, &format!("that was {} ms after her timeout", late.as_millis()))?;
    second.must_hold(bob, stage).await
}

async fn ask_why(
    stage: &mut Stage,
    admin: &Admin,
    network: &Proxy,
    token: SessionToken,
) -> Result<()> {
    stage
        .step(
            "Why did it end?",
            "The server remembers every end and its reason. `tenure session list --ended` asks\n\
             it; so does Alice's next process, which shows the token of the session that is gone.",
        )
        .await?;
    let id = token.id();
    let account = ended(admin, &id.to_string())?;
    ensure!(account["ended_by"] == "server", "the server should have ended it: {account}");
    let silent_ms = account["silent_ms"].as_u64();
    let is_due = silent_ms.is_some_and(|ms| u128::from(ms) >= TIMEOUT.as_millis());
    ensure!(is_due, "it should have been silent for its timeout: {account}");
    let paths = &account["ephemeral_paths"];
    ensure!(paths.as_array().is_some_and(|paths| paths.len() == 2), "two ephemerals: {account}");
    let reason = account["reason"].as_str().unwrap_or_default();
    stage.fact("server", &format!("session {id}: {reason}"))?;
    stage.fact("server", &format!("with it went {paths}"))?;
    let refused = match Session::resume(&network.hosts(), token).await {
        Err(EstablishError::Lost(reason)) => reason,
        Err(other) => return Err(other).context("alice's token"),
        Ok(_) => bail!("a session that expired was resumed"),
    };
    let LostReason::Expired { account: Some(account) } = &refused else {
        bail!("the server should have said why: {refused}");
    };
    ensure!(account.cause == EndCause::Expired, "another cause: {account:?}");
    stage.fact("alice", &format!("resumes with her token, and is told: {account}"))?;
    Ok(())
}

async fn partition(
    stage: &mut Stage,
    bob: &mut Actor,
    network: &Proxy,
    second: &Ticket,
    carols: &Proxy,
) -> Result<Actor> {
    stage
        .step(
            "Whoever holds a lock knows first that it is lost",
            "Bob's network swallows every packet, and he cannot ask anybody. He counts from when\n\
             he sent the last write or ping that was answered, the server from when it received\n\
             it, which was later. So he stops before the lock passes on to Carol.",
        )
        .await?;
    let (carol, _) = Actor::establish("carol", carols, stage).await?;
    let third = Ticket::take(&carol, stage).await?;
    bob.session.set(&second.path, "bob's last write").await?;
    let gone = watch_end(&carol, &second.path).await?;
    network.partition();
    stage.fact("network", "bob's packets vanish, both ways")?;
    let mut until = bob.valid_until()?;
    let waits = bob.until(stage, "stops believing", |change| {
        if let Liveness::AtRisk { until: latest, .. } = change.liveness {
            until = latest;
        }
        change.liveness.is_lost()
    });
    let lost = waits.await?.liveness;
    let by_himself = matches!(lost, Liveness::Lost(LostReason::DeadlinePassed { .. }));
    ensure!(by_himself, "bob should have found out by himself: {lost}");
    let (_, at) = see_end(&carol, stage, gone, &second.path).await?;
    ensure!(until < at, "the lock passed on while bob still believed in it");
    let gap = at.since(until).as_millis();
    third.must_hold(&carol, stage).await?;
    stage.fact(carol.name, &format!("bob had stopped believing {gap} ms before"))?;
    Ok(carol)
}

async fn refuse_credentials(stage: &mut Stage, network: &Proxy) -> Result<()> {
    stage
        .step(
            "Wrong credentials are final",
            "Mallory shows credentials of a scheme that the server does not know. AUTH_FAILED is\n\
             a state of its own: trying again would change nothing.",
        )
        .await?;
    let (mut mallory, _) = Actor::establish("mallory", network, stage).await?;
    let refused = mallory.session.add_auth("no-such-scheme", b"secret").await;
    let code = refused.as_ref().err().and_then(tenure_client::Error::code);
    ensure!(code == Some(ErrorCode::AuthFailed), "expected a refusal, got {refused:?}");
    let (reason, change) = mallory.lose(stage).await?;
    ensure!(change.state == State::AuthFailed, "mallory is {}", change.state);
    ensure!(matches!(reason, LostReason::AuthFailed { .. }), "another reason: {reason}");
    Ok(())
}

async fn close(stage: &mut Stage, mut carol: Actor, admin: &Admin) -> Result<()> {
    stage
        .step(
            "The good end: a session is closed",
            "Carol closes her session. Nobody has to wait for a timeout: what was hers is gone at\n\
             once.",
        )
        .await?;
    let id = carol.session.id().to_string();
    carol.session.close().await?;
    let (reason, change) = carol.lose(stage).await?;
    ensure!(change.state == State::Closed, "carol is {}", change.state);
    ensure!(reason == LostReason::Closed, "another reason: {reason}");
    let account = ended(admin, &id)?;
    ensure!(account["ended_by"] == "client", "its client should have ended it: {account}");
    let (reason, paths) = (&account["reason"], &account["ephemeral_paths"]);
    let reason = reason.as_str().unwrap_or_default();
    stage.fact("server", &format!("session {id}: {reason}; with it went {paths}"))?;
    Ok(())
}

/// What the server remembers of a session that ended.
fn ended(admin: &Admin, id: &str) -> Result<Value> {
    let answer = admin.get("/sessions/ended")?;
    let all = answer["ended_sessions"].as_array();
    let account = all.into_iter().flatten().find(|account| account["session_id"] == id);
    account.cloned().with_context(|| format!("the server does not remember session {id}: {answer}"))
}
