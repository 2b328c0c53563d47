//! Sessions that do nothing but live and own an ephemeral each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use tenure_client::{Liveness, Session};
use tokio::task::JoinHandle;

use super::super::history::Role;
use super::super::recorder::Recorder;
use super::{TIMEOUT, note_loss};

/// How long all sessions may take until they are served again, after everything was healed.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The sessions, and one that looks after their ephemerals.
pub(crate) struct Holders {
    recorder: Arc<Recorder>,
    held: Vec<Held>,
    inspector: Session,
}

struct Held {
    number: u32,
    session: Session,
    path: String,
    noting: JoinHandle<()>,
    is_lost: bool,
}

impl Holders {
    /// Establishes them, every other one through the network that breaks.
    pub(crate) async fn establish(
        count: u32,
        [direct, through]: [&str; 2],
        recorder: &Arc<Recorder>,
    ) -> anyhow::Result<Self> {
        let mut held = Vec::new();
        for n in 0..count {
            let hosts = if n % 2 == 0 { direct } else { through };
            let session = Session::builder(hosts).timeout(TIMEOUT).establish().await?;
            let number = recorder.next_session();
            recorder.begins(number, &session, Role::Stays);
            let path = format!("/held/{number}");
            session.create(&path, "").ephemeral().await?;
            let noting = tokio::spawn(note_loss(Arc::clone(recorder), number, &session));
            held.push(Held { number, session, path, noting, is_lost: false });
        }
        let inspector = Session::builder(direct).timeout(TIMEOUT).establish().await?;
        Ok(Self { recorder: Arc::clone(recorder), held, inspector })
    }

    /// Waits until all sessions are served, and looks whether their ephemerals are there.
    pub(crate) async fn inspect(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + BACK_WITHIN;
        for held in &mut self.held {
            while !matches!(held.session.liveness(), Liveness::Live | Liveness::Lost(_)) {
                if Instant::now() > deadline {
                    let (liveness, state) = (held.session.liveness(), held.session.state());
                    bail!("session {} does not get back: {liveness}, {state}", held.number);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            if held.session.liveness().is_lost() && !held.is_lost {
                held.is_lost = true;
                // Notes when and why, which it has not got round to while nothing was awaited.
                (&mut held.noting).await?;
            }
        }
        self.inspector.sync("/").await?;
        let looks = self.held.iter().map(|held| self.inspector.exists(&held.path).send());
        let looks: Vec<_> = looks.collect();
        for (held, look) in self.held.iter().zip(looks) {
            let owner = look.await?.map(|stat| stat.ephemeral_owner);
            if owner != Some(held.session.id().0) {
                let at_us = self.recorder.now_us();
                self.recorder.fate(held.number, |fate| {
                    fate.gone_us.get_or_insert(at_us);
                });
            }
        }
        Ok(())
    }

    /// Closes all of them.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        for held in self.held {
            held.session.close().await?;
        }
        self.inspector.close().await?;
        Ok(())
    }
}
