//! Creating a znode.

use std::time::Duration;

use tenure_wire::{Acl, CreateMode, DecodeError, OpCode, Reader, Request, Stat};

use super::{awaitable, limited};
use crate::path;
use crate::reply::{Answer, Draft, Reply};
use crate::session::Session;

/// A znode to be created; made by [`Session::create`].
#[must_use = "nothing is created until this is awaited or sent"]
pub struct Create<'a> {
    draft: Draft<'a>,
    data: Option<&'a [u8]>,
    ephemeral: bool,
    sequential: bool,
    container: bool,
    ttl: Option<Duration>,
    acl: &'a [Acl<'static>],
}

/// A znode that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its path, with the number that a sequential one got.
    pub path: String,
    /// Its stat.
    pub stat: Stat,
}

const OPEN_ACL: &[Acl<'static>] = &[Acl::OPEN];

impl Session {
    /// Creates a znode: persistent, with these data, open to anyone, unless the builder is told
    /// otherwise.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create("/app", "").await?;
    /// let created = session.create("/app/task-", b"payload").ephemeral().sequential().await?;
    /// assert_eq!(created.path, "/app/task-0000000000");
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoNode` if the parent is missing, `NodeExists`, `NoChildrenForEphemerals`, `NoAuth`,
    /// `InvalidAcl`, `QuotaExceeded`.
    pub fn create<'a>(
        &'a self,
        path: &'a str,
        data: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Create<'a> {
        Create {
            draft: Draft::new(self, path),
            data: Some(data.as_ref()),
            ephemeral: false,
            sequential: false,
            container: false,
            ttl: None,
            acl: OPEN_ACL,
        }
    }
}

impl<'a> Create<'a> {
    /// It goes when this session ends.
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    /// A number is appended to its name: ten digits, growing with every child of the parent.
    pub fn sequential(mut self) -> Self {
        self.sequential = true;
        self
    }

    /// It goes some time after its last child went.
    pub fn container(mut self) -> Self {
        self.container = true;
        self
    }

    /// It goes when it has had no children and was not set for this long, in whole milliseconds.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// All of the above by the protocol's name; a TTL mode needs [`ttl`](Self::ttl) as well.
    pub fn mode(mut self, mode: CreateMode) -> Self {
        self.ephemeral = mode.is_ephemeral();
        self.sequential = mode.is_sequential();
        self.container = mode.is_container();
        if mode.is_ttl() && self.ttl.is_none() {
            // Which the check before sending refuses.
            self.ttl = Some(Duration::ZERO);
        }
        self
    }

    /// Who may do what with it, instead of anyone anything.
    pub fn acl(mut self, acl: &'a [Acl<'static>]) -> Self {
        self.acl = acl;
        self
    }

    /// Its data are null, which is not the same as empty.
    pub fn null_data(mut self) -> Self {
        self.data = None;
        self
    }

    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<Created> {
        let checked = match self.sequential {
            true => path::check_sequential(self.draft.path),
            false => path::check(self.draft.path),
        };
        let kind = checked.and_then(|()| {
            mode_of(self.ephemeral, self.sequential, self.container, self.ttl.is_some())
        });
        let kind = kind.and_then(|mode| match self.ttl.map(|ttl| ttl.as_millis()) {
            None => Ok((mode, None)),
            Some(ttl_ms @ 1..=MAX_TTL_MS) => Ok((mode, Some(ttl_ms as i64))),
            Some(_) => Err("the time to live must be from 1 ms to 2^40 - 1 ms"),
        });
        let (mode, ttl_ms) = match kind {
            Ok(kind) => kind,
            Err(what) => return self.draft.invalid(OpCode::Create2, what, read),
        };
        let path = path::absolute(self.draft.session.chroot(), self.draft.path);
        let request = request(path, self.data, mode, ttl_ms, self.acl);
        self.draft.send(&request, read)
    }
}

awaitable!(Create => Created);
limited!(Create);

/// The longest time to live, in milliseconds (reference section 3.4).
const MAX_TTL_MS: u128 = (1 << 40) - 1;

fn mode_of(
    ephemeral: bool,
    sequential: bool,
    container: bool,
    ttl: bool,
) -> Result<CreateMode, &'static str> {
    Ok(match (ephemeral, sequential, container, ttl) {
        (false, false, false, false) => CreateMode::Persistent,
        (true, false, false, false) => CreateMode::Ephemeral,
        (false, true, false, false) => CreateMode::PersistentSequential,
        (true, true, false, false) => CreateMode::EphemeralSequential,
        (false, false, true, false) => CreateMode::Container,
        (false, false, false, true) => CreateMode::PersistentTtl,
        (false, true, false, true) => CreateMode::PersistentSequentialTtl,
        _ => return Err("there are no znodes of this combination of modes"),
    })
}

/// The request for a znode of a mode.
pub(super) fn request<'a>(
    path: std::borrow::Cow<'a, str>,
    data: Option<&'a [u8]>,
    mode: CreateMode,
    ttl_ms: Option<i64>,
    acl: &'a [Acl<'static>],
) -> Request<'a> {
    let op = match mode {
        CreateMode::Container => OpCode::CreateContainer,
        mode if mode.is_ttl() => OpCode::CreateTtl,
        _ => OpCode::Create2,
    };
    let acl = acl.to_vec();
    Request::Create(tenure_wire::Create { op, path, data, acl, flags: mode.flags(), ttl_ms })
}

fn read(answer: Answer<'_>) -> Result<Created, DecodeError> {
    let mut reader = Reader::new(&answer.reply.body);
    let path = reader.text()?;
    let path = path::relative(answer.about.session.chroot(), &path).to_owned();
    Ok(Created { path, stat: Stat::decode(&mut reader)? })
}
