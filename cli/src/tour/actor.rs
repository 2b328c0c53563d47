//! Those who appear: clients with a session each, and the network between them and the server.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tenure_client::{Change, Changes, Liveness, LostReason, Moment, Session, State};
use tenure_testing::Proxy;
use tokio::time::timeout;

use super::stage::Stage;

/// The session timeout of everybody.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// How long the tour waits for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A client with a session of its own.
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) session: Session,
    changes: Changes,
}

impl Actor {
    /// Begins to establish a session.
    pub(super) fn enter(name: &'static str, hosts: &str) -> Result<Self> {
        let (session, changes) =
            Session::builder(hosts).timeout(TIMEOUT).start_with_changes().context(name)?;
        Ok(Self { name, session, changes })
    }

    /// Begins to establish a session and sees it through; returns the states it went through.
    pub(super) async fn establish(
        name: &'static str,
        network: &Proxy,
        stage: &Stage,
    ) -> Result<(Self, Vec<State>)> {
        let mut actor = Self::enter(name, &network.hosts())?;
        let mut states = Vec::new();
        actor
            .until(stage, "establishes a session", |change| {
                states.push(change.state);
                change.liveness == Liveness::Live
            })
            .await?;
        let asked = actor.session.timeout() == TIMEOUT;
        ensure!(asked, "{name} got another timeout: {:?}", actor.session.timeout());
        Ok((actor, states))
    }

    /// Shows what happens to the session until that of which it is told; that is returned.
    pub(super) async fn until(
        &mut self,
        stage: &Stage,
        what: &str,
        mut is_it: impl FnMut(&Change) -> bool,
    ) -> Result<Change> {
        let name = self.name;
        let waiting = async {
            while let Some(change) = self.changes.next().await {
                stage.change(name, &change)?;
                if is_it(&change) {
                    return Ok(change);
                }
            }
            bail!("expected that {name} {what}, but its session is {}", self.session.liveness())
        };
        in_time(waiting, || format!("{name} {what}")).await?
    }

    /// Shows what happens to the session for a while.
    pub(super) async fn live(&mut self, stage: &Stage, duration: Duration) -> Result<()> {
        let name = self.name;
        let showing = async {
            while let Some(change) = self.changes.next().await {
                stage.change(name, &change)?;
            }
            bail!("{name}'s session should not be {}", self.session.liveness())
        };
        // That time is up is as it should be.
        timeout(duration, showing).await.unwrap_or(Ok(()))
    }

    /// Until when the session is certain to live.
    pub(super) fn valid_until(&self) -> Result<Moment> {
        let until = self.session.valid_until();
        until
            .with_context(|| format!("{} lost its session: {}", self.name, self.session.liveness()))
    }

    /// Shows the session's end.
    pub(super) async fn lose(&mut self, stage: &Stage) -> Result<(LostReason, Change)> {
        let change =
            self.until(stage, "loses its session", |change| change.liveness.is_lost()).await?;
        match change.liveness.clone() {
            Liveness::Lost(reason) => Ok((reason, change)),
            other => bail!("{} is {other}", self.name),
        }
    }
}

/// Waits for what must happen, but not for ever.
pub(super) async fn in_time<T>(
    future: impl Future<Output = T>,
    what: impl FnOnce() -> String,
) -> Result<T> {
    let outcome = timeout(PATIENCE, future).await;
    outcome.with_context(|| format!("expected within {PATIENCE:?}: {}", what()))
}
