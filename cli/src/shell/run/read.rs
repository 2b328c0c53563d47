//! ls, get, stat, sync, getEphemerals, getAllChildrenNumber.

use serde_json::{Value, json};
use tenure_client::{Error, ErrorCode, OpCode, WatchKind};

use super::Scope;
use super::tree::Walk;
use crate::shell::command::DataForm;
use crate::shell::error::ShellError;
use crate::shell::format::{base64, bracketed, data_json, hex_dump, stat_json};

pub(super) async fn ls(
    scope: Scope<'_>,
    path: &str,
    stat: bool,
    watch: bool,
) -> Result<Value, ShellError> {
    let request = scope.session.children(path);
    let children = if watch {
        let (children, event) = request.watch().send().await?;
        scope.watches.once(path, WatchKind::Children, event);
        children
    } else {
        request.await?
    };
    scope.out.line(&bracketed(&children.names))?;
    if stat {
        scope.stat(&children.stat)?;
    }
    Ok(json!({"path": path, "children": children.names, "stat": stat_json(&children.stat)}))
}

/// Goes on past znodes that may not be read; the first such error is the outcome.
pub(super) async fn ls_deep(scope: Scope<'_>, path: &str) -> Result<Value, ShellError> {
    let mut walk = Walk::of(scope.session, path);
    let (mut paths, mut first_error) = (Vec::new(), None);
    while let Some((path, listed)) = walk.next().await {
        match listed {
            Ok(()) => {}
            Err(error) if error.is(ErrorCode::NoAuth) => {
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
        scope.out.line(&path)?;
        if scope.out.json {
            paths.push(path);
        }
    }
    match first_error {
        Some(error) => Err(error.into()),
        None => Ok(json!({"path": path, "paths": paths})),
    }
}

pub(super) async fn get(
    scope: Scope<'_>,
    path: &str,
    stat: bool,
    watch: bool,
    form: DataForm,
) -> Result<Value, ShellError> {
    let request = scope.session.get(path);
    let node = if watch {
        let (node, event) = request.watch().send().await?;
        scope.watches.once(path, WatchKind::Data, event);
        node
    } else {
        request.await?
    };
    match form {
        _ if node.is_null => scope.out.bytes(b"null")?,
        DataForm::Raw => scope.out.bytes(&node.data)?,
        DataForm::Base64 => scope.out.text(&base64(&node.data))?,
        DataForm::Hex => scope.out.text(hex_dump(&node.data).trim_end())?,
    }
    scope.out.bytes(b"\n")?;
    if stat {
        scope.stat(&node.stat)?;
    }
    let data = (!node.is_null).then_some(&node.data[..]);
    let (name, data) = match (form, data) {
        (DataForm::Base64, Some(data)) => ("data_base64", base64(data).into()),
        (_, data) => data_json(data),
    };
    Ok(json!({"path": path, name: data, "stat": stat_json(&node.stat)}))
}

pub(super) async fn stat(scope: Scope<'_>, path: &str, watch: bool) -> Result<Value, ShellError> {
    let request = scope.session.exists(path);
    let found = if watch {
        let (found, event) = request.watch().send().await?;
        scope.watches.once(path, WatchKind::Data, event);
        found
    } else {
        request.await?
    };
    let Some(stat) = found else {
        let (code, op, path) = (ErrorCode::NoNode, OpCode::Exists, path.to_owned());
        return Err(Error::Refused { code, op, path }.into());
    };
    scope.stat(&stat)?;
    Ok(json!({"path": path, "stat": stat_json(&stat)}))
}

pub(super) async fn sync(scope: Scope<'_>, path: &str) -> Result<Value, ShellError> {
    scope.session.sync(path).await?;
    scope.out.line("Sync is OK")?;
    Ok(super::done())
}

pub(super) async fn ephemerals(scope: Scope<'_>, prefix: &str) -> Result<Value, ShellError> {
    let paths = scope.session.ephemerals(prefix).await?;
    scope.out.line(&bracketed(&paths))?;
    Ok(json!({"ephemerals": paths}))
}

pub(super) async fn count_descendants(scope: Scope<'_>, path: &str) -> Result<Value, ShellError> {
    let count = scope.session.count_descendants(path).await?;
    scope.out.line(&count.to_string())?;
    Ok(json!({"path": path, "descendants": count}))
}
