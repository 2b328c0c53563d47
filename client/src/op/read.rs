//! Reading znodes, with or without a one-time watch.

use bytes::{Buf, Bytes};
use tenure_wire::{Acl, DecodeError, ErrorCode, OpCode, Reader, Request, Stat, decode_acls};

use super::{OneTimeWatch, awaitable, limited};
use crate::machine::WatchKind;
use crate::path;
use crate::reply::{Answer, Draft, Reply};
use crate::session::Session;

/// A znode's data and stat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its data; empty if they are null.
    pub data: Bytes,
    /// Whether its data are null, which is not the same as empty.
    pub is_null: bool,
    /// Its stat.
    pub stat: Stat,
}

/// The children of a znode, and its stat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Children {
    /// Their names, in order.
    pub names: Vec<String>,
    /// The parent's stat.
    pub stat: Stat,
}

/// A znode's access control list and stat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclList {
    /// The list.
    pub acl: Vec<Acl<'static>>,
    /// The znode's stat.
    pub stat: Stat,
}

impl Session {
    /// Reads a znode's data and stat.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create("/config", "one").await?;
    /// let (node, changed) = session.get("/config").watch().await?;
    /// assert_eq!((&node.data[..], node.stat.version), (&b"one"[..], 0));
    ///
    /// session.set("/config", "two").await?;
    /// assert_eq!(changed.await?.path, "/config");
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn get<'a>(&'a self, path: &'a str) -> Get<'a> {
        Get { draft: Draft::new(self, path) }
    }

    /// Asks whether a znode exists, and for its stat.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::EventKind;
    ///
    /// let (stat, watch) = session.exists("/ready").watch().await?;
    /// assert_eq!(stat, None);
    /// session.create("/ready", "").await?;
    /// assert_eq!(watch.await?.kind, EventKind::Created);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoAuth`. That there is no znode is not an error.
    pub fn exists<'a>(&'a self, path: &'a str) -> Exists<'a> {
        Exists { draft: Draft::new(self, path) }
    }

    /// Lists a znode's children by name, in order.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create_all("/app/b").await?;
    /// session.create_all("/app/a").await?;
    /// assert_eq!(session.children("/app").await?.names, ["a", "b"]);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn children<'a>(&'a self, path: &'a str) -> ListChildren<'a> {
        ListChildren { draft: Draft::new(self, path) }
    }

    /// Reads a znode's access control list. The hashes of others' passwords do not show.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::Acl;
    ///
    /// assert_eq!(session.acl("/").await?.acl, [Acl::OPEN]);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn acl<'a>(&'a self, path: &'a str) -> Reply<AclList> {
        Draft::new(self, path).send_about(
            |path| Request::GetAcl { path },
            |answer| {
                let mut reader = Reader::new(&answer.reply.body);
                let acl = decode_acls(&mut reader)?.into_iter().map(Acl::into_owned).collect();
                Ok(AclList { acl, stat: Stat::decode(&mut reader)? })
            },
        )
    }

    /// The paths of this session's ephemerals that start with `prefix`, in order.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create("/mine", "").ephemeral().await?;
    /// assert_eq!(session.ephemerals("/").await?, ["/mine"]);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// None of its own.
    pub fn ephemerals<'a>(&'a self, prefix: &'a str) -> Reply<Vec<String>> {
        let draft = Draft::new(self, prefix);
        let read = |answer: Answer<'_>| {
            let paths = Reader::new(&answer.reply.body).texts()?;
            let chroot = answer.about.session.chroot();
            let mut paths: Vec<String> =
                paths.iter().map(|path| path::relative(chroot, path).to_owned()).collect();
            paths.sort_unstable();
            Ok(paths)
        };
        if !prefix.starts_with('/') {
            return draft.invalid(OpCode::GetEphemerals, "a prefix must start with a slash", read);
        }
        // With its slash, so that it is no prefix of the chroot's neighbours.
        let prefix = format!("{}{prefix}", self.chroot()).into();
        draft.send(&Request::GetEphemerals { prefix }, read)
    }

    /// How many descendants a znode has.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create_all("/a/b/c").await?;
    /// assert_eq!(session.count_descendants("/a").await?, 2);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn count_descendants<'a>(&'a self, path: &'a str) -> Reply<u32> {
        Draft::new(self, path).send_about(
            |path| Request::GetAllChildrenNumber { path },
            |answer| Reader::new(&answer.reply.body).i32().map(|count| count.unsigned_abs()),
        )
    }
}

/// A znode to be read; made by [`Session::get`].
#[must_use = "nothing is read until this is awaited or sent"]
pub struct Get<'a> {
    pub(super) draft: Draft<'a>,
}

/// A znode to be read and watched; made by [`Get::watch`].
#[must_use = "nothing is read until this is awaited or sent"]
pub struct GetAndWatch<'a> {
    draft: Draft<'a>,
}

