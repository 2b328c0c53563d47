//! Who may have admin HTTP do what could hurt. One rule for all of it: clients on this machine may,
//! and from others whoever shows in the header `Authorization: <scheme> <auth>`, as ZooKeeper's
//! snapshot command has it, that they may administer the server.

use std::fmt;
use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};
use tenure_replica::NoAdministrator;

use super::bounded::Peer;
use super::query::{AdminClient, AdminQuery};
use crate::config::AdminTrust;

/// How a request could hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Danger {
    /// It tells names of znodes or settings of the server, or costs more than others do.
    Reveals,
    /// It ends a session.
    EndsSession,
    /// It replaces data, or hands all of it out.
    Changes,
}

/// Who need not show who they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trust {
    pub(crate) whom: AdminTrust,
    /// Everybody may end sessions (`tenure.admin.closeSessions`).
    pub(crate) anybody_closes: bool,
}

/// What somebody shows to be let in.
pub struct Credentials {
    /// Where the request comes from.
    pub peer: IpAddr,
    /// How the identity is established, as in an auth packet.
    pub scheme: String,
    /// What proves it.
    pub auth: Vec<u8>,
}

impl fmt::Debug for Credentials {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} from {})", self.scheme, self.peer)
    }
}

/// Who was let in, for the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    /// Where the request came from.
    pub(crate) peer: IpAddr,
    /// `scheme:user`, if it had to be shown.
    pub(crate) who: Option<String>,
}

/// Lets a request do what could hurt, or says why not.
pub(crate) async fn authorise(
    danger: Danger,
    trust: Trust,
    Peer(peer): Peer,
    headers: &HeaderMap,
    client: &AdminClient,
) -> Result<Operator, (StatusCode, String)> {
    let peer = peer.ip().to_canonical();
    // Browsers name the page that sends a request. No page has business here, wherever the browser.
    if is_from_web_page(headers) {
        return Err((StatusCode::FORBIDDEN, "this is not done for web pages".into()));
    }
    let shown = headers.get(header::AUTHORIZATION).map(|shown| shown.as_bytes());
    let is_trusted = match trust.whom {
        _ if trust.anybody_closes && danger == Danger::EndsSession => true,
        AdminTrust::All => danger == Danger::Reveals || is_local(peer, headers),
        AdminTrust::Local => is_local(peer, headers),
        AdminTrust::Nobody => false,
    };
    if is_trusted {
        return Ok(Operator { peer, who: None });
    }
    let Some(shown) = shown.filter(|shown| !shown.is_empty()) else {
        return Err((StatusCode::UNAUTHORIZED, MISSING.into()));
    };
    let end = shown.iter().position(|b| *b == b' ').unwrap_or(shown.len());
    let (scheme, auth) = shown.split_at(end);
    let scheme = String::from_utf8_lossy(scheme).into_owned();
    let credentials = Credentials { peer, scheme, auth: auth.trim_ascii().to_vec() };
    match client.ask(|reply| AdminQuery::Authorise(credentials, reply)).await {
        Some(Ok(who)) => Ok(Operator { peer, who: Some(who) }),
        Some(Err(why)) => {
            let status = match why {
                NoAdministrator::Unknown => StatusCode::UNAUTHORIZED,
                NoAdministrator::NotPermitted => StatusCode::FORBIDDEN,
            };
            Err((status, format!("the Authorization header is not enough: {why}")))
        }
        None => Err((StatusCode::SERVICE_UNAVAILABLE, "the server does not answer".into())),
    }
}

const MISSING: &str = "this needs a header such as `Authorization: digest \
    user:password`, of a super user or of somebody whom the ACL of / names with ADMIN permission; \
    tenure.admin.trust in the configuration says who needs none";

fn is_from_web_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != b"none")
}

