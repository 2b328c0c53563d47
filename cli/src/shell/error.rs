//! What can go wrong with a command, in zkCli's words where it has some, and the exit code for it.

use std::io;

use serde_json::{Value, json};
use tenure_client::{Error, ErrorCode, EstablishError, LostReason};

use super::command::UsageError;

/// Failed: a server refused it.
pub(super) const FAILED: u8 = 1;
/// Wrong usage: no server was asked.
pub(super) const USAGE: u8 = 2;
/// No connection, or the session is lost.
pub(super) const NO_SESSION: u8 = 3;
/// Stopped by Ctrl-C, as shells count it.
pub(super) const INTERRUPTED: u8 = 130;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShellError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("{}", request_text(.0))]
    Request(Box<Error>),
    /// Something about the request that the error alone does not tell.
    #[error("{}{}", request_text(.error), .hint)]
    Hinted { error: Box<Error>, hint: &'static str },
    #[error("{}", establish_text(.hosts, .error))]
    Establish { hosts: String, error: EstablishError },
    #[error("Not connected{0}")]
    NotConnected(String),
    #[error("{0}")]
    Failed(String),
    #[error("interrupted; a write that was sent may still happen")]
    Interrupted,
    #[error("writing the output failed: {0}")]
    Output(#[from] io::Error),
}

impl ShellError {
    /// The exit code for scripts.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Request(error) | Self::Hinted { error, .. } => match **error {
                Error::Invalid { .. } => USAGE,
                Error::Unknown { .. } | Error::NotDone { .. } | Error::Lost(_) => NO_SESSION,
                _ => FAILED,
            },
            Self::Establish { error: EstablishError::Hosts(_), .. } => USAGE,
            Self::Establish { .. } | Self::NotConnected(_) => NO_SESSION,
            Self::Failed(_) | Self::Output(_) => FAILED,
            Self::Interrupted => INTERRUPTED,
        }
    }

    /// Whether whoever reads the output has gone, as `head` does when it has seen enough.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let (name, path) = match self {
            Self::Usage(_) => ("Usage".to_owned(), None),
            Self::Request(error) | Self::Hinted { error, .. } => request_name(error),
            Self::Establish { .. } | Self::NotConnected(_) => ("NotConnected".to_owned(), None),
            Self::Failed(_) => ("Failed".to_owned(), None),
            Self::Interrupted => ("Interrupted".to_owned(), None),
            Self::Output(_) => ("Output".to_owned(), None),
        };
        json!({
            "error": name,
            "message": self.to_string(),
            "path": path,
            "exit_code": self.exit_code(),
        })
    }
}

impl From<Error> for ShellError {
    fn from(error: Error) -> Self {
        Self::Request(Box::new(error))
    }
}

fn establish_text(hosts: &str, error: &EstablishError) -> String {
    match error {
        // It quotes them.
        EstablishError::Hosts(error) => error.to_string(),
        EstablishError::Lost(LostReason::NotEstablished { cause: None, .. }) => {
            format!("{hosts}: {error}: no answer so far")
        }
        error => format!("{hosts}: {error}"),
    }
}

fn request_name(error: &Error) -> (String, Option<&str>) {
    match error {
        Error::Refused { code, path, .. } => (format!("{code:?}"), Some(path)),
        Error::Unknown { path, .. } => ("Unknown".to_owned(), Some(path)),
        Error::NotDone { path, .. } => ("NotDone".to_owned(), Some(path)),
        Error::Invalid { path, .. } => ("Invalid".to_owned(), Some(path)),
        Error::Lost(_) => ("SessionLost".to_owned(), None),
        _ => ("Failed".to_owned(), None),
    }
}

fn request_text(error: &Error) -> String {
    match error {
        Error::Refused { code, path, .. } => refusal(*code, path),
        Error::Lost(reason) => {
            format!("Not connected: the session is lost: {reason}; 'connect' makes a new one")
        }
        Error::Invalid { path, what, .. } => format!("Invalid path or data for {path:?}: {what}"),
        other => other.to_string(),
    }
}

fn refusal(code: ErrorCode, path: &str) -> String {
    match code {
        ErrorCode::NoNode => format!("Node does not exist: {path}"),
        ErrorCode::NodeExists => format!("Node already exists: {path}"),
        ErrorCode::NotEmpty => format!("Node not empty: {path}"),
        ErrorCode::NoChildrenForEphemerals => format!("Ephemerals cannot have children: {path}"),
        ErrorCode::NoAuth => format!("Insufficient permission : {path}"),
        ErrorCode::BadVersion => format!("version No is not valid : {path}"),
        ErrorCode::BadArguments => format!("Arguments are not valid : {path}"),
        ErrorCode::InvalidAcl => format!("Acl is not valid : {path}"),
        ErrorCode::QuotaExceeded => format!("Quota has exceeded : {path}"),
        code if path.is_empty() => format!("KeeperErrorCode = {code}"),
        code => format!("KeeperErrorCode = {code} for {path}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenure_client::{Interruption, OpCode};

    use super::*;

    fn refused(code: ErrorCode) -> ShellError {
        Error::Refused { code, op: OpCode::GetData, path: "/a".to_owned() }.into()
    }

    #[test]
    fn refusals_read_as_in_zkcli_and_exit_with_1() {
        for (code, text) in [
            (ErrorCode::NoNode, "Node does not exist: /a"),
            (ErrorCode::NoAuth, "Insufficient permission : /a"),
            (ErrorCode::BadVersion, "version No is not valid : /a"),
            (ErrorCode::ReconfigDisabled, "KeeperErrorCode = "),
        ] {
            let error = refused(code);
            assert!(error.to_string().starts_with(text), "{error}");
            assert_eq!(error.exit_code(), FAILED);
        }
        let json = refused(ErrorCode::NoNode).json();
        assert_eq!((&json["error"], &json["path"]), (&"NoNode".into(), &"/a".into()));
    }

    #[test]
    fn a_lost_session_is_told_apart_from_a_refusal() {
        let reason = LostReason::Expired { account: None };
        let (op, path) = (OpCode::SetData, "/a".to_owned());
        let cause = Interruption::Lost(reason.clone());
        for error in [Error::Lost(reason), Error::Unknown { op, path, cause }] {
            assert_eq!(ShellError::from(error).exit_code(), NO_SESSION);
        }
        let lost = LostReason::NotEstablished { after: Duration::from_secs(1), cause: None };
        let error = EstablishError::Lost(lost);
        let error = ShellError::Establish { hosts: "h:1".to_owned(), error };
        assert_eq!(error.exit_code(), NO_SESSION);
        assert!(error.to_string().starts_with("h:1: no session: no server"), "{error}");
    }
}
