//! Commands as values, and what can be wrong with a line before a server is asked.

use std::time::Duration;

use tenure_client::{Acl, WatchKind, WatchMode};

use super::acl::AclError;
use super::parsed::ParseError;
use super::quota::Quota;
use super::spec::Spec;

/// One command, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Ls {
        path: String,
        stat: bool,
        watch: bool,
        recursive: bool,
    },
    Get {
        path: String,
        stat: bool,
        watch: bool,
        form: DataForm,
    },
    Stat {
        path: String,
        watch: bool,
    },
    Create(Create),
    Set {
        path: String,
        data: Vec<u8>,
        stat: bool,
        version: Option<i32>,
    },
    Delete {
        path: String,
        version: Option<i32>,
    },
    DeleteAll {
        path: String,
        batch: usize,
    },
    GetAcl {
        path: String,
        stat: bool,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl<'static>>,
        stat: bool,
        version: Option<i32>,
        deep: bool,
    },
    AddAuth {
        scheme: String,
        auth: String,
    },
    WhoAmI,
    Sync {
        path: String,
    },
    GetEphemerals {
        prefix: String,
    },
    CountDescendants {
        path: String,
    },
    AddWatch {
        path: String,
        mode: WatchMode,
    },
    RemoveWatches {
        path: String,
        kind: Option<WatchKind>,
        local: bool,
    },
    SetQuota {
        path: String,
        quota: Quota,
    },
    ListQuota {
        path: String,
    },
    /// The limits that are not -1 go.
    DelQuota {
        path: String,
        quota: Quota,
    },
    Config {
        for_clients: bool,
        watch: bool,
        stat: bool,
    },
    Reconfig {
        change: Members,
        from_version: Option<i64>,
        stat: bool,
    },
    Session,
    Connect {
        hosts: Option<String>,
    },
    Close,
    History,
    Redo {
        number: usize,
    },
    PrintWatches {
        on: Option<bool>,
    },
    Version,
    Help {
        command: Option<&'static Spec>,
    },
    Quit,
}

/// A znode to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Create {
    pub(super) path: String,
    pub(super) data: Option<String>,
    pub(super) acl: Option<Vec<Acl<'static>>>,
    pub(super) sequential: bool,
    pub(super) ephemeral: bool,
    pub(super) container: bool,
    pub(super) ttl: Option<Duration>,
    pub(super) parents: bool,
}

/// How data are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataForm {
    Raw,
    Base64,
    Hex,
}

/// What to change in an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Members {
    /// A file with all new members.
    File(String),
    All(String),
    Change {
        add: Option<String>,
        remove: Option<String>,
    },
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UsageError {
    #[error("Command not found: {0}")]
    NotFound(String),
    #[error("{0}")]
    Words(#[from] super::words::WordsError),
    #[error("{error}\nusage: {}", .spec.usage())]
    Parse { error: ParseError, spec: SpecRef },
    #[error("Path must start with / character")]
    NoSlash,
    #[error("Path must not end with / character")]
    TrailingSlash,
    #[error("{0}")]
    Acl(#[from] AclError),
    #[error("-{flag} argument must be {expected}, not {value:?}")]
    Number { flag: &'static str, expected: &'static str, value: String },
    #[error("the data are not base64: {0}")]
    Base64(String),
    #[error("{0}")]
    Conflict(&'static str),
    #[error("{command}: {value:?} is not one of {expected}")]
    Word { command: &'static str, value: String, expected: &'static str },
}

/// A row of the table, equal to itself alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpecRef(pub(super) &'static Spec);

impl SpecRef {
    fn usage(&self) -> String {
        self.0.usage()
    }
}

impl PartialEq for SpecRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for SpecRef {}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Spec {}

/// A command, and what to tell the user about the way it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) command: Command,
    /// An older form that zkCli accepts too, and what to type instead.
    pub(super) deprecated: Option<&'static str>,
}
