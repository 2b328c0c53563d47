//! setquota, listquota, delquota.

use serde_json::{Value, json};
use tenure_client::{Error, ErrorCode, Session};

use super::tree::{Walk, child};
use super::{Scope, done};
use crate::shell::error::ShellError;
use crate::shell::quota::{LIMITS, Quota, ROOT, STATS, folder};

pub(super) async fn set(scope: Scope<'_>, path: &str, quota: Quota) -> Result<Value, ShellError> {
    let session = without_chroot(scope)?;
    if session.exists(path).await?.is_none() {
        return Err(ShellError::Failed(format!("{path} does not exist.")));
    }
    check_nesting(session, path).await?;
    let folder = folder(path);
    let (limits, stats) = (child(&folder, LIMITS), child(&folder, STATS));
    session.create_all(&folder).await?;
    let quota = match read(session, &limits).await? {
        Some(old) => {
            let quota = quota.over(old);
            session.set(&limits, &quota.to_string()).await?;
            quota
        }
        None => {
            session.create(&limits, &quota.to_string()).await?;
            quota
        }
    };
    match session.create(&stats, "count=0,bytes=0").await {
        Ok(_) => {}
        Err(error) if error.is(ErrorCode::NodeExists) => {}
        Err(error) => return Err(error.into()),
    }
    let used = read(session, &stats).await?.unwrap_or(Quota::NONE);
    for (what, limit, used) in [
        ("count", quota.count, used.count),
        ("bytes", quota.bytes, used.bytes),
        ("count", quota.hard_count, used.count),
        ("bytes", quota.hard_bytes, used.bytes),
    ] {
        if limit > -1 && limit < used {
            scope.out.remark(&format!(
                "[Warning]: the {what} quota you create is less than the existing {what}:{used}"
            ));
        }
    }
    Ok(done())
}

pub(super) async fn list(scope: Scope<'_>, path: &str) -> Result<Value, ShellError> {
    let session = without_chroot(scope)?;
    let folder = folder(path);
    let limits = child(&folder, LIMITS);
    let quota = read(session, &limits).await?;
    scope.out.line(&format!("absolute path is {limits}"))?;
    let Some(quota) = quota else {
        return Err(ShellError::Failed(format!("quota for {path} does not exist.")));
    };
    scope.out.line(&format!("Output quota for {path} {quota}"))?;
    let used = read(session, &child(&folder, STATS)).await?.unwrap_or(Quota::NONE);
    let (count, bytes) = (used.count, used.bytes);
    scope.out.line(&format!("Output stat for {path} count={count},bytes={bytes}"))?;
    Ok(json!({
        "path": path,
        "quota": {"count": quota.count, "bytes": quota.bytes,
                  "hardCount": quota.hard_count, "hardBytes": quota.hard_bytes},
        "used": {"count": count, "bytes": bytes},
    }))
}

/// Takes the limits away that are chosen, or the whole quota.
pub(super) async fn delete(
    scope: Scope<'_>,
    path: &str,
    chosen: Quota,
) -> Result<Value, ShellError> {
    let session = without_chroot(scope)?;
    let mut folder = folder(path);
    let limits = child(&folder, LIMITS);
    let Some(old) = read(session, &limits).await? else {
        return Err(ShellError::Failed(format!("Quota does not exist for {path}")));
    };
    if chosen != Quota::NONE {
        let left = |chosen: i64, old: i64| if chosen == -1 { old } else { -1 };
        let quota = Quota {
            count: left(chosen.count, old.count),
            bytes: left(chosen.bytes, old.bytes),
            hard_count: left(chosen.hard_count, old.hard_count),
            hard_bytes: left(chosen.hard_bytes, old.hard_bytes),
        };
        session.set(&limits, &quota.to_string()).await?;
        return Ok(done());
    }
    session.delete(&limits).await?;
    gone(session.delete(&child(&folder, STATS)).await)?;
    // Folders that serve no other quota go too.
    while folder != ROOT {
        match session.delete(&folder).await {
            Err(error) if error.is(ErrorCode::NotEmpty) => break,
            other => gone(other)?,
        }
        folder.truncate(folder.rfind('/').expect("it is below the root of quotas"));
    }
    Ok(done())
}

/// Quotas are kept outside of every chroot, where such a session does not reach.
fn without_chroot(scope: Scope<'_>) -> Result<&Session, ShellError> {
    match scope.session.chroot() {
        "" => Ok(scope.session),
        chroot => Err(ShellError::Failed(format!(
            "quotas are kept outside of the chroot {chroot}; connect without one"
        ))),
    }
}

/// Quotas do not nest: a server would count only the deepest.
async fn check_nesting(session: &Session, path: &str) -> Result<(), ShellError> {
    for (slash, _) in path.match_indices('/').skip(1) {
        let above = &path[..slash];
        if session.exists(&child(&folder(above), LIMITS)).await?.is_some() {
            let error = format!("{path} has a parent {above} which has a quota");
            return Err(ShellError::Failed(error));
        }
    }
    let folder = folder(path);
    if session.exists(&folder).await?.is_none() {
        return Ok(());
    }
    let own = child(&folder, LIMITS);
    let all = Walk::of(session, &folder).all().await?;
    let below = all.iter().find(|found| **found != own && found.ends_with(&format!("/{LIMITS}")));
    match below.and_then(|found| found.strip_prefix(ROOT)?.strip_suffix(&format!("/{LIMITS}"))) {
        Some(below) => {
            Err(ShellError::Failed(format!("{path} has a child {below} which has a quota")))
        }
        None => Ok(()),
    }
}

async fn read(session: &Session, path: &str) -> Result<Option<Quota>, Error> {
    match session.get(path).await {
        Ok(node) => Ok(Some(Quota::parse(&String::from_utf8_lossy(&node.data)))),
        Err(error) if error.is(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A deletion that finds nothing has nothing left to do.
fn gone(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if error.is(ErrorCode::NoNode) => Ok(()),
        other => other,
    }
}
