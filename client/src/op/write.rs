//! Changing and deleting znodes.

use tenure_wire::{Acl, DecodeError, Reader, Request, Stat};

use super::{awaitable, limited};
use crate::reply::{Answer, Draft, Reply};
use crate::session::Session;

/// The version that fits every znode.
pub(super) const ANY_VERSION: i32 = -1;

impl Session {
    /// Replaces a znode's data.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::ErrorCode;
    ///
    /// let stat = session.create("/counter", "41").await?.stat;
    /// // Only if nobody else has set it meanwhile.
    /// session.set("/counter", "42").version(stat.version).await?;
    /// let error = session.set("/counter", "43").version(stat.version).await.unwrap_err();
    /// assert!(error.is(ErrorCode::BadVersion));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `BadVersion`, `NoAuth`, `QuotaExceeded`.
    pub fn set<'a>(&'a self, path: &'a str, data: &'a (impl AsRef<[u8]> + ?Sized)) -> Set<'a> {
        let draft = Draft::new(self, path);
        Set { draft, data: Some(data.as_ref()), version: ANY_VERSION }
    }

    /// Deletes a znode that has no children.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create("/gone", "").await?;
    /// session.delete("/gone").await?;
    /// assert_eq!(session.exists("/gone").await?, None);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `BadVersion`, `NotEmpty`, `NoAuth`.
    pub fn delete<'a>(&'a self, path: &'a str) -> Delete<'a> {
        Delete { draft: Draft::new(self, path), version: ANY_VERSION }
    }

    /// Replaces a znode's access control list.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::{Acl, Perms};
    ///
    /// session.create("/public", "").await?;
    /// let read = Acl { perms: Perms::READ, ..Acl::OPEN };
    /// session.set_acl("/public", &[read]).await?;
    /// assert!(session.set("/public", "x").await.is_err());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `BadVersion`, `NoAuth`, `InvalidAcl`.
    pub fn set_acl<'a>(&'a self, path: &'a str, acl: &'a [Acl<'static>]) -> SetAcl<'a> {
        SetAcl { draft: Draft::new(self, path), acl, version: ANY_VERSION }
    }
}

/// Data to be set; made by [`Session::set`].
#[must_use = "nothing is set until this is awaited or sent"]
pub struct Set<'a> {
    draft: Draft<'a>,
    data: Option<&'a [u8]>,
    version: i32,
}

impl Set<'_> {
    /// Only if the data have this version.
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// The data become null, which is not the same as empty.
    pub fn null_data(mut self) -> Self {
        self.data = None;
        self
    }

    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<Stat> {
        let Self { draft, data, version } = self;
        draft.send_about(|path| Request::SetData { path, data, version }, read_stat)
    }
}

/// A znode to be deleted; made by [`Session::delete`].
#[must_use = "nothing is deleted until this is awaited or sent"]
pub struct Delete<'a> {
    draft: Draft<'a>,
    version: i32,
}

impl Delete<'_> {
    /// Only if its data have this version.
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<()> {
        let Self { draft, version } = self;
        draft.send_about(|path| Request::Delete { path, version }, |_| Ok(()))
    }
}

/// An access control list to be set; made by [`Session::set_acl`].
#[must_use = "nothing is set until this is awaited or sent"]
pub struct SetAcl<'a> {
    draft: Draft<'a>,
    acl: &'a [Acl<'static>],
    version: i32,
}

impl SetAcl<'_> {
    /// Only if the list has this version, the stat's `aversion`.
    pub fn version(mut self, aversion: i32) -> Self {
        self.version = aversion;
        self
    }

    /// Hands the request in and returns the future of its outcome.
    pub fn send(self) -> Reply<Stat> {
        let Self { draft, acl, version } = self;
        let acl = acl.to_vec();
        draft.send_about(|path| Request::SetAcl { path, acl, version }, read_stat)
    }
}

awaitable!(Set => Stat);
awaitable!(Delete => ());
awaitable!(SetAcl => Stat);
limited!(Set);
limited!(Delete);
limited!(SetAcl);

fn read_stat(answer: Answer<'_>) -> Result<Stat, DecodeError> {
    Stat::decode(&mut Reader::new(&answer.reply.body))
}
