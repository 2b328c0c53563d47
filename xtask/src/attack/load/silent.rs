//! Sessions that fall silent on purpose: whoever watches them sees when the ensemble ends them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tenure_client::{Error, Session};
use tenure_testing::Proxy;

use super::super::history::Role;
use super::super::random::Random;
use super::super::recorder::Recorder;
use super::{note_loss, session};

/// The shortest that the servers allow.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Elections start a session's time anew, so it may take several of them.
const GONE_WITHIN: Duration = Duration::from_secs(120);

/// Establishes sessions and has them fall silent, one after the other, until the run ends.
pub(super) async fn fall(
    recorder: Arc<Recorder>,
    hosts: Arc<str>,
    servers: Vec<SocketAddr>,
    seed: u64,
) {
    let mut random = Random::new(seed);
    while let Some((_, witness)) = session(&recorder, &hosts, Role::Stays).await {
        while !recorder.is_ending() && !witness.liveness().is_lost() {
            let server = servers[random.below(servers.len() as u64) as usize];
            let Ok(network) = Proxy::start(server) else { break };
            // One that did not get as far as to fall silent shows nothing.
            let _ = fall_once(&recorder, &witness, &network).await;
        }
        // It ends by itself if no server can be told.
        let _ = witness.close().await;
    }
}

async fn fall_once(
    recorder: &Arc<Recorder>,
    witness: &Session,
    network: &Proxy,
) -> Result<(), Error> {
    let builder = Session::builder(&network.hosts()).timeout(TIMEOUT);
    let Ok(session) = builder.establish_timeout(TIMEOUT).establish().await else {
        return Ok(());
    };
    let number = recorder.next_session();
    let path = format!("/silent/{number}");
    session.create(&path, "").ephemeral().await?;
    // The ensemble hears this at the earliest when it is handed in.
    let heard_us = recorder.now_us();
    session.set(&path, "last words").await?;
    network.partition();
    recorder.begins(number, &session, Role::FallsSilent { heard_us });
    let noting = tokio::spawn(note_loss(Arc::clone(recorder), number, &session));
    // Whatever the witness has not seen of the last words, it sees all that follows them.
    witness.sync(&path).await?;
    if tokio::time::timeout(GONE_WITHIN, gone(witness, &path)).await.is_ok_and(|seen| seen.is_ok())
    {
        let gone_us = recorder.now_us();
        // Whether its client knew before is told by the instant of the change.
        if tokio::time::timeout(TIMEOUT, noting).await.is_ok() {
            recorder.fate(number, |fate| fate.gone_us = Some(gone_us));
        }
    }
    Ok(())
}

/// Waits until a znode is gone.
async fn gone(witness: &Session, path: &str) -> Result<(), Error> {
    loop {
        let (stat, changed) = witness.exists(path).watch().await?;
        if stat.is_none() {
            return Ok(());
        }
        // It fails only with the session.
        let _ = changed.await;
    }
}