/// Whether a request comes from this machine, and not by way of a web page whose own name was made
/// to point here: then the browser names that page's host.
fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map_or(&b""[..], |host| host.as_bytes());
    let host = String::from_utf8_lossy(host);
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => &host,
    };
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    peer.is_loopback() && (is_address || !name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let named = |name: &'static str| header::HeaderName::from_static(name);
        lines.iter().map(|(name, value)| (named(name), value.parse().unwrap())).collect()
    }

    /// The status of a refusal, or who was let in; the server knows one operator.
    fn ask(
        danger: Danger,
        trust: Trust,
        peer: &str,
        lines: &[(&'static str, &'static str)],
    ) -> Result<Option<String>, u16> {
        let client = AdminClient::new(|query| match query {
            AdminQuery::Authorise(shown, reply) => {
                reply.send(match (&*shown.scheme, &*shown.auth) {
                    ("digest", b"super:secret") => Ok("digest:super".to_owned()),
                    ("digest", _) => Err(NoAdministrator::NotPermitted),
                    _ => Err(NoAdministrator::Unknown),
                });
            }
            other => panic!("{other:?}"),
        });
        let (peer, headers) = (Peer(peer.parse().unwrap()), headers(lines));
        let asked = authorise(danger, trust, peer, &headers, &client);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let authorised = runtime.block_on(asked);
        authorised.map(|operator| operator.who).map_err(|(status, _)| status.as_u16())
    }

    const ALL: [Danger; 3] = [Danger::Reveals, Danger::EndsSession, Danger::Changes];
    const THERE: [&str; 3] = ["10.0.0.1:5", "[::ffff:10.0.0.1]:5", "[2001:db8::1]:5"];

    #[test]
    fn this_machine_is_trusted_and_others_are_not() {
        let trust = Trust::default();
        for danger in ALL {
            for here in ["127.0.0.1:5", "127.9.9.9:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
                assert_eq!(ask(danger, trust, here, &[]), Ok(None), "{here}");
            }
            for there in THERE {
                assert_eq!(ask(danger, trust, there, &[]), Err(401), "{there}");
            }
        }
    }

    #[test]
    fn the_configuration_trusts_more_or_nobody() {
        let all = Trust { whom: AdminTrust::All, anybody_closes: false };
        let closers = Trust { whom: AdminTrust::Local, anybody_closes: true };
        let nobody = Trust { whom: AdminTrust::Nobody, anybody_closes: false };
        for there in THERE {
            let asked = |trust| ALL.map(|danger| ask(danger, trust, there, &[]).is_ok());
            assert_eq!(asked(all), [true, false, false]);
            assert_eq!(asked(closers), [false, true, false]);
            assert_eq!(asked(nobody), [false; 3]);
        }
        assert_eq!(ask(Danger::Reveals, nobody, "127.0.0.1:5", &[]), Err(401));
    }

    #[test]
    fn who_shows_an_administrator_is_let_in_from_anywhere() {
        let ask = |shown| ask(Danger::Changes, Trust::default(), THERE[0], &[shown]);
        let super_user = Ok(Some("digest:super".to_owned()));
        assert_eq!(ask(("authorization", "digest super:secret")), super_user);
        assert_eq!(ask(("authorization", "digest  super:secret ")), super_user);
        assert_eq!(ask(("authorization", "digest super:wrong")), Err(403));
        assert_eq!(ask(("authorization", "digest")), Err(403));
        assert_eq!(ask(("authorization", "Basic c3VwZXI6c2VjcmV0")), Err(401));
        assert_eq!(ask(("authorization", "")), Err(401));
    }

    #[test]
    fn web_pages_are_refused_wherever_their_browser_runs() {
        let ask = |shown| ask(Danger::Reveals, Trust::default(), "127.0.0.1:5", &[shown]);
        assert_eq!(ask(("origin", "null")), Err(403));
        assert_eq!(ask(("sec-fetch-site", "cross-site")), Err(403));
        // Typed into the address bar.
        assert_eq!(ask(("sec-fetch-site", "none")), Ok(None));
        // A name of a page's own that was made to point to this machine.
        assert_eq!(ask(("host", "evil.example:8080")), Err(401));
        for host in ["127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "localhost:8080", "db7:8080"] {
            assert_eq!(ask(("host", host)), Ok(None), "{host}");
        }
    }
}
