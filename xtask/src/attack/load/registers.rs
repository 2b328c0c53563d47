//! Clients that create, set and read znodes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tenure_client::{Error, ErrorCode, Node, Session};

use super::super::history::{Role, Seen, Source};
use super::super::random::Random;
use super::super::recorder::{Recorder, SHARED_REGISTERS};
use super::{TIMEOUT, session};

/// Pause of a client between two operations.
const PACE: Duration = Duration::from_millis(15);

/// Reads that are under way at once when everything is read.
const AT_ONCE: usize = 256;

fn path(register: u32) -> String {
    if register < SHARED_REGISTERS {
        format!("/registers/{register}")
    } else {
        format!("/made/{register}")
    }
}

/// Creates the znodes that all writers set.
pub(crate) async fn create_shared(recorder: &Recorder, hosts: &str) -> anyhow::Result<()> {
    let session = Session::builder(hosts).timeout(TIMEOUT).establish().await?;
    let number = recorder.next_session();
    for parent in ["/registers", "/made", "/held", "/silent"] {
        session.create(parent, "").await?;
    }
    for register in 0..SHARED_REGISTERS {
        create(recorder, number, &session, register).await?;
    }
    session.close().await?;
    Ok(())
}

async fn create(
    recorder: &Recorder,
    number: u32,
    session: &Session,
    register: u32,
) -> Result<(), Error> {
    let value = recorder.next_value();
    let invoked_us = recorder.now_us();
    let created = session.create(&path(register), &value.to_string()).await;
    let outcome = created.map(|created| created.stat);
    recorder.wrote((number, register), (value, None), invoked_us, &outcome);
    outcome.map(|_| ())
}

/// Writes until the run ends.
pub(super) async fn write(recorder: Arc<Recorder>, hosts: Arc<str>, role: Role, seed: u64) {
    let mut random = Random::new(seed);
    while let Some((number, session)) = session(&recorder, &hosts, role).await {
        while !recorder.is_ending() && !session.liveness().is_lost() {
            let register = random.below(SHARED_REGISTERS.into()) as u32;
            // What comes of it is in the history; the next one follows at once all the same.
            let _ = match random.below(20) {
                0 => create(&recorder, number, &session, recorder.next_register()).await,
                1..=9 => set_if_unchanged(&recorder, number, &session, register).await,
                _ => set(&recorder, number, &session, register, None).await,
            };
            tokio::time::sleep(PACE).await;
        }
        // It ends by itself if no server can be told.
        let _ = session.close().await;
    }
}

async fn set(
    recorder: &Recorder,
    number: u32,
    session: &Session,
    register: u32,
    expected: Option<i32>,
) -> Result<(), Error> {
    let value = recorder.next_value();
    let (path, data) = (path(register), value.to_string());
    let invoked_us = recorder.now_us();
    let set = session.set(&path, &data);
    let outcome = match expected {
        Some(version) => set.version(version).await,
        None => set.await,
    };
    recorder.wrote((number, register), (value, expected), invoked_us, &outcome);
    outcome.map(|_| ())
}

/// Reads, and writes if nobody else has written since.
async fn set_if_unchanged(
    recorder: &Recorder,
    number: u32,
    session: &Session,
    register: u32,
) -> Result<(), Error> {
    let seen = look(recorder, number, session, register, false).await?;
    set(recorder, number, session, register, seen.map(|seen| seen.version)).await
}

/// Reads until the run ends, after a sync or not.
pub(super) async fn read(recorder: Arc<Recorder>, hosts: Arc<str>, seed: u64, synced: bool) {
    let mut random = Random::new(seed);
    while let Some((number, session)) = session(&recorder, &hosts, Role::Stays).await {
        while !recorder.is_ending() && !session.liveness().is_lost() {
            let register = random.below(SHARED_REGISTERS.into()) as u32;
            // A read that failed says nothing.
            let _ = look(&recorder, number, &session, register, synced).await;
            tokio::time::sleep(PACE).await;
        }
        // It ends by itself if no server can be told.
        let _ = session.close().await;
    }
}

async fn look(
    recorder: &Recorder,
    number: u32,
    session: &Session,
    register: u32,
    synced: bool,
) -> Result<Option<Seen>, Error> {
    let path = path(register);
    let invoked_us = recorder.now_us();
    if synced {
        session.sync(&path).await?;
    }
    let seen = seen(session.get(&path).await)?;
    let source = if synced { Source::Synced } else { Source::Local };
    recorder.read((number, register), source, invoked_us, seen);
    Ok(seen)
}

fn seen(read: Result<Node, Error>) -> Result<Option<Seen>, Error> {
    let node = match read {
        Ok(node) => node,
        Err(error) if error.is(ErrorCode::NoNode) => return Ok(None),
        Err(error) => return Err(error),
    };
    // What is no number was written by nobody: so is the value 0.
    let value = std::str::from_utf8(&node.data).ok().and_then(|text| text.parse().ok());
    let (version, mzxid) = (node.stat.version, node.stat.mzxid.0);
    Ok(Some(Seen { version, value: value.unwrap_or(0), mzxid }))
}

/// Reads every register that there is or may be, at one member.
pub(crate) async fn read_all(recorder: &Recorder, member: u8, hosts: &str) -> anyhow::Result<()> {
    let session = Session::builder(hosts).timeout(TIMEOUT).establish().await?;
    let number = recorder.next_session();
    let invoked_us = recorder.now_us();
    session.sync("/").await?;
    let registers: Vec<u32> = (0..recorder.registers()).collect();
    for some in registers.chunks(AT_ONCE) {
        let paths: Vec<_> = some.iter().map(|register| path(*register)).collect();
        let reads: Vec<_> = paths.iter().map(|path| session.get(path).send()).collect();
        for (register, read) in some.iter().zip(reads) {
            let seen = seen(read.await)?;
            recorder.read((number, *register), Source::Final(member), invoked_us, seen);
        }
    }
    ensure!(session.server().is_some(), "the session at server {member} lost its link");
    session.close().await.context("closing the last session")?;
    Ok(())
}
