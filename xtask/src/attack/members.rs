//! Changes of the members while everything else goes on, asked for as an operator does.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tenure_client::{Error, Node, ReconfigSpec, Session};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::ensemble::{Ensemble, MEMBERS};
use super::load::{TIMEOUT, executor};

/// How long a change may take, with all that may come between.
const CHANGED_WITHIN: Duration = Duration::from_secs(60);
/// Pause before a change is asked for again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Whether the servers let their members be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// They are those of the configuration.
    Fixed,
    /// They are those of the last reconfig.
    Change,
}

/// What a reconfig asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// This server is no member any more.
    Remove(usize),
    /// This server is a voter.
    Add(usize),
}

impl Change {
    /// Whether these voters have seen it.
    fn is_made_in(self, voters: [bool; MEMBERS]) -> bool {
        match self {
            Self::Remove(n) => !voters[n],
            Self::Add(n) => voters[n],
        }
    }
}

/// A reconfig that was sent.
pub(crate) type Asked = tenure_client::Reply<Node>;

/// A session that may change the members, at whichever server serves.
pub(crate) struct Operator {
    executor: Runtime,
    session: Session,
    /// Each server as the list of members is to name it.
    lines: Vec<String>,
}

impl Operator {
    /// What a server is configured with that knows the operator: it says `super:admin`.
    pub(crate) const SETTING: &str =
        "DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";

    /// Establishes the session.
    pub(crate) fn establish(ensemble: &Ensemble) -> anyhow::Result<Self> {
        let executor = executor()?;
        let builder = Session::builder(&ensemble.hosts()).timeout(TIMEOUT);
        let builder = builder.auth("digest", "super:admin");
        let session = executor.block_on(builder.establish()).context("the operator's session")?;
        let lines = (0..MEMBERS).map(|n| ensemble.line(n)).collect();
        Ok(Self { executor, session, lines })
    }

    /// Sends a change, and waits for nothing.
    pub(crate) fn ask(&self, change: Change) -> Asked {
        self.session.reconfigure(&self.spec(change)).send()
    }

    /// Asks for a change until it is made.
    pub(crate) fn make(&self, change: Change) -> anyhow::Result<()> {
        let voters = self.ask_until_made(&self.spec(change))?;
        ensure!(change.is_made_in(voters), "{change:?} made it so: {voters:?}");
        Ok(())
    }

    /// Has all servers vote, whatever became of changes before.
    pub(crate) fn bring_back(&self) -> anyhow::Result<()> {
        let joining = Some(self.lines.join(","));
        let voters = self.ask_until_made(&ReconfigSpec { joining, ..ReconfigSpec::default() })?;
        ensure!(voters == [true; MEMBERS], "all were added, but the voters are {voters:?}");
        Ok(())
    }

    /// Waits for the outcome of a change to one that may be made or not, and looks whether the
    /// members are what the outcome says.
    pub(crate) fn judge(&self, change: Change, asked: Asked) -> anyhow::Result<()> {
        let outcome = self.executor.block_on(async { timeout(CHANGED_WITHIN, asked).await });
        let outcome = outcome.with_context(|| format!("{change:?} is never answered"))?;
        let voters = self.voters()?;
        let is_made = change.is_made_in(voters);
        let told = match &outcome {
            Ok(_) => "acknowledged".to_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("    {change:?}: {told}; {}", if is_made { "made" } else { "not made" });
        match outcome {
            Ok(_) => ensure!(is_made, "{change:?} was acknowledged, and lost: {voters:?}"),
            Err(error) if error.may_have_happened() => {}
            Err(error) => ensure!(!is_made, "{change:?} is made in spite of: {error}"),
        }
        Ok(())
    }

    /// Ends the session.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        self.executor.block_on(self.session.close()).context("the operator's session")?;
        Ok(())
    }

    fn spec(&self, change: Change) -> ReconfigSpec {
        match change {
            Change::Remove(n) => {
                ReconfigSpec { leaving: Some((n + 1).to_string()), ..ReconfigSpec::default() }
            }
            Change::Add(n) => {
                ReconfigSpec { joining: Some(self.lines[n].clone()), ..ReconfigSpec::default() }
            }
        }
    }

    /// One that is under way, an election, or a lost link are reasons to ask again; to ask for what
    /// is so already does no harm. Says who votes then.
    fn ask_until_made(&self, spec: &ReconfigSpec) -> anyhow::Result<[bool; MEMBERS]> {
        self.insist(async || self.session.reconfigure(spec).await)
            .with_context(|| format!("a reconfig was not made: {spec:?}"))
    }

    /// Who votes, now or later.
    fn voters(&self) -> anyhow::Result<[bool; MEMBERS]> {
        let read = async || {
            self.session.sync("/").await?;
            self.session.config().await
        };
        self.insist(read).context("the members cannot be read")
    }

    fn insist(
        &self,
        ask: impl AsyncFn() -> Result<Node, Error>,
    ) -> anyhow::Result<[bool; MEMBERS]> {
        let deadline = Instant::now() + CHANGED_WITHIN;
        loop {
            let answer = self.executor.block_on(async { timeout(CHANGED_WITHIN, ask()).await });
            match answer.context("no answer")? {
                Ok(node) => return Ok(voters_in(&String::from_utf8_lossy(&node.data))),
                Err(error) if error.lost().is_some() || Instant::now() > deadline => bail!(error),
                Err(_) => std::thread::sleep(AGAIN_AFTER),
            }
        }
    }
}

fn voters_in(text: &str) -> [bool; MEMBERS] {
    std::array::from_fn(|n| {
        let key = format!("server.{}=", n + 1);
        text.lines().any(|line| line.starts_with(&key) && line.contains(":participant"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voters_are_read_from_the_list_of_members() {
        let text = "server.1=127.1.1.4:2888:3888:participant\n\
                    server.3=127.1.1.6:2888:3888:observer\nversion=100000007";
        assert_eq!(voters_in(text), [true, false, false]);
        assert!(Change::Remove(2).is_made_in(voters_in(text)));
        assert!(!Change::Add(2).is_made_in(voters_in(text)));
    }
}
