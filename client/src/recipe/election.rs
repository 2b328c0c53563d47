//! Leader election: candidates who lead one after the other, and observers who follow who leads.

use tenure_wire::{ErrorCode, SessionId};

use super::claim::Name;
use super::fencing::FencingToken;
use super::guard::Guard;
use super::line::{Contender, Line, Rule, sorted};
use crate::error::Error;
use crate::op::OneTimeWatch;
use crate::path;
use crate::session::Session;

/// An election below one znode, which is created as needed, with its parents.
///
/// Candidates stand in a fair line whose first leads. A leadership is a [`Guard`]: stop leading
/// when its [`lost`](Guard::lost) completes, which is before the next one leads.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use tenure_client::recipe::Election;
///
/// let election = Election::new(&session, "/services/billing/leader").candidate("10.0.0.7:80");
/// let leadership = election.campaign().await?;
/// leadership.run_while_held(lead()).await?;
/// # async fn lead() {}
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Election(Line);

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// What it is called as a candidate: its address, for example. Empty if it has no name.
    pub candidate: String,
    /// Its session.
    pub session: SessionId,
    /// Its token, which grows from each leader to the next.
    pub token: FencingToken,
    /// Its znode.
    pub path: String,
}

impl Election {
    /// An election at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self(Line::new(session, path))
    }

    /// What observers see of this candidate; it also tells the candidate's own earlier sessions
    /// from others.
    pub fn candidate(mut self, name: &str) -> Self {
        self.0.holder = Some(name.to_owned());
        self
    }

    /// Waits to be the leader. Dropping the future ends the candidacy; releasing the guard resigns.
    ///
    /// # Errors
    /// If the session is lost, or the server refuses to let anybody wait here.
    pub async fn campaign(&self) -> Result<Guard, Error> {
        self.0.acquire(KIND, Rule::Exclusive).await
    }

    /// Leads if there is no other candidate.
    ///
    /// # Errors
    /// As [`campaign`](Self::campaign).
    pub async fn try_campaign(&self) -> Result<Option<Guard>, Error> {
        self.0.try_acquire(KIND, Rule::Exclusive).await
    }

    /// Who leads at present, as far as this session's server knows.
    ///
    /// # Errors
    /// As [`Session::children`](Session::children).
    pub async fn leader(&self) -> Result<Option<Leader>, Error> {
        Ok(self.observe().look().await?.0)
    }

    /// Follows who leads, without being a candidate.
    pub fn observe(&self) -> Observer {
        Observer { line: self.0.clone(), watch: None, told: None }
    }

    /// The leader and the other candidates, in their order.
    ///
    /// # Errors
    /// As [`Session::children`](Session::children).
    pub async fn candidates(&self) -> Result<Vec<Contender>, Error> {
        self.0.contenders().await
    }

    /// Earlier selves of the same candidate's name; see [`Lock::ghosts`](super::Lock::ghosts).
    ///
    /// # Errors
    /// As [`candidates`](Self::candidates).
    pub async fn ghosts(&self) -> Result<Vec<Contender>, Error> {
        self.0.ghosts().await
    }

    /// Releases what earlier lives of this very session left; see
    /// [`Lock::release_leftovers`](super::Lock::release_leftovers).
    ///
    /// # Errors
    /// As there.
    pub async fn release_leftovers(&self) -> Result<usize, Error> {
        self.0.release_leftovers().await
    }
}

/// Follows who leads; made by [`Election::observe`]. It watches the leader alone, and the line
/// only while nobody leads.
///
/// What an observer is told was true a moment ago. Whoever acts for the leader's clients must be
/// ready to be refused by a leader that is none any more.
///
/// ```no_run
/// # use tenure_client::{Error, recipe::Election};
/// # async fn example(election: Election) -> Result<(), Error> {
/// let mut observer = election.observe();
/// loop {
///     match observer.next().await? {
///         Some(leader) => println!("{} leads, token {}", leader.candidate, leader.token),
///         None => println!("nobody leads"),
///     }
/// }
/// # }
/// ```
pub struct Observer {
    line: Line,
    watch: Option<OneTimeWatch>,
    /// What was told last.
    told: Option<Option<Leader>>,
}

impl Observer {
    /// Who leads: at once when first asked, then whenever that changes. A leader that came and
    /// went between two calls is not told of. May be dropped and called again at any time.
    ///
    /// # Errors
    /// If the session is lost.
    pub async fn next(&mut self) -> Result<Option<Leader>, Error> {
        loop {
            if let Some(watch) = &mut self.watch {
                let event = watch.await;
                self.watch = None;
                if let Err(reason) = event
                    && self.line.session.liveness().is_lost()
                {
                    return Err(Error::Lost(reason));
                }
            }
            let (leader, watch) = self.look().await?;
            self.watch = Some(watch);
            if self.told.as_ref() != Some(&leader) {
                self.told = Some(leader.clone());
                return Ok(leader);
            }
        }
    }

    /// Who leads, and a watch that fires when that changes.
    async fn look(&self) -> Result<(Option<Leader>, OneTimeWatch), Error> {
        let Line { session, dir, .. } = &self.line;
        loop {
            match session.children(dir).await {
                Ok(children) => {
                    if let Some(first) = sorted(&children.names).first() {
                        match self.look_at(first).await? {
                            Some((leader, watch)) => return Ok((Some(leader), watch)),
                            None => continue,
                        }
                    }
                    match session.children(dir).watch().await {
                        Ok((children, watch)) if sorted(&children.names).is_empty() => {
                            return Ok((None, watch));
                        }
                        Err(error) if !error.is(ErrorCode::NoNode) => return Err(error),
                        _ => {}
                    }
                }
                Err(error) if error.is(ErrorCode::NoNode) => {
                    let (stat, watch) = session.exists(dir).watch().await?;
                    if stat.is_none() {
                        return Ok((None, watch));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `None` if it is gone.
    async fn look_at(&self, name: &Name) -> Result<Option<(Leader, OneTimeWatch)>, Error> {
        let path = path::child(&self.line.dir, &name.text);
        let (node, watch) = match self.line.session.get(&path).watch().await {
            Err(error) if error.is(ErrorCode::NoNode) => return Ok(None),
            read => read?,
        };
        let leader = Leader {
            candidate: String::from_utf8_lossy(&node.data).into_owned(),
            session: SessionId(node.stat.ephemeral_owner),
            token: FencingToken::new(node.stat.czxid),
            path,
        };
        Ok(Some((leader, watch)))
    }
}

const KIND: &str = "leader";
