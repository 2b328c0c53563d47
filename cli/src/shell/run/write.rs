//! create, set, delete, deleteall.

use serde_json::{Value, json};
use tenure_client::{Created, Error, ErrorCode};

use super::Scope;
use super::tree::{Walk, Window};
use crate::shell::command::Create;
use crate::shell::error::ShellError;
use crate::shell::format::stat_json;

pub(super) async fn create(scope: Scope<'_>, create: &Create) -> Result<Value, ShellError> {
    let created = match create_once(scope, create).await {
        Err(error) if create.parents && error.is(ErrorCode::NoNode) => {
            let parent = match create.path.rfind('/') {
                None | Some(0) => "/",
                Some(slash) => &create.path[..slash],
            };
            scope.session.create_all(parent).await?;
            create_once(scope, create).await
        }
        other => other,
    };
    let created = created.map_err(|error| {
        if create.ttl.is_some() && error.is(ErrorCode::Unimplemented) {
            let hint = "; znodes with a TTL need extendedTypesEnabled=true at the server";
            return ShellError::Hinted { error: Box::new(error), hint };
        }
        ShellError::from(error)
    })?;
    scope.out.line(&format!("Created {}", created.path))?;
    Ok(json!({"created": created.path, "stat": stat_json(&created.stat)}))
}

async fn create_once(scope: Scope<'_>, create: &Create) -> Result<Created, Error> {
    let data = create.data.as_deref().unwrap_or_default();
    let mut request = scope.session.create(&create.path, data);
    if create.data.is_none() {
        request = request.null_data();
    }
    if create.sequential {
        request = request.sequential();
    }
    if create.ephemeral {
        request = request.ephemeral();
    }
    if create.container {
        request = request.container();
    }
    if let Some(ttl) = create.ttl {
        request = request.ttl(ttl);
    }
    if let Some(acl) = &create.acl {
        request = request.acl(acl);
    }
    request.await
}

pub(super) async fn set(
    scope: Scope<'_>,
    path: &str,
    data: &[u8],
    stat: bool,
    version: Option<i32>,
) -> Result<Value, ShellError> {
    let mut request = scope.session.set(path, data);
    if let Some(version) = version {
        request = request.version(version);
    }
    let now = request.await?;
    if stat {
        scope.stat(&now)?;
    }
    Ok(json!({"path": path, "stat": stat_json(&now)}))
}

pub(super) async fn delete(
    scope: Scope<'_>,
    path: &str,
    version: Option<i32>,
) -> Result<Value, ShellError> {
    let mut request = scope.session.delete(path);
    if let Some(version) = version {
        request = request.version(version);
    }
    request.await?;
    Ok(json!({"deleted": path}))
}

/// Lists everything, then deletes from the leaves up, `batch` deletions at a time.
pub(super) async fn delete_all(
    scope: Scope<'_>,
    path: &str,
    batch: usize,
) -> Result<Value, ShellError> {
    if path == "/" && scope.session.chroot().is_empty() {
        let error = "the root cannot be deleted; name what is below it";
        return Err(ShellError::Failed(error.to_owned()));
    }
    let paths = Walk::of(scope.session, path).all().await?;
    let mut window = Window::of(batch);
    let mut count = 0_usize;
    let mut look = |outcome: Result<(), Error>| match outcome {
        Ok(()) => {
            count += 1;
            Ok(())
        }
        // Somebody else deleted it first.
        Err(error) if error.is(ErrorCode::NoNode) => Ok(()),
        Err(error) => Err(error),
    };
    // Requests of a session are done in order, so a parent is empty when its turn comes.
    for path in paths.iter().rev() {
        if let Some(outcome) = window.push(scope.session.delete(path).send()).await {
            look(outcome)?;
        }
    }
    while let Some(outcome) = window.next().await {
        look(outcome)?;
    }
    Ok(json!({"deleted": path, "znodes": count}))
}
