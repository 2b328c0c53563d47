//! addWatch, removewatches.

use serde_json::{Value, json};
use tenure_client::{WatchKind, WatchMode};

use super::{Scope, done};
use crate::shell::error::ShellError;
use crate::shell::events::removed;

pub(super) async fn add(
    scope: Scope<'_>,
    path: &str,
    mode: WatchMode,
) -> Result<Value, ShellError> {
    let watch = scope.session.watch(path, mode).await?;
    let kind = match mode {
        WatchMode::Persistent => WatchKind::Persistent,
        WatchMode::Recursive => WatchKind::Recursive,
    };
    scope.watches.again(path, kind, watch);
    Ok(done())
}

/// With `local` and no server there, they are dropped here; the server hears of it later.
pub(super) async fn remove(
    scope: Scope<'_>,
    path: &str,
    kind: Option<WatchKind>,
    local: bool,
) -> Result<Value, ShellError> {
    if local && !scope.session.state().is_connected() {
        scope.watches.forget(path, kind);
    } else {
        scope.session.remove_watches(path, kind).await?;
    }
    if scope.prints_events {
        scope.out.text(&removed(kind, path))?;
    }
    Ok(json!({"path": path, "removed": true}))
}
