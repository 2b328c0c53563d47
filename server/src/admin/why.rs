//! Who owned the ephemeral znode at a path, and why it vanished: facts, and one sentence of them.

use axum::http::StatusCode;
use serde_json::json;
use tenure_replica::{EndReason, Ended, Gone};

use super::clock::Moment;
use super::query::{AdminClient, AdminQuery};
use super::report::SessionReport;
use super::sessions::{Answered, bad_request, show_ended, show_one};

/// What a server knows of the ephemeral znode at a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathReport {
    /// There is a znode now.
    pub exists: bool,
    /// The live session that owns it, or owned the last one.
    pub owner: Option<SessionReport>,
    /// How the last ephemeral was deleted, if it was, other than by its session's end.
    pub deleted: Option<Gone>,
    /// The ended session that the last ephemeral went with, or whose it was.
    pub ended: Option<Ended>,
    /// Ephemerals that went with all sessions remembered to have ended.
    pub lost: u64,
    /// How many of their paths are remembered.
    pub lost_paths: u64,
}

/// The answer for the argument `path`, percent-encoded.
pub(crate) async fn why(path: Option<&str>, client: &AdminClient) -> Answered {
    let decoded = path.and_then(percent_decoded).filter(|path| path.starts_with('/'));
    let Some(path) = decoded else {
        return bad_request("path", "the path of a znode, percent-encoded, as in ?path=/lock/a");
    };
    let wanted = path.clone();
    let report = client.ask(|reply| AdminQuery::Path(wanted, reply)).await?;
    let deleted = report.deleted.as_ref().map(|gone| {
        json!({
            "session_id": gone.owner.to_string(),
            "by_session_id": gone.deleted_by.map(|by| by.to_string()),
            "at": Moment::of(gone.gone_ms).iso(),
            "zxid": gone.zxid.to_string(),
        })
    });
    let body = json!({
        "path": path,
        "exists": report.exists,
        "explanation": explain(&path, &report),
        "owner": report.owner.as_ref().map(show_one),
        "deleted": deleted,
        "ended": report.ended.as_ref().map(show_ended),
        "ephemerals_lost": report.lost,
        "paths_remembered": report.lost_paths,
    });
    Some((StatusCode::OK, body))
}

fn explain(path: &str, report: &PathReport) -> String {
    let PathReport { exists, owner, deleted, ended, .. } = report;
    match (exists, owner, deleted, ended) {
        (true, Some(owner), ..) => {
            let client = match owner.peer {
                Some(peer) => format!("whose client {peer} is connected"),
                None => "whose client is not connected to this server".to_owned(),
            };
            format!("{path} exists and belongs to session {}, {client}.", owner.id)
        }
        (true, None, ..) => {
            format!("{path} exists and is not ephemeral: it belongs to no session.")
        }
        (false, _, Some(gone), _) => {
            let at = Moment::of(gone.gone_ms).iso();
            let owner = gone.owner;
            match gone.deleted_by {
                Some(by) if by != owner => format!(
                    "{path} belonged to session {owner} and was deleted by session {by} at {at}."
                ),
                Some(_) => {
                    format!("{path} was deleted at {at} by session {owner}, which owned it.")
                }
                None => format!(
                    "{path} vanished at {at} with session {owner}, whose end is not remembered."
                ),
            }
        }
        (false, _, None, Some(ended)) => {
            let at = Moment::of(ended.ended_ms).iso();
            let verb = match ended.reason {
                EndReason::Expired { .. } => "",
                EndReason::ClosedByClient | EndReason::ClosedByOperator => "was ",
            };
            let (session, reason) = (ended.session, ended.reason);
            format!("{path} vanished at {at} with session {session}, which {verb}{reason}.")
        }
        (false, _, None, None) => {
            let rest = match report.lost > report.lost_paths {
                true => format!(
                    " Of {} ephemerals that went with sessions, the paths of {} are remembered; \
                     it may be one of the others.",
                    report.lost, report.lost_paths
                ),
                false => String::new(),
            };
            format!("{path} does not exist, and is not remembered as an ephemeral znode.{rest}")
        }
    }
}

/// Text with `%2F` and the like resolved; `None` if an escape is broken or it is no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let (digits, behind) = rest.split_first_chunk::<2>()?;
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            bytes.push((digit(0)? * 16 + digit(1)?) as u8);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved_or_refused() {
        for (text, decoded) in [
            ("/a", Some("/a")),
            ("%2Fa%2fb", Some("/a/b")),
            ("/a%20b+c%C3%BC%25", Some("/a b+c\u{fc}%")),
            ("/a%", None),
            ("/a%2", None),
            ("/a%+1", None),
            ("/a%zz", None),
            ("/a%ff", None),
        ] {
            assert_eq!(percent_decoded(text).as_deref(), decoded, "{text}");
        }
    }
}
