//! Commands that ask a server: one file per family. Each prints for people and returns its JSON
//! document.

mod acl;
mod ensemble;
mod quota;
mod read;
mod tree;
mod watch;
mod write;

use serde_json::{Value, json};
use tenure_client::{Session, Stat};

use super::command::Command;
use super::error::ShellError;
use super::events::Watches;
use super::format::stat_block;
use super::output::Output;

/// What a command works with.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) session: &'a Session,
    pub(super) out: &'a Output,
    pub(super) watches: &'a Watches,
    /// Whether events are printed.
    pub(super) prints_events: bool,
}

impl Scope<'_> {
    fn stat(&self, stat: &Stat) -> Result<(), ShellError> {
        Ok(self.out.text(&stat_block(stat))?)
    }
}

/// The document of a command that has nothing to tell.
fn done() -> Value {
    json!({"ok": true})
}

/// Runs a command that needs a session.
pub(super) async fn run(scope: Scope<'_>, command: &Command) -> Result<Value, ShellError> {
    match command {
        Command::Ls { path, stat, watch, recursive: false } => {
            read::ls(scope, path, *stat, *watch).await
        }
        Command::Ls { path, recursive: true, .. } => read::ls_deep(scope, path).await,
        Command::Get { path, stat, watch, form } => {
            read::get(scope, path, *stat, *watch, *form).await
        }
        Command::Stat { path, watch } => read::stat(scope, path, *watch).await,
        Command::Sync { path } => read::sync(scope, path).await,
        Command::GetEphemerals { prefix } => read::ephemerals(scope, prefix).await,
        Command::CountDescendants { path } => read::count_descendants(scope, path).await,
        Command::Create(create) => write::create(scope, create).await,
        Command::Set { path, data, stat, version } => {
            write::set(scope, path, data, *stat, *version).await
        }
        Command::Delete { path, version } => write::delete(scope, path, *version).await,
        Command::DeleteAll { path, batch } => write::delete_all(scope, path, *batch).await,
        Command::GetAcl { path, stat } => acl::get(scope, path, *stat).await,
        Command::SetAcl { path, acl, stat, version, deep: false } => {
            acl::set(scope, path, acl, *stat, *version).await
        }
        Command::SetAcl { path, acl, version, deep: true, .. } => {
            acl::set_deep(scope, path, acl, *version).await
        }
        Command::AddAuth { scheme, auth } => acl::add_auth(scope, scheme, auth).await,
        Command::WhoAmI => acl::who_am_i(scope).await,
        Command::AddWatch { path, mode } => watch::add(scope, path, *mode).await,
        Command::RemoveWatches { path, kind, local } => {
            watch::remove(scope, path, *kind, *local).await
        }
        Command::SetQuota { path, quota } => quota::set(scope, path, *quota).await,
        Command::ListQuota { path } => quota::list(scope, path).await,
        Command::DelQuota { path, quota } => quota::delete(scope, path, *quota).await,
        Command::Config { for_clients, watch, stat } => {
            ensemble::config(scope, *for_clients, *watch, *stat).await
        }
        Command::Reconfig { change, from_version, stat } => {
            ensemble::reconfig(scope, change, *from_version, *stat).await
        }
        other => unreachable!("{other:?} needs no session"),
    }
}
