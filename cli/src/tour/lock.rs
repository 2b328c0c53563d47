//! A lock as the tour explains it: a queue of ephemeral tickets, the lowest of which holds it.

use anyhow::{Context, Result, ensure};
use tenure_client::{EventKind, Moment, OneTimeWatch, WatchEvent};

use super::actor::{Actor, in_time};
use super::stage::Stage;

const QUEUE: &str = "/lock";

/// One client's place in the queue.
pub(super) struct Ticket {
    pub(super) path: String,
}

impl Ticket {
    /// Queues up.
    pub(super) async fn take(actor: &Actor, stage: &Stage) -> Result<Self> {
        let prefix = format!("{QUEUE}/ticket-");
        let created = actor.session.create(&prefix, actor.name).ephemeral().sequential().await?;
        let ticket = Self { path: created.path };
        let says = match ticket.holds(actor).await? {
            true => "is the first: holds the lock",
            false => "waits for the ticket before it to vanish",
        };
        stage.fact(actor.name, &format!("{} {says}", ticket.path))?;
        Ok(ticket)
    }

    /// Whether no ticket is before this one.
    pub(super) async fn holds(&self, actor: &Actor) -> Result<bool> {
        let children = actor.session.children(QUEUE).await?;
        let first = children.names.first().context("the queue at /lock is empty")?;
        Ok(self.path == format!("{QUEUE}/{first}"))
    }

    /// Shows that this ticket holds the lock, and fails if it does not.
    pub(super) async fn must_hold(&self, actor: &Actor, stage: &Stage) -> Result<()> {
        ensure!(self.holds(actor).await?, "{} should hold the lock at {}", actor.name, self.path);
        stage.fact(actor.name, &format!("{} is the first now: holds the lock", self.path))?;
        Ok(())
    }
}

/// Watches for the end of a znode that is there.
pub(super) async fn watch_end(actor: &Actor, path: &str) -> Result<OneTimeWatch> {
    let (stat, gone) = actor.session.exists(path).watch().await?;
    ensure!(stat.is_some(), "{path} should be there");
    Ok(gone)
}

/// Waits for the end of a watched znode, and shows it. Returns when it was seen.
pub(super) async fn see_end(
    actor: &Actor,
    stage: &Stage,
    gone: OneTimeWatch,
    path: &str,
) -> Result<(WatchEvent, Moment)> {
    let event = in_time(gone, || format!("{path} vanishes")).await?;
    let event = event.with_context(|| format!("{} lost its session", actor.name))?;
    let at = Moment::now();
    ensure!(event.kind == EventKind::Deleted, "{path} was to vanish: {event:?}");
    let zxid = event.zxid.map(|zxid| format!(" by change {zxid}")).unwrap_or_default();
    stage.fact(actor.name, &format!("sees: {path} is gone{zxid}"))?;
    Ok((event, at))
}
