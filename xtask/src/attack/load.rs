//! What clients do meanwhile: a thread with all their sessions, each a loop of its own.

mod holders;
mod registers;
mod silent;

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tenure_client::{Liveness, LostReason, Session};

pub(crate) use self::holders::Holders;
pub(crate) use self::registers::{create_shared, read_all};
use super::ensemble::{Ensemble, MEMBERS};
use super::history::Role;
use super::recorder::Recorder;

/// Session timeout of all that are to stay.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(6);

/// Of those that stay at one server, which may be away for a while: the longest there is.
const LONG_TIMEOUT: Duration = Duration::from_secs(40);

/// How many of each there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) writers: u64,
    /// Writers that stay at one server each: they show what the ensemble can do wherever the
    /// others have gathered.
    pub(crate) pinned: u64,
    pub(crate) readers: u64,
    pub(crate) holders: u32,
    /// Sessions that fall silent, at a time.
    pub(crate) silent: u64,
}

/// The clients at work.
pub(crate) struct Load {
    recorder: Arc<Recorder>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Sets the clients to work.
    pub(crate) fn start(
        sizes: Sizes,
        seed: u64,
        ensemble: &Ensemble,
        recorder: &Arc<Recorder>,
    ) -> anyhow::Result<Self> {
        let runtime = executor()?;
        let hosts: Arc<str> = ensemble.hosts().into();
        let clients: Vec<_> = (0..MEMBERS).map(|n| ensemble.client(n)).collect();
        let shared = Arc::clone(recorder);
        let run = move || {
            let mut tasks = Vec::new();
            for n in 0..sizes.writers {
                let (recorder, hosts) = (Arc::clone(&shared), Arc::clone(&hosts));
                let role = Role::Stays;
                tasks.push(runtime.spawn(registers::write(recorder, hosts, role, seed ^ n << 8)));
            }
            for n in 0..sizes.pinned {
                let recorder = Arc::clone(&shared);
                let hosts = clients[n as usize % MEMBERS].to_string().into();
                let (role, seed) = (Role::StaysAtOne, seed ^ (n + 300) << 8);
                tasks.push(runtime.spawn(registers::write(recorder, hosts, role, seed)));
            }
            for n in 0..sizes.readers {
                let (recorder, hosts) = (Arc::clone(&shared), Arc::clone(&hosts));
                let seed = seed ^ (n + 100) << 8;
                tasks.push(runtime.spawn(registers::read(recorder, hosts, seed, n % 2 == 0)));
            }
            for n in 0..sizes.silent {
                let (recorder, hosts) = (Arc::clone(&shared), Arc::clone(&hosts));
                let seed = seed ^ (n + 200) << 8;
                tasks.push(runtime.spawn(silent::fall(recorder, hosts, clients.clone(), seed)));
            }
            runtime.block_on(async {
                for task in tasks {
                    // A panic is printed, and shows in a history without that client.
                    _ = task.await;
                }
            });
        };
        let thread = std::thread::Builder::new().name("load".into()).spawn(run)?;
        Ok(Self { recorder: Arc::clone(recorder), thread })
    }

    /// Has all clients finish what they are doing.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        self.recorder.end();
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread of the clients panicked"))
    }
}

/// An executor for one thread.
pub(crate) fn executor() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.context("cannot make an executor")
}

/// A session that is to live as long as it is used, with its number; a new one if that is lost.
async fn session(recorder: &Arc<Recorder>, hosts: &str, role: Role) -> Option<(u32, Session)> {
    let timeout = if role == Role::StaysAtOne { LONG_TIMEOUT } else { TIMEOUT };
    while !recorder.is_ending() {
        let established = Session::builder(hosts).timeout(timeout).establish().await;
        if let Ok(session) = established {
            let number = recorder.next_session();
            recorder.begins(number, &session, role);
            tokio::spawn(note_loss(Arc::clone(recorder), number, &session));
            return Some((number, session));
        }
    }
    None
}

/// Waits until a session is lost for its client, and notes when and why, unless it was closed.
fn note_loss(
    recorder: Arc<Recorder>,
    number: u32,
    session: &Session,
) -> impl Future<Output = ()> + use<> {
    let mut changes = session.changes();
    async move {
        while let Some(change) = changes.next().await {
            match change.liveness {
                Liveness::Lost(LostReason::Closed) => return,
                Liveness::Lost(reason) => {
                    let lost = Some((recorder.us(change.at), reason.to_string()));
                    return recorder.fate(number, |fate| fate.lost = lost);
                }
                _ => {}
            }
        }
    }
}
