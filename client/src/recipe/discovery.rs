//! Service discovery: instances register themselves, and others follow which there are.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tenure_wire::SessionId;

use super::cache::{CacheView, TreeCache};
use super::fencing::FencingToken;
use super::group::Group;
use super::guard::Guard;
use crate::error::Error;
use crate::path;
use crate::session::Session;

/// A service whose instances register below one znode, which is created as needed, with its
/// parents. What an instance says of itself are plain bytes: its address, for example.
///
/// ```no_run
/// # async fn example(session: tenure_client::Session) -> Result<(), tenure_client::Error> {
/// use tenure_client::recipe::Service;
///
/// let service = Service::new(&session, "/services/billing");
/// let registration = service.register("billing-1", "10.0.0.7:8080").await?;
///
/// let mut instances = service.discover();
/// while let Some(all) = instances.next().await {
///     println!("{:?}", all.iter().map(|instance| &instance.payload).collect::<Vec<_>>());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Service {
    session: Session,
    path: String,
}

/// An instance of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name, which no two instances have at a time.
    pub id: String,
    /// What it says of itself.
    pub payload: Bytes,
    /// Its session.
    pub session: SessionId,
    /// Its token, which is greater than those of all who had the name before.
    pub token: FencingToken,
}

impl Service {
    /// A service at this path.
    pub fn new(session: &Session, path: &str) -> Self {
        Self { session: session.clone(), path: path.to_owned() }
    }

    /// Registers an instance for as long as the guard is held. If there is one of this name, most
    /// likely of an earlier session of its own, this waits until that is gone. The guard's
    /// [`set`](Guard::set) with its own [`path`](Guard::path) changes the payload.
    ///
    /// # Errors
    /// As [`Group::join`].
    pub async fn register(
        &self,
        id: &str,
        payload: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<Guard, Error> {
        Group::new(&self.session, &self.path).join(id, payload).await
    }

    /// Follows which instances there are.
    pub fn discover(&self) -> Discovery {
        let cache = TreeCache::new(&self.session, &self.path);
        Discovery { cache, path: self.path.clone(), has_changes: true, told: None }
    }
}

/// The stream of a service's instances; made by [`Service::discover`]. Each item is the whole set,
/// by name. It ends when the session is lost.
#[derive(Debug)]
pub struct Discovery {
    cache: TreeCache,
    path: String,
    has_changes: bool,
    told: Option<Vec<Instance>>,
}

impl Discovery {
    /// All instances: as soon as they are known, then whenever that changes; `None` once the
    /// session is lost. Sets that were out of date when asked for are passed over.
    pub async fn next(&mut self) -> Option<Vec<Instance>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// What the underlying cache has, to be read anywhere; it changes while this is awaited.
    pub fn view(&self) -> CacheView {
        self.cache.view()
    }

    fn instances(&self) -> Vec<Instance> {
        let view = self.cache.view();
        let names = view.children(&self.path).into_iter();
        let instances = names.filter_map(|id| {
            let node = view.get(&path::child(&self.path, &id))?;
            (node.stat.ephemeral_owner != 0).then(|| Instance {
                payload: node.data,
                session: SessionId(node.stat.ephemeral_owner),
                token: FencingToken::new(node.stat.czxid),
                id,
            })
        });
        instances.collect()
    }
}

impl Stream for Discovery {
    type Item = Vec<Instance>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<Instance>>> {
        loop {
            match Pin::new(&mut self.cache).poll_next(cx) {
                Poll::Ready(Some(_)) => self.has_changes = true,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if self.has_changes && self.cache.view().is_synced() => {
                    self.has_changes = false;
                    let instances = self.instances();
                    if self.told.as_ref() != Some(&instances) {
                        self.told = Some(instances.clone());
                        return Poll::Ready(Some(instances));
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