impl<'a> Get<'a> {
    /// Also waits for the next change of the data, or the znode's end.
    pub fn watch(mut self) -> GetAndWatch<'a> {
        self.draft.watch = Some(WatchKind::Data);
        GetAndWatch { draft: self.draft }
    }

    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<Node> {
        self.draft.send_about(|path| Request::GetData { path, watch: false }, read_node)
    }
}

impl GetAndWatch<'_> {
    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<(Node, OneTimeWatch)> {
        self.draft.send_about(
            |path| Request::GetData { path, watch: true },
            |mut answer| {
                let watch = OneTimeWatch::of(&mut answer);
                Ok((read_node(answer)?, watch))
            },
        )
    }
}

/// A znode to be looked for; made by [`Session::exists`].
#[must_use = "nothing is looked for until this is awaited or sent"]
pub struct Exists<'a> {
    draft: Draft<'a>,
}

/// A znode to be looked for and watched; made by [`Exists::watch`].
#[must_use = "nothing is looked for until this is awaited or sent"]
pub struct ExistsAndWatch<'a> {
    draft: Draft<'a>,
}

impl<'a> Exists<'a> {
    /// Also waits for the znode's creation, its end, or the next change of its data.
    pub fn watch(mut self) -> ExistsAndWatch<'a> {
        self.draft.watch = Some(WatchKind::Data);
        ExistsAndWatch { draft: self.draft }
    }

    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<Option<Stat>> {
        self.draft.send_about(|path| Request::Exists { path, watch: false }, read_existence)
    }
}

impl ExistsAndWatch<'_> {
    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<(Option<Stat>, OneTimeWatch)> {
        self.draft.send_about(
            |path| Request::Exists { path, watch: true },
            |mut answer| {
                let watch = OneTimeWatch::of(&mut answer);
                Ok((read_existence(answer)?, watch))
            },
        )
    }
}

/// Children to be listed; made by [`Session::children`].
#[must_use = "nothing is listed until this is awaited or sent"]
pub struct ListChildren<'a> {
    draft: Draft<'a>,
}

/// Children to be listed and watched; made by [`ListChildren::watch`].
#[must_use = "nothing is listed until this is awaited or sent"]
pub struct ListAndWatch<'a> {
    draft: Draft<'a>,
}

impl<'a> ListChildren<'a> {
    /// Also waits for the next child that comes or goes, or the znode's end.
    pub fn watch(mut self) -> ListAndWatch<'a> {
        self.draft.watch = Some(WatchKind::Children);
        ListAndWatch { draft: self.draft }
    }

    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<Children> {
        self.draft.send_about(|path| Request::GetChildren2 { path, watch: false }, read_children)
    }
}

impl ListAndWatch<'_> {
    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<(Children, OneTimeWatch)> {
        self.draft.send_about(
            |path| Request::GetChildren2 { path, watch: true },
            |mut answer| {
                let watch = OneTimeWatch::of(&mut answer);
                Ok((read_children(answer)?, watch))
            },
        )
    }
}

awaitable!(Get => Node);
awaitable!(GetAndWatch => (Node, OneTimeWatch));
awaitable!(Exists => Option<Stat>);
awaitable!(ExistsAndWatch => (Option<Stat>, OneTimeWatch));
awaitable!(ListChildren => Children);
awaitable!(ListAndWatch => (Children, OneTimeWatch));
limited!(Get);
limited!(GetAndWatch);
limited!(Exists);
limited!(ExistsAndWatch);
limited!(ListChildren);
limited!(ListAndWatch);

const LENGTH_PREFIX: usize = 4;

/// Data and stat. The data stay where they were received.
pub(super) fn read_node(answer: Answer<'_>) -> Result<Node, DecodeError> {
    let mut data = answer.reply.body;
    let mut reader = Reader::new(&data);
    let length = reader.buffer()?.map(<[u8]>::len);
    let stat = Stat::decode(&mut reader)?;
    // Cut down to the data, which costs less than another reference to the whole.
    data.truncate(LENGTH_PREFIX + length.unwrap_or(0));
    data.advance(LENGTH_PREFIX);
    Ok(Node { data, is_null: length.is_none(), stat })
}

fn read_existence(answer: Answer<'_>) -> Result<Option<Stat>, DecodeError> {
    if answer.reply.code == ErrorCode::NoNode.code() {
        return Ok(None);
    }
    Stat::decode(&mut Reader::new(&answer.reply.body)).map(Some)
}

fn read_children(answer: Answer<'_>) -> Result<Children, DecodeError> {
    let mut reader = Reader::new(&answer.reply.body);
    let names = reader.texts()?;
    let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
    names.sort_unstable();
    Ok(Children { names, stat: Stat::decode(&mut reader)? })
}
