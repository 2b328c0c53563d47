//! What concerns the ensemble rather than znodes: catching up, who one is, and its members.

use tenure_wire::{Request, Response};

use super::read::{Get, Node, read_node};
use super::{Identity, awaitable, limited};
use crate::reply::{Draft, Reply};
use crate::session::Session;

/// The znode that holds the ensemble's configuration; it is below no chroot.
const CONFIG_PATH: &str = "/zookeeper/config";

impl Session {
    /// Has the server catch up with the leader: reads handed in afterwards see every write that
    /// was acknowledged to anybody before.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// // See whatever anybody was told has happened, whichever server this session is at.
    /// session.sync("/").await?;
    /// let names = session.children("/").await?.names;
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// None of its own.
    pub fn sync<'a>(&'a self, path: &'a str) -> Reply<()> {
        Draft::new(self, path).send_about(|path| Request::Sync { path }, |_| Ok(()))
    }

    /// The identities of the present link.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// assert_eq!(session.who_am_i().await?[0].scheme, "ip");
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// None of its own.
    pub fn who_am_i(&self) -> Reply<Vec<Identity>> {
        Draft::new(self, "").send(&Request::WhoAmI, |answer| {
            let response = Response::decode(answer.about.op, &answer.reply.body)?;
            let Response::Identities(list) = response else { return Ok(Vec::new()) };
            let owned = |identity: tenure_wire::Identity<'_>| Identity {
                scheme: identity.scheme.into_owned(),
                user: identity.user.into_owned(),
            };
            Ok(list.into_iter().map(owned).collect())
        })
    }

    /// Reads the ensemble's configuration, which no chroot hides.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// let configuration = session.config().await?;
    /// println!("{}", String::from_utf8_lossy(&configuration.data));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoAuth`.
    pub async fn config(&self) -> Result<Node, crate::Error> {
        let whole = self.without_chroot();
        let get: Get<'_> = whole.get(CONFIG_PATH);
        get.send().await
    }

    /// Reads the ensemble's configuration and waits for it to change.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// let (_configuration, changed) = session.config_and_watch().await?;
    /// drop(changed);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `NoAuth`.
    pub async fn config_and_watch(&self) -> Result<(Node, super::OneTimeWatch), crate::Error> {
        let whole = self.without_chroot();
        whole.get(CONFIG_PATH).watch().send().await
    }

    /// Changes the ensemble's members.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// use tenure_client::ReconfigSpec;
    ///
    /// let spec = ReconfigSpec { leaving: Some("3".to_owned()), ..ReconfigSpec::default() };
    /// // Switched off unless the servers are configured otherwise.
    /// assert!(session.reconfigure(&spec).await.is_err());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `ReconfigDisabled`, `NoAuth`, `BadVersion`, `BadArguments`, `NewConfigNoQuorum`,
    /// `ReconfigInProgress`.
    pub fn reconfigure<'a>(&'a self, spec: &'a ReconfigSpec) -> Reconfigure<'a> {
        Reconfigure { draft: Draft::new(self, ""), spec }
    }
}

/// Which members to add and remove, or all of the new ones, as in a configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReconfigSpec {
    /// `server.N=...` lines to add or change, with commas between them.
    pub joining: Option<String>,
    /// Numbers of the members to remove, with commas between them.
    pub leaving: Option<String>,
    /// All `server.N=...` lines of the new ensemble, instead of the two above.
    pub new_members: Option<String>,
    /// The version that the configuration must have.
    pub from_version: Option<i64>,
}

/// A change of the members; made by [`Session::reconfigure`].
#[must_use = "nothing changes until this is awaited or sent"]
pub struct Reconfigure<'a> {
    draft: Draft<'a>,
    spec: &'a ReconfigSpec,
}

impl Reconfigure<'_> {
    /// Hands the request in and returns the future of its outcome: the new configuration.
    pub fn send(self) -> Reply<Node> {
        let text = |part: &Option<String>| part.clone().map(Into::into);
        let request = Request::Reconfig {
            joining: text(&self.spec.joining),
            leaving: text(&self.spec.leaving),
            new_members: text(&self.spec.new_members),
            config_id: self.spec.from_version.unwrap_or(-1),
        };
        self.draft.send(&request, read_node)
    }
}

awaitable!(Reconfigure => Node);
limited!(Reconfigure);
