//! Group membership: named members who are there for as long as their sessions live.

use bytes::Bytes;
use tenure_wire::{ErrorCode, OpCode, SessionId};

use super::claim::{Claim, Named};
use super::fencing::FencingToken;
use super::guard::Guard;
use super::own::Own;
use crate::error::Error;
use crate::op::{Children, OneTimeWatch, ReadOutcome};
use crate::path;
use crate::session::Session;

/// A group below one znode, which is created as needed, with its parents. Each member is an
/// ephemeral of its own name.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), tenure_client::Error> {
/// use tenure_client::recipe::Group;
///
/// let group = Group::new(&session, "/groups/indexers");
/// let membership = group.join("worker-7", "10.0.0.7:80").await?;
/// let mut changes = group.changes();
/// let members = changes.next().await?;
/// println!("{:?}", members.iter().map(|member| &member.name).collect::<Vec<_>>());
/// membership.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    session: Session,
    dir: String,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, which no two members have at a time.
    pub name: String,
    /// What it wants the others to know.
    pub data: Bytes,
    /// Its session.
    pub session: SessionId,
    /// Its token, which is greater than those of all who had the name before.
    pub token: FencingToken,
}

impl Group {
    /// A group at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self { session: session.clone(), dir: path.to_owned() }
    }

    /// Becomes a member. If there is one of this name, waits until it is gone: most likely it is a
    /// ghost, an earlier session of the same process that crashed, and nobody can be sure that it
    /// is dead until the session is closed or expires. What an earlier life of this very session
    /// left, which can only be if it was [resumed](Session::resume), is taken over.
    ///
    /// # Errors
    /// If the session is lost, the name is no name of a znode, or the server refuses it.
    pub async fn join(
        &self,
        name: &str,
        data: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<Guard, Error> {
        let path = self.path_of(name)?;
        loop {
            if let Some(guard) = self.try_path(&path, data.as_ref()).await? {
                return Ok(guard);
            }
            let (stat, watch) = self.session.exists(&path).watch().await?;
            let Some(stat) = stat else { continue };
            tracing::info!(
                %path,
                session = %SessionId(stat.ephemeral_owner),
                "waiting for another member of this name to leave"
            );
            if let Err(reason) = watch.await
                && self.session.liveness().is_lost()
            {
                return Err(Error::Lost(reason));
            }
        }
    }

    /// Becomes a member if there is none of this name.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn try_join(
        &self,
        name: &str,
        data: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<Option<Guard>, Error> {
        self.try_path(&self.path_of(name)?, data.as_ref()).await
    }

    async fn try_path(&self, path: &str, data: &[u8]) -> Result<Option<Guard>, Error> {
        match Claim::of_path(&self.session, path, data).await? {
            Named::Ours(mut claim) => match Own::watch(&self.session, path).await? {
                Some((own, stat)) if stat.ephemeral_owner == self.session.id().0 => {
                    Ok(Some(Guard::new(claim, own, &stat)))
                }
                _ => {
                    claim.is_gone();
                    Ok(None)
                }
            },
            Named::Taken | Named::TakenHere => Ok(None),
        }
    }

    fn path_of(&self, name: &str) -> Result<String, Error> {
        if name.is_empty() || name.contains('/') {
            let (op, path) = (OpCode::Create2, path::child(&self.dir, name));
            let what = "a member's name must not be empty or have a slash in it".to_owned();
            return Err(Error::Invalid { op, path, what });
        }
        Ok(path::child(&self.dir, name))
    }

    /// The members at present, by name, as far as this session's server knows.
    ///
    /// # Errors
    /// As [`Session::children`](Session::children).
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        match self.session.children(&self.dir).await {
            Ok(children) => self.read(children).await,
            Err(error) if error.is(ErrorCode::NoNode) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, children: Children) -> Result<Vec<Member>, Error> {
        let paths: Vec<String> =
            children.names.iter().map(|name| path::child(&self.dir, name)).collect();
        let mut members = Vec::new();
        for (names, paths) in children.names.chunks(READ_AT_ONCE).zip(paths.chunks(READ_AT_ONCE)) {
            let reads = paths.iter().fold(self.session.read_many(), |all, path| all.get(path));
            for (name, read) in names.iter().zip(reads.commit().await?) {
                // Who left meanwhile is no member any more, and who only looks like one is none.
                let Ok(ReadOutcome::Node(node)) = read else { continue };
                if node.stat.ephemeral_owner == 0 {
                    continue;
                }
                members.push(Member {
                    name: name.clone(),
                    data: node.data,
                    session: SessionId(node.stat.ephemeral_owner),
                    token: FencingToken::new(node.stat.czxid),
                });
            }
        }
        Ok(members)
    }

    /// Follows who comes and goes, without being a member.
    pub fn changes(&self) -> MemberChanges {
        MemberChanges { group: self.clone(), watch: None, told: None }
    }
}

/// Follows who comes and goes; made by [`Group::changes`].
pub struct MemberChanges {
    group: Group,
    watch: Option<OneTimeWatch>,
    /// Who was told of last.
    told: Option<Vec<Member>>,
}

impl MemberChanges {
    /// All members: at once when first asked, then whenever one came or went. May be dropped and
    /// called again at any time.
    ///
    /// # Errors
    /// If the session is lost.
    pub async fn next(&mut self) -> Result<Vec<Member>, Error> {
        loop {
            if let Some(watch) = &mut self.watch {
                let event = watch.await;
                self.watch = None;
                if let Err(reason) = event
                    && self.group.session.liveness().is_lost()
                {
                    return Err(Error::Lost(reason));
                }
            }
            let Some((members, watch)) = self.look().await? else { continue };
            self.watch = Some(watch);
            if self.told.as_ref() != Some(&members) {
                self.told = Some(members.clone());
                return Ok(members);
            }
        }
    }

    /// `None` if the group's znode came between two looks.
    async fn look(&self) -> Result<Option<(Vec<Member>, OneTimeWatch)>, Error> {
        let Group { session, dir } = &self.group;
        match session.children(dir).watch().await {
            Ok((children, watch)) => Ok(Some((self.group.read(children).await?, watch))),
            Err(error) if error.is(ErrorCode::NoNode) => {
                let (stat, watch) = session.exists(dir).watch().await?;
                Ok(stat.is_none().then_some((Vec::new(), watch)))
            }
            Err(error) => Err(error),
        }
    }
}

/// Members read in one request, whose reply must not get too long.
const READ_AT_ONCE: usize = 64;
