//! getAcl, setAcl, addauth, whoami.

use serde_json::{Value, json};
use tenure_client::Acl;

use super::tree::{Walk, Window};
use super::{Scope, done};
use crate::shell::error::ShellError;
use crate::shell::format::{acl_json, acl_lines, stat_json};

/// How many lists are set at once.
const BATCH: usize = 1000;

pub(super) async fn get(scope: Scope<'_>, path: &str, stat: bool) -> Result<Value, ShellError> {
    let list = scope.session.acl(path).await?;
    scope.out.text(&acl_lines(&list.acl))?;
    if stat {
        scope.stat(&list.stat)?;
    }
    Ok(json!({"path": path, "acl": acl_json(&list.acl), "stat": stat_json(&list.stat)}))
}

pub(super) async fn set(
    scope: Scope<'_>,
    path: &str,
    acl: &[Acl<'static>],
    stat: bool,
    version: Option<i32>,
) -> Result<Value, ShellError> {
    let mut request = scope.session.set_acl(path, acl);
    if let Some(version) = version {
        request = request.version(version);
    }
    let now = request.await?;
    if stat {
        scope.stat(&now)?;
    }
    Ok(json!({"path": path, "stat": stat_json(&now)}))
}

/// All lists of a subtree, the version meant of each as in zkCli.
pub(super) async fn set_deep(
    scope: Scope<'_>,
    path: &str,
    acl: &[Acl<'static>],
    version: Option<i32>,
) -> Result<Value, ShellError> {
    let paths = Walk::of(scope.session, path).all().await?;
    let mut window = Window::of(BATCH);
    for path in &paths {
        let mut request = scope.session.set_acl(path, acl);
        if let Some(version) = version {
            request = request.version(version);
        }
        if let Some(outcome) = window.push(request.send()).await {
            outcome?;
        }
    }
    while let Some(outcome) = window.next().await {
        outcome?;
    }
    Ok(json!({"path": path, "znodes": paths.len()}))
}

pub(super) async fn add_auth(
    scope: Scope<'_>,
    scheme: &str,
    auth: &str,
) -> Result<Value, ShellError> {
    scope.session.add_auth(scheme, auth.as_bytes()).await?;
    Ok(done())
}

pub(super) async fn who_am_i(scope: Scope<'_>) -> Result<Value, ShellError> {
    let identities = scope.session.who_am_i().await?;
    scope.out.line("Auth scheme: User")?;
    for identity in &identities {
        scope.out.line(&format!("{}: {}", identity.scheme, identity.user))?;
    }
    let list = identities.iter().map(|who| json!({"scheme": who.scheme, "user": who.user}));
    Ok(json!({"identities": list.collect::<Vec<_>>()}))
}
