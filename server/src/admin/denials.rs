//! Who was refused what lately, and why: for operators who are asked.

use std::collections::VecDeque;
use std::net::SocketAddr;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tenure_replica::{Denial, DenialWhy};
use tenure_wire::Perms;

use super::clock::Moment;
use super::query::{AdminClient, AdminQuery};
use super::sessions::Answered;
use crate::limits;

/// A refusal, and those just like it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialReport {
    /// When it last happened, by this server's wall clock, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// How many times.
    pub times: u64,
    /// The client's address.
    pub client: Option<SocketAddr>,
    /// Who was refused what, and why.
    pub denial: Denial,
}

/// The latest refusals, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Denials(VecDeque<DenialReport>);

impl Denials {
    /// Keeps a refusal. A client that asks for the same again and again takes one place.
    pub(crate) fn push(&mut self, denial: Denial, client: Option<SocketAddr>, wall_ms: i64) {
        let same = self.0.iter().rposition(|known| known.denial == denial);
        let before = same.and_then(|position| self.0.remove(position));
        if self.0.len() == limits::DENIALS {
            self.0.pop_front();
        }
        let times = before.map_or(0, |before| before.times) + 1;
        self.0.push_back(DenialReport { wall_ms, times, client, denial });
    }

    /// The latest first.
    pub(crate) fn list(&self) -> Vec<DenialReport> {
        self.0.iter().rev().cloned().collect()
    }
}

/// The answer to `/denials`.
pub(crate) async fn denials(client: &AdminClient) -> Answered {
    let denials = client.ask(AdminQuery::Denials).await?;
    let shown: Vec<Value> = denials.iter().map(show).collect();
    Some((StatusCode::OK, json!({"denials": shown})))
}

fn show(report: &DenialReport) -> Value {
    let Denial { session, who, operation, path, why } = &report.denial;
    let who: Vec<String> = who.iter().map(ToString::to_string).collect();
    let mut shown = json!({
        "at": Moment::of(report.wall_ms).iso(),
        "times": report.times,
        "session_id": session.to_string(),
        "client": report.client.map(|client| client.to_string()),
        "identities": who,
        "operation": operation,
        "path": path,
        "explanation": explain(&report.denial),
    });
    if let DenialWhy::NoPermission { at, wanted, acl, other_password } = why {
        shown["acl_of"] = json!(at);
        shown["needed"] = json!(permissions(*wanted));
        shown["acl"] = json!(acl);
        shown["other_password"] = json!(other_password);
    }
    shown["why"] = json!(match why {
        DenialWhy::NoPermission { .. } => "no_auth",
        DenialWhy::Quota => "quota_exceeded",
        DenialWhy::Credentials { .. } => "auth_failed",
        DenialWhy::NotAuthenticated => "not_authenticated",
    });
    shown
}

/// One sentence that an operator can pass on.
fn explain(denial: &Denial) -> String {
    let Denial { session, who, operation, path, why } = denial;
    let who: Vec<String> = who.iter().map(ToString::to_string).collect();
    let who = who.join(", ");
    let path = path.as_deref().unwrap_or_default();
    let asked = format!("session {session}, as {who}, asked for {operation} of {path}");
    match why {
        DenialWhy::NoPermission { at, wanted, acl, other_password } => {
            let needed = permissions(*wanted).join(" or ");
            let acl = match acl.as_deref() {
                Some(acl) => format!("its ACL is {acl}"),
                None => "it is not there any more".to_owned(),
            };
            let hint = match &other_password[..] {
                [] => String::new(),
                users => format!("; the ACL names {}, with another password", users.join(", ")),
            };
            format!("{asked}: that needs {needed} on {at}, and {acl}{hint}.")
        }
        DenialWhy::Quota => format!("{asked}: that exceeds a quota above it."),
        DenialWhy::Credentials { scheme } => {
            format!(
                "session {session}, as {who}, showed credentials of scheme {scheme:?} that \
                     were refused."
            )
        }
        DenialWhy::NotAuthenticated => format!(
            "session {session}, as {who}, sent {operation} before it authenticated by a scheme \
             that this server requires."
        ),
    }
}

fn permissions(wanted: Perms) -> Vec<&'static str> {
    const NAMES: [(Perms, &str); 5] = [
        (Perms::READ, "READ"),
        (Perms::WRITE, "WRITE"),
        (Perms::CREATE, "CREATE"),
        (Perms::DELETE, "DELETE"),
        (Perms::ADMIN, "ADMIN"),
    ];
    let wanted = NAMES.iter().filter(|(perm, _)| wanted.intersects(*perm));
    wanted.map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use tenure_replica::Who;
    use tenure_wire::SessionId;

    use super::*;

    fn denial(path: &str) -> Denial {
        let who = ["digest", "ip"].map(|scheme| Who { scheme: scheme.into(), user: "bob".into() });
        Denial {
            session: SessionId(7),
            who: who.to_vec(),
            operation: "setData",
            path: Some(path.to_owned()),
            why: DenialWhy::NoPermission {
                at: path.to_owned(),
                wanted: Perms::WRITE,
                acl: Some("world:anyone:r,digest:bob:x:cdrwa".to_owned()),
                other_password: vec!["bob".to_owned()],
            },
        }
    }

    #[test]
    fn what_is_refused_again_takes_no_further_place() {
        let mut denials = Denials::default();
        for wall_ms in 1..=5 {
            denials.push(denial("/a"), None, wall_ms);
        }
        denials.push(denial("/b"), None, 6);
        let list = denials.list();
        let seen: Vec<(i64, u64)> = list.iter().map(|r| (r.wall_ms, r.times)).collect();
        assert_eq!(seen, [(6, 1), (5, 5)]);
        for number in 0..limits::DENIALS {
            denials.push(denial(&format!("/{number}")), None, 7);
        }
        assert_eq!(denials.list().len(), limits::DENIALS);
    }

    #[test]
    fn a_refusal_is_a_sentence() {
        assert_eq!(
            explain(&denial("/a")),
            "session 0x7, as digest:bob, ip:bob, asked for setData of /a: that needs WRITE on \
             /a, and its ACL is world:anyone:r,digest:bob:x:cdrwa; the ACL names bob, with \
             another password."
        );
    }
}
